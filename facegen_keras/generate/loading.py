"""Open exported generators and encoders again.

`export.model_file` reads and checks a file before Keras opens it. What this package exported also
opens with plain `keras.saving.load_model`, once the package is imported.
"""

import os
from typing import Literal

import keras

from facegen_keras.errors import UserError
from facegen_keras.export.from_hub import local_model
from facegen_keras.export.model_file import first_input_shape, read_model_file
from facegen_keras.export.parts import Exportable, companion_path
from facegen_keras.export.prior import read_prior
from facegen_keras.export.read import (
    check_same_export,
    describe,
    family_of,
    open_model,
    read_generator,
)
from facegen_keras.export.write import prior_metadata
from facegen_keras.generate.generator import Generator
from facegen_keras.generate.stylegan2 import StyleGAN2Generator
from facegen_keras.mixture import Mixture

# Families whose generators offer more than `Generator` does.
GENERATORS: dict[str, type[Generator]] = {"stylegan2": StyleGAN2Generator}


def load_generator(
    path: str | os.PathLike,
    expected_family: str | None = None,
    prior: Literal["normal", "mixture"] | None = None,
    force: bool = False,
) -> Generator:
    """Open a generator written by `save_generator`, or any plain Keras one (vector to image).

    The file is checked before Keras opens it: it may name only `keras.layers` and the layers of
    this package, and nothing in it is executed.

    Args:
        path: A .h5 or .keras file, or `hf:owner/name[/file.h5][@revision]` of the Hugging Face Hub
            (see `export.from_hub`).
        expected_family: The family it must be. It also names the family of a file that does not.
        prior: "normal" leaves out a mixture that the file holds, "mixture" asks for one; None:
            what the file has.
        force: Open a file whose checksum is wrong, or whose weights are not finite, with a warning.

    Raises:
        UserError: The file is missing, damaged, unsafe, not a generator, or of another family, or
            it holds no mixture; or there is no such prior.
    """
    if prior not in (None, "normal", "mixture"):
        raise UserError(f"prior {prior!r}: expected normal or mixture, or None for the file's own")
    model, file, family = read_generator(local_model(path), expected_family, force)
    mixture = None if prior == "normal" else read_prior(file)
    if prior == "mixture" and mixture is None:
        advice = (
            "resume its training with prior mixture"
            if family in ("vae", "combined")
            else f"a {family} has no other; leave prior out"
        )
        raise UserError(f"{path}: holds no mixture, its prior is normal; {advice}")
    kind = GENERATORS.get(family, Generator)
    generator = kind(model, family=family, metadata=file.metadata, path=file.path)
    generator.prior = mixture
    return generator


def load_encoder(
    path: str | os.PathLike, expected_family: str | None = None, force: bool = False
) -> keras.Model:
    """Open the encoder at `path`, or the one beside the generator at `path`.

    Args:
        path: A .h5 or .keras file of an encoder or of a generator, also on the hub as for
            `load_generator`.
        expected_family: The family it must be.
        force: As for `load_generator`.

    Returns:
        A model from float32 `(batch, height, width, 3)` in [-1, 1] to `(batch, 2 * latent_dim)`:
        the mean and the log-variance, concatenated.

    Raises:
        UserError: As `load_generator`; also when a generator has no encoder, or the two come from
            different exports.
    """
    path = local_model(path)
    file = read_model_file(path, force)
    family = family_of(file, expected_family)
    if len(first_input_shape(file.config) or ()) == 2:
        beside = companion_path(path, family, "encoder")
        if not beside.exists():
            raise UserError(
                f"{path}: has no encoder ({beside} does not exist); "
                "only a vae or combined model encodes photos"
            )
        generator, file = file, read_model_file(beside, force)
        check_same_export(generator, file)
    shape = first_input_shape(file.config)
    if not shape or len(shape) != 4:
        raise UserError(f"{file.path}: not an encoder ({describe(file, shape)})")
    return open_model(file, force)


def as_generator(model: Exportable) -> Generator:
    """The exportable (averaged, float32) generator of a model in training.

    Args:
        model: A model of one of the families.
    """
    network = model.export_parts()[model.main_part]
    prior: Mixture | None = getattr(model, "latent_prior", lambda: None)()
    metadata = {"trained_with": getattr(model, "trained_with", ()), **prior_metadata(prior)}
    generator = GENERATORS.get(model.family, Generator)(network, model.family, metadata)
    generator.prior = prior
    return generator
