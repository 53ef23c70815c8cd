"""The figures of a report: each with its name and its caption, in the order of the report."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from facegen_keras import figures
from facegen_keras.data.faces import Faces
from facegen_keras.errors import UserError
from facegen_keras.figures.curves import LOSSES, over_training, printed_name
from facegen_keras.figures.grids import of_one_size
from facegen_keras.figures.heat_map import heat_map
from facegen_keras.figures.theme import Figure
from facegen_keras.generate import w_space
from facegen_keras.generate.generator import Generator
from facegen_keras.generate.loading import load_encoder, load_generator
from facegen_keras.generate.reconstruction import reconstruct
from facegen_keras.generate.stylegan2 import StyleGAN2Generator
from facegen_keras.metrics.efficientnet_lite import EfficientNetLite0Features
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.precision_recall import nearest
from facegen_keras.metrics.result import Report
from facegen_keras.reports.sources import Run, by_family
from facegen_keras.reports.tables import differing, protocol_of

SEEDS = range(8)  # of the samples: the first, not chosen
FRAMES = 8
PSIS = (0.0, 0.5, 0.7, 1.0)
JUDGED = range(64)  # seeds of the samples that are compared with photos
CLOSEST = 2  # samples of each model, beside so many photos:
NEAREST = 3
FURTHEST = 8
VAL_PIXELS = "val_reconstruction_loss"


@dataclass(frozen=True)
class Drawing:
    """A figure of the report.

    Attributes:
        name: Of its files, without its number.
        caption: What it shows, of which models, data, images and seeds.
        draw: Makes it.
        width: Of the text's width, in the report.
    """

    name: str
    caption: str
    draw: Callable[[], Figure]
    width: float = 1.0


Photos = Callable[[int], Faces]  # at a resolution; the same object every time


def drawings(runs: Sequence[Run], report: Report, photos: Photos | None) -> Iterator[Drawing]:
    """All figures that these runs and evaluations allow.

    Args:
        runs: Of one or several families.
        report: Evaluations, possibly none.
        photos: Give the photos at a resolution, for the reconstructions and the nearest photos;
            None leaves both out.
    """
    drawn = {run.name: load_generator(run.model) for run in runs if run.model}
    models = _models([run for run in runs if run.model], drawn)
    if drawn:
        seeds = f"seeds {SEEDS[0]} to {SEEDS[-1]}, not chosen"
        yield Drawing("samples", f"Samples of the same {seeds}. {models}.", lambda: samples(drawn))
        caption = f"Walks from seed 0 to seed 1. {models}."
        yield Drawing("interpolation", caption, lambda: walks(drawn))
    with_encoder = {run.name: run for run in runs if run.family in ("vae", "combined")}
    chosen = [(drawn[name], run) for name, run in with_encoder.items() if name in drawn]
    if photos is not None and chosen:
        largest = max(generator.resolution for generator, _ in chosen)
        caption = (
            f"The first {len(SEEDS)} images of {photos(largest).source} and their "
            "reconstructions; the training may have seen some of them. "
            f"{_models([run for _, run in chosen], drawn)}."
        )
        yield Drawing("reconstructions", caption, partial(reconstructions, chosen, photos))
    if photos is not None and drawn:
        yield from _beside_photos([run for run in runs if run.name in drawn], drawn, photos)
    styles = {n: g for n, g in drawn.items() if isinstance(g, StyleGAN2Generator)}
    for name, generator in styles.items():
        model = _models([run for run in runs if run.name == name], drawn)
        caption = f"Truncation: seeds 0 to 3 at four values of ψ. {model}."
        yield Drawing(f"truncation_{_file_name(name)}", caption, partial(truncation, generator))
    for family, of_it in by_family(runs).items():
        key = next((k for k in LOSSES if all(_has(run, k) for run in of_it)), None)
        if key:
            caption = (
                f"The {printed_name(key)} of the {family} runs, over the images seen and over "
                f"the hours; losses of different families do not compare. {_trainings(of_it)}."
            )
            yield Drawing(f"losses_{family}", caption, partial(over_training, _logs(of_it), key))
    alike: dict[tuple, list[Run]] = {}
    for run in runs:
        if run.judged_by in ("fid", "fd"):
            alike.setdefault(run.measure, []).append(run)
    for number, measured in enumerate(alike.values(), 1):
        key, config = measured[0].judged_by or "", measured[0].config
        caption = (
            f"{printed_name(key)} ({config.extractor}, {config.fid_images:,} images) in training, "
            f"over the images seen and over the hours. {_trainings(measured)}."
        )
        name = "distance" if number == 1 else f"distance_{number}"
        yield Drawing(name, caption, partial(over_training, _logs(measured), key))
    yield from filter(None, map(grid_of, by_family(runs).values()))
    if report.evaluations:
        numbers = [n for e in report.evaluations for n in e.numbers.values()]
        caption = f"The numbers of the evaluation. {protocol_of(report)}"
        if any(number.error for number in numbers):
            caption += " Bars are 95 % intervals over the choice of images (of PPL: of walks)."
        yield Drawing("evaluation", caption, lambda: figures.model_comparison(report))


def _file_name(name: str) -> str:
    """A run's name as a part of a file's, which LaTeX has to read too."""
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name)


def _models(runs: Sequence[Run], drawn: dict[str, Generator]) -> str:
    """What the drawn models are, those of one kind together."""
    kinds: dict[str, list[str]] = {}
    for run in runs:
        # The best model of a run has not seen all of its images.
        seen = drawn[run.name].metadata.get("images_seen", run.images_seen)
        kind = (
            f"{run.family}, {seen:,} images of {run.config.data_path}, training seed "
            f"{run.config.seed}"
        )
        kinds.setdefault(kind, []).append(run.name)
    return "; ".join(f"{', '.join(names)}: {kind}" for kind, names in kinds.items())


def _trainings(runs: Sequence[Run]) -> str:
    """Data, images seen and seeds of trainings, in a few words."""
    data = ", ".join(sorted({str(run.config.data_path) for run in runs}))
    seen = sorted({run.images_seen for run in runs})
    seeds = sorted({run.config.seed for run in runs})
    between = f"{seen[0]:,}" if len(seen) == 1 else f"{seen[0]:,} to {seen[-1]:,}"
    named = ", ".join(map(str, seeds))
    return f"Trained on {between} images of {data}, seed{'s'[: len(seeds) - 1]} {named}"


def samples(generators: dict[str, Generator]) -> Figure:
    """Faces of the same seeds, one row per model."""
    rows = {name: generator.sample(SEEDS) for name, generator in generators.items()}
    return _rows(rows, list(SEEDS), "seed")


def walks(generators: dict[str, Generator]) -> Figure:
    """A walk between two seeds, one row per model."""
    rows = {name: g.interpolate([0, 1], FRAMES, loop=False) for name, g in generators.items()}
    return _rows(rows, ["seed 0", *[""] * (FRAMES - 2), "seed 1"])


def reconstructions(chosen: Sequence[tuple[Generator, Run]], photos: Photos) -> Figure:
    """Photos, and below them what each model makes of them at its resolution."""
    largest = max(generator.resolution for generator, _ in chosen)
    rows = {"image": photos(largest)[: len(SEEDS)]}
    for generator, run in chosen:
        assert run.model is not None
        some = photos(generator.resolution)[: len(SEEDS)]
        rows[run.name] = reconstruct(generator, load_encoder(run.model), some)
    return _rows(rows)


@dataclass(frozen=True)
class Beside:
    """Samples of a model, photos, and how far they are apart.

    Attributes:
        samples: uint8 `(n, side, side, 3)`, of the seeds `JUDGED`.
        photos: The photos that were looked through.
        indices: Nearest photos of each sample, `(n, 3)`, nearest first.
        distances: Their distances, `(n, 3)`.
    """

    samples: np.ndarray
    photos: Faces
    indices: np.ndarray
    distances: np.ndarray


def _beside_photos(
    runs: Sequence[Run], drawn: dict[str, Generator], photos: Photos
) -> Iterator[Drawing]:
    """The best run of each family, or the first, beside the photos: what is nearest and furthest.

    Left out, with a word, where the network that judges is not installed.
    """
    families = by_family(runs).values()
    which = "best" if all(map(_are_judged, families)) else "first"
    chosen = [_best(family) if which == "best" else family[0] for family in families]
    best = {run.name: drawn[run.name] for run in chosen}
    some = photos(next(iter(best.values())).resolution)
    if len(some) < NEAREST:
        return
    try:
        extractor = EfficientNetLite0Features()
    except UserError as error:
        print(f"without the nearest photos and the failures: {error}", file=sys.stderr)
        return
    found = cache(lambda: _compared(best, photos, extractor))
    seeds = f"seeds {JUDGED[0]} to {JUDGED[-1]}"
    what = f"Of {len(JUDGED)} samples ({seeds}) of the {which} run of each family"
    how = f"{len(some):,} images of {some.source}, by EfficientNet-Lite0 features of whole images"
    who = _models([run for run in runs if run.name in best], drawn)
    caption = (
        f"{what}, the {CLOSEST} nearest to {how}, beside their {NEAREST} nearest. A copy would "
        f"stand beside its original. {who}."
    )
    yield Drawing("nearest", caption, lambda: closest(found()))
    caption = f"{what}, the {FURTHEST} furthest from all of {how}: broken, or rare. {who}."
    yield Drawing("failures", caption, lambda: furthest(found()))


def _best(runs: Sequence[Run]) -> Run:
    """The run with the smallest number of the kind that all have; else the first."""
    if not _are_judged(runs):
        return runs[0]
    return min(runs, key=lambda run: run.best if run.best is not None else np.inf)


def _are_judged(runs: Sequence[Run]) -> bool:
    """Whether the runs can be compared: one alone, or all by one number measured in one way."""
    return len(runs) == 1 or (
        runs[0].judged_by is not None and len({run.measure for run in runs}) == 1
    )


def _compared(
    generators: dict[str, Generator], photos: Photos, extractor: FeatureExtractor
) -> dict[str, Beside]:
    of_photos = cache(lambda resolution: extractor(photos(resolution)))
    found = {}
    for name, generator in generators.items():
        samples, side = generator.sample(JUDGED), generator.resolution
        indices, distances = nearest(extractor(samples), of_photos(side), NEAREST)
        found[name] = Beside(samples, photos(side), indices, distances)
    return found


def closest(found: dict[str, Beside]) -> Figure:
    """The samples that come closest to a photo, each beside the nearest photos."""
    rows = {}
    for name, beside in found.items():
        for seed in np.argsort(beside.distances[:, 0])[:CLOSEST]:
            near = [beside.photos[int(index)] for index in beside.indices[seed]]
            apart = beside.distances[seed, 0]
            rows[f"{name}, seed {seed}\n{apart:.2f} away"] = [beside.samples[seed], *near]
    columns = ["sample", "nearest", "second", "third"]
    return _rows({name: np.stack(images) for name, images in rows.items()}, columns)


def furthest(found: dict[str, Beside]) -> Figure:
    """The samples that are furthest from all photos, a row for each model."""
    order = {name: np.argsort(-beside.distances[:, 0])[:FURTHEST] for name, beside in found.items()}
    return _rows({name: found[name].samples[order[name]] for name in found})


def truncation(generator: StyleGAN2Generator) -> Figure:
    """Four faces at four values of ψ."""
    table = w_space.truncation_sweep(generator, range(4), PSIS)
    return figures.truncation_table(table, PSIS, range(4))


def _rows(
    rows: dict[str, np.ndarray], columns: list | None = None, title: str | None = None
) -> Figure:
    return figures.face_table(of_one_size(rows), list(rows), columns, column_title=title)


def _logs(runs: Sequence[Run]) -> dict[str, tuple[list[dict], list[float]]]:
    return {run.name: (run.log, run.hours) for run in runs}


def _has(run: Run, key: str) -> bool:
    return any(line.get(key) is not None for line in run.log)


def _key_of_map(runs: Sequence[Run]) -> str | None:
    """The number that a heat map shows: the one that all runs are judged by; where weights such as
    β make that one another loss, the error of the pixels in it; else none.
    """
    if _are_judged(runs):
        return runs[0].judged_by
    same_photos = len({run.measured_on for run in runs}) == 1
    of_pixels = all(_has(run, VAL_PIXELS) for run in runs)
    return VAL_PIXELS if runs[0].judged_by == "val_loss" and same_photos and of_pixels else None


def grid_of(runs: Sequence[Run]) -> Drawing | None:
    """The heat map of two options that these runs vary, at least two values of each; or None."""
    varied = [
        name
        for name in differing(runs)
        if all(isinstance(getattr(run.config, name), int | float) for run in runs)
    ]
    key = _key_of_map(runs)
    if len(varied) < 2 or key is None:
        return None
    # The one with more values across: a page is wider than a figure is high.
    across, down = sorted(varied[:2], key=lambda n: -len({getattr(r.config, n) for r in runs}))
    columns = sorted({getattr(run.config, across) for run in runs})
    rows = sorted({getattr(run.config, down) for run in runs})
    if len(columns) < 2 or len(rows) < 2:
        return None
    label = printed_name(key)
    names = across.replace("_", " "), down.replace("_", " ")
    caption = (
        f"Smallest {label} of the {runs[0].family} runs by {names[0]} and {names[1]}. "
        f"{_trainings(runs)}."
    )
    if key != runs[0].judged_by:
        caption += " The whole loss has weights in it that differ, and does not compare."
    if len(runs) > len({tuple(getattr(run.config, n) for n in varied[:2]) for run in runs}):
        caption += " Of several runs of one cell the best is shown."
    values = np.full((len(rows), len(columns)), np.nan)
    for run in runs:  # of two runs of one place, such as two seeds, the better
        place = rows.index(getattr(run.config, down)), columns.index(getattr(run.config, across))
        if (smallest := run.smallest(key)) is not None:
            values[place] = np.nanmin([values[place], smallest])
    title = f"smallest {label}"
    draw = partial(heat_map, values, columns, rows, *names, title)
    return Drawing(f"heat_map_{runs[0].family}", caption, draw, width=0.5)
