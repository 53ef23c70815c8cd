"""The callbacks of a run, in the order in which they act."""

from pathlib import Path
from typing import Any

import keras

from facegen_keras.data import Faces
from facegen_keras.engine.callbacks import (
    BestModel,
    Export,
    ImageGrid,
    LatentReport,
    LearningRateDecay,
    RunLog,
)
from facegen_keras.engine.face_model import FaceModel
from facegen_keras.engine.guards import CollapseAlarm, NanGuard
from facegen_keras.runs import tracking
from facegen_keras.runs.build import optimizers
from facegen_keras.runs.config import TrainConfig

PHOTOS_MEASURED = 512  # for the collapse alarm and the latent report


def make_callbacks(
    config: TrainConfig,
    model: FaceModel,
    faces: Faces,
    held_out: Faces | None,
    extractor: Any,
    folder: Path,
) -> tuple[list[keras.callbacks.Callback], Any]:
    """What a run measures, draws and records. Callbacks that add to an epoch's log come first.

    Args:
        config: Resolved.
        model: Compiled.
        faces: Photos that are trained on.
        held_out: Photos for the validation loss, or None.
        extractor: Features for `fid_every`, or None.
        folder: The run's folder.

    Returns:
        The callbacks, and the one of them that keeps the best model (None if there is none).
    """
    every, run = config.save_interval, folder.name
    callbacks: list[keras.callbacks.Callback] = [NanGuard()]
    if config.decay_from is not None:
        rates = {name: float(o.learning_rate) for name, o in optimizers(config, model).items()}
        callbacks.append(LearningRateDecay(rates, config.decay_from))
    if model.has_latent_statistics:
        callbacks.append(LatentReport((held_out or faces)[:PHOTOS_MEASURED]))
    measures, best = _measures(config, model, faces, held_out, extractor, folder)
    callbacks += measures
    callbacks.append(CollapseAlarm(faces[:PHOTOS_MEASURED], every))
    grid = ImageGrid(folder, every)
    callbacks += [grid, Export(main_file(model, folder), every, run), RunLog(folder / "log.jsonl")]
    if config.wandb:
        callbacks.append(tracking.WandbLog(config, folder, grid))
    if config.tensorboard:
        callbacks.append(tracking.tensorboard(folder))
    return callbacks, best


def _measures(
    config: TrainConfig,
    model: FaceModel,
    faces: Faces,
    held_out: Faces | None,
    extractor: Any,
    folder: Path,
) -> tuple[list[keras.callbacks.Callback], Any]:
    """Validation loss and FID, as asked for. Only one of them keeps the best model, because both
    would write the same file: the FID where there is one, and the loss is then only logged.
    """
    measures: list[keras.callbacks.Callback] = []
    path, run = main_file(model, folder, "best_"), folder.name
    if held_out is not None:
        own_path = path if extractor is None else None
        measures.append(BestModel(held_out, own_path, run, config.patience))
    if extractor is not None and config.fid_every is not None:
        from facegen_keras.metrics import MetricEvery

        count, cache = config.fid_images, config.cache_dir
        measures.append(
            MetricEvery(
                faces, path, run, config.fid_every, extractor, num_images=count, cache_dir=cache
            )
        )
    return measures, measures[-1] if measures else None


def feature_extractor(config: TrainConfig) -> Any:
    """The feature network of `fid_every`, or None where that is not asked for.

    Raises:
        UserError: Its weights cannot be read or downloaded.
    """
    if config.fid_every is None:
        return None
    from facegen_keras import metrics  # SciPy takes a second, which other trainings need not wait

    if config.extractor == "inception":
        return metrics.InceptionFeatures(weights=config.inception_weights)
    return metrics.extractor_named(config.extractor)


def main_file(model: FaceModel, folder: Path, prefix: str = "") -> Path:
    """The exported file that draws faces, such as `best_dcgan_generator.h5`."""
    return folder / f"{prefix}{model.family}_{model.main_part}.h5"
