"""What an export writes, and that it is whole or not there."""

import logging
import os

import keras
import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.export.write import save_generator, update_metadata
from facegen_keras.generate.loading import load_generator


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_round_trip_keeps_images_and_metadata(tmp_path, suffix, tiny_family):
    model = tiny_family()
    path = save_generator(
        model, tmp_path / f"g{suffix}", run="r1", metrics=[{"name": "fd", "value": 30.5, "n": 2500}]
    )
    generator = load_generator(path)
    z = np.random.RandomState(0).randn(5, 6).astype("float32")
    expected = keras.ops.convert_to_numpy(model.main(z, training=False))
    np.testing.assert_allclose(generator(z), expected, atol=1e-6)
    assert (generator.family, generator.resolution, generator.latent_dim) == ("dcgan", 8, 6)
    metadata = generator.metadata
    assert metadata["images_seen"] == 1234
    assert metadata["data_fingerprint"] == "f" * 64
    assert metadata["config"] == {"latent_dim": 6, "betas": [0.5, 0.999]}
    assert metadata["metrics"] == [{"name": "fd", "value": 30.5, "n": 2500}]
    assert metadata["versions"]["keras"] == keras.version()
    assert {"licence", "created", "run", "part"} <= set(metadata)
    plain = keras.saving.load_model(path, compile=False)
    np.testing.assert_array_equal(plain.predict_on_batch(z), generator.model.predict_on_batch(z))
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_sampling_uses_the_moving_statistics(saved):
    model, path = saved
    norm = next(x for x in model.main.layers if isinstance(x, keras.layers.BatchNormalization))
    norm.moving_mean.assign(np.full(8, 0.7))
    save_generator(model, path)
    z = np.random.RandomState(1).randn(16, 6).astype("float32")
    images = load_generator(path)(z)
    np.testing.assert_allclose(images, model.main(z, training=False), atol=1e-6)
    assert np.abs(images - np.asarray(model.main(z, training=True))).max() > 0.05


def test_failed_write_leaves_the_old_file(saved, monkeypatch):
    model, path = saved
    before = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        save_generator(model, path, run="first")
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_only_the_h5_advice_is_silenced(saved, caplog):
    model, path = saved
    with caplog.at_level(logging.WARNING, logger="absl"):
        save_generator(model, path)
        logging.getLogger("absl").warning("something else")
    assert [record.getMessage() for record in caplog.records] == ["something else"]


def test_metadata_can_be_added_later(saved):
    _, path = saved
    faces = load_generator(path).sample(range(2))
    update_metadata(path, metrics=[{"name": "kid", "value": np.float64(0.02)}])
    generator = load_generator(path)
    assert generator.metadata["metrics"] == [{"name": "kid", "value": 0.02}]
    assert generator.metadata["images_seen"] == 1234
    np.testing.assert_array_equal(generator.sample(range(2)), faces)


def test_metadata_that_were_replaced_are_gone(saved):
    """HDF5 would keep their bytes: a path of one's own machine, say, in a published file."""
    _, path = saved
    update_metadata(path, run="/home/someone/secret")
    update_metadata(path, run="r1")
    size = path.stat().st_size
    assert b"someone" not in path.read_bytes()
    for _ in range(3):
        update_metadata(path, run="r1")
    assert path.stat().st_size == size
    assert load_generator(path).metadata["run"] == "r1"


def test_only_h5_and_keras_are_written(tmp_path, tiny_family):
    with pytest.raises(UserError, match=r"\.h5 or \.keras"):
        save_generator(tiny_family(), tmp_path / "g.pt")
    assert not os.listdir(tmp_path)
