"""Several configurations in turn."""

import csv
import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from facegen_keras.cli import main
from facegen_keras.cli import sweep as sweeping
from facegen_keras.models import vae
from facegen_keras.runs import train as training


@pytest.fixture
def photos(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "photos.npy", images)
    return tmp_path / "photos.npy"


@pytest.fixture
def configs(tmp_path):
    for beta in (1, 2):
        text = f"model: vae\nresolution: 32\nbatch_size: 8\nbase_channels: 4\nbeta: {beta}.0\n"
        (tmp_path / f"beta{beta}.yaml").write_text(text + "latent_dim: 4\nvalidation_split: 0.25\n")
    return [str(tmp_path / f"beta{beta}.yaml") for beta in (1, 2)]


def sweep(configs, photos, folder, *flags):
    places = ["--data_path", str(photos), "--output_dir", str(folder)]
    return main(["sweep", *configs, *places, "--cache_dir", str(folder / "cache"), *flags])


def test_a_sweep_compares_and_the_same_line_again_trains_only_what_is_new(
    configs, photos, tmp_path, capsys
):
    out = tmp_path / "out"
    assert sweep(configs[:1], photos, out, "--epochs", "1") == 0
    trained = (out / "beta1/config.yaml").stat().st_mtime_ns
    capsys.readouterr()
    assert sweep(configs, photos, out, "--epochs", "1") == 0
    assert "beta1: finished" in capsys.readouterr().out
    assert (out / "beta1/config.yaml").stat().st_mtime_ns == trained
    with open(out / "sweep.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], float(row["beta"])) for row in rows] == [("beta1", 1.0), ("beta2", 2.0)]
    assert all(float(row["best_value"]) > 0 for row in rows)
    assert (out / "sweep.png").stat().st_size > 0


def test_a_finished_run_is_not_taken_for_one_of_more_epochs_that_was_cut_off(
    configs, photos, tmp_path, capsys
):
    out = tmp_path / "out"
    assert sweep(configs[:1], photos, out, "--epochs", "1") == 0
    assert sweep(configs, photos, out, "--epochs", "9", "--time_limit", "0.01s") == 2
    assert "beta1: stopped before its end" in capsys.readouterr().err
    assert not (out / "beta2").exists()


def test_a_finished_run_is_compared_without_building_its_model(
    configs, photos, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    assert sweep(configs[:1], photos, out, "--epochs", "1") == 0

    def build(*shape):
        raise AssertionError("a model is built")

    monkeypatch.setattr(vae, "build_encoder", build)
    assert sweep(configs[:1], photos, out, "--epochs", "1") == 0
    assert "beta1: finished" in capsys.readouterr().out


def test_ctrl_c_ends_the_sweep(configs, photos, tmp_path, monkeypatch, capsys):
    class Press(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if not pressed:
                pressed.append(batch)
                os.kill(os.getpid(), signal.SIGINT)

    pressed, make = [], training.make_callbacks

    def make_callbacks(*given):
        callbacks, best = make(*given)
        return [Press(), *callbacks], best

    monkeypatch.setattr(training, "make_callbacks", make_callbacks)
    assert sweep(configs, photos, tmp_path / "out", "--epochs", "5") == 2
    assert "stopped before its end" in capsys.readouterr().err
    assert not (tmp_path / "out/beta2").exists()


def test_a_changed_configuration_is_refused_by_name(configs, photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert sweep(configs[:1], photos, out, "--epochs", "1") == 0
    capsys.readouterr()
    assert sweep(configs, photos, out, "--epochs", "1", "--learning_rate", "0.5") == 2
    assert f"learning_rate 0.5: {out / 'beta1'} was trained with" in capsys.readouterr().err
    text = Path(configs[0]).read_text()
    Path(configs[0]).write_text(text.replace("beta: 1.0\n", "beta: 3.0\n"))
    assert sweep(configs, photos, out, "--epochs", "1") == 2
    assert "beta 3.0: " in capsys.readouterr().err
    assert not (out / "beta2").exists()


def test_a_run_of_an_earlier_version_lacks_the_options_that_came_later(
    configs, photos, tmp_path, capsys
):
    out = tmp_path / "out"
    assert sweep(configs[:1], photos, out, "--epochs", "1") == 0
    record = out / "beta1/config.yaml"
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(line for line in lines if not line.startswith("kl_warmup")))
    assert "kl_warmup" in "".join(lines)
    capsys.readouterr()
    assert sweep(configs[:1], photos, out, "--epochs", "1") == 0
    assert "beta1: finished" in capsys.readouterr().out


def test_families_that_share_no_loss_have_a_panel_each(configs, photos, tmp_path):
    dcgan = tmp_path / "gan.yaml"
    dcgan.write_text("model: dcgan\nresolution: 32\nbatch_size: 8\nbase_channels: 4\n")
    out = tmp_path / "out"
    assert sweep([configs[0], str(dcgan)], photos, out, "--epochs", "1") == 0
    with open(out / "sweep.csv", newline="", encoding="utf-8") as file:
        assert [row["family"] for row in csv.DictReader(file)] == ["vae", "dcgan"]


def test_the_time_limit_is_that_of_the_sweep(configs, photos, tmp_path, monkeypatch, capsys):
    clock, given = [100.0], []

    def train(config):
        given.append(config.time_limit)
        clock[0] += 40
        (tmp_path / "out" / config.name).mkdir(parents=True)
        (tmp_path / "out" / config.name / "result.json").write_text(
            json.dumps({"epochs": config.epochs, "best_value": None})
        )

    monkeypatch.setattr(sweeping, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(sweeping, "train", train)
    (tmp_path / "beta3.yaml").write_text("model: vae\n")
    files = [*configs, str(tmp_path / "beta3.yaml")]
    assert sweep(files, photos, tmp_path / "out", "--time_limit", "80s") == 2
    assert given == ["80.000s", "40.000s"]
    assert "beta3: stopped before its end; the same command again" in capsys.readouterr().err


def test_models_go_where_they_are_asked_to(configs, photos, tmp_path):
    places = ["--saved_models_dir", str(tmp_path / "models")]
    assert sweep(configs[:1], photos, tmp_path / "out", "--epochs", "1", *places) == 0
    assert (tmp_path / "models/beta1/vae_decoder.h5").exists()


def test_a_name_is_refused(configs, photos, tmp_path, capsys):
    assert sweep(configs, photos, tmp_path / "out", "--name", "mine") == 2
    assert "name mine: the runs of a sweep are named after" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_dry_run_trains_nothing(configs, photos, tmp_path, capsys):
    assert sweep(configs, photos, tmp_path / "out", "--dry_run") == 2
    assert f"facegen train --config {configs[0]} --dry_run" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_misspelt_key_stops_it_before_anything_is_trained(configs, photos, tmp_path, capsys):
    Path(configs[1]).write_text("model: vae\nbetta: 1\n")
    assert sweep(configs, photos, tmp_path / "out", "--epochs", "1") == 2
    assert "did you mean beta?" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_it_needs_files(capsys):
    assert main(["sweep", "--epochs", "1"]) == 2
    assert "name the configuration files first" in capsys.readouterr().err


def test_the_runs_of_a_sweep_stand_in_one_folder(configs, photos, tmp_path, capsys):
    for place, config in zip("ab", configs, strict=True):
        with open(config, "a", encoding="utf-8") as file:
            file.write(f"output_dir: {tmp_path / place}\n")
    assert main(["sweep", *configs, "--data_path", str(photos), "--epochs", "1"]) == 2
    assert "name 2 output_dir" in capsys.readouterr().err


def test_the_run_to_resume_is_no_choice(configs, photos, tmp_path, capsys):
    """Another sweep's run would be trained, and this one's never end."""
    out = tmp_path / "out"
    assert sweep(configs, photos, out, "--epochs", "1", "--resume", str(tmp_path / "x/beta1")) == 2
    assert "a sweep resumes what is in its output_dir by itself" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("text", ["", "{}", "[1]", "null"])
def test_a_damaged_result_is_one_line(configs, photos, tmp_path, capsys, text):
    run = tmp_path / "out/beta1"
    run.mkdir(parents=True)
    (run / "result.json").write_text(text)
    assert sweep(configs[:1], photos, tmp_path / "out", "--epochs", "1") == 2
    assert "result.json: damaged; delete it" in capsys.readouterr().err
