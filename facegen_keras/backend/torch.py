"""PyTorch: the functions of `facegen_keras.backend`."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import torch
from keras import ops

from facegen_keras.backend.types import Tensor

ONLY_XLA = False
fused_batch_norm = fused_adam = fused_leaky_relu = None


def compiled(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself: `torch.compile` would need a C++ compiler on the machine."""
    return fn


def after(results: Any, fn: Callable[[], Any]) -> Any:
    """The call itself: operations run in the order in which they are written."""
    return fn()


def has_accelerator() -> bool:
    """Whether PyTorch sees a CUDA GPU."""
    return torch.cuda.is_available()


def has_bfloat16() -> bool:
    """Whether the GPU is an Ampere or newer."""
    return torch.cuda.get_device_capability() >= (8, 0)


def xla_is_faster() -> bool:
    """Never: PyTorch has none."""
    return False


def make_deterministic() -> None:
    """Turn on deterministic algorithms, for the rest of the process; before anything is computed:
    cuBLAS reads its variable when it starts, and PyTorch refuses a product without it.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """Turn TF32 off in convolutions and matrix products, then back to what it was."""
    flags = (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = flags


def predict(model: keras.Model, inputs: Any) -> Tensor:
    """Keras's own prediction, which records no graph."""
    return model.predict_on_batch(inputs)


def on_one_device(value: Tensor) -> Tensor:
    """The tensor itself: there is one device."""
    return value


def dataset(read: Callable[[], Iterator[np.ndarray]], count: int, shape: tuple[int, ...]) -> None:
    """None: Keras takes the `PyDataset` itself, and reads each batch when it is due."""


def depthwise_conv(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    """Pad, then Keras's own."""
    padded = ops.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    return ops.depthwise_conv(padded, kernel, stride, "valid", data_format="channels_last")
