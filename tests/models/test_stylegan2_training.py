"""The training of StyleGAN2: what each step does, and that it goes on exactly where it stopped."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from facegen_keras.engine import checkpoint
from facegen_keras.errors import UserError
from facegen_keras.models import stylegan2, stylegan2_progressive
from facegen_keras.models.stylegan2_training import StyleGAN2

TINY = {
    "resolution": 32,
    "latent_dim": 8,
    "w_dim": 8,
    "mapping_layers": 2,
    "channel_base": 128,
    "channel_max": 4,
}


def tiny(**options):
    keras.utils.set_random_seed(1)
    model = StyleGAN2(**{**TINY, **options})
    model.compile()
    model.batch_size = 4
    return model


def photos(count=4, size=32):
    values = np.random.RandomState(0).randint(0, 256, (count, size, size, 3))
    return values.astype("uint8")


def value(tensor):
    return ops.convert_to_numpy(tensor)


FIT = f"""
import json, keras, numpy as np
from keras import ops
from facegen_keras.models.stylegan2_training import StyleGAN2
from facegen_keras.data import load_faces
keras.utils.set_random_seed(1)
model = StyleGAN2(**{TINY!r}, r1_interval=2, path_interval=2, augment="color,translation",
                  ada_target=0.6, ada_images=100)
model.compile()
before = [v.numpy().copy() if hasattr(v, "numpy") else np.array(v) for v in model.get_weights()]
images = np.random.RandomState(0).randint(0, 256, (16, 32, 32, 3)).astype("uint8")
faces = load_faces(images, resolution=32, progress=False)
history = model.fit(faces, epochs=1, batch_size=4, verbose=0).history
networks = (model.generator, model.discriminator)
state = dict(path_mean=model.path_mean, w_avg=model.generator.get_layer("truncation").w_avg,
             probability=model.augment_probability)
state = {{k: float(np.abs(ops.convert_to_numpy(v)).sum()) for k, v in state.items()}}
average = np.abs(ops.convert_to_numpy(model(np.zeros((2, 8), "float32")))).mean()
print(json.dumps([model.steps, model.broken, history, state, float(average)]))
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_fit_runs_every_phase(run_python, backend):
    output = run_python(FIT, backend=backend, OMP_NUM_THREADS="1", timeout=900)
    steps, broken, history, state, average = json.loads(output.splitlines()[-1])
    assert steps == 4 and broken is None
    assert history["r1"][0] > 0 and history["path_length"][0] > 0
    assert 0.3 < history["generator_loss"][0] < 3 and 0.3 < history["discriminator_loss"][0] < 4
    assert state["path_mean"] > 0 and state["w_avg"] > 0
    # Four steps of four images, adjusted once, towards stronger or weaker by 16 / 100.
    assert state["probability"] == pytest.approx(0.16, abs=1e-6) or state["probability"] == 0
    assert np.isfinite(average) and average > 0


def test_the_phases_are_due_as_the_paper_says():
    model = tiny()
    due = [model.phase_of(step) for step in range(33)]
    assert [i for i, phase in enumerate(due) if "path" in phase] == list(range(0, 33, 4))
    assert [i for i, phase in enumerate(due) if "r1" in phase] == [1, 17]
    assert set(due) <= set(model.phases)
    assert tiny(path_weight=0, r1_gamma=0).phase_of(0) == "plain@32"


def test_adam_is_corrected_for_lazy_regularization():
    optimizers = tiny().default_optimizers(0.002)
    generator, discriminator = optimizers["generator"], optimizers["discriminator"]
    assert float(value(generator.learning_rate)) == pytest.approx(0.002 * 4 / 5)
    assert float(value(discriminator.learning_rate)) == pytest.approx(0.002 * 16 / 17)
    assert generator.beta_2 == pytest.approx(0.99 ** (4 / 5))
    assert discriminator.beta_2 == pytest.approx(0.99 ** (16 / 17))
    assert generator.beta_1 == 0.0
    without = tiny(path_weight=0).default_optimizers(0.002)["generator"]
    assert float(value(without.learning_rate)) == pytest.approx(0.002)


def test_both_players_move_and_frozen_layers_do_not():
    model = tiny(freeze_discriminator=3, accumulate=2)
    frozen = ["b32_fromrgb", "b32_conv0", "b32_conv1"]
    names = [layer.name for layer in model.discriminator.layers if not layer.trainable]
    assert sorted(names) == sorted(frozen)
    before = [value(v).copy() for v in model.variables]
    images = ops.convert_to_tensor(photos() / 127.5 - 1, "float32")
    model.update(images, "path_r1@32")
    pairs = zip(model.variables, before, strict=True)
    moved = {id(v) for v, old in pairs if np.any(value(v) != old)}
    still = [v for name in frozen for v in model.discriminator.get_layer(name).weights]
    assert len(still) == 6 and not moved & {id(v) for v in still}
    assert {id(v) for v in model.discriminator.trainable_variables} <= moved
    kernels = {id(v) for v in model.generator.trainable_variables if "kernel" in v.path}
    assert kernels <= moved


def test_r1_weighs_as_the_heuristic_says(monkeypatch):
    seen = []
    original = StyleGAN2._regularize

    def remember(self, images, gamma):
        seen.append(gamma)
        return original(self, images, gamma)

    monkeypatch.setattr(StyleGAN2, "_regularize", remember)
    images = ops.convert_to_tensor(photos() / 127.5 - 1, "float32")
    tiny().update(images, "r1@32")
    tiny(r1_gamma=3.0).update(images, "r1@32")
    assert seen == [pytest.approx(0.0002 * 32**2 / 4), 3.0]


def test_the_strength_of_augmentation_follows_the_signs():
    model = tiny(augment="color", ada_target=0.6, ada_images=100)
    assert float(value(model.augment_probability)) == 0.0
    history = []
    for step in range(12):
        model._steps.assign(step)
        model._adapt(ops.convert_to_tensor(1.0 if step < 8 else -1.0), 4)
        history.append(round(float(value(model.augment_probability)), 4))
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
def test_resume_is_exact(tmp_path, eager):
    from facegen_keras.data import load_faces

    options = {
        "path_interval": 2,
        "r1_interval": 2,
        "augment": "color",
        "ada_target": 0.1,
        "ada_images": 50,
    }
    faces = load_faces(photos(8), resolution=32, progress=False)
    whole = tiny(**options)
    whole.fit(faces, epochs=2, batch_size=4, verbose=0)
    first = tiny(**options)
    first.fit(faces, epochs=1, batch_size=4, verbose=0)
    checkpoint.save(first, tmp_path, epoch=1, position=0)
    second = tiny(**options)
    checkpoint.restore(second, tmp_path)
    assert float(value(second.path_mean)) == float(value(first.path_mean)) != 0
    second.fit(faces, epochs=2, batch_size=4, verbose=0)
    for a, b in zip(whole.variables, second.variables, strict=True):
        np.testing.assert_array_equal(value(a), value(b), err_msg=a.path)
    # The fourth step is the first that adjusts the strength, by the signs of both halves.
    assert float(value(second._sign_sum)) == 0 and second.steps == 4


@pytest.fixture(scope="module")
def growing():
    return tiny(progressive="8:1,16:2")


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_faded_network_equals_its_ends(growing, alpha):
    for fade in growing._fades:
        fade.alpha.assign(alpha)
    z = np.random.RandomState(0).randn(2, 8).astype("float32")
    noise = np.random.RandomState(1).randn(2, stylegan2.noise_size(32)).astype("float32")
    x = np.random.RandomState(2).randn(4, 16, 16, 3).astype("float32")
    from facegen_keras import fir

    if alpha == 0:  # the stage before, its image doubled; the discriminator of the halved image
        image = fir.upsample(growing._generators[8]([z, noise]))
        logits = growing._critics[8](fir.downsample(ops.convert_to_tensor(x)))
    else:  # the stage itself, without any fading
        image = stylegan2_progressive.generator_stage(growing.generator, 16, None)([z, noise])
        entrances = {16: growing._critics[16].get_layer("b16_fromrgb")}
        logits = stylegan2_progressive.discriminator_stage(
            growing.discriminator, 16, entrances, None
        )(x)
    np.testing.assert_allclose(
        value(growing._generators[16]([z, noise])), value(image), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(value(growing._critics[16](x)), value(logits), rtol=1e-5, atol=1e-5)
    other = stylegan2_progressive.generator_stage(growing.generator, 16, None)([z, noise])
    assert np.allclose(value(other), value(growing._generators[16]([z, noise]))) == (alpha == 1)


def test_growing_follows_its_schedule(growing):
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
    images = ops.convert_to_tensor(photos() / 127.5 - 1, "float32")
    report = growing.update(images, growing.phase_of(0))
    assert growing._stage == 8 and np.isfinite(float(value(report["generator_loss"])))
    assert growing(np.zeros((2, 8), "float32")).shape == (2, 8, 8, 3)
    assert growing.export_parts()["generator"].output_shape == (None, 8, 8, 3)


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
    ],
)
def test_impossible_options_are_named(options, message):
    with pytest.raises(UserError, match=message):
        tiny(**options)


def test_transfer_takes_what_fits(tmp_path):
    from facegen_keras.export import save_generator

    source = tiny()
    path = save_generator(source, tmp_path / "stylegan2_generator.h5")
    target = tiny(seed=5)
    for variable in target.generator.variables:
        variable.assign(ops.zeros_like(variable.value))
    assert target.start_from(path) == []
    z = np.ones((1, 8), "float32")
    np.testing.assert_array_equal(value(target(z)), value(source(z)))
    with pytest.raises(UserError, match="no layer of it fits"):
        tiny(channel_max=2).start_from(path)
    with pytest.raises(UserError, match=r"stylegan2_discriminator\.h5 does not exist"):
        tiny(freeze_discriminator=1).start_from(path)
