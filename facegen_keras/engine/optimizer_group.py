"""One optimizer to Keras, several to a GAN."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from facegen_keras.backend.types import Tensor
from facegen_keras.errors import UserError


class OptimizerGroup(keras.optimizers.Optimizer):
    """Several optimizers that Keras's trainers see as one.

    JAX's trainer carries `optimizer.variables` from step to step and nothing else, so they have to
    be the variables of all of them. `group["generator"]` is one of them, `by_name` has them all.
    """

    def __init__(self, optimizers: Mapping[str, keras.optimizers.Optimizer]) -> None:
        super().__init__(learning_rate=0.0, name="optimizer_group")
        self.optimizers = list(optimizers.values())  # the name that Keras's callbacks look for
        self.by_name = dict(optimizers)
        self.built = True

    def __getitem__(self, name: str) -> keras.optimizers.Optimizer:
        return self.by_name[name]

    @property
    def variables(self) -> list[keras.Variable]:
        return [v for optimizer in self.optimizers for v in optimizer.variables]

    @property
    def iterations(self) -> keras.Variable:
        return self.optimizers[0].iterations

    def finalize_variable_values(self, var_list: list[keras.Variable]) -> None:
        """Nothing to do: averages of weights are kept by the models."""


def start_anew(optimizers: Sequence[keras.optimizers.Optimizer], begins: Tensor) -> None:
    """Let optimizers forget their steps where another loss or other layers begin, as the code of
    Karras et al. 2018 does with every new resolution.

    Args:
        optimizers: Those that forget.
        begins: Whether this is the first step of what is new, a boolean scalar.
    """
    for optimizer in optimizers:
        inner = getattr(optimizer, "inner_optimizer", optimizer)  # of a loss scale
        for variable in inner.variables:
            if variable.name != "learning_rate":
                variable.assign(ops.where(begins, ops.zeros_like(variable.value), variable.value))


def one_per_network(
    given: Mapping[str, Any] | Any, networks: Mapping[str, Any], family: str
) -> dict[str, keras.optimizers.Optimizer]:
    """The optimizer of each network, from what the caller of `compile` gave.

    Args:
        given: What Keras takes for an optimizer, by the name of the network; for a family with one
            network also without the name.
        networks: The trained networks by name.
        family: Name of the family, for messages.

    Raises:
        UserError: An optimizer is missing, has no network, or has two of them.
    """
    expected = f"expected one for each of {', '.join(sorted(networks))}, by these names"
    if not isinstance(given, Mapping):
        if len(networks) > 1:
            raise UserError(f"{family}: one optimizer for all networks; {expected}")
        given = dict.fromkeys(networks, given)
    if set(given) != set(networks):
        raise UserError(
            f"{family}: optimizers for {', '.join(sorted(given)) or 'nothing'}; {expected}"
        )
    optimizers = {name: _optimizer(name, optimizer) for name, optimizer in given.items()}
    if len({id(optimizer) for optimizer in optimizers.values()}) < len(optimizers):
        raise UserError(f"{family}: one optimizer for two networks; {expected}")
    return optimizers


def _optimizer(name: str, given: Any) -> keras.optimizers.Optimizer:
    """An optimizer from what Keras takes for one: itself, its name or its configuration."""
    try:
        return keras.optimizers.get(given)
    except (ValueError, TypeError):
        raise UserError(
            f"{name}: {given!r} is not an optimizer; give one such as keras.optimizers.Adam(2e-4)"
        ) from None
