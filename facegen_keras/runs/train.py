"""A whole training: from a configuration to a run folder and the final models.

The run folder `output/<name>/` holds `config.yaml` (resolved), `environment.json`, `log.jsonl`,
`reals.png`, `skipped.json` (files of the data that were not used, and why), `fakes_init.png`,
`fakes_epoch0050.png` ..., `fakes_stopped.png` (where it was last interrupted), `losses.png`,
`timelapse.gif`, `checkpoints/` (the last two) and the exports.
"""

import contextlib
import dataclasses
import json
import math
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
from tqdm.auto import tqdm

from facegen_keras import backend, figures
from facegen_keras.engine import checkpoint, distribution, resume
from facegen_keras.engine.callbacks import (
    GRID_SEEDS,
    TIMELAPSE_FILE,
    BestModel,
    Progress,
    save_timelapse,
)
from facegen_keras.engine.face_model import FaceModel
from facegen_keras.engine.guards import Autosave, GracefulStop, restore_callbacks
from facegen_keras.engine.memory import keep_freed_memory
from facegen_keras.engine.options import Precision
from facegen_keras.errors import UserError, require
from facegen_keras.export.model_file import read_model_file
from facegen_keras.export.write import publish, save_generator
from facegen_keras.files.atomic import remove_leftovers, write_text
from facegen_keras.files.own_pictures import MARK
from facegen_keras.files.places import check_writable
from facegen_keras.generate.prior import fit_prior
from facegen_keras.mixture import check_enough
from facegen_keras.pictures import save_grid
from facegen_keras.resolution import SMALLEST_TRAINED, check_resolution
from facegen_keras.runs import tracking
from facegen_keras.runs.build import build, load_photos_everywhere
from facegen_keras.runs.callbacks import feature_extractor, main_file, make_callbacks
from facegen_keras.runs.config import TrainConfig, load_config
from facegen_keras.runs.find import find_run
from facegen_keras.runs.folder import (
    RESULT,
    check_same_run,
    make_run,
    record_environment,
    record_photos,
    settle_precision,
)
from facegen_keras.runs.forecast import announcement, check_memory
from facegen_keras.runs.lock import RunLock, check_unlocked

CHECKPOINTS = "checkpoints"  # in the folder of a run
STOPPED = "fakes_stopped.png"  # written with a checkpoint
MAX_ROLLBACKS = 3  # a run that breaks more often has a problem that other numbers do not solve


def train(config: TrainConfig) -> Path:
    """Train as configured, or continue `config.resume`; returns the run's folder.

    Raises:
        UserError: The configuration, the data or the run to resume cannot be used, or a loss
            stopped being a number (unless `on_nan` is `"rollback"`).
    """
    run = Run(config)
    with run.locked():
        run.begin()
        run.train()
    return run.folder


class Run:
    """One training of the command line: `begin` it, or continue it, and `train`.

    What can be refused is refused before anything is written. In several processes all of them go
    through this, and the first alone has the run's folder.

    Attributes:
        config: The configuration with every option filled in.
        faces: The photos to train on.
        held_out: Photos for the validation loss, or None.
        model: Compiled, and restored where there is a checkpoint.
        folder: The run's folder.
        state: Of the restored checkpoint; None where the training begins.
        stop: Ends the training on an interrupt or when its time is up.
        best: The callback that keeps the best model, or None.
        callbacks: All callbacks, in the order in which they act.

    Raises:
        UserError: As for `train`.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.stop = GracefulStop(config.time_limit_seconds)  # first: its time counts from here
        distribution.distribute(config.devices, config.cluster)
        folder, precision, changed = distribution.in_first(lambda: _found(config))
        config = dataclasses.replace(config, precision=precision)
        check_resolution(config.resolution, SMALLEST_TRAINED)
        self.config = config.resolved()
        check_memory(self.config)
        self.faces, self.held_out = load_photos_everywhere(self.config)
        if distribution.is_first() and (note := announcement(self.config, len(self.faces))):
            print(note)
        self.model = build(
            self.config, restored=distribution.in_first(lambda: _has_weights(folder))
        )
        self.model.photos = self.faces  # for the prior, also where nothing is left to train
        self.model.check_batch_size(config.batch_size)
        if not backend.has_accelerator():
            keep_freed_memory()
        if note := early_end(self.config, self.model, len(self.faces)):
            print(note)
        if self.config.prior == "mixture":
            check_enough(len(self.faces), self.config.prior_components)
        extractor = distribution.every(self._prepare)
        self.folder = Path(
            distribution.in_first(lambda: folder or str(make_run(self.config, self.faces)))
        )
        self._changed, self._extractor = changed, extractor

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training the same run.

        Raises:
            UserError: One does.
        """
        self.lock = RunLock(self.folder)
        distribution.in_first(self.lock.take)
        try:
            yield
        finally:
            self.lock.release()

    def begin(self) -> None:
        """Restore the latest checkpoint, record this start and make the callbacks.

        Raises:
            UserError: The checkpoint is of another training, or none can be read.
        """
        config = self.config
        self.state = resume.restore(
            self.model,
            self.checkpoints,
            config.batch_size,
            self.faces.fingerprint,
            self.faces.mirror,
            advice="give the same as before, or start a new run",
        )
        is_complete = self.is_complete  # an impossible number of epochs writes nothing
        distribution.in_first(lambda: self._record(is_complete))
        callbacks, self.best = make_callbacks(
            config, self.model, self.faces, self.held_out, self._extractor, self.folder
        )
        restore_callbacks(callbacks, self.state)
        every, minutes = config.save_interval, config.save_minutes
        autosave = Autosave(self.checkpoints, every, minutes, callbacks)
        self._progress = Progress()
        held = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: self.lock.check_held()
        )
        self.callbacks = [held, *callbacks, self.stop, autosave, self._progress]

    @property
    def checkpoints(self) -> Path:
        """The folder of the run's checkpoints."""
        return self.folder / CHECKPOINTS

    @property
    def is_complete(self) -> bool:
        """Whether all epochs are trained, by the checkpoint that was restored.

        Raises:
            UserError: It is in the middle of an epoch after the last one asked for.
        """
        return checkpoint.all_trained(self.model, self.config.epochs)

    def train(self) -> None:
        """Train what is left to train, then publish the model, or say how to resume.

        Raises:
            UserError: A loss stopped being a number (unless `on_nan` is `"rollback"`).
        """
        epochs = self.state.epoch if self.state else 0
        if self.is_complete:
            print(f"nothing to do: all {self.config.epochs} epochs are trained")
        elif self.state and distribution.in_first(lambda: self._out_of_patience(epochs)):
            print(f"nothing to do: training ended after epoch {epochs}, out of patience")
        else:
            self._fit()
        if self.stop.reason:
            distribution.in_first(self._pause)
        else:
            distribution.in_first(self._finish)

    def _prepare(self) -> Any:
        """The feature network of `fid_every`, or None; refuses what this process cannot do."""
        if not distribution.is_first():
            return None
        _check_packages(self.config)
        check_writable("saved_models_dir", self.config.saved_models_dir)
        return feature_extractor(self.config)

    def _out_of_patience(self, epochs: int) -> bool:
        return isinstance(self.best, BestModel) and self.best.is_over(epochs)

    def _record(self, is_complete: bool) -> None:
        """Write what this start runs on, and what may change into `config.yaml`.

        The run is locked: what is half written here, nobody writes any more.
        """
        remove_leftovers(self.folder)
        record_photos(self.folder, self.faces)
        changed = self._changed
        if changed or not is_complete:  # before config.yaml, where the change shows no more
            record_environment(self.folder, self.model.steps, changed)
        if self.config.resume:
            self.config.save(self.folder / "config.yaml")

    def _fit(self) -> None:
        """`fit`, again from the last checkpoint where a loss broke and `on_nan` is `"rollback"`."""
        config, model = self.config, self.model
        for attempt in range(1, MAX_ROLLBACKS + 2):
            try:
                model.fit(
                    self.faces,
                    epochs=config.epochs,
                    batch_size=config.batch_size,
                    callbacks=self.callbacks,
                )
            finally:
                self._progress.close()  # what is said next begins on a line of its own
            if not model.broken:
                return
            step, term = model.broken
            what = f"{term} is not a number at step {step}"
            if not distribution.in_first(lambda: bool(checkpoint.find(self.checkpoints))):
                raise UserError(
                    f"{what}; no checkpoint is older; lower learning_rate and start again"
                )
            if config.on_nan != "rollback" or attempt > MAX_ROLLBACKS:
                raise UserError(
                    f"{what}; the last checkpoint in {self.folder} is from before: train with a "
                    "lower learning_rate in a new run, or resume with --on_nan rollback"
                )
            state = checkpoint.restore(model, self.checkpoints)
            restore_callbacks(self.callbacks, state)
            model.skip_random_numbers(attempt)
            tqdm.write(f"{what}; back to step {state.step} ({attempt} of {MAX_ROLLBACKS} times)")

    def _pause(self) -> None:
        """Say how to resume, and export the model and its faces as they are now."""
        model, folder = self.model, self.folder
        command = f"python train.py --resume {shlex.quote(str(folder))}"
        print(f"stopped: {self.stop.reason}. Resume with: {command}")
        path = save_generator(model, main_file(model, folder), run=folder.name)
        save_grid(model.sample(GRID_SEEDS), folder / STOPPED)
        self._draw_curves()
        print(f"faces until then: python generate.py --model_path {shlex.quote(str(path))}")

    def _finish(self) -> None:
        """Export, publish to `saved_models_dir`, and draw the curves."""
        config, model, folder, best = self.config, self.model, self.folder, self.best
        path = save_generator(model, main_file(model, folder), run=folder.name)
        if best is not None and best.best_epoch and best.path.exists():
            path = best.path
            self._check_prior(path)
        self._draw_curves()
        if not (folder / TIMELAPSE_FILE).exists():  # the disk may have been full at the end
            save_timelapse(folder)
        target = Path(config.saved_models_dir) / main_file(model, folder).name
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

    def _draw_curves(self) -> None:
        """Draw the losses of the epochs that are complete."""
        path = self.folder / "log.jsonl"
        if path.exists() and figures.read_log(path):
            figures.loss_curves(self.folder).savefig(self.folder / "losses.png", metadata=MARK)

    def _check_prior(self, path: Path) -> None:
        """Fit the prior of the best model again where it was exported with another one."""
        config, metadata = self.config, read_model_file(path).metadata
        components = config.prior_components if config.prior == "mixture" else None
        if config.prior and metadata.get("prior_components") != components:
            fit_prior(path, self.faces, components, seed=config.seed)


def _found(config: TrainConfig) -> tuple[str | None, Precision, dict[str, list]]:
    """The folder of the run to resume, the precision, and what of the configuration changes."""
    folder = find_run(config.resume, config.output_dir) if config.resume else None
    if folder is not None:
        check_unlocked(folder)
    config = settle_precision(config, folder)
    changed = check_same_run(config, folder) if folder else {}
    if folder is not None:
        _check_not_over(folder)
    return str(folder) if folder else None, config.precision, changed


def _check_not_over(folder: Path) -> None:
    """Refuse a run whose checkpoints are gone: it would begin anew, over its own log and models.

    A run that was killed before its first checkpoint may begin anew.

    Raises:
        UserError: They are gone.
    """
    if _has_weights(folder):
        return
    had = (folder / RESULT).exists() or (folder / STOPPED).exists()
    if not had and (folder / "log.jsonl").exists():
        last = max((line["epoch"] for line in figures.read_log(folder)), default=0)
        had = last > load_config(folder / "config.yaml").save_interval
    if had:
        raise UserError(
            f"--resume {folder}: its checkpoints are gone, and from its beginning it would train "
            f"over its own log and models; bring {folder / CHECKPOINTS} back, or start a new run "
            "with one of its models as init_from"
        )


def _has_weights(folder: str | Path | None) -> bool:
    """Whether there is a run to resume, and a checkpoint in it."""
    return folder is not None and bool(checkpoint.find(Path(folder) / CHECKPOINTS))


def early_end(config: TrainConfig, model: FaceModel, photos: int) -> str | None:
    """A note where a progressive training ends before it has grown to its resolution, or any before
    its generator learns; else None.
    """
    if not config.progressive:
        return warm_up_only(config, photos)
    images = _images_of(config, photos)
    reached = model.resolution_after(images)
    if reached == config.resolution:
        return None
    needed = sum(model.schedule.images[size] for size in model.schedule.images if size <= reached)
    return (
        f"note: {config.epochs} epochs of these photos are {images:,} images and end at "
        f"{reached}x{reached}; the next resolution begins after {needed:,}: "
        "give more epochs, or a shorter progressive"
    )


def warm_up_only(config: TrainConfig, photos: int) -> str | None:
    """A note where a training ends before its generator learns, or None."""
    images = _images_of(config, photos)
    if not config.warm_up_images or images > config.warm_up_images:
        return None
    return (
        f"note: {config.epochs} epochs of these photos are {images:,} images; the generator learns "
        f"only after {config.warm_up_images:,} (warm_up_images): give more epochs"
    )


def _images_of(config: TrainConfig, photos: int) -> int:
    return config.epochs * (photos // config.batch_size * config.batch_size)


def _check_packages(config: TrainConfig) -> None:
    """Refuse options whose packages are missing or cannot run before anything is written."""
    for package in ("wandb", "tensorboard"):
        if getattr(config, package):
            require(package, package)
    if config.wandb:
        tracking.wandb_mode()
