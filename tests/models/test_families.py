"""What holds for every family: the same numbers on all backends, 16 bits, exports."""

import inspect
import json
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import facegen_keras as fg
from facegen_keras.errors import UserError
from facegen_keras.export.parts import MAIN_PARTS
from facegen_keras.inference import to_network_range
from facegen_keras.models import FAMILIES as ALL

SCRIPT = Path(__file__).with_name("family_steps.py")
SMALL = {"resolution": 32, "latent_dim": 6, "base_channels": 4}
FAMILIES = {"vae": fg.VAE, "dcgan": fg.DCGAN, "combined": fg.Combined}


@pytest.fixture(scope="module")
def on_tensorflow(tmp_path_factory):
    """The numbers of TensorFlow, and the weights that they were computed from."""
    path = tmp_path_factory.mktemp("weights") / "weights.npz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEGEN_TEST_WEIGHTS", str(path))
        return path, runpy.run_path(str(SCRIPT))["all_steps"]()


@pytest.mark.xdist_group("backends")  # with those that compare with the same numbers
def test_steps_do_what_the_options_say(on_tensorflow):
    _, results = on_tensorflow
    assert set(results) >= set(FAMILIES)
    for case, result in results.items():
        more = {"dcgan_relativistic": {"r2"}, "combined_warm_up": {"latent_loss"}}.get(case, set())
        assert set(result["losses"]) == {*FAMILIES[case.partition("_")[0]].loss_names, *more}
        assert result["steps"] == 2
        assert result["gone"] > 1e-5
        assert np.isfinite(list(result["losses"].values())).all()
    r1 = results["dcgan"]["losses"]["r1"]
    assert r1[0] > 1e-4
    assert r1[1] == 0.0
    # β grows over 8 images: 0 at the first step, 5/8 at the second.
    vae = results["vae"]["losses"]
    for step, weight in enumerate([0, 5 / 8]):
        expected = vae["reconstruction_loss"][step] + weight * vae["kl_loss"][step]
        assert vae["loss"][step] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_every_backend_gives_the_same_losses(on_tensorflow, on_backend, backend):
    path, expected = on_tensorflow
    env = {"FACEGEN_TEST_WEIGHTS": str(path)}
    output = on_backend(SCRIPT.read_text(), backend, timeout=900, **env)
    results = json.loads(output.splitlines()[-1])
    for family, result in results.items():
        for name, values in result["losses"].items():
            np.testing.assert_allclose(
                values, expected[family]["losses"][name], rtol=1e-3, err_msg=f"{family} {name}"
            )
        samples = np.subtract(result["samples"], expected[family]["samples"])
        assert np.abs(samples).max() <= 1  # grey levels, after two steps
        assert result["gone"] == pytest.approx(expected[family]["gone"], rel=0.01)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_sixteen_bits_stay_finite(family, precision, made_up):
    keras.utils.set_random_seed(0)
    model = FAMILIES[family](**SMALL, precision=precision)
    model.compile()
    before = [np.array(v.value) for v in model.trainable_variables]
    for step in range(2):
        report = model.update(to_network_range(made_up(6, seed=step)), model.phase_of(step))
        assert all(np.isfinite(float(loss)) for loss in report.values()), report
    after = [np.array(v.value) for v in model.trainable_variables]
    assert all(np.isfinite(value).all() and value.dtype == np.float32 for value in after)
    for name, network in model.networks().items():
        variables = {id(v) for v in network.trainable_variables}
        moved = [
            np.abs(new - old).max()
            for v, old, new in zip(model.trainable_variables, before, after, strict=True)
            if id(v) in variables
        ]
        optimizer = model.optimizer[name]
        scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        assert scaled == (precision == "float16")
        # A scale that overflows at first is halved and the step left out; the other steps count.
        assert max(moved) > 0 or (scaled and float(optimizer.dynamic_scale.value) < 2**15)
    hidden = model.networks().get("discriminator") or model.encoder
    assert hidden.layers[1].compute_dtype == precision
    assert all(part.compute_dtype == "float32" for part in model.export_parts().values())
    assert all(
        layer.compute_dtype == "float32"
        for part in model.export_parts().values()
        for layer in part.layers
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_exports_are_the_sampling_network(family, made_up, tmp_path):
    keras.utils.set_random_seed(0)
    model = FAMILIES[family](**SMALL)
    model.compile()
    # Weights of their own in the trained and the averaged network.
    for k, variable in enumerate(model.sampling_network.trainable_variables or []):
        variable.assign(np.random.RandomState(k).randn(*variable.shape) * 0.1)
    for k, variable in enumerate(model.sampling_network.variables):
        if "kernel" in variable.path:
            variable.assign(np.random.RandomState(k).randn(*variable.shape) * 0.1)
    path = fg.save_generator(model, tmp_path / f"{family}.h5")
    loaded = fg.load_generator(path)
    faces = model.sample(range(5))
    assert faces.shape == (5, 32, 32, 3)
    assert faces.dtype == np.uint8
    assert faces.std() > 1
    np.testing.assert_array_equal(loaded.sample(seeds=range(5)), faces)
    assert (loaded.family, loaded.resolution, loaded.latent_dim) == (family, 32, 6)
    if family != "vae":  # which has no average
        trained = model.generator(loaded_latents(5), training=False)
        assert np.abs(ops.convert_to_numpy(trained) - loaded(loaded_latents(5))).max() > 0.01
    if family != "dcgan":
        encoder = fg.load_encoder(tmp_path / f"{family}_encoder.h5")
        averaged = model.encoder if family == "vae" else model.encoder_ema
        images = to_network_range(made_up(3))
        np.testing.assert_allclose(
            ops.convert_to_numpy(model_of(encoder)(images)),
            ops.convert_to_numpy(averaged(images)),
            rtol=1e-5,
            atol=1e-6,
        )


def loaded_latents(count):
    return np.stack([np.random.RandomState(s).randn(6) for s in range(count)]).astype("float32")


def model_of(encoder):
    return getattr(encoder, "model", encoder)


@pytest.mark.parametrize("family", ALL)
def test_the_arguments_are_those_of_the_options(family):
    arguments = inspect.signature(ALL[family]).parameters
    defaults = {name: argument.default for name, argument in arguments.items()}
    assert defaults == ALL[family].options_type().as_dict()
    assert list(arguments)[:2] == ["resolution", "latent_dim"]
    for name in arguments:
        assert f"\n    {name}: " in ALL[family].__doc__


def test_the_main_parts_are_those_that_files_are_named_after():
    assert {family.main_part for family in ALL.values()} == set(MAIN_PARTS)


@pytest.mark.parametrize(("family", "has_validation"), [("vae", True), ("dcgan", False)])
def test_what_a_family_does_not_have_is_refused(family, has_validation, made_up):
    model = FAMILIES[family](**SMALL)
    assert model.has_validation == model.has_latent_statistics == has_validation
    if has_validation:
        assert model.validate(made_up(2))["loss"] > 0
        assert model.latent_statistics(made_up(2))["active"].shape == (6,)
        return
    with pytest.raises(UserError, match="dcgan: has no validation loss"):
        model.validate(made_up(2))
    with pytest.raises(UserError, match="dcgan: has no latent statistics"):
        model.latent_statistics(made_up(2))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_trained_weight_is_in_one_network(family):
    model = FAMILIES[family](**SMALL)
    networks = model.networks()
    assert all(isinstance(network, keras.Model) for network in networks.values())
    trained = [id(v) for network in networks.values() for v in network.trainable_variables]
    assert sorted(trained) == sorted(id(v) for v in model.trainable_variables)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_configuration_makes_the_model_again(family):
    model = FAMILIES[family](**SMALL, seed=5)
    config = model.get_config()
    assert config["seed"] == 5
    assert config["latent_dim"] == 6
    again = FAMILIES[family](**config)
    assert again.get_config() == config
    assert [v.shape for v in again.variables] == [v.shape for v in model.variables]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_whole_model_is_saved_and_loads_again(family, made_up, tmp_path):
    model = FAMILIES[family](**SMALL)
    model.compile()
    path = tmp_path / "x.keras"
    callbacks = [keras.callbacks.ModelCheckpoint(path)]
    model.fit(made_up(4), 1, 4, callbacks=callbacks, verbose=0)
    again = keras.saving.load_model(path)
    assert (again.steps, again.get_config()) == (1, model.get_config())
    for old, new in (
        (model.variables, again.variables),
        (model.optimizer.variables, again.optimizer.variables),
    ):
        for before, after in zip(old, new, strict=True):
            np.testing.assert_array_equal(before.numpy(), after.numpy(), err_msg=before.path)
    assert (again.sample([0]) == model.sample([0])).all()
    again.train_on_batch(made_up(4))
    assert again.steps == 2
    with pytest.raises(UserError, match=r"a whole model is saved as \.keras"):
        model.save(tmp_path / "m.h5")
