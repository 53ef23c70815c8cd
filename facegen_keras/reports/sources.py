"""What a report is made of: runs, the runs of a sweep, and evaluations that were written."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facegen_keras.errors import UserError
from facegen_keras.export.parts import MAIN_PARTS
from facegen_keras.figures import read_log
from facegen_keras.metrics.record import NAME
from facegen_keras.metrics.result import Evaluation, Report
from facegen_keras.runs.config import TrainConfig, load_config

EVALUATION = f"{NAME}.json"
EXPECTED = "expected the folder of a run or of a sweep, or an evaluation.json"
OF_A_MODEL = ("versions", "prior", "resolution")  # parts of a protocol that may differ in a table
LEAST = ("val_loss", "fid", "fd")  # what a run is judged by, the last that it has


@dataclass(frozen=True)
class Run:
    """One training, read from its folder.

    Attributes:
        folder: Its folder.
        config: The configuration that it wrote.
        log: Its epochs, as `log.jsonl` has them.
        sessions: The starts in `environment.json`.
        model: The exported network that draws faces: the best one where there is one.
        name: What the report calls it: the name of its folder, with that of the folder around it
            where two are the same.
    """

    folder: Path
    config: TrainConfig
    log: list[dict]
    sessions: list[dict]
    model: Path | None
    name: str = ""

    @property
    def family(self) -> str:
        """The model family."""
        return str(self.config.model)

    @property
    def images_seen(self) -> int:
        """Images seen in training, by the last line of the log."""
        return int(self.log[-1]["images_seen"])

    @property
    def hours(self) -> list[float]:
        """Hours of training at the end of each epoch, by the speed that the log has."""
        total, seen, hours = 0.0, 0, []
        for line in self.log:
            total += (line["images_seen"] - seen) / max(line["images_per_second"], 1e-9) / 3600
            seen = line["images_seen"]
            hours.append(total)
        return hours

    @property
    def judged_by(self) -> str | None:
        """The number that the run is judged by: a Fréchet distance before a validation loss."""
        there = [name for name in LEAST if any(line.get(name) is not None for line in self.log)]
        return there[-1] if there else None

    @property
    def measure(self) -> tuple[object, ...]:
        """How that number is measured: only numbers of runs that agree in it compare."""
        if self.judged_by == "val_loss":  # β and the other weights are in it
            return *self.measured_on, self.config.beta, self.config.perceptual_weight
        return *self.measured_on, self.config.extractor, self.config.fid_images

    @property
    def measured_on(self) -> tuple[object, ...]:
        """The number's name, the photos that it is measured on, and the kind of error of pixels."""
        config = self.config
        photos = Path(config.data_path).name, config.limit, config.validation_split
        kind = config.reconstruction if self.judged_by == "val_loss" else None
        return self.judged_by, config.resolution, config.crop, *photos, kind

    @property
    def best(self) -> float | None:
        """The smallest value of that number in the log."""
        return self.smallest(self.judged_by) if self.judged_by else None

    def smallest(self, name: str) -> float | None:
        """The smallest value of a number in the log; None where it is not there."""
        return min((v for x in self.log if (v := x.get(name)) is not None), default=None)


def by_family(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs of each model family, families in the order of their first run."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.family, []).append(run)
    return found


def collect(sources: Sequence[str]) -> tuple[list[Run], Report]:
    """The runs and evaluations of some folders and files, each once, in the order given.

    Raises:
        UserError: One is none of them, a run has no log, or evaluations of one report were not
            measured in the same way.
    """
    runs: dict[Path, Run] = {}
    evaluations: list[Evaluation] = []
    for source in map(Path, sources):
        folders = _run_folders(source)
        found = _evaluation_files(source)
        if not folders and not found:
            gone = "" if source.exists() else "no such file or folder; "
            raise UserError(f"{source}: {gone}{EXPECTED}")
        for folder in folders:
            runs.setdefault(folder.resolve(), read_run(folder))
        for path in found:
            for evaluation in read_evaluations(path):
                _add(evaluations, evaluation)
    report = Report(evaluations)
    check_one_protocol(report)
    return _named(list(runs.values())), report


def _named(runs: Sequence[Run]) -> list[Run]:
    """The runs, those of one name with more of their paths."""
    longer = [f"{run.folder.resolve().parent.name}_{run.name}" for run in runs]
    counts = Counter(run.name for run in runs)
    names = [n if counts[r.name] > 1 else r.name for r, n in zip(runs, longer, strict=True)]
    if len(set(names)) < len(names):
        names = [f"{number}_{name}" for number, name in enumerate(names, 1)]
    return [replace(run, name=name) for run, name in zip(runs, names, strict=True)]


def _add(evaluations: list[Evaluation], new: Evaluation) -> None:
    """Add the numbers of one, to those of the same name that were measured in the same way."""
    for place, old in enumerate(evaluations):
        shared = old.numbers.keys() & new.numbers.keys()
        if old.name == new.name and not any(
            _unlike(old.numbers[key].protocol, new.numbers[key].protocol) for key in shared
        ):
            warnings = dict.fromkeys((*old.warnings, *new.warnings))
            merged = replace(new, numbers=old.numbers | new.numbers, warnings=tuple(warnings))
            evaluations[place] = merged
            return
    evaluations.append(new)


def _run_folders(source: Path) -> list[Path]:
    if (source / "config.yaml").exists():
        return [source]
    return sorted(path.parent for path in source.glob("*/config.yaml")) if source.is_dir() else []


def _evaluation_files(source: Path) -> list[Path]:
    if source.is_file() and source.suffix == ".json":
        return [source]
    path = source / EVALUATION
    return [path] if path.exists() else []


def read_run(folder: Path) -> Run:
    """Read one run.

    Raises:
        UserError: It has no log yet, or its files are damaged.
    """
    config = load_config(folder / "config.yaml")
    log = read_log(folder) if (folder / "log.jsonl").exists() else []
    if not log:
        raise UserError(f"{folder}: no epoch of this run is complete; leave it out, or train on")
    environment = folder / "environment.json"
    try:
        sessions = json.loads(environment.read_text("utf-8")) if environment.exists() else []
    except ValueError as error:
        raise UserError(f"{environment}: damaged ({error}); delete it, it is a record") from None
    names = [f"{best}{config.model}_{part}.h5" for best in ("best_", "") for part in MAIN_PARTS]
    models = [folder / name for name in names if (folder / name).exists()]
    return Run(folder, config, log, sessions, models[0] if models else None, folder.name)


def read_evaluations(path: Path) -> list[Evaluation]:
    """Read what `evaluate` wrote.

    Raises:
        UserError: The file is something else.
    """
    try:
        return [Evaluation.from_entry(entry) for entry in json.loads(path.read_text("utf-8"))]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: not what evaluate writes ({error}); {EXPECTED}") from None


def check_one_protocol(report: Report) -> None:
    """Refuse numbers that one table must not hold side by side.

    Raises:
        UserError: Two of them differ in how they were measured.
    """
    for key in report.keys:
        first: tuple[str, dict] | None = None
        for evaluation in report.evaluations:
            number = evaluation.numbers.get(key)
            if number is None:
                continue
            if first is None:
                first = evaluation.name, number.protocol
            elif different := _unlike(first[1], number.protocol):
                what = different[0]
                raise UserError(
                    f"{number.label}: {first[0]} has {what} {first[1].get(what)}, "
                    f"{evaluation.name} has {number.protocol.get(what)}; numbers of one table are "
                    "measured in one way: measure both with the same, or make a report of each"
                )


def _unlike(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    """What differs between two protocols, apart from what belongs to a model."""
    names = dict.fromkeys((*one, *other))
    return [k for k in names if k not in OF_A_MODEL and one.get(k) != other.get(k)]
