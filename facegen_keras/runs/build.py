"""From a configuration to its photos and its compiled model."""

import dataclasses
import shlex
from pathlib import Path

import keras

from facegen_keras import backend
from facegen_keras.data import Faces, load_faces
from facegen_keras.engine.face_model import FaceModel
from facegen_keras.errors import UserError
from facegen_keras.files.places import check_output_dir
from facegen_keras.runs.config import TrainConfig


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
        )
    except UserError as error:
        if config.resume and not Path(config.data_path).expanduser().exists():
            run = shlex.quote(config.resume)
            raise UserError(
                f"{error}; if they moved, resume with: --resume {run} --data_path NEW"
            ) from None
        raise
    if config.validation_split:
        return faces.split(config.validation_split, seed=config.seed)
    return faces, None


def build(config: TrainConfig) -> FaceModel:
    """The compiled model of a configuration; its initial weights depend on `seed` alone.

    Raises:
        UserError: An option has an impossible value, or `init_from` cannot be started from.
    """
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        backend.make_deterministic()
    model = config.family(**config.model_options())
    if config.init_from:
        kept = model.start_from(config.init_from)
        print(f"started from {config.init_from}; newly initialised: {', '.join(kept) or 'none'}")
    model.compile(optimizers(config, model))
    recorded = dataclasses.asdict(config.resolved())
    for place in ("output_dir", "saved_models_dir", "cache_dir"):  # of this machine, not the model
        del recorded[place]
    model.training_config = {**recorded, "data_path": Path(config.data_path).name}
    return model


def optimizers(config: TrainConfig, model: FaceModel) -> dict[str, keras.optimizers.Optimizer]:
    """The family's optimizers by name, with the rates that the configuration gives."""
    return model.default_optimizers(config.learning_rate, config.beta_1)
