"""Autosave, graceful ends, and the alarms."""

import os
import pty
import signal
import tracemalloc
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from facegen_keras.engine import checkpoint, guards
from facegen_keras.engine.guards import (
    GRACE,
    Autosave,
    CollapseAlarm,
    GracefulStop,
    NanGuard,
    _leave_terminal,
    pairwise_distance,
    restore_callbacks,
)
from facegen_keras.engine.run_state import Start
from facegen_keras.errors import UserError


def plain(value, count=1):
    return np.full((count, 8, 8, 3), value, np.uint8)


def saved_steps(folder):
    return [int(path.stem.split("-")[1]) for path in checkpoint.find(folder)]


def fit(model, images, callbacks, epochs=1):
    model.fit(images, epochs=epochs, batch_size=4, verbose=0, callbacks=callbacks)


class At(keras.callbacks.Callback):
    """Does something after a step."""

    def __init__(self, step, action):
        super().__init__()
        self.step, self.action = step, action

    def on_train_batch_end(self, batch, logs=None):
        if self.model.steps == self.step:
            self.action()


class Memory(keras.callbacks.Callback):
    """A callback with a state, and possibly a key of its own."""

    def __init__(self, state, key=""):
        super().__init__()
        self.state, self.state_key = state, key

    def get_state(self):
        return self.state

    def set_state(self, state):
        self.state = state


def test_pairwise_distance_known_answers(made_up):
    three = np.concatenate([plain(0), plain(10), plain(30)])
    assert pairwise_distance(three) == pytest.approx((10 + 20 + 30) / 3)
    assert pairwise_distance(plain(7, 5)) == 0.0
    half = np.concatenate([plain(0), plain(0)])
    half[1, :4] = 100  # half of the pixels: a root mean square of 100 / sqrt(2)
    assert pairwise_distance(half) == pytest.approx(100 / np.sqrt(2))
    assert np.isnan(pairwise_distance(plain(7)))
    faces = made_up(6).astype("float64")
    pairs = [
        np.sqrt(((faces[i] - faces[j]) ** 2).mean()) for i in range(6) for j in range(i + 1, 6)
    ]
    assert pairwise_distance(made_up(6)) == pytest.approx(np.mean(pairs))


@pytest.fixture
def alarm(made_up):
    """Look once at a model whose samples are given: `alarm(samples, **logs)` -> alarm, logs."""

    def look(
        samples, images_seen=GRACE, complete=True, epoch=9, photos=16, warming_up=False, **logs
    ):
        told = []
        callback = CollapseAlarm(made_up(photos), every=5, warn=told.append)
        callback.set_params({"epochs": 100})
        callback.set_model(
            SimpleNamespace(
                sample=lambda seeds: samples,
                images_seen=images_seen,
                epoch_is_complete=complete,
                is_warming_up=warming_up,
                get_config=lambda: {"augment": "", "label_smoothing": 0.0, "latent_dim": 6},
            )
        )
        callback.on_epoch_end(epoch, logs)
        assert [f"warning: {message}" for message in callback.alarms] == told
        return callback.alarms, logs

    return look


def test_collapse_alarm(alarm, made_up):
    alarms, logs = alarm(plain(90, 32).repeat(4, 1).repeat(4, 2))
    assert logs["diversity"] == 0.0
    assert len(alarms) == 1
    assert alarms[0].startswith("collapse? samples differ only 0.00 times")
    alarms, logs = alarm(made_up(32, seed=5))
    assert alarms == []
    assert logs["diversity"] == pytest.approx(1.0, abs=0.2)
    # All the same but for a little: as far apart as a tenth of the photos' distance.
    dull = (128 + (made_up(32, seed=5).astype("float64") - 128) * 0.1).astype("uint8")
    alarms, logs = alarm(dull)
    assert len(alarms) == 1
    assert 0.05 < logs["diversity"] < 0.15


def test_collapse_alarm_waits_and_looks_seldom(alarm):
    flat = np.zeros((32, 32, 32, 3), np.uint8)
    alarms, logs = alarm(flat, images_seen=GRACE - 1)
    assert alarms == []
    assert logs == {"diversity": 0.0}
    assert alarm(flat, epoch=7) == ([], {})
    assert alarm(flat, complete=False) == ([], {})
    assert alarm(flat, epoch=99)[0]  # the last epoch


def test_one_photo_says_nothing_of_diversity(alarm, made_up):
    alarms, logs = alarm(made_up(32), photos=1)
    assert alarms == []
    assert np.isnan(logs["diversity"])


def test_a_discriminator_that_is_never_wrong(alarm, made_up):
    diverse = made_up(32, seed=5)
    alarms, _ = alarm(diverse, real_accuracy=1.0, fake_accuracy=1.0)
    assert len(alarms) == 1
    assert alarms[0].endswith("try label_smoothing or augment")  # it has no r1_gamma
    assert alarm(diverse, warming_up=True, real_accuracy=1.0, fake_accuracy=1.0)[0] == []
    assert alarms[0].startswith("the discriminator is never wrong")
    assert alarm(diverse, real_accuracy=0.9, fake_accuracy=1.0)[0] == []


def test_autosave_by_epochs(toy, made_up, tmp_path):
    saved = Autosave(tmp_path, every=2, minutes=60)
    fit(toy(), made_up(24), [saved], epochs=5)
    assert saved_steps(tmp_path) == [24, 30]  # epoch 4, and 5, the last
    assert checkpoint.latest(tmp_path).state.epoch == 5


def test_autosave_by_minutes_remembers_position_and_callbacks(toy, made_up, tmp_path):
    memory = Memory({"best": 0.5})
    states = []
    look = At(8, lambda: states.append(checkpoint.latest(tmp_path).state))
    saved = Autosave(tmp_path, every=50, minutes=1e-9, callbacks=[memory, NanGuard()])
    fit(toy(), made_up(24), [saved, look], epochs=2)
    assert saved_steps(tmp_path) == [11, 12]  # a checkpoint at every step
    assert (states[0].epoch, states[0].position, states[0].step) == (1, 2, 8)
    assert states[0].callbacks == {"Memory": {"best": 0.5}}
    assert checkpoint.latest(tmp_path).state.start == Start(2, 0)


def test_callbacks_of_one_class_keep_their_own_state(toy, made_up, tmp_path):
    before = [Memory("fid's", "fid"), Memory("kid's", "kid"), Memory("1st"), Memory("2nd")]
    fit(toy(), made_up(24), [Autosave(tmp_path, 1, 60, before)])
    state = checkpoint.latest(tmp_path).state
    assert len(state.callbacks) == 4
    # The other way round, and one that was not there before.
    after = [Memory(None, "kid"), Memory(None), Memory(None, "pr"), Memory(None, "fid")]
    restore_callbacks(after, state)
    assert [memory.state for memory in after] == ["kid's", "1st", None, "fid's"]
    restore_callbacks(after, None)  # where a training begins
    assert after[0].state == "kid's"


def test_nothing_is_saved_after_a_loss_broke(toy, made_up, tmp_path):
    model = toy(broken_at=9)
    fit(model, made_up(24), [NanGuard(), Autosave(tmp_path, 1, 1e-9)], epochs=5)
    assert saved_steps(tmp_path) == [7, 8]
    assert model.broken == (9, "colour")
    assert model.steps == 12  # the end of the epoch is the next look


def test_ctrl_c_ends_at_the_next_step_with_a_checkpoint(toy, made_up, tmp_path, capsys):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    model, stop = toy(), GracefulStop()
    interrupt = At(8, lambda: os.kill(os.getpid(), signal.SIGINT))
    fit(model, made_up(24), [interrupt, stop, Autosave(tmp_path, 50, 60)], epochs=5)
    assert "(press Ctrl-C again to stop immediately)" in capsys.readouterr().out
    assert stop.reason == "SIGINT received"
    assert model.steps == 8
    state = checkpoint.latest(tmp_path).state
    assert (state.epoch, state.position, state.step) == (1, 2, 8)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_second_ctrl_c_ends_at_once(toy, made_up):
    before = signal.getsignal(signal.SIGINT)
    stop = GracefulStop()

    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(toy(), made_up(24), [At(2, twice), stop])
    stop.release()
    assert signal.getsignal(signal.SIGINT) == before


def test_the_time_limit_counts_from_its_making(toy, made_up, tmp_path):
    model, stop = toy(), GracefulStop(seconds=1e-6)
    fit(model, made_up(24), [stop, Autosave(tmp_path, 50, 60)], epochs=5)
    assert stop.reason == "the time limit is reached"
    assert model.steps == 1
    assert saved_steps(tmp_path) == [1]
    unlimited = GracefulStop()
    model = toy()
    fit(model, made_up(24), [unlimited])
    assert unlimited.reason is None
    assert model.steps == 6


def steps_until_stopped(monkeypatch, limit, step, pauses):
    """Steps that a limit allows, each of so many seconds, with pauses after some of them."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(guards, "time", SimpleNamespace(monotonic=lambda: clock.now))
    stop = GracefulStop(limit)
    stop.set_model(SimpleNamespace(stop_training=False))
    stop.on_train_begin()
    done = 0
    while not stop.model.stop_training:
        stop.on_train_batch_begin(done)
        clock.now += step
        stop.on_train_batch_end(done)
        done += 1
        clock.now += pauses.get(done, 0)
    stop.on_train_end()
    assert stop.reason == "the time limit is reached"
    return done


def test_it_stops_while_there_is_time_to_save(monkeypatch):
    # A twentieth of the limit is kept for the end, a minute at most.
    assert steps_until_stopped(monkeypatch, 20, step=1, pauses={}) == 19
    assert steps_until_stopped(monkeypatch, 3600, step=10, pauses={}) == 354
    # With 5 seconds for a checkpoint after the third, 9 steps end at 14, in time for another.
    assert steps_until_stopped(monkeypatch, 20, step=1, pauses={3: 5}) == 9


@pytest.fixture
def hangup():
    """SIGHUP as a terminal's own process has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield signal.SIGHUP
    signal.signal(signal.SIGHUP, before)


def test_a_closed_terminal_ends_training_like_sigterm(toy, made_up, hangup, monkeypatch):
    left = []
    monkeypatch.setattr("facegen_keras.engine.guards._leave_terminal", lambda: left.append(1))
    model, stop = toy(), GracefulStop()

    def close():
        os.kill(os.getpid(), hangup)
        os.kill(os.getpid(), hangup)  # shells send several

    model.fit(made_up(32), 9, 4, callbacks=[At(8, close), stop], verbose=0)
    assert stop.reason == "SIGHUP received"
    assert left
    assert model.steps == 8
    assert signal.getsignal(hangup) == signal.SIG_DFL


def test_nohup_keeps_training(toy, hangup):
    signal.signal(hangup, signal.SIG_IGN)
    stop = GracefulStop()
    stop.set_model(toy())
    stop.on_train_begin()
    assert signal.getsignal(hangup) == signal.SIG_IGN
    stop.release()


def test_what_is_printed_to_a_closed_terminal_goes_nowhere(tmp_path):
    terminal, stream = pty.openpty()
    with open(tmp_path / "log", "wb", buffering=0) as log:
        os.close(terminal)
        with pytest.raises(OSError, match="Input/output error"):
            os.write(stream, b"x")
        _leave_terminal([stream, log.fileno()])
        os.write(stream, b"x")
        os.close(stream)
        log.write(b"kept")
    assert (tmp_path / "log").read_bytes() == b"kept"


def test_weights_that_are_no_numbers_are_not_saved(toy, made_up, tmp_path):
    """The loss of their own step is finite; only the next one would show it."""
    model, weight = toy(), float("inf")
    spoil = At(2, lambda: model.network.trainable_variables[0].assign([weight] * 3))
    saving = Autosave(tmp_path, every=1, minutes=0)  # after every step
    with pytest.raises(UserError, match="kernel is not a number at step 2"):
        fit(model, made_up(16), [spoil, saving])
    assert saved_steps(tmp_path) == [1]
    step, name = model.broken
    assert step == 2
    assert name == model.network.trainable_variables[0].path
    assert model.stop_training
    again = toy()
    checkpoint.restore(again, tmp_path)
    assert again.broken is None


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, None])
def test_who_stops_a_job_may_say_so_twice(toy, made_up, tmp_path, hangup, monkeypatch, first):
    """A scheduler sends several signals; in a cluster another process may have told before."""
    monkeypatch.setattr("facegen_keras.engine.guards._leave_terminal", lambda: None)
    stop = GracefulStop()

    def twice():
        if first is None:
            stop.reason = "SIGTERM received"  # by another process, see `_ask_the_others`
        else:
            os.kill(os.getpid(), first)
        os.kill(os.getpid(), signal.SIGTERM)

    fit(toy(), made_up(24), [At(2, twice), stop, Autosave(tmp_path, 50, 60)])
    assert saved_steps(tmp_path) == [2]


def test_epochs_of_one_step_are_saved_by_minutes_too(toy, made_up, tmp_path):
    seen = []
    saved = Autosave(tmp_path, every=50, minutes=1e-9)
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(saved_steps(tmp_path)[-1:])
    )
    fit(toy(), made_up(4), [saved, look], epochs=4)
    assert seen == [[1], [2], [3], [4]]
    assert checkpoint.latest(tmp_path).state.start == Start(4, 0)


def test_comparing_large_photos_takes_little_memory():
    photos = np.random.RandomState(0).randint(0, 256, (48, 256, 256, 3), dtype=np.uint8)
    tracemalloc.start()
    pairwise_distance(photos)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * photos.nbytes
