"""Photos through the encoder beside a generator and back, measured as its samples are.

The distance of reconstructions is what the decoder costs, mostly blur; what the distance of samples
has beyond it is the prior's, and the bias of few images: reconstructions are compared with their
own photos, and lack most of that.
"""

from collections.abc import Iterator

import keras
import numpy as np

from facegen_keras.export.parts import companion_path
from facegen_keras.generate.generator import Generator
from facegen_keras.generate.loading import load_encoder
from facegen_keras.generate.reconstruction import reconstruct
from facegen_keras.metrics.reference import Reference, Selection

RECONSTRUCTED = 64  # photos at a time


def encoder_beside(model: object) -> keras.Model | None:
    """The encoder beside the file that a generator was read from; None where there is none.

    Raises:
        UserError: It is damaged, or was exported from another model.
    """
    if not isinstance(model, Generator) or model.path is None:
        return None
    path = companion_path(model.path, model.family, "encoder")
    return load_encoder(model.path) if path.exists() else None


def photos_to_reconstruct(model: object, reference: Reference, count: int) -> Selection | None:
    """At most `count` photos of a reference; None where it has none of the model's size."""
    if reference.photos is None or reference.resolution != getattr(model, "resolution", None):
        return None
    return Selection(reference.photos, count)


def reconstructions(
    generator: Generator, encoder: keras.Model, photos: Selection
) -> Iterator[np.ndarray]:
    """Batches of reconstructions, uint8 `(batch, height, width, 3)`."""
    for start in range(0, len(photos), RECONSTRUCTED):
        yield reconstruct(generator, encoder, photos[start : start + RECONSTRUCTED])
