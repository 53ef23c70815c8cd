"""What a training step costs a device, as XLA counts it after compiling (JAX only)."""

from collections.abc import Hashable
from dataclasses import dataclass

import jax
import keras
import numpy as np

from facegen_keras.engine.face_model import FaceModel


@dataclass(frozen=True)
class StepCost:
    """The cost of one step to one device.

    Attributes:
        flops: Floating-point operations.
        bytes_accessed: Bytes read and written, as if nothing stayed in a cache.
        memory: Bytes that the step needs at once: state, photos, activations.
    """

    flops: float
    bytes_accessed: float
    memory: int


def step_cost(model: FaceModel, phase: Hashable) -> StepCost:
    """Compile a step and ask XLA for its cost; nothing is trained.

    Args:
        model: Compiled, and prepared by `fit` or `begin`, which say the batch size.
        phase: One of the model's phases.
    """
    shape = (model.batch_size, model.resolution, model.resolution, 3)
    spread = keras.distribution.distribution()
    sharding = None if spread is None else spread.get_data_layout(shape).backend_layout
    photos = jax.ShapeDtypeStruct(shape, np.uint8, sharding=sharding)
    state = tuple(
        [variable.value for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )
    step = jax.jit(model.train_step_of(phase), donate_argnums=0)
    compiled = step.lower(state, photos).compile()
    counts, memory = compiled.cost_analysis(), compiled.memory_analysis()
    sizes = (
        memory.argument_size_in_bytes,
        memory.output_size_in_bytes,
        memory.temp_size_in_bytes,
        -memory.alias_size_in_bytes,  # outputs in the place of arguments
    )
    return StepCost(counts["flops"], counts["bytes accessed"], sum(sizes))
