"""What is measured: a generator, a set of images, or images whose features are known."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.generate.loading import load_generator
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.reference import Reference, Selection

GENERATED = 64  # images generated at a time


@dataclass(frozen=True)
class Subject:
    """The samples of an evaluation. Exactly one of `generator` and `images` is given.

    Attributes:
        name: What the result is called.
        count: Number of images.
        resolution: Side of the images, in pixels.
        generator: Draws the images from seeds.
        images: The images themselves.
        prepared: The `Reference` that holds `images` together with their features.
    """

    name: str
    count: int
    resolution: int
    generator: Any = None
    images: Any = None
    prepared: Reference | None = None

    @classmethod
    def of(cls, samples: Any, num_images: int, name: str | None) -> "Subject":
        """The subject for the `samples` that `evaluate` was given.

        Args:
            samples: A `Generator`, the path of one, `Faces`, uint8 images, or a `Reference`.
            num_images: Images to generate, or the most to take from a set.
            name: By default the model's path, its family, or the source of the images.

        Raises:
            UserError: There are fewer than two images, or no images at all.
        """
        if num_images < 2:
            raise UserError(f"num_images={num_images}; a distance needs at least 2 images")
        if isinstance(samples, str | os.PathLike):
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
        """Batches of features, float32 `(batch, dim)`. Generated images are not written to disk.

        Args:
            extractor: Of the features.
            seed: First seed of generated images.
            options: For `generator.sample`.
            progress: Show a progress bar.
        """
        if self.prepared is not None:
            return iter([self.prepared.features()])
        images = self.images if self.generator is None else self._generated(seed, options)
        return extractor.stream(images, progress)

    def _generated(self, seed: int, options: dict[str, Any] | None) -> Iterator[np.ndarray]:
        stop = seed + self.count
        for start in range(seed, stop, GENERATED):
            seeds = range(start, min(start + GENERATED, stop))
            yield self.generator.sample(seeds=seeds, **(options or {}))
