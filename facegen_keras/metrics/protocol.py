"""The protocol that every number carries, and the reasons to mistrust one."""

import keras
import numpy as np

from facegen_keras.errors import UserError
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

    metadata = getattr(subject.generator, "metadata", None) or {}
    prior = {}  # part of the protocol where there is a choice
    if metadata.get("prior") == "mixture":
        mixture = getattr(subject.generator, "prior", None)
        prior = {"prior": "normal" if mixture is None else f"mixture of {mixture.components}"}
    return {
        **extractor.protocol,
        **prior,
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


def training_warnings(model: object, extractor: FeatureExtractor) -> list[str]:
    """A warning where a relative of the extractor took part in the training of a model.

    A generator that was trained to please a network pleases it better than it pleases the eye, and
    in part also the networks that learnt from the same images (Kynkäänniemi et al. 2023,
    https://arxiv.org/abs/2203.06026).

    Args:
        model: A `Generator`; what took part in its training is `trained_with` in its metadata.
        extractor: Of the evaluation.

    Raises:
        UserError: The extractor itself took part.
    """
    metadata = getattr(model, "metadata", None) or {}
    found = []
    for entry in metadata.get("trained_with") or ():
        name = str(entry.get("network"))
        if name == extractor.name or entry.get("weights_sha256") == extractor.weights_sha256:
            raise UserError(
                f"{extractor.name} took part in the training of this model, so it cannot judge it: "
                "measure with another extractor"
            )
        shared = extractor.pretrained_on
        if name.split("-")[0] == extractor.name.split("-")[0]:
            found.append(f"{name} took part in the training, a network of the extractor's kind")
        elif shared and entry.get("pretrained_on") == shared:
            found.append(f"{name} took part in the training, and like the extractor knows {shared}")
    return [f"{text}: the numbers may flatter the model" for text in found]


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
