"""Checkpoints: complete, at most two, and safe against damage and full disks."""

import errno
import json
import os
import resource

import h5py
import numpy as np
import pytest

from facegen_keras.engine import checkpoint
from facegen_keras.errors import UserError


@pytest.fixture
def trained(toy, made_up):
    """A toy after 6 steps, run one by one: compiling a step for each test would take longer."""
    model = toy()
    model.batch_size, model.data_fingerprint = 4, "f" * 64
    for step in range(6):
        model._run_update(made_up(4, seed=step), model.phase_of(step))
    return model


def go_on(model, made_up, epochs=1):
    model.fit(made_up(24), epochs=epochs, batch_size=4, verbose=0)


def assert_same(got, expected):
    assert got.keys() == expected.keys()
    for name in got:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


def test_everything_comes_back(trained, toy, state, tmp_path):
    path = checkpoint.save(trained, tmp_path, 1, 0, callbacks={"A": {"b": 1.5}}, wandb_id="x")
    assert path.name == "checkpoint-000000006.h5"
    other = toy(seed=9)
    before = state(other)
    found = checkpoint.restore(other, tmp_path)
    assert_same(state(other), state(trained))
    changed = {name for name in before if not np.array_equal(before[name], state(other)[name])}
    for part in ("seed", "einsum_dense", "momentum", "velocity", "iteration", "steps", "number"):
        assert any(part in name for name in changed), part
    assert found == {
        "family": "toy",
        "epoch": 1,
        "position": 0,
        "batch_size": 4,
        "step": 6,
        "images_seen": 24,
        "data_fingerprint": trained.data_fingerprint,
        "backend": "tensorflow",
        "callbacks": {"A": {"b": 1.5}},
        "wandb_id": "x",
    }
    assert (other.start_epoch, other.start_position, other.steps) == (1, 0, 6)
    assert checkpoint.read_state(tmp_path) == found


def test_a_restored_model_trains_on_as_if_nothing_had_been(trained, toy, state, tmp_path, made_up):
    checkpoint.save(trained, tmp_path, 1, 0)
    resumed = toy(seed=9)
    resumed.seed = trained.seed  # of the order; the restored stream is what the toy draws from
    checkpoint.restore(resumed, tmp_path)
    go_on(resumed, made_up, epochs=2)
    trained.start_epoch = 1
    go_on(trained, made_up, epochs=2)
    assert resumed.steps == 12
    assert_same(state(resumed), state(trained))


def test_the_last_two_are_kept(trained, tmp_path):
    for step in (6, 7, 8):
        trained._steps.assign(step)
        checkpoint.save(trained, tmp_path, 1, step)
    names = [path.name for path in checkpoint.find(tmp_path)]
    assert names == ["checkpoint-000000007.h5", "checkpoint-000000008.h5"]
    assert sorted(os.listdir(tmp_path)) == names


@pytest.fixture
def two(trained, tmp_path):
    """Two checkpoints, of steps 6 and 7; returns the folder and the later file."""
    checkpoint.save(trained, tmp_path, 1, 0)
    trained._steps.assign(7)
    return tmp_path, checkpoint.save(trained, tmp_path, 1, 1)


@pytest.mark.parametrize("damage", ["truncated", "empty", "other bytes", "no state"])
def test_a_damaged_one_is_passed_over(two, toy, damage):
    folder, last = two
    if damage == "no state":
        with h5py.File(last, "r+") as file:
            del file.attrs["state"]
    else:
        content = last.read_bytes()
        half = content[: len(content) // 2]
        last.write_bytes({"truncated": half, "empty": b"", "other bytes": b"x" * 999}[damage])
    model = toy()
    assert checkpoint.restore(model, folder)["step"] == 6 == model.steps
    assert checkpoint.read_state(folder)["step"] == 6


def test_damage_inside_is_noticed_while_reading(two, toy):
    folder, last = two
    with h5py.File(last, "r+") as file:
        del file["model/0001"]
    with pytest.raises(UserError, match="written by a model of another shape"):
        checkpoint.restore(toy(), folder)


def test_none_that_can_be_read(two, toy):
    folder, _ = two
    for path in checkpoint.find(folder):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"no checkpoint to go on from \(checkpoint-000000007.h5:"):
        checkpoint.restore(toy(), folder)
    with pytest.raises(UserError, match="no checkpoint to go on from; start the run anew"):
        checkpoint.restore(toy(), folder / "missing")
    assert checkpoint.read_state(folder) is None


def test_what_a_killed_process_left_is_not_a_checkpoint(two, toy):
    folder, last = two
    last.rename(folder / f".{last.stem}.0123abcd.part.h5")  # killed before the rename
    assert checkpoint.restore(toy(), folder)["step"] == 6


def refuse(number):
    def fail(*args):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_one_before(two, trained, toy, monkeypatch, call):
    folder, last = two
    trained._steps.assign(8)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse(errno.ENOSPC))
        message = r"checkpoint-000000008.h5: .* \(No space left on device\); the checkpoint"
        with pytest.raises(UserError, match=message):
            checkpoint.save(trained, folder, 1, 2)
    assert sorted(os.listdir(folder)) == ["checkpoint-000000006.h5", last.name]
    assert checkpoint.restore(toy(), folder)["step"] == 7


def test_a_disk_that_fills_while_writing_leaves_the_one_before(two, trained, toy):
    folder, last = two
    trained._steps.assign(8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (last.stat().st_size // 2, hard))
        with pytest.raises(UserError, match="could not be written"):
            checkpoint.save(trained, folder, 1, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(os.listdir(folder)) == ["checkpoint-000000006.h5", last.name]
    assert checkpoint.restore(toy(), folder)["step"] == 7


def test_it_is_plain_hdf5(two):
    with h5py.File(two[1]) as file:
        assert json.loads(file.attrs["state"])["step"] == 7
        assert set(file) == {"model", "optimizer", "metric"}
