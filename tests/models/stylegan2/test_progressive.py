"""Growing: the right resolution at the right time, and new ones faded in without a seam."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

from facegen_keras.models import stylegan2
from facegen_keras.models.stylegan2 import fir
from facegen_keras.models.stylegan2.progressive import discriminator_stage, generator_stage
from facegen_keras.runs import train as training
from facegen_keras.runs.config import TrainConfig


def value(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.fixture(scope="module")
def growing(tiny_stylegan2):
    return tiny_stylegan2(progressive="8:1,16:2")


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_faded_network_equals_its_ends(growing, alpha):
    growing._images_seen.assign(1000 + round(500 * alpha))
    generators, critics = growing.stages.generators, growing.stages.critics
    z = np.random.RandomState(0).randn(2, 8).astype("float32")
    noise = np.random.RandomState(1).randn(2, stylegan2.noise_size(32)).astype("float32")
    x = np.random.RandomState(2).randn(4, 16, 16, 3).astype("float32")
    unfaded = generator_stage(growing.generator, 16, None)([z, noise])
    if alpha == 0:  # the stage before, its image doubled; the discriminator of the halved image
        image = fir.upsample(generators[8]([z, noise]))
        logits = critics[8](fir.downsample(ops.convert_to_tensor(x)))
    else:  # the stage itself, without any fading
        image = unfaded
        entrances = {16: critics[16].get_layer("b16_fromrgb")}
        logits = discriminator_stage(growing.discriminator, 16, entrances, None)(x)
    shown = value(generators[16]([z, noise]))
    np.testing.assert_allclose(shown, value(image), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(value(critics[16](x)), value(logits), rtol=1e-5, atol=1e-5)
    assert np.allclose(value(unfaded), shown) == (alpha == 1)


def test_sampling_follows_the_count_of_images_and_changes_nothing(growing):
    pictures = []
    for images_seen in (1000, 1250, 1500, 1000):
        growing._images_seen.assign(images_seen)
        before = [np.array(value(v)) for v in growing.variables]
        pictures.append(growing.sample(range(2)))
        for variable, old in zip(growing.variables, before, strict=True):
            np.testing.assert_array_equal(value(variable), old, err_msg=variable.path)
    assert [np.array_equal(pictures[0], other) for other in pictures] == [True, False, False, True]
    # What is no variable of the network would be a constant in a prediction compiled by JAX.
    network = growing.sampling_network
    assert any(v is growing._images_seen for v in network.non_trainable_variables)


@pytest.mark.parametrize("images_seen", [1000, 1150, 1500])
def test_a_file_written_while_fading_in_draws_what_training_shows(tiny_stylegan2, images_seen):
    model = tiny_stylegan2(progressive="8:1,16:2")
    for variable in model.generator_ema.trainable_variables:
        if "strength" not in variable.path:
            variable.assign(np.random.RandomState(0).randn(*variable.shape))
    model._images_seen.assign(images_seen)
    z = np.random.RandomState(1).randn(2, 8).astype("float32")
    parts = model.export_parts()
    assert list(parts) == ["generator"]  # the discriminator of 32x32 is not trained yet
    shown, written = value(model(z)), value(parts["generator"](z))
    assert shown.shape == (2, 16, 16, 3)
    np.testing.assert_allclose(written, shown, rtol=1e-4, atol=1e-4)


def test_a_growing_that_will_not_end_is_told(growing):
    config = TrainConfig(model="stylegan2", resolution=32, progressive="8:1,16:2", batch_size=4)
    short = dataclasses.replace(config, epochs=100)
    note = training.early_end(short, growing, photos=21)
    assert "100 epochs of these photos are 2,000 images and end at 16x16" in note
    assert "begins after 3,000" in note
    assert training.early_end(dataclasses.replace(config, epochs=150), growing, 21) is None
    assert training.early_end(dataclasses.replace(short, progressive=None), growing, 21) is None


def test_a_warm_up_that_will_not_end_is_told(growing):
    config = TrainConfig(
        model="combined", warm_up_images=160, init_from="dcgan.h5", batch_size=4, epochs=8
    )
    note = training.early_end(config, growing, photos=21)
    assert "8 epochs of these photos are 160 images; the generator learns only after 160" in note
    assert training.early_end(dataclasses.replace(config, epochs=9), growing, 21) is None


def test_the_full_resolution_is_timed(growing):
    growing.skip_growing()
    assert growing.resolution_after(growing.images_seen) == growing.resolution


def test_growing_follows_its_schedule(growing, made_up):
    schedule = growing.schedule
    assert [schedule.resolution(n) for n in (0, 999, 1000, 2999, 3000, 10**9)] == [
        8,
        8,
        16,
        16,
        32,
        32,
    ]
    assert [float(value(schedule.alpha(16, n))) for n in (1000, 1250, 1500, 2900)] == [0, 0.5, 1, 1]
    assert schedule.alpha(8, 0) == 1.0
    growing._images_seen.assign(0)
    images = ops.convert_to_tensor(made_up(4) / 127.5 - 1, "float32")
    report = growing.update(images, growing.phase_of(0))
    assert growing.phase_of(0).resolution == 8
    assert np.isfinite(float(value(report["generator_loss"])))
    assert growing(np.zeros((2, 8), "float32")).shape == (2, 8, 8, 3)
    assert growing.export_parts()["generator"].output_shape == (None, 8, 8, 3)


def test_the_optimizers_start_anew_with_a_resolution(tiny_stylegan2, made_up):
    """Else a new layer's first steps are some ten times as large as the learning rate."""
    growing = tiny_stylegan2(progressive="8:0.016,16:0.016", progressive_fade=0, r1_gamma=0)
    new = growing.generator.get_layer("synthesis").get_layer("b16_conv1").kernel
    rate = float(value(growing.optimizer["generator"].learning_rate))
    seen, moved = [], []
    for step in range(8):
        before = value(new.value)
        growing.train_on_batch(made_up(4, seed=step))
        moved.append(np.abs(value(new.value) - before).mean())
        seen.append(int(value(growing.optimizer["generator"].iterations.value)))
    assert seen == [2, 3, 4, 5, 2, 3, 4, 5]  # the first step of four has the path length's too
    assert moved[3] == 0.0
    assert 0 < max(moved[4:]) < 3 * rate
    assert float(value(growing.optimizer["generator"].learning_rate)) == rate


def test_growing_counts_images_also_after_another_batch_size(tiny_stylegan2, made_up, monkeypatch):
    growing = tiny_stylegan2(progressive="8:1,16:2")
    monkeypatch.setattr(keras.Model, "fit", lambda self, *args, **options: None)
    growing._steps.assign(300)
    growing._images_seen.assign(600)  # two at a time until now
    growing.fit(made_up(8), batch_size=4, verbose=0)
    stages = [growing.phase_of(step).resolution for step in (300, 399, 400)]
    assert stages == [8, 8, 16]
