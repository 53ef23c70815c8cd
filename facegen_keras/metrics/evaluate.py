"""Measure generated faces against photos: from images to numbers with their protocol."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.generate.generator import Generator, SamplingOptions
from facegen_keras.metric_names import COMPARED, PER_PHOTO, check_metrics
from facegen_keras.metrics.confidence import FEWEST, with_errors
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.feature_statistics import Moments, Statistics, check_same_features
from facegen_keras.metrics.frechet import frechet_distance
from facegen_keras.metrics.inception import InceptionFeatures
from facegen_keras.metrics.inception_score import inception_score
from facegen_keras.metrics.kernel import kernel_distance
from facegen_keras.metrics.path_length import EPSILON, perceptual_path_length, spaces_of
from facegen_keras.metrics.precision_recall import precision_recall
from facegen_keras.metrics.protocol import (
    collapse_warnings,
    protocol_of,
    protocol_warnings,
    training_warnings,
)
from facegen_keras.metrics.reconstructions import (
    encoder_beside,
    photos_to_reconstruct,
    reconstructions,
)
from facegen_keras.metrics.reference import CacheDir, Reference
from facegen_keras.metrics.result import Evaluation, Number
from facegen_keras.metrics.sources import ImageSet, LatentModel
from facegen_keras.metrics.subject import Samples, Subject

PPL_SAMPLES = 1000  # walks at most: each costs two images, and the error is printed

Photos = ImageSet | Statistics | Reference
NO_PHOTOS = "fid, kid and pr compare with photos; give some as faces"


def evaluate(
    samples: Samples,
    faces: Photos | None = None,
    metrics: Sequence[str] = ("fid", "kid", "pr"),
    num_images: int = 10_000,
    *,
    extractor: FeatureExtractor | None = None,
    num_reference: int | None = None,
    seed: int = 0,
    repeats: int = 0,
    name: str | None = None,
    options: SamplingOptions | None = None,
    cache_dir: CacheDir = None,
    progress: bool = True,
) -> Evaluation:
    """Measure a generator, or a set of images, against photos.

    Where the encoder of a VAE or a combined model stands beside the generator's file, `fid` also
    measures reconstructions of the photos, under the key `fid_reconstructions` (or
    `fd_reconstructions`): as many as samples, or all.

    Args:
        samples: A `Generator`, the path of one, `Faces`, uint8 `(n, height, width, 3)`, or a
            `Reference` of such images under the same extractor. A `Reference` is measured whole,
            and only once.
        faces: The photos: `Faces`, uint8 images, `Statistics`, or a prepared `Reference`. Only
            `is` and `ppl` do without.
        metrics: Of `fid`, `kid`, `pr` (precision, recall, density, coverage), `is`, `ppl`.
        num_images: Images to generate, from the seeds that start at `seed`; of a set, the most
            images to take.
        extractor: By default the canonical Inception with the `clean` resize. With any other
            weights the distances are named FD and KD, never FID and KID.
        num_reference: Photos taken from `faces`. By default as many as samples, since the numbers
            depend on both; 0 takes all.
        seed: First seed of the samples; seed of KID's subsets.
        repeats: Halves of both sets from which `fid` and `pr` get their standard errors (see
            `half_sample_error`); 0 leaves these errors out. KID always has its own.
        name: What the result is called; by default the model's path or family.
        options: Passed to `generator.sample`, such as `truncation_psi`; part of the protocol.
            `ppl` walks without them.
        cache_dir: Where the features of the photos are kept; False keeps nothing.
        progress: Show progress bars.

    Returns:
        Numbers, each with its protocol, and the warnings that were given.

    Raises:
        UserError: Unknown metric, fewer than two images, sides that do not compare, or an extractor
            that took part in the training of the model.
    """
    metrics = check_metrics(metrics)
    subject = Subject.of(samples, num_images, name)
    model = subject.generator
    if "ppl" in metrics and not isinstance(model, LatentModel):
        raise UserError("ppl walks through a latent space: it needs a model, not images")
    extractor = extractor or _extractor_of(faces) or InceptionFeatures()
    early = training_warnings(model, extractor)
    if subject.prepared and subject.prepared.extractor.protocol != extractor.protocol:
        raise UserError("samples measured with another extractor than the photos: use one for both")
    repeats = repeats if {"fid", "pr"} & set(metrics) else 0
    if repeats and (repeats < 2 or subject.count < FEWEST):
        raise UserError(
            f"repeats {repeats} with {subject.count} images: standard errors need at least 2 "
            f"repeats and {FEWEST} images; 0 repeats for none"
        )
    per_photo = bool(PER_PHOTO & set(metrics) or repeats)
    reference = None
    if COMPARED & set(metrics):
        wanted = subject.count if num_reference is None else (num_reference or None)
        reference = _reference(faces, extractor, wanted, per_photo, cache_dir, progress)
    if "fid" in metrics and reference and photos_to_reconstruct(model, reference, subject.count):
        encoder_beside(model)  # one of another model is refused now, not after the samples
    protocol = protocol_of(extractor, reference, subject, seed, options)

    numbers: dict[str, Number] = {}
    late: list[str] = []
    if reference is not None:
        early += protocol_warnings(reference, subject, "fid" in metrics, extractor)
    for text in early:  # before the features, which take time
        warnings.warn(text, UserWarning, stacklevel=2)
    if metrics != ["ppl"]:
        batches = subject.features(extractor, seed, options, progress)
        stats, features = _summary(
            batches, {**extractor.protocol, "resolution": subject.resolution},
            keep=per_photo or "is" in metrics,
        )  # fmt: skip
        if reference is not None:
            if per_photo:
                reference.features()  # first: the statistics then need no second pass
            late = collapse_warnings(stats, reference.statistics())
        for text in late:
            warnings.warn(text, UserWarning, stacklevel=2)
        sides = _Sides(extractor, stats, features, reference, seed, protocol)
        for metric in metrics:
            numbers |= _MEASURES[metric](sides) if metric in _MEASURES else {}
            if metric == "fid" and isinstance(model, Generator):
                numbers |= _fid_of_reconstructions(sides, model, subject.count, progress)
        if repeats:
            numbers = with_errors(numbers, sides.photos.features(), features, repeats, seed)
    if "ppl" in metrics and isinstance(model, LatentModel):
        numbers |= _path_length(model, extractor, min(num_images, PPL_SAMPLES), seed, protocol)
    return Evaluation(subject.name, numbers, protocol, (*early, *late))


@dataclass(frozen=True)
class _Sides:
    """What the metrics of features are computed from.

    Attributes:
        extractor: Of both sides.
        statistics: Of the samples.
        features: Of the samples, `(n, dim)`; `(0, dim)` where no metric needs each of them.
        reference: The photos, if any.
        seed: Of KID's subsets.
        protocol: Of every number.
    """

    extractor: FeatureExtractor
    statistics: Statistics
    features: np.ndarray
    reference: Reference | None
    seed: int
    protocol: dict[str, object]

    @property
    def photos(self) -> Reference:
        """The photos, for the metrics that compare with them."""
        if self.reference is None:
            raise UserError(NO_PHOTOS)
        return self.reference

    def distance(
        self, canonical: str, other: str, value: float, error: float | None = None
    ) -> dict[str, Number]:
        """The number under the name that these features allow: FID, or FD with the extractor."""
        if self.extractor.canonical:
            return {canonical: Number(canonical.upper(), value, error, protocol=self.protocol)}
        label = f"{other.upper()} ({self.extractor.label})"
        return {other: Number(label, value, error, protocol=self.protocol)}


def _fid(sides: _Sides) -> dict[str, Number]:
    with warnings.catch_warnings():  # `protocol_warnings` already says so
        warnings.filterwarnings("ignore", message=".*rank-deficient.*", category=UserWarning)
        distance = frechet_distance(sides.statistics, sides.photos.statistics())
    return sides.distance("fid", "fd", distance)


def _fid_of_reconstructions(
    sides: _Sides, model: Generator, most: int, progress: bool
) -> dict[str, Number]:
    """The distance of reconstructed photos; nothing where they cannot be had.

    Args:
        sides: Photos, extractor and protocol.
        model: A generator, perhaps with an encoder beside its file.
        most: Photos to reconstruct.
        progress: Show a progress bar.
    """
    photos = photos_to_reconstruct(model, sides.photos, most)
    encoder = encoder_beside(model) if photos is not None else None
    if encoder is None or photos is None:
        return {}
    batches = sides.extractor.stream(reconstructions(model, encoder, photos), progress)
    kept = {**sides.extractor.protocol, "resolution": model.resolution}
    stats, _ = _summary(batches, kept, keep=False)
    protocol = {**sides.protocol, "num_images": len(photos)}
    ((key, number),) = _fid(replace(sides, statistics=stats, protocol=protocol)).items()
    label = number.label.replace(key.upper(), f"{key.upper()} of reconstructions", 1)
    return {f"{key}_reconstructions": replace(number, label=label)}


def _kid(sides: _Sides) -> dict[str, Number]:
    distance = kernel_distance(sides.photos.features(), sides.features, seed=sides.seed)
    return sides.distance("kid", "kd", float(distance), distance.error)


def _precision_recall(sides: _Sides) -> dict[str, Number]:
    photos = sides.photos.features()
    most = min(len(sides.features), len(photos)) - 1
    found = precision_recall(photos, sides.features, min(3, most), min(5, most))
    protocol = {**sides.protocol, "k": found.k, "k_density": found.k_density}
    return {
        key: Number(key, getattr(found, key), lower_is_better=False, protocol=protocol)
        for key in ("precision", "recall", "density", "coverage")
    }


def _inception_score(sides: _Sides) -> dict[str, Number]:
    extractor, features = sides.extractor, sides.features
    label = "IS" if extractor.canonical else f"IS ({extractor.label})"
    score = inception_score(extractor.logits(features, bias=False), min(10, len(features)))
    number = Number(
        label, float(score), score.error, lower_is_better=False, protocol=sides.protocol
    )
    return {"is": number}


_MEASURES: dict[str, Callable[[_Sides], dict[str, Number]]] = {
    "fid": _fid,
    "kid": _kid,
    "pr": _precision_recall,
    "is": _inception_score,
}


def _path_length(
    model: LatentModel,
    extractor: FeatureExtractor,
    walks: int,
    seed: int,
    protocol: Mapping[str, object],
) -> dict[str, Number]:
    length = perceptual_path_length(model, extractor, walks, seed)
    space = spaces_of(model)[-1]
    label = f"PPL in {space} ({extractor.name} distance)"
    where = "anywhere" if space == "z" else "at the start"
    # Of whole latents: truncation and noise are not options of a walk.
    shared = {**protocol, "options": "", "walks": walks, "step": EPSILON, "position": where}
    return {"ppl": Number(label, float(length), length.error, protocol=shared)}


def _summary(
    batches: Iterable[np.ndarray], protocol: Mapping[str, object], keep: bool
) -> tuple[Statistics, np.ndarray]:
    """Statistics of batches of features, and the features if they are to be kept (else none)."""
    moments, kept = Moments(), []
    for batch in batches:
        moments.update(batch)
        if keep:
            kept.append(batch)
    stats = moments.statistics(protocol)
    return stats, np.concatenate(kept) if kept else np.empty((0, stats.dim), np.float32)


def _extractor_of(faces: object) -> FeatureExtractor | None:
    return faces.extractor if isinstance(faces, Reference) else None


def _reference(
    faces: Photos | None,
    extractor: FeatureExtractor,
    wanted: int | None,
    per_photo: bool,
    cache_dir: CacheDir,
    progress: bool,
) -> Reference:
    if faces is None:
        raise UserError(NO_PHOTOS)
    if not isinstance(faces, Reference):
        faces = Reference(extractor, faces, wanted, cache_dir, progress)
    theirs = faces.extractor
    check_same_features(theirs.dim, theirs.protocol, extractor.dim, extractor.protocol)
    if per_photo and faces.photos is None:
        raise UserError(
            "kid, pr and standard errors need the photos themselves, and statistics hold only "
            "mean and covariance: give photos, or ask for fid alone"
        )
    return faces
