"""Numbers with their protocol, and the ways to write them down."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facegen_keras.files.atomic import replacing
from facegen_keras.files.json_values import as_json

ENDINGS = (".h5", ".keras", ".zip")  # of files that are measured
# Keys of a record that describe the number itself; all others are its protocol.
NUMBER_FIELDS = ("model", "metric", "label", "name", "value", "error", "protocol")
HIGHER_IS_BETTER = ("is", "precision", "recall", "density", "coverage")


def number_text(value: float, error: float | None = None) -> str:
    """A value to the digits that its error allows, or to four, at most two of them after the point.

    Args:
        value: A measured value.
        error: Its standard error, or None where it is not known.
    """
    if error and math.isfinite(error):
        # To one digit of the error, which may itself be rounded up to ten times its place.
        places = -math.floor(math.log10(float(f"{error:.0e}")))
        text = f"{round(value, places):.{max(0, places)}f}"
    else:
        text = f"{value:.4g}" if abs(value) < 1 else f"{value:.2f}"
    return text.removeprefix("-") if float(text) == 0 else text


def error_text(error: float) -> str:
    """A standard error, or a part of an interval, to one digit: 0.03, 4, 40."""
    text = f"{error:.1g}"
    return f"{float(text):.0f}" if "e+" in text else text


@dataclass(frozen=True)
class Number:
    """One measured value.

    Attributes:
        label: Its name in print, such as `FID` or `FD (efficientnet-lite0)`.
        value: The value.
        error: Its standard error, or None.
        lower_is_better: The direction.
        protocol: What a reader needs to compare it: extractor, sha256 of its weights, resize,
            numbers of images, fingerprint of the reference, seed, versions.
    """

    label: str
    value: float
    error: float | None = None
    lower_is_better: bool = True
    protocol: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        digits = number_text(self.value, self.error)
        return digits if not self.error else f"{digits} ± {error_text(self.error)}"


@dataclass(frozen=True)
class Evaluation:
    """The numbers of one model or set of images.

    Attributes:
        name: The model's file or the folder, or what the caller named it.
        numbers: Key (`fid`, `kid`, `precision`, ...) to `Number`. The keys `fid` and `kid` exist
            only for the canonical Inception; with other features they are `fd` and `kd`.
        protocol: What all numbers share.
        warnings: Reasons to mistrust the numbers.
    """

    name: str
    numbers: dict[str, Number]
    protocol: dict[str, object]
    warnings: tuple[str, ...] = ()

    def __getitem__(self, key: str) -> float:
        """The value under a key, such as `result["fid"]`.

        Raises:
            KeyError: It was not measured.
        """
        if key not in self.numbers:
            raise KeyError(f"{key!r} was not measured; there are {', '.join(self.numbers)}")
        return self.numbers[key].value

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> "Evaluation":
        """An entry of the JSON that `Report.to_json` writes; others than its keys are ignored.

        Raises:
            KeyError, TypeError, AttributeError: It is something else.
        """
        numbers = {key: Number(**number) for key, number in entry["numbers"].items()}
        return cls(entry["model"], numbers, entry["protocol"], tuple(entry["warnings"]))

    def records(self) -> list[dict[str, object]]:
        """One flat dict per number, with its protocol: what `save_generator(metrics=)` takes."""
        return [
            {
                "model": self.name,
                "metric": key,
                "label": number.label,
                "value": number.value,
                "error": number.error,
                **number.protocol,
            }
            for key, number in self.numbers.items()
        ]

    def table(self) -> str:
        """A table for a terminal."""
        return Report([self]).table()

    def to_json(self, path: str | Path | None = None) -> str:
        """JSON text; also written to `path`."""
        return Report([self]).to_json(path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """CSV text, one line per number; also written to `path`."""
        return Report([self]).to_csv(path)


def recorded(metadata: Mapping[str, object]) -> dict[str, Number]:
    """The numbers that an exported model carries in its metadata, by their key.

    Args:
        metadata: `generator.metadata`. Its entry `metrics` holds `Evaluation.records`, or records
            with a `name`, a `value` and a `protocol` in words, as the shipped models have them.

    Returns:
        Key (`fid`, `fd`, `kid`, ...) to number; of several with one key the last. Empty for a
        model that was not measured.
    """
    numbers = {}
    records = metadata.get("metrics")
    for record in records if isinstance(records, Sequence) else ():
        label = record.get("label") or record.get("name") or record.get("metric") or ""
        key = record.get("metric") or label.split(" ")[0].lower()
        if not key or not isinstance(record.get("value"), int | float):
            continue
        protocol = {k: v for k, v in record.items() if k not in NUMBER_FIELDS}
        stated = record.get("protocol") or {}
        protocol |= stated if isinstance(stated, dict) else {"protocol": stated}
        lower = key not in HIGHER_IS_BETTER
        value = float(record["value"])
        numbers[key] = Number(label, value, record.get("error"), lower, protocol)
    return numbers


@dataclass(frozen=True)
class Report:
    """Several evaluations under one protocol, side by side; `figures.model_comparison` draws them.

    Attributes:
        evaluations: One per model or set of images.
    """

    evaluations: Sequence[Evaluation]

    @property
    def keys(self) -> list[str]:
        """Keys of the numbers, in the order of their first appearance."""
        return list(dict.fromkeys(key for e in self.evaluations for key in e.numbers))

    @property
    def short_names(self) -> list[str]:
        """The names of the evaluations, paths without folders and endings.

        Where two would be the same, as those of the best models of several runs are, the names of
        their folders; where these are the same too, the whole paths.
        """
        names = [evaluation.name for evaluation in self.evaluations]
        paths = [Path(name) for name in names]
        stems = [path.stem if path.suffix in ENDINGS else path.name or str(path) for path in paths]
        folders = [path.parent.name or stem for path, stem in zip(paths, stems, strict=True)]
        distinct = (short for short in (stems, folders) if len(set(short)) == len(short))
        return next(distinct, names)

    @property
    def protocol(self) -> tuple[dict[str, object], list[str]]:
        """What all evaluations share of their protocols, and the names of what they do not."""
        protocols = [evaluation.protocol for evaluation in self.evaluations]
        names = dict.fromkeys(key for protocol in protocols for key in protocol)
        first = protocols[0] if protocols else {}
        same = [k for k in names if all(p.get(k) == first.get(k) for p in protocols)]
        differing = [k for k in names if k not in same and k != "versions"]
        return {key: first[key] for key in same if key in first}, differing

    def label(self, key: str) -> str:
        """The printed name of the number under a key."""
        return next(e.numbers[key].label for e in self.evaluations if key in e.numbers)

    def table(self) -> str:
        """A table for a terminal: a line per model, a column per number, and the protocol."""
        head = ["", *(f"{self.label(key)} {self._arrow(key)}" for key in self.keys)]
        lines = [head]
        for evaluation in self.evaluations:
            cells = [str(evaluation.numbers.get(key, "–")) for key in self.keys]
            lines.append([evaluation.name, *cells])
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        rows = [
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        shared, differing = self.protocol
        told = {k: shortened(v) for k, v in shared.items() if k != "versions" and v != ""}
        facts = [f"{k} {v}" for k, v in told.items()]
        facts_of_all = [f"protocol: {', '.join(facts)}"]
        if differing:
            facts_of_all.append(f"not the same for all: {', '.join(differing)}")
        return "\n".join([*rows, *facts_of_all])

    def to_json(self, path: str | Path | None = None) -> str:
        """JSON text; also written to `path`."""
        content = [
            {
                "model": evaluation.name,
                "protocol": evaluation.protocol,
                "warnings": list(evaluation.warnings),
                "numbers": {
                    key: {
                        "label": number.label,
                        "value": number.value,
                        "error": number.error,
                        "lower_is_better": number.lower_is_better,
                        "protocol": number.protocol,
                    }
                    for key, number in evaluation.numbers.items()
                },
            }
            for evaluation in self.evaluations
        ]
        return _write(
            json.dumps(content, indent=2, ensure_ascii=False, default=as_json) + "\n", path
        )

    def to_csv(self, path: str | Path | None = None) -> str:
        """CSV text, one line per number with its protocol; also written to `path`."""
        records = [record for e in self.evaluations for record in e.records()]
        for record in records:
            versions = record["versions"]
            if isinstance(versions, Mapping):
                record["versions"] = " ".join(f"{k}={v}" for k, v in versions.items())
        columns = list(dict.fromkeys(key for record in records for key in record))
        lines = _Lines()
        writer = csv.DictWriter(lines, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        return _write("".join(lines.parts), path)

    def _arrow(self, key: str) -> str:
        lower = next(e.numbers[key].lower_is_better for e in self.evaluations if key in e.numbers)
        return "↓" if lower else "↑"


class _Lines:
    """The part of a file that the csv module needs."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, text: str) -> None:
        self.parts.append(text)


def _write(text: str, path: str | Path | None) -> str:
    if path is not None:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return text


def shortened(value: object) -> str:
    """A value as text; of a SHA-256 the first twelve digits."""
    text = str(value)
    hexadecimal = len(text) == 64 and set(text) <= set("0123456789abcdef")
    return text[:12] if hexadecimal else text
