"""A model in training as one `.keras` file, which Keras writes and opens again.

Checkpoints are another thing (`checkpoint`): they also hold the place in the data and in the log.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from keras import ops

from facegen_keras.errors import UserError

RANDOM_STREAM = "random_stream"  # in a `.keras`


class WholeModel(keras.Model):
    """What Keras asks of a model with several optimizers and a random stream of its own."""

    def save(self, filepath: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """Save the whole model in training as a `.keras`, as Keras does.

        Raises:
            UserError: It has another ending.
        """
        if Path(filepath).suffix != ".keras":
            raise UserError(
                f"{filepath}: a whole model is saved as .keras; its generator alone as .h5, with "
                "facegen_keras.save_generator(model, path)"
            )
        super().save(filepath, *args, **kwargs)

    def get_compile_config(self) -> dict[str, Any]:
        optimizers = {
            name: keras.saving.serialize_keras_object(getattr(each, "inner_optimizer", each))
            for name, each in self.optimizer.by_name.items()
        }
        return {"optimizers": optimizers, "jit_compile": self.jit_compile}

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        # Keras then restores the state of the optimizers.
        optimizers = {
            name: keras.saving.deserialize_keras_object(each)
            for name, each in config["optimizers"].items()
        }
        self.compile(optimizers, jit_compile=config["jit_compile"])

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        # Keras does not save the random stream.
        store[RANDOM_STREAM] = ops.convert_to_numpy(self.seed_generator.state.value)

    def load_own_variables(self, store: Any) -> None:
        names = [name for name in store.keys() if name != RANDOM_STREAM]  # noqa: SIM118 - no mapping
        super().load_own_variables({name: store[name] for name in names})
        self.seed_generator.state.assign(store[RANDOM_STREAM])
