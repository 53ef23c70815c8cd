"""The networks against the official implementation's numbers, and what they promise besides."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from facegen_keras.errors import UserError
from facegen_keras.models import stylegan2

CHANNELS = {4: 32, 8: 32, 16: 32, 32: 16}
TOLERANCE = 1e-4  # relative to the largest value of an array; float32

SECOND_SUMS = [0.96204, 50.3605]

# Prints the relative error of every array of the reference, and facts of second derivatives.
PARITY = (Path(__file__).parent / "stylegan2_parity.py").read_text()


@pytest.fixture
def generator(stylegan2_reference):
    model = stylegan2.build_generator(32, 32, 32, 2, CHANNELS)
    stylegan2.load_official(model, reference_state(stylegan2_reference))
    return model


def reference_state(stylegan2_reference):
    return {k: v for k, v in stylegan2_reference.items() if k[:2] in ("G/", "D/")}


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_every_number_of_the_official_networks(on_backend, backend, stylegan2_reference):
    errors, second = json.loads(on_backend(PARITY, backend).splitlines()[-1])
    assert set(errors) - {"noise_input"} == {
        name
        for name in stylegan2_reference
        if name[:2] not in ("G/", "D/") and name not in ("z", "real", "path_noise")
    }
    assert {name: e for name, e in errors.items() if e > TOLERANCE} == {}
    assert second["r1"][0] == pytest.approx(2, rel=1e-3)
    assert second["path"][0] == pytest.approx(1, rel=1e-3)
    # The sums of all absolute derivatives, as PyTorch has them.
    assert [second["r1"][1], second["path"][1]] == pytest.approx(SECOND_SUMS, rel=1e-3)


def test_the_generator_reloads_from_one_h5(generator, stylegan2_reference, tmp_path):
    path = tmp_path / "generator.h5"
    generator.save(path)
    loaded = keras.saving.load_model(path, compile=False)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(loaded(stylegan2_reference["z"])),
        ops.convert_to_numpy(generator(stylegan2_reference["z"])),
    )
    assert {"mapping", "truncation", "synthesis"} <= {layer.name for layer in loaded.layers}


def test_low_precision_stays_near_float32(stylegan2_reference):
    full = stylegan2.build_synthesis(32, 32, CHANNELS)
    half = stylegan2.build_synthesis(32, 32, CHANNELS, low_precision="mixed_bfloat16")
    state = {k: v for k, v in reference_state(stylegan2_reference).items() if k.startswith("G/")}
    stylegan2.load_official(full, state)
    stylegan2.load_official(half, state)
    assert half.get_layer("b32_conv1").compute_dtype == "bfloat16"
    assert half.get_layer("b4_conv1").compute_dtype == "float32"
    styles = np.repeat(stylegan2_reference["w"][:, None], 8, axis=1)
    a, b = (ops.convert_to_numpy(model(styles)) for model in (full, half))
    assert b.dtype == np.float32
    assert 1e-6 < np.abs(a - b).max() / np.abs(a).max() < 0.03


def test_official_channel_counts_and_sizes():
    assert stylegan2.channel_counts(256, 16384)[256] == 64
    assert stylegan2.channel_counts(1024)[1024] == 32
    assert [stylegan2.style_count(r) for r in (32, 256, 1024)] == [8, 14, 18]
    assert stylegan2.noise_size(32) == 16 + 2 * (64 + 256 + 1024)
    # The official FFHQ 256x256 generator (config "paper256") has 24,767,458 trained parameters.
    generator = stylegan2.build_generator(256, channels=stylegan2.channel_counts(256, 16384))
    assert sum(int(np.prod(v.shape)) for v in generator.trainable_variables) == 24_767_458


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("G/synthesis.b8.conv0.weight"), "b8.conv0.weight is missing"),
        (lambda s: s.update({"G/mapping.fc2.weight": np.zeros((32, 32))}), "fc2.weight has no"),
        (lambda s: s.update({"G/mapping.fc1.bias": np.zeros(31)}), r"fc1.bias has shape \(31,\)"),
        (lambda s: s.update({"G/synthesis.b4.resample_filter": np.ones((4, 4))}), "only the"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(generator, stylegan2_reference, change, message):
    state = reference_state(stylegan2_reference)
    change(state)
    with pytest.raises(UserError, match=message):
        stylegan2.load_official(generator, state)


def test_a_file_of_several_networks_gives_each_model_its_own(stylegan2_reference):
    """The whole reference file: both networks, and images that belong to neither."""
    discriminator = stylegan2.build_discriminator(32, CHANNELS)
    stylegan2.load_official(discriminator, stylegan2_reference)
    out = discriminator.get_layer("b4_out")
    np.testing.assert_array_equal(out.kernel[:, 0], stylegan2_reference["D/b4.out.weight"][0])
    mapping = stylegan2.build_mapping(32, 32, 2)
    averaged = {
        f"G_ema/{k[2:]}": v + k.endswith("bias")
        for k, v in stylegan2_reference.items()
        if k.startswith("G/")
    }
    for state, expected in ((stylegan2_reference, 0), ({**stylegan2_reference, **averaged}, 1)):
        stylegan2.load_official(mapping, state)
        bias = ops.convert_to_numpy(mapping.get_layer("fc1").bias)
        np.testing.assert_array_equal(bias, stylegan2_reference["G/mapping.fc1.bias"] + expected)


def test_a_model_takes_nothing_from_a_file_of_the_other_kind(stylegan2_reference):
    mapping = stylegan2.build_mapping(32, 32, 2)
    state = {k: v for k, v in stylegan2_reference.items() if not k.startswith("G/")}
    with pytest.raises(UserError, match="is missing"):
        stylegan2.load_official(mapping, state)
    plain = {k[2:]: v for k, v in stylegan2_reference.items() if k.startswith("G/")}
    with pytest.raises(UserError, match="tensor latents has no place"):
        stylegan2.load_official(mapping, {**plain, "latents": stylegan2_reference["z"]})
