"""What the three backends do differently, behind one door; gradients are in `engine.autodiff`.

Each backend has a file here that defines the functions below under the same names. The three fused
kernels exist on TensorFlow only and are None elsewhere: JAX compiles a whole step into fused
kernels by itself, and on PyTorch Keras's own operations are used.

Private names of Keras that this package needs are in `keras_private`, and nowhere else.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

import keras
import numpy as np

from facegen_keras.backend.types import Tensor

NAME = keras.backend.backend()
SUPPORTED = ("tensorflow", "jax", "torch")


def implementation(package: str) -> ModuleType:
    """The module of a package that is named like the active backend.

    Args:
        package: Its full name, such as `facegen_keras.engine.autodiff`.

    Raises:
        ImportError: The active backend is not supported.
    """
    if NAME not in SUPPORTED:
        raise ImportError(f"KERAS_BACKEND={NAME!r}: expected one of {', '.join(SUPPORTED)}")
    return importlib.import_module(f"{package}.{NAME}")


_active = implementation(__name__)

# Whether every compiled function goes through XLA, which leaves nothing to choose.
ONLY_XLA: bool = _active.ONLY_XLA

# `(x, gamma, beta, epsilon) -> (y, mean, variance)`: batch normalization in training over the last
# axis of `(batch, height, width, channels)`; the variance is the biased one.
fused_batch_norm: Callable[..., tuple[Tensor, Tensor, Tensor]] | None = _active.fused_batch_norm

# `(variable, momentum, velocity, gradient, step, learning_rate, beta_1, beta_2, epsilon)`: one step
# of Adam, in place. `step` counts from 1.
fused_adam: Callable[..., None] | None = _active.fused_adam

# `(x, bias, slope) -> y`: leaky ReLU of `x + bias` with a bias of one axis, differentiable twice.
fused_leaky_relu: Callable[[Tensor, Tensor, float], Tensor] | None = _active.fused_leaky_relu


def compiled(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of tensors, for loops outside `fit`; PyTorch runs it as it is.

    On JAX the variables that it reads become constants at the first call: pass what changes as an
    argument. TensorFlow and PyTorch read their current values at every call.
    """
    return _active.compiled(fn)


def after(results: Any, fn: Callable[[], Any]) -> Any:
    """Call a function whose operations run only once the results of others are there.

    TensorFlow runs what does not depend on each other in any order, so that the activations of
    several passes would be in memory together. The others are left to their own order.

    Args:
        results: A structure of tensors.
        fn: Takes nothing.
    """
    return _active.after(results, fn)


def has_accelerator() -> bool:
    """Whether the backend sees a GPU or TPU."""
    return _active.has_accelerator()


def has_bfloat16() -> bool:
    """Whether the GPU or TPU that the backend sees computes in bfloat16; ask where there is one."""
    return _active.has_bfloat16()


def xla_is_faster() -> bool:
    """Whether a training step is to be compiled with XLA.

    Yes on JAX, and on TensorFlow with a GPU; on a CPU, XLA made TensorFlow's steps 4 to 8 times
    slower.
    """
    return _active.xla_is_faster()


def make_deterministic() -> None:
    """Ask for bit-for-bit repeatable kernels, at some cost in speed on a GPU."""
    _active.make_deterministic()


def exact_float32() -> AbstractContextManager[None]:
    """A context in which float32 products are not rounded to TF32, as some GPUs do by default."""
    return _active.exact_float32()


def predict(model: keras.Model, inputs: Any) -> Tensor:
    """One forward pass in inference mode over an array or a tensor, on one device."""
    return _active.predict(model, inputs)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Make models on one device, also where several share a training."""
    spread = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(spread)


def on_one_device(value: Tensor) -> Tensor:
    """A tensor that all devices hold, as one device of this process holds it."""
    return _active.on_one_device(value)


def dataset(read: Callable[[], Iterator[np.ndarray]], count: int, shape: tuple[int, ...]) -> Any:
    """A data set for `fit` whose batches are read ahead in a thread.

    Args:
        read: Begins an epoch: returns an iterator of uint8 arrays.
        count: Batches in an epoch.
        shape: Of a batch.

    Returns:
        A `tf.data.Dataset` on TensorFlow. None elsewhere: `fit` is given the `PyDataset` itself.
    """
    return _active.dataset(read, count, shape)


def depthwise_conv(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    """Convolve each channel with a filter of its own.

    Args:
        x: `(batch, height, width, channels)`.
        kernel: `(4, 4, channels, 1)`.
        stride: 1 or 2.
        padding: Zeros added on every side first.
    """
    return _active.depthwise_conv(x, kernel, stride, padding)
