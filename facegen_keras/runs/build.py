"""From a configuration to its photos and its compiled model."""

import dataclasses
import hashlib
import os
import shlex
from pathlib import Path

import keras

from facegen_keras import backend
from facegen_keras.data import Faces, load_faces
from facegen_keras.engine import distribution
from facegen_keras.engine.face_model import FaceModel
from facegen_keras.errors import UserError
from facegen_keras.files.places import HUB_PREFIX, check_output_dir
from facegen_keras.runs.config import TrainConfig
from facegen_keras.startup import quiet


def load_photos_everywhere(config: TrainConfig) -> tuple[Faces, Faces | None]:
    """`load_photos` in all processes that train together: one per node fills the cache.

    Raises:
        UserError: As for `load_photos`, or the processes were started differently, or read other
            photos.
    """
    if distribution.member().count == 1:
        return load_photos(config)
    record = dataclasses.replace(config, data_path="", cache_dir=None).record()  # of a node
    distribution.check_same(
        "the configuration has the hash",
        hashlib.sha256(record.encode()).hexdigest(),
        "start all processes with the same flags and files",
    )
    faces, held_out = distribution.one_per_node(lambda: load_photos(config))
    distribution.check_same(
        f"data_path {config.data_path}: the photos have the fingerprint",
        faces.fingerprint,
        "give every process the same files",
    )
    return faces, held_out


def load_photos(config: TrainConfig) -> tuple[Faces, Faces | None]:
    """The photos to train on, and those held out of them where `validation_split` asks for some.

    Raises:
        UserError: There is nothing usable at `data_path`, or it is `output_dir` as well.
    """
    check_output_dir(config.output_dir, config.data_path)
    try:
        faces = load_faces(
            config.data_path,
            resolution=config.resolution,
            crop=config.crop,
            mirror=config.mirror,
            limit=config.limit,
            cache_dir=config.cache_dir,
            without=[config.output_dir, config.saved_models_dir],
            progress=distribution.is_first(),
        )
    except UserError as error:
        if config.resume and not os.path.exists(os.path.expanduser(config.data_path)):
            run = shlex.quote(config.resume)
            raise UserError(
                f"{error}; if they moved, resume with: --resume {run} --data_path NEW"
            ) from None
        raise
    if config.validation_split:
        return faces.split(config.validation_split, seed=config.seed)
    return faces, None


def build(config: TrainConfig, restored: bool = False) -> FaceModel:
    """The compiled model of a configuration; its initial weights depend on `seed` alone.

    Args:
        config: With a family.
        restored: Whether a checkpoint gives it its weights, so that `init_from` is not read again:
            the file may have gone, or be another by now.

    Raises:
        UserError: An option has an impossible value, or `init_from` cannot be started from.
    """
    with quiet():  # it imports TensorFlow, on any backend
        keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        backend.make_deterministic()
    model = config.family(**config.model_options())
    if config.init_from and not restored:
        kept = model.start_from(config.init_from)
        print(f"started from {config.init_from}; newly initialised: {', '.join(kept) or 'none'}")
    model.compile(optimizers(config, model))
    recorded = dataclasses.asdict(config.resolved())
    for name in ("output_dir", "saved_models_dir", "cache_dir", "devices", "cluster"):
        del recorded[name]  # of this machine, not of the model
    model.training_config = {
        **recorded,
        "data_path": _shown(config.data_path),
        "init_from": config.init_from and _shown(config.init_from),
    }
    return model


def _shown(source: str) -> str:
    """What is on the hub as it is; of a path the last part, since the rest is private."""
    if not source.startswith(HUB_PREFIX):
        return Path(source).name
    place = Path(source.removeprefix(HUB_PREFIX).partition(":")[0]).expanduser()  # without split
    return place.name if place.exists() else source


def optimizers(config: TrainConfig, model: FaceModel) -> dict[str, keras.optimizers.Optimizer]:
    """The family's optimizers by name, with the rates that the configuration gives."""
    return model.default_optimizers(config.learning_rate, config.beta_1)
