"""Trainings from the command line, in this process, on 48 made-up faces."""

import json

import pytest

from facegen_keras import cli

SMALL = ["--resolution", "32", "--base_channels", "4", "--latent_dim", "6", "--batch_size", "8"]


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


@pytest.fixture(scope="session")
def log_of():
    """`log_of(folder)`: the lines of a run's log."""

    def read(folder):
        return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]

    return read
