"""A whole training: from a configuration to a run folder and the final models.

The run folder `output/<name>/` holds `config.yaml` (resolved), `environment.json`, `log.jsonl`,
`reals.png`, `skipped.json` (files of the data that were not used, and why), `fakes_init.png`,
`fakes_epoch0050.png` ..., `fakes_stopped.png` (where it was last interrupted), `losses.png`,
`timelapse.gif`, `checkpoints/` (the last two) and the exports.
"""

import json
import math
import shlex
from pathlib import Path
from typing import Any

import keras
from tqdm.auto import tqdm

from facegen_keras import figures
from facegen_keras.data import Faces
from facegen_keras.engine import checkpoint
from facegen_keras.engine.callbacks import (
    GRID_SEEDS,
    BestModel,
)
from facegen_keras.engine.face_model import FaceModel
from facegen_keras.engine.guards import GracefulStop
from facegen_keras.errors import UserError, require
from facegen_keras.export.write import publish, save_generator
from facegen_keras.files.atomic import write_text
from facegen_keras.files.places import check_writable
from facegen_keras.pictures import save_grid
from facegen_keras.resolution import SMALLEST_TRAINED, check_resolution
from facegen_keras.runs import tracking
from facegen_keras.runs.build import build, load_photos, resolved
from facegen_keras.runs.callbacks import _callbacks, _main_file, _metric
from facegen_keras.runs.config import TrainConfig
from facegen_keras.runs.folder import (
    RESULT,
    check_same_data,
    check_same_run,
    find_run,
    make_run,
    record_environment,
)

MAX_ROLLBACKS = 3  # a run that breaks more often has another problem


def train(config: TrainConfig) -> Path:
    """Train as configured, or go on with `config.resume`; returns the run's folder.

    Raises:
        UserError: The configuration, the data or the run to resume cannot be used, or a loss
            stopped being a number (unless `on_nan` is `"rollback"`).
    """
    stop = GracefulStop(config.time_limit_seconds)
    folder = find_run(config.resume, config.output_dir) if config.resume else None
    changed = check_same_run(config, folder) if folder else {}
    check_resolution(config.resolution, SMALLEST_TRAINED)
    faces, held_out = load_photos(config)
    if folder:
        check_same_data(folder, faces, config.data_path)
    model = build(config)
    if note := early_end(config, model, len(faces)):
        print(note)
    _check_packages(config)
    check_writable("saved_models_dir", config.saved_models_dir)
    metric = _metric(config, faces) if config.fid_every else None
    if folder is None:
        folder = make_run(resolved(config, model), faces)
    state = _restore(model, folder)
    done = checkpoint.all_trained(model, config.epochs)
    if changed or not done:  # first: a change that is in config.yaml has been told
        record_environment(folder, model.steps, changed)
    if config.resume:  # what may change stays changed
        resolved(config, model).save(folder / "config.yaml")
    callbacks, best = _callbacks(config, model, faces, held_out, folder, stop, state, metric)
    epochs = state.get("epoch", 0)
    if done:
        print(f"nothing to do: all {config.epochs} epochs are trained")
    elif state and isinstance(best, BestModel) and best.is_over(epochs):
        print(f"nothing to do: training ended after epoch {epochs}, out of patience")
    else:
        _fit(config, model, faces, folder, callbacks)
    if stop.reason:
        _pause(model, folder, stop.reason)
    else:
        _finish(config, model, folder, best)
    return folder


def early_end(config: TrainConfig, model: FaceModel, photos: int) -> str | None:
    """What to say of a progressive training that ends before it has grown to its resolution."""
    if not config.progressive:
        return None
    images = config.epochs * (photos // config.batch_size * config.batch_size)
    reached = model.resolution_after(images)
    if reached == config.resolution:
        return None
    needed = sum(model.schedule.images[size] for size in model.schedule.images if size <= reached)
    return (
        f"mind: {config.epochs} epochs of these photos are {images:,} images and end at "
        f"{reached}x{reached}; the next resolution begins after {needed:,}: "
        "more epochs, or a shorter progressive"
    )


def _restore(model: FaceModel, folder: Path) -> dict[str, Any]:
    """The state of the run's last checkpoint, brought into the model; empty before the first."""
    if not checkpoint.find(folder / "checkpoints"):
        return {}
    state = checkpoint.restore(model, folder / "checkpoints")
    print(
        f"resuming {folder} after step {state['step']} (epoch {state['epoch'] + 1}, "
        f"{state['images_seen']} images seen)"
    )
    return state


def _check_packages(config: TrainConfig) -> None:
    """Refuse options whose packages are missing or cannot run before anything is written."""
    for package in ("wandb", "tensorboard"):
        if getattr(config, package):
            require(package, package)
    if config.wandb:
        tracking.wandb_mode()


def _fit(
    config: TrainConfig,
    model: FaceModel,
    faces: Faces,
    folder: Path,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """`fit`, again from the last checkpoint where a loss broke and `on_nan` is `"rollback"`."""
    for attempt in range(1, MAX_ROLLBACKS + 2):
        model.fit(faces, epochs=config.epochs, batch_size=config.batch_size, callbacks=callbacks)
        if not model.broken:
            return
        step, term = model.broken
        what = f"{term} is not a number at step {step}"
        if not checkpoint.find(folder / "checkpoints"):
            raise UserError(f"{what}; no checkpoint is older; lower learning_rate and start again")
        if config.on_nan != "rollback" or attempt > MAX_ROLLBACKS:
            raise UserError(
                f"{what}; the last checkpoint in {folder} is from before: go on with a lower "
                "learning_rate in a new run, or with --on_nan rollback"
            )
        state = checkpoint.restore(model, folder / "checkpoints")
        model.draw_other_numbers(attempt)
        tqdm.write(f"{what}; back to step {state['step']} ({attempt} of {MAX_ROLLBACKS} times)")


def _pause(model: FaceModel, folder: Path, reason: str) -> None:
    """Say how to go on, and leave the model and its faces as they are now to look at."""
    print(f"stopped: {reason}. Go on with: python train.py --resume {shlex.quote(str(folder))}")
    path = save_generator(model, _main_file(model, folder), run=folder.name)
    save_grid(model.sample(GRID_SEEDS), folder / "fakes_stopped.png")
    print(f"faces until then: python generate.py --model_path {shlex.quote(str(path))}")


def _finish(config: TrainConfig, model: FaceModel, folder: Path, best: Any) -> None:
    """Export, publish to `saved_models_dir`, and draw the curves."""
    path = save_generator(model, _main_file(model, folder), run=folder.name)
    if best is not None and best.path.exists():
        path = best.path
    if (folder / "log.jsonl").exists():
        figure = figures.loss_curves(folder)
        figure.savefig(folder / "losses.png")
    target = Path(config.saved_models_dir) / _main_file(model, folder).name
    if target.resolve() != path.resolve():
        publish(path, target)
    value = best.best if best and math.isfinite(best.best) else None
    result = {
        "epochs": config.epochs,  # asked for; with patience fewer may have been trained
        "images_seen": model.images_seen,
        "best_epoch": best.best_epoch if best else None,
        "best_value": value,
        "model": str(target),
    }
    write_text(folder / RESULT, json.dumps(result, indent=2) + "\n")
    print(f"{model.images_seen} images seen; model: {target}; pictures and log: {folder}")
