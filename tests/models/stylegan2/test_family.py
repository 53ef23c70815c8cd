"""The training of StyleGAN2: what each step does, and that it goes on exactly where it stopped."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from facegen_keras.engine import autodiff, checkpoint
from facegen_keras.errors import UserError
from facegen_keras.models.stylegan2.family import StyleGAN2
from facegen_keras.models.stylegan2.phase import Phase

SCRIPT = Path(__file__).with_name("stylegan2_fit.py")


def photos(count=4, size=32):
    values = np.random.RandomState(0).randint(0, 256, (count, size, size, 3))
    return values.astype("uint8")


def batch_of(count):
    return ops.convert_to_tensor(photos(count) / 127.5 - 1, "float32")


def value(tensor):
    return ops.convert_to_numpy(tensor)


@pytest.fixture(scope="module")
def fitted(on_backend):
    """What the script prints, by backend; run once each."""
    results = {}

    def run(backend):
        if backend not in results:
            output = on_backend(SCRIPT.read_text(), backend, timeout=900)
            results[backend] = json.loads(output.splitlines()[-1])
        return results[backend]

    return run


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_fit_runs_every_phase_with_the_same_losses(fitted, backend):
    steps, broken, history, state, average = fitted(backend)
    assert steps == 4
    assert broken is None
    assert history["r1"][0] > 0
    assert history["path_length"][0] > 0
    assert state["path_mean"] > 0
    assert state["w_avg"] > 0
    # Four steps of four images, adjusted once, towards stronger or weaker by 16 / 100.
    assert state["probability"] == pytest.approx(0.16, abs=1e-6) or state["probability"] == 0
    assert np.isfinite(average)
    assert average > 0
    _, _, expected, expected_state, _ = fitted("tensorflow")
    for name, values in history.items():
        assert values == pytest.approx(expected[name], rel=1e-2), name
    assert state == pytest.approx(expected_state, rel=1e-2)


@pytest.fixture
def same_draws(monkeypatch):
    """Every draw of a shape gives the same numbers."""

    def normal(shape, seed=None):
        return ops.convert_to_tensor(np.random.RandomState(len(shape)).randn(*shape), "float32")

    def uniform(shape, minval=0.0, maxval=1.0, seed=None):
        values = np.random.RandomState(len(shape)).uniform(minval, maxval, shape)
        return ops.convert_to_tensor(values, "float32")

    monkeypatch.setattr(keras.random, "normal", normal)
    monkeypatch.setattr(keras.random, "uniform", uniform)


def applied(model, images, phase):
    """The gradients that one `update` hands to each player's optimizer, none of them applied."""
    kept = {"generator": [], "discriminator": []}
    model.apply_gradients = lambda name, grads: kept[name].append([value(g) for g in grads])
    report = model.update(images, phase)
    return kept, report


def assert_close(got, expected, tolerance=1e-4):
    largest = max(np.abs(value(g)).max() for g in expected)
    assert largest > 1e-3
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(value(a), value(b), atol=tolerance * largest)


def test_the_players_descend_the_logistic_losses(tiny_stylegan2, same_draws):
    model, images = tiny_stylegan2(), batch_of(4)
    kept, report = applied(model, images, Phase(32))

    def loss_of_generator():
        logits = model.discriminator(model._generate(4, 32), training=True)
        loss = ops.mean(ops.softplus(-logits))
        return loss, loss

    def loss_of_discriminator():
        fakes = ops.stop_gradient(model._generate(4, 32))
        fake, real = (model.discriminator(x, training=True) for x in (fakes, images))
        loss = ops.mean(ops.softplus(fake)) + ops.mean(ops.softplus(-real))
        return loss, loss

    for name, loss in (
        ("generator", loss_of_generator),
        ("discriminator", loss_of_discriminator),
    ):
        variables = model.networks()[name].trainable_variables
        _, number, expected = autodiff.gradients(loss, variables)
        assert float(value(report[f"{name}_loss"])) == pytest.approx(float(number), rel=1e-5)
        (got,) = kept[name]
        assert_close(got, expected)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compares with its tapes")
def test_the_regularizers_descend_their_penalties(tiny_stylegan2, same_draws):
    """R1 and path length, against the formulas of the papers under nested tapes."""
    import tensorflow as tf

    model, images = tiny_stylegan2(path_weight=3.0, path_interval=5, r1_interval=7), batch_of(4)
    grads, number = model._r1_gradients(images, 32, 11.0)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(images)
            logits = tf.reduce_sum(model.discriminator(images))
        slopes = inner.gradient(logits, images)
        r1 = tf.reduce_mean(tf.reduce_sum(slopes**2, axis=(1, 2, 3)))
        loss = 7 * 11.0 / 2 * r1  # as if it were taken at every step
    variables = [v.value for v in model.discriminator.trainable_variables]
    assert float(number) == pytest.approx(float(r1), rel=1e-5)
    assert_close(grads, outer.gradient(loss, variables, unconnected_gradients="zero"))

    model.path_mean.assign(0.5)
    grads, report = model._path_length_gradients(4, 32)  # of half a batch
    direction = keras.random.normal((2, 32, 32, 3)) / 32
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            styles = model._draw_styles(2, 32)
            inner.watch(styles)
            image = model.generator.get_layer("synthesis")([styles, model._draw_noise(2)])
            product = tf.reduce_sum(image * direction)
        slopes = inner.gradient(product, styles)
        lengths = tf.sqrt(tf.reduce_mean(tf.reduce_sum(slopes**2, axis=2), axis=1))
        average = 0.99 * 0.5 + 0.01 * tf.reduce_mean(lengths)
        loss = 5 * 3.0 * tf.reduce_mean((lengths - average) ** 2)
    variables = [v.value for v in model.generator.trainable_variables]
    assert float(report["path_length"]) == pytest.approx(float(tf.reduce_mean(lengths)), rel=1e-4)
    assert float(model.path_mean.value) == pytest.approx(float(average), rel=1e-5)
    expected = outer.gradient(loss, variables, unconnected_gradients="zero")
    assert_close(grads, expected, tolerance=1e-3)


def test_parts_of_a_batch_are_averaged_and_applied_once(tiny_stylegan2, same_draws):
    model, images = tiny_stylegan2(accumulate=2), batch_of(8)
    kept, report = applied(model, images, Phase(32, path_length=True, r1=True))
    whole = tiny_stylegan2()
    halves = []
    for half in ops.split(images, 2):
        halves.append(applied(whole, half, Phase(32)))
    for name, applications in kept.items():
        assert len(applications) == 2  # the game, then the regularizer
        means = [(a + b) / 2 for a, b in zip(*(h[0][name][0] for h in halves), strict=True)]
        assert_close(applications[0], means)
    mean = np.mean([float(value(h[1]["discriminator_loss"])) for h in halves])
    assert float(value(report["discriminator_loss"])) == pytest.approx(mean, rel=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="looks into its graph")
def test_a_part_waits_for_the_gradients_of_the_one_before(tiny_stylegan2):
    """Else the activations of all parts are in memory together, and `accumulate` saves nothing."""
    import tensorflow as tf

    model = tiny_stylegan2(accumulate=2)
    step = tf.function(lambda images: model.update(images, Phase(32)))
    graph = step.get_concrete_function(tf.TensorSpec((4, 32, 32, 3))).graph
    late: dict[str, bool] = {}  # operations are listed after those that they need
    for op in graph.get_operations():
        before = [*(tensor.op for tensor in op.inputs), *op.control_inputs]
        gradient = op.type == "Conv2DBackpropFilter"
        late[op.name] = gradient or any(late.get(other.name, False) for other in before)
    passes = [late[op.name] for op in graph.get_operations() if op.type == "Conv2D"]
    assert sum(passes) >= len(passes) / 2


def test_the_phases_are_due_as_the_paper_says(tiny_stylegan2):
    model = tiny_stylegan2()
    due = [model.phase_of(step) for step in range(33)]
    assert [i for i, phase in enumerate(due) if phase.path_length] == list(range(0, 33, 4))
    assert [i for i, phase in enumerate(due) if phase.r1] == [1, 17]
    assert set(due) <= set(model.phases)
    assert tiny_stylegan2(path_weight=0, r1_gamma=0).phase_of(0) == Phase(32)


def test_adam_is_corrected_for_lazy_regularization(tiny_stylegan2):
    optimizers = tiny_stylegan2().default_optimizers(0.002)
    generator, discriminator = optimizers["generator"], optimizers["discriminator"]
    assert float(value(generator.learning_rate)) == pytest.approx(0.002 * 4 / 5)
    assert float(value(discriminator.learning_rate)) == pytest.approx(0.002 * 16 / 17)
    assert generator.beta_2 == pytest.approx(0.99 ** (4 / 5))
    assert discriminator.beta_2 == pytest.approx(0.99 ** (16 / 17))
    assert generator.beta_1 == 0.0
    without = tiny_stylegan2(path_weight=0).default_optimizers(0.002)["generator"]
    assert float(value(without.learning_rate)) == pytest.approx(0.002)


def test_both_players_move_and_frozen_layers_do_not(tiny_stylegan2):
    model = tiny_stylegan2(freeze_discriminator=3, accumulate=2)
    frozen = ["b32_fromrgb", "b32_conv0", "b32_conv1"]
    names = [layer.name for layer in model.discriminator.layers if not layer.trainable]
    assert sorted(names) == sorted(frozen)
    before = [value(v).copy() for v in model.variables]
    images = batch_of(4)
    model.update(images, Phase(32, path_length=True, r1=True))
    pairs = zip(model.variables, before, strict=True)
    moved = {id(v) for v, old in pairs if np.any(value(v) != old)}
    still = [v for name in frozen for v in model.discriminator.get_layer(name).weights]
    assert len(still) == 6
    assert not moved & {id(v) for v in still}
    assert {id(v) for v in model.discriminator.trainable_variables} <= moved
    kernels = {id(v) for v in model.generator.trainable_variables if "kernel" in v.path}
    assert kernels <= moved


def test_r1_weighs_as_the_heuristic_says(tiny_stylegan2, monkeypatch):
    seen = []
    original = StyleGAN2._r1_gradients

    def remember(self, images, resolution, gamma):
        seen.append(gamma)
        return original(self, images, resolution, gamma)

    monkeypatch.setattr(StyleGAN2, "_r1_gradients", remember)
    images = batch_of(4)
    tiny_stylegan2().update(images, Phase(32, r1=True))
    tiny_stylegan2(r1_gamma=3.0).update(images, Phase(32, r1=True))
    assert seen == [pytest.approx(0.0002 * 32**2 / 4), 3.0]


def test_the_strength_of_augmentation_follows_the_signs(tiny_stylegan2):
    model = tiny_stylegan2(augment="color", ada_target=0.6, ada_images=100)
    assert float(value(model.augmentation.probability)) == 0.0
    history = []
    for step in range(12):
        model._steps.assign(step)
        right = ops.convert_to_tensor(1.0 if step < 8 else 0.0)
        model.augmentation.follow({"real_accuracy": right}, 4)
        history.append(round(float(value(model.augmentation.probability)), 4))
    assert history == [0, 0, 0, 0.16, 0.16, 0.16, 0.16, 0.32, 0.32, 0.32, 0.32, 0.16]


@pytest.fixture
def eager():
    """Steps of a network this small are quicker run than compiled."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.filterwarnings("ignore:Even though the `tf.config")  # said of the data pipeline
def test_resume_is_exact(tiny_stylegan2, tmp_path, eager):
    from facegen_keras.data import load_faces

    options = {
        "path_interval": 2,
        "r1_interval": 2,
        "augment": "color",
        "ada_target": 0.1,
        "ada_images": 50,
    }
    faces = load_faces(photos(8), resolution=32, progress=False)
    whole = tiny_stylegan2(**options)
    whole.fit(faces, epochs=2, batch_size=4, verbose=0)
    first = tiny_stylegan2(**options)
    first.fit(faces, epochs=1, batch_size=4, verbose=0)
    checkpoint.save(first, tmp_path, epoch=1, position=0)
    second = tiny_stylegan2(**options)
    checkpoint.restore(second, tmp_path)
    assert float(value(second.path_mean)) == float(value(first.path_mean)) != 0
    second.fit(faces, epochs=2, batch_size=4, verbose=0)
    for a, b in zip(whole.variables, second.variables, strict=True):
        np.testing.assert_array_equal(value(a), value(b), err_msg=a.path)
    # The fourth step is the first that adjusts the strength, by the signs of both halves.
    assert float(value(second.augmentation._sign_sum)) == 0
    assert second.steps == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"progressive": "8:1"}, "every power of two below 32"),
        ({"progressive": "8-1"}, "every power of two below 32"),
        ({"style_mixing": 2}, "style_mixing 2: expected 0 to 1"),
        ({"progressive_fade": 3}, "progressive_fade 3: expected 0 to 1"),
        ({"ada_images": 0}, "ada_images 0: expected a positive number"),
        ({"ada_target": 0.6}, "give augment"),
        ({"r1_gamma": -1.0}, "r1_gamma -1.0"),
        ({"channel_base": 16}, "channel_base 16: expected at least resolution"),
        ({"freeze_discriminator": 13}, "has 13 layers.*at most 12"),
    ],
)
def test_impossible_options_are_named(tiny_stylegan2, options, message):
    with pytest.raises(UserError, match=message):
        tiny_stylegan2(**options)


@pytest.mark.parametrize(("before", "now"), [("", "color"), ("color", "")])
def test_the_log_says_what_is_augmented_after_a_change_on_resume(before, now, tmp_path):
    tiny = {"resolution": 32, "latent_dim": 6, "channel_base": 128, "channel_max": 8, "w_dim": 8}
    first, second = (StyleGAN2(**tiny, mapping_layers=1, augment=each) for each in (before, now))
    for model in (first, second):
        model.compile()
    first.begin(8, 1)
    checkpoint.save(first, tmp_path, 0, 0)
    checkpoint.restore(second, tmp_path)
    second.augmentation.follow(report := {}, 8)
    assert float(report["augment_probability"]) == bool(now)
