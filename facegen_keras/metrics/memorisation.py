"""Has the model learned faces, or kept photos? The nearest training photos of every sample.

A sample is suspicious when it is closer to a training photo than photos the model has never seen
are. So the distances from samples to the training photos stand beside those from held-out photos.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.precision_recall import nearest
from facegen_keras.metrics.reference import Reference

# A sample is called close when it lies nearer to a training photo than this share of the held-out
# photos does; so many of them are close by chance.
QUANTILE = 0.01


@dataclass
class Memorisation:
    """Distances in feature space to the nearest training photos.

    Attributes:
        indices: Nearest training photos of each sample, `(samples, k)`, nearest first.
        distances: Their distances, `(samples, k)`.
        held_out: Distance from each held-out photo to its nearest training photo, `(photos,)`.
        threshold: The distance below which a sample is called close.
        close: Share of samples below it; about 0.01 by chance, more where photos were kept.
        protocol: Extractor and numbers of images.
    """

    indices: np.ndarray
    distances: np.ndarray
    held_out: np.ndarray
    threshold: float
    close: float
    protocol: dict[str, Any] = field(default_factory=dict)
    _samples: Any = field(default=None, repr=False)
    _training: Any = field(default=None, repr=False)

    def figure(self, path: str | Path | None = None, rows: int = 8) -> Any:
        """The closest samples with their nearest training photos, and both distributions.

        Args:
            path: Also write the figure here (.png).
            rows: Samples shown, the closest first.

        Returns:
            A matplotlib figure.
        """
        from matplotlib.figure import Figure

        k = self.indices.shape[1]
        shown = np.argsort(self.distances[:, 0])[: min(rows, len(self.distances))]
        figure = Figure(figsize=(1.2 * (k + 1) + 5, 1.25 * len(shown) + 0.6), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=[1.2 * (k + 1), 5])
        cells = left.subplots(len(shown), k + 1, squeeze=False)
        for line, sample in zip(cells, shown, strict=True):
            pictures = [self._samples[int(sample)]]
            pictures += [self._training[int(i)] for i in self.indices[sample]]
            labels = ["sample", *(f"{d:.2f}" for d in self.distances[sample])]
            for cell, picture, label in zip(line, pictures, labels, strict=True):
                cell.imshow(picture)
                cell.set_title(label, fontsize=8)
                cell.axis("off")
        axis = right.subplots()
        bins = np.histogram_bin_edges(np.concatenate([self.distances[:, 0], self.held_out]), 40)
        axis.hist(self.held_out, bins, density=True, alpha=0.6, label="held-out photos")
        axis.hist(self.distances[:, 0], bins, density=True, alpha=0.6, label="samples")
        axis.axvline(self.threshold, color="black", linewidth=1, linestyle=":")
        axis.set_xlabel("distance to the nearest training photo")
        axis.set_ylabel("density")
        axis.set_title(f"{100 * self.close:.1f} % of the samples are closer than the dotted line")
        axis.legend()
        if path is not None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=120)
        return figure


def memorisation(
    extractor: FeatureExtractor,
    samples: np.ndarray,
    training: Any,
    held_out: Any,
    k: int = 3,
    progress: bool = False,
) -> Memorisation:
    """Look for training photos among the samples.

    Args:
        extractor: Supplies the feature space; the distance is Euclidean.
        samples: Generated images, uint8 `(n, height, width, 3)`.
        training: `Faces` or uint8 images that the model was trained on.
        held_out: `Faces` or uint8 images of the same kind that it was not (see `Faces.split`).
            Each of the three may be a `Reference` under the same extractor, measured only once.
        k: Nearest photos per sample.
        progress: Show progress bars.

    Raises:
        UserError: A set is too small.
    """
    for what, images, least in (
        ("samples", samples, 1),
        ("training photos", training, k),
        ("held-out photos", held_out, 1),
    ):
        if len(_images(images)) < least:
            raise UserError(
                f"{len(_images(images))} {what}; the memorisation check needs at least {least}"
            )
    photos, ours, unseen = (
        images.features() if isinstance(images, Reference) else extractor(images, progress)
        for images in (training, samples, held_out)
    )
    samples, training, held_out = map(_images, (samples, training, held_out))
    indices, distances = nearest(ours, photos, k)
    _, reference = nearest(unseen, photos, 1)
    threshold = float(np.quantile(reference[:, 0], QUANTILE))
    return Memorisation(
        indices=indices,
        distances=distances,
        held_out=reference[:, 0],
        threshold=threshold,
        close=float((distances[:, 0] < threshold).mean()),
        protocol={
            **extractor.protocol,
            "samples": len(samples),
            "training": len(training),
            "held_out": len(held_out),
        },
        _samples=samples,
        _training=training,
    )


def _images(images: Any) -> Any:
    """The images themselves, of a `Reference` too."""
    return images.photos if isinstance(images, Reference) else images
