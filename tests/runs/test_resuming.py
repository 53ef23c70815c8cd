"""A training that was cut off or has come to its end, and goes on: exactly, or not at all."""

import json
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import h5py
import numpy as np
import pytest

import facegen_keras as fg
from facegen_keras import cli
from facegen_keras.engine import checkpoint
from facegen_keras.export.write import update_metadata
from facegen_keras.runs import train as training
from facegen_keras.runs.config import TrainConfig, load_config

MEASURED = {"images_per_second", "peak_memory_mib", "time"}


def unmeasured(lines):
    return [{k: v for k, v in line.items() if k not in MEASURED} for line in lines]


def assert_same_lines(got, expected):
    assert len(got) == len(expected)
    for a, b in zip(unmeasured(got), unmeasured(expected), strict=True):
        assert a.keys() == b.keys()
        for name, value in b.items():
            assert a[name] == pytest.approx(value, rel=1e-5, abs=1e-4), name


def test_cut_off_in_an_epoch_and_resumed_it_gives_the_same(vae_run, train, capsys, log_of):
    """Early stopping's memory, averages of the cut epoch and log lines included."""
    flags = "--model vae --epochs 3 --save_interval 2 --validation_split 0.25"
    cut = train("cut", f"{flags} --time_limit 0.001s")
    out = capsys.readouterr().out
    assert "stopped: the time limit is reached. Resume with: python train.py --resume" in out
    state = checkpoint.latest(cut / "checkpoints").state
    assert (state.step, state.position) == (1, 1)
    assert not (cut / "log.jsonl").exists()
    assert not (cut / "result.json").exists()
    train("cut", f"--resume {cut} --time_limit 1h --save_minutes 1e-6")
    assert "after step 1 (epoch 1, 8 images seen)" in capsys.readouterr().out
    assert_same_lines(log_of(cut), log_of(vae_run))
    memories = [
        checkpoint.latest(folder / "checkpoints").state.callbacks["BestModel"]
        for folder in (vae_run, cut)
    ]
    assert memories[0]["best_epoch"] == memories[1]["best_epoch"]
    assert memories[0]["best"] == pytest.approx(memories[1]["best"], rel=1e-5)
    sessions = json.loads((cut / "environment.json").read_text())
    assert [session["from_step"] for session in sessions] == [0, 1]
    # The run before it had published its model under the same name: it is kept beside.
    kept = fg.load_generator(train.models / "vae_decoder.whole.h5")
    assert kept.metadata["run"] == "whole"
    assert fg.load_generator(train.models / "vae_decoder.h5").metadata["run"] == "cut"
    assert (train.models / "vae_encoder.whole.h5").exists()


@pytest.fixture
def copy(vae_run, tmp_path):
    """A copy of the finished run that may be changed."""
    return Path(shutil.copytree(vae_run, tmp_path / "my output" / "whole"))


@pytest.fixture
def resume(copy, tmp_path, capsys):
    """Go on with the copy; returns what was written to stdout and stderr."""

    def run(*flags, code=0):
        capsys.readouterr()
        models = ["--saved_models_dir", str(tmp_path / "models")]
        assert cli.main(["train", "--resume", str(copy), *models, *flags]) == code
        return capsys.readouterr()

    return run


def test_a_finished_run_has_nothing_to_do_and_keeps_its_best(resume, copy, tmp_path):
    # As if the second epoch had been the best.
    best = copy / "best_vae_decoder.h5"
    update_metadata(best, images_seen=64)
    result = json.loads((copy / "result.json").read_text())
    assert "nothing to do: all 3 epochs are trained" in resume().out
    published = fg.load_generator(tmp_path / "models" / "vae_decoder.h5")
    assert published.metadata["images_seen"] == 64
    again = json.loads((copy / "result.json").read_text())
    assert {**again, "model": None} == {**result, "model": None}


def test_a_prior_is_fitted_to_a_finished_run(resume, copy, tmp_path):
    published = tmp_path / "models" / "vae_decoder.h5"
    last, best = copy / "vae_decoder.h5", copy / "best_vae_decoder.h5"
    resume("--prior", "mixture", "--prior_components", "2")
    for path in (last, best, published):
        generator = fg.load_generator(path)
        assert generator.prior.components == generator.metadata["prior_components"] == 2
        assert np.abs(generator.prior.means).max() > 0
    assert (
        fg.load_generator(published).metadata["images_seen"]
        == fg.load_generator(best).metadata["images_seen"]
    )
    assert load_config(copy / "config.yaml").prior == "mixture"
    (*_, session) = json.loads((copy / "environment.json").read_text())
    assert session["changed"]["prior"] == ["normal", "mixture"]
    resume("--prior", "normal")
    assert all(fg.load_generator(path).prior is None for path in (last, best, published))


def test_a_run_goes_on_in_the_precision_that_auto_was(resume, copy, train, monkeypatch, capsys):
    choice = lambda: ("bfloat16", "a test says so")  # noqa: E731
    monkeypatch.setattr("facegen_keras.runs.folder.fastest_precision", choice)
    assert "nothing to do" in resume("--precision", "auto").out
    assert load_config(copy / "config.yaml").precision == "float32"
    new = train("auto", "--model vae --epochs 1 --precision auto")
    assert "precision bfloat16: a test says so\n" in capsys.readouterr().out
    assert load_config(new / "config.yaml").precision == "bfloat16"


def test_a_run_out_of_patience_trains_no_further(vae_run, train, capsys, log_of):
    """The rate is too small for a better validation loss than that of the first epochs."""
    flags = "--model vae --epochs 9 --validation_split 0.25 --patience 1 --learning_rate 1e-12"
    folder = train("patient", flags)
    assert "stopping; the best model is that of epoch" in capsys.readouterr().out
    result = json.loads((folder / "result.json").read_text())
    lines = log_of(folder)
    assert len(lines) == result["best_epoch"] + 1 < 9
    train("patient", f"--resume {folder}")
    assert "out of patience" in capsys.readouterr().out
    assert log_of(folder) == lines
    again = json.loads((folder / "result.json").read_text())
    assert again == result


def test_photos_that_moved_are_asked_for(resume, copy, tmp_path, faces_zip):
    err = resume("--epochs", "9", "--data_path", str(tmp_path / "gone.zip"), code=2).err
    assert "gone.zip: no such file or folder" in err
    assert err.count("\n") == 1
    assert f"resume with: --resume '{copy}' --data_path NEW" in err
    assert load_config(copy / "config.yaml").epochs == 3


def test_more_epochs_may_be_asked_for(resume, copy, vae_run, log_of):
    (copy / "environment.json").write_bytes(b"")  # after a power cut
    out = resume("--epochs", "4", "--save_interval", "1", "--on_nan", "rollback").out
    (session,) = json.loads((copy / "environment.json").read_text())
    assert session["from_step"] == 12
    stored = load_config(copy / "config.yaml")
    assert (stored.epochs, stored.save_interval, stored.name) == (4, 1, "whole")
    assert "after step 12 (epoch 4, 96 images seen)" in out
    lines = log_of(copy)
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert lines[-1]["step"] == 16
    assert lines[:3] == log_of(vae_run)
    found = sorted(path.name for path in (copy / "checkpoints").iterdir())
    assert found == ["checkpoint-000000012.h5", "checkpoint-000000016.h5"]


def test_damaged_lines_of_a_log_are_dropped(resume, copy, log_of):
    log = copy / "log.jsonl"
    log.write_bytes(b'{"epoch": 1, "lo\n5\n\xff\xfe\n' + log.read_bytes())
    resume("--epochs", "4")
    assert [line["epoch"] for line in log_of(copy)] == [1, 2, 3, 4]


def test_what_was_asked_for_is_remembered_and_the_middle_of_an_epoch_is_no_end(
    resume, copy, tmp_path
):
    result = (copy / "result.json").read_bytes()
    (copy / "losses.png").unlink()
    (copy / "reals.png").unlink()  # as after a kill just before it was written
    out = resume("--epochs", "9", "--time_limit", "0.001s").out
    stored = load_config(copy / "config.yaml")
    assert (stored.epochs, stored.time_limit, stored.resume) == (9, None, None)
    assert f"Resume with: python train.py --resume '{copy}'\n" in out
    # What there is so far can be looked at.
    assert f"python generate.py --model_path '{copy / 'vae_decoder.h5'}'\n" in out
    assert fg.load_generator(copy / "vae_decoder.h5").metadata["images_seen"] == 104
    assert (copy / "fakes_stopped.png").exists()
    assert (copy / "losses.png").exists()
    assert (copy / "reals.png").exists()
    # Neither is it done, nor is it published.
    err = resume("--epochs", "3", code=2).err
    assert "epochs 3: the checkpoint is in the middle of epoch 4; give 4 or more" in err
    assert load_config(copy / "config.yaml").epochs == 9
    assert (copy / "result.json").read_bytes() == result
    assert not (tmp_path / "models").exists()
    out = resume("--time_limit", "0.001s").out
    assert "after step 13 (epoch 4" in out
    assert "nothing to do" not in out


def test_a_run_may_go_on_with_falling_learning_rates(resume, copy, log_of):
    resume("--epochs", "5", "--decay_from", "0.6")
    factors = [line.get("learning_rate_factor") for line in log_of(copy)]
    assert factors == [None, None, None, 0.75, 0.25]
    with h5py.File(checkpoint.find(copy / "checkpoints")[-1]) as file:
        rates = {
            float(item[()])
            for item in file["optimizer"].values()
            if item.dtype == "float32" and item.shape == ()
        }
    assert any(rate == pytest.approx(0.25 * 2e-4) for rate in rates)


def test_augmentation_may_come_later_and_is_told(train, log_of):
    run = train("later", "--model dcgan --epochs 1")
    train("later", f"--resume {run} --augment translation")  # nothing is left to train
    train("later", f"--resume {run} --epochs 2")
    assert load_config(run / "config.yaml").augment == "translation"
    sessions = json.loads((run / "environment.json").read_text())
    assert [session.get("changed") for session in sessions] == [
        None,
        {"augment": ["", "translation"]},
        {"epochs": [1, 2]},
    ]
    assert [session["from_step"] for session in sessions] == [0, 6, 6]
    assert [line["epoch"] for line in log_of(run)] == [1, 2]
    assert fg.load_generator(run / "dcgan_generator.h5").metadata["config"]["augment"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--batch_size", "4"], "batch_size 4: .* was trained with 8, which cannot change"),
        (["--limit", "5"], "limit 5: .* was trained with none, which cannot change"),
        (["--beta", "2"], "beta 2.0: .* was trained with 1.0"),
        (["--model", "dcgan"], "model dcgan: .* was trained with vae, which cannot change"),
        (["--seed", "1"], "seed 1: .* was trained with 0"),
        (["--latent_dim", "7"], "latent_dim 7: .* was trained with 6"),
        (["--mirror"], "mirror True: .* was trained with False"),
        (["--name", "other"], "name other: .* was trained with whole, .* leave it out"),
    ],
)
def test_what_makes_a_run_exact_cannot_change(resume, copy, flags, message):
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    err = resume("--epochs", "9", *flags, code=2).err
    assert err.count("\n") == 1
    assert re.search(message, err)
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before


def test_in_python_a_run_goes_on_with_its_own_configuration(copy):
    with pytest.raises(fg.UserError, match=r"begin with .*load_config\('.*whole/config.yaml'\)"):
        training.train(TrainConfig(resume=str(copy)))


def test_other_data_is_refused(resume, copy, tmp_path, made_up):
    np.save(tmp_path / "other.npy", made_up(48, seed=1))
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    err = resume("--epochs", "9", "--data_path", str(tmp_path / "other.npy"), code=2).err
    assert "was trained on other photos" in err
    assert err.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before


def test_wandb_goes_on_under_its_id(train, monkeypatch):
    """With a stand-in for the package; the real one is run in test_tracking.py."""
    inits, entries = [], []
    run = SimpleNamespace(log=lambda entry, step: entries.append((step, entry)), finish=int)
    stand_in = ModuleType("wandb")
    stand_in.Settings, stand_in.Image = dict, np.shape
    stand_in.init = lambda **options: inits.append(options) or run
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("NETRC", "/nowhere")
    folder = train("tracked", "--model vae --epochs 1 --wandb --wandb_group study")
    train("tracked", f"--resume {folder} --epochs 2")
    assert len(inits) == 2
    assert inits[0]["id"] == inits[1]["id"]
    assert {i["mode"] for i in inits} == {"offline"}
    assert {i["group"] for i in inits} == {"study"}
    assert [step for step, _ in entries] == [6, 12]
    assert inits[0]["config"]["learning_rate"] == 2e-4  # the resolved configuration
    for _, entry in entries:
        assert {"loss", "kl_loss", "epoch", "images_seen", "fakes"} <= set(entry)
        assert entry["fakes"] == [(32, 32, 3)] * 16


def test_what_a_run_started_from_is_not_needed_again(train, tmp_path, log_of):
    model = fg.DCGAN(resolution=32, latent_dim=6, base_channels=4)
    start = fg.save_generator(model, tmp_path / "start_generator.h5")
    run = train("started", f"--model dcgan --epochs 1 --init_from {start}")
    start.unlink()
    train("started", f"--resume {run} --epochs 2")
    assert [line["epoch"] for line in log_of(run)] == [1, 2]


@pytest.mark.parametrize("told", ["result.json", "fakes_stopped.png", "log.jsonl"])
def test_a_run_whose_checkpoints_are_gone_is_not_trained_over(resume, copy, told):
    """It would begin anew and write over its log and its model."""
    model = copy / "vae_decoder.h5"
    shutil.rmtree(copy / "checkpoints")
    if told != "result.json":
        (copy / "result.json").unlink()
    if told == "fakes_stopped.png":
        (copy / "log.jsonl").unlink()
        (copy / told).touch()
    before = {path: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    err = resume("--epochs", "9", code=2).err
    assert err.startswith(f"error: --resume {copy}: its checkpoints are gone")
    assert model in before
    assert before == {path: path.read_bytes() for path in copy.iterdir() if path.is_file()}
