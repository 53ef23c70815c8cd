"""What a training would take here, told before anything is built."""

import dataclasses
import time

import numpy as np
import pytest
import yaml

from facegen_keras import cli
from facegen_keras.engine import memory
from facegen_keras.errors import UserError
from facegen_keras.runs import dry_run, forecast
from facegen_keras.runs.config import TrainConfig

GIB = 2**30
DEFAULT = ["--model", "stylegan2", "--epochs", "1000", "--batch_size", "128"]


@pytest.fixture
def machine(monkeypatch):
    """A machine of so much free memory, and of two cores of 2020."""

    def make(free: int) -> None:
        monkeypatch.setattr(forecast, "available_memory", lambda: free)
        for module in (forecast, dry_run):
            monkeypatch.setattr(module, "machine_speed", lambda: 200e9)

    monkeypatch.setattr(dry_run, "build", lambda config: pytest.fail("it was built"))
    monkeypatch.setattr("facegen_keras.runs.train.build", dry_run.build)
    return make


@pytest.fixture
def photos(tmp_path, made_up):
    np.save(tmp_path / "photos.npy", np.repeat(made_up(4, 64), 500, axis=0))
    return ["--data_path", str(tmp_path / "photos.npy"), "--output_dir", str(tmp_path / "output")]


def test_a_dry_run_of_the_default_line_builds_nothing(machine, photos, capsys):
    machine(64 * GIB)
    began = time.process_time()
    assert cli.main(["train", *DEFAULT, *photos, "--dry_run"]) == 0
    assert time.process_time() - began < 30
    out = capsys.readouterr().out
    assert yaml.safe_load(out)["channel_base"] == 16384
    lines = [line for line in out.splitlines() if line.startswith("#")]
    assert any("time for 1000 epochs: about 38 days on this CPU" in line for line in lines), lines
    assert "# configs/stylegan2_64_small.yaml (20 epochs) needs about 72 minutes" in lines
    assert any(line.startswith("# memory: about 17") for line in lines)
    assert "too much" not in out


def test_a_dry_run_recommends_nothing_that_is_no_smaller(machine, photos, capsys, monkeypatch):
    machine(64 * GIB)
    monkeypatch.setattr(dry_run, "PATIENCE", 0.0)
    assert cli.main(["train", "--config", "stylegan2_64_progressive", *photos, "--dry_run"]) == 0
    out = capsys.readouterr().out
    assert "stylegan2_64_small" not in out
    assert "counted at the full resolution; while growing it is faster" in out


def test_a_dry_run_says_what_does_not_fit(machine, photos, capsys):
    machine(8 * GIB)
    assert cli.main(["train", *DEFAULT, *photos, "--dry_run"]) == 0
    assert "8.0 GiB are free; give --accumulate 4 " in capsys.readouterr().out


def test_a_training_that_does_not_fit_is_refused_and_writes_nothing(
    machine, photos, tmp_path, capsys
):
    machine(8 * GIB)
    assert cli.main(["train", *DEFAULT, *photos]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: batch_size 128: a step needs about 17.")
    assert "give --accumulate 4 (the same batch, part after part)" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "output").exists()


def test_a_training_says_how_long_it_takes_before_it_begins(machine, photos, monkeypatch, capsys):
    machine(64 * GIB)

    def build(config: TrainConfig, restored: bool) -> None:
        raise UserError("far enough")

    monkeypatch.setattr("facegen_keras.runs.train.build", build)
    assert cli.main(["train", *DEFAULT, *photos]) == 2
    said = capsys.readouterr()
    assert said.err.endswith("error: far enough\n")
    assert (
        "note: about 38 days on this CPU; configs/stylegan2_64_small.yaml (20 epochs) needs about "
        "72 minutes" in said.out.splitlines()
    )


def test_a_short_training_is_not_announced(machine):
    machine(64 * GIB)
    config = TrainConfig(model="dcgan", epochs=2, batch_size=32)
    assert forecast.announcement(config, 2000) is None
    assert "on this CPU" in str(
        forecast.announcement(dataclasses.replace(config, epochs=9000), 2000)
    )


def test_advice_for_a_family_that_cannot_accumulate():
    config = TrainConfig(model="dcgan", resolution=256, batch_size=512)
    advice = forecast.memory_advice(config, 6 * GIB)
    assert "give --batch_size 64, or a smaller base_channels" in advice
    assert "lower base_channels or resolution" in forecast.memory_advice(config, GIB // 8)


def test_the_memory_of_a_container_counts(monkeypatch, tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    4096 kB\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert memory.available_memory() == 4096 * 1024
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert memory.available_memory() == 2_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_memory() == 4096 * 1024
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "absent")
    assert memory.available_memory() is None


def test_a_machine_has_a_speed():
    assert 1e8 < forecast.machine_speed() < 1e14


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 seconds"), (100, "100 seconds"), (7199, "120 minutes"), (4 * 3600, "4 hours"),
     (41 * 86400, "41 days")],
)  # fmt: skip
def test_durations(seconds, text):
    assert forecast.duration(seconds) == text
