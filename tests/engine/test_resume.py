"""`fit(checkpoints=...)`: the same call again ends where an uninterrupted one would have."""

import os
import signal

import keras
import numpy as np
import pytest

import facegen_keras as fg
from facegen_keras.engine import checkpoint
from facegen_keras.errors import UserError


class Interrupt(keras.callbacks.Callback):
    """What the stop button of a notebook does, after so many batches."""

    def __init__(self, after: int):
        super().__init__()
        self.left = after

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


class Counter(keras.callbacks.Callback):
    """A callback that remembers."""

    def __init__(self):
        super().__init__()
        self.epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1

    def get_state(self):
        return {"epochs": self.epochs}

    def set_state(self, state):
        self.epochs = state["epochs"]


@pytest.fixture(autouse=True)
def interrupts_as_in_a_notebook():
    """Pytest's parallel workers ignore SIGINT; each test has to give back what it found."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


def train(model, images, folder, epochs=3, callbacks=(), batch_size=4):
    return model.fit(
        images,
        epochs=epochs,
        batch_size=batch_size,
        checkpoints=folder,
        callbacks=list(callbacks),
        verbose=0,
    )


def test_interrupted_and_called_again_is_as_never_interrupted(
    toy, made_up, state, tmp_path, capsys
):
    images = made_up(24)
    whole = toy()
    train(whole, images, tmp_path / "whole")
    train(toy(), images, tmp_path / "cut", callbacks=[Interrupt(9)])
    assert "stopped: SIGINT received. Call fit again to resume from" in capsys.readouterr().out
    with pytest.raises(UserError, match="epochs 1: the checkpoint is in the middle of epoch 2"):
        train(toy(), images, tmp_path / "cut", epochs=1)
    again = toy()
    train(again, images, tmp_path / "cut")
    assert "after step 9 (epoch 2, 36 images seen)" in capsys.readouterr().out
    assert again.steps == whole.steps == 18
    expected = state(whole)
    for name, value in state(again).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_after_the_end_nothing_is_trained(toy, made_up, tmp_path, capsys):
    train(toy(), made_up(24), tmp_path, callbacks=[Counter()])
    model, counter = toy(), Counter()
    history = train(model, made_up(24), tmp_path, callbacks=[counter])
    assert history.history == {}
    assert model.steps == 18  # restored all the same: what follows in a notebook draws with it
    assert "nothing to do: all 3 epochs are trained" in capsys.readouterr().out
    assert counter.epochs == 3
    train(model, made_up(24), tmp_path, epochs=4, callbacks=[counter])
    assert (model.steps, counter.epochs) == (24, 4)


def test_checkpoints_of_another_training_are_refused(toy, made_up, tmp_path):
    train(toy(), made_up(24), tmp_path, epochs=1)
    with pytest.raises(UserError, match="was trained on other photos"):
        train(toy(), made_up(24, seed=1), tmp_path)
    with pytest.raises(UserError, match=r"batch_size 8: .* trained with 4, which cannot change"):
        train(toy(), made_up(24), tmp_path, batch_size=8)
    with pytest.raises(UserError, match=r"seed 1: .* trained with 0, .*; give the same as before"):
        train(toy(seed=1), made_up(24), tmp_path)
    mirrored = fg.load_faces(made_up(24), resolution=32, mirror=True, progress=False)
    with pytest.raises(UserError, match=r"mirror True: .* was trained with False"):
        train(toy(), mirrored, tmp_path)
    other = toy()
    other.family = "other"
    with pytest.raises(UserError, match=r"family other: .* was trained with toy"):
        train(other, made_up(24), tmp_path)


def test_augmentation_may_be_changed_here_too(toy, made_up, tmp_path):
    train(toy(), made_up(24), tmp_path, epochs=1)
    changed = toy(augment="color")
    train(changed, made_up(24), tmp_path, epochs=2)
    assert changed.steps == 12
    assert checkpoint.latest(tmp_path).state.options["augment"] == "color"


def test_options_of_numpy_s_types_are_the_same_as_python_s(toy, made_up, tmp_path):
    train(toy(broken_at=np.int64(99)), made_up(24), tmp_path, epochs=1)
    model = toy(broken_at=99)
    train(model, made_up(24), tmp_path, epochs=2)
    assert model.steps == 12


def test_a_broken_loss_is_told_and_not_saved(toy, made_up, tmp_path):
    message = "step 8; the checkpoints in .* are from before: .* and another folder"
    with pytest.raises(UserError, match=f"colour is not a number at {message}"):
        train(toy(broken_at=8), made_up(24), tmp_path)
    assert [path.name for path in checkpoint.find(tmp_path)] == ["checkpoint-000000006.h5"]


def test_an_interrupt_while_trained_batches_are_passed_over_costs_nothing(
    toy, made_up, state, tmp_path
):
    images, whole, again = made_up(24), toy(), toy()
    train(whole, images, tmp_path / "whole")
    train(toy(), images, tmp_path / "cut", callbacks=[Interrupt(10)])
    train(toy(), images, tmp_path / "cut", callbacks=[Interrupt(1)])  # just resumed
    found = checkpoint.latest(tmp_path / "cut").state
    assert (found.epoch, found.position, found.step) == (1, 4, 10)
    train(again, images, tmp_path / "cut")
    assert again.steps == whole.steps == 18
    expected = state(whole)
    for name, value in state(again).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_a_second_training_follows_a_finished_one_in_a_new_session_too(toy, made_up, tmp_path):
    images = made_up(24)
    for _ in range(2):  # the second time there is nothing to do at first
        model = toy()
        train(model, images, tmp_path)
        model.fit(images, epochs=2, batch_size=4, verbose=0)
        assert model.steps == 18 + 12
