"""`python train.py` as processes: killed at random moments, interrupted, resumed, dry."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

import facegen_keras as fg
from facegen_keras import cli
from facegen_keras.cli.parser import parse
from facegen_keras.cli.train_config import expand
from facegen_keras.engine import checkpoint
from facegen_keras.errors import UserError
from facegen_keras.runs.config import TrainConfig

ROOT = Path(__file__).parent.parent.parent
QUICK_XLA = "--xla_backend_optimization_level=0"  # compiling takes most of the time on JAX
STEPS = 24  # four epochs of 48 faces in batches of 8
MEASURED = {"images_per_second", "peak_memory_mib", "time"}


@pytest.fixture
def start(faces_zip, tmp_path, unmeasured):
    """Start `train.py` of a small deterministic DCGAN; returns the process and the run's folder."""

    def run(name, *flags, backend="tensorflow"):
        folder = tmp_path / "output" / name
        options = ["--output_dir", str(tmp_path / "output"), *flags]
        if "--resume" not in flags:
            options += ["--saved_models_dir", str(tmp_path / "saved_models"), "--name", name]
            options += ["--model", "dcgan", "--data_path", str(faces_zip), "--deterministic"]
            options += ["--resolution", "32", "--base_channels", "4", "--latent_dim", "6"]
            options += ["--batch_size", "8", "--epochs", "4", "--save_interval", "2"]
            options += ["--augment", "color"]
            if backend == "tensorflow":  # a second variant of the step: too long to compile on JAX
                options += ["--r1_gamma", "1", "--r1_interval", "3"]
        with open(tmp_path / f"{name}.log", "a") as log:
            process = subprocess.Popen(
                [sys.executable, "train.py", *options],
                cwd=ROOT,
                env={**unmeasured(), "KERAS_BACKEND": backend, "XLA_FLAGS": QUICK_XLA},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return process, folder

    return run


def finish(process, folder):
    """Wait for its end, and return all that the run's processes have written."""
    code = process.wait(timeout=300)
    log = (folder.parent.parent / f"{folder.name}.log").read_text()
    assert code == 0, log
    return log


def last_step(folder):
    paths = checkpoint.find(folder / "checkpoints")
    return int(paths[-1].stem.split("-")[1]) if paths else 0


def wait_until(process, condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline, "too late"
        time.sleep(0.003)


def kill_while_writing(process, folder, after):
    """Kill -9 as soon as a checkpoint later than step `after` is being written."""
    wait_until(process, lambda: last_step(folder) >= after)
    wait_until(process, lambda: list((folder / "checkpoints").glob("*.part.h5")))
    process.kill()
    assert process.wait() == -signal.SIGKILL


def kill_at_random(process, folder, after):
    wait_until(process, lambda: last_step(folder) > after)
    time.sleep(random.uniform(0, 0.1))
    process.kill()
    assert process.wait() == -signal.SIGKILL


def assert_bit_for_bit(folder, whole):
    name = f"checkpoint-{STEPS:09d}.h5"
    with (
        h5py.File(folder / "checkpoints" / name) as a,
        h5py.File(whole / "checkpoints" / name) as b,
    ):
        names = {f"{group}/{key}" for group in b for key in b[group]}
        assert names == {f"{group}/{key}" for group in a for key in a[group]}
        assert len(names) > 60
        different = [n for n in sorted(names) if not np.array_equal(a[n][()], b[n][()])]
        assert different == []
        states = [json.loads(file.attrs["state"]) for file in (a, b)]
        assert states[0] == states[1]
    logs = []
    for run in (folder, whole):
        lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        logs.append([{k: v for k, v in line.items() if k not in MEASURED} for line in lines])
    assert logs[0] == logs[1]
    assert [line["epoch"] for line in logs[0]] == [1, 2, 3, 4]


NEARLY_ALWAYS = ("--save_minutes", "1e-6")


def test_killed_and_interrupted_it_ends_with_the_same_bits(start, tmp_path):
    whole_process, whole = start("whole")
    finish(whole_process, whole)

    process, folder = start("cut", *NEARLY_ALWAYS)
    kill_while_writing(process, folder, after=4)
    after = last_step(folder)
    process, _ = start("cut", "--resume", str(folder))
    kill_at_random(process, folder, after)
    assert after < last_step(folder) < STEPS
    after = last_step(folder)
    process, _ = start("cut", "--resume", str(folder))
    wait_until(process, lambda: last_step(folder) > after)
    process.send_signal(signal.SIGINT)
    log = finish(process, folder)
    if last_step(folder) < STEPS:  # on a fast machine it may have been done
        assert "SIGINT received: saving a checkpoint" in log
        assert f"stopped: SIGINT received. Resume with: python train.py --resume {folder}" in log
        assert "Traceback" not in log
    process, _ = start("cut", "--resume", "latest", "--save_minutes", "10")
    finish(process, folder)
    assert_bit_for_bit(folder, whole)
    assert (tmp_path / "saved_models" / "dcgan_generator.whole.h5").exists()
    assert (tmp_path / "saved_models" / "dcgan_generator.h5").exists()
    assert not list((folder / "checkpoints").glob("*.part.h5"))


def test_killed_on_jax_it_ends_with_the_same_bits(start):
    whole_process, whole = start("whole", backend="jax")
    finish(whole_process, whole)
    process, folder = start("cut", *NEARLY_ALWAYS, backend="jax")
    kill_while_writing(process, folder, after=random.randint(2, 16))
    process, _ = start("cut", "--resume", str(folder), "--save_minutes", "10", backend="jax")
    finish(process, folder)
    assert_bit_for_bit(folder, whole)


@pytest.fixture
def two_runs(tmp_path):
    """Folders of two runs, each the latest in an output folder of its own."""
    for place in ("here", "there"):
        (tmp_path / place / "run").mkdir(parents=True)
        (tmp_path / place / "run" / "config.yaml").touch()
    return tmp_path / "here", tmp_path / "there"


def test_resume_and_output_dir_may_stand_in_a_file(two_runs, tmp_path):
    here, there = two_runs
    file = tmp_path / "my.yaml"
    file.write_text(f"output_dir: {there}\n")
    argv = ["--config", str(file), "--resume", "latest"]
    start = ["--config", str(there / "run" / "config.yaml")]
    assert expand(argv) == [*start, *argv, "--resume", str(there / "run")]
    assert expand([*argv, f"--output_dir={here}"])[-1] == str(here / "run")
    file.write_text(f"output_dir: {there}\nresume: latest\n")
    assert expand(argv[:2]) == [*start, *argv[:2], "--resume", str(there / "run")]
    with pytest.raises(UserError, match=r"^--resume: expected a value after it"):
        expand(["--resume", "--epochs", "3"])
    file.write_text("output_dir: [")  # told by the parser
    assert expand(argv[:2]) == argv[:2]


def test_dry_run_tells_a_configuration_and_writes_nothing(faces_zip, tmp_path, capsys):
    """With an epoch of a single step, which is also the one that compiles."""
    flags = "--model combined --resolution 32 --base_channels 4 --latent_dim 6 --batch_size 48"
    dcgan = fg.DCGAN(resolution=32, base_channels=4, latent_dim=6)
    start = fg.save_generator(dcgan, tmp_path / "dcgan_generator.h5")
    flags += f" --warm_up_images 480 --init_from {start}"
    places = ["--output_dir", f"{tmp_path}/output", "--saved_models_dir", f"{tmp_path}/models"]
    before = sorted(tmp_path.rglob("*"))
    argv = ["train", *flags.split(), *places, "--data_path", str(faces_zip), "--dry_run"]
    assert cli.main(argv) == 0
    out = capsys.readouterr().out
    (tmp_path / "resolved.yaml").write_text(out)
    again = parse(TrainConfig, ["--config", f"{tmp_path}/resolved.yaml"], "facegen train", "")
    assert (again.model, again.latent_dim, again.dry_run) == ("combined", 6, False)
    assert yaml.safe_load(out) == yaml.safe_load(again.record())
    (tmp_path / "resolved.yaml").unlink()
    for line in (
        "model: combined",
        "latent_dim: 6",
        "learning_rate: 0.0002",  # the paper's, filled in
        "feature_weight: 0.001",
        "# steps per epoch: 1",
        "warm_up_images: 480",
        "# measured with all networks learning; before the generator does, it is faster",
    ):
        assert line in out.splitlines(), out
    assert "images: 48" in out
    assert "time per epoch: " in out
    assert "images per second" in out
    for network in ("encoder", "generator", "discriminator"):
        assert any(network in line and any(c.isdigit() for c in line) for line in out.splitlines())
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("family", ["vae", "dcgan", "stylegan2"])
def test_a_dry_run_times_the_steps_of_every_family(family, faces_zip, tmp_path, capsys):
    size = {"stylegan2": "--channel_base 64 --channel_max 4 --mapping_layers 1 --w_dim 6"}
    flags = f"--model {family} --resolution 32 --latent_dim 6 --batch_size 48 "
    flags += size.get(family, "--base_channels 4")
    places = ["--output_dir", f"{tmp_path}/output", "--saved_models_dir", f"{tmp_path}/models"]
    argv = ["train", *flags.split(), *places, "--data_path", str(faces_zip), "--dry_run"]
    assert cli.main(argv) == 0
    out = capsys.readouterr().out
    assert "images per second" in out
    assert "counted, not run" not in out
