"""Gradients on every Keras backend: the one file that differentiates with the backend itself.

Three functions are all a GAN needs, written for a stateful style (layers own their variables and
may update them during a forward pass, as BatchNormalization and seed generators do):

- `gradients`: of a loss with respect to variables;
- `pullback`: run a network once, later pull a gradient with respect to its output back to its
  variables, so that both players of a GAN share one generator forward;
- `input_gradient`: of a scalar with respect to an input, itself differentiable, as R1 (Mescheder
  et al. 2018, eq. 9) and path length regularization (Karras et al. 2020, eq. 4) need.

TensorFlow uses tapes and PyTorch its recorded graph. JAX differentiates pure functions, so there
every call opens a `keras.StatelessScope` over the variables in question, starting from what an
outer scope already holds: without that, variables outside the gradient turn into constants.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras

BACKEND = keras.backend.backend()
Tensor = Any  # a tensor of whichever backend is active
Variables = Sequence[keras.Variable]

if BACKEND == "tensorflow":
    import tensorflow as tf

    def gradients(
        loss_fn: Callable[[], tuple[Tensor, Any]], variables: Variables
    ) -> tuple[Tensor, Any, list[Tensor]]:
        with tf.GradientTape() as tape:
            loss, aux = loss_fn()
        grads = tape.gradient(loss, [v.value for v in variables], unconnected_gradients="zero")
        return loss, aux, grads

    def pullback(
        fn: Callable[..., Tensor], variables: Variables, inputs: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Callable[[Tensor], list[Tensor]]]:
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
        fn: Callable[[Tensor], tuple[Tensor, Any]], x: Tensor, differentiable: bool = False
    ) -> tuple[Tensor, Any, Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value, aux = fn(x)
        return value, aux, tape.gradient(value, x)

elif BACKEND == "torch":
    import torch

    def gradients(
        loss_fn: Callable[[], tuple[Tensor, Any]], variables: Variables
    ) -> tuple[Tensor, Any, list[Tensor]]:
        with torch.enable_grad():
            loss, aux = loss_fn()
            grads = _torch_grad(loss, [v.value for v in variables])
        return loss.detach(), keras.tree.map_structure(_detach, aux), grads

    def pullback(
        fn: Callable[..., Tensor], variables: Variables, inputs: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Callable[[Tensor], list[Tensor]]]:
        inputs = [x.detach().requires_grad_(True) for x in inputs]
        with torch.enable_grad():
            output = fn(*inputs)

        def pull(output_gradient: Tensor) -> list[Tensor]:
            sources = [*(v.value for v in variables), *inputs]
            return _torch_grad(output, sources, grad_outputs=output_gradient, retain_graph=True)

        return output.detach(), pull

    def input_gradient(
        fn: Callable[[Tensor], tuple[Tensor, Any]], x: Tensor, differentiable: bool = False
    ) -> tuple[Tensor, Any, Tensor]:
        with torch.enable_grad():
            x = x if differentiable and x.requires_grad else x.detach().requires_grad_(True)
            value, aux = fn(x)
            (gradient,) = torch.autograd.grad(value, x, create_graph=differentiable)
        if differentiable:
            return value, aux, gradient
        return value.detach(), keras.tree.map_structure(_detach, aux), gradient

    def _torch_grad(value: Tensor, inputs: list[Tensor], **kwargs: Any) -> list[Tensor]:
        options = {"allow_unused": True, "materialize_grads": True}
        return list(torch.autograd.grad(value, inputs, **kwargs, **options))

    def _detach(value: Any) -> Any:
        return value.detach() if isinstance(value, torch.Tensor) else value

elif BACKEND == "jax":
    import jax
    from keras.src.backend.common.stateless_scope import get_stateless_scope, in_stateless_scope

    class _Scope(keras.StatelessScope):
        """A scope that starts from the enclosing one and remembers what it changed."""

        def __init__(self, overrides: Sequence[tuple[keras.Variable, Tensor]] = ()):
            super().__init__(state_mapping=list(overrides))
            if in_stateless_scope():
                outer = get_stateless_scope().state_mapping
                self.state_mapping = {**outer, **self.state_mapping}
            self.changed: dict[int, keras.Variable] = {}

        def add_update(self, update: tuple[keras.Variable, Tensor]) -> None:
            super().add_update(update)
            self.changed[id(update[0])] = update[0]

        def updates(self) -> list[Tensor]:
            return [self.state_mapping[key] for key in self.changed]

    def _publish(changed: Sequence[keras.Variable], values: Sequence[Tensor]) -> None:
        for variable, value in zip(changed, values, strict=True):
            variable.assign(value)

    def _pure(fn: Callable[..., Any], variables: Variables, changed: list[keras.Variable]):
        """`fn` as a function of the variables' values that also returns the state it changed."""

        def pure(values: Sequence[Tensor], *args: Tensor) -> tuple[Any, list[Tensor]]:
            with _Scope(list(zip(variables, values, strict=True))) as scope:
                result = fn(*args)
            changed[:] = scope.changed.values()
            return result, scope.updates()

        return pure

    def gradients(
        loss_fn: Callable[[], tuple[Tensor, Any]], variables: Variables
    ) -> tuple[Tensor, Any, list[Tensor]]:
        changed: list[keras.Variable] = []
        pure = _pure(loss_fn, variables, changed)

        def loss_first(values: Sequence[Tensor]) -> tuple[Tensor, tuple[Any, list[Tensor]]]:
            (loss, aux), updates = pure(values)
            return loss, (aux, updates)

        values = [v.value for v in variables]
        (loss, (aux, updates)), grads = jax.value_and_grad(loss_first, has_aux=True)(values)
        _publish(changed, updates)
        return loss, aux, grads

    def pullback(
        fn: Callable[..., Tensor], variables: Variables, inputs: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Callable[[Tensor], list[Tensor]]]:
        changed: list[keras.Variable] = []
        values = [v.value for v in variables]
        pure = _pure(fn, variables, changed)
        output, vjp, updates = jax.vjp(pure, values, *inputs, has_aux=True)
        _publish(changed, updates)

        def pull(output_gradient: Tensor) -> list[Tensor]:
            of_variables, *of_inputs = vjp(output_gradient)
            return [*of_variables, *of_inputs]

        return output, pull

    def input_gradient(
        fn: Callable[[Tensor], tuple[Tensor, Any]], x: Tensor, differentiable: bool = False
    ) -> tuple[Tensor, Any, Tensor]:
        changed: list[keras.Variable] = []
        pure = _pure(fn, (), changed)

        def value_first(x: Tensor) -> tuple[Tensor, tuple[Any, list[Tensor]]]:
            (value, aux), updates = pure((), x)
            return value, (aux, updates)

        (value, (aux, updates)), gradient = jax.value_and_grad(value_first, has_aux=True)(x)
        _publish(changed, updates)
        return value, aux, gradient

else:
    raise ImportError(
        f"KERAS_BACKEND={BACKEND!r} cannot train: choose 'tensorflow', 'jax' or 'torch'"
    )


def apply_gradients(
    optimizer: keras.optimizers.Optimizer, grads: Sequence[Tensor], variables: Variables
) -> None:
    """Let an optimizer change the variables it was built with.

    On JAX the stateless form is used: a `LossScaleOptimizer` branches on whether the gradients are
    finite, and a traced branch must not assign.
    """
    if BACKEND != "jax":
        optimizer.apply(grads, variables)
        return
    state = [v.value for v in optimizer.variables]
    new_values, new_state = optimizer.stateless_apply(state, grads, [v.value for v in variables])
    for variable, value in zip(variables, new_values, strict=True):
        variable.assign(value)
    for variable, value in zip(optimizer.variables, new_state, strict=True):
        variable.assign(value)


def compiled(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors, compiled where the backend compiles: for loops outside `fit`.

    The variables it reads are taken as they are at the first call.
    """
    if BACKEND == "tensorflow":
        return tf.function(fn)
    return jax.jit(fn) if BACKEND == "jax" else fn


def has_accelerator() -> bool:
    """Whether the active backend sees a GPU or TPU."""
    if BACKEND == "tensorflow":
        return bool(tf.config.list_physical_devices("GPU"))
    if BACKEND == "torch":
        return torch.cuda.is_available()
    return jax.default_backend() != "cpu"


def make_deterministic() -> None:
    """Ask the backend for bit-for-bit repeatable kernels, at some cost in speed on a GPU."""
    if BACKEND == "tensorflow":
        tf.config.experimental.enable_op_determinism()
    elif BACKEND == "torch":
        torch.use_deterministic_algorithms(True)


gradients.__doc__ = """Differentiate a loss with respect to variables.

Args:
    loss_fn: Takes nothing, returns `(loss, aux)`: a scalar, and any structure of tensors to hand
        through. It may update variables (moving statistics, seeds).
    variables: What to differentiate with respect to; one the loss does not depend on gets zeros.

Returns:
    `(loss, aux, gradients)`, the last a list in the order of `variables`.
"""
pullback.__doc__ = """Run a network once and keep the way back to its variables and inputs.

Args:
    fn: Takes `inputs`, returns one tensor.
    variables: The variables the gradient will be pulled back to.
    inputs: Float tensors that it will be pulled back to as well.

Returns:
    `(output, pull)`: the output, cut off from its history, and a function that maps a gradient
    with respect to the output to a list: the gradients of `variables`, then those of `inputs`.
"""
input_gradient.__doc__ = """Differentiate a scalar with respect to an input.

Args:
    fn: Takes a tensor like `x`, returns `(scalar, aux)`.
    x: A float tensor of any shape.
    differentiable: Whether the result will be differentiated again, inside the `loss_fn` of
        `gradients`. TensorFlow and JAX can always do so; PyTorch has to keep its graph.

Returns:
    `(scalar, aux, gradient)`, the last of the shape of `x`.
"""
