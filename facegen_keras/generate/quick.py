"""Faces without the import of Keras, which takes more of a cold start than all the rest.

A generator of a VAE, a DCGAN or a combined model is a chain of a few kinds of layers. Where a file
holds nothing else, its kernels are run one after the other (`kernels`): the same operations on the
same numbers in the same order as Keras would run them, so that every bit of the images is the same,
which the tests see to for all models that are shipped. In any other case `open_quickly` returns
None, and `load_generator` opens the file.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Unpack

import h5py
import numpy as np

from facegen_keras import startup
from facegen_keras.export.model_file import ModelFile, read_description
from facegen_keras.export.parts import MAIN_PARTS
from facegen_keras.export.prior import read_prior
from facegen_keras.files.limits import unpacked_limit
from facegen_keras.generate.generator import Generator, SamplingOptions
from facegen_keras.kernels import Handle, Kernels, Unavailable

FAMILIES = ("vae", "dcgan", "combined")
Weights = Mapping[str, np.ndarray]
Step = Callable[[Kernels, Handle], Handle]
IMAGE = (3,)  # what follows batch, height and width


class _Other(Exception):
    """A file that is not such a chain."""


def open_quickly(
    path: str | os.PathLike,
    expected_family: str | None = None,
    prior: Literal["normal", "mixture"] | None = None,
) -> Generator | None:
    """A generator that draws what `load_generator` would draw, or None where that is to be asked.

    Args:
        path: As for `load_generator`; an .h5 of this package.
        expected_family: As there.
        prior: As there.
    """
    if startup.backend_name() != "tensorflow" or Path(path).suffix != ".h5":
        return None
    try:
        file, steps, shape = _read(Path(path))
        if file.metadata.get("family") not in (expected_family or file.metadata["family"], None):
            return None
        mixture = None if prior == "normal" else read_prior(file)
        if prior == "mixture" and mixture is None:
            return None
        with startup.quiet():
            kernels = Kernels()
        generator = _QuickGenerator(kernels, steps, shape, file)
        generator.forward(np.zeros((generator.chunk, generator.latent_dim), "float32"))
    except (_Other, Unavailable, OSError, KeyError, TypeError, ValueError, RuntimeError):
        return None  # `load_generator` says what is wrong, or draws
    generator.prior = mixture
    return generator


class _QuickGenerator(Generator):
    """A `Generator` without a Keras model."""

    def __init__(
        self, kernels: Kernels, steps: list[Step], shape: tuple[int, int], file: ModelFile
    ) -> None:
        latent_dim, resolution = shape
        self._kernels, self._steps = kernels, steps
        self._describe(latent_dim, resolution, file.metadata["family"], file.metadata, file.path)

    def forward(self, z: np.ndarray, **options: Unpack[SamplingOptions]) -> np.ndarray:
        self._refuse(options)
        x = self._kernels.tensor(np.asarray(z, "float32"))
        for step in self._steps:
            x = step(self._kernels, x)
        return self._kernels.array(x)


def _read(path: Path) -> tuple[ModelFile, list[Step], tuple[int, int]]:
    """What is in a file: its steps, and the lengths of latents and of a side of the images."""
    file = read_description(path)
    config, metadata = file.config, file.metadata
    with h5py.File(path, "r") as opened:
        if metadata["family"] not in FAMILIES or metadata.get("part") not in MAIN_PARTS:
            raise _Other
        first, *layers = _chain(config)
        batch, latent_dim = first["batch_shape"]
        if batch is not None:
            raise _Other
        steps = []
        shape: tuple[int, ...] = (latent_dim,)
        for kind, settings in layers:
            group = opened["model_weights"][settings["name"]]
            weights = {
                str(name).rpartition("/")[2]: _array(group[name], path)
                for name in group.attrs.get("weight_names", ())
            }
            more, shape = _KINDS[kind](settings, weights, shape)
            steps += more
    if len(shape) != 3 or shape[0] != shape[1] or shape[2:] != IMAGE:
        raise _Other
    return file, steps, (latent_dim, shape[0])


def _array(dataset: h5py.Dataset, path: Path) -> np.ndarray:
    """The numbers of a data set that lies in the file itself, as float32."""
    if dataset.dtype not in (np.float32, np.float16) or dataset.external or dataset.is_virtual:
        raise _Other
    if dataset.nbytes > unpacked_limit(path.stat().st_size):
        raise _Other
    numbers = np.asarray(dataset, "float32")
    if not np.isfinite(numbers).all():
        raise _Other
    return numbers


def _chain(config: dict) -> list[Any]:
    """The settings of the input, then kind and settings of each layer, in order."""
    inner = config["config"]
    if config["class_name"] != "Functional":
        raise _Other
    settings = {layer["name"]: layer for layer in inner["layers"]}
    before: dict[str, str | None] = {}
    for name, layer in settings.items():
        nodes = layer["inbound_nodes"]
        if not nodes:
            before[name] = None
            continue
        (node,) = nodes
        (argument,) = node["args"]
        if node["kwargs"] not in ({}, {"mask": None}):
            raise _Other
        before[name] = argument["config"]["keras_history"][0]
    name, order = inner["output_layers"][0], []
    while name is not None:
        order.append(name)
        name = before.pop(name)
    if before or settings[order[-1]]["class_name"] != "InputLayer":
        raise _Other  # layers beside the chain
    order.reverse()
    chain = [settings[order[0]]["config"]]
    for name in order[1:]:
        layer = settings[name]["config"]
        if _dtype(layer) != "float32":
            raise _Other
        chain.append((settings[name]["class_name"], layer))
    return chain


def _dtype(settings: dict) -> str:
    policy = settings["dtype"]
    return policy["config"]["name"] if isinstance(policy, dict) else policy


Made = tuple[list[Step], tuple[int, ...]]  # steps, and the shape of an output without its batch


def _dense(settings: dict, weights: Weights, shape: tuple[int, ...]) -> Made:
    _expect(settings, activation="linear", lora_rank=None, quantization_config=None)
    kernel = weights["kernel"]
    if shape != kernel.shape[:1]:
        raise _Other
    steps: list[Step] = [lambda k, x: k.run("MatMul", x, kernel)]
    return steps + _bias(settings, weights), kernel.shape[1:]


def _reshape(settings: dict, weights: Weights, shape: tuple[int, ...]) -> Made:
    target = tuple(settings["target_shape"])
    if -1 in target:
        raise _Other
    return [lambda k, x: k.run("Reshape", x, np.array([-1, *target], "int32"))], target


def _batch_normalization(settings: dict, weights: Weights, shape: tuple[int, ...]) -> Made:
    """In the order of `tf.nn.batch_normalization`."""
    _expect(settings, axis=-1, center=True, scale=True)
    gamma, beta = weights["gamma"], weights["beta"]
    mean, variance = weights["moving_mean"], weights["moving_variance"]
    epsilon = np.float32(settings["epsilon"])

    def normalize(k: Kernels, x: Handle) -> Handle:
        root = k.run("Rsqrt", k.run("AddV2", variance, np.asarray(epsilon)))
        scale = k.run("Mul", root, gamma)
        shift = k.run("Sub", beta, k.run("Mul", mean, scale))
        return k.run("AddV2", k.run("Mul", x, scale), shift)

    return [normalize], shape


def _transposed_convolution(settings: dict, weights: Weights, shape: tuple[int, ...]) -> Made:
    _expect(
        settings,
        activation="linear",
        padding="same",
        data_format="channels_last",
        output_padding=None,
        dilation_rate=[1, 1],
    )
    kernel, (down, across) = weights["kernel"], settings["strides"]
    height, width, channels = shape
    if channels != kernel.shape[3]:
        raise _Other
    output = (height * down, width * across, kernel.shape[2])

    def convolve(k: Kernels, x: Handle) -> Handle:
        sizes = np.array([k.rows(x), *output], "int32")
        strides = [1, down, across, 1]
        return k.run("Conv2DBackpropInput", sizes, kernel, x, strides=strides, padding=b"SAME")

    steps: list[Step] = [convolve]
    return steps + _bias(settings, weights), output


def _relu(settings: dict, weights: Weights, shape: tuple[int, ...]) -> Made:
    if settings.get("max_value") is not None or settings.get("negative_slope"):
        raise _Other
    if settings.get("threshold"):
        raise _Other
    return [lambda k, x: k.run("Relu", x)], shape


def _leaky_relu(settings: dict, weights: Weights, shape: tuple[int, ...]) -> Made:
    slope = float(settings["negative_slope"])
    return [lambda k, x: k.run("LeakyRelu", x, alpha=slope)], shape


def _activation(settings: dict, weights: Weights, shape: tuple[int, ...]) -> Made:
    _expect(settings, activation="tanh")
    return [lambda k, x: k.run("Tanh", x)], shape


def _bias(settings: dict, weights: Weights) -> list[Step]:
    if not settings["use_bias"]:
        return []
    bias = weights["bias"]
    return [lambda k, x: k.run("BiasAdd", x, bias)]


def _expect(settings: dict, **values: object) -> None:
    """Refuse settings that nothing here computes; those that a file does not name are defaults."""
    if any(name in settings and settings[name] != value for name, value in values.items()):
        raise _Other


_KINDS: dict[str, Callable[[dict, Weights, tuple[int, ...]], Made]] = {
    "Dense": _dense,
    "Reshape": _reshape,
    "facegen_keras>BatchNormalization": _batch_normalization,
    "Conv2DTranspose": _transposed_convolution,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "Activation": _activation,
}
