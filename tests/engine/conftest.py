"""A model that trains in no time and whose numbers can be worked out by hand."""

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from facegen_keras.engine import autodiff
from facegen_keras.engine.face_model import FaceModel
from facegen_keras.engine.options import FaceModelOptions


class Toy(FaceModel):
    """One weight per colour, drawn to the mean colour of the photos; phase b every fourth step.

    Args:
        broken_at: Step (from 1) whose `colour` is not a number.
        seed: Of the noise.
        augment: Changes nothing; the one option that may change on resume.
    """

    family = "toy"
    loss_names = ("number", "colour", "phase_b")
    phases = ("a", "b")

    def __init__(self, broken_at: int = 0, seed: int = 0, augment: str = ""):
        super().__init__(FaceModelOptions(resolution=32, latent_dim=4, seed=seed))
        self.broken_at, self.augment = broken_at, augment
        inputs = keras.Input((3,))
        self.network = keras.Model(inputs, keras.layers.EinsumDense("bc,c->bc", (3,))(inputs))
        self.built = True

    def phase_of(self, step: int) -> str:
        return "b" if step % 4 == 0 else "a"

    def update(self, images: Any, phase: str) -> dict[str, Any]:
        noise = keras.random.normal((3,), stddev=0.01, seed=self.seed_generator)
        colours = ops.mean(images, axis=(1, 2)) + noise

        def loss() -> tuple[Any, None]:
            return ops.mean(ops.square(self.network(ops.ones((1, 3))) - colours)), None

        value, _, grads = autodiff.gradients(loss, self.network.trainable_variables)
        self.apply_gradients("network", grads)
        number = ops.cast(self._steps.value + 1, "float32")
        report = {
            "number": number,
            "colour": ops.where(ops.equal(number, self.broken_at), float("nan"), value),
        }
        return report | {"phase_b": ops.ones(())} if phase == "b" else report

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        return {"network": keras.optimizers.Adam(0.01)}

    def networks(self) -> dict[str, keras.Model]:
        return {"network": self.network}

    def get_config(self) -> dict[str, Any]:
        return {"broken_at": self.broken_at, "seed": self.seed, "augment": self.augment}


@pytest.fixture
def toy() -> Callable[..., Toy]:
    """`toy(broken_at=0, seed=0, augment="")`: compiled, always with the same initial weights."""

    def make(compile: bool = True, **options: Any) -> Toy:
        keras.utils.set_random_seed(1)
        model = Toy(**options)
        if compile:
            model.compile()
        return model

    return make


@pytest.fixture
def state() -> Callable[[FaceModel], dict[str, np.ndarray]]:
    """Everything that a checkpoint has to keep, as arrays."""

    def read(model: FaceModel) -> dict[str, np.ndarray]:
        variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
        return {
            # Keras numbers layers and optimizers through the process: einsum_dense_11.
            f"{k} {re.sub(r'_[0-9]+', '', v.path)}": np.array(ops.convert_to_numpy(v.value))
            for k, v in enumerate(variables)
        }

    return read
