"""A training from the command line to the files it leaves, resumed, broken and refused."""

import dataclasses
import json
import os
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import h5py
import keras
import numpy as np
import pytest
from keras import ops
from PIL import Image

import facegen_keras as fg
from facegen_keras import cli, run_folder, training
from facegen_keras.config import MAY_CHANGE, TrainConfig, load_config
from facegen_keras.data import Report
from facegen_keras.engine import checkpoint
from facegen_keras.run_folder import find_run, make_run

SMALL = ["--resolution", "32", "--base_channels", "4", "--latent_dim", "6", "--batch_size", "8"]
EXACT = {"epoch", "images_seen", "step"}
MEASURED = {"images_per_second", "peak_memory_mib", "time"}


@pytest.fixture(scope="module")
def train(faces_zip, tmp_path_factory):
    """`train(name, flags, code=0)` in this process; returns the run's folder."""
    root = tmp_path_factory.mktemp("training")

    def run(name, flags, code=0):
        places = ["--output_dir", f"{root}/output", "--saved_models_dir", f"{root}/saved_models"]
        start = ["--name", name, "--data_path", str(faces_zip), *SMALL]
        if "--resume" in flags:
            start = []
        assert cli.main(["train", *start, *places, *flags.split()]) == code
        return root / "output" / name

    run.models = root / "saved_models"
    return run


@pytest.fixture(scope="module")
def vae_run(train):
    """48 faces, 12 of them held out: 4 steps an epoch."""
    flags = "--model vae --epochs 3 --save_interval 2 --validation_split 0.25 --tensorboard"
    return train("whole", flags)


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def unmeasured(lines):
    return [{k: v for k, v in line.items() if k not in MEASURED} for line in lines]


def assert_same_lines(got, expected):
    assert len(got) == len(expected)
    for a, b in zip(unmeasured(got), unmeasured(expected), strict=True):
        assert a.keys() == b.keys()
        for name, value in b.items():
            assert a[name] == pytest.approx(value, rel=1e-5, abs=1e-4), name


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
        assert 6 * 32 <= reals.size[0] <= 6 * 34 + 2 and reals.size[0] == reals.size[1]
        assert 8 * 32 <= init.size[0] <= 8 * 34 + 2
    with Image.open(vae_run / "timelapse.gif") as film:
        assert film.n_frames == 3
    assert list((vae_run / "tensorboard").rglob("events.out.tfevents.*"))


def test_the_log_has_a_line_per_epoch(vae_run):
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
        assert len(line["kl_per_dimension"]) == 6 and 0 <= line["active_units"] <= 6
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_the_record_of_configuration_and_machine(vae_run, faces_zip):
    config = load_config(vae_run / "config.yaml")
    assert (config.model, config.name, config.epochs) == ("vae", "whole", 3)
    assert config.data_path == str(faces_zip)
    # What was left out stands there as it was used.
    assert (config.learning_rate, config.beta, config.reconstruction) == (2e-4, 1.0, "mse")
    (session,) = json.loads((vae_run / "environment.json").read_text())[:1]
    assert session["from_step"] == 0 and session["backend"] == keras.backend.backend()
    assert session["versions"]["keras"] == keras.version()


def test_the_final_model_is_the_best_one_and_opens(vae_run, train):
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
    assert metadata["images_seen"] == 32 * best and metadata["run"] == "whole"
    assert metadata["training"]["batch_size"] == 8
    state = checkpoint.read_state(vae_run / "checkpoints")
    assert metadata["data_fingerprint"] == state["data_fingerprint"]
    plain = keras.saving.load_model(train.models / "vae_encoder.h5", compile=False)
    assert plain.output_shape == (None, 12)


def test_cut_off_in_an_epoch_and_resumed_it_gives_the_same(vae_run, train, capsys):
    """Early stopping's memory, averages of the cut epoch and log lines included."""
    flags = "--model vae --epochs 3 --save_interval 2 --validation_split 0.25"
    cut = train("cut", f"{flags} --time_limit 0.001s")
    out = capsys.readouterr().out
    assert "stopped: the time limit is reached. Go on with: python train.py --resume" in out
    state = checkpoint.read_state(cut / "checkpoints")
    assert (state["step"], state["position"]) == (1, 1)
    assert not (cut / "log.jsonl").exists() and not (cut / "result.json").exists()
    train("cut", f"--resume {cut} --time_limit 1h --save_minutes 1e-6")
    assert "after step 1 (epoch 1, 8 images seen)" in capsys.readouterr().out
    assert_same_lines(log_of(cut), log_of(vae_run))
    memories = [
        checkpoint.read_state(folder / "checkpoints")["callbacks"]["BestModel"]
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
    fg.export.update_metadata(best, images_seen=64)
    result = json.loads((copy / "result.json").read_text())
    assert "nothing to do: all 3 epochs are trained" in resume().out
    published = fg.load_generator(tmp_path / "models" / "vae_decoder.h5")
    assert published.metadata["images_seen"] == 64
    again = json.loads((copy / "result.json").read_text())
    assert {**again, "model": None} == {**result, "model": None}


def test_a_run_out_of_patience_trains_no_further(vae_run, train, capsys):
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
    assert "gone.zip: no such file or folder" in err and err.count("\n") == 1
    assert f"go on with: --resume '{copy}' --data_path NEW" in err
    assert load_config(copy / "config.yaml").epochs == 3


def test_a_place_for_models_that_cannot_be_is_told_before_training(train, tmp_path, capsys):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "models"):
        folder = train("no_place", f"--model vae --epochs 1 --saved_models_dir {place}", code=2)
        assert f"error: saved_models_dir {place}: Not a directory" in capsys.readouterr().err
        assert not folder.exists()


def test_more_epochs_may_be_asked_for(resume, copy, vae_run):
    (copy / "environment.json").write_bytes(b"")  # after a power cut
    out = resume("--epochs", "4", "--save_interval", "1", "--on_nan", "rollback").out
    (session,) = json.loads((copy / "environment.json").read_text())
    assert session["from_step"] == 12
    stored = load_config(copy / "config.yaml")
    assert (stored.epochs, stored.save_interval, stored.name) == (4, 1, "whole")
    assert "after step 12 (epoch 4, 96 images seen)" in out
    lines = log_of(copy)
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4] and lines[-1]["step"] == 16
    assert lines[:3] == log_of(vae_run)
    found = sorted(path.name for path in (copy / "checkpoints").iterdir())
    assert found == ["checkpoint-000000012.h5", "checkpoint-000000016.h5"]


def test_what_was_asked_for_is_remembered_and_the_middle_of_an_epoch_is_no_end(
    resume, copy, tmp_path
):
    result = (copy / "result.json").read_bytes()
    out = resume("--epochs", "9", "--time_limit", "0.001s").out
    stored = load_config(copy / "config.yaml")
    assert (stored.epochs, stored.time_limit, stored.resume) == (9, None, None)
    assert f"Go on with: python train.py --resume '{copy}'\n" in out
    # What there is so far can be looked at.
    assert f"python generate.py --model_path '{copy / 'vae_decoder.h5'}'\n" in out
    assert fg.load_generator(copy / "vae_decoder.h5").metadata["images_seen"] == 104
    assert (copy / "fakes_stopped.png").exists()
    # Neither is it done, nor is it published.
    err = resume("--epochs", "3", code=2).err
    assert "epochs 3: the checkpoint is in the middle of epoch 4; give 4 or more" in err
    assert load_config(copy / "config.yaml").epochs == 9
    assert (copy / "result.json").read_bytes() == result
    assert not (tmp_path / "models").exists()
    out = resume("--time_limit", "0.001s").out
    assert "after step 13 (epoch 4" in out and "nothing to do" not in out


def test_a_run_may_go_on_with_falling_learning_rates(resume, copy):
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


def test_augmentation_may_come_later_and_is_told(train):
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
        (["--batch_size", "4"], "--batch_size 4: .* was trained with 8, which cannot change"),
        (["--limit", "5"], "--limit 5: .* was trained with none, which cannot change"),
        (["--beta", "2"], "--beta 2.0: .* was trained with 1.0"),
        (["--model", "dcgan"], "not of dcgan"),
        (["--seed", "1"], "--seed 1: .* was trained with 0"),
        (["--latent_dim", "7"], "--latent_dim 7: .* was trained with 6"),
        (["--mirror"], "--mirror True: .* was trained with False"),
        (["--name", "other"], "--name other: .* was trained with whole, .* leave it out"),
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
    assert "its data changed" in err and err.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before


def test_every_option_that_may_change_is_one():
    names = {field.name for field in dataclasses.fields(TrainConfig)}
    ahead = {"fid_every", "fid_images", "inception_weights"}
    assert names >= MAY_CHANGE - ahead
    exact = {"model", "data", "batch_size", "seed", "beta", "precision", "mirror", "crop", "limit"}
    assert not MAY_CHANGE & exact


def test_a_run_s_name_is_not_taken_twice(vae_run, train, capsys):
    train("whole", "--model vae", code=2)
    assert "exists; go on with it by --resume" in capsys.readouterr().err


@pytest.fixture
def begin(made_up, tmp_path, monkeypatch):
    """Make the folder of a run, always in the same second."""
    monkeypatch.setattr(run_folder.time, "strftime", lambda form: "20260101-000000")
    faces = fg.load_faces(made_up(8), resolution=32)

    def run(name=None, skipped=()):
        config = TrainConfig(model="vae", resolution=32, batch_size=8, name=name)
        config = dataclasses.replace(config, output_dir=str(tmp_path / "runs"))
        report = Report(8 + len(skipped), 8, skipped)
        return make_run(config, dataclasses.replace(faces, report=report))

    return run


def test_runs_that_begin_in_one_second_have_folders_of_their_own(begin):
    folders = [begin() for _ in range(3)]
    endings = [folder.name.removeprefix("vae_32_20260101-000000") for folder in folders]
    assert endings == ["", "-2", "-3"]
    assert [load_config(f / "config.yaml").name for f in folders] == [f.name for f in folders]


def test_a_run_lists_the_files_it_does_not_use(begin):
    assert not (begin("clean") / "skipped.json").exists()
    folder = begin(
        "dirty", skipped=(("a.jpg", "truncated", "12 bytes missing"), ("b", "empty", ""))
    )
    assert json.loads((folder / "skipped.json").read_text()) == {
        "a.jpg": "truncated: 12 bytes missing",
        "b": "empty",
    }


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--wandb", "the package 'wandb' is needed"),
        ("--tensorboard", "the package 'tensorboard' is needed"),
        ("--fid_every 1 --inception_weights nowhere.pth", "nowhere.pth"),
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


def test_a_dry_run_times_no_compiling(monkeypatch):
    """As StyleGAN2 begins: each of its phases takes long the first time."""
    clock = training._Clock()
    phases = ["path", "r1", "plain", "plain", "path", "plain"]
    model = SimpleNamespace(steps=0, sync=int, phase_of=phases.__getitem__, stop_training=False)
    clock.set_model(model)
    now = iter(np.cumsum([0, 60, 50, 40, 2, 4, 8]).tolist())
    monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: next(now)))
    clock.on_train_begin()
    while not model.stop_training:
        model.steps += 1
        clock.on_train_batch_end(0)
    assert model.steps == 5 and clock.seconds_per_step == 3.0


def test_a_batch_larger_than_the_data(train, capsys):
    folder = train("large", "--model vae --batch_size 49", code=2)
    err = capsys.readouterr().err
    assert "batch_size 49 is larger than the data (48 images)" in err and err.count("\n") == 1
    assert not folder.exists()


def test_the_newest_run_is_latest(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        (tmp_path / name / "config.yaml").touch()
    last = tmp_path / "a" / "checkpoints" / "checkpoint-000000001.h5"
    last.touch()
    os.utime(tmp_path / "b" / "config.yaml", (1000, 1000))
    assert find_run("latest", tmp_path) == tmp_path / "a"
    os.utime(tmp_path / "a" / "config.yaml", (900, 900))
    os.utime(last, (999, 999))
    assert find_run("latest", tmp_path) == tmp_path / "b"


def test_the_seed_decides_the_initial_weights():
    def weights(seed):
        config = TrainConfig(
            model="dcgan", resolution=32, base_channels=2, seed=seed, learning_rate=1e-3
        )
        return training.build(config)

    one, same, other = weights(1), weights(1), weights(2)
    for a, b in zip(one.variables, same.variables, strict=True):
        np.testing.assert_array_equal(np.array(a.value), np.array(b.value))
    kernels = [m.generator.get_layer("project").get_weights()[0] for m in (one, other)]
    assert np.abs(np.subtract(*kernels)).max() > 0.01
    rates = [float(o.learning_rate.value) for o in one.optimizer.optimizers]
    assert rates == pytest.approx([1e-3, 1e-3])
    assert one.training_config["beta_1"] == 0.5  # the paper's, filled in


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
    assert len(inits) == 2 and inits[0]["id"] == inits[1]["id"]
    assert {i["mode"] for i in inits} == {"offline"} and {i["group"] for i in inits} == {"study"}
    assert [step for step, _ in entries] == [6, 12]
    assert inits[0]["config"]["learning_rate"] == 2e-4  # the resolved configuration
    for _, entry in entries:
        assert {"loss", "kl_loss", "epoch", "images_seen", "fakes"} <= set(entry)
        assert entry["fakes"] == [(32, 32, 3)] * 16


@pytest.fixture
def breaking(monkeypatch):
    """Make the VAE's KL not a number at step 6 while its random stream stands below a bound."""

    def breaks(bound):
        update = fg.VAE.update

        def broken(self, images, phase):
            report = update(self, images, phase)
            position = ops.cast(self.seed_generator.state.value[1], "float32")
            now = ops.logical_and(ops.equal(self._steps.value, 5), position < bound)
            return {**report, "kl_loss": ops.where(now, float("nan"), report["kl_loss"])}

        monkeypatch.setattr(fg.VAE, "update", broken)

    return breaks


BREAKING = "--model vae --epochs 2 --save_interval 1 --save_minutes 1e-6"


def test_not_a_number_stops_with_step_and_term(train, breaking, capsys):
    breaking(bound=1e9)
    folder = train("stopped", BREAKING, code=2)
    err = capsys.readouterr().err
    line = next(line for line in err.splitlines() if line.startswith("error: "))
    assert "kl_loss is not a number at step 6" in line and "--on_nan rollback" in line
    state = checkpoint.read_state(folder / "checkpoints")
    assert state["step"] == 5
    for path in checkpoint.find(folder / "checkpoints"):
        with h5py.File(path) as file:
            for group in file.values():
                assert all(np.isfinite(value[()]).all() for value in group.values())


def test_no_checkpoint_to_roll_back_to(train, breaking, capsys):
    breaking(bound=1e9)
    train("hopeless", "--model vae --epochs 1 --on_nan rollback", code=2)
    err = capsys.readouterr().err
    assert "kl_loss is not a number at step 6; no checkpoint is older" in err


def test_rollback_goes_on_from_the_checkpoint_with_other_numbers(train, breaking, capsys):
    breaking(bound=5000)  # below the first detour of the random stream
    folder = train("rolled", f"{BREAKING} --on_nan rollback")
    out, _ = capsys.readouterr()
    assert "kl_loss is not a number at step 6; back to step 5 (1 of 3 times)" in out
    lines = log_of(folder)
    assert [line["step"] for line in lines] == [6, 12]
    assert np.isfinite([line["kl_loss"] for line in lines]).all()
    assert checkpoint.read_state(folder / "checkpoints")["epoch"] == 2


def test_rolling_back_has_an_end(train, breaking, capsys):
    breaking(bound=1e9)
    folder = train("again", f"{BREAKING} --on_nan rollback", code=2)
    out, err = capsys.readouterr()
    assert [f"({k} of 3 times)" in out for k in (1, 2, 3, 4)] == [True, True, True, False]
    assert "kl_loss is not a number at step 6" in err
    # What is not a number is in no picture and no export either.
    assert (
        not (folder / "vae_decoder.h5").exists() and not (folder / "fakes_epoch0001.png").exists()
    )


def test_the_combined_model_leaves_generator_and_encoder(train, made_up):
    folder = train("both", "--model combined --epochs 1 --augment color")
    (line,) = log_of(folder)
    expected = EXACT | MEASURED | set(fg.Combined.loss_names) | {"diversity"}
    assert set(line) == expected and line["step"] == 6
    generator = fg.load_generator(train.models / "combined_generator.h5")
    assert generator.family == "combined"
    assert generator.metadata["config"]["augment"] == "color"
    keras.saving.load_model(train.models / "combined_generator.h5", compile=False)
    encoder = keras.saving.load_model(train.models / "combined_encoder.h5", compile=False)
    assert encoder.output_shape == (None, 12)
