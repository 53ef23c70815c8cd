"""Gradients on PyTorch, from the graph that it records."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch

from facegen_keras.backend.types import Tensor


def gradients(
    loss_fn: Callable[[], tuple[Tensor, Any]], variables: Sequence[keras.Variable]
) -> tuple[Tensor, Any, list[Tensor]]:
    """Differentiate the graph of the loss, then cut loss and aux off from it to free it."""
    with torch.enable_grad():
        loss, aux = loss_fn()
        grads = _grad(loss, [v.value for v in variables])
    return loss.detach(), keras.tree.map_structure(_detach, aux), grads


def pullback(
    fn: Callable[..., Tensor], variables: Sequence[keras.Variable], inputs: Sequence[Tensor] = ()
) -> tuple[Tensor, Callable[[Tensor], list[Tensor]]]:
    """Keep the graph. It holds the variables themselves, not copies of their values."""
    inputs = [x.detach().requires_grad_(True) for x in inputs]
    with torch.enable_grad():
        output = fn(*inputs)

    def pull(output_gradient: Tensor) -> list[Tensor]:
        sources = [*(v.value for v in variables), *inputs]
        return _grad(output, sources, grad_outputs=output_gradient, retain_graph=True)

    return output.detach(), pull


def input_gradient(
    fn: Callable[[Tensor], tuple[Tensor, Any]], x: Tensor, differentiable: bool
) -> tuple[Tensor, Any, Tensor]:
    """Make `x` the leaf of a graph, unless it is already part of the one to differentiate again."""
    with torch.enable_grad():
        x = x if differentiable and x.requires_grad else x.detach().requires_grad_(True)
        value, aux = fn(x)
        (gradient,) = torch.autograd.grad(value, x, create_graph=differentiable)
    if differentiable:
        return value, aux, gradient
    return value.detach(), keras.tree.map_structure(_detach, aux), gradient


def apply_gradients(
    optimizer: keras.optimizers.Optimizer,
    grads: Sequence[Tensor],
    variables: Sequence[keras.Variable],
) -> None:
    """`Optimizer.apply`, in place."""
    optimizer.apply(grads, variables)


def _grad(value: Tensor, inputs: list[Tensor], **kwargs: Any) -> list[Tensor]:
    options = {"allow_unused": True, "materialize_grads": True}
    return list(torch.autograd.grad(value, inputs, **kwargs, **options))


def _detach(value: Any) -> Any:
    return value.detach() if isinstance(value, torch.Tensor) else value
