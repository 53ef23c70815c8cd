"""Gradients on JAX, which differentiates pure functions.

So every call opens a `keras.StatelessScope` over the variables in question and publishes the
variables that changed in it afterwards. A scope inside another one begins with the values of the
outer one: otherwise the variables of an outer gradient would turn into constants.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras

from facegen_keras.backend.keras_private import current_scope
from facegen_keras.backend.types import Tensor

Variables = Sequence[keras.Variable]


def gradients(
    loss_fn: Callable[[], tuple[Tensor, Any]], variables: Variables
) -> tuple[Tensor, Any, list[Tensor]]:
    """`jax.value_and_grad` of the loss as a pure function of the variables' values."""
    changed: list[keras.Variable] = []
    pure = _pure(loss_fn, variables, changed)

    def loss_first(values: Sequence[Tensor]) -> tuple[Tensor, tuple[Any, list[Tensor]]]:
        (loss, aux), updates = pure(values)
        return loss, (aux, updates)

    values = [v.value for v in variables]
    (loss, (aux, updates)), grads = jax.value_and_grad(loss_first, has_aux=True)(values)
    _assign(changed, updates)
    return loss, aux, grads


def pullback(
    fn: Callable[..., Tensor], variables: Variables, inputs: Sequence[Tensor] = ()
) -> tuple[Tensor, Callable[[Tensor], list[Tensor]]]:
    """`jax.vjp` of the network as a pure function of the variables' values and the inputs."""
    changed: list[keras.Variable] = []
    values = [v.value for v in variables]
    pure = _pure(fn, variables, changed)
    output, vjp, updates = jax.vjp(pure, values, *inputs, has_aux=True)
    _assign(changed, updates)

    def pull(output_gradient: Tensor) -> list[Tensor]:
        of_variables, *of_inputs = vjp(output_gradient)
        return [*of_variables, *of_inputs]

    return output, pull


def input_gradient(
    fn: Callable[[Tensor], tuple[Tensor, Any]], x: Tensor, differentiable: bool
) -> tuple[Tensor, Any, Tensor]:
    """`jax.value_and_grad` with respect to `x`, which JAX can always differentiate again."""
    changed: list[keras.Variable] = []
    pure = _pure(fn, (), changed)

    def value_first(x: Tensor) -> tuple[Tensor, tuple[Any, list[Tensor]]]:
        (value, aux), updates = pure((), x)
        return value, (aux, updates)

    (value, (aux, updates)), gradient = jax.value_and_grad(value_first, has_aux=True)(x)
    _assign(changed, updates)
    return value, aux, gradient


def apply_gradients(
    optimizer: keras.optimizers.Optimizer, grads: Sequence[Tensor], variables: Variables
) -> None:
    """The stateless form of an update.

    A `LossScaleOptimizer` branches on whether the gradients are finite, and nothing may be assigned
    inside a traced branch.
    """
    state = [v.value for v in optimizer.variables]
    new_values, new_state = optimizer.stateless_apply(state, grads, [v.value for v in variables])
    _assign(variables, new_values)
    _assign(optimizer.variables, new_state)


class _Scope(keras.StatelessScope):
    """A scope that falls back on the one around it and remembers what changed inside."""

    def __init__(self, values: Sequence[tuple[keras.Variable, Tensor]]) -> None:
        super().__init__(state_mapping=list(values))
        self._outer = current_scope()
        self.changed: dict[int, keras.Variable] = {}

    def add_update(self, update: tuple[keras.Variable, Tensor]) -> None:
        super().add_update(update)
        self.changed[id(update[0])] = update[0]

    def get_current_value(self, variable: keras.Variable) -> Tensor | None:
        value = super().get_current_value(variable)
        if value is None and self._outer is not None:
            return self._outer.get_current_value(variable)
        return value


def _pure(
    fn: Callable[..., Any], variables: Variables, changed: list[keras.Variable]
) -> Callable[..., tuple[Any, list[Tensor]]]:
    """`fn` as a function of the variables' values that also returns the values it changed.

    Which variables these are is written into `changed`.
    """

    def pure(values: Sequence[Tensor], *args: Tensor) -> tuple[Any, list[Tensor]]:
        with _Scope(list(zip(variables, values, strict=True))) as scope:
            result = fn(*args)
        changed[:] = scope.changed.values()
        return result, [scope.get_current_value(variable) for variable in changed]

    return pure


def _assign(variables: Variables, values: Sequence[Tensor]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
