"""The DCGAN: the paper's network, and an update that descends on the losses it says."""

import keras
import numpy as np
import pytest
from keras import ops

import facegen_keras as fg
from facegen_keras import losses
from facegen_keras.engine import autodiff, checkpoint
from facegen_keras.errors import UserError
from facegen_keras.inference import to_network_range
from facegen_keras.models.dcgan import Phase, build_discriminator, build_generator

SMALL = {"resolution": 32, "latent_dim": 6, "base_channels": 4}
Z = np.random.RandomState(0).randn(5, 6).astype("float32")


def dcgan(optimizer=keras.optimizers.SGD, rate=1.0, **options):
    """A small DCGAN with fixed latents; by plain gradient descent, so that steps are gradients."""
    keras.utils.set_random_seed(0)
    model = fg.DCGAN(**SMALL, **options)
    for network in (model.generator, model.discriminator):
        network.set_weights([w * 3 if w.ndim > 1 else w for w in network.get_weights()])
    model.compile({name: optimizer(rate) for name in model.networks()})
    model.draw_latents = lambda count: ops.convert_to_tensor(Z[:count])
    return model


def weights(network):
    return [np.array(v.value) for v in network.trainable_variables]


def moves(network, before):
    return [after - start for after, start in zip(weights(network), before, strict=True)]


def assert_close(got, expected):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5 * max(np.abs(b).max(), 1e-2), rtol=2e-3)


@pytest.fixture
def photos(made_up):
    return to_network_range(made_up(5))


def test_the_size_of_the_paper_s_network():
    # The network of the PyTorch tutorial has 3,576,704 and 2,765,568; ours adds a bias to the
    # first convolution, which has no normalization, and to the logit.
    assert count(build_generator(64, 100)) == 3_576_704
    assert count(build_discriminator(64)) == 2_765_568 + 64 + 1


def count(network):
    return sum(int(np.prod(v.shape)) for v in network.trainable_variables)


@pytest.mark.parametrize("resolution", [32, 128, 256])
def test_other_sizes(resolution):
    generator = build_generator(resolution, 6, 2)
    assert generator.output_shape == (None, resolution, resolution, 3)
    assert generator.get_layer("reshape").output.shape == (None, 4, 4, min(resolution // 4, 16))
    discriminator = build_discriminator(resolution, 2, features_at=8)
    logit, features = discriminator.output_shape
    assert logit == (None, 1)
    assert features[:3] == (None, 8, 8)


def test_initial_weights():
    kernel = build_generator(32, 100, 16).get_layer("8x8_up").get_weights()[0]
    assert kernel.std() == pytest.approx(0.02, rel=0.03)
    assert abs(kernel.mean()) < 1e-3


def test_spectral_normalization_replaces_batch_normalization():
    names = [type(layer).__name__ for layer in build_discriminator(32, 4, True).layers]
    assert (names.count("SpectralConv2D"), names.count("SpectralDense")) == (3, 1)
    assert "BatchNormalization" not in names
    names = [type(layer).__name__ for layer in build_discriminator(32, 4).layers]
    assert names.count("BatchNormalization") == 2
    assert not any("Spectral" in name for name in names)


@pytest.mark.parametrize("loss", losses.GAN_LOSSES)
def test_both_players_descend_on_their_loss(photos, loss):
    """The shared forward and the pulled-back gradient against the plain way."""
    smoothing = 0.1 if loss == "non_saturating" else 0.0
    model = dcgan(loss=loss, label_smoothing=smoothing)
    plain = dcgan(loss=loss, label_smoothing=smoothing)  # the same weights
    before = {name: weights(network) for name, network in model.networks().items()}
    report = model.update(photos, Phase())
    moved = {name: moves(network, before[name]) for name, network in model.networks().items()}

    fakes = plain.generator(Z, training=True)
    real_logits = plain.discriminator(photos, training=True)
    fake_logits = plain.discriminator(fakes, training=True)

    def discriminator_loss():
        real = plain.discriminator(photos, training=True)
        fake = plain.discriminator(fakes, training=True)
        return losses.discriminator_loss(loss, real, fake, smoothing), None

    value, _, grads = autodiff.gradients(
        discriminator_loss, plain.discriminator.trainable_variables
    )
    assert float(report["discriminator_loss"]) == pytest.approx(float(value), rel=1e-4)
    for name, share in losses.accuracies(loss, real_logits, fake_logits).items():
        assert float(report[name]) == pytest.approx(float(share))
    assert_close(moved["discriminator"], [-ops.convert_to_numpy(g) for g in grads])

    # The generator plays against the discriminator that has moved.
    for variable, value in zip(
        plain.discriminator.trainable_variables, weights(model.discriminator), strict=True
    ):
        variable.assign(value)

    def generator_loss():
        real = plain.discriminator(photos, training=True)
        fake = plain.discriminator(plain.generator(Z, training=True), training=True)
        return losses.generator_loss(loss, fake, real), None

    value, _, grads = autodiff.gradients(generator_loss, plain.generator.trainable_variables)
    assert float(report["generator_loss"]) == pytest.approx(float(value), rel=1e-3)
    assert_close(moved["generator"], [-ops.convert_to_numpy(g) for g in grads])
    assert max(np.abs(m).max() for m in moved["generator"]) > 1e-4


def test_r1_is_added_with_half_gamma_times_the_interval(photos):
    def step(gamma, interval, phase):
        model = dcgan(rate=1e-3, r1_gamma=gamma, r1_interval=interval, spectral_norm=True)
        before = weights(model.discriminator)
        report = model.update(photos, phase)
        return np.concatenate([m.ravel() for m in moves(model.discriminator, before)]), report

    without, _ = step(0.0, 1, Phase())
    once, report = step(40.0, 1, Phase(r1=True))
    assert float(report["r1"]) > 1e-6
    lazy, _ = step(10.0, 4, Phase(r1=True))
    half, _ = step(20.0, 1, Phase(r1=True))
    np.testing.assert_allclose(lazy, once, rtol=1e-4, atol=1e-9)
    extra = once - without
    assert np.abs(extra).max() > 1e-6
    np.testing.assert_allclose(half - without, extra / 2, atol=0.02 * np.abs(extra).max())

    # The value: the squared norm of the logits' slope, by small steps along it.
    model = dcgan(spectral_norm=True)
    judge = lambda x: ops.sum(model.discriminator(x, training=False))  # noqa: E731
    _, _, slope = autodiff.input_gradient(lambda x: (judge(x), None), photos)
    direction = slope / ops.sqrt(ops.sum(slope**2))
    rise = float(judge(photos + 0.01 * direction) - judge(photos - 0.01 * direction)) / 0.02
    per_photo = float(ops.mean(losses.r1_penalty(slope)))
    assert rise**2 / 5 == pytest.approx(per_photo, rel=0.05)


def test_r2_is_the_same_penalty_at_generated_images(photos):
    def step(phase, **options):
        model = dcgan(rate=1e-3, r1_interval=4, spectral_norm=True, **options)
        before = weights(model.discriminator)
        report = model.update(photos, phase)
        return np.concatenate([m.ravel() for m in moves(model.discriminator, before)]), report

    plain, _ = step(Phase())
    at_photos, _ = step(Phase(r1=True), r1_gamma=10.0)
    at_fakes, report = step(Phase(r2=True), r2_gamma=10.0)
    both, _ = step(Phase(r1=True, r2=True), r1_gamma=10.0, r2_gamma=10.0)
    from_fakes = at_fakes - plain
    assert np.abs(from_fakes).max() > 1e-6
    np.testing.assert_allclose(
        both - at_photos, from_fakes, atol=0.02 * np.abs(at_photos - plain).max()
    )

    model = dcgan(rate=1e-3, spectral_norm=True)
    fakes = model.generator(Z, training=True)
    model.discriminator(photos, training=True)  # as in the step: it iterates the spectral norms
    summed = lambda x: (ops.sum(model.discriminator(x, training=True)), None)  # noqa: E731
    _, _, slope = autodiff.input_gradient(summed, fakes)
    expected = float(ops.mean(losses.r1_penalty(slope)))
    assert float(report["r2"]) == pytest.approx(expected, rel=1e-3)


def test_phases():
    model = dcgan(r1_gamma=1.0, r1_interval=4)
    phases = [model.phase_of(step) for step in range(6)]
    assert [phase.r1 for phase in phases] == [True, False, False, False, True, False]
    assert not any(phase.r2 for phase in phases)
    both = dcgan(r1_gamma=1.0, r2_gamma=2.0)
    assert both.phase_of(0) == Phase(r1=True, r2=True)
    assert "r2" in both.loss_names
    assert "r2" not in model.loss_names
    assert {dcgan().phase_of(step) for step in range(20)} == {Phase()}


def test_the_paper_s_adam_moves_every_weight_by_the_learning_rate(photos):
    model = dcgan()
    model.compile()
    assert float(model.optimizer["generator"].learning_rate.value) == pytest.approx(2e-4)
    assert model.optimizer["discriminator"].beta_1 == 0.5
    before = weights(model.generator)
    model.update(photos, Phase())
    moved = np.abs(np.concatenate([m.ravel() for m in moves(model.generator, before)]))
    assert moved.max() < 2.01e-4
    assert np.median(moved) == pytest.approx(2e-4, rel=0.02)


def test_the_average_follows(photos):
    model = dcgan(ema_half_life=5, ema_rampup=1.0)
    model._images_seen.assign(1000)
    before = [np.array(v.value) for v in model.generator_ema.variables]
    model.update(photos, Phase())  # five images: one half-life
    for start, trained, average in zip(
        before, model.generator.variables, model.generator_ema.variables, strict=True
    ):
        expected = (start + np.array(trained.value)) / 2
        np.testing.assert_allclose(np.array(average.value), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("loss", ["hinge", "relativistic"])
def test_everything_at_once_stays_finite(made_up, loss):
    model = fg.DCGAN(
        **SMALL,
        loss=loss,
        spectral_norm=True,
        r1_gamma=1.0,
        r2_gamma=1.0,
        augment="color,translation,cutout",
        ada_target=0.6,
    )
    model.compile()
    for step in range(2):
        report = model.update(to_network_range(made_up(4, seed=step)), Phase(r1=True, r2=True))
        assert set(report) == set(model.loss_names)
        assert all(np.isfinite(float(loss)) for loss in report.values())


def test_the_probability_of_augmenting_is_part_of_a_checkpoint(made_up, tmp_path):
    # The probability can go up and down from here, and no share of 20 photos is at this target.
    options = {"augment": "color", "ada_target": 0.33, "ada_images": 100}
    first, second = fg.DCGAN(**SMALL, **options), fg.DCGAN(**SMALL, **options)
    for model in (first, second):
        model.compile()
    first.augmentation.probability.assign(0.5)
    # An odd batch: in an even one half of the photos may be taken for photos, which sums to 0.
    first.fit(made_up(25), epochs=1, batch_size=5, verbose=0)
    checkpoint.save(first, tmp_path, epoch=1, position=0)
    checkpoint.restore(second, tmp_path)
    adapted = [float(model.augmentation.probability.value) for model in (first, second)]
    assert adapted[0] == adapted[1]
    assert abs(adapted[0] - 0.5) == pytest.approx(0.2)  # after the fourth of five steps
    states = [float(model.augmentation._sign_sum.value) for model in (first, second)]
    assert states[0] == states[1] != 0


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_the_loss_of_a_16_bit_discriminator_is_float32(photos, precision):
    model = fg.DCGAN(**SMALL, spectral_norm=True, r1_gamma=1.0, precision=precision)
    model.compile()
    assert model.discriminator.output.dtype == "float32"
    report = model.update(photos, Phase(r1=True))
    assert all(np.isfinite(float(loss)) for loss in report.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "wgan"}, "loss 'wgan': expected one of non_saturating, hinge, relativistic"),
        ({"label_smoothing": 0.5}, "label_smoothing 0.5: expected 0 or more and less than 0.5"),
        ({"label_smoothing": 0.1, "loss": "hinge"}, "the hinge loss has no labels"),
        ({"label_smoothing": 0.1, "loss": "relativistic"}, "the relativistic loss has no labels"),
        ({"r2_gamma": -1}, "r2_gamma -1"),
        ({"ada_target": 0.6}, "there are none; give augment"),
        ({"r1_gamma": -1}, "r1_gamma -1"),
        ({"r1_interval": 0}, "r1_interval 0"),
        ({"base_channels": 0}, "base_channels 0: expected a whole number from 1 on"),
        ({"ema_half_life": 0}, "ema_half_life 0: expected a positive number"),
        ({"ema_rampup": -1}, "ema_rampup -1: expected a positive number"),
        ({"augment": "colour"}, "augment 'colour': expected any of color, translation, cutout"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(UserError, match=message):
        fg.DCGAN(**{**SMALL, **options})
