"""A training from the command line to the files it leaves, and what it refuses to begin."""

import json
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import facegen_keras as fg
from facegen_keras.engine import checkpoint
from facegen_keras.runs.config import load_config

EXACT = {"epoch", "images_seen", "step"}
MEASURED = {"images_per_second", "peak_memory_mib", "time"}


def test_the_run_folder_holds_what_it_should(vae_run):
    names = {path.name for path in vae_run.iterdir()}
    assert names == {
        "best_vae_decoder.h5", "best_vae_encoder.h5", "checkpoints", "config.yaml",
        "environment.json", "fakes_epoch0002.png", "fakes_epoch0003.png", "fakes_init.png",
        "log.jsonl", "losses.png", "reals.png", "result.json", "tensorboard", "timelapse.gif",
        "vae_decoder.h5", "vae_encoder.h5",
    }  # fmt: skip
    found = [path.name for path in (vae_run / "checkpoints").iterdir()]
    assert sorted(found) == ["checkpoint-000000008.h5", "checkpoint-000000012.h5"]
    with Image.open(vae_run / "reals.png") as reals, Image.open(vae_run / "fakes_init.png") as init:
        # 36 photos and 64 fakes of 32x32, with at most two pixels between them.
        assert 6 * 32 <= reals.size[0] <= 6 * 34 + 2
        assert reals.size[0] == reals.size[1]
        assert 8 * 32 <= init.size[0] <= 8 * 34 + 2
    with Image.open(vae_run / "timelapse.gif") as film:
        assert film.n_frames == 3
    assert list((vae_run / "tensorboard").rglob("events.out.tfevents.*"))


def test_the_log_has_a_line_per_epoch(vae_run, log_of):
    lines = log_of(vae_run)
    losses = {"loss", "reconstruction_loss", "kl_loss"}
    expected = EXACT | MEASURED | losses | {f"val_{name}" for name in losses}
    expected |= {"active_units", "kl_per_dimension"}
    assert [set(line) - {"diversity"} for line in lines] == [expected] * 3
    assert ["diversity" in line for line in lines] == [False, True, True]
    for epoch, line in enumerate(lines, 1):
        assert (line["epoch"], line["step"], line["images_seen"]) == (epoch, 4 * epoch, 32 * epoch)
        assert line["loss"] == pytest.approx(
            line["reconstruction_loss"] + line["kl_loss"], rel=1e-4
        )
        assert len(line["kl_per_dimension"]) == 6
        assert 0 <= line["active_units"] <= 6
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_the_record_of_configuration_and_machine(vae_run, faces_zip):
    config = load_config(vae_run / "config.yaml")
    assert (config.model, config.name, config.epochs) == ("vae", "whole", 3)
    assert config.data_path == str(faces_zip)
    # What was left out stands there as it was used.
    assert (config.learning_rate, config.beta, config.reconstruction) == (2e-4, 1.0, "mse")
    (session,) = json.loads((vae_run / "environment.json").read_text())[:1]
    assert session["from_step"] == 0
    assert session["backend"] == keras.backend.backend()
    assert session["versions"]["keras"] == keras.version()


def test_the_final_model_is_the_best_one_and_opens(vae_run, train, log_of):
    lines = log_of(vae_run)
    losses = [line["val_loss"] for line in lines]
    best = int(np.argmin(losses)) + 1
    result = json.loads((vae_run / "result.json").read_text())
    assert (result["best_epoch"], result["images_seen"]) == (best, 96)
    assert result["best_value"] == pytest.approx(min(losses))
    generator = fg.load_generator(train.models / "vae_decoder.h5")
    kept = fg.load_generator(vae_run / "best_vae_decoder.h5")
    np.testing.assert_array_equal(generator.sample(range(3)), kept.sample(range(3)))
    metadata = generator.metadata
    assert metadata["images_seen"] == 32 * best
    assert metadata["run"] == "whole"
    assert metadata["training"]["batch_size"] == 8
    state = checkpoint.latest(vae_run / "checkpoints").state
    assert metadata["data_fingerprint"] == state.data_fingerprint
    plain = keras.saving.load_model(train.models / "vae_encoder.h5", compile=False)
    assert plain.output_shape == (None, 12)


def test_a_run_s_name_is_not_taken_twice(vae_run, train, capsys):
    train("whole", "--model vae", code=2)
    assert "exists; continue it with --resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--wandb", "the package 'wandb' is needed"),
        ("--tensorboard", "the package 'tensorboard' is needed"),
        ("--fid_every 1 --inception_weights nowhere.pth", "nowhere.pth"),
        ("--prior mixture --prior_components 25", "25 Gaussians for 48 codes: give at least 50"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_written(
    train, flags, message, monkeypatch, capsys
):
    for package in ("wandb", "tensorboard"):
        monkeypatch.setitem(sys.modules, package, None)
    folder = train("untracked", f"--model vae {flags}", code=2)
    err = capsys.readouterr().err
    assert message in err.splitlines()[-1]
    assert not folder.exists()


def test_a_place_for_models_that_cannot_be_is_told_before_training(train, tmp_path, capsys):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "models"):
        folder = train("no_place", f"--model vae --epochs 1 --saved_models_dir {place}", code=2)
        assert f"error: saved_models_dir {place}: Not a directory" in capsys.readouterr().err
        assert not folder.exists()


def test_a_batch_larger_than_the_data(train, capsys):
    folder = train("large", "--model vae --batch_size 49", code=2)
    err = capsys.readouterr().err
    assert "batch_size 49 is larger than the data (48 images)" in err
    assert err.count("\n") == 1
    assert not folder.exists()


@pytest.mark.parametrize(("accelerator", "code"), [(False, 2), (True, 0)])
def test_freed_memory_is_kept_on_a_cpu_only(train, monkeypatch, accelerator, code):
    def kept():
        raise fg.UserError("kept")

    monkeypatch.setattr("facegen_keras.runs.train.keep_freed_memory", kept)
    monkeypatch.setattr("facegen_keras.backend.has_accelerator", lambda: accelerator)
    monkeypatch.setattr("facegen_keras.runs.train.Run._fit", lambda run: None)
    monkeypatch.setattr("facegen_keras.runs.train.Run._finish", lambda run: None)
    train(f"memory_{accelerator}", "--model dcgan --epochs 1", code=code)


def test_the_combined_model_leaves_generator_and_encoder(train, made_up, log_of):
    folder = train("both", "--model combined --epochs 1 --augment color")
    (line,) = log_of(folder)
    expected = EXACT | MEASURED | set(fg.Combined.loss_names) | {"diversity"}
    assert set(line) == expected
    assert line["step"] == 6
    generator = fg.load_generator(train.models / "combined_generator.h5")
    assert generator.family == "combined"
    assert generator.metadata["config"]["augment"] == "color"
    keras.saving.load_model(train.models / "combined_generator.h5", compile=False)
    encoder = keras.saving.load_model(train.models / "combined_encoder.h5", compile=False)
    assert encoder.output_shape == (None, 12)
