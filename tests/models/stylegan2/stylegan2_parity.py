"""Prints how far every array of the official reference is from ours; run on each backend."""

import json

import keras
import numpy as np
from keras import ops

from facegen_keras.engine import autodiff
from facegen_keras.models import stylegan2


def compiled(function):
    """JAX compiles operation by operation otherwise, which takes minutes."""
    if keras.backend.backend() != "jax":
        return function
    import jax

    return jax.jit(function)


reference = dict(np.load("tests/fixtures/stylegan2_reference.npz"))
state = {k: v for k, v in reference.items() if k[:2] in ("G/", "D/")}
channels = {4: 32, 8: 32, 16: 32, 32: 16}
generator = stylegan2.build_generator(32, 32, 32, 2, channels)
discriminator = stylegan2.build_discriminator(32, channels)
stylegan2.load_official(generator, state)
stylegan2.load_official(discriminator, state)
networks = {"const": generator.get_layer("synthesis")}
for mode in ("none", "input"):
    networks[mode] = stylegan2.build_synthesis(32, 32, channels, noise_mode=mode)
    networks[mode].set_weights(networks["const"].get_weights())
synthesis = compiled(lambda w: networks["const"](w))
w_avg = ops.convert_to_numpy(generator.get_layer("truncation").w_avg)
w = ops.convert_to_numpy(generator.get_layer("mapping")(reference["z"]))


def truncated(psi, cutoff=8):
    styles = np.repeat(w[:, None], 8, axis=1)
    styles[:, :cutoff] = w_avg + psi * (styles[:, :cutoff] - w_avg)
    return styles


styles = truncated(1.0)
mixed = np.concatenate([styles[:, :3], styles[::-1, 3:]], axis=1)
direction = ops.convert_to_tensor(reference["path_noise"] / 32)
real = ops.convert_to_tensor(reference["real"])
constants = [layer.noise_const for layer in networks["const"].layers if "conv" in layer.name]
constants = np.concatenate([ops.convert_to_numpy(constant).ravel() for constant in constants])
noise = np.tile(constants, (8, 1))


def path_lengths(w, differentiable=False):
    def projected(w):
        return ops.sum(networks["const"](w) * direction), ()

    gradient = autodiff.input_gradient(projected, w, differentiable)[2]
    return ops.sqrt(ops.mean(ops.sum(ops.square(gradient), axis=2), axis=1))


def penalties(x, differentiable=False):
    def summed(x):
        return ops.sum(discriminator(x)), ()

    gradient = autodiff.input_gradient(summed, x, differentiable)[2]
    return ops.sum(ops.square(gradient), axis=(1, 2, 3))


def error(ours, theirs):
    ours = ops.convert_to_numpy(ours)
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


ours = {
    "w": w,
    "image_psi_1.0_noise_const": compiled(lambda z: generator(z))(reference["z"]),
    "image_psi_0.7_noise_const": synthesis(truncated(0.7)),
    "image_psi_0.7_noise_none": compiled(lambda w: networks["none"](w))(truncated(0.7)),
    "image_psi_0.5_cutoff_4_noise_const": synthesis(truncated(0.5, 4)),
    "image_mixed_from_layer_3_with_reversed_batch": synthesis(mixed),
    "logits_real": compiled(lambda x: discriminator(x))(real),
    "r1_penalty": compiled(penalties)(real),
    "path_lengths": compiled(path_lengths)(ops.convert_to_tensor(styles)),
}
errors = {name: error(value, reference[name]) for name, value in ours.items()}
with_noise = compiled(lambda w, noise: networks["input"]([w, noise]))(styles, noise)
errors["noise_input"] = error(with_noise, reference["image_psi_1.0_noise_const"])


# Second derivatives. The penalty is quadratic in the last layer's weights, the path lengths are
# linear in those of the RGB layers, so Euler's theorem gives their derivatives exactly.
def derivatives(loss, network, along, x):
    def sums(x):
        value, _, gradients = autodiff.gradients(lambda: (ops.mean(loss(x, True)), ()), variables)
        pairs = zip(gradients, variables, strict=True)
        chosen = sum(ops.sum(g * v) for g, v in pairs if along in v.path)
        return chosen / value, sum(ops.sum(ops.abs(g)) for g in gradients)

    variables = network.trainable_variables
    return [float(ops.convert_to_numpy(value)) for value in compiled(sums)(x)]


second = {
    "r1": derivatives(penalties, discriminator, "b4_out/kernel", real),
    "path": derivatives(
        path_lengths, networks["const"], "torgb/kernel", ops.convert_to_tensor(styles)
    ),
}
print(json.dumps([errors, second]))
