"""Exported generators and encoders, opened again.

A file is read and judged by `model_file` before Keras opens it. What this package exported opens
with plain `keras.saving.load_model` too, once the package is imported.
"""

import os
from typing import Any

import keras

from facegen_keras.errors import UserError
from facegen_keras.export.model_file import first_input_shape, read_model_file
from facegen_keras.export.parts import companion_path
from facegen_keras.export.read import (
    check_same_export,
    describe,
    family_of,
    open_model,
    read_generator,
)
from facegen_keras.generate.generator import Generator


def load_generator(path: str | os.PathLike, expected_family: str | None = None) -> Generator:
    """Open a generator written by `save_generator`, or any plain Keras one (vector to image).

    The file is judged before Keras opens it: nothing but `keras.layers` and this package's layers
    may be named in it, and nothing in it is executed.

    Args:
        path: A .h5 or .keras file.
        expected_family: The family it has to be; names the family of a file that does not say.

    Raises:
        UserError: The path is missing, or the file is truncated, unsafe, not a generator, or of
            another family.
    """
    model, file, family = read_generator(path, expected_family)
    kind = _generator_class(family)
    return kind(model, family=family, metadata=file.metadata, path=file.path)


def load_encoder(path: str | os.PathLike, expected_family: str | None = None) -> keras.Model:
    """Open the encoder at `path`, or the one that stands beside the generator at `path`.

    Returns:
        A model from (n, height, width, 3) float32 in [-1, 1] to (n, 2 * latent_dim): the mean
        and the logarithm of the variance, concatenated.

    Raises:
        UserError: As `load_generator`; also when a generator has no encoder, or the two come from
            different exports.
    """
    file = read_model_file(path)
    family = family_of(file, expected_family)
    if len(first_input_shape(file.config) or ()) == 2:
        beside = companion_path(path, family, "encoder")
        if not beside.exists():
            raise UserError(
                f"{path}: has no encoder ({beside} does not exist); "
                "only a vae or combined model encodes photos"
            )
        generator, file = file, read_model_file(beside)
        check_same_export(generator, file)
    shape = first_input_shape(file.config)
    if not shape or len(shape) != 4:
        raise UserError(f"{file.path}: not an encoder ({describe(file, shape)})")
    return open_model(file)


def _generator_class(family: str) -> type[Generator]:
    if family == "stylegan2":
        from facegen_keras.generate.stylegan2 import StyleGAN2Generator

        return StyleGAN2Generator
    return Generator


def as_generator(model: Any) -> Generator:
    """The exportable (averaged, float32) generator of a model in training."""
    network = model.export_parts()[model.main_part]
    if model.family == "stylegan2":
        from facegen_keras.generate.stylegan2 import StyleGAN2Generator

        return StyleGAN2Generator(network)
    return Generator(network, model.family)
