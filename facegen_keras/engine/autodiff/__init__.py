"""Gradients on every Keras backend: the one package that differentiates with the backend itself.

A GAN or a VAE needs three functions. They are written for a stateful style: layers own their
variables and may update them during a forward pass, as BatchNormalization and seed generators do.

- `gradients`: of a loss with respect to variables;
- `pullback`: run a network once, later pull a gradient with respect to its output back to its
  variables, so that both players of a GAN share one generator forward;
- `input_gradient`: of a scalar with respect to an input, itself differentiable, as R1 (Mescheder
  et al. 2018, eq. 9) and path length regularization (Karras et al. 2020, eq. 4) need.

`apply_gradients` hands the result to an optimizer. The contract of each is its docstring here; the
files `tensorflow`, `jax` and `torch` say how their backend keeps it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from facegen_keras.backend import implementation
from facegen_keras.backend.types import Tensor

Variables = Sequence[keras.Variable]
_active = implementation(__name__)


def gradients(
    loss_fn: Callable[[], tuple[Tensor, Any]], variables: Variables
) -> tuple[Tensor, Any, list[Tensor]]:
    """Differentiate a loss with respect to variables.

    Args:
        loss_fn: Takes nothing, returns `(loss, aux)`: a scalar, and any structure of tensors to
            hand through. It may update variables (moving statistics, seeds).
        variables: What to differentiate with respect to. Those that the loss does not depend on
            get zeros.

    Returns:
        `(loss, aux, gradients)`, the last a list in the order of `variables`.
    """
    return _active.gradients(loss_fn, variables)


def pullback(
    fn: Callable[..., Tensor], variables: Variables, inputs: Sequence[Tensor] = ()
) -> tuple[Tensor, Callable[[Tensor], list[Tensor]]]:
    """Run a network once and keep the way back to its variables and inputs.

    Args:
        fn: Takes `inputs`, returns one tensor.
        variables: The variables that the gradient will be pulled back to.
        inputs: Float tensors that it will be pulled back to as well.

    Returns:
        `(output, pull)`: the output, cut off from its history, and a function that maps a gradient
        with respect to the output to a list: the gradients of `variables`, then those of `inputs`.
        It can be called more than once, before the variables change.
    """
    return _active.pullback(fn, variables, inputs)


def input_gradient(
    fn: Callable[[Tensor], tuple[Tensor, Any]], x: Tensor, differentiable: bool = False
) -> tuple[Tensor, Any, Tensor]:
    """Differentiate a scalar with respect to an input.

    Args:
        fn: Takes a tensor like `x`, returns `(scalar, aux)`.
        x: A float tensor of any shape.
        differentiable: Whether the result will be differentiated again, inside the `loss_fn` of
            `gradients`. TensorFlow and JAX can always do so; PyTorch has to keep its graph.

    Returns:
        `(scalar, aux, gradient)`, the last of the shape of `x`.
    """
    return _active.input_gradient(fn, x, differentiable)


def apply_gradients(
    optimizer: keras.optimizers.Optimizer, grads: Sequence[Tensor], variables: Variables
) -> None:
    """Let an optimizer change the variables it was built with.

    Args:
        optimizer: Built with `variables`.
        grads: One gradient per variable.
        variables: What to change, in the same order.
    """
    _active.apply_gradients(optimizer, grads, variables)
