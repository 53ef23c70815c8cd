"""What a configuration stands for: the photos, the compiled model, and every option filled in."""

import dataclasses
import inspect
import shlex
from pathlib import Path

import keras

from facegen_keras import backend
from facegen_keras.data import Faces, load_faces
from facegen_keras.engine.face_model import FaceModel
from facegen_keras.errors import UserError
from facegen_keras.files.places import check_output_dir
from facegen_keras.models import FAMILIES
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
                f"{error}; where they moved, go on with: --resume {run} --data_path NEW"
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
    model = FAMILIES[config.model](**config.model_options())
    if config.init_from:
        if not hasattr(model, "start_from"):
            raise UserError(f"init_from: an option of stylegan2, not of {config.model}")
        kept = model.start_from(config.init_from)
        print(f"started from {config.init_from}; layers of its own: {', '.join(kept) or 'none'}")
    model.compile(optimizers(config, model))
    recorded = dataclasses.asdict(resolved(config, model))
    for place in ("output_dir", "saved_models_dir", "cache_dir"):  # of this machine, not the model
        del recorded[place]
    model.training_config = {**recorded, "data_path": Path(config.data_path).name}
    return model


def optimizers(config: TrainConfig, model: FaceModel) -> dict[str, keras.optimizers.Optimizer]:
    """The family's optimizers by name, with the rates that the configuration says itself."""
    own = {name: getattr(config, name) for name in ("learning_rate", "beta_1")}
    return model.default_optimizers(**{k: v for k, v in own.items() if v is not None})


def resolved(config: TrainConfig, model: FaceModel) -> TrainConfig:
    """The configuration with every option of the family filled in."""
    defaults = inspect.signature(model.default_optimizers).parameters
    own = {name: defaults[name].default for name in ("learning_rate", "beta_1")}
    own = {name: value for name, value in own.items() if getattr(config, name) is None}
    own |= model.get_config()
    names = {field.name for field in dataclasses.fields(config)}
    return dataclasses.replace(config, **{k: v for k, v in own.items() if k in names})
