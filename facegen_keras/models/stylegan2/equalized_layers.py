"""The layers of StyleGAN2 without style modulation: mapping network, discriminator, resampling.

Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN".

They compute what the official implementation computes. Weights are stored like the official ones,
before the equalized learning rate (Karras et al. 2018, section 4.1) is applied, with the axes in
Keras's order. The gain of the activation is folded into kernel and bias (leaky ReLU is positively
homogeneous), which saves a pass over memory per layer.

A layer's `OFFICIAL` names the official weight of each attribute: `{attribute: official name}`. The
layers with style modulation are in `modulated_layers`.
"""

from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from facegen_keras import backend
from facegen_keras.backend.types import Tensor
from facegen_keras.models.stylegan2 import fir

register = keras.saving.register_keras_serializable(package="facegen_keras")

SLOPE = 0.2  # of the leaky ReLU, as in the official code
GAIN = float(np.sqrt(2.0))  # keeps the variance through a ReLU (He et al. 2015)
EPSILON = 1e-8  # under every root, as in the official code


def activate(x: Tensor, bias: Tensor, clamp: float | None = None) -> Tensor:
    """Leaky ReLU of `x + bias`, which both contain the gain already, optionally clamped.

    Args:
        x: `(..., channels)`.
        bias: `(channels,)`, or anything that broadcasts with `x`.
        clamp: The largest magnitude of the result; None for no limit.
    """
    if backend.fused_leaky_relu is not None and len(bias.shape) == 1:
        x = backend.fused_leaky_relu(x, bias, SLOPE)
    else:
        x = ops.leaky_relu(x + bias, negative_slope=SLOPE)
    return x if clamp is None else ops.clip(x, -clamp, clamp)


@register
class PixelNorm(keras.layers.Layer):
    """Scale each latent to a mean square of 1: `(batch, n)` to the same shape."""

    def call(self, x: Tensor) -> Tensor:
        return x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + EPSILON)


@register
class EqualizedDense(keras.layers.Layer):
    """A dense layer whose weights are N(0, 1) and scaled when used (Karras et al. 2018, 4.1).

    Args:
        units: Length of the output.
        activate: Whether leaky ReLU with a gain of √2 follows.
        lr_multiplier: Learning rate relative to the other layers. As in the equalized learning
            rate, the initial weights are divided by it and the weights in use multiplied.
    """

    OFFICIAL: ClassVar[dict[str, str]] = {"kernel": "weight", "bias": "bias"}

    def __init__(
        self, units: int, activate: bool = False, lr_multiplier: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.activate = activate
        self.lr_multiplier = lr_multiplier

    def build(self, input_shape: tuple) -> None:
        start = keras.initializers.RandomNormal(stddev=1.0 / self.lr_multiplier)
        shape = (input_shape[-1], self.units)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=start)
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, x: Tensor) -> Tensor:
        gain = GAIN if self.activate else 1.0
        scale = gain * self.lr_multiplier / np.sqrt(self.kernel.shape[0])
        bias = self.bias * (gain * self.lr_multiplier)
        x = ops.matmul(x, self.kernel * float(scale))
        return activate(x, bias) if self.activate else x + bias

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activate": self.activate,
            "lr_multiplier": self.lr_multiplier,
        }


@register
class EqualizedConv(keras.layers.Layer):
    """A convolution with equalized learning rate, optionally after filtering and halving.

    `(batch, height, width, channels)` to `(batch, height, width, filters)`, or half the size.

    Args:
        filters: Channels of the output.
        kernel_size: 1 or 3, or the size of the image with `padding="valid"` for a dense layer
            over an image.
        down: 2 to filter with [1, 3, 3, 1] and halve the size, in the order of the official code.
        use_bias: Whether a bias is added.
        activate: Whether leaky ReLU with a gain of √2 follows.
        gain: A further factor on the output (√0.5 in residual blocks).
        clamp: Largest magnitude of the activation, times `gain`; None for no limit.
        padding: "same" or "valid".
    """

    OFFICIAL: ClassVar[dict[str, str]] = {"kernel": "weight", "bias": "bias"}

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        down: int = 1,
        use_bias: bool = True,
        activate: bool = True,
        gain: float = 1.0,
        clamp: float | None = None,
        padding: str = "same",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.down = down
        self.use_bias = use_bias
        self.activate = activate
        self.gain = gain
        self.clamp = clamp
        self.padding = padding

    def build(self, input_shape: tuple) -> None:
        shape = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        start = keras.initializers.RandomNormal(stddev=1.0)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=start)
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(self, x: Tensor) -> Tensor:
        gain = self.gain * (GAIN if self.activate else 1.0)
        kernel = self.kernel * float(gain / np.sqrt(np.prod(self.kernel.shape[:3])))
        if self.down == 1:
            x = ops.conv(x, kernel, 1, self.padding, data_format="channels_last")
        elif self.kernel_size == 1:
            x = ops.conv(fir.downsample(x), kernel, 1, "valid", data_format="channels_last")
        else:
            x = fir.smooth(x, padding=(self.kernel_size + 1) // 2)
            x = ops.conv(x, kernel, 2, "valid", data_format="channels_last")
        if not self.activate:
            return x + self.bias * gain if self.use_bias else x
        bias = self.bias * gain if self.use_bias else ops.zeros((self.filters,), x.dtype)
        return activate(x, bias, None if self.clamp is None else self.clamp * self.gain)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "down": self.down,
            "use_bias": self.use_bias,
            "activate": self.activate,
            "gain": self.gain,
            "clamp": self.clamp,
            "padding": self.padding,
        }


@register
class FilteredUpsampling(keras.layers.Layer):
    """Double an RGB image with the [1, 3, 3, 1] filter (the skip path of fig. 7b)."""

    def call(self, x: Tensor) -> Tensor:
        return fir.upsample(x)


@register
class FilteredDownsampling(keras.layers.Layer):
    """Halve an image with the [1, 3, 3, 1] filter."""

    def call(self, x: Tensor) -> Tensor:
        return fir.downsample(x)


@register
class MinibatchStddev(keras.layers.Layer):
    """Append the standard deviation within groups of the batch (Karras et al. 2018, section 3).

    `(batch, height, width, channels)` to `(batch, height, width, channels + statistics)`. As in the
    official code, the images of a group are `batch / group_size` apart. Where `group_size` does not
    divide the batch, the largest smaller divisor is used.

    Args:
        group_size: Images in a group.
        statistics: Maps to append, each computed from an equal share of the channels.
    """

    def __init__(self, group_size: int = 4, statistics: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group_size = group_size
        self.statistics = statistics

    def call(self, x: Tensor) -> Tensor:
        batch, height, width, channels = ops.shape(x)
        group = self.group_size
        if isinstance(batch, int):
            group = next(g for g in range(min(group, batch), 0, -1) if batch % g == 0)
        else:  # known when it runs: a compiled prediction on TensorFlow
            sizes = ops.arange(1, group + 1, dtype=batch.dtype)
            group = ops.max(ops.where(ops.equal(batch % sizes, 0), sizes, 1))
        share = channels // self.statistics
        grouped = ops.cast(x, "float32")
        grouped = ops.reshape(grouped, (group, -1, height, width, self.statistics, share))
        grouped = grouped - ops.mean(grouped, axis=0, keepdims=True)
        deviation = ops.sqrt(ops.mean(ops.square(grouped), axis=0) + EPSILON)
        maps = ops.mean(deviation, axis=(1, 2, 4))
        maps = ops.tile(maps, (group, 1))[:, None, None]
        maps = ops.broadcast_to(maps, (batch, height, width, self.statistics))
        return ops.concatenate([x, ops.cast(maps, x.dtype)], axis=-1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        # Keras cannot infer it: a batch of unknown size cannot be divided into groups.
        return (*input_shape[:-1], input_shape[-1] + self.statistics)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "group_size": self.group_size,
            "statistics": self.statistics,
        }
