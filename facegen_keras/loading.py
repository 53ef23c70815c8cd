"""Exported generators and encoders, opened again.

A file is read and judged by `model_file` before Keras opens it. What this package exported opens
with plain `keras.saving.load_model` too, once the package is imported.
"""

import os

import keras

from facegen_keras.errors import UserError
from facegen_keras.generator import Generator
from facegen_keras.model_file import ModelFile, first_input_shape, read_model_file
from facegen_keras.parts import MAIN_PARTS, companion_path


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
    file = read_model_file(path)
    family = _family(file, expected_family)
    shape = first_input_shape(file.config)
    if file.metadata.get("part", "generator") not in MAIN_PARTS or not shape or len(shape) != 2:
        raise UserError(
            f"{path}: not a generator ({_what(file, shape)}); "
            "expected a model from latents (batch, latent_dim) to images"
        )
    model = open_model(file)
    output = model.output_shape
    if not isinstance(output, tuple) or len(output) != 4 or output[-1] != 3:
        raise UserError(f"{path}: not a generator (its output is {output}, not RGB images)")
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
    family = _family(file, expected_family)
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
        raise UserError(f"{file.path}: not an encoder ({_what(file, shape)})")
    return open_model(file)


def check_same_export(generator: ModelFile, companion: ModelFile) -> None:
    """Refuse a generator and an encoder or discriminator that were not exported together.

    Raises:
        UserError: Both files name their export, and not the same one.
    """
    pair = generator.metadata.get("export"), companion.metadata.get("export")
    if all(pair) and pair[0] != pair[1]:
        raise UserError(
            f"{companion.path}: exported from another model than {generator.path}; export both "
            "again"
        )


def _family(file: ModelFile, expected: str | None) -> str:
    family = file.metadata.get("family")
    if family and expected and family != expected:
        raise UserError(
            f"{file.path}: holds a {family} model, not {expected}; "
            f"say model {family} or leave the family out"
        )
    return family or expected or "unknown"


def _what(file: ModelFile, shape: tuple | None) -> str:
    part = file.metadata.get("part")
    return f"it holds a {part}" if part else f"its input is {shape}"


def open_model(file: ModelFile) -> keras.Model:
    """Open a file that `read_model_file` has judged.

    Raises:
        UserError: Keras cannot make a model of it.
    """
    try:
        return keras.saving.load_model(file.path, compile=False, safe_mode=True)
    except Exception as error:  # whatever a damaged or foreign file makes Keras raise
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{file.path}: Keras cannot open it ({first_line[:200]})") from error


def _generator_class(family: str) -> type[Generator]:
    if family == "stylegan2":
        from facegen_keras.stylegan2_generator import StyleGAN2Generator

        return StyleGAN2Generator
    return Generator
