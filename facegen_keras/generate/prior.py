"""Fit the prior of an exported VAE or combined model without training it."""

import os

from facegen_keras.data.faces import Faces
from facegen_keras.errors import UserError
from facegen_keras.export.model_file import read_model_file
from facegen_keras.export.prior import write_prior
from facegen_keras.export.write import prior_metadata, update_metadata
from facegen_keras.generate.loading import load_encoder
from facegen_keras.mixture import Mixture
from facegen_keras.models.encoding_model import mixture_of_codes

FAMILIES = ("vae", "combined")  # those that have an encoder


def fit_prior(
    path: str | os.PathLike,
    faces: Faces,
    components: int | None = 10,
    mirror: bool | None = None,
    seed: int = 0,
) -> Mixture | None:
    """Give an exported VAE or combined model the prior that a training with `prior="mixture"` would
    have given it.

    The mixture goes into the generator's file, in the place of an earlier one. Metrics in its
    metadata are removed: they were measured with that one.

    Args:
        path: The decoder or generator, with its encoder beside it.
        faces: Photos to encode, best those of the training; at most 1,200 per component are
            used.
        components: Gaussians in the mixture; None goes back to N(0, I).
        mirror: Flip half of the photos; by default as the training did.
        seed: Of the choice of photos, their codes, and the fit.

    Returns:
        The mixture.

    Raises:
        UserError: The file is not that of a model with its encoder, cannot be read or written, or
            there are too few photos, or photos of another size.
    """
    file = read_model_file(path)
    family = file.metadata.get("family", "vae")
    if family not in FAMILIES:
        raise UserError(f"{path}: a {family} model; a prior is fitted to a {' or '.join(FAMILIES)}")
    mixture = None
    if components is not None:
        if mirror is None:
            mirror = bool((file.metadata.get("training") or {}).get("mirror"))
        mixture = mixture_of_codes(load_encoder(path), faces, components, mirror, seed)
    write_prior(path, mixture)
    update_metadata(path, **{"prior_components": None, **prior_metadata(mixture), "metrics": []})
    return mixture
