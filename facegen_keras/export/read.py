"""Open exported models again, and their companions."""

import contextlib
import math
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from facegen_keras.errors import UserError, reason_of
from facegen_keras.export.model_file import (
    ModelFile,
    complain,
    first_input_shape,
    read_model_file,
)
from facegen_keras.export.parts import MAIN_PARTS, companion_path

_OPENING = threading.RLock()


def check_same_export(generator: ModelFile, companion: ModelFile) -> None:
    """Refuse a generator and a companion that were not exported together.

    Args:
        generator: The generator's file.
        companion: The file of its encoder or discriminator.

    Raises:
        UserError: Both files name their export, and the names differ.
    """
    pair = generator.metadata.get("export"), companion.metadata.get("export")
    if all(pair) and pair[0] != pair[1]:
        raise UserError(
            f"{companion.path}: exported from another model than {generator.path}; export both "
            "again"
        )


def open_model(file: ModelFile, force: bool = False) -> keras.Model:
    """Open a file that `read_model_file` has checked.

    Args:
        file: As that returns it.
        force: Warn of weights that are not finite, instead of refusing them.

    Raises:
        UserError: Keras cannot build a model from it, or a weight is not a finite number.
    """
    try:
        with _with_no_more_weights(file.numbers):
            model = keras.saving.load_model(file.path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged or foreign file can make Keras raise anything
        raise UserError(f"{file.path}: Keras cannot open it ({reason_of(error)})") from error
    broken = [weight.path for weight in model.weights if not _is_finite(weight)]
    if broken:
        complain(
            f"{file.path}: {len(broken)} of its weights are not finite numbers (first "
            f"{broken[0]}); its training broke or the file is damaged: export an earlier "
            "checkpoint",
            force,
        )
    return model


@contextlib.contextmanager
def _with_no_more_weights(numbers: int) -> Iterator[None]:
    """Refuse layers with more weights than a file has numbers, before Keras makes room for them.

    A configuration of a few bytes can ask for any number. One thread at a time; what others build
    meanwhile does not count.
    """
    with _OPENING:
        yield from _counting(numbers)


def _counting(numbers: int) -> Iterator[None]:
    make, left, opening = keras.layers.Layer.add_weight, numbers, threading.get_ident()

    def add_weight(layer: Any, shape: Any = None, *args: Any, **kwargs: Any) -> Any:
        nonlocal left
        if threading.get_ident() != opening:
            return make(layer, shape, *args, **kwargs)
        left -= math.prod(shape or ())
        if left < 0:
            raise ValueError(f"it has more weights than the {numbers:,} numbers of the file")
        return make(layer, shape, *args, **kwargs)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = make


def _is_finite(weight: keras.Variable) -> bool:
    values = keras.ops.convert_to_numpy(weight.value)
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())


def discriminator_path(path: str | os.PathLike) -> Path:
    """The path of the discriminator that belongs to the generator at `path`."""
    return companion_path(path, "stylegan2", "discriminator")


def load_companion(generator_path: str | os.PathLike, family: str, part: str) -> keras.Model:
    """Open the `"encoder"` or `"discriminator"` beside a generator of a family.

    Raises:
        UserError: It is missing, damaged or unsafe, or was exported from another model.
    """
    file = read_model_file(companion_path(generator_path, family, part))
    check_same_export(read_model_file(generator_path), file)
    return open_model(file)


def read_generator(
    path: str | os.PathLike, expected_family: str | None = None, force: bool = False
) -> tuple[keras.Model, ModelFile, str]:
    """Open the Keras model of a generator, from latents `(batch, latent_dim)` to RGB images.

    Args:
        path: A .h5 or .keras file.
        expected_family: The family it must be. It also names the family of a file that does not.
        force: Open a damaged file all the same, with a warning.

    Returns:
        `(model, file, family)`; the family is `"unknown"` where neither names it.

    Raises:
        UserError: The file is missing, damaged, unsafe, not a generator, or of another family.
    """
    file = read_model_file(path, force)
    family = family_of(file, expected_family)
    shape = first_input_shape(file.config)
    if file.metadata.get("part", "generator") not in MAIN_PARTS or not shape or len(shape) != 2:
        raise UserError(
            f"{path}: not a generator ({describe(file, shape)}); "
            "expected a model from latents (batch, latent_dim) to images"
        )
    model = open_model(file, force)
    output = model.output_shape
    if not isinstance(output, tuple) or len(output) != 4 or output[-1] != 3:
        raise UserError(f"{path}: not a generator (its output is {output}, not RGB images)")
    return model, file, family


def family_of(file: ModelFile, expected: str | None) -> str:
    """The family that a file names, else the expected one, else `"unknown"`.

    Raises:
        UserError: The file names another family than the expected one.
    """
    family = file.metadata.get("family")
    if family and expected and family != expected:
        raise UserError(
            f"{file.path}: holds a {family} model, not {expected}; "
            f"give {family} as the family, or leave it out"
        )
    return family or expected or "unknown"


def describe(file: ModelFile, shape: tuple | None) -> str:
    """A few words on what a file holds instead, for errors."""
    part = file.metadata.get("part")
    return f"it holds the {part} of a model" if part else f"its input is {shape}"
