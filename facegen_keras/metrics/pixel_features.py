"""Pixels as features: a distance of images where no network is installed."""

import keras

from facegen_keras import backend
from facegen_keras.files.hashes import sha256_of_tensors
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.resolution import check_resolution

SMALLEST = 8  # side of the coarsest scale, as in a projection


class PixelFeatures(FeatureExtractor):
    """Pixels at several scales, halved down to 8x8: float32 `(n, dim)`.

    The squared Euclidean distance of two images is the mean squared difference of their pixels in
    [-1, 1], averaged over the scales: what `project` minimises. It knows nothing of faces, and a
    shifted face is another one to it.

    Args:
        resolution: Side of the largest scale, a power of two of at least 8; other images are
            resized to it.
        batch_size: Images per run; affects speed and memory, not the features.

    Raises:
        UserError: The resolution is not such a power.
    """

    name = "multi-scale pixels"

    def __init__(self, resolution: int = 64, batch_size: int = 64) -> None:
        check_resolution(resolution)
        with backend.alone():
            network = _pyramid(resolution)
        self.dim = network.output_shape[1]
        super().__init__(
            network,
            weights_sha256=sha256_of_tensors({}),
            filter="bicubic",
            offset=127.5,
            scale=127.5,
            resize=f"bicubic-{resolution}",
            batch_size=batch_size,
        )

    @property
    def label(self) -> str:
        """The name in brackets after a number; there are no weights to name."""
        return self.name


def _pyramid(side: int) -> keras.Model:
    """All scales of an image, each divided by the root of its size and of the number of scales."""
    inputs = keras.Input((side, side, 3), dtype="float32")
    x, scales = inputs, [inputs]
    while x.shape[1] > SMALLEST:
        x = keras.layers.AveragePooling2D(2, data_format="channels_last", dtype="float32")(x)
        scales.append(x)
    parts = []
    for x in scales:
        count = x.shape[1] * x.shape[2] * x.shape[3]
        flat = keras.layers.Reshape((count,), dtype="float32")(x)
        weight = (count * len(scales)) ** -0.5
        parts.append(keras.layers.Rescaling(weight, dtype="float32")(flat))
    if len(parts) > 1:
        parts = [keras.layers.Concatenate(dtype="float32")(parts)]
    return keras.Model(inputs, parts[0], name="pixels")
