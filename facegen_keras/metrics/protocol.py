"""The protocol that every number carries, and the reasons to mistrust one."""

import keras
import numpy as np

from facegen_keras.generate.generator import SamplingOptions
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.feature_statistics import Statistics
from facegen_keras.metrics.reference import Reference
from facegen_keras.metrics.subject import Subject
from facegen_keras.version import __version__

# Below this many images FID is biased upward by more than models differ (Chong & Forsyth 2020,
# arXiv:1911.07023; Bińkowski et al. 2018, section 4).
ENOUGH = 10_000
# Samples whose features have less than this fraction of the photos' variance are close to one
# picture.
COLLAPSED = 0.02


def protocol_of(
    extractor: FeatureExtractor,
    reference: Reference | None,
    subject: Subject,
    seed: int,
    options: SamplingOptions | None,
) -> dict[str, object]:
    """Everything that a number depends on besides the weights of the model.

    Args:
        extractor: Of both sides.
        reference: The photos, if any.
        subject: The samples.
        seed: First seed of the samples.
        options: Of `generator.sample`.
    """
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


def protocol_warnings(
    reference: Reference, subject: Subject, frechet: bool, extractor: FeatureExtractor
) -> list[str]:
    """Warnings known before anything is measured: too few images, different resolutions.

    Args:
        reference: The photos.
        subject: The samples.
        frechet: Whether a Fréchet distance is asked for.
        extractor: Of both sides.
    """
    found = []
    fewest = subject.count if reference.n is None else min(subject.count, reference.n)
    if frechet and fewest <= extractor.dim:
        found.append(
            f"{fewest} images for {extractor.dim} features: the covariance is rank-deficient and "
            "the Fréchet distance far too high; look at the kernel distance (kid)"
        )
    elif frechet and fewest < ENOUGH:
        found.append(
            f"{fewest} images: the Fréchet distance is biased upward below {ENOUGH}; compare it "
            "only with values from the same number of images, and look at the kernel distance (kid)"
        )
    if reference.resolution is not None and reference.resolution != subject.resolution:
        found.append(
            f"the photos are {reference.resolution} pixels wide and the samples "
            f"{subject.resolution}: the difference in sharpness counts as a difference between "
            "faces"
        )
    return found


def collapse_warnings(samples: Statistics, photos: Statistics) -> list[str]:
    """A warning where the samples hardly vary.

    Args:
        samples: Statistics of the samples.
        photos: Statistics of the photos.
    """
    ours, theirs = np.trace(samples.covariance), np.trace(photos.covariance)
    if ours >= COLLAPSED * theirs:
        return []
    return [
        f"the samples have {100 * ours / theirs:.2g} % of the photos' variance: has the model "
        "collapsed? Look at them before you trust any number"
    ]
