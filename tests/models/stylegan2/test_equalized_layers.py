"""The layers of StyleGAN2 without styles, against their definitions."""

import keras
import numpy as np
from keras import ops

from facegen_keras.engine import autodiff
from facegen_keras.models.stylegan2.equalized_layers import MinibatchStddev, activate


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


def test_minibatch_stddev_takes_any_batch_in_a_compiled_prediction():
    """There TensorFlow knows the size of a batch only when it runs."""
    inputs = keras.Input((4, 4, 6))
    layer = MinibatchStddev(4)
    x = np.random.RandomState(2).randn(10, 4, 4, 6).astype("float32")
    predicted = keras.Model(inputs, layer(inputs)).predict(x, batch_size=4, verbose=0)
    expected = [ops.convert_to_numpy(layer(x[start : start + 4])) for start in (0, 4, 8)]
    np.testing.assert_allclose(predicted, np.concatenate(expected), rtol=1e-5)


def test_minibatch_stddev_groups_as_officially():
    x = np.random.RandomState(1).randn(8, 4, 4, 6).astype("float32")
    y = ops.convert_to_numpy(MinibatchStddev(4, 2)(x))
    assert y.shape == (8, 4, 4, 8)
    for image in range(8):
        group = x[[image % 2 + 2 * k for k in range(4)]]
        for statistic in range(2):
            deviation = group[..., 3 * statistic : 3 * statistic + 3].std(axis=0).mean()
            np.testing.assert_allclose(y[image, ..., 6 + statistic], deviation, rtol=1e-5)
