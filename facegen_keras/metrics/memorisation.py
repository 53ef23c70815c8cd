"""Does the model draw new faces, or copies of photos? The nearest training photos of every sample.

A sample is suspicious when it is closer to a training photo than photos that the model never saw
are. So the distances from samples to the training photos are compared with those from held-out
photos.
"""

from dataclasses import dataclass, field

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.precision_recall import nearest
from facegen_keras.metrics.reference import Reference
from facegen_keras.metrics.sources import ImageSet

# A sample is called close when it is nearer to a training photo than all but this fraction of the
# held-out photos are.
QUANTILE = 0.01


@dataclass
class Memorisation:
    """Distances in feature space to the nearest training photos.

    `figures.memorisation_overview` draws them.

    Attributes:
        indices: Nearest training photos of each sample, `(samples, k)`, nearest first.
        distances: Their distances, `(samples, k)`.
        held_out: Distance from each held-out photo to its nearest training photo, `(photos,)`.
        threshold: The distance below which a sample is called close.
        close: Fraction of the samples below it; `by_chance` if none is a copy.
        protocol: Extractor and numbers of images.
        samples: The generated images.
        training: The photos that `indices` refer to.
    """

    indices: np.ndarray
    distances: np.ndarray
    held_out: np.ndarray
    threshold: float
    close: float
    protocol: dict[str, object] = field(default_factory=dict)
    samples: ImageSet | None = field(default=None, repr=False)
    training: ImageSet | None = field(default=None, repr=False)

    @property
    def by_chance(self) -> float:
        """The fraction below the threshold that is expected of images which are as far from the
        training photos as the held-out ones: 0.01 with many of these, more with few.
        """
        count = len(self.held_out)
        return (1 + QUANTILE * (count - 1)) / (count + 1)


def memorisation(
    extractor: FeatureExtractor,
    samples: ImageSet | Reference,
    training: ImageSet | Reference,
    held_out: ImageSet | Reference,
    k: int = 3,
    progress: bool = False,
) -> Memorisation:
    """Look for training photos among the samples.

    Args:
        extractor: Supplies the feature space; the distance is Euclidean.
        samples: Generated images, uint8 `(n, height, width, 3)`.
        training: `Faces` or uint8 images that the model was trained on.
        held_out: `Faces` or uint8 images of the same kind that it was not trained on (see
            `Faces.split`). Each of the three sets may be a `Reference` under the same extractor,
            which is measured only once.
        k: Number of nearest photos per sample.
        progress: Show progress bars.

    Raises:
        UserError: A set is too small.
    """
    ours, photos, unseen = _images(samples), _images(training), _images(held_out)
    for what, count, least in (
        ("samples", len(ours), 1),
        ("training photos", len(photos), k),
        ("held-out photos", len(unseen), 1),
    ):
        if count < least:
            raise UserError(f"{count} {what}; the memorisation check needs at least {least}")
    training_features, sample_features, held_out_features = (
        images.features() if isinstance(images, Reference) else extractor(images, progress)
        for images in (training, samples, held_out)
    )
    indices, distances = nearest(sample_features, training_features, k)
    _, reference = nearest(held_out_features, training_features, 1)
    threshold = float(np.quantile(reference[:, 0], QUANTILE))
    return Memorisation(
        indices=indices,
        distances=distances,
        held_out=reference[:, 0],
        threshold=threshold,
        close=float((distances[:, 0] < threshold).mean()),
        protocol={
            **extractor.protocol,
            "samples": len(ours),
            "training": len(photos),
            "held_out": len(unseen),
        },
        samples=ours,
        training=photos,
    )


def _images(images: ImageSet | Reference) -> ImageSet:
    """The images themselves; those of a `Reference` are its photos."""
    if not isinstance(images, Reference):
        return images
    if images.photos is None:
        raise UserError("a reference of statistics has no images; give the images themselves")
    return images.photos
