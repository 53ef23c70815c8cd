"""Checkpoints: complete, at most two, and safe against damage and full disks."""

import dataclasses
import errno
import json
import os
import resource
import zlib

import h5py
import keras
import numpy as np
import pytest

from facegen_keras.engine import checkpoint
from facegen_keras.engine.run_state import RunState, Start
from facegen_keras.errors import UserError


@pytest.fixture
def trained(toy, made_up):
    """A toy after 6 steps, run one by one: compiling a step for each test would take longer."""
    model = toy()
    model.begin(4, 6, "f" * 64, mirror=False)
    for step in range(6):
        model._run_update(made_up(4, seed=step), model.phase_of(step))
    return model


def train(model, made_up, epochs=1):
    model.fit(made_up(24), epochs=epochs, batch_size=4, verbose=0)


def assert_same(got, expected):
    assert got.keys() == expected.keys()
    for name in got:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


def test_everything_comes_back(trained, toy, state, tmp_path):
    path = checkpoint.save(trained, tmp_path, 1, 0, callbacks={"A": {"b": 1.5}})
    assert path.name == "checkpoint-000000006.h5"
    other = toy(seed=9)
    before = state(other)
    found = checkpoint.restore(other, tmp_path)
    assert_same(state(other), state(trained))
    changed = {name for name in before if not np.array_equal(before[name], state(other)[name])}
    for part in ("seed", "einsum_dense", "momentum", "velocity", "iteration", "steps", "number"):
        assert any(part in name for name in changed), part
    assert found == RunState(
        family="toy",
        options={"broken_at": 0, "seed": 0, "augment": ""},
        batch_size=4,
        data_fingerprint="f" * 64,
        mirror=False,
        epoch=1,
        position=0,
        step=6,
        images_seen=24,
        backend="tensorflow",
        callbacks={"A": {"b": 1.5}},
    )
    assert (other.start, other.steps) == (Start(1, 0), 6)
    assert (other.batch_size, other.data_fingerprint, other.mirror) == (4, "f" * 64, False)
    assert checkpoint.latest(tmp_path).state == found


def test_a_restored_model_trains_on_as_if_nothing_had_been(trained, toy, state, tmp_path, made_up):
    checkpoint.save(trained, tmp_path, 1, 0)
    resumed = toy(seed=9)
    # Of the order; the restored stream is what the toy draws from.
    resumed.options = dataclasses.replace(resumed.options, seed=trained.seed)
    checkpoint.restore(resumed, tmp_path)
    train(resumed, made_up, epochs=2)
    trained.resume(checkpoint.latest(tmp_path).state)
    train(trained, made_up, epochs=2)
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


def without_state(file):
    del file.attrs["state"]


def with_another_state(file):
    file.attrs["state"] = file.attrs["state"].replace('"epoch": 1', '"epoch": 2')


def without_a_checksum(file):
    del file.attrs["crc32"]


def without_a_variable(file):
    del file["model/0001"]


def with_another_number(file):
    file["optimizer/0000"][()] = 9  # a scalar


def test_the_damage_done_here_is_to_a_scalar(two):
    with h5py.File(two[1]) as file:
        assert file["optimizer/0000"].shape == ()


CONTENTS = [
    without_state,
    with_another_state,
    without_a_checksum,
    without_a_variable,
    with_another_number,
]


@pytest.mark.parametrize("damage", CONTENTS, ids=lambda damage: damage.__name__)
def test_other_content_is_passed_over(two, toy, damage):
    folder, last = two
    with h5py.File(last, "r+") as file:
        damage(file)
    model = toy()
    assert checkpoint.restore(model, folder).step == 6 == model.steps


def overwrite(path, place, content):
    with open(path, "rb+") as file:
        file.seek(place)
        file.write(content)


def test_a_wrong_byte_is_passed_over(two, toy):
    folder, last = two
    with h5py.File(last) as file:
        place = file["model/0000"].id.get_offset()
    overwrite(last, place, bytes([last.read_bytes()[place] ^ 1]))
    assert checkpoint.restore(toy(), folder).step == 6


def test_damage_that_h5py_calls_a_runtime_error_is_passed_over(two, toy):
    folder, last = two
    overwrite(last, last.read_bytes().index(b"TREE"), b"\xff" * 4)
    with pytest.raises(RuntimeError), h5py.File(last) as file:
        list(file)
    assert checkpoint.restore(toy(), folder).step == 6


def test_any_bit_of_the_newest_may_be_wrong_and_the_one_before_is_said(two, capsys):
    folder, last = two
    content = last.read_bytes()
    random = np.random.default_rng(0)
    state = content.index(b'{"format"')
    places = [*random.integers(0, len(content), 150), *range(state, state + 300, 6)]
    passed_over = 0
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(random.integers(8))
        last.write_bytes(damaged)
        found = checkpoint.latest(folder)  # no other exception, whatever the bit
        said = capsys.readouterr().out
        if found.state.step == 7:  # a bit that means nothing
            assert said == ""
            continue
        passed_over += 1
        assert found.state.step == 6
        assert said.startswith("damaged, taking checkpoint-000000006.h5, the one before: ")
        assert said.count("\n") == 1
    assert passed_over > 50  # all in the record, at the least


@pytest.mark.parametrize("damage", ["truncated", "empty", "other bytes"])
def test_a_damaged_one_is_passed_over(two, toy, damage):
    folder, last = two
    content = last.read_bytes()
    half = content[: len(content) // 2]
    last.write_bytes({"truncated": half, "empty": b"", "other bytes": b"x" * 999}[damage])
    model = toy()
    assert checkpoint.restore(model, folder).step == 6 == model.steps
    assert checkpoint.latest(folder).state.step == 6


def test_the_variables_of_another_model_are_refused(trained, toy, tmp_path, monkeypatch):
    all_of = checkpoint._variables

    def write(change):
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "_variables", lambda model: change(all_of(model)))
            checkpoint.save(trained, tmp_path, 1, 0)

    write(lambda found: {k: v for k, v in found.items() if k != "model/0001"})
    with pytest.raises(UserError, match=r"of another shape \(\d+ variables; this toy has \d+\)"):
        checkpoint.restore(toy(), tmp_path)
    write(lambda found: {**found, "model/0001": keras.Variable(np.zeros((7, 5)))})
    with pytest.raises(UserError, match=r"of another shape \(.* is \(7, 5\) there, \(.*\) here\)"):
        checkpoint.restore(toy(), tmp_path)


@pytest.mark.parametrize("found", [None, 2])
def test_another_format_is_refused_in_one_line_and_not_passed_over(two, toy, found):
    folder, last = two
    with h5py.File(last, "r+") as file:
        record = json.loads(file.attrs["state"])
        del record["format"]
        file.attrs["state"] = json.dumps(record if found is None else {**record, "format": found})
        values = {f"{group}/{k}": file[group][k][()] for group in file for k in file[group]}
        checksum = zlib.crc32(file.attrs["state"].encode())
        for name, value in sorted(values.items()):
            checksum = checkpoint._crc32(name, value, checksum)
        file.attrs["crc32"] = checksum
    message = f"a checkpoint of format {found or 0}, written by another version of this package"
    for read in (lambda: checkpoint.restore(toy(), folder), lambda: checkpoint.latest(folder)):
        with pytest.raises(UserError, match=message) as raised:
            read()
        assert "\n" not in str(raised.value)


def test_none_that_can_be_read(two, toy):
    folder, _ = two
    for path in checkpoint.find(folder):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"no checkpoint to resume from \(checkpoint-000000007.h5:"):
        checkpoint.restore(toy(), folder)
    with pytest.raises(UserError, match=r"no checkpoint to resume from .*; start again"):
        checkpoint.latest(folder)
    with pytest.raises(UserError, match="no checkpoint to resume from; start again"):
        checkpoint.restore(toy(), folder / "missing")
    assert checkpoint.latest(folder / "missing") is None


def test_the_middle_of_an_epoch_is_not_an_end(two, toy):
    folder, last = two
    model = toy()
    checkpoint.restore(model, folder)  # one epoch and one batch
    assert not checkpoint.all_trained(model, 2)
    message = "epochs 1: the checkpoint is in the middle of epoch 2; give 2 or more"
    with pytest.raises(UserError, match=message):
        checkpoint.all_trained(model, 1)
    last.unlink()
    checkpoint.restore(model, folder)
    assert checkpoint.all_trained(model, 1)
    assert not checkpoint.all_trained(model, 2)


def test_what_a_killed_process_left_is_not_a_checkpoint(two, toy):
    folder, last = two
    last.rename(folder / f".{last.stem}.0123abcd.part.h5")  # killed before the rename
    assert checkpoint.restore(toy(), folder).step == 6


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
    assert checkpoint.restore(toy(), folder).step == 7


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
    assert checkpoint.restore(toy(), folder).step == 7


def test_it_is_plain_hdf5(two):
    with h5py.File(two[1]) as file:
        assert json.loads(file.attrs["state"])["step"] == 7
        assert set(file) == {"model", "optimizer", "metric"}
