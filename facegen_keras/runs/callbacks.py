"""The callbacks of a run, in the order they act."""

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
    Progress,
    RunLog,
)
from facegen_keras.engine.face_model import FaceModel
from facegen_keras.engine.guards import Autosave, CollapseAlarm, GracefulStop, NanGuard, recall
from facegen_keras.runs import tracking
from facegen_keras.runs.build import optimizers, resolved
from facegen_keras.runs.config import TrainConfig

PHOTOS_MEASURED = 512  # for the collapse alarm and the latent report


def _callbacks(
    config: TrainConfig,
    model: FaceModel,
    faces: Faces,
    held_out: Faces | None,
    folder: Path,
    stop: GracefulStop,
    state: dict[str, Any],
    metric: Any,
) -> tuple[list[keras.callbacks.Callback], Any]:
    """All callbacks, in the order they act: those that add to an epoch's log come first."""
    every, run = config.save_interval, folder.name
    callbacks: list[keras.callbacks.Callback] = [NanGuard()]
    best = None
    if config.decay_from is not None:
        rates = {name: float(o.learning_rate) for name, o in optimizers(config, model).items()}
        callbacks.append(LearningRateDecay(rates, config.decay_from))
    if model.has_latent_statistics:
        callbacks.append(LatentReport((held_out or faces)[:PHOTOS_MEASURED]))
    if held_out is not None:
        best = BestModel(held_out, _main_file(model, folder, "best_"), run, config.patience)
        callbacks.append(best)
    if metric is not None:
        best = metric
        best.path, best.run = _main_file(model, folder, "best_"), run
        callbacks.append(best)
    callbacks.append(CollapseAlarm(faces[:PHOTOS_MEASURED], every))
    grid = ImageGrid(folder, every)
    callbacks += [grid, Export(_main_file(model, folder), every, run), RunLog(folder / "log.jsonl")]
    extra: dict[str, Any] = {}
    if config.wandb:
        options = resolved(config, model)
        tracker = tracking.WandbLog(options, folder, grid, state.get("wandb_id"))
        callbacks.append(tracker)
        extra["wandb_id"] = tracker.run_id
    if config.tensorboard:
        callbacks.append(tracking.tensorboard(folder))
    remember = recall(callbacks, state)
    callbacks += [
        stop,
        Autosave(folder / "checkpoints", every, config.save_minutes, remember, extra),
        Progress(),
    ]
    return callbacks, best


def _metric(config: TrainConfig, faces: Faces) -> keras.callbacks.Callback:
    """FID, or the offline extractor's FD, while training; it does not know its run yet."""
    from facegen_keras import metrics  # SciPy takes a second that other trainings need not wait

    extractor = (
        metrics.InceptionFeatures(weights=config.inception_weights)
        if config.extractor == "inception"
        else metrics.EfficientNetLite0Features()
    )
    return metrics.MetricEvery(
        faces, None, None, config.fid_every, extractor, num_images=config.fid_images
    )


def _main_file(model: FaceModel, folder: Path, prefix: str = "") -> Path:
    return folder / f"{prefix}{model.family}_{model.main_part}.h5"
