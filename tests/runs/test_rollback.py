"""A loss that is not a number: told where, or gone back from."""

import h5py
import numpy as np
import pytest
from keras import ops

import facegen_keras as fg
from facegen_keras.engine import checkpoint


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
    assert "kl_loss is not a number at step 6" in line
    assert "--on_nan rollback" in line
    state = checkpoint.latest(folder / "checkpoints").state
    assert state.step == 5
    for path in checkpoint.find(folder / "checkpoints"):
        with h5py.File(path) as file:
            for group in file.values():
                assert all(np.isfinite(value[()]).all() for value in group.values())


def test_no_checkpoint_to_roll_back_to(train, breaking, capsys):
    breaking(bound=1e9)
    train("hopeless", "--model vae --epochs 1 --on_nan rollback", code=2)
    err = capsys.readouterr().err
    assert "kl_loss is not a number at step 6; no checkpoint is older" in err


def test_rollback_goes_on_from_the_checkpoint_with_other_numbers(train, breaking, capsys, log_of):
    breaking(bound=5000)  # below the first detour of the random stream
    folder = train("rolled", f"{BREAKING} --on_nan rollback")
    out, _ = capsys.readouterr()
    assert "kl_loss is not a number at step 6; back to step 5 (1 of 3 times)" in out
    lines = log_of(folder)
    assert [line["step"] for line in lines] == [6, 12]
    assert np.isfinite([line["kl_loss"] for line in lines]).all()
    assert checkpoint.latest(folder / "checkpoints").state.epoch == 2


def test_rolling_back_has_an_end(train, breaking, capsys):
    breaking(bound=1e9)
    folder = train("again", f"{BREAKING} --on_nan rollback", code=2)
    out, err = capsys.readouterr()
    assert [f"({k} of 3 times)" in out for k in (1, 2, 3, 4)] == [True, True, True, False]
    assert "kl_loss is not a number at step 6" in err
    # What is not a number is in no picture and no export either.
    assert not (folder / "vae_decoder.h5").exists()
    assert not (folder / "fakes_epoch0001.png").exists()
