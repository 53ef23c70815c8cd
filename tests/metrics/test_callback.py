"""Measuring while training: when, what is kept, and what a checkpoint carries."""

import json
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from facegen_keras import load_generator
from facegen_keras.engine.guards import restore_callbacks, stateful
from facegen_keras.errors import UserError
from facegen_keras.generate.loading import as_generator
from facegen_keras.metrics import MetricEvery, evaluate


class Model:
    """What the callback needs of a family model: parts that change from epoch to epoch."""

    family, resolution, latent_dim, images_seen, data_fingerprint = "dcgan", 8, 4, 0, None
    epoch_is_complete, main_part = True, "generator"

    def __init__(self, tiny_model):
        self.build = tiny_model
        self.scale, self.is_warming_up = 1.0, False

    def export_parts(self):
        return {"generator": self.build(self.scale)}

    def get_config(self):
        return {}


@pytest.fixture
def training(tiny, photos, tmp_path, generator):
    def build(scale):
        import keras

        model = keras.models.clone_model(generator.model)
        model.set_weights([scale * w for w in generator.model.get_weights()])
        return model

    callback = MetricEvery(
        photos, tmp_path / "best.h5", "run", every=2, extractor=tiny, num_images=30
    )
    model = Model(build)
    callback.set_model(model)
    callback.set_params({"epochs": 5})

    def epoch(index, scale):
        model.scale = scale
        logs = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            callback.on_epoch_end(index, logs)
        return logs

    return callback, model, epoch


def test_measures_every_few_epochs_and_the_last(training):
    callback, _, epoch = training
    measured = [bool(epoch(index, 1.0)) for index in range(5)]
    assert measured == [False, True, False, True, True]
    assert callback.best_epoch == 2  # the same value again is no improvement


def test_keeps_the_best_generator_with_its_number(training, photos, tiny, tmp_path):
    callback, _, epoch = training
    values = [epoch(1, 0.1)["fd"], epoch(3, 1.0)["fd"], epoch(4, 0.2)["fd"]]
    best = int(np.argmin(values))
    assert values[1] < values[0]
    assert values[1] < values[2]
    assert callback.get_state() == {"best": values[best], "best_epoch": 4}
    kept = load_generator(tmp_path / "best.h5")
    (record,) = kept.metadata["metrics"]
    assert record["value"] == values[best]
    assert record["metric"] == "fd"
    assert record["num_images"] == 30
    assert record["resize"] == "tiny"
    with pytest.warns(UserWarning, match="Fréchet distance"):
        again = evaluate(kept, photos, ["fid"], 30, extractor=tiny, progress=False, cache_dir=False)
    assert again["fd"] == pytest.approx(values[best], rel=1e-6)


def test_a_model_whose_generator_has_not_learned_is_not_the_best(training, tmp_path):
    callback, model, epoch = training
    model.is_warming_up = True
    assert epoch(1, 1.0)["fd"] > 0  # measured all the same
    assert callback.get_state() == {"best": float("inf"), "best_epoch": 0}
    assert not (tmp_path / "best.h5").exists()
    model.is_warming_up = False
    epoch(3, 1.0)
    assert callback.best_epoch == 4


def test_resumes_its_memory(training, tmp_path):
    callback, _, epoch = training
    callback.set_state({"best": 1e-9, "best_epoch": 1})
    epoch(1, 1.0)
    assert callback.get_state() == {"best": 1e-9, "best_epoch": 1}
    assert not (tmp_path / "best.h5").exists()


def test_two_of_them_keep_a_state_each(photos, tiny, tmp_path):
    def three(*states):
        measured = [("fid", 30), ("kid", 30), ("fid", 20)]
        found = [
            MetricEvery(photos, None, None, 1, tiny, metric=metric, num_images=count)
            for metric, count in measured
        ]
        for each, state in zip(found, states, strict=False):
            each.set_state(state)
        return found

    fid, kid, _ = before = three({"best": 1.5, "best_epoch": 1}, {"best": 0.25, "best_epoch": 2})
    states = {key: each.get_state() for key, each in stateful(before).items()}
    assert len(states) == 3
    restored = three()
    restore_callbacks(restored[::-1], SimpleNamespace(callbacks=json.loads(json.dumps(states))))
    assert restored[0].get_state() == fid.get_state() != kid.get_state()
    assert restored[1].get_state() == kid.get_state()
    # The distance of other counts is another number.
    restored[2].num_images = 10
    restored[2].set_state({"best": 9.0, "best_epoch": 9})
    restore_callbacks(restored[2:], SimpleNamespace(callbacks=states))
    assert restored[2].best == 9.0


def test_an_interrupted_epoch_is_not_measured(training):
    _, model, epoch = training
    model.epoch_is_complete = False
    assert epoch(1, 1.0) == {}


def test_as_generator_is_the_exported_one(training):
    _, model, _ = training
    model.scale = 0.5
    images = as_generator(model).sample(range(3))
    assert images.shape == (3, 8, 8, 3)
    assert images.dtype == np.uint8


def test_refusals(tiny, photos):
    with pytest.raises(UserError, match="metric='pr'"):
        MetricEvery(photos, None, None, 1, tiny, metric="pr")
    with pytest.raises(UserError, match="every=0"):
        MetricEvery(photos, None, None, 0, tiny)
