"""The exponential moving average of weights."""

import keras
import numpy as np
import pytest
from keras import ops

from facegen_keras.engine.average import untrained_copy, update_average


def build():
    inputs = keras.Input((3,))
    x = keras.layers.Dense(2)(inputs)
    return keras.Model(inputs, keras.layers.BatchNormalization()(x))


@pytest.fixture
def pair():
    network = build()
    average = untrained_copy(build, network)
    for variable in average.variables:
        variable.assign(ops.zeros_like(variable))
    for variable in network.variables:
        variable.assign(ops.ones_like(variable))
    return average, network


def values(model):
    return np.concatenate([w.ravel() for w in model.get_weights()])


def test_a_constant_difference_halves_in_the_half_life(pair):
    average, network = pair
    seen = keras.Variable(1_000_000, dtype="int32", trainable=False)
    for steps in (10, 20, 30):
        for _ in range(10):
            update_average(average, network, 50, seen, half_life=500, rampup=1.0)
        # Moving statistics of the normalization are averaged as well.
        np.testing.assert_allclose(values(average), 1 - 0.5 ** (steps / 10), rtol=1e-5)


def test_early_on_the_first_weights_are_soon_forgotten(pair):
    average, network = pair
    seen = keras.Variable(0, dtype="int32", trainable=False)
    update_average(average, network, 50, seen, half_life=500, rampup=0.05)
    np.testing.assert_allclose(values(average), 1.0)  # nothing of the initial weights is left
    for variable in average.variables:
        variable.assign(ops.zeros_like(variable))
    seen.assign(2000)  # a half-life of 2000 * 0.05 = 100 images
    update_average(average, network, 100, seen, half_life=500, rampup=0.05)
    np.testing.assert_allclose(values(average), 0.5, rtol=1e-6)


def test_the_copy_has_the_weights_and_is_not_trained():
    network = build()
    copy = untrained_copy(build, network)
    np.testing.assert_array_equal(values(copy), values(network))
    assert network.trainable_variables
    assert not copy.trainable_variables
    network.layers[1].kernel.assign(np.zeros((3, 2)))
    assert np.abs(copy.layers[1].get_weights()[0]).max() > 0
