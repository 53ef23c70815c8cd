"""The VAE-GAN: each network descends on its own loss, from one forward pass."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import facegen_keras as fg
from facegen_keras import losses
from facegen_keras.engine import autodiff
from facegen_keras.engine.callbacks import RunLog
from facegen_keras.errors import UserError
from facegen_keras.export.write import update_metadata
from facegen_keras.generate import fit_prior
from facegen_keras.inference import to_network_range
from facegen_keras.mixture import fit_mixture
from facegen_keras.models.combined import PLAIN, WARM_UP
from facegen_keras.models.posterior import draw_codes

SMALL = {"resolution": 32, "latent_dim": 6, "base_channels": 4}
BETA, FEATURE_WEIGHT = 0.5, 0.3
BATCH, ENCODED = 5, 3
NOISE = np.random.RandomState(0).randn(ENCODED, 6).astype("float32")
PRIOR = np.random.RandomState(1).randn(BATCH - ENCODED, 6).astype("float32")


def combined(**options):
    """With fixed noise and plain gradient descent, so that steps are gradients."""
    keras.utils.set_random_seed(0)
    model = fg.Combined(**SMALL, beta=BETA, feature_weight=FEATURE_WEIGHT, **options)
    for network in model.networks().values():
        network.set_weights([w * 2 if w.ndim > 1 else w for w in network.get_weights()])
    model.compile({name: keras.optimizers.SGD(0.01) for name in model.networks()})
    model.draw_latents = lambda n: ops.convert_to_tensor({ENCODED: NOISE, 2: PRIOR}[n])
    return model


def weights(network):
    return [np.array(v.value) for v in network.trainable_variables]


@pytest.mark.parametrize("loss", ["non_saturating", "relativistic"])
def test_every_network_descends_on_its_own_loss(made_up, loss):
    photos = to_network_range(made_up(BATCH))
    model, plain = combined(loss=loss), combined(loss=loss)
    before = {name: weights(network) for name, network in model.networks().items()}
    report = {name: float(value) for name, value in model.update(photos, "plain").items()}
    steps = {
        name: [(old - new) / 0.01 for old, new in zip(before[name], weights(n), strict=True)]
        for name, n in model.networks().items()
    }

    def judge(images):
        return plain.discriminator(images, training=True)

    def others(logits):
        """Beside reconstructions 0 to 2 and samples 3 and 4, photos that these do not come from."""
        return ops.stack([logits[k] for k in (2, 3, 4, 0, 1)])

    def images_of():
        statistics = plain.encoder(photos[:ENCODED], training=True)
        mean, log_variance = ops.split(statistics, 2, axis=1)
        z = mean + ops.exp(0.5 * log_variance) * NOISE
        fakes = plain.generator(ops.concatenate([z, PRIOR]), training=True)
        return statistics, fakes

    # 1. The discriminator: photos against reconstructions and samples, nothing else.
    fakes = images_of()[1]

    def discriminator_loss():
        return losses.discriminator_loss(loss, others(judge(photos)[0]), judge(fakes)[0]), None

    value, _, expected = autodiff.gradients(
        discriminator_loss, plain.discriminator.trainable_variables
    )
    assert report["discriminator_loss"] == pytest.approx(float(value), rel=1e-4)
    assert_close(steps["discriminator"], expected)
    target = judge(photos)[1][:ENCODED]
    for variable, value in zip(
        plain.discriminator.trainable_variables, weights(model.discriminator), strict=True
    ):
        variable.assign(value)

    def terms():
        statistics, fakes = images_of()
        kl = ops.mean(ops.sum(losses.kl_divergence(statistics), axis=1))
        features = judge(fakes[:ENCODED])[1]
        similarity = 0.5 * ops.mean(ops.sum(ops.square(features - target), axis=(1, 2, 3)))
        adversarial = losses.generator_loss(loss, judge(fakes)[0], others(judge(photos)[0]))
        return kl, similarity, adversarial

    # 2. The generator: fool the discriminator, and a little of the similarity.
    def generator_loss():
        kl, similarity, adversarial = terms()
        return adversarial + FEATURE_WEIGHT * similarity, (kl, similarity, adversarial)

    _, values, expected = autodiff.gradients(generator_loss, plain.generator.trainable_variables)
    for name, value in zip(("kl_loss", "feature_loss", "generator_loss"), values, strict=True):
        assert report[name] == pytest.approx(float(value), rel=1e-3), name
    assert_close(steps["generator"], expected)

    # 3. The encoder: similarity and the prior, not the game.
    def encoder_loss():
        kl, similarity, _ = terms()
        return BETA * kl + similarity, None

    _, _, expected = autodiff.gradients(encoder_loss, plain.encoder.trainable_variables)
    assert_close(steps["encoder"], expected)


def assert_close(got, expected):
    whole = max(np.abs(ops.convert_to_numpy(g)).max() for g in expected)
    assert whole > 1e-4
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, ops.convert_to_numpy(b), atol=3e-3 * whole)


def fix_latents(model):
    """Let a model draw the same latents in every step; return a batch of them."""
    noise = np.random.RandomState(2).randn(BATCH, 6).astype("float32")
    model.draw_latents = lambda n: ops.convert_to_tensor(noise[:n])
    return noise


def test_all_but_the_generator_learn_at_the_start(made_up):
    photos = to_network_range(made_up(BATCH))
    model, plain = combined(warm_up_images=8), combined()
    noise = fix_latents(model)
    model.begin(BATCH, 4)
    assert [model.phase_of(step) for step in range(4)] == [WARM_UP, WARM_UP, PLAIN, PLAIN]
    generators = (model.generator, model.generator_ema)
    before = [network.get_weights() for network in generators]
    learning = (model.encoder, model.discriminator)
    first, averaged = [weights(network) for network in learning], model.encoder_ema.get_weights()
    report = {name: float(value) for name, value in model.update(photos, WARM_UP).items()}
    for network, old in zip(generators, before, strict=True):
        for a, b in zip(old, network.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert any(
        (a != b).any() for a, b in zip(averaged, model.encoder_ema.get_weights(), strict=True)
    )
    faces = plain.generator(noise)

    def loss():
        statistics = ops.convert_to_tensor(plain.encoder(faces, training=True))
        mean, log_variance = ops.split(statistics, 2, axis=1)
        deviation = ops.exp(0.5 * log_variance)
        density = -0.5 * ops.square((noise - mean) / deviation) - ops.log(deviation)
        kl = ops.square(mean) + ops.exp(log_variance) - log_variance - 1
        surprise = -ops.mean(ops.sum(density - 0.5 * np.log(2 * np.pi), axis=1))
        return surprise, 0.5 * ops.mean(ops.sum(kl, axis=1))

    def discriminator_loss():
        photo_logits, fake_logits = (
            plain.discriminator(each, training=True)[0] for each in (photos, faces)
        )
        return losses.discriminator_loss("non_saturating", photo_logits, fake_logits), None

    surprise, kl, to_encoder = autodiff.gradients(loss, plain.encoder.trainable_variables)
    game, _, to_discriminator = autodiff.gradients(
        discriminator_loss, plain.discriminator.trainable_variables
    )
    expected = {"latent_loss": surprise, "kl_loss": kl, "discriminator_loss": game}
    assert set(report) == {*expected, "real_accuracy", "fake_accuracy"}
    for name, number in expected.items():
        assert report[name] == pytest.approx(float(number), rel=1e-4), name
    for network, old, gradient in zip(learning, first, (to_encoder, to_discriminator), strict=True):
        assert_close([(a - b) / 0.01 for a, b in zip(old, weights(network), strict=True)], gradient)


def test_the_averages_start_anew_when_all_networks_begin_to_learn(made_up):
    model = combined(warm_up_images=2 * BATCH, ema_rampup=1.0)
    fix_latents(model)
    photos = to_network_range(made_up(BATCH))
    model.begin(BATCH, 3)
    for phase in (WARM_UP, WARM_UP, PLAIN):
        model._run_update(made_up(BATCH), phase)
    for average, network in model.averages():
        for a, b in zip(average.get_weights(), network.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    model.update(photos, PLAIN)
    assert any(
        np.abs(a - b).max() > 1e-5
        for a, b in zip(model.encoder_ema.get_weights(), model.encoder.get_weights(), strict=True)
    )


@pytest.mark.parametrize("warm_up", [0, BATCH])
def test_after_a_warm_up_the_generator_keeps_its_statistics(made_up, warm_up):
    model = combined(warm_up_images=warm_up)
    fix_latents(model)
    model.begin(BATCH, 2)
    kept = [np.array(v.value) for v in model.generator.non_trainable_variables]
    learned = weights(model.generator)
    for step in range(2):
        model._run_update(made_up(BATCH), model.phase_of(step))
    now = [np.array(v.value) for v in model.generator.non_trainable_variables]
    assert all((a == b).all() for a, b in zip(kept, now, strict=True)) == bool(warm_up)
    assert any((a != b).any() for a, b in zip(learned, weights(model.generator), strict=True))


def test_all_networks_learn_after_the_warm_up_and_its_images_count_on_resume(made_up, tmp_path):
    images = made_up(12)
    train = {"batch_size": 4, "checkpoints": tmp_path, "verbose": 0}
    model = combined_to_fit(warm_up_images=20)
    before = weights(model.generator)
    model.fit(images, epochs=1, **train)
    for a, b in zip(before, weights(model.generator), strict=True):
        np.testing.assert_array_equal(a, b)
    resumed = combined_to_fit(warm_up_images=20)
    resumed.fit(images, epochs=2, **train)  # two more batches, then one of all networks
    made = {name: int(resumed.optimizer[name].iterations) for name in resumed.networks()}
    assert made == {"encoder": 1, "generator": 1, "discriminator": 6}  # the encoder's start anew
    at_once = combined_to_fit(warm_up_images=20)
    at_once.fit(images, epochs=2, batch_size=4, verbose=0)
    for a, b in zip(weights(at_once.generator), weights(resumed.generator), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_that_no_step_of_an_epoch_computed_is_null_in_the_log(made_up, tmp_path):
    model = combined_to_fit(warm_up_images=8)
    model.fit(made_up(8), epochs=2, batch_size=4, verbose=0, callbacks=[RunLog(tmp_path / "log")])
    first, second = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert {name for name in model.loss_names if first[name] is None} == {
        "generator_loss",
        "feature_loss",
    }
    assert {name for name in model.loss_names if second[name] is None} == {"latent_loss"}


def combined_to_fit(**options):
    keras.utils.set_random_seed(0)
    model = fg.Combined(**SMALL, **options)
    model.compile()
    return model


def test_other_options_stay_finite(made_up):
    keras.utils.set_random_seed(0)
    model = fg.Combined(**SMALL, loss="hinge", spectral_norm=True, augment="color,cutout")
    model.compile()
    report = model.update(to_network_range(made_up(4)), "plain")
    assert set(report) == set(model.loss_names)
    assert all(np.isfinite(float(loss)) for loss in report.values())


def test_both_averages_follow(made_up):
    model = combined(ema_half_life=BATCH, ema_rampup=1.0)
    model._images_seen.assign(1000)
    pairs = [
        (model.generator_ema, model.generator), (model.encoder_ema, model.encoder)
    ]  # fmt: skip
    before = [[np.array(v.value) for v in average.variables] for average, _ in pairs]
    model.update(to_network_range(made_up(BATCH)), "plain")
    for start, (average, network) in zip(before, pairs, strict=True):
        for a, b, v in zip(start, network.variables, average.variables, strict=True):
            expected = (a + np.array(b.value)) / 2
            np.testing.assert_allclose(np.array(v.value), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("side", [4, 8, 16])
def test_the_layer_that_faces_are_compared_in(side, made_up):
    model = combined(features_at=side)
    assert model.get_config()["features_at"] == side
    assert model.discriminator.output_shape[1][1:3] == (side, side)
    report = model.update(to_network_range(made_up(BATCH)), "plain")
    assert np.isfinite(float(report["feature_loss"]))


@pytest.mark.parametrize("side", [2, 12, 32, 64])
def test_a_layer_that_is_not_there(side):
    with pytest.raises(UserError, match=rf"features_at {side}: .*(4, 8, 16 pixels|from 4 on)"):
        fg.Combined(**SMALL, features_at=side)


def test_the_layer_cannot_change_on_resume(made_up, tmp_path, monkeypatch):
    images = made_up(4)
    train = {"epochs": 1, "batch_size": 4, "checkpoints": tmp_path, "verbose": 0}
    with monkeypatch.context() as patch:  # as written before the option existed
        model = combined()
        older = {k: v for k, v in model.get_config().items() if k != "features_at"}
        patch.setattr(model, "get_config", lambda: older)
        model.fit(images, **train)
    with pytest.raises(UserError, match=r"features_at 4: .* was trained with 8"):
        combined(features_at=4).fit(images, **train)
    assert combined().fit(images, **train).history == {}  # all is trained


@pytest.mark.parametrize("option", ["beta", "feature_weight", "warm_up_images"])
def test_impossible_options(option):
    with pytest.raises(UserError, match=f"{option} -1"):
        fg.Combined(**SMALL, **{option: -1})


def test_a_perfect_reconstruction_has_no_feature_error_under_augmentation(made_up):
    model = combined(augment="color,translation,cutout")
    photos = to_network_range(made_up(BATCH))
    seen = []

    def remember(reconstructions, target):
        seen.append((reconstructions, target))
        return 0.0 * ops.sum(reconstructions), ops.zeros(())

    model._feature_loss = remember
    model.update(photos, "plain")
    del model._feature_loss
    (_, target), again = seen[0], model.discriminator(photos[:ENCODED], training=True)[1]
    size = float(ops.mean(ops.square(again)))
    assert float(ops.mean(ops.square(again - target))) < 1e-3 * size
    _, of_itself = model._feature_loss(photos[:ENCODED], again)
    _, of_another = model._feature_loss(photos[1 : ENCODED + 1], again)
    assert float(of_itself) < 0.01 * float(of_another)


def test_a_mixture_of_codes_of_the_averaged_encoder_can_be_its_prior(made_up, tmp_path):
    model = fg.Combined(**SMALL, prior="mixture", prior_components=2, seed=3)
    model.compile()
    model.fit(made_up(40), epochs=1, batch_size=8, verbose=0)
    faces = model.sample(range(4))
    path = fg.save_generator(model, tmp_path / "combined_generator.h5")
    generator = fg.load_generator(path)
    np.testing.assert_array_equal(generator.sample(range(4)), faces)
    codes = draw_codes(model.encoder_ema, made_up(40), 40, False, 3)
    np.testing.assert_array_equal(generator.prior.means, fit_mixture(codes, 2, 3).means)

    plain = fg.load_generator(path, prior="normal").sample(range(4))
    assert fit_prior(path, made_up(40), components=None) is None
    np.testing.assert_array_equal(fg.load_generator(path).sample(range(4)), plain)
    update_metadata(path, metrics=[{"name": "FD", "value": 1.0}])
    fit_prior(path, made_up(40), components=2, seed=3)
    np.testing.assert_array_equal(fg.load_generator(path).sample(range(4)), faces)
    assert fg.load_generator(path).metadata["metrics"] == []  # of other faces


def test_a_prior_is_fitted_to_a_model_with_an_encoder(made_up, tmp_path):
    model = fg.DCGAN(resolution=32, latent_dim=6, base_channels=4)
    path = fg.save_generator(model, tmp_path / "dcgan_generator.h5")
    with pytest.raises(UserError, match="a dcgan model; a prior is fitted to a vae or combined"):
        fit_prior(path, made_up(40))


def test_the_generator_may_learn_at_another_rate():
    for family in (fg.Combined, fg.DCGAN):
        optimizers = family(**SMALL, generator_rate=0.25).default_optimizers(4e-4)
        for name, optimizer in optimizers.items():
            rate = float(optimizer.learning_rate)
            assert rate == pytest.approx(1e-4 if name == "generator" else 4e-4), name
