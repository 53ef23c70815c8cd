"""What one call of `evaluate` has measured so far, on disk after every model."""

import datetime
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from facegen_keras.files.atomic import write_text
from facegen_keras.files.json_values import as_json
from facegen_keras.metrics.result import Evaluation, Report
from facegen_keras.version import __version__

NAME = "evaluation"
SUFFIXES = (".json", ".csv", ".png")


def request(**what: object) -> str:
    """A digest of all that decides a result: the same request has the same numbers."""
    text = json.dumps({"version": __version__, **what}, sort_keys=True, default=as_json)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Record:
    """`evaluation.json` and `evaluation.csv` in a folder.

    What is there is taken over if it belongs to the same requests: a repeated call goes on where
    the one before was cut off. Anything else that is there gets another name with the first number.

    Args:
        folder: Where to; made when something is written.
        requests: Of everything to measure, in the order of the result; from `request`.

    Attributes:
        findings: Of which photos, and what the memorisation check said of them, by request.
    """

    def __init__(self, folder: Path, requests: Sequence[str]) -> None:
        self.folder, self.requests = folder, requests
        self.path = folder / f"{NAME}.json"
        self.findings: dict[str, tuple[str, str]] = {}
        self._done: dict[str, Evaluation] = {}
        self._is_of_others = not self._take_over()
        if self._is_of_others:
            self._done, self.findings = {}, {}

    def __contains__(self, request: str) -> bool:
        return request in self._done

    def __getitem__(self, request: str) -> Evaluation:
        return self._done[request]

    @property
    def report(self) -> Report:
        """What has been measured, in the order of the requests."""
        return Report([self._done[key] for key in self.requests if key in self._done])

    def add(
        self, request: str, evaluation: Evaluation, finding: tuple[str, str] | None = None
    ) -> None:
        """Keep a result, and what the memorisation check said, and write both files.

        Raises:
            UserError: They cannot be written.
        """
        if self._is_of_others:
            self._set_aside()
            self._is_of_others = False
        self._done[request] = evaluation
        if finding is not None:
            self.findings[request] = finding
        entries = json.loads(self.report.to_json())
        keys = [key for key in self.requests if key in self._done]
        for key, entry in zip(keys, entries, strict=True):
            entry["request"] = key
            if key in self.findings:
                entry["memorisation_photos"], entry["memorisation"] = self.findings[key]
        write_text(self.path, json.dumps(entries, indent=2, ensure_ascii=False) + "\n")
        self.report.to_csv(self.path.with_suffix(".csv"))

    def _take_over(self) -> bool:
        """Read what is there; False where it belongs to another call, or is not readable."""
        try:
            for entry in json.loads(self.path.read_text(encoding="utf-8")):
                if entry["request"] not in self.requests:
                    return False
                self._done[entry["request"]] = Evaluation.from_entry(entry)
                if "memorisation" in entry:
                    of = entry.get("memorisation_photos", "")  # an earlier version's is made anew
                    self.findings[entry["request"]] = of, entry["memorisation"]
        except FileNotFoundError:
            return True
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return False
        return True

    def _set_aside(self) -> None:
        """Give the files of another evaluation the time of its last number as a second name."""
        when = datetime.datetime.fromtimestamp(self.path.stat().st_mtime, datetime.UTC)
        stem, count = f"{NAME}.{when:%Y%m%dT%H%M%SZ}", 1
        while (self.folder / f"{stem}.json").exists():
            count += 1
            stem = f"{NAME}.{when:%Y%m%dT%H%M%SZ}-{count}"
        for suffix in SUFFIXES:
            path = self.folder / f"{NAME}{suffix}"
            if path.exists():
                path.rename(self.folder / f"{stem}{suffix}")
        print(f"the evaluation that was there is kept: {self.folder / stem}.json")
