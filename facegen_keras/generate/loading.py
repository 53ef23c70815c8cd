"""Open exported generators and encoders again.

`export.model_file` reads and checks a file before Keras opens it. What this package exported also
opens with plain `keras.saving.load_model`, once the package is imported.
"""

import os

import keras

from facegen_keras.errors import UserError
from facegen_keras.export.model_file import first_input_shape, read_model_file
from facegen_keras.export.parts import Exportable, companion_path
from facegen_keras.export.read import (
    check_same_export,
    describe,
    family_of,
    open_model,
    read_generator,
)
from facegen_keras.generate.generator import Generator
from facegen_keras.generate.stylegan2 import StyleGAN2Generator

# Families whose generators offer more than `Generator` does.
GENERATORS: dict[str, type[Generator]] = {"stylegan2": StyleGAN2Generator}


def load_generator(path: str | os.PathLike, expected_family: str | None = None) -> Generator:
    """Open a generator written by `save_generator`, or any plain Keras one (vector to image).

    The file is checked before Keras opens it: it may name only `keras.layers` and the layers of
    this package, and nothing in it is executed.

    Args:
        path: A .h5 or .keras file.
        expected_family: The family it must be. It also names the family of a file that does not.

    Raises:
        UserError: The file is missing, truncated, unsafe, not a generator, or of another family.
    """
    model, file, family = read_generator(path, expected_family)
    kind = GENERATORS.get(family, Generator)
    return kind(model, family=family, metadata=file.metadata, path=file.path)


def load_encoder(path: str | os.PathLike, expected_family: str | None = None) -> keras.Model:
    """Open the encoder at `path`, or the one beside the generator at `path`.

    Args:
        path: A .h5 or .keras file of an encoder or of a generator.
        expected_family: The family it must be.

    Returns:
        A model from float32 `(batch, height, width, 3)` in [-1, 1] to `(batch, 2 * latent_dim)`:
        the mean and the log-variance, concatenated.

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


def as_generator(model: Exportable) -> Generator:
    """The exportable (averaged, float32) generator of a model in training.

    Args:
        model: A model of one of the families.
    """
    network = model.export_parts()[model.main_part]
    return GENERATORS.get(model.family, Generator)(network, model.family)
