"""`evaluate`: FID, KID and other measures of models, or of folders of images, against photos."""

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from facegen_keras import figures
from facegen_keras.cli.evaluate_config import EvaluateConfig
from facegen_keras.cli.model_path import find_model_file
from facegen_keras.data import Faces, load_faces
from facegen_keras.data.image_files import comparison_warnings, format_and_side
from facegen_keras.errors import UserError
from facegen_keras.export.from_hub import is_hub_name
from facegen_keras.export.model_file import read_model_file
from facegen_keras.export.parts import companion_path
from facegen_keras.export.prior import ARRAYS
from facegen_keras.export.write import update_metadata
from facegen_keras.files.hashes import sha256_of, sha256_of_tensors
from facegen_keras.files.places import check_writable
from facegen_keras.generate.generator import Generator, SamplingOptions
from facegen_keras.generate.loading import load_generator
from facegen_keras.metric_names import COMPARED
from facegen_keras.metrics import (
    Evaluation,
    FeatureExtractor,
    InceptionFeatures,
    Reference,
    Statistics,
    evaluate,
    extractor_named,
    memorisation,
)
from facegen_keras.metrics.record import Record, request
from facegen_keras.metrics.reference import Selection

GENERATED = 10_000  # below it FID is biased upward by more than models differ
MEMORISED_SAMPLES = 1000  # samples at most in the memorisation check; the closest are drawn


def run(config: EvaluateConfig) -> int:
    """Measure, print a table, and write JSON, CSV and a figure."""
    check_writable("output_dir", config.output_dir)  # before hours of measuring
    if config.save_stats:
        check_writable("save_stats", str(Path(config.save_stats).parent))
        if Path(config.save_stats).is_dir():
            raise UserError(f"save_stats {config.save_stats}: a folder; name an .npz in it")
    files = [(name, find_model_file(name)) for name in config.model_path or []]
    generators = [
        (name if is_hub_name(name) else str(file), load_generator(file, prior=config.prior))
        for name, file in files
    ]
    statistics = Statistics.load(config.stats) if config.stats else None
    extractor = make_extractor(config)
    # Refused before anything is decoded.
    stats = None if statistics is None else Reference(extractor, statistics)
    references: dict[tuple, Reference] = {}
    splits: dict[int, tuple[Reference, Reference]] = {}  # photos for the memorisation check
    folder = Path(config.output_dir)
    count = config.num_images or GENERATED
    subjects = []
    for path, generator in generators:
        reference = stats or _photos(config, extractor, generator.resolution, count, references)
        subjects.append(_Subject(path, generator, count, generator.resolution, reference))
    for path in config.images or []:
        found = format_and_side(path)
        resolution = config.resolution or _side(found, path)
        faces = _load(config, path, resolution)
        if config.save_stats and not (config.data_path or config.stats):
            measured = Reference(extractor, faces, None, config.cache_dir, True)
            _save_stats(config.save_stats, measured)
            continue
        count = min(len(faces), config.num_images or len(faces))
        if count < 2:
            raise UserError(f"images {path}: {count} usable image; expected 2 or more")
        reference = stats or _photos(config, extractor, resolution, count, references)
        photos = format_and_side(config.data_path) if config.data_path else None
        notes = comparison_warnings(found, photos, resolution)
        subjects.append(_Subject(path, faces, count, resolution, reference, notes))
    if subjects:
        _evaluate(config, extractor, subjects, splits, folder)
    if config.save_stats and config.data_path:
        if not references:
            side = _side(format_and_side(config.data_path), config.data_path)
            _photos(config, extractor, side, None, references)
        _save_stats(config.save_stats, next(iter(references.values())))
    return 0


@dataclass
class _Subject:
    """What is measured, and against what.

    Attributes:
        name: The path of a model or of images.
        samples: The generator or the images.
        count: Number of samples.
        side: Of the images, in pixels.
        reference: The photos, or None.
        notes: Reasons to mistrust the comparison.
    """

    name: str
    samples: Generator | Faces
    count: int
    side: int
    reference: Reference | None
    notes: Sequence[str] = ()

    def request(self, config: EvaluateConfig, extractor: FeatureExtractor) -> str:
        """A digest of all that decides the numbers."""
        if isinstance(self.samples, Faces):
            content = self.samples.fingerprint
        else:
            content = _content_of(self.samples)
        photos = self.reference and (self.reference.fingerprint, self.reference.n)
        return request(
            name=self.name,
            content=content,
            count=self.count,
            metrics=config.wanted(),
            repeats=config.repeats,
            seed=config.seed,
            options=dict(config.options()),
            extractor=extractor.fingerprint,
            photos=photos,
        )


def _content_of(generator: Generator) -> str:
    """A digest of what a generator, and the encoder beside it, compute with."""
    weights = [keras.ops.convert_to_numpy(w.value) for w in generator.model.weights]
    state = {str(k): value for k, value in enumerate(weights)}
    if generator.prior is not None:
        state |= {name: getattr(generator.prior, name) for name in ARRAYS}
    beside = generator.path and companion_path(generator.path, generator.family, "encoder")
    encoder = sha256_of(beside) if beside and beside.is_file() else ""
    return sha256_of_tensors(state) + encoder


def _evaluate(
    config: EvaluateConfig,
    extractor: FeatureExtractor,
    subjects: Sequence[_Subject],
    splits: dict[int, tuple[Reference, Reference]],
    folder: Path,
) -> None:
    """Measure one after the other, and write each as soon as it is known."""
    requests = [subject.request(config, extractor) for subject in subjects]
    record = Record(folder, requests)
    pictures: list[Path] = []
    for subject, key in zip(subjects, requests, strict=True):
        if key in record:
            print(f"{subject.name}: measured before, taken from {record.path}")
        else:
            record.add(key, _measure(config, extractor, subject))
        evaluation = record[key]
        for text in evaluation.warnings:
            print(f"warning: {subject.name}: {text}", file=sys.stderr)
        if config.stamp and isinstance(subject.samples, Generator):
            now = evaluation.records()
            earlier = read_model_file(subject.name).metadata.get("metrics") or []
            kept = [e for e in earlier if e.get("metric") not in {n["metric"] for n in now}]
            update_metadata(subject.name, metrics=[*kept, *now])
        if config.memorisation and config.data_path:
            picture = _picture(folder, subject.name, pictures)
            if subject.side not in splits:
                splits[subject.side] = _split(config, extractor, config.data_path, subject.side)
            photos = splits[subject.side]
            of = request(photos=[part.fingerprint for part in photos])
            before, finding = record.findings.get(key, ("", ""))
            if before != of or not picture.exists():
                finding = _check_memorisation(config, extractor, subject, photos, picture)
                record.add(key, evaluation, (of, finding))
            print(f"{subject.name}: {finding}; the nearest photos: {picture}")
    report = record.report
    print(report.table())
    figures.save_png(figures.model_comparison(report), folder / "evaluation.png")
    print(f"written: {record.path}, evaluation.csv, evaluation.png")


def _picture(folder: Path, name: str, taken: list[Path]) -> Path:
    """A name of its own for the picture of the nearest photos."""
    stem, count = Path(name).stem, 1
    path = folder / f"{stem}_memorisation.png"
    while path in taken:
        count += 1
        path = folder / f"{stem}-{count}_memorisation.png"
    taken.append(path)
    return path


def make_extractor(config: EvaluateConfig) -> FeatureExtractor:
    """The extractor that the configuration names.

    Raises:
        UserError: Its weights cannot be had.
    """
    if config.extractor != "inception":
        if config.inception_weights:
            raise UserError(f"inception_weights: {config.extractor} has its own; leave it out")
        return extractor_named(config.extractor, config.batch_size)
    try:
        return InceptionFeatures(config.inception_weights, config.resize, config.batch_size)
    except UserError as error:
        if config.inception_weights:
            raise
        advice = "flags: --inception_weights FILE, or --extractor efficientnet-lite0"
        raise UserError(f"{error} ({advice})") from error


def _photos(
    config: EvaluateConfig,
    extractor: FeatureExtractor,
    resolution: int,
    count: int | None,
    known: dict[tuple, Reference],
) -> Reference | None:
    """The photos at one resolution, measured once for all that is compared with them."""
    needed = COMPARED & set(config.wanted()) or config.save_stats
    if not needed or not config.data_path:
        return None
    resolution = config.resolution or resolution
    wanted = count if config.num_reference is None else (config.num_reference or None)
    key = (resolution, wanted)
    if key not in known:
        faces = _load(config, config.data_path, resolution)
        known[key] = Reference(extractor, faces, wanted, config.cache_dir, True)
    return known[key]


def _load(config: EvaluateConfig, path: str, resolution: int) -> Faces:
    return load_faces(
        path,
        resolution=resolution,
        crop=config.crop,
        cache_dir=config.cache_dir,
        without=[config.output_dir],
    )


def _measure(config: EvaluateConfig, extractor: FeatureExtractor, subject: _Subject) -> Evaluation:
    drawn = isinstance(subject.samples, Generator)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        evaluation = evaluate(
            subject.samples,
            subject.reference,
            config.wanted(),
            subject.count,
            extractor=extractor,
            seed=config.seed,
            name=subject.name,
            options=SamplingOptions(**(config.options() if drawn else {})),
            repeats=config.repeats,
        )
    others = [str(w.message) for w in caught if str(w.message) not in evaluation.warnings]
    for text in others:
        print(f"warning: {subject.name}: {text}", file=sys.stderr)
    return replace(evaluation, warnings=(*subject.notes, *evaluation.warnings))


def _split(
    config: EvaluateConfig, extractor: FeatureExtractor, path: str, resolution: int
) -> tuple[Reference, Reference]:
    """Training and held-out photos at a resolution, measured once for all of its models."""
    faces = _load(config, path, resolution)
    training, held_out = (
        Reference(extractor, part, None, config.cache_dir, True)
        for part in faces.split(config.held_out)
    )
    return training, held_out


def _check_memorisation(
    config: EvaluateConfig,
    extractor: FeatureExtractor,
    subject: _Subject,
    photos: tuple[Reference, Reference],
    picture: Path,
) -> str:
    """Look for training photos among samples, draw the closest, and return what was found."""
    count = min(config.num_images or MEMORISED_SAMPLES, MEMORISED_SAMPLES)
    samples: Selection | np.ndarray
    if isinstance(subject.samples, Generator):
        seeds = range(config.seed, config.seed + count)
        samples = subject.samples.sample(seeds, **config.options())
    else:
        samples = Selection(subject.samples, count)
    found = memorisation(extractor, samples, *photos, progress=True)
    figures.save_png(figures.memorisation_overview(found), picture)
    return (
        f"{100 * found.close:.1f} % of {len(samples)} samples are closer to a photo than 99 % of "
        f"the held-out photos are ({100 * found.by_chance:.1f} % by chance)"
    )


def _save_stats(path: str, reference: Reference) -> None:
    reference.statistics().save(path)
    print(f"statistics of {reference.n} images: {path}")


def _side(found: tuple[str, int] | None, path: str) -> int:
    """The resolution for files of a format and side: the largest power of two within them."""
    if found is None:
        raise UserError(f"{path}: its image size is not known beforehand; give --resolution")
    return 1 << max(3, min(10, found[1].bit_length() - 1))
