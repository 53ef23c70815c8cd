"""The [1, 3, 3, 1] low-pass filter of StyleGAN2 and the resampling built on it.

Each backend computes the same numbers in the form that is fastest there. Times on 2 CPU cores for a
(16, 64, 64, 64) batch, forward and for the gradient with respect to the input:

| backend | depthwise convolution | separable shifted sums |
|---|---|---|
| TensorFlow | 1.3 and 1.5 ms | 13.6 and 163 ms (the gradient of a strided slice is slow) |
| PyTorch | 12 and 4 ms | 39 and 51 ms |
| JAX | 112 and 172 ms | 4 and 19 ms (XLA fuses them) |

TensorFlow's convolution can pad by itself, which takes 0.28 ms per image on one core instead of
0.52 for padding first. In 16 bits its gradient is a slow loop: that of halving takes 2.9 ms per
image, the doubling that computes the same numbers 0.23 ms.

All forms can be differentiated any number of times.
"""

from collections.abc import Callable

import numpy as np
from keras import ops

from facegen_keras import backend
from facegen_keras.backend.types import Tensor

# Karras et al. 2020 (StyleGAN2), section 4.1 and the official code: a binomial filter, sum 1.
TAPS = np.array([1, 3, 3, 1], "float32") / 8
# The cost of a dense convolution that keeps channels apart grows with their square: for RGB only.
FEW_CHANNELS = 8


def is_standard_filter(kernel: np.ndarray) -> bool:
    """Whether a (4, 4) kernel is the outer product of the standard taps."""
    return kernel.shape == (4, 4) and np.allclose(kernel, np.outer(TAPS, TAPS), atol=1e-6)


def smooth(x: Tensor, padding: int, gain: float = 1.0) -> Tensor:
    """Pad with zeros and filter each channel.

    Args:
        x: `(batch, height, width, channels)`.
        padding: Zeros added on every side, 0 to 3.
        gain: Factor on the result.

    Returns:
        `(batch, height + 2 * padding - 3, width + 2 * padding - 3, channels)`.
    """
    return _linear(
        lambda x: _filtered(x, padding, 1, gain), lambda y: smooth(y, 3 - padding, gain), x
    )


def downsample(x: Tensor) -> Tensor:
    """Filter and halve: `(batch, 2h, 2w, channels)` to `(batch, h, w, channels)`."""
    if _has_fast_gradient(x):
        return _halved(x)
    return _linear(_halved, lambda y: upsample(y) * 0.25, x)


def upsample(x: Tensor) -> Tensor:
    """Insert zeros and filter: `(batch, h, w, channels)` to `(batch, 2h, 2w, channels)`.

    Layers with many channels double by a transposed convolution instead, so that forward this is
    used for RGB images only (the skip connections).
    """
    if _has_fast_gradient(x):
        return _doubled(x)
    return _linear(_doubled, lambda y: downsample(y) * 4.0, x)


def _has_fast_gradient(x: Tensor) -> bool:
    """Whether the backend's own gradient of the filters is the fastest."""
    return backend.NAME == "tensorflow" and x.dtype == "float32"


def _linear(function: Callable, transpose: Callable, x: Tensor) -> Tensor:
    """Apply a linear function whose gradient is known: its transpose, which is another filter.

    The backends' own gradients are slow. In the second derivative of a depthwise convolution
    PyTorch loops over the channels; in the first derivative of shifted sums XLA pads and adds one
    slice after the other; and TensorFlow has no fast gradient of a depthwise convolution in 16
    bits.
    """

    @ops.custom_gradient
    def with_gradient(x: Tensor) -> tuple[Tensor, Callable]:
        def gradient(*args: Tensor, upstream: Tensor | None = None) -> Tensor:
            return transpose(args[0] if upstream is None else upstream)

        return function(x), gradient

    return with_gradient(x)


def _filtered(x: Tensor, padding: int, stride: int, gain: float) -> Tensor:
    if backend.NAME == "jax":
        x = ops.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
        return _shifted_sums(_shifted_sums(x, 1, stride, gain), 2, stride, 1.0)
    kernel = _depthwise_kernel(np.outer(TAPS, TAPS) * gain, x)
    return backend.depthwise_conv(x, kernel, stride, padding)


def _depthwise_kernel(kernel: np.ndarray, x: Tensor) -> Tensor:
    """The same filter for each channel of `x`, in the precision of `x`."""
    kernel = np.tile(kernel[:, :, None, None], (1, 1, x.shape[-1], 1)).astype("float32")
    return ops.convert_to_tensor(kernel, dtype=x.dtype)


def _halved(x: Tensor) -> Tensor:
    return _filtered(x, 1, 2, 1.0)


def _doubled(x: Tensor) -> Tensor:
    if backend.NAME != "tensorflow":
        return _interleaved(_interleaved(x, 1), 2)
    if x.shape[-1] > FEW_CHANNELS:
        return _phases(x)
    # A transposed convolution that keeps the channels apart inserts zeros and filters at once.
    kernel = np.outer(TAPS, TAPS)[:, :, None, None] * 4 * np.eye(x.shape[-1], dtype="float32")
    kernel = ops.convert_to_tensor(kernel.astype("float32"), dtype=x.dtype)
    return ops.conv_transpose(x, kernel, 2, "same", data_format="channels_last")


def _phases(x: Tensor) -> Tensor:
    """Compute even and odd rows and columns by four depthwise convolutions, and interleave them."""
    batch, height, width, channels = x.shape
    even, odd = np.array([1, 3, 0]) / 4, np.array([0, 3, 1]) / 4

    def phase(rows: np.ndarray, columns: np.ndarray) -> Tensor:
        kernel = _depthwise_kernel(np.outer(rows, columns), x)
        return ops.depthwise_conv(x, kernel, 1, "same", data_format="channels_last")

    rows = [ops.stack([phase(r, even), phase(r, odd)], axis=3) for r in (even, odd)]
    shape = (-1 if batch is None else batch, 2 * height, 2 * width, channels)
    return ops.reshape(ops.stack(rows, axis=2), shape)


def _shifted_sums(x: Tensor, axis: int, stride: int, gain: float) -> Tensor:
    count = (x.shape[axis] - len(TAPS)) // stride + 1
    total = 0.0
    for shift, tap in enumerate(TAPS * gain):
        index = [slice(None)] * 4
        index[axis] = slice(shift, shift + stride * (count - 1) + 1, stride)
        total = total + x[tuple(index)] * float(tap)
    return total


def _interleaved(x: Tensor, axis: int) -> Tensor:
    """Double the pixels along an axis: 3/4 of a pixel and 1/4 of its left or right neighbour."""
    size = x.shape[axis]
    pads = [[0, 0]] * 4
    pads[axis] = [1, 1]
    padded = ops.pad(x, pads)
    index = [slice(None)] * 4
    index[axis] = slice(0, size)
    left = padded[tuple(index)]
    index[axis] = slice(2, size + 2)
    right = padded[tuple(index)]
    both = ops.stack([(left + 3 * x) / 4, (3 * x + right) / 4], axis=axis + 1)
    shape = list(ops.shape(x))
    shape[axis] = 2 * size
    return ops.reshape(both, shape)
