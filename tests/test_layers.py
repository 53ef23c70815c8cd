"""BatchNormalization against Keras's own, and the reparameterization."""

import keras
import numpy as np
import pytest
from keras import ops

from facegen_keras import backend, losses
from facegen_keras.engine import autodiff
from facegen_keras.layers import BatchNormalization, Sampling, SpectralConv2D, SpectralDense

RNG = np.random.RandomState(0)
X = (RNG.randn(6, 5, 7, 4) * [1, 3, 0.5, 10] + [0, 2, -4, 50]).astype("float32")


def pair(dtype="float32"):
    """Ours and Keras's, with the same parameters."""
    layers = [
        kind(momentum=0.9, epsilon=1e-5, dtype=dtype)
        for kind in (BatchNormalization, keras.layers.BatchNormalization)
    ]
    weights = [RNG.randn(4) + 2, RNG.randn(4), RNG.randn(4), RNG.rand(4) + 0.5]
    for layer in layers:
        layer.build(X.shape)
        layer.set_weights(weights)
    return layers


def numbers(tensors):
    return [ops.convert_to_numpy(ops.cast(t, "float32")) for t in tensors]


def test_training_is_keras_own():
    ours, keras_own = pair()
    weight = RNG.randn(*X.shape).astype("float32")
    results = []
    for layer in (ours, keras_own):

        def loss(layer=layer):
            y = layer(X, training=True)
            return ops.sum(y * weight), y

        _, y, grads = autodiff.gradients(loss, layer.trainable_variables)
        _, _, to_input = autodiff.input_gradient(
            lambda x, layer=layer: (ops.sum(layer(x, training=True) * weight), None),
            ops.convert_to_tensor(X),
        )
        results.append(numbers([y, *grads, to_input, layer.moving_mean, layer.moving_variance]))
    for ours, expected in zip(*results, strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(ours, expected, atol=2e-5 * scale, rtol=1e-4)
    # Moving statistics after two passes, by hand: momentum 0.9, biased variance.
    layer = pair()[0]
    before = numbers([layer.moving_mean, layer.moving_variance])
    layer(X, training=True)
    for value, start, batch in zip(
        numbers([layer.moving_mean, layer.moving_variance]),
        before,
        [X.mean((0, 1, 2)), X.var((0, 1, 2))],
        strict=True,
    ):
        np.testing.assert_allclose(value, 0.9 * start + 0.1 * batch, rtol=1e-4)


def test_inference_is_keras_own_and_changes_nothing():
    ours, keras_own = pair()
    before = ours.get_weights()
    np.testing.assert_array_equal(*numbers([ours(X), keras_own(X)]))
    for old, new in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_sixteen_bits(dtype):
    ours, keras_own = pair(dtype)
    x = ops.cast(X / 10, ours.compute_dtype)
    y, expected = ours(x, training=True), keras_own(x, training=True)
    assert keras.backend.standardize_dtype(y.dtype) == ours.compute_dtype
    np.testing.assert_allclose(*numbers([y, expected]), atol=0.1)
    np.testing.assert_allclose(*numbers([ours.moving_mean, keras_own.moving_mean]), rtol=1e-3)
    assert keras.backend.standardize_dtype(ours.moving_variance.dtype) == "float32"


def test_two_dimensional_input_falls_back_to_keras():
    ours, keras_own = BatchNormalization(), keras.layers.BatchNormalization()
    x = RNG.randn(8, 4).astype("float32")
    np.testing.assert_array_equal(*numbers([ours(x, training=True), keras_own(x, training=True)]))


def same_as_keras(options, x, trainable=True, **call):
    """Outputs and statistics of ours and Keras's after a call in training, compared."""
    layers = [
        kind(momentum=0.9, **options)
        for kind in (BatchNormalization, keras.layers.BatchNormalization)
    ]
    start = np.random.RandomState(3)
    results = []
    for layer in layers:
        layer.build(x.shape)
        start.seed(3)
        layer.set_weights([start.rand(*w.shape) + 0.5 for w in layer.get_weights()])
        layer.trainable = trainable
        before = layer.get_weights()
        y = layer(x, training=True, **call)
        changed = [not np.array_equal(*p) for p in zip(before, layer.get_weights(), strict=True)]
        results.append([*numbers([y]), *layer.get_weights()])
    for ours, expected in zip(*results, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-4, rtol=1e-4)
    return changed


def test_a_frozen_layer_uses_its_statistics_and_keeps_them():
    assert same_as_keras({}, X, trainable=False) == [False] * 4
    assert same_as_keras({}, X) == [False, False, True, True]


def test_a_mask_leaves_pixels_out_of_the_statistics():
    mask = np.arange(X.shape[2]) < 3
    same_as_keras({}, X, mask=ops.convert_to_tensor(np.broadcast_to(mask, X.shape[:3])))


@pytest.mark.parametrize(
    "options", [{"axis": 1}, {"axis": 3}, {"center": False}, {"scale": False}], ids=str
)
def test_arguments_mean_what_they_mean_to_keras(options):
    same_as_keras(options, X)


def test_it_loads_by_its_registered_name(tmp_path):
    inputs = keras.Input((5, 7, 4))
    model = keras.Model(inputs, BatchNormalization(momentum=0.7)(inputs))
    model.layers[1].set_weights(pair()[0].get_weights())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[1]) is BatchNormalization
    assert loaded.layers[1].momentum == 0.7
    np.testing.assert_array_equal(*numbers([model(X), loaded(X)]))


def test_only_what_the_kernel_can_do_is_given_to_it(monkeypatch):
    given = []
    kernel = backend.fused_batch_norm
    if kernel is None:
        pytest.skip("this backend has no such kernel")
    monkeypatch.setattr(
        backend, "fused_batch_norm", lambda x, *rest: given.append(x) or kernel(x, *rest)
    )
    layer = BatchNormalization()
    layer(X, training=True)
    assert len(given) == 1
    layer(X, training=False)
    layer.trainable = False
    layer(X, training=True)
    assert len(given) == 1


def test_sampling_is_the_reparameterization():
    mean, log_variance = RNG.randn(2, 3, 4).astype("float32")
    noise = RNG.randn(3, 4).astype("float32")
    z = Sampling()(np.concatenate([mean, log_variance], axis=1), noise)
    np.testing.assert_allclose(numbers([z])[0], mean + np.exp(log_variance / 2) * noise, rtol=1e-5)


def test_sampling_and_kl_bound_the_same_log_variance():
    """An encoder may give any number, and float32 ends at exp(88)."""
    mean = np.float32([[1.0, 1.0, 1.0]])
    noise = np.float32([[2.0, 2.0, 2.0]])
    log_variance = np.float32([[losses.LARGEST_LOG_VARIANCE, 100.0, 3e4]])
    statistics = np.concatenate([mean, log_variance], axis=1)
    drawn, kl = numbers([Sampling()(statistics, noise), losses.kl_divergence(statistics)])
    np.testing.assert_allclose(drawn[0], 1 + 2 * np.exp(10.0), rtol=1e-6)
    np.testing.assert_allclose(kl[0], (np.exp(20.0) - 20) / 2, rtol=1e-6)


def spectral(kind, shape):
    keras.utils.set_random_seed(4)
    layer = kind(6, name="x") if kind is SpectralDense else kind(6, 3, 2, "same", name="x")
    layer.build(shape)
    return layer


@pytest.mark.parametrize(
    ("kind", "shape"), [(SpectralDense, (5, 7)), (SpectralConv2D, (5, 8, 8, 4))]
)
def test_the_largest_singular_value_becomes_one(kind, shape):
    layer, x = spectral(kind, shape), RNG.randn(*shape).astype("float32")
    kernel = ops.convert_to_numpy(layer.kernel.value)
    for _ in range(60):
        layer(x, training=True)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.kernel.value), kernel)
    values = np.linalg.svd(kernel.reshape(-1, 6), compute_uv=False)
    plain = keras.layers.Dense(6) if kind is SpectralDense else keras.layers.Conv2D(6, 3, 2, "same")
    plain.build(shape)
    plain.set_weights([kernel / values[0], ops.convert_to_numpy(layer.bias.value)])
    for training in (True, False):
        y = ops.convert_to_numpy(layer(x, training=training))
        np.testing.assert_allclose(y, ops.convert_to_numpy(plain(x)), atol=1e-5)
    again = kind.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_the_gradient_passes_through_the_singular_value():
    """Miyato et al. 2018, eq. 12: (G - (G . W/s) u v') / s for the gradient G at W/s."""
    layer, x = spectral(SpectralDense, (5, 7)), RNG.randn(5, 7).astype("float32")
    weight = RNG.randn(5, 6).astype("float32")
    for _ in range(60):
        layer(x, training=True)
    _, _, grads = autodiff.gradients(
        lambda: (ops.sum(layer(x, training=True) * weight), None), layer.trainable_variables
    )
    kernel = ops.convert_to_numpy(layer.kernel.value)
    left, values, right = np.linalg.svd(kernel)
    plain = x.T @ weight
    share = (plain * kernel / values[0]).sum()
    expected = (plain - share * np.outer(left[:, 0], right[0])) / values[0]
    np.testing.assert_allclose(numbers(grads)[0], expected, atol=1e-4)


def test_spectral_layers_keep_their_vector_in_float32():
    layer = SpectralConv2D(6, 3, dtype="mixed_bfloat16")
    y = layer(np.zeros((2, 8, 8, 3), "float32"), training=True)
    assert (y.dtype, layer.vector_u.dtype) == ("bfloat16", "float32")
