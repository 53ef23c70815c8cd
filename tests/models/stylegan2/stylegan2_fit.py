"""Prints what four steps of StyleGAN2 give on this backend, every phase among them, as JSON.

Weights and random numbers are the same on every backend: what the losses agree in is the algorithm.
"""

import json
from unittest import mock

import keras
import numpy as np
from keras import ops

from facegen_keras.data import load_faces
from facegen_keras.models.stylegan2.family import StyleGAN2


def drawn(shape, low=None, high=None, seed=None, **options):
    state = np.random.RandomState(len(shape))
    values = state.randn(*shape) if low is None else state.uniform(low, high, shape)
    return ops.convert_to_tensor(values, "float32")


def four_steps():
    model = StyleGAN2(
        resolution=32,
        latent_dim=8,
        w_dim=8,
        mapping_layers=2,
        channel_base=128,
        channel_max=4,
        r1_interval=2,
        path_interval=2,
        augment="color,translation",
        ada_target=0.6,
        ada_images=100,
    )
    model.compile()
    state = np.random.RandomState(0)
    for network in (model.generator, model.discriminator):
        for variable in network.trainable_variables:
            if "bias" not in variable.path and "strength" not in variable.path:
                variable.assign(state.randn(*variable.shape))
    images = np.random.RandomState(0).randint(0, 256, (16, 32, 32, 3)).astype("uint8")
    faces = load_faces(images, resolution=32, progress=False)
    history = model.fit(faces, epochs=1, batch_size=4, verbose=0).history
    state = {
        "path_mean": model.path_mean,
        "w_avg": model.generator.get_layer("truncation").w_avg,
        "probability": model.augmentation.probability,
    }
    state = {name: float(np.abs(ops.convert_to_numpy(v)).sum()) for name, v in state.items()}
    average = np.abs(ops.convert_to_numpy(model(np.zeros((2, 8), "float32")))).mean()
    return [model.steps, model.broken, history, state, float(average)]


def uniform(shape, low=0, high=1, seed=None, **options):
    return drawn(shape, low, high)


with (
    mock.patch.object(keras.random, "normal", drawn),
    mock.patch.object(keras.random, "uniform", uniform),
):
    print(json.dumps(four_steps()))
