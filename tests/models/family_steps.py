"""Prints what two steps of every family give on this backend, as JSON.

The first backend writes the initial weights to the .npz named by `FACEGEN_TEST_WEIGHTS`, the
others read them. Latents are fixed; batches are the same by the order of the data.
"""

import json
import os

import keras
import numpy as np
from keras import ops

import facegen_keras as fg

SMALL = {"resolution": 32, "latent_dim": 6, "base_channels": 4}
FAMILIES = {
    "vae": (fg.VAE, {"reconstruction": "bce", "kl_warmup": 8}),
    "dcgan": (fg.DCGAN, {"r1_gamma": 10.0, "r1_interval": 2, "label_smoothing": 0.1}),
    "combined": (fg.Combined, {}),
    "dcgan_relativistic": (
        fg.DCGAN,
        {"loss": "relativistic", "spectral_norm": True, "r1_gamma": 1.0, "r2_gamma": 1.0},
    ),
    "combined_warm_up": (fg.Combined, {"warm_up_images": 5}),  # in the first step
    "combined_relativistic": (fg.Combined, {"loss": "relativistic", "spectral_norm": True}),
}
BATCH = 5  # odd: the combined model's halves differ


def networks(model):
    names = ("encoder", "decoder", "generator", "discriminator", "generator_ema", "encoder_ema")
    return {name: getattr(model, name) for name in names if hasattr(model, name)}


def steps(family, images, weights, write):
    kind, options = FAMILIES[family]
    keras.utils.set_random_seed(3)
    model = kind(**SMALL, **options)
    model.compile()
    for name, network in networks(model).items():
        keys = [f"{family}/{name}/{k}" for k in range(len(network.weights))]
        if write:
            # Wider than the DCGAN's N(0, 0.02), so that an error shows.
            values = [w * 3 if w.ndim > 1 else w for w in network.get_weights()]
            weights.update(zip(keys, values, strict=True))
        network.set_weights([weights[key] for key in keys])
    fixed = np.random.RandomState(1).randn(BATCH, SMALL["latent_dim"]).astype("float32")
    model.draw_latents = lambda n: ops.convert_to_tensor(fixed[:n] + 0.1 * n)
    history = model.fit(images, epochs=2, batch_size=BATCH, verbose=0).history
    return {
        "losses": history,
        "steps": model.steps,
        "samples": model.sample(range(3)).reshape(-1)[::97].tolist(),
        "gone": float(
            np.mean(
                [
                    np.abs(np.subtract(w, weights[f"{family}/{name}/{k}"])).mean()
                    for name, network in networks(model).items()
                    for k, w in enumerate(network.get_weights())
                ]
            )
        ),
    }


def all_steps():
    path = os.environ["FACEGEN_TEST_WEIGHTS"]
    write = not os.path.exists(path)
    weights = {} if write else dict(np.load(path))
    corners = np.random.RandomState(2).randint(0, 256, (BATCH, 4, 4, 3), dtype=np.uint8)
    images = corners.repeat(8, axis=1).repeat(8, axis=2)
    result = {family: steps(family, images, weights, write) for family in FAMILIES}
    if write:
        np.savez(path, **weights)
    return result


if __name__ == "__main__":
    print(json.dumps(all_steps()))
