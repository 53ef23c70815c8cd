"""Adam in one kernel against Keras's own."""

import keras
import numpy as np
import pytest

from facegen_keras.engine.adam import Adam


def numbers(variables):
    return [np.array(keras.ops.convert_to_numpy(v.value)) for v in variables]


@pytest.mark.parametrize("options", [{"beta_1": 0.5}, {"beta_2": 0.99, "epsilon": 1e-8}])
def test_it_is_keras_own(options):
    rng = np.random.RandomState(0)
    shapes = [(3, 4), (7,), (2, 2, 3)]
    start = [rng.randn(*shape).astype("float32") for shape in shapes]
    steps = [[(rng.randn(*s) * 10.0 ** rng.randint(-4, 2)).astype("float32") for s in shapes]
             for _ in range(6)]  # fmt: skip
    results = []
    for kind in (Adam, keras.optimizers.Adam):
        variables = [keras.Variable(value) for value in start]
        optimizer = kind(0.01, **options)
        optimizer.build(variables)
        for grads in steps:
            optimizer.apply([keras.ops.convert_to_tensor(g) for g in grads], variables)
        results.append([*numbers(variables), *numbers(optimizer.variables)])
        assert int(optimizer.iterations.value) == 6
    assert len(results[0]) == len(results[1])
    for ours, expected in zip(*results, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-7)
    assert np.abs(results[0][0] - start[0]).min() > 1e-4


def test_it_is_restored_from_its_configuration():
    again = keras.optimizers.deserialize(keras.optimizers.serialize(Adam(3e-4, beta_1=0.5)))
    assert type(again) is Adam
    assert again.beta_1 == 0.5
