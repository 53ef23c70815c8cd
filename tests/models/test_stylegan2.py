"""The networks against the official implementation's numbers, and what they promise besides."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from facegen_keras import fir
from facegen_keras.engine import autodiff
from facegen_keras.equalized_layers import activate
from facegen_keras.errors import UserError
from facegen_keras.models import stylegan2

REFERENCE = Path(__file__).parent.parent / "fixtures" / "stylegan2_reference.npz"
CHANNELS = {4: 32, 8: 32, 16: 32, 32: 16}
TOLERANCE = 1e-4  # relative to the largest value of an array; float32

SECOND_SUMS = [0.96204, 50.3605]

# Prints the relative error of every array of the reference, and facts of second derivatives.
PARITY = (Path(__file__).parent / "stylegan2_parity.py").read_text()


@pytest.fixture(scope="module")
def reference():
    return dict(np.load(REFERENCE))


@pytest.fixture
def generator(reference):
    model = stylegan2.build_generator(32, 32, 32, 2, CHANNELS)
    stylegan2.load_official(model, reference_state(reference))
    return model


def reference_state(reference):
    return {k: v for k, v in reference.items() if k[:2] in ("G/", "D/")}


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_every_number_of_the_official_networks(run_python, backend, reference):
    errors, second = json.loads(run_python(PARITY, backend=backend).splitlines()[-1])
    assert set(errors) - {"noise_input"} == {
        name
        for name in reference
        if name[:2] not in ("G/", "D/") and name not in ("z", "real", "path_noise")
    }
    assert {name: e for name, e in errors.items() if e > TOLERANCE} == {}
    assert second["r1"][0] == pytest.approx(2, rel=1e-3)
    assert second["path"][0] == pytest.approx(1, rel=1e-3)
    # The sums of all absolute derivatives, as PyTorch has them.
    assert [second["r1"][1], second["path"][1]] == pytest.approx(SECOND_SUMS, rel=1e-3)


def test_the_generator_reloads_from_one_h5(generator, reference, tmp_path):
    path = tmp_path / "generator.h5"
    generator.save(path)
    loaded = keras.saving.load_model(path, compile=False)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(loaded(reference["z"])),
        ops.convert_to_numpy(generator(reference["z"])),
    )
    assert {"mapping", "truncation", "synthesis"} <= {layer.name for layer in loaded.layers}


@pytest.mark.parametrize("form", ["smooth", "downsample", "upsample"])
def test_the_filter_is_zero_insertion_and_convolution(form):
    x = np.random.RandomState(0).randn(2, 6, 6, 3).astype("float32")
    up = np.zeros((2, 12, 12, 3), "float32")
    up[:, ::2, ::2] = x
    source, pad, gain, stride = {
        "smooth": (x, (1, 1), 4.0, 1),
        "downsample": (x, (1, 1), 1.0, 2),
        "upsample": (up, (2, 1), 4.0, 1),
    }[form]
    padded = np.pad(source, ((0, 0), pad, pad, (0, 0)))
    size = padded.shape[1] - 3
    kernel = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64 * gain
    expected = sum(
        kernel[i, j] * padded[:, i : i + size, j : j + size] for i in range(4) for j in range(4)
    )[:, ::stride, ::stride]
    call = {
        "smooth": lambda: fir.smooth(x, padding=1, gain=4.0),
        "downsample": lambda: fir.downsample(x),
        "upsample": lambda: fir.upsample(x),
    }[form]
    np.testing.assert_allclose(ops.convert_to_numpy(call()), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("form", ["smooth", "downsample", "upsample"])
def test_the_filter_is_differentiated_alike_in_16_bits(form, channels):
    def of_square(x):
        if form == "smooth":
            y = fir.smooth(x, padding=2)
        else:
            y = fir.downsample(x) if form == "downsample" else fir.upsample(x)
        return ops.sum(ops.square(ops.cast(y, "float32"))), y

    x = np.random.RandomState(0).randn(2, 8, 8, channels).astype("float32")
    wide, narrow = ops.convert_to_tensor(x), ops.cast(x, "bfloat16")
    value, y, gradient = autodiff.input_gradient(of_square, wide)
    # The filter A is linear: |Ax|^2 has the gradient 2 A'Ax, so its product with x is 2 |Ax|^2.
    assert float(ops.sum(gradient * wide)) == pytest.approx(2 * float(value), rel=1e-4)
    _, y_narrow, gradient_narrow = autodiff.input_gradient(of_square, narrow)
    for expected, found in ((y, y_narrow), (gradient, gradient_narrow)):
        assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
        found = ops.convert_to_numpy(ops.cast(found, "float32"))
        np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def test_activation_is_differentiated_twice_through_its_result():
    x = np.random.RandomState(0).randn(4, 2, 2, 8).astype("float32")
    bias = np.linspace(-1, 1, 8, dtype="float32")
    slope = np.where(x + bias > 0, 1.0, 0.2)

    def cubed(values):
        total = ops.sum(activate(values[..., :-1, :], values[0, 0, -1]) ** 3)
        return total, ()

    def squared_gradient(values):
        gradient = autodiff.input_gradient(cubed, values, differentiable=True)[2]
        return ops.sum(ops.square(gradient)), gradient

    rows = np.concatenate([x.reshape(4, 1, 4, 8), np.tile(bias, (4, 1, 1, 1))], axis=2)
    x, slope = x.reshape(4, 1, 4, 8), slope.reshape(4, 1, 4, 8)
    _, first, second = autodiff.input_gradient(squared_gradient, ops.convert_to_tensor(rows))
    y, first, second = slope * (x + bias), *map(ops.convert_to_numpy, (first, second))
    of_x = 3 * y**2 * slope
    of_bias = of_x.sum((0, 1, 2))
    np.testing.assert_allclose(first[:, :, :-1], of_x, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(first[0, 0, -1], of_bias, rtol=1e-4, atol=1e-4)
    of_square = 12 * (of_x + of_bias) * y * slope**2
    np.testing.assert_allclose(second[:, :, :-1], of_square, rtol=1e-4, atol=1e-2)


def test_low_precision_stays_near_float32(reference):
    full = stylegan2.build_synthesis(32, 32, CHANNELS)
    half = stylegan2.build_synthesis(32, 32, CHANNELS, low_precision="mixed_bfloat16")
    state = {k: v for k, v in reference_state(reference).items() if k.startswith("G/")}
    stylegan2.load_official(full, state)
    stylegan2.load_official(half, state)
    assert half.get_layer("b32_conv1").compute_dtype == "bfloat16"
    assert half.get_layer("b4_conv1").compute_dtype == "float32"
    styles = np.repeat(reference["w"][:, None], 8, axis=1)
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
def test_a_state_that_does_not_fit_is_refused(generator, reference, change, message):
    state = reference_state(reference)
    change(state)
    with pytest.raises(UserError, match=message):
        stylegan2.load_official(generator, state)


def test_a_file_of_several_networks_gives_each_model_its_own(reference):
    """The whole reference file: both networks, and images that belong to neither."""
    discriminator = stylegan2.build_discriminator(32, CHANNELS)
    stylegan2.load_official(discriminator, reference)
    out = discriminator.get_layer("b4_out")
    np.testing.assert_array_equal(out.kernel[:, 0], reference["D/b4.out.weight"][0])
    mapping = stylegan2.build_mapping(32, 32, 2)
    averaged = {
        f"G_ema/{k[2:]}": v + k.endswith("bias") for k, v in reference.items() if k.startswith("G/")
    }
    for state, expected in ((reference, 0), ({**reference, **averaged}, 1)):
        stylegan2.load_official(mapping, state)
        bias = ops.convert_to_numpy(mapping.get_layer("fc1").bias)
        np.testing.assert_array_equal(bias, reference["G/mapping.fc1.bias"] + expected)


def test_a_model_takes_nothing_from_a_file_of_the_other_kind(reference):
    mapping = stylegan2.build_mapping(32, 32, 2)
    state = {k: v for k, v in reference.items() if not k.startswith("G/")}
    with pytest.raises(UserError, match="is missing"):
        stylegan2.load_official(mapping, state)
    plain = {k[2:]: v for k, v in reference.items() if k.startswith("G/")}
    with pytest.raises(UserError, match="tensor latents has no place"):
        stylegan2.load_official(mapping, {**plain, "latents": reference["z"]})


def test_minibatch_stddev_groups_as_officially():
    from facegen_keras.equalized_layers import MinibatchStddev

    x = np.random.RandomState(1).randn(8, 4, 4, 6).astype("float32")
    y = ops.convert_to_numpy(MinibatchStddev(4, 2)(x))
    assert y.shape == (8, 4, 4, 8)
    for image in range(8):
        group = x[[image % 2 + 2 * k for k in range(4)]]
        for statistic in range(2):
            deviation = group[..., 3 * statistic : 3 * statistic + 3].std(axis=0).mean()
            np.testing.assert_allclose(y[image, ..., 6 + statistic], deviation, rtol=1e-5)
