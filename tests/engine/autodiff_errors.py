"""Prints how far the gradients of this backend are from finite differences, as JSON.

Every error is relative to the largest value. Run by `test_autodiff.py` on each backend.
"""

import json

import keras
import numpy as np
from keras import layers, ops

from facegen_keras import losses
from facegen_keras.engine import autodiff

STEP = 1e-2  # networks are of tanh and float32: truncation and rounding are both near 1e-4
RNG = np.random.RandomState(0)
X = RNG.randn(3, 5).astype("float32")
Y = RNG.randn(3, 4).astype("float32")


def number(tensor):
    return ops.convert_to_numpy(tensor)


def network():
    inputs = keras.Input((5,))
    hidden = layers.Dense(6, activation="tanh")(inputs)
    model = keras.Model(inputs, layers.Dense(4, activation="tanh")(hidden))
    model.set_weights([RNG.randn(*w.shape) for w in model.get_weights()])
    return model


def differences(fn, values, step=STEP):
    """Central differences of a scalar function of an array, of fourth order."""
    result = np.zeros_like(values)
    for index in np.ndindex(*values.shape):
        around = []
        for k in (-2, -1, 1, 2):
            moved = values.copy()
            moved[index] += k * step
            around.append(float(number(fn(moved))))
        result[index] = (around[0] - 8 * around[1] + 8 * around[2] - around[3]) / (12 * step)
    return result


def error(got, expected):
    got = number(got)
    assert got.shape == expected.shape
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def worst_of(variables, grads, value_of):
    """The largest error of the gradients of `value_of()` with respect to variables."""
    errors = []
    for variable, grad in zip(variables, grads, strict=True):
        start = number(variable.value)

        def moved(values, variable=variable):
            variable.assign(values)
            return value_of()

        errors.append(error(grad, differences(moved, start)))
        variable.assign(start)
    return max(errors)


def first_order():
    model = network()

    def loss():
        y = model(X)
        return ops.sum(ops.square(ops.subtract(y, Y))), {"outputs": y}

    value, aux, grads = autodiff.gradients(loss, model.trainable_variables)
    lonely = keras.Variable(np.ones(3, "float32"))
    *_, (zeros,) = autodiff.gradients(loss, [lonely])
    return {
        "gradients": worst_of(model.trainable_variables, grads, lambda: loss()[0]),
        "value": abs(float(number(value)) - float(number(loss()[0]))),
        "aux": error(aux["outputs"], number(model(X))),
        "unconnected": float(np.abs(number(zeros)).max()),
    }


def pulled_back():
    model, x = network(), ops.convert_to_tensor(X)
    variables = model.trainable_variables
    output, pull = autodiff.pullback(lambda x: model(x), variables, inputs=[x])
    projected = lambda weight: ops.sum(ops.multiply(model(X), weight))  # noqa: E731
    result = {"output": error(output, number(model(X)))}
    # Both before any variable is touched: PyTorch's graph holds the variables, not copies.
    weights = {"pullback": Y, "pullback again": Y[::-1].copy()}
    pulled = {name: pull(ops.convert_to_tensor(weight)) for name, weight in weights.items()}
    for name, weight in weights.items():
        *grads, to_x = pulled[name]
        result[name] = worst_of(variables, grads, lambda weight=weight: projected(weight))
        expected = differences(lambda x, weight=weight: ops.sum(ops.multiply(model(x), weight)), X)
        result[f"{name}, input"] = error(to_x, expected)
    return result


def input_gradients():
    model = network()
    value_of = lambda x: (ops.sum(ops.square(ops.subtract(model(x), Y))), model(x))  # noqa: E731
    value, aux, gradient = autodiff.input_gradient(value_of, ops.convert_to_tensor(X))
    return {
        "input": error(gradient, differences(lambda x: value_of(x)[0], X)),
        "input value": abs(float(number(value)) - float(number(value_of(X)[0]))),
        "input aux": error(aux, number(model(X))),
    }


def second_order():
    """R1 of a small discriminator, beside a plain loss, as the models have it."""
    model = network()

    def loss():
        def summed(x):
            logits = model(x)
            return ops.sum(logits), logits

        _, logits, gradient = autodiff.input_gradient(
            summed, ops.convert_to_tensor(X), differentiable=True
        )
        penalty = ops.mean(ops.sum(ops.square(gradient), axis=1))
        return penalty + 0.1 * ops.mean(ops.square(logits)), penalty

    def by_hand():
        """The same penalty from the layers' derivatives, without automatic differentiation."""
        (w1, b1), (w2, b2) = (
            [number(v.value).astype("float64") for v in layer.weights] for layer in model.layers[1:]
        )
        h = np.tanh(X @ w1 + b1)
        y = np.tanh(h @ w2 + b2)
        gradient = (((1 - y**2) @ w2.T) * (1 - h**2)) @ w1.T
        return (gradient**2).sum(axis=1).mean() + 0.1 * (y**2).mean()

    value, _, grads = autodiff.gradients(loss, model.trainable_variables)
    return {
        "second order value": abs(float(number(value)) - by_hand()) / by_hand(),
        "second order": worst_of(model.trainable_variables, grads, by_hand),
    }


def path_length():
    """A root of a gradient norm, differentiated again, as StyleGAN2 has it."""
    model, noise = network(), Y

    def loss():
        _, _, gradient = autodiff.input_gradient(
            lambda x: (ops.sum(ops.multiply(model(x), noise)), None),
            ops.convert_to_tensor(X),
            differentiable=True,
        )
        return ops.sum(losses.path_lengths(ops.expand_dims(gradient, 1))), None

    _, _, grads = autodiff.gradients(loss, model.trainable_variables)
    return {
        "path length": worst_of(model.trainable_variables, grads, lambda: loss()[0]),
    }


def state_changed_inside():
    """Moving statistics and seeds that change in a differentiated forward pass stay changed."""
    norm = layers.BatchNormalization(momentum=0.5)
    inputs = keras.Input((5,))
    model = keras.Model(inputs, norm(inputs))
    seed = keras.random.SeedGenerator(7)
    drawn = []

    def loss():
        noise = keras.random.normal((3, 5), seed=seed)
        return ops.sum(ops.square(model(X, training=True) * noise)), noise

    means = []
    for _ in range(2):
        _, noise, _ = autodiff.gradients(loss, model.trainable_variables)
        drawn.append(number(noise))
        means.append(number(norm.moving_mean.value))
    state = [number(seed.state.value)]
    _, pull = autodiff.pullback(lambda: model(X, training=True), model.trainable_variables)
    pull(ops.ones((3, 5)))
    means.append(number(norm.moving_mean.value))
    # Nested: the inner call starts from what the outer one has changed.

    def outer():
        def inner(x):
            y = model(x, training=True)
            return ops.sum(y * keras.random.normal((3, 5), seed=seed)), None

        return autodiff.input_gradient(inner, ops.convert_to_tensor(X), True)[0], None

    autodiff.gradients(outer, model.trainable_variables)
    means.append(number(norm.moving_mean.value))
    state.append(number(seed.state.value))
    expected = [X.mean(axis=0) * (1 - 0.5**k) for k in (1, 2, 3, 4)]
    return {
        "moving mean": max(error(m, e) for m, e in zip(means, expected, strict=True)),
        "new noise each time": bool(np.abs(drawn[0] - drawn[1]).max() > 0.1),
        "seed moved inside": bool((state[0] != state[1]).any()),
    }


def accumulated():
    """Outer variables are still variables inside a nested gradient, not constants."""
    scale = keras.Variable(np.float32(3.0))

    def loss():
        _, _, gradient = autodiff.input_gradient(
            lambda x: (ops.sum(scale * x**3), None), ops.convert_to_tensor(X), True
        )
        return ops.sum(gradient), None  # scale * 3 x²

    _, _, (gradient,) = autodiff.gradients(loss, [scale])
    return {"outer variable": error(gradient, np.float32(3 * (X**2).sum()))}


def errors():
    parts = (
        first_order, pulled_back, input_gradients, second_order, path_length,
        state_changed_inside, accumulated,
    )  # fmt: skip
    return {name: value for part in parts for name, value in part().items()}


if __name__ == "__main__":
    print(json.dumps(errors()))
