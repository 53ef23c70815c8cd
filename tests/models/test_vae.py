"""The VAE: its bound, the warm-up of β, and how the latent is used."""

import keras
import numpy as np
import pytest
from keras import ops

import facegen_keras as fg
from facegen_keras import losses
from facegen_keras.engine import autodiff
from facegen_keras.errors import UserError
from facegen_keras.inference import latents, to_network_range, to_uint8
from facegen_keras.models import posterior
from facegen_keras.models.vae import CHUNK, build_decoder, build_encoder

SMALL = {"resolution": 32, "latent_dim": 6, "base_channels": 4}


def vae(**options):
    keras.utils.set_random_seed(0)
    model = fg.VAE(**{**SMALL, **options})
    model.compile()
    return model


def number(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("resolution", [32, 128])
def test_shapes(resolution):
    encoder, decoder = build_encoder(resolution, 6, 2), build_decoder(resolution, 6, 2)
    assert encoder.output_shape == (None, 12)
    assert decoder.output_shape == (None, resolution, resolution, 3)
    smallest = [layer.output.shape[1:3] for layer in encoder.layers if "relu" in layer.name][-1]
    assert smallest == (4, 4)


def test_the_bound_by_hand(made_up):
    images, noise = to_network_range(made_up(4)), np.random.RandomState(0).randn(4, 6)
    noise = noise.astype("float32")
    model = vae(beta=0.5)
    got = model.evidence_bound(images, noise, training=False)
    mean, log_variance = np.split(number(model.encoder(images)), 2, axis=1)
    reconstructions = number(model.decoder(mean + np.exp(log_variance / 2) * noise))
    error = (((number(images) - reconstructions) / 2) ** 2).sum((1, 2, 3)).mean()
    kl = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1).mean()
    assert float(got["reconstruction_loss"]) == pytest.approx(error, rel=1e-4)
    assert float(got["kl_loss"]) == pytest.approx(kl, rel=1e-4)
    assert float(got["loss"]) == pytest.approx(error + 0.5 * kl, rel=1e-4)
    bce = vae(reconstruction="bce").evidence_bound(images, noise, training=False)
    expected = losses.reconstruction_loss("bce", images, ops.convert_to_tensor(reconstructions))
    assert float(bce["reconstruction_loss"]) == pytest.approx(float(ops.mean(expected)), rel=1e-3)


def test_the_gaussian_error_is_the_likelihood_at_the_variance_that_fits(made_up):
    """Value and gradient against the plain formula, D/2 (log MSE + 1 + log 2π) + β KL."""
    images, noise = to_network_range(made_up(6)), np.random.RandomState(0).randn(6, 6)
    noise, pixels = noise.astype("float32"), 3 * 32**2
    model = vae(reconstruction="gaussian", beta=0.5)
    variables = model.autoencoder.trainable_variables

    def plain():
        statistics = model.encoder(images, training=True)
        decoded = model.decoder(model.sampling(statistics, noise), training=True)
        mse = ops.mean(ops.square((images - decoded) / 2))
        kl = ops.mean(ops.sum(losses.kl_divergence(statistics), axis=-1))
        nats = pixels / 2 * (ops.log(mse) + 1 + np.log(2 * np.pi)) + 0.5 * kl
        return nats, {"mse": mse, "kl": kl}

    def ours():
        report = model.evidence_bound(images, noise, training=True)
        return report["loss"], report

    expected, terms, expected_grads = autodiff.gradients(plain, variables)
    got, report, grads = autodiff.gradients(ours, variables)
    assert float(got) == pytest.approx(float(expected), rel=1e-5)
    assert float(report["reconstruction_loss"]) == pytest.approx(pixels * float(terms["mse"]))
    assert float(report["reconstruction_std"]) == pytest.approx(float(terms["mse"]) ** 0.5)
    assert float(report["kl_loss"]) == pytest.approx(float(terms["kl"]), rel=1e-5)
    for ours_, theirs in zip(grads, expected_grads, strict=True):
        scale = np.abs(number(theirs)).max()
        np.testing.assert_allclose(number(ours_), number(theirs), atol=1e-3 * scale + 1e-6)
    # No other variance makes the photos more likely.
    error = float(report["reconstruction_loss"])
    best = float(losses.gaussian_error(ops.convert_to_tensor(error), pixels))
    for factor in (0.9, 1.1):
        variance = factor * error / pixels
        other = 0.5 * (pixels * np.log(2 * np.pi * variance) + error / variance)
        assert best < other
    perfect = losses.gaussian_error(ops.convert_to_tensor(0.0), pixels)
    assert np.isfinite(float(perfect))  # photos that are reconstructed without an error


def test_the_gaussian_vae_learns_and_validates_with_one_variance(made_up):
    model = vae(reconstruction="gaussian", base_channels=8)
    model.compile(model.default_optimizers(learning_rate=3e-3))
    history = model.fit(made_up(32), epochs=8, batch_size=8, verbose=0).history
    assert set(history) == {"loss", "reconstruction_loss", "kl_loss", "reconstruction_std"}
    assert history["loss"][-1] < history["loss"][0] - 500  # nats
    assert history["reconstruction_std"][-1] < 0.9 * history["reconstruction_std"][0]
    got = model.validate(made_up(CHUNK + 60))  # two chunks, of very different size
    pixels, mse = 3 * 32**2, got["reconstruction_std"] ** 2
    assert got["reconstruction_loss"] == pytest.approx(pixels * mse, rel=1e-4)
    nats = pixels / 2 * (np.log(mse) + 1 + np.log(2 * np.pi))
    assert got["loss"] == pytest.approx(nats + got["kl_loss"], rel=1e-4)


def test_beta_grows_over_the_warm_up(made_up):
    model = vae(beta=2.0, kl_warmup=1000)
    images, noise = to_network_range(made_up(4)), np.zeros((4, 6), "float32")
    for seen, weight in ((0, 0.0), (250, 0.5), (1000, 2.0), (5000, 2.0)):
        model._images_seen.assign(seen)
        got = {k: float(v) for k, v in model.evidence_bound(images, noise, True).items()}
        expected = got["reconstruction_loss"] + weight * got["kl_loss"]
        assert got["loss"] == pytest.approx(expected, rel=1e-6)
        held_out = {k: float(v) for k, v in model.evidence_bound(images, noise, False).items()}
        full = held_out["reconstruction_loss"] + 2.0 * held_out["kl_loss"]
        assert held_out["loss"] == pytest.approx(full, rel=1e-6)  # comparable through training


def test_it_learns(made_up):
    model = vae(base_channels=8)
    model.compile(model.default_optimizers(learning_rate=3e-3))  # 48 steps have to do
    history = model.fit(made_up(32), epochs=12, batch_size=8, verbose=0).history
    assert history["loss"][-1] < 0.6 * history["loss"][0]
    assert history["reconstruction_loss"][-1] < 0.6 * history["reconstruction_loss"][0]


def test_validation_is_repeatable_and_an_average_over_images(made_up):
    model = vae()
    many = made_up(CHUNK + 2)
    got = model.validate(many)
    assert got == model.validate(many)
    noise = keras.random.SeedGenerator(0)
    parts = [many[:CHUNK], many[CHUNK:]]
    drawn = [keras.random.normal((len(part), 6), seed=noise) for part in parts]
    bounds = [
        model.evidence_bound(to_network_range(part), z, training=False)
        for part, z in zip(parts, drawn, strict=True)
    ]
    for name, value in got.items():
        expected = (CHUNK * float(bounds[0][name]) + 2 * float(bounds[1][name])) / (CHUNK + 2)
        assert value == pytest.approx(expected, rel=1e-5)


def test_latent_statistics_known_answers(made_up):
    model = vae()
    head = model.encoder.get_layer("statistics")
    kernel, bias = (np.zeros(v.shape, "float32") for v in head.weights)
    kernel[:, 0] = np.random.RandomState(0).randn(len(kernel))  # the mean of unit 0 moves
    bias[1], bias[6 + 2] = 2.0, np.log(4.0)  # a mean of 2; a variance of 4
    head.set_weights([kernel, bias])
    found = model.latent_statistics(made_up(CHUNK + 5))
    assert found["mean"].shape == found["log_variance"].shape == (CHUNK + 5, 6)
    assert found["active"].tolist() == [True, False, False, False, False, False]
    expected = [(found["mean"][:, 0] ** 2).mean() / 2, 2.0, (3 - np.log(4)) / 2, 0, 0, 0]
    np.testing.assert_allclose(found["kl_per_dimension"], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": -1}, "beta -1: expected at least 0"),
        ({"kl_warmup": -1}, "kl_warmup -1"),
        ({"prior_components": 0}, "prior_components 0: expected a whole number from 1 on"),
        ({"reconstruction": "l1"}, "reconstruction 'l1': expected one of mse, bce, gaussian"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(UserError, match=message):
        fg.VAE(**SMALL, **options)


def test_a_mixture_is_fitted_to_the_photos_trained_on_and_exported(made_up, tmp_path):
    model = vae(prior="mixture", prior_components=2, seed=3)
    assert model.latent_prior() is None  # before the first step
    model.fit(made_up(40), epochs=1, batch_size=8, verbose=0)
    prior = model.latent_prior()
    assert prior is model.latent_prior()  # fitted once for these weights
    statistics = model.latent_statistics(made_up(40))
    codes = posterior.draw_latents(statistics, seed=9)
    assert np.abs(prior.means).max() < np.abs(codes).max()
    assert prior.log_density(codes).mean() > prior.log_density(codes + 3).mean() + 1
    path = fg.save_generator(model, tmp_path / "vae_decoder.h5")
    np.testing.assert_array_equal(fg.load_generator(path).sample(range(9)), model.sample(range(9)))
    plain = fg.load_generator(path, prior="normal")
    expected = to_uint8(plain(latents(range(9), 6)))
    np.testing.assert_array_equal(plain.sample(range(9)), expected)
    assert plain.metadata["prior_components"] == 2

    model.fit_prior(made_up(40))
    np.testing.assert_array_equal(model.latent_prior().means, prior.means)  # the same again
    model.fit(made_up(40), epochs=1, batch_size=8, verbose=0)
    assert model.latent_prior() is not prior  # other weights
    model.photos, model._prior = None, None
    with pytest.raises(UserError, match=r"call fit_prior\(photos\)"):
        model.sample([0])
    with pytest.raises(UserError, match="prior normal: fit_prior fits a mixture"):
        vae().fit_prior(made_up(40))


def test_each_gaussian_of_the_prior_takes_up_to_1200_photos(made_up, monkeypatch):
    asked = []

    def draw_codes(encoder, faces, count, *args):
        asked.append(count)
        return posterior.draw_codes(encoder, faces, count, *args)

    monkeypatch.setattr("facegen_keras.models.encoding_model.draw_codes", draw_codes)
    for components in (2, 5):
        vae(prior="mixture", prior_components=components).fit_prior(made_up(12))
    assert asked == [2400, 6000]


def test_codes_of_mirrored_photos_are_part_of_the_prior(made_up):
    model = vae()
    photos = made_up(30)
    there, back = (
        posterior.draw_codes(model.encoder, images, 30, mirror=True, seed=1)
        for images in (photos, photos[:, :, ::-1])
    )
    plain = posterior.draw_codes(model.encoder, photos, 30, mirror=False, seed=1)
    flipped = (there != plain).any(1)
    assert 5 < flipped.sum() < 25
    np.testing.assert_allclose(back[flipped], plain[flipped], atol=1e-5)
    assert posterior.draw_codes(model.encoder, photos, 7, mirror=False).shape == (7, 6)


def test_noise_as_data_does_not_break_the_loss():
    """An encoder that gives a log-variance of 100, as it may on noise: exp(100) is infinite."""
    model = vae()
    head = model.encoder.get_layer("statistics")
    bias = np.zeros(12, "float32")
    bias[6:] = 100.0
    head.bias.assign(bias)
    images = np.random.RandomState(0).uniform(-1, 1, (4, 32, 32, 3)).astype("float32")
    for _ in range(3):
        report = model.update(ops.convert_to_tensor(images), "plain")
        assert all(np.isfinite(float(value)) for value in report.values()), report
    after = number(head.bias)
    assert np.isfinite(after).all()
    assert (after[6:] < 100).all()
    assert np.isfinite(number(model.decoder(number(model.draw_latents(2))))).all()
