"""The layers of StyleGAN2's synthesis network, which are modulated by styles w (Karras et al. 2020,
"Analyzing and Improving the Image Quality of StyleGAN", section 2.2), and the layers that make
their inputs.

They compute the numbers of the official implementation; weights are stored as in
`equalized_layers`.
Convolutions are ordinary ones: a modulated convolution scales its input by the style and its
output by the demodulation, so nothing is grouped, and everything has first and second derivatives
on every backend.

`OFFICIAL` of a layer maps its weights to their official names: `{attribute: official name}`.
"""

from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from facegen_keras.models.stylegan2 import fir
from facegen_keras.models.stylegan2.equalized_layers import EPSILON, GAIN, activate

Tensor = Any
register = keras.saving.register_keras_serializable(package="facegen_keras")

NOISE_MODES = ("const", "input", "none")


@register
class LearnedConstant(keras.layers.Layer):
    """The learned image that synthesis starts from: `(batch, 4, 4, channels)`, one per style."""

    OFFICIAL: ClassVar[dict[str, str]] = {"constant": "const"}

    def __init__(self, channels: int, size: int = 4, **kwargs: Any) -> None:
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
    """Base of the two modulated layers: the affine map from w to a scale per input channel."""

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
    own slice. Returns `(batch, height, width, filters)`, or twice the size.

    Args:
        filters: Channels of the output.
        style_index: Which of the styles modulates this layer.
        up: 2 to double the size: transposed convolution, then the [1, 3, 3, 1] filter.
        noise_mode: "const": the image of noise kept with the weights; "input": given in the call;
            "none".
        noise_offset: Where this layer's slice of the noise begins.
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
    ) -> None:
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
