"""Pictures, log lines, exports and early stopping, with a stub in the model's place."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from facegen_keras.engine import callbacks
from facegen_keras.engine.callbacks import (
    BestModel,
    Export,
    ImageGrid,
    LatentReport,
    LearningRateDecay,
    RunLog,
)
from facegen_keras.engine.run_state import Start
from facegen_keras.errors import UserError


def attach(callback, epochs=100, **attributes):
    """A callback of a made-up model."""
    defaults = {"epoch_is_complete": True, "steps": 0, "images_seen": 0, "start": Start()}
    defaults["never_computed"] = list
    callback.set_params({"epochs": epochs})
    callback.set_model(SimpleNamespace(**{**defaults, **attributes}))
    return callback


def test_is_due():
    due = [epoch + 1 for epoch in range(11) if callbacks.is_due(epoch, 5, 11)]
    assert due == [5, 10, 11]


def test_image_grid_and_timelapse(tmp_path, made_up):
    asked = []

    def sample(seeds):
        asked.append(list(seeds))
        return made_up(len(list(seeds)), seed=len(asked))

    grid = attach(ImageGrid(tmp_path, every=2, seeds=range(4)), epochs=5, sample=sample)
    grid.on_train_begin()
    for epoch in range(5):
        grid.on_epoch_end(epoch)
    grid.on_train_end()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "fakes_epoch0002.png",
        "fakes_epoch0004.png",
        "fakes_epoch0005.png",
        "fakes_init.png",
        "timelapse.gif",
    ]
    assert asked == [[0, 1, 2, 3]] * 4
    with Image.open(tmp_path / "fakes_init.png") as image:
        assert image.size[0] >= 64
        assert image.size[1] >= 64
    with Image.open(tmp_path / "timelapse.gif") as film:
        assert film.n_frames == 4
        times = []
        for frame in range(4):
            film.seek(frame)
            times.append(film.info["duration"])
        assert times == [500, 500, 500, 2000]  # milliseconds: long enough to look
    np.testing.assert_array_equal(grid.latest, made_up(4, seed=4))


def test_the_film_of_a_growing_network_has_one_size(tmp_path, made_up):
    sizes = iter((8, 16, 32))
    grid = ImageGrid(tmp_path, seeds=range(4))
    attach(grid, epochs=2, sample=lambda seeds: made_up(4, resolution=next(sizes)))
    grid.on_train_begin()
    for epoch in range(2):
        grid.on_epoch_end(epoch)
    grid.on_train_end()
    with (
        Image.open(tmp_path / "timelapse.gif") as film,
        Image.open(tmp_path / "fakes_epoch0002.png") as last,
    ):
        assert film.n_frames == 3
        assert film.size == last.size


def test_the_film_shows_epoch_10000_after_9950(tmp_path, made_up, monkeypatch):
    taken = []
    monkeypatch.setattr(callbacks, "_frames", lambda paths: taken.extend(p.name for p in paths))
    monkeypatch.setattr(callbacks, "save_frames", lambda frames, path, seconds: None)
    epochs = (50, 9950, 10000)
    for epoch in epochs:
        (tmp_path / f"fakes_epoch{epoch:04d}.png").touch()
    attach(ImageGrid(tmp_path)).on_train_end()
    assert taken == [f"fakes_epoch{epoch:04d}.png" for epoch in epochs]


def test_a_notebook_shows_one_picture_that_changes(tmp_path, made_up, monkeypatch):
    display = pytest.importorskip("IPython.display")
    outputs = []

    def show(picture, display_id, metadata):
        assert metadata["image/png"]["alt"].startswith("Faces of the same latents")
        outputs.append([picture])
        return SimpleNamespace(update=lambda new, metadata: outputs[-1].append(new))

    monkeypatch.setattr(display, "display", show)
    grid = ImageGrid(tmp_path, seeds=range(4), show=True)
    attach(grid, epochs=2, sample=lambda seeds: made_up(4))
    for _ in range(2):
        grid.on_train_begin()
        grid.on_epoch_end(0)
    assert [len(pictures) for pictures in outputs] == [2, 2]
    assert outputs[0][0].size == (256, 256)  # 2 by 2 faces of 32 pixels, four times as large


def test_a_resumed_or_unfinished_epoch_draws_nothing(tmp_path):
    grid = attach(ImageGrid(tmp_path), steps=6, epoch_is_complete=False)
    grid.on_train_begin()
    grid.on_epoch_end(0)
    assert list(tmp_path.iterdir()) == []


def test_log_lines(tmp_path):
    path = tmp_path / "not_yet_there" / "log.jsonl"
    log = attach(RunLog(path), images_seen=100)
    log.on_train_begin()
    log.on_epoch_begin(0)
    log.model.images_seen, log.model.steps = 160, 15
    log.on_epoch_end(0, {"loss": np.float32(0.5), "active_units": 3, "kl_per_dimension": [1.0]})
    log.model.epoch_is_complete = False
    log.on_epoch_end(1, {"loss": 0.25})
    (line,) = path.read_text().splitlines()
    line = json.loads(line)
    assert line["images_per_second"] > 0
    assert line["peak_memory_mib"] > 50
    del line["images_per_second"], line["peak_memory_mib"], line["time"]
    assert line == {
        "epoch": 1,
        "images_seen": 160,
        "step": 15,
        "loss": 0.5,
        "active_units": 3,
        "kl_per_dimension": [1.0],
    }


def test_lines_after_the_checkpoint_go(tmp_path):
    path = tmp_path / "log.jsonl"
    lines = [json.dumps({"epoch": epoch}) for epoch in (1, 2, 3)]
    path.write_text("\n".join(lines) + '\n{"epoch": 4, "lo')  # killed in the middle of a line
    attach(RunLog(path), start=Start(2)).on_train_begin()
    assert path.read_text() == "".join(f"{line}\n" for line in lines[:2])


def test_a_disk_that_is_full_at_the_start_leaves_the_lines(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    path.write_text('{"epoch": 1}\n{"epoch": 2}\n')

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(UserError, match="No space left on device"):
        attach(RunLog(path), start=Start(1)).on_train_begin()
    assert path.read_text() == '{"epoch": 1}\n{"epoch": 2}\n'


def test_what_is_no_number_is_null(tmp_path):
    log = attach(RunLog(tmp_path / "log.jsonl"))
    log.on_train_begin()
    log.on_epoch_begin(0)
    logs = {"diversity": float("nan"), "loss": np.float32("inf"), "kl": [1.0, float("nan")]}
    log.on_epoch_end(0, logs)
    text = (tmp_path / "log.jsonl").read_text()
    line = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert (line["diversity"], line["loss"], line["kl"]) == (None, None, [1.0, None])


def test_peak_memory_is_that_of_this_process():
    assert 50 < callbacks.peak_memory_mib() < 100_000


@pytest.fixture
def exports(monkeypatch):
    """The epochs' models that are exported, instead of files."""
    done = []
    monkeypatch.setattr(
        callbacks, "save_generator", lambda model, path, run: done.append((path.name, run))
    )
    return done


def test_export_every_so_many_epochs(tmp_path, exports):
    export = attach(Export(tmp_path / "g.h5", 3, "run"), epochs=7)
    for epoch in range(7):
        export.on_epoch_end(epoch)
        assert len(exports) == [0, 0, 1, 1, 1, 2, 3][epoch]
    assert exports[0] == ("g.h5", "run")


def run_epochs(best, losses, start=0):
    """Give a BestModel validation losses until it stops training; returns the epochs it saw."""
    for epoch, loss in enumerate(losses, start):
        logs = {"loss": 1.0}
        best.model.validate = lambda faces, loss=loss: {"loss": loss, "kl_loss": 2 * loss}
        best.on_epoch_end(epoch, logs)
        assert logs == {"loss": 1.0, "val_loss": loss, "val_kl_loss": 2 * loss}
        if best.model.stop_training:
            break
    return epoch + 1


def test_early_stopping_with_patience_keeps_the_best(tmp_path, exports, capsys):
    best = attach(BestModel("held out", tmp_path / "b.h5", "run", patience=3), stop_training=False)
    assert run_epochs(best, [5.0, 4.0, 4.5, 3.0, 3.5, 3.0, 3.2, 2.0]) == 7
    assert len(exports) == 3
    assert best.get_state() == {"best": 3.0, "best_epoch": 4, "kept": True}
    assert "no better than 3 for 3 epochs" in capsys.readouterr().out


def test_early_stopping_goes_on_after_a_resume(tmp_path, exports):
    losses = [5.0, 4.0, 4.5, 4.2, 4.1]
    first = attach(BestModel("held out", tmp_path / "b.h5", "run", patience=3), stop_training=False)
    assert run_epochs(first, losses[:3]) == 3
    assert not first.model.stop_training
    second = attach(
        BestModel("held out", tmp_path / "b.h5", "run", patience=3), stop_training=False
    )
    second.set_state(json.loads(json.dumps(first.get_state())))
    assert run_epochs(second, losses[3:], start=3) == 5
    assert second.model.stop_training
    assert len(exports) == 2  # none since the best


def test_without_patience_it_only_watches(tmp_path, exports):
    best = attach(BestModel("held out", tmp_path / "b.h5", "run"), stop_training=False)
    assert run_epochs(best, [1.0] + [2.0] * 50) == 51


def test_rates_fall_linearly_over_the_last_part():
    decay = attach(
        LearningRateDecay({"a": 0.5, "b": 2.0}, start=0.5),
        epochs=8,
        optimizer={"a": SimpleNamespace(), "b": SimpleNamespace()},
    )
    rates, logs = [], {}
    for epoch in range(8):
        decay.on_epoch_begin(epoch)
        rates.append(decay.model.optimizer["a"].learning_rate)
        assert decay.model.optimizer["b"].learning_rate == 4 * rates[-1]
    np.testing.assert_allclose(rates, 0.5 * np.array([1, 1, 1, 1, 0.875, 0.625, 0.375, 0.125]))
    decay.on_epoch_end(7, logs)
    assert logs == {"learning_rate_factor": 0.125}


def test_latent_report(made_up):
    statistics = {"active": np.array([True, False, True]), "kl_per_dimension": np.arange(3) / 3}
    report = attach(LatentReport(made_up(2)), latent_statistics=lambda images: statistics)
    logs = {}
    report.on_epoch_end(0, logs)
    assert logs == {"active_units": 2, "kl_per_dimension": [0.0, 0.3333, 0.6667]}
