"""TensorBoard and Weights & Biases, the latter without a key and without a network."""

import json
import re
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from facegen_keras import cli
from facegen_keras.errors import UserError
from facegen_keras.runs import tracking
from facegen_keras.runs.config import TrainConfig


@pytest.fixture
def no_key(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def test_a_key_is_looked_for_without_asking(no_key, monkeypatch, tmp_path):
    assert not tracking._has_key()
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password x\n")
    assert tracking._has_key()
    monkeypatch.setenv("WANDB_BASE_URL", "https://own.example")  # whose key that is not
    assert not tracking._has_key()
    (tmp_path / "netrc").write_text("machine api.wandb.ai login\n")
    monkeypatch.delenv("WANDB_BASE_URL")
    assert not tracking._has_key()
    monkeypatch.setenv("WANDB_API_KEY", "x")
    assert tracking._has_key()


@pytest.mark.parametrize("mode", ["online", "run", "shared"])
def test_without_a_key_it_is_offline_whatever_the_mode(no_key, monkeypatch, mode):
    monkeypatch.setenv("WANDB_MODE", mode)
    assert tracking.wandb_mode() == "offline"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WANDB_MODE": "bogus"}, "WANDB_MODE bogus: expected one of online, offline"),
        ({"WANDB_API_KEY": "x"}, "Weights & Biases: WANDB_API_KEY invalid"),
    ],
)
def test_what_wandb_refuses_is_one_line_before_anything_is_written(
    no_key, monkeypatch, tmp_path, faces_zip, capsys, variables, message
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    flags = "--model vae --resolution 32 --base_channels 4 --batch_size 8 --epochs 1 --wandb"
    places = ["--output_dir", f"{tmp_path}/out", "--saved_models_dir", f"{tmp_path}/models"]
    assert cli.main(["train", *flags.split(), "--data_path", str(faces_zip), *places]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "models").exists()


def test_a_server_out_of_reach_is_one_line(no_key, monkeypatch, tmp_path):
    def fail(**options):
        raise ConnectionError("no such\nhost.")

    log = tracking.WandbLog(TrainConfig(model="vae"), tmp_path, None)
    monkeypatch.setattr(log, "wandb", SimpleNamespace(init=fail, Settings=dict))
    with pytest.raises(UserError, match=r"^Weights & Biases: no such host; fix it, or set WANDB"):
        log.on_train_begin()


def test_wandb_offline_keeps_its_id_through_a_resume(run_python, no_key, tmp_path):
    """In a process of its own: wandb starts a service that lives as long."""
    code = f"""
import json, pathlib
from types import SimpleNamespace
import numpy as np
from facegen_keras.runs import tracking
from facegen_keras.runs.config import TrainConfig

folder = pathlib.Path({str(tmp_path)!r})
config = TrainConfig(model="vae", wandb=True, wandb_group="study", latent_dim=7)
grid = SimpleNamespace(latest=np.zeros((4, 8, 8, 3), "uint8"))
facts, state = [], None
for start in (0, 2):
    log = tracking.WandbLog(config, folder, grid)
    if state: log.set_state(state)
    model = {{"epoch_is_complete": True, "images_seen": 10, "steps": start}}
    log.set_model(SimpleNamespace(**model, never_computed=lambda: ["generator_loss"]))
    log.on_train_begin()
    logged = []
    keep = log.run.log
    log.run.log = lambda entry, step: (logged.append((sorted(entry), step)), keep(entry, step=step))
    for epoch in (start, start + 1):
        log.model.steps = 5 * (epoch + 1)
        log.on_epoch_end(epoch, {{"loss": 0.5, "kl_per_dimension": [1.0], "generator_loss": 0.0}})
    log.model.epoch_is_complete = False
    log.on_epoch_end(start + 2, {{"loss": 0.5}})
    latent_dim = dict(log.run.config)["latent_dim"]
    named = log.run.name == folder.name
    facts.append([log.run.id, log.run.settings.mode, log.run.group, latent_dim, named, logged])
    log.on_train_end()
    state = log.get_state()
print(json.dumps(facts))
"""
    first, second = json.loads(run_python(code).splitlines()[-1])
    assert first[0] == second[0]
    assert len(first[0]) == 8
    for facts, steps in ((first, (5, 10)), (second, (15, 20))):
        assert facts[1:5] == ["offline", "study", 7, True]
        # The grid is logged once, when it is new.
        assert facts[5] == [
            [["epoch", "fakes", "images_seen", "loss"], steps[0]],
            [["epoch", "images_seen", "loss"], steps[1]],
        ]
    runs = sorted(path.name for path in (tmp_path / "wandb").glob("offline-run-*"))
    # Two runs that begin in the same second are told apart by a number at the end.
    assert runs
    assert all(re.search(rf"-{first[0]}(-\d+)?$", name) for name in runs)
    assert list((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))


def wandb_log(folder):
    return tracking.WandbLog(TrainConfig(model="vae"), folder, SimpleNamespace())


@pytest.mark.parametrize(
    ("package", "make"), [("wandb", wandb_log), ("tensorboard", tracking.tensorboard)]
)
def test_a_missing_package_is_one_line(package, make, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"'{package}' is needed .* run: pip install '.*\[{package}\]'"
    with pytest.raises(UserError, match=message):
        make(tmp_path)


def test_a_network_that_fails_half_way_costs_no_training(tmp_path, monkeypatch, capsys):
    """The first entry arrives, the second does not, and nothing more is sent."""
    grid = SimpleNamespace(latest=None)
    log = tracking.WandbLog(TrainConfig(model="dcgan"), tmp_path, grid)
    told = []

    class Run:
        def log(self, entry, step):
            told.append(step)
            if len(told) == 2:
                raise ConnectionError("the line\nis dead.")

        def finish(self):
            raise AssertionError("it has gone")

    monkeypatch.setattr("facegen_keras.runs.tracking.wandb_mode", lambda: "online")
    monkeypatch.setattr(
        log, "wandb", SimpleNamespace(init=lambda **_: Run(), Settings=dict, Image=list)
    )
    model = {"epoch_is_complete": True, "images_seen": 8, "steps": 1, "never_computed": list}
    log.set_model(SimpleNamespace(**model))
    log.on_train_begin()
    for epoch in range(3):
        log.on_epoch_end(epoch, {"loss": 1.0})
    log.on_train_end()
    assert len(told) == 2
    said = capsys.readouterr()
    warnings = [line for line in (said.out + said.err).splitlines() if "warning" in line]
    assert warnings == [
        "warning: Weights & Biases: the line is dead; the training goes on without it, "
        f"{tmp_path / 'log.jsonl'} has everything"
    ]


def test_wandb_does_not_wait_for_ever_at_the_end(tmp_path):
    settings = wandb_log(tmp_path)._settings()
    assert settings.finish_timeout == tracking.PATIENCE
    assert settings.finish_timeout_raises


def test_tensorboard_that_cannot_write_costs_no_training(tmp_path, capsys):
    (tmp_path / "tensorboard").write_text("no folder")
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.never_computed = list  # as our models have it
    x = np.zeros((8, 2), "float32")
    history = model.fit(
        x, x[:, :1], epochs=3, verbose=0, callbacks=[tracking.tensorboard(tmp_path)]
    )
    assert len(history.history["loss"]) == 3
    said = capsys.readouterr()
    (warning,) = [text for text in (said.out + said.err).splitlines() if "warning" in text]
    assert warning.startswith("warning: TensorBoard: ")
    assert warning.endswith(f"goes on without it, {tmp_path / 'log.jsonl'} has everything")
