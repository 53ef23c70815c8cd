"""Trained generators to `.h5` (or `.keras`) and back, with what is worth knowing about them.

A file holds one functional model of layers and, beside it, a JSON description: family, data,
images seen, configuration, metrics with their protocol, licence, versions. It opens with plain
`keras.saving.load_model` once this package is imported. Checkpoints are another thing: see
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
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras
import numpy as np

from facegen_keras.atomic import replacing
from facegen_keras.errors import UserError
from facegen_keras.generator import Generator
from facegen_keras.model_file import METADATA, SUFFIXES, ModelFile, first_input_shape
from facegen_keras.model_file import read_model_file as _read

MAIN_PARTS = ("generator", "decoder")
COMPANIONS = ("encoder", "discriminator")  # stand beside the main part
LICENCE = "Weights: the terms of the photos they were trained on apply. Code: MIT."


def save_generator(
    model,
    path: str | os.PathLike,
    *,
    run: str | None = None,
    metrics: list[dict] | None = None,
    licence: str = LICENCE,
) -> Path:
    """Write the generator of a trained model, and what else it exports beside it.

    The generator (a VAE's decoder) goes to `path`; an encoder, or the discriminator of a StyleGAN2,
    to the same name with `_generator` or `_decoder` replaced (see `companion_path`). Each file
    appears whole or not at all. A file that stood there stays beside it (see `keep_existing`),
    unless it is an earlier export of the same run; an encoder or discriminator that this model
    does not replace gives up its place too, since it belongs to another generator.

    Args:
        model: A family model; it offers `export_parts()`.
        path: Target, ending in .h5 or .keras.
        run: Name of the run that trained it.
        metrics: Measured values, each a dict with its protocol.
        licence: The terms of the weights.

    Returns:
        The path of the generator.

    Raises:
        UserError: The ending is another one, or the file cannot be written.
    """
    path = Path(path)
    parts = model.export_parts()
    main = next(name for name in MAIN_PARTS if name in parts)
    metadata = _describe(model, run, metrics, licence)
    # The main part last: a generator that is there always finds its encoder.
    for name in sorted(parts, key=lambda name: name == main):
        target = path if name == main else companion_path(path, model.family, name)
        if run is None or _run_of(target) != run:
            keep_existing(target)
        write_model(parts[name], target, {**metadata, "part": name})
    for name in set(COMPANIONS) - set(parts):
        _set_aside(companion_path(path, model.family, name))
    return path


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
    file = _read(path)
    family = _family(file, expected_family)
    shape = first_input_shape(file.config)
    if file.metadata.get("part", "generator") not in MAIN_PARTS or not shape or len(shape) != 2:
        raise UserError(
            f"{path}: not a generator ({_what(file, shape)}); "
            "expected a model from latents (batch, latent_dim) to images"
        )
    model = _open(file)
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
    file = _read(path)
    family = _family(file, expected_family)
    if len(first_input_shape(file.config) or ()) == 2:
        beside = companion_path(path, family, "encoder")
        if not beside.exists():
            raise UserError(
                f"{path}: has no encoder ({beside} does not exist); "
                "only a vae or combined model encodes photos"
            )
        generator, file = file, _read(beside)
        check_same_export(generator, file)
    shape = first_input_shape(file.config)
    if not shape or len(shape) != 4:
        raise UserError(f"{file.path}: not an encoder ({_what(file, shape)})")
    return _open(file)


def companion_path(path: str | os.PathLike, family: str, part: str) -> Path:
    """Where the `"encoder"` or `"discriminator"` of the generator at `path` stands:
    `faces_encoder.h5` beside `faces_generator.h5`; beside `best.h5` `<family>_encoder.h5`, but
    `best_discriminator.h5`, since imported networks have names of their own."""
    path = Path(path)
    for ending in MAIN_PARTS:
        if path.stem.endswith(f"_{ending}"):
            return path.with_stem(f"{path.stem.removesuffix(ending)}{part}")
    return path.with_stem(f"{path.stem if part == 'discriminator' else family}_{part}")


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
    family = _family(_read(source), None)
    pairs = [
        (companion_path(source, family, part), companion_path(target, family, part))
        for part in COMPANIONS
    ]
    pairs.append((source, target))
    for here, there in pairs:
        if not here.exists():
            _set_aside(there)
            continue
        if _run_of(there) != _run_of(here):
            keep_existing(there)
        with replacing(there) as temporary:
            shutil.copyfile(here, temporary)
    return target


def keep_existing(path: str | os.PathLike) -> Path | None:
    """Give the file at `path` a second name, `<stem>.<run><suffix>`, before it is replaced.

    The run's name comes from its metadata, else the time of the file. The file also stays at
    `path` until something is written there.

    Returns:
        The second name, or None when there is no file.
    """
    path = Path(path)
    if not path.is_file():
        return None
    when = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
    name = _run_of(path) or f"{when:%Y%m%dT%H%M%SZ}"
    count = 1
    kept = path.with_stem(f"{path.stem}.{name}")
    while kept.exists():
        if kept.samefile(path):
            return kept
        count += 1
        kept = path.with_stem(f"{path.stem}.{name}-{count}")
    try:
        os.link(path, kept)
    except OSError:  # a file system without hard links
        shutil.copy2(path, kept)
    return kept


def _set_aside(path: Path) -> None:
    """Leave an earlier export at `path` under its second name only; other files stay."""
    if _metadata(path).get("export"):
        keep_existing(path)
        path.unlink()


def write_model(model: keras.Model, path: str | os.PathLike, metadata: dict) -> None:
    """Write a functional model with its metadata, atomically.

    Args:
        model: A functional model.
        path: Target, ending in .h5 or .keras.
        metadata: JSON values.

    Raises:
        UserError: The ending is another one, or writing failed; what was there is untouched.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: a generator is saved as .h5 or .keras")
    text = json.dumps(metadata, default=_plain)
    with replacing(path) as temporary:
        with _without_h5_warning():
            model.save(temporary)
        _attach(temporary, text)


def update_metadata(path: str | os.PathLike, **entries) -> None:
    """Set entries of the metadata of an exported file (such as `metrics`), atomically."""
    path = Path(path)
    metadata = {**_read(path).metadata, **entries}
    with replacing(path) as temporary:
        shutil.copyfile(path, temporary)
        _attach(temporary, json.dumps(metadata, default=_plain))


def _describe(model, run: str | None, metrics: list[dict] | None, licence: str) -> dict:
    from facegen_keras import __version__

    return {
        "family": model.family,
        "resolution": int(model.resolution),
        "latent_dim": int(model.latent_dim),
        "data_fingerprint": getattr(model, "data_fingerprint", None),
        "images_seen": int(model.images_seen),
        "config": model.get_config(),
        "training": getattr(model, "training_config", None),
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


def _open(file: ModelFile) -> keras.Model:
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


def _metadata(path: Path) -> dict:
    try:
        return _read(path).metadata
    except UserError:
        return {}


def _run_of(path: Path) -> str | None:
    run = _metadata(path).get("run")
    return run if isinstance(run, str) and run and "/" not in run else None


def _attach(path: Path, text: str) -> None:
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs[METADATA] = text
        return
    # A zip member cannot be replaced in place, and two of one name would be ambiguous.
    copy = path.with_suffix(".copy")
    try:
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
            for item in old.infolist():
                if item.filename != f"{METADATA}.json":
                    new.writestr(item, old.read(item))
            new.writestr(f"{METADATA}.json", text)
        os.replace(copy, path)
    finally:
        copy.unlink(missing_ok=True)


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


def _plain(value: object) -> object:
    """What JSON does not know: NumPy scalars and arrays as numbers, the rest as text."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)
