"""The layers of StyleGAN2 (Karras et al. 2020, "Analyzing and Improving the Image Quality of
StyleGAN"), numerically those of the official implementation.

Weights are stored as the official ones are, before the equalized learning rate is applied, with
the axes in Keras's order. Convolutions are ordinary ones: a modulated convolution scales its input
by the style and its output by the demodulation, so nothing is grouped, and everything has first
and second derivatives on every backend. The gain of the activation is folded into what is added
up before it (leaky ReLU is positively homogeneous), which saves a pass over memory per layer.

`OFFICIAL` of a layer says where its weights come from: `{attribute: official name}`.
"""

from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from facegen_keras import fir

Tensor = Any
register = keras.saving.register_keras_serializable(package="facegen_keras")

SLOPE = 0.2  # of the leaky ReLU, as in the official code
GAIN = float(np.sqrt(2.0))  # keeps the variance through a ReLU (He et al. 2015)
EPSILON = 1e-8  # under every root, as in the official code
NOISE_MODES = ("const", "input", "none")


def activate(x: Tensor, bias: Tensor, clamp: float | None = None) -> Tensor:
    """Leaky ReLU of `x + bias`, the gain already being inside both, and optionally a limit."""
    if keras.backend.backend() == "tensorflow" and len(bias.shape) == 1:
        x = _activate_tensorflow(x, bias)
    else:
        x = ops.leaky_relu(x + bias, negative_slope=SLOPE)
    return x if clamp is None else ops.clip(x, -clamp, clamp)


def _activate_tensorflow(x: Tensor, bias: Tensor) -> Tensor:
    """The same with a gradient that looks at the result, which has the sign of what went in.

    So nothing in between is kept, and TensorFlow lets a convolution do bias and activation too.
    The bias's gradient is a matrix product, as its sum over three axes is slow: on a
    (16, 64, 64, 64) batch 0.09 ms an image instead of 0.27, in bfloat16 instead of 0.17; with its
    convolution, forward and backward, 6.1 instead of 6.5 ms, in bfloat16 1.6 instead of 2.0.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def biased(x: Tensor, bias: Tensor) -> tuple[Tensor, Any]:
        y = tf.nn.leaky_relu(x + bias, SLOPE)

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
            of_x = tf.raw_ops.LeakyReluGrad(gradients=upstream, features=y, alpha=SLOPE)
            rows = ops.reshape(of_x, (-1, bias.shape[0]))
            ones = ops.ones((1, ops.shape(rows)[0]), of_x.dtype)
            return of_x, ops.reshape(ops.matmul(ones, rows), bias.shape)

        return y, gradient

    return biased(x, bias)


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
        lr_multiplier: Learning rate relative to the other layers, by the same device: weights
            start as much larger and count as much less.
    """

    OFFICIAL: ClassVar[dict[str, str]] = {"kernel": "weight", "bias": "bias"}

    def __init__(
        self, units: int, activate: bool = False, lr_multiplier: float = 1.0, **kwargs: Any
    ):
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
        down: 2 to filter with [1, 3, 3, 1] and halve, as the official code does it.
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
    ):
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
class LearnedConstant(keras.layers.Layer):
    """The image that synthesis starts from: `(batch, 4, 4, channels)` for styles of that batch."""

    OFFICIAL: ClassVar[dict[str, str]] = {"constant": "const"}

    def __init__(self, channels: int, size: int = 4, **kwargs: Any):
        super().__init__(**kwargs)
        self.channels = channels
        self.size = size

    def build(self, input_shape: tuple) -> None:
        shape = (self.size, self.size, self.channels)
        start = keras.initializers.RandomNormal(stddev=1.0)
        self.constant = self.add_weight(name="constant", shape=shape, initializer=start)

    def call(self, styles: Tensor) -> Tensor:
        shape = (ops.shape(styles)[0], *self.constant.shape)
        return ops.broadcast_to(ops.expand_dims(self.constant, 0), shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "channels": self.channels, "size": self.size}


class _Styled(keras.layers.Layer):
    """What the two modulated layers share: the affine map from w to a scale per input channel."""

    OFFICIAL: ClassVar[dict[str, str]] = {
        "kernel": "weight",
        "bias": "bias",
        "affine_kernel": "affine.weight",
        "affine_bias": "affine.bias",
    }

    def __init__(
        self, filters: int, style_index: int, clamp: float | None = None, **kwargs: Any
    ) -> None:
        # Inputs keep their precision: images and styles come in float32 and are cast here.
        super().__init__(autocast=False, **kwargs)
        self.filters = filters
        self.style_index = style_index
        self.clamp = clamp

    def build_weights(self, channels: int, w_dim: int, kernel_size: int) -> None:
        normal = keras.initializers.RandomNormal(stddev=1.0)

        def weight(name: str, shape: tuple[int, ...], initializer: Any, **kwargs: Any) -> Any:
            kwargs = {"autocast": False, **kwargs}
            return self.add_weight(name=name, shape=shape, initializer=initializer, **kwargs)

        shape = (kernel_size, kernel_size, channels, self.filters)
        self.kernel = weight("kernel", shape, normal)
        self.bias = weight("bias", (self.filters,), "zeros")
        self.affine_kernel = weight("affine_kernel", (w_dim, channels), normal)
        self.affine_bias = weight("affine_bias", (channels,), "ones")

    def style_of(self, w: Tensor) -> Tensor:
        """`(batch, layers, w_dim)` to the scales `(batch, channels)` of this layer, float32."""
        w = ops.cast(w[:, self.style_index], "float32")
        scale = 1.0 / np.sqrt(self.affine_kernel.shape[0])
        return ops.matmul(w, self.affine_kernel * float(scale)) + self.affine_bias

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "style_index": self.style_index,
            "clamp": self.clamp,
        }


@register
class StyledConv(_Styled):
    """A modulated and demodulated 3×3 convolution with noise and leaky ReLU (section 2.2, fig. 2).

    Called with an image `(batch, height, width, channels)` and styles `(batch, layers, w_dim)`,
    and with `noise_mode="input"` also with noise `(batch, all)`, of which the layer takes its
    part. Returns `(batch, height, width, filters)`, or twice the size.

    Args:
        filters: Channels of the output.
        style_index: Which of the styles modulates this layer.
        up: 2 to double the size: transposed convolution, then the [1, 3, 3, 1] filter.
        noise_mode: "const": the image of noise kept with the weights; "input": given in the call;
            "none".
        noise_offset: Where this layer's part of the noise begins.
        clamp: Largest magnitude of the output, or None.
    """

    OFFICIAL: ClassVar[dict[str, str]] = {
        **_Styled.OFFICIAL,
        "noise_strength": "noise_strength",
        "noise_const": "noise_const",
    }

    def __init__(
        self,
        filters: int,
        style_index: int,
        up: int = 1,
        noise_mode: str = "const",
        noise_offset: int = 0,
        clamp: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(filters, style_index, clamp, **kwargs)
        if noise_mode not in NOISE_MODES:
            raise ValueError(f"noise_mode {noise_mode!r}: expected one of {NOISE_MODES}")
        self.up = up
        self.noise_mode = noise_mode
        self.noise_offset = noise_offset

    def build(self, x_shape: tuple, w_shape: tuple, noise_shape: tuple | None = None) -> None:
        self.build_weights(x_shape[-1], w_shape[-1], kernel_size=3)
        self.noise_strength = self.add_weight(
            name="noise_strength", shape=(), initializer="zeros", autocast=False
        )
        self.noise_const = self.add_weight(
            name="noise_const",
            shape=(x_shape[1] * self.up, x_shape[2] * self.up),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
            trainable=False,
            autocast=False,
        )

    def call(self, x: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        dtype = self.compute_dtype
        style, kernel = self.style_of(w), ops.convert_to_tensor(self.kernel)
        if dtype != "float32":
            # Neither changes the demodulated result; both keep 16-bit sums in range, as in the
            # official code.
            style = style / ops.max(ops.abs(style), axis=1, keepdims=True)
            kernel = kernel / ops.max(ops.abs(kernel), axis=(0, 1, 2), keepdims=True)
            kernel = kernel / float(np.sqrt(np.prod(self.kernel.shape[:3])))
        power = ops.matmul(ops.square(style), ops.sum(ops.square(kernel), axis=(0, 1)))
        demodulation = ops.rsqrt(power + EPSILON) * GAIN

        x = ops.cast(x, dtype) * ops.cast(style, dtype)[:, None, None]
        if self.up == 1:
            x = ops.conv(x, ops.cast(kernel, dtype), 1, "same", data_format="channels_last")
        else:
            kernel = ops.cast(ops.transpose(kernel, (0, 1, 3, 2)), dtype)
            x = ops.conv_transpose(x, kernel, 2, "valid", data_format="channels_last")
            x = fir.smooth(x, padding=1, gain=4.0)  # zero insertion took three of four pixels
        x = x * ops.cast(demodulation, dtype)[:, None, None]
        bias = self.bias * GAIN
        if self.noise_mode == "const":
            bias = ops.expand_dims(self.noise_const, -1) * (self.noise_strength * GAIN) + bias
        elif self.noise_mode == "input":
            x = x + ops.cast(self._own(noise) * (self.noise_strength * GAIN), dtype)
        return activate(x, ops.cast(bias, dtype), self.clamp)

    def _own(self, noise: Tensor) -> Tensor:
        height, width = self.noise_const.shape
        part = noise[:, self.noise_offset : self.noise_offset + height * width]
        return ops.reshape(ops.cast(part, "float32"), (-1, height, width, 1))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "up": self.up,
            "noise_mode": self.noise_mode,
            "noise_offset": self.noise_offset,
        }


@register
class ToRGB(_Styled):
    """A modulated 1×1 convolution to an image, without demodulation: float32 `(..., 3)`."""

    def build(self, x_shape: tuple, w_shape: tuple) -> None:
        self.build_weights(x_shape[-1], w_shape[-1], kernel_size=1)

    def call(self, x: Tensor, w: Tensor) -> Tensor:
        dtype = self.compute_dtype
        style = self.style_of(w) / float(np.sqrt(self.kernel.shape[2]))
        x = ops.cast(x, dtype) * ops.cast(style, dtype)[:, None, None]
        kernel = ops.cast(self.kernel, dtype)
        x = ops.conv(x, kernel, 1, "valid", data_format="channels_last")
        x = ops.cast(x, "float32") + self.bias
        return x if self.clamp is None else ops.clip(x, -self.clamp, self.clamp)


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

    `(batch, height, width, channels)` to `channels + statistics`. Image i is grouped with those
    batch / group_size apart, as officially; a batch that the group size does not divide is
    grouped by its largest divisor below.

    Args:
        group_size: Images in a group.
        statistics: Maps appended, each from its share of the channels.
    """

    def __init__(self, group_size: int = 4, statistics: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.group_size = group_size
        self.statistics = statistics

    def call(self, x: Tensor) -> Tensor:
        batch, height, width, channels = ops.shape(x)
        group = self.group_size
        if isinstance(batch, int):
            group = next(g for g in range(min(group, batch), 0, -1) if batch % g == 0)
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
        # Said here because a symbolic batch cannot be divided into groups.
        return (*input_shape[:-1], input_shape[-1] + self.statistics)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "group_size": self.group_size,
            "statistics": self.statistics,
        }


@register
class TruncatedStyles(keras.layers.Layer):
    """One w per layer, pulled towards the average one (the truncation trick, Karras et al. 2019).

    `(batch, w_dim)` to `(batch, layers, w_dim)`. Keeps the average of w.

    Args:
        layers: Number of styles.
        truncation_psi: 1 leaves w as it is, 0 gives the average.
        truncation_cutoff: Only that many first layers are truncated; None: all.
    """

    OFFICIAL: ClassVar[dict[str, str]] = {"w_avg": "w_avg"}

    def __init__(
        self,
        layers: int,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.layers = layers
        self.truncation_psi = truncation_psi
        self.truncation_cutoff = truncation_cutoff

    def build(self, input_shape: tuple) -> None:
        self.w_avg = self.add_weight(
            name="w_avg", shape=(input_shape[-1],), initializer="zeros", trainable=False
        )

    def call(self, w: Tensor) -> Tensor:
        cutoff = self.layers if self.truncation_cutoff is None else self.truncation_cutoff
        psi = np.where(np.arange(self.layers) < cutoff, self.truncation_psi, 1.0)
        psi = ops.convert_to_tensor(psi[:, None].astype("float32"))
        w = ops.expand_dims(w, 1)
        # Written so that psi = 1 gives exactly w.
        return w * psi + self.w_avg * (1.0 - psi)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "layers": self.layers,
            "truncation_psi": self.truncation_psi,
            "truncation_cutoff": self.truncation_cutoff,
        }
