"""TensorFlow: the functions of `facegen_keras.backend`, and kernels that Keras does not use."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from facegen_keras.backend.types import Tensor

ONLY_XLA = False
PREFETCHED = 2  # batches read ahead: reading 128 images takes about a millisecond


def fused_batch_norm(
    x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalize, scale and shift in one kernel, which takes 16-bit inputs as they are."""
    y, mean, variance = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=tf.cast(gamma, "float32"),
        offset=tf.cast(beta, "float32"),
        mean=tf.constant([], "float32"),
        variance=tf.constant([], "float32"),
        epsilon=epsilon,
        is_training=True,
    )[:3]
    # The kernel reports the unbiased variance.
    count = tf.cast(tf.size(x) // x.shape[-1], "float32")
    return y, mean, variance * ((count - 1.0) / count)


def fused_adam(
    variable: Tensor,
    momentum: keras.Variable,
    velocity: keras.Variable,
    gradient: Tensor,
    step: Tensor,
    learning_rate: Tensor,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """Update a variable of Keras or of TensorFlow, and its two moments, in one pass over memory."""
    if isinstance(variable, keras.Variable):
        variable = variable.value
    dtype = variable.dtype
    step = tf.cast(step, dtype)
    beta_1, beta_2 = tf.cast(beta_1, dtype), tf.cast(beta_2, dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=momentum.value.handle,
        v=velocity.value.handle,
        beta1_power=tf.pow(beta_1, step),
        beta2_power=tf.pow(beta_2, step),
        lr=tf.cast(learning_rate, dtype),
        beta1=beta_1,
        beta2=beta_2,
        epsilon=tf.cast(epsilon, dtype),
        grad=tf.cast(gradient, dtype),
    )


def fused_leaky_relu(x: Tensor, bias: Tensor, slope: float) -> Tensor:
    """Leaky ReLU whose gradient looks at the result, which has the sign of `x + bias`.

    So nothing in between is kept, and TensorFlow lets a convolution do bias and activation too.
    The bias's gradient is a matrix product, as its sum over three axes is slow: on a
    (16, 64, 64, 64) batch 0.09 ms an image instead of 0.27, in bfloat16 instead of 0.17; with its
    convolution, forward and backward, 6.1 instead of 6.5 ms, in bfloat16 1.6 instead of 2.0.
    """

    @tf.custom_gradient
    def biased(x: Tensor, bias: Tensor) -> tuple[Tensor, Any]:
        y = tf.nn.leaky_relu(x + bias, slope)

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
            of_x = tf.raw_ops.LeakyReluGrad(gradients=upstream, features=y, alpha=slope)
            rows = ops.reshape(of_x, (-1, bias.shape[0]))
            ones = ops.ones((1, ops.shape(rows)[0]), of_x.dtype)
            return of_x, ops.reshape(ops.matmul(ones, rows), bias.shape)

        return y, gradient

    return biased(x, bias)


def compiled(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A `tf.function`."""
    return tf.function(fn)


def after(results: Any, fn: Callable[[], Any]) -> Any:
    """Call under control dependencies, which a graph keeps."""
    with tf.control_dependencies(keras.tree.flatten(results)):
        return fn()


def has_accelerator() -> bool:
    """Whether TensorFlow lists a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def has_bfloat16() -> bool:
    """Whether the GPU is an Ampere or newer."""
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return details.get("compute_capability", (0, 0)) >= (8, 0)


def xla_is_faster() -> bool:
    """Only on a GPU."""
    return has_accelerator()


def make_deterministic() -> None:
    """Turn on op determinism, for the rest of the process."""
    tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """Turn TensorFloat-32 off, then back to what it was."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def predict(model: keras.Model, inputs: Any) -> Tensor:
    """Call the model without tracing it.

    `predict_on_batch` would trace, which costs more than it saves in a program that draws a few
    faces; and TensorFlow warns about tracing once several models are in use.
    """
    return model(inputs, training=False)


def on_one_device(value: Tensor) -> Tensor:
    """The tensor itself: there is one device."""
    return value


def dataset(
    read: Callable[[], Iterator[np.ndarray]], count: int, shape: tuple[int, ...]
) -> tf.data.Dataset:
    """A `tf.data.Dataset` without the autotuner.

    Keras makes one of a `PyDataset` as well, but with the autotuner, which delays the end of an
    epoch: now and then an iterator is only gone when the tuner next wakes up, after 10 ms, 20, 40
    ... up to a minute. An epoch of 3 s then takes 5.1 s (`benchmarks/README.md`).
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    batches = tf.data.Dataset.from_generator(read, output_signature=tf.TensorSpec(shape, tf.uint8))
    counted = batches.apply(tf.data.experimental.assert_cardinality(count))
    return counted.prefetch(PREFETCHED).with_options(options)


def depthwise_conv(x: Tensor, kernel: Tensor, stride: int, padding: int) -> Tensor:
    """Let the convolution pad by itself.

    Where a stride of 2 pads by 1, that is what "SAME" means, and twice as fast in the gradient.
    """
    same = (padding, stride) == (1, 2)
    pads = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
    return tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME" if same else pads)
