"""Trained generators to `.h5` (or `.keras`), with what is worth knowing about them.

A file holds one functional model of layers and, beside it, a JSON description: family, data,
images seen, configuration, prior, metrics with their protocol, licence, versions; a decoder also
its fitted prior, where it has one. `loading` opens it again. Checkpoints are another thing: see
`engine/checkpoint.py`.
"""

import contextlib
import datetime
import json
import logging
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras
import numpy as np

from facegen_keras import backend
from facegen_keras.errors import UserError, check_path
from facegen_keras.export.earlier_exports import back_up, move_to_backup, run_of
from facegen_keras.export.model_file import METADATA, SUFFIXES, read_model_file
from facegen_keras.export.parts import COMPANIONS, Exportable, companion_path
from facegen_keras.export.prior import attach_prior, replace_member
from facegen_keras.files.atomic import replacing
from facegen_keras.files.h5_file import append_crc32, copy_without, seal
from facegen_keras.files.json_values import as_json
from facegen_keras.mixture import Mixture
from facegen_keras.version import __version__

LICENCE = "Weights: the terms of the photos they were trained on apply. Code: MIT."


def save_generator(
    model: Exportable,
    path: str | os.PathLike,
    *,
    run: str | None = None,
    metrics: list[dict] | None = None,
    licence: str = LICENCE,
) -> Path:
    """Write the generator of a trained model, and what else it exports beside it.

    The generator (a VAE's decoder) goes to `path`; an encoder or a discriminator to the same name
    with `_generator` or `_decoder` replaced (see `companion_path`). Each file appears whole or not
    at all. A file that stood there stays beside it (see `back_up`), unless it is an earlier export
    of the same run; an encoder or discriminator that this model does not replace gives up its place
    too, since it belongs to another generator.

    Args:
        model: A `FaceModel`; its `main_part` goes to `path`.
        path: Target, ending in .h5 or .keras.
        run: Name of the run that trained it.
        metrics: Measured values, each a dict with its protocol.
        licence: The terms of the weights.

    Returns:
        The path of the generator.

    Raises:
        UserError: The ending is another one, or the file cannot be written.
    """
    check_path("path", path)
    if not hasattr(model, "export_parts"):
        raise UserError(f"model: a {type(model).__name__}; expected a VAE, DCGAN or the like")
    path = Path(path)
    with backend.alone():
        parts = model.export_parts()
    main = model.main_part
    prior: Mixture | None = getattr(model, "latent_prior", lambda: None)()
    metadata = {**_describe(model, run, metrics, licence), **prior_metadata(prior)}
    # The main part last: a generator that is there always finds its encoder.
    for name in sorted(parts, key=lambda name: name == main):
        target = path if name == main else companion_path(path, model.family, name)
        if run is None or run_of(target) != run:
            back_up(target)
        own_prior = prior if name == main else None
        write_model(parts[name], target, {**metadata, "part": name}, own_prior)
    for name in set(COMPANIONS) - set(parts):
        move_to_backup(companion_path(path, model.family, name))
    return path


def publish(source: str | os.PathLike, target: str | os.PathLike) -> Path:
    """Copy an exported generator, and what stands beside it, to their final names.

    What stood there stays beside the new files as in `save_generator`.

    Args:
        source: As written by `save_generator`.
        target: The generator's new name.

    Returns:
        `target`.

    Raises:
        UserError: A file cannot be read or written.
    """
    source, target = Path(source), Path(target)
    family = read_model_file(source).metadata.get("family") or "unknown"
    pairs = [
        (companion_path(source, family, part), companion_path(target, family, part))
        for part in COMPANIONS
    ]
    pairs.append((source, target))
    for here, there in pairs:
        if not here.exists():
            move_to_backup(there)
            continue
        if run_of(there) != run_of(here):
            back_up(there)
        with replacing(there) as temporary:
            shutil.copyfile(here, temporary)
    return target


def write_model(
    model: keras.Model, path: str | os.PathLike, metadata: dict, prior: Mixture | None = None
) -> None:
    """Write a functional model with its metadata, atomically.

    Args:
        model: A functional model.
        path: Target, ending in .h5 or .keras.
        metadata: JSON values.
        prior: Of a decoder's codes; None for N(0, I).

    Raises:
        UserError: The ending is another one, or writing failed; what was there is untouched.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: a generator is saved as .h5 or .keras")
    with replacing(path) as temporary:
        with _without_h5_warning():
            model.save(temporary)
        if prior is not None:
            attach_prior(temporary, prior)
        attach_metadata(temporary, metadata)


def prior_metadata(prior: Mixture | None) -> dict:
    """What the metadata say of a prior."""
    if prior is None:
        return {"prior": "normal"}
    return {"prior": "mixture", "prior_components": prior.components}


def update_metadata(path: str | os.PathLike, **entries: object) -> None:
    """Set entries of the metadata of an exported file (such as `metrics`), atomically."""
    path = Path(path)
    metadata = {**read_model_file(path).metadata, **entries}
    with replacing(path) as temporary:
        if path.suffix == ".h5":
            copy_without(METADATA, path, temporary)
        else:
            shutil.copyfile(path, temporary)
        attach_metadata(temporary, metadata)


def _describe(model: Exportable, run: str | None, metrics: list[dict] | None, licence: str) -> dict:
    return {
        "family": model.family,
        "resolution": int(model.resolution),
        "latent_dim": int(model.latent_dim),
        "data_fingerprint": getattr(model, "data_fingerprint", None),
        "images_seen": int(model.images_seen),
        "config": model.get_config(),
        "training": getattr(model, "training_config", None),
        "trained_with": list(getattr(model, "trained_with", ())),
        "metrics": metrics or [],
        "licence": licence,
        "run": run,
        "export": uuid.uuid4().hex,  # the same in all files of one export
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {
            "facegen_keras": __version__,
            "keras": keras.version(),
            "backend": keras.backend.backend(),
            "numpy": np.__version__,
            "python": ".".join(str(part) for part in sys.version_info[:3]),
        },
    }


def attach_metadata(path: str | os.PathLike, metadata: dict) -> None:
    """Write metadata into an exported file that has none, and seal it; not atomic."""
    path, text = Path(path), json.dumps(metadata, default=as_json)
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs[METADATA] = text
            seal(file)
        append_crc32(path)
        return
    replace_member(path, f"{METADATA}.json", text.encode())


@contextlib.contextmanager
def _without_h5_warning() -> Iterator[None]:
    """Silence Keras's advice against .h5, and only that: the format is this package's choice."""

    def keep(record: logging.LogRecord) -> bool:
        return "as an HDF5 file" not in record.getMessage()

    logger = logging.getLogger("absl")
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
