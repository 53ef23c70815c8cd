"""Resize and normalise pixels on the device, by two matrix products that hold the filter."""

import keras
import numpy as np
from PIL import Image

from facegen_keras.backend.types import Tensor


def resize_matrix(source: int, target: int, filter: str) -> np.ndarray:
    """The linear map of a one-dimensional resize, float32 `(target, source)`.

    Args:
        source: Length before, in pixels.
        target: Length after, in pixels.
        filter: `"bicubic"` is Pillow's antialiased bicubic, obtained from Pillow itself by resizing
            the unit vectors; `"bilinear"` is bilinear at half-pixel centres without antialiasing
            (PyTorch's `interpolate(mode="bilinear", align_corners=False)`).
    """
    if filter == "bicubic":
        unit = Image.fromarray(np.eye(source, dtype=np.float32))
        return np.asarray(unit.resize((source, target), Image.Resampling.BICUBIC), np.float32)
    if filter != "bilinear":
        raise ValueError(f"unknown filter {filter!r}")
    centre = np.maximum((np.arange(target) + 0.5) * source / target - 0.5, 0.0)
    low = np.floor(centre).astype(int)
    high = np.minimum(low + 1, source - 1)
    matrix = np.zeros((target, source))
    rows = np.arange(target)
    np.add.at(matrix, (rows, low), 1.0 - (centre - low))
    np.add.at(matrix, (rows, high), centre - low)
    return matrix.astype(np.float32)


class Preprocess(keras.layers.Layer):
    """Pixels in [0, 255] of any size to the normalised square input of a network.

    Args:
        size: Side of the square, in pixels.
        filter: See `resize_matrix`.
        offset: Subtracted from the pixels.
        scale: The network's input is `(x - offset) / scale`.
    """

    def __init__(self, size: int, filter: str, offset: float, scale: float) -> None:
        super().__init__(dtype="float32", trainable=False)
        self.size, self.filter = size, filter
        self.offset, self.scale = offset, scale

    def build(self, input_shape: tuple) -> None:
        _, height, width, _ = input_shape
        self.vertical = resize_matrix(height, self.size, self.filter)
        self.horizontal = resize_matrix(width, self.size, self.filter).T
        self.built = True

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], self.size, self.size, 3)

    def call(self, images: Tensor) -> Tensor:
        _, height, width, _ = images.shape
        x = keras.ops.cast(images, "float32")
        if (height, width) != (self.size, self.size):
            # Horizontally first, like Pillow.
            x = keras.ops.transpose(x, (0, 1, 3, 2))
            x = keras.ops.matmul(x, keras.ops.convert_to_tensor(self.horizontal))
            x = keras.ops.transpose(x, (0, 1, 3, 2))
            x = keras.ops.reshape(x, (-1, height, self.size * 3))
            x = keras.ops.matmul(keras.ops.convert_to_tensor(self.vertical), x)
            x = keras.ops.reshape(x, (-1, self.size, self.size, 3))
            x = keras.ops.clip(x, 0.0, 255.0)  # bicubic overshoots at edges
        return (x - self.offset) / self.scale
