"""What is measured: a generator, a set of images, or images whose features are known."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.generate.generator import SamplingOptions
from facegen_keras.generate.loading import load_generator
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.reference import Reference, Selection
from facegen_keras.metrics.sources import ImageSet, Sampler

GENERATED = 64  # images generated at a time

# What can be measured: a model or the path of one, images, or images whose features are known.
Samples = Sampler | str | os.PathLike | ImageSet | Reference


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
    generator: Sampler | None = None
    images: Selection | None = None
    prepared: Reference | None = None

    @classmethod
    def of(cls, samples: Samples, num_images: int, name: str | None) -> "Subject":
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
        known = getattr(samples, "source", None) or getattr(samples, "family", "samples")
        name = name or str(known)
        if isinstance(samples, Sampler):
            return cls(name, num_images, samples.resolution, generator=samples)
        if isinstance(samples, Reference):
            prepared, images = samples, samples.photos
        else:
            prepared, images = None, Selection(samples, num_images)
        if images is None:
            raise UserError("samples that are statistics only: give the images themselves")
        if len(images) < 2:
            raise UserError(f"{len(images)} image(s) to measure; a distance needs at least 2")
        return cls(name, len(images), images.resolution, images=images, prepared=prepared)

    def features(
        self,
        extractor: FeatureExtractor,
        seed: int,
        options: SamplingOptions | None,
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
        if self.images is not None:
            return extractor.stream(self.images, progress)
        if self.generator is None:
            raise UserError(f"{self.name}: neither a generator nor images; give one of them")
        return extractor.stream(_generated(self.generator, seed, self.count, options), progress)


def _generated(
    generator: Sampler, seed: int, count: int, options: SamplingOptions | None
) -> Iterator[np.ndarray]:
    """Batches of the faces of `count` seeds."""
    stop = seed + count
    for start in range(seed, stop, GENERATED):
        seeds = range(start, min(start + GENERATED, stop))
        yield generator.sample(seeds=seeds, **(options or SamplingOptions()))
