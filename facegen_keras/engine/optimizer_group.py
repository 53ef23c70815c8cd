"""One optimizer to Keras, several to a GAN."""

from collections.abc import Mapping

import keras


class OptimizerGroup(keras.optimizers.Optimizer):
    """Several optimizers that Keras's trainers see as one.

    JAX's trainer carries `optimizer.variables` from step to step and nothing else, so they have to
    be the variables of all of them. `group["generator"]` is one of them.
    """

    def __init__(self, optimizers: Mapping[str, keras.optimizers.Optimizer]):
        super().__init__(learning_rate=0.0, name="optimizer_group")
        self.optimizers = list(optimizers.values())  # the name that Keras's callbacks look for
        self._by_name = dict(optimizers)
        self.built = True

    def __getitem__(self, name: str) -> keras.optimizers.Optimizer:
        return self._by_name[name]

    @property
    def variables(self) -> list[keras.Variable]:
        return [v for optimizer in self.optimizers for v in optimizer.variables]

    @property
    def iterations(self) -> keras.Variable:
        return self.optimizers[0].iterations

    def finalize_variable_values(self, var_list: list[keras.Variable]) -> None:
        """Nothing to do: averages of weights are kept by the models."""
