"""The clock of a dry run; the whole of it is in cli/test_train.py."""

from types import SimpleNamespace

import numpy as np

from facegen_keras.runs import dry_run


def test_a_dry_run_times_no_compiling(monkeypatch):
    """As StyleGAN2 begins: each of its phases takes long the first time."""
    clock = dry_run._Clock()
    phases = ["path", "r1", "plain", "plain", "path", "plain"]
    model = SimpleNamespace(steps=0, sync=int, phase_of=phases.__getitem__, stop_training=False)
    clock.set_model(model)
    now = iter(np.cumsum([0, 60, 50, 40, 2, 4, 8]).tolist())
    monkeypatch.setattr(dry_run, "time", SimpleNamespace(perf_counter=lambda: next(now)))
    clock.on_train_begin()
    while not model.stop_training:
        model.steps += 1
        clock.on_train_batch_end(0)
    assert model.steps == 5
    assert clock.seconds_per_step == 3.0
