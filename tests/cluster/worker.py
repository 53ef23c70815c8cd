"""Trains families for six steps on some devices, and writes what came of it.

    worker.py OUT.npz CASES DEVICES           on N of the virtual devices of this process
    worker.py OUT.npz CASES HOST:PORT,N,K     in process K of N
    worker.py --flops DEVICES CASES           what a step costs a device, as JSON, for each number

CASES is a list of names separated by commas. Every process writes what it has: `case/place` to
values of weights, of optimizers and counters, and of samples.
"""

import json
import sys

import keras
import numpy as np

import facegen_keras as fg
from facegen_keras.engine import distribution

SMALL = {"resolution": 32, "latent_dim": 6}
CONVOLUTIONAL = {**SMALL, "base_channels": 4}
STYLES = {**SMALL, "channel_base": 128, "channel_max": 8, "w_dim": 8, "mapping_layers": 1}
STYLES |= {"r1_interval": 2, "path_interval": 3}
ADAPTIVE = {"augment": "color,translation,cutout", "ada_target": 0.6, "ada_images": 1000}
CASES = {
    "vae": (fg.VAE, {**CONVOLUTIONAL, "kl_warmup": 64}),
    "vae_gaussian": (fg.VAE, {**CONVOLUTIONAL, "reconstruction": "gaussian"}),
    "vae_bfloat16": (fg.VAE, {**CONVOLUTIONAL, "precision": "bfloat16"}),
    "dcgan": (fg.DCGAN, {**CONVOLUTIONAL, "r1_gamma": 1.0, "r1_interval": 3, "augment": "color"}),
    "dcgan_bfloat16": (fg.DCGAN, {**CONVOLUTIONAL, "precision": "bfloat16"}),
    "dcgan_relativistic": (
        fg.DCGAN,
        {**CONVOLUTIONAL, **ADAPTIVE, "loss": "relativistic", "r1_gamma": 1.0, "r2_gamma": 1.0},
    ),
    "combined": (fg.Combined, CONVOLUTIONAL),
    "combined_relativistic": (fg.Combined, {**CONVOLUTIONAL, **ADAPTIVE, "loss": "relativistic"}),
    # Every step with both regularizers, which is one phase to compile; below with all four phases.
    "stylegan2": (fg.StyleGAN2, {**STYLES, **ADAPTIVE, "r1_interval": 1, "path_interval": 1}),
    "stylegan2_lazy": (fg.StyleGAN2, {**STYLES, **ADAPTIVE}),
    "stylegan2_accumulate": (fg.StyleGAN2, {**STYLES, "accumulate": 2}),
    "stylegan2_progressive": (fg.StyleGAN2, {**STYLES, "progressive": "16:0.048"}),
    "stylegan2_bfloat16": (fg.StyleGAN2, {**STYLES, "precision": "bfloat16"}),
}
BATCH, STEPS = 16, 6


def made(case, seed=0):
    kind, options = CASES[case]
    keras.utils.set_random_seed(seed)
    model = kind(**options)
    model.compile()
    return model


def photos():
    return np.random.RandomState(0).randint(0, 256, (BATCH * STEPS, 32, 32, 3), dtype=np.uint8)


def trained(case):
    """The state of a model after an epoch of six steps, and its first faces."""
    model = made(case)
    model.fit(photos(), epochs=1, batch_size=BATCH, verbose=0)
    trained = {id(variable) for variable in model.trainable_variables}
    state = {
        f"{'weight' if id(v) in trained else 'other'}{k}": keras.ops.convert_to_numpy(v.value)
        for k, v in enumerate([*model.variables, *model.optimizer.variables])
    }
    state["samples"] = model.sample(range(3))
    if model.has_validation:
        with distribution.alone(model):
            state["validation"] = np.array(list(model.validate(photos()[:20]).values()))
    return {f"{case}/{name}": value for name, value in state.items()}


def flops(counts, cases):
    from facegen_keras.engine.step_cost import step_cost

    found = {}
    for case in cases:
        for count in counts:
            distribution.forget()
            distribution.distribute(devices=count)
            model = made(case)
            model.begin(8 * BATCH, 1)
            cost = step_cost(model, model.phases[-1])  # the one with every regularizer
            found.setdefault(case, {})[count] = cost.flops
    return found


if __name__ == "__main__":
    first, second, third = sys.argv[1:]
    if first == "--flops":
        print(json.dumps(flops([int(n) for n in second.split(",")], third.split(","))))
    else:
        several = {"devices": int(third)} if third.isdigit() else {"cluster": third}
        distribution.distribute(**several)
        np.savez(first, **{k: v for case in second.split(",") for k, v in trained(case).items()})
