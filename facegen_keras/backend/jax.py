"""JAX: the functions of `facegen_keras.backend`. There is no kernel: `jax.jit` fuses by itself."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import jax
import keras
import numpy as np
from keras import ops

from facegen_keras.backend.types import Tensor
from facegen_keras.errors import UserError

ONLY_XLA = True
BFLOAT16_AMD = r"gfx(908|90a|94|95|11|12)"  # Instinct MI100 and newer, Radeon RX 7000 and newer
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
PREDICTION = "facegen_prediction"  # attribute of a model that keeps its compiled prediction
fused_batch_norm = fused_adam = fused_leaky_relu = None


def compiled(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A `jax.jit`, to which the variables that `fn` reads are constants."""
    return jax.jit(fn)


def after(results: Any, fn: Callable[[], Any]) -> Any:
    """The call itself: XLA orders the operations of a step by the memory that they take."""
    return fn()


def has_accelerator() -> bool:
    """Whether JAX runs on anything but the CPU."""
    return jax.default_backend() != "cpu"


def has_bfloat16() -> bool:
    """Whether the device is a TPU, or a GPU that is an Ampere or newer."""
    capability = str(getattr(jax.devices()[0], "compute_capability", ""))  # "8.0"; AMD's "gfx90a"
    if capability.startswith("gfx"):
        return re.match(BFLOAT16_AMD, capability) is not None
    return jax.default_backend() == "tpu" or float(capability or 0) >= 8


def xla_is_faster() -> bool:
    """Always: without XLA every operation would be compiled alone."""
    return True


def make_deterministic() -> None:
    """Nothing to do on a CPU and a TPU, where a compiled function repeats itself.

    Raises:
        UserError: On a GPU it does so only with a flag that XLA reads when it starts.
    """
    if jax.default_backend() == "gpu" and DETERMINISTIC not in os.environ.get("XLA_FLAGS", ""):
        raise UserError(f"deterministic: on a GPU set XLA_FLAGS={DETERMINISTIC} before the command")


def exact_float32() -> AbstractContextManager[None]:
    """Products in full float32 precision."""
    return jax.default_matmul_precision("float32")


def predict(model: keras.Model, inputs: Any) -> Tensor:
    """Keras's compiled prediction; where devices share a training, one of them does it alone.

    Keras would split the inputs over the devices of all processes, so that none of them could draw
    a picture without the others.
    """
    if keras.distribution.distribution() is None and not _is_spread(model):
        return model.predict_on_batch(inputs)
    if not hasattr(model, PREDICTION):

        def call(trainable: list[Tensor], others: list[Tensor], inputs: Any) -> Tensor:
            return model.stateless_call(trainable, others, inputs, training=False)[0]

        setattr(model, PREDICTION, jax.jit(call))  # like Keras's own predict_function
    values = [
        [on_one_device(v.value) for v in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    ]
    return getattr(model, PREDICTION)(*values, inputs)


def _is_spread(model: keras.Model) -> bool:
    """Whether a model was made while devices share a training."""
    return any(len(variable.value.sharding.device_set) > 1 for variable in model.variables[:1])


def on_one_device(value: Tensor) -> Tensor:
    """The copy on this process's first device."""
    return value.addressable_data(0)


def dataset(read: Callable[[], Iterator[np.ndarray]], count: int, shape: tuple[int, ...]) -> None:
    """None: Keras takes the `PyDataset` itself, and reads each batch when it is due."""


def depthwise_conv(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    """Pad, then Keras's own."""
    padded = ops.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    return ops.depthwise_conv(padded, kernel, stride, "valid", data_format="channels_last")
