"""The folder of a run: its name, its record, which one is the latest, and what may change."""

import dataclasses
import json
import os

import pytest

import facegen_keras as fg
from facegen_keras.data import LoadReport
from facegen_keras.runs import folder as run_folder
from facegen_keras.runs.config import MAY_CHANGE, TrainConfig, load_config
from facegen_keras.runs.find import find_run
from facegen_keras.runs.folder import make_run, record_photos


@pytest.fixture
def begin(made_up, tmp_path, monkeypatch):
    """Make the folder of a run, always in the same second."""
    monkeypatch.setattr(run_folder.time, "strftime", lambda form: "20260101-000000")
    faces = fg.load_faces(made_up(8), resolution=32)

    def run(name=None, skipped=()):
        config = TrainConfig(model="vae", resolution=32, batch_size=8, name=name)
        config = dataclasses.replace(config, output_dir=str(tmp_path / "runs"))
        report = LoadReport(8 + len(skipped), 8, skipped)
        photos = dataclasses.replace(faces, report=report)
        folder = make_run(config, photos)
        record_photos(folder, photos)
        return folder

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


def test_every_option_that_may_change_is_one():
    names = {field.name for field in dataclasses.fields(TrainConfig)}
    ahead = {"fid_every", "fid_images", "inception_weights"}
    assert names >= MAY_CHANGE - ahead
    exact = {"model", "data", "batch_size", "seed", "beta", "precision", "mirror", "crop", "limit"}
    assert not MAY_CHANGE & exact
