"""Measure generated faces against photos: from images to numbers with their protocol."""

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.metrics.confidence import with_errors
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.frechet import frechet_distance
from facegen_keras.metrics.inception import InceptionFeatures
from facegen_keras.metrics.inception_score import inception_score
from facegen_keras.metrics.kernel import kernel_distance
from facegen_keras.metrics.path_length import perceptual_path_length
from facegen_keras.metrics.precision_recall import precision_recall
from facegen_keras.metrics.reference import Reference, Selection
from facegen_keras.metrics.result import Evaluation, Number
from facegen_keras.metrics.statistics import Moments, Statistics
from facegen_keras.version import __version__

METRICS = ("fid", "kid", "pr", "is", "ppl")
# Below this many images FID is biased upward by more than models differ (Chong & Forsyth 2020,
# arXiv:1911.07023; Bińkowski et al. 2018, section 4).
ENOUGH = 10_000
# Samples whose features vary by less than this share of the photos' are close to one picture.
COLLAPSED = 0.02
PPL_SAMPLES = 1000  # walks at most: each costs two images, and the error is printed
GENERATED = 64  # images generated at a time


def evaluate(
    samples: Any,
    faces: Any = None,
    metrics: Sequence[str] = ("fid", "kid", "pr"),
    num_images: int = 10_000,
    *,
    extractor: FeatureExtractor | None = None,
    num_reference: int | None = None,
    seed: int = 0,
    repeats: int = 0,
    name: str | None = None,
    options: dict[str, Any] | None = None,
    cache_dir: str | Path | bool | None = None,
    progress: bool = True,
) -> Evaluation:
    """Measure a generator, or a set of images, against photos.

    Args:
        samples: A `Generator`, the path of one, `Faces`, uint8 `(n, height, width, 3)`, or a
            `Reference` of such images under the same extractor, measured whole and only once.
        faces: Reference: `Faces`, uint8 images, `Statistics`, or a prepared `Reference`. Only
            `is` and `ppl` do without.
        metrics: Of `fid`, `kid`, `pr` (precision, recall, density, coverage), `is`, `ppl`.
        num_images: Images generated, of the seeds from `seed` on; at most so many of a set.
        extractor: By default the canonical Inception with the `clean` resize. With any other
            weights the distances are named FD and KD, never FID and KID.
        num_reference: Photos taken from `faces`; by default as many as samples, since the numbers
            depend on both; 0 takes all.
        seed: First seed of the samples; seed of KID's subsets.
        repeats: Halves of both sets from which `fid` and `pr` get their standard errors (see
            `half_sample_error`); 0 leaves the errors out. KID always has its own.
        name: What the result is called; by default the model's path or family.
        options: Passed to `generator.sample`, such as `truncation_psi`; part of the protocol.
        cache_dir: Where the features of the photos are kept; False keeps nothing.
        progress: Show progress bars.

    Returns:
        Numbers, each with its protocol, and the warnings that were given.

    Raises:
        UserError: Unknown metric, fewer than two images, or sides that do not compare.
    """
    metrics = check_metrics(metrics)
    subject = _Subject.of(samples, num_images, name)
    if "ppl" in metrics and subject.generator is None:
        raise UserError("ppl walks through a latent space: it needs a model, not images")
    extractor = extractor or _extractor_of(faces) or InceptionFeatures()
    if subject.prepared and subject.prepared.extractor.protocol != extractor.protocol:
        raise UserError("samples measured with another extractor than the photos: use one for both")
    repeats = repeats if {"fid", "pr"} & set(metrics) else 0
    each = bool({"kid", "pr"} & set(metrics) or repeats)  # features of every photo, not their mean
    reference = None
    if {"fid", "kid", "pr"} & set(metrics):
        wanted = subject.count if num_reference is None else (num_reference or None)
        reference = _reference(faces, extractor, wanted, each, cache_dir, progress)
    protocol = _protocol(extractor, reference, subject, seed, options)
    said: list[str] = []

    def warn(text: str) -> None:
        said.append(text)
        warnings.warn(text, UserWarning, stacklevel=4)  # the caller of evaluate

    numbers: dict[str, Number] = {}
    of_features = [metric for metric in metrics if metric != "ppl"]
    if reference is not None:
        _warn_of_protocol(reference, subject, "fid" in metrics, extractor, warn)
    if of_features:
        moments, kept = Moments(), []
        for batch in subject.features(extractor, seed, options, progress):
            moments.update(batch)
            if each or "is" in metrics:
                kept.append(batch)
        features = np.concatenate(kept) if kept else None
        stats = moments.statistics({**extractor.protocol, "resolution": subject.resolution})
        if each:
            reference.features()  # first: the statistics then need no second pass
        if reference is not None:
            _warn_of_collapse(stats, reference.statistics(), warn)
        for metric in of_features:
            numbers |= _measure(metric, extractor, stats, features, reference, seed, protocol)
        if repeats:
            numbers = with_errors(numbers, reference.features(), features, repeats, seed)
    if "ppl" in metrics:
        walks = min(num_images, PPL_SAMPLES)
        length = perceptual_path_length(subject.generator, extractor, walks, seed)
        numbers["ppl"] = Number(
            f"PPL ({extractor.name} distance)",
            float(length),
            length.error,
            protocol={**protocol, "walks": walks},
        )
    return Evaluation(subject.name, numbers, protocol, tuple(said))


@dataclass(frozen=True)
class _Subject:
    """What is measured: a generator, a set of images, or one whose features are there already.

    Attributes:
        name: What the result is called.
        count: Number of images.
        resolution: Of the images.
        generator, images, prepared: One of them is given, `prepared` with its images.
    """

    name: str
    count: int
    resolution: int
    generator: Any = None
    images: Any = None
    prepared: Reference | None = None

    @classmethod
    def of(cls, samples: Any, num_images: int, name: str | None) -> "_Subject":
        """What `evaluate` was given."""
        if num_images < 2:
            raise UserError(f"num_images={num_images}; a distance needs at least 2 images")
        if isinstance(samples, str | os.PathLike):
            from facegen_keras.generate.loading import load_generator

            name = name or os.fspath(samples)
            samples = load_generator(samples)
        name = name or getattr(samples, "source", None) or getattr(samples, "family", "samples")
        if hasattr(samples, "sample"):
            return cls(name, num_images, samples.resolution, generator=samples)
        prepared = samples if isinstance(samples, Reference) else None
        images = prepared.photos if prepared else Selection(samples, num_images)
        if images is None:
            raise UserError("samples that are statistics only: give the images themselves")
        if len(images) < 2:
            raise UserError(f"{len(images)} image(s) to measure; a distance needs at least 2")
        return cls(name, len(images), images.resolution, images=images, prepared=prepared)

    def features(
        self,
        extractor: FeatureExtractor,
        seed: int,
        options: dict[str, Any] | None,
        progress: bool,
    ) -> Iterator[np.ndarray]:
        """Batches of features `(batch, dim)`; generated images never touch the disk."""
        if self.prepared is not None:
            return iter([self.prepared.features()])
        images = self.images if self.generator is None else self._generated(seed, options)
        return extractor.stream(images, progress)

    def _generated(self, seed: int, options: dict[str, Any] | None) -> Iterator[np.ndarray]:
        stop = seed + self.count
        for start in range(seed, stop, GENERATED):
            seeds = range(start, min(start + GENERATED, stop))
            yield self.generator.sample(seeds=seeds, **(options or {}))


def check_metrics(metrics: Sequence[str]) -> list[str]:
    """The metrics in lower case, without repetition.

    Raises:
        UserError: One of them does not exist, or there is none.
    """
    if isinstance(metrics, str):
        metrics = metrics.replace(",", " ").split()
    names = list(dict.fromkeys(str(metric).lower() for metric in metrics))
    names = ["fid" if m == "fd" else "kid" if m == "kd" else m for m in names]
    unknown = [metric for metric in names if metric not in METRICS]
    if unknown or not names:
        given = ", ".join(unknown) or "nothing"
        raise UserError(f"metrics: {given} is not among {', '.join(METRICS)}")
    return list(dict.fromkeys(names))


def _measure(
    metric: str,
    extractor: FeatureExtractor,
    stats: Statistics,
    features: np.ndarray | None,
    reference: Reference | None,
    seed: int,
    protocol: dict[str, Any],
) -> dict[str, Number]:
    canonical = extractor.canonical
    if metric == "fid":
        with warnings.catch_warnings():  # the protocol's warning has said it already
            warnings.filterwarnings("ignore", message=".*rank-deficient.*", category=UserWarning)
            distance = frechet_distance(stats, reference.statistics())
        label = "FID" if canonical else f"FD ({extractor.label})"
        return {"fid" if canonical else "fd": Number(label, distance, protocol=protocol)}
    if metric == "kid":
        distance = kernel_distance(reference.features(), features, seed=seed)
        label = "KID" if canonical else f"KD ({extractor.label})"
        number = Number(label, float(distance), distance.error, protocol=protocol)
        return {"kid" if canonical else "kd": number}
    bracket = "" if canonical else f" ({extractor.label})"
    if metric == "is":
        score = inception_score(extractor.logits(features, bias=False), min(10, len(features)))
        number = Number(
            f"IS{bracket}", float(score), score.error, lower_is_better=False, protocol=protocol
        )
        return {"is": number}
    most = min(len(features), reference.n)
    shares = precision_recall(reference.features(), features, min(3, most - 1), min(5, most - 1))
    protocol = {**protocol, "k": shares.k, "k_density": shares.k_density}
    return {
        key: Number(key, getattr(shares, key), lower_is_better=False, protocol=protocol)
        for key in ("precision", "recall", "density", "coverage")
    }


def _extractor_of(faces: Any) -> FeatureExtractor | None:
    return faces.extractor if isinstance(faces, Reference) else None


def _reference(
    faces: Any,
    extractor: FeatureExtractor,
    wanted: int | None,
    each: bool,
    cache_dir: str | Path | bool | None,
    progress: bool,
) -> Reference:
    if faces is None:
        raise UserError("fid, kid and pr compare with photos; give some (--data_path)")
    if not isinstance(faces, Reference):
        faces = Reference(extractor, faces, wanted, cache_dir, progress)
    if each and faces.photos is None:
        raise UserError(
            "kid, pr and standard errors need the photos themselves, and statistics hold only "
            "mean and covariance: give --data_path, or ask for fid alone"
        )
    return faces


def _protocol(
    extractor: FeatureExtractor,
    reference: Reference | None,
    subject: "_Subject",
    seed: int,
    options: dict[str, Any] | None,
) -> dict[str, Any]:
    import PIL
    import scipy

    return {
        **extractor.protocol,
        "num_images": subject.count,
        "num_reference": None if reference is None else reference.n,
        "resolution": subject.resolution,
        "reference": None if reference is None else reference.fingerprint,
        "seed": seed,
        "options": " ".join(f"{k}={v}" for k, v in (options or {}).items()),
        "versions": {
            "facegen_keras": __version__,
            "keras": keras.version(),
            "backend": keras.backend.backend(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "pillow": PIL.__version__,
        },
    }


def _warn_of_protocol(
    reference: Reference,
    subject: "_Subject",
    frechet: bool,
    extractor: FeatureExtractor,
    warn: Any,
) -> None:
    fewest = subject.count if reference.n is None else min(subject.count, reference.n)
    if frechet and fewest <= extractor.dim:
        warn(
            f"{fewest} images for {extractor.dim} features: the covariance is rank-deficient and "
            "the Fréchet distance far too high; look at the kernel distance (kid)"
        )
    elif frechet and fewest < ENOUGH:
        warn(
            f"{fewest} images: the Fréchet distance is biased upward below {ENOUGH}; compare only "
            "with values of as many images, and look at the kernel distance (kid)"
        )
    if reference.resolution is not None and reference.resolution != subject.resolution:
        warn(
            f"the photos are {reference.resolution} pixels wide and the samples "
            f"{subject.resolution}: the difference in sharpness counts as a difference between "
            "faces"
        )


def _warn_of_collapse(samples: Statistics, photos: Statistics, warn: Any) -> None:
    ours, theirs = np.trace(samples.covariance), np.trace(photos.covariance)
    if ours < COLLAPSED * theirs:
        warn(
            f"the samples vary by {100 * ours / theirs:.2g} % of what the photos do: collapse? "
            "Look at them before trusting any number"
        )
