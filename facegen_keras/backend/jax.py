"""JAX: the functions of `facegen_keras.backend`. There is no kernel: `jax.jit` fuses by itself."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import jax
import keras
import numpy as np
from keras import ops

from facegen_keras.backend.types import Tensor

ONLY_XLA = True
fused_batch_norm = fused_adam = fused_leaky_relu = None


def compiled(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A `jax.jit`, to which the variables that `fn` reads are constants."""
    return jax.jit(fn)


def has_accelerator() -> bool:
    """Whether JAX runs on anything but the CPU."""
    return jax.default_backend() != "cpu"


def xla_is_faster() -> bool:
    """Always: without XLA every operation would be compiled alone."""
    return True


def make_deterministic() -> None:
    """Nothing to do: a compiled function repeats itself on a CPU and a TPU."""


def exact_float32() -> AbstractContextManager[None]:
    """Products in full float32 precision."""
    return jax.default_matmul_precision("float32")


def predict(model: keras.Model, inputs: Any) -> Tensor:
    """Keras's compiled prediction."""
    return model.predict_on_batch(inputs)


def dataset(read: Callable[[], Iterator[np.ndarray]], count: int, shape: tuple[int, ...]) -> None:
    """None: Keras reads a `PyDataset` ahead."""


def depthwise_conv(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    """Pad, then Keras's own."""
    padded = ops.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    return ops.depthwise_conv(padded, kernel, stride, "valid", data_format="channels_last")
