"""Gradients on TensorFlow, with tapes."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from facegen_keras.backend.types import Tensor


def gradients(
    loss_fn: Callable[[], tuple[Tensor, Any]], variables: Sequence[keras.Variable]
) -> tuple[Tensor, Any, list[Tensor]]:
    """Record the loss on a tape, which watches variables by itself."""
    with tf.GradientTape() as tape:
        loss, aux = loss_fn()
    grads = tape.gradient(loss, [v.value for v in variables], unconnected_gradients="zero")
    return loss, aux, grads


def pullback(
    fn: Callable[..., Tensor], variables: Sequence[keras.Variable], inputs: Sequence[Tensor] = ()
) -> tuple[Tensor, Callable[[Tensor], list[Tensor]]]:
    """Keep a persistent tape, which can be played back more than once."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        output = fn(*inputs)

    def pull(output_gradient: Tensor) -> list[Tensor]:
        return tape.gradient(
            output,
            [*(v.value for v in variables), *inputs],
            output_gradients=output_gradient,
            unconnected_gradients="zero",
        )

    return tf.stop_gradient(output), pull


def input_gradient(
    fn: Callable[[Tensor], tuple[Tensor, Any]], x: Tensor, differentiable: bool
) -> tuple[Tensor, Any, Tensor]:
    """A tape around the call. A tape outside of it records the gradient as well."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        value, aux = fn(x)
    return value, aux, tape.gradient(value, x)


def apply_gradients(
    optimizer: keras.optimizers.Optimizer,
    grads: Sequence[Tensor],
    variables: Sequence[keras.Variable],
) -> None:
    """`Optimizer.apply`, in place."""
    optimizer.apply(grads, variables)
