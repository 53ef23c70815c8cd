"""The Inception network behind FID: the graph of 2015-12-05, rebuilt in Keras.

The Fréchet Inception Distance (Heusel et al. 2017, arXiv:1706.08500) is defined by one frozen file,
not by an architecture: its average pooling leaves the padding out, its last block pools by maximum,
and it has 1008 logits. `keras.applications.InceptionV3` differs in all three and in its weights.

Three changes make it faster without changing its output (up to float32 rounding): the frozen batch
normalisation is folded into the convolutions; 1x1 convolutions that read the same tensor are one
convolution; and averaging comes after the 1x1 convolution of its branch, since the two are linear
and commute, and there are fewer channels to average.
"""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from facegen_keras import backend
from facegen_keras.backend.types import Tensor
from facegen_keras.errors import UserError
from facegen_keras.files.hashes import sha256_of, sha256_of_tensors
from facegen_keras.files.torch_file import read_state_dict
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.folding import FoldedConvolutions
from facegen_keras.metrics.inception_weights import INCEPTION_SHA256, inception_file

SIZE = 299  # the input of the 2015 graph
FEATURES = 2048
CLASSES = 1008  # the 2015 graph has 1008 outputs where ImageNet has 1000


class _Builder:
    """Adds the blocks of the graph; sets their weights once the model exists."""

    def __init__(self, state: Mapping[str, np.ndarray]) -> None:
        self._convolutions = FoldedConvolutions(
            state, "Inception", "the names of pt_inception-2015-12-05 as published by pytorch-fid"
        )
        self._pending: list[tuple[keras.layers.Layer, list[np.ndarray]]] = []

    def _folded(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Kernel `(height, width, in, out)` and bias `(out,)` of one block."""
        return self._convolutions(f"{name}.conv", f"{name}.bn")

    def load(self) -> None:
        for layer, weights in self._pending:
            expected = [tuple(v.shape) for v in layer.weights]
            if expected != [w.shape for w in weights]:
                raise UserError(
                    f"Inception weights: {layer.name} is {[w.shape for w in weights]}, expected "
                    f"{expected}; use pt_inception-2015-12-05 as published by pytorch-fid"
                )
            layer.set_weights(weights)

    def conv(
        self,
        x: Tensor,
        name: str,
        filters: int,
        size: int | tuple[int, int],
        strides: int = 1,
        padding: str = "valid",
    ) -> Tensor:
        layer = keras.layers.Conv2D(
            filters,
            size,
            strides,
            padding,
            activation="relu",
            data_format="channels_last",
            dtype="float32",
            name=name.replace(".", "_"),
        )
        self._pending.append((layer, list(self._folded(name))))
        return layer(x)

    def pointwise(
        self, x: Tensor, block: str, names: dict[str, int], averaged: bool
    ) -> list[Tensor]:
        """All 1x1 convolutions of a block that read `x`, as one; the pooled branch comes last."""
        folded = [self._folded(f"{block}.{name}") for name in names]
        layer = keras.layers.Conv2D(
            sum(names.values()),
            1,
            use_bias=False,
            data_format="channels_last",
            dtype="float32",
            name=f"{block}_1x1",
        )
        self._pending.append((layer, [np.concatenate([k for k, _ in folded], axis=-1)]))
        biases = [bias for _, bias in folded]
        heads = BranchHeads(tuple(names.values()), averaged, dtype="float32", name=f"{block}_heads")
        y = heads(layer(x))
        self._pending.append((heads, biases))
        return y

    def pool(self, x: Tensor, kind: str, strides: int, padding: str) -> Tensor:
        layer = keras.layers.MaxPooling2D if kind == "max" else keras.layers.AveragePooling2D
        return layer(3, strides, padding, data_format="channels_last", dtype="float32")(x)

    def concat(self, branches: list[Tensor]) -> Tensor:
        return keras.layers.Concatenate(axis=-1, dtype="float32")(branches)

    def block_a(self, x: Tensor, block: str, pooled: int) -> Tensor:
        one, five, three, pool = self.pointwise(
            x,
            block,
            {"branch1x1": 64, "branch5x5_1": 48, "branch3x3dbl_1": 64, "branch_pool": pooled},
            averaged=True,
        )
        five = self.conv(five, f"{block}.branch5x5_2", 64, 5, padding="same")
        three = self.conv(three, f"{block}.branch3x3dbl_2", 96, 3, padding="same")
        three = self.conv(three, f"{block}.branch3x3dbl_3", 96, 3, padding="same")
        return self.concat([one, five, three, pool])

    def block_b(self, x: Tensor, block: str) -> Tensor:
        three = self.conv(x, f"{block}.branch3x3", 384, 3, 2)
        double = self.conv(x, f"{block}.branch3x3dbl_1", 64, 1)
        double = self.conv(double, f"{block}.branch3x3dbl_2", 96, 3, padding="same")
        double = self.conv(double, f"{block}.branch3x3dbl_3", 96, 3, 2)
        return self.concat([three, double, self.pool(x, "max", 2, "valid")])

    def block_c(self, x: Tensor, block: str, width: int) -> Tensor:
        one, seven, double, pool = self.pointwise(
            x,
            block,
            {"branch1x1": 192, "branch7x7_1": width, "branch7x7dbl_1": width, "branch_pool": 192},
            averaged=True,
        )
        seven = self.conv(seven, f"{block}.branch7x7_2", width, (1, 7), padding="same")
        seven = self.conv(seven, f"{block}.branch7x7_3", 192, (7, 1), padding="same")
        double = self.conv(double, f"{block}.branch7x7dbl_2", width, (7, 1), padding="same")
        double = self.conv(double, f"{block}.branch7x7dbl_3", width, (1, 7), padding="same")
        double = self.conv(double, f"{block}.branch7x7dbl_4", width, (7, 1), padding="same")
        double = self.conv(double, f"{block}.branch7x7dbl_5", 192, (1, 7), padding="same")
        return self.concat([one, seven, double, pool])

    def block_d(self, x: Tensor, block: str) -> Tensor:
        three, seven = self.pointwise(
            x, block, {"branch3x3_1": 192, "branch7x7x3_1": 192}, averaged=False
        )
        three = self.conv(three, f"{block}.branch3x3_2", 320, 3, 2)
        seven = self.conv(seven, f"{block}.branch7x7x3_2", 192, (1, 7), padding="same")
        seven = self.conv(seven, f"{block}.branch7x7x3_3", 192, (7, 1), padding="same")
        seven = self.conv(seven, f"{block}.branch7x7x3_4", 192, 3, 2)
        return self.concat([three, seven, self.pool(x, "max", 2, "valid")])

    def block_e(self, x: Tensor, block: str, pool: str) -> Tensor:
        names = {"branch1x1": 320, "branch3x3_1": 384, "branch3x3dbl_1": 448}
        if pool == "average":
            one, three, double, pooled = self.pointwise(
                x, block, {**names, "branch_pool": 192}, averaged=True
            )
        else:  # a maximum does not commute with a convolution
            one, three, double = self.pointwise(x, block, names, averaged=False)
            pooled = self.pool(x, "max", 1, "same")
            pooled = self.conv(pooled, f"{block}.branch_pool", 192, 1)
        double = self.conv(double, f"{block}.branch3x3dbl_2", 384, 3, padding="same")
        return self.concat(
            [
                one,
                self.conv(three, f"{block}.branch3x3_2a", 384, (1, 3), padding="same"),
                self.conv(three, f"{block}.branch3x3_2b", 384, (3, 1), padding="same"),
                self.conv(double, f"{block}.branch3x3dbl_3a", 384, (1, 3), padding="same"),
                self.conv(double, f"{block}.branch3x3dbl_3b", 384, (3, 1), padding="same"),
                pooled,
            ]
        )


class BranchHeads(keras.layers.Layer):
    """Splits a joint 1x1 convolution into its branches, each with its bias and ReLU.

    With `averaged`, the last branch is averaged over 3x3 neighbours first (padding left out), which
    equals averaging before its convolution.
    """

    def __init__(self, widths: tuple[int, ...], averaged: bool, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.widths = tuple(widths)
        self.averaged = averaged

    def build(self, input_shape: tuple) -> None:
        self.biases = [
            self.add_weight(shape=(w,), initializer="zeros", name=f"bias_{i}")
            for i, w in enumerate(self.widths)
        ]
        self.built = True

    def call(self, x: Tensor) -> list[Tensor]:
        branches = keras.ops.split(x, np.cumsum(self.widths)[:-1].tolist(), axis=-1)
        if self.averaged:
            branches[-1] = keras.ops.average_pool(
                branches[-1], 3, 1, "same", data_format="channels_last"
            )
        return [keras.ops.relu(b + bias) for b, bias in zip(branches, self.biases, strict=True)]


def build_inception(state: Mapping[str, np.ndarray]) -> keras.Model:
    """The 2015 graph from its normalised input to pool3.

    Args:
        state: The tensors of `pt_inception-2015-12-05`, with PyTorch's names and layout.

    Returns:
        A model from float32 `(batch, 299, 299, 3)` in [-1, 1] to float32 `(batch, 2048)`.

    Raises:
        UserError: A tensor is missing or has another shape.
    """
    build = _Builder(state)
    inputs = keras.Input((SIZE, SIZE, 3), dtype="float32")
    x = build.conv(inputs, "Conv2d_1a_3x3", 32, 3, 2)
    x = build.conv(x, "Conv2d_2a_3x3", 32, 3)
    x = build.conv(x, "Conv2d_2b_3x3", 64, 3, padding="same")
    x = build.pool(x, "max", 2, "valid")
    x = build.conv(x, "Conv2d_3b_1x1", 80, 1)
    x = build.conv(x, "Conv2d_4a_3x3", 192, 3)
    x = build.pool(x, "max", 2, "valid")
    x = build.block_a(x, "Mixed_5b", 32)
    x = build.block_a(x, "Mixed_5c", 64)
    x = build.block_a(x, "Mixed_5d", 64)
    x = build.block_b(x, "Mixed_6a")
    x = build.block_c(x, "Mixed_6b", 128)
    x = build.block_c(x, "Mixed_6c", 160)
    x = build.block_c(x, "Mixed_6d", 160)
    x = build.block_c(x, "Mixed_6e", 192)
    x = build.block_d(x, "Mixed_7a")
    x = build.block_e(x, "Mixed_7b", "average")
    x = build.block_e(x, "Mixed_7c", "max")
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_last", dtype="float32")(x)
    model = keras.Model(inputs, x, name="inception_2015_12_05")
    build.load()
    model.trainable = False
    return model


class InceptionFeatures(FeatureExtractor):
    """pool3 of the 2015 Inception, the features of FID and KID: float32 `(n, 2048)`.

    Args:
        weights: Path of `pt_inception-2015-12-05-6726825d.pth`; or a mapping from its tensor names
            to arrays; or None to use the cached file, downloaded (91 MB) on first use.
        resize: How images are brought to 299x299. `"clean"` is clean-fid's protocol (Parmar et al.
            2022, arXiv:2104.11222): Pillow's antialiased bicubic filter in float, then
            (x - 128) / 128.
            `"legacy"` is pytorch-fid's: bilinear without antialiasing, then 2x / 255 - 1. The two
            give different numbers; never compare across them.
        batch_size: Images per run of the network; affects speed and memory, not the features.

    Raises:
        UserError: The weights are missing, damaged, or belong to another network; unknown `resize`.
    """

    name = "inception-2015-12-05"
    dim = FEATURES
    pretrained_on = "imagenet"

    def __init__(
        self,
        weights: str | Path | Mapping[str, np.ndarray] | None = None,
        resize: str = "clean",
        batch_size: int = 32,
    ) -> None:
        if resize not in ("clean", "legacy"):
            raise UserError(
                f"resize={resize!r}; choose 'clean' (clean-fid) or 'legacy' (pytorch-fid)"
            )
        if isinstance(weights, Mapping):
            state, digest = weights, sha256_of_tensors(weights)
        else:
            path = inception_file() if weights is None else Path(weights)
            state = read_state_dict(path)
            digest = sha256_of(path)
        clean = resize == "clean"
        with backend.alone():
            network = build_inception(state)
        super().__init__(
            network,
            weights_sha256=digest,
            filter="bicubic" if clean else "bilinear",
            offset=128.0 if clean else 127.5,
            scale=128.0 if clean else 127.5,
            resize=resize,
            batch_size=batch_size,
        )
        self._classifier = {
            name: np.asarray(state[name], np.float32)
            for name in ("fc.weight", "fc.bias")
            if name in state
        }

    @property
    def canonical(self) -> bool:
        """Whether these are the published weights, the only ones whose distance is called FID."""
        return self.weights_sha256 == INCEPTION_SHA256

    def logits(self, features: np.ndarray, bias: bool = True) -> np.ndarray:
        """The 1008 class logits of pool3 features, float32 `(n, 1008)`.

        The Inception Score is defined without the bias (the first implementation left it out).
        """
        if "fc.weight" not in self._classifier:
            raise UserError(
                "these Inception weights have no fc.weight, which the Inception Score needs"
            )
        logits = features @ self._classifier["fc.weight"].T
        return logits + self._classifier["fc.bias"] if bias else logits
