"""The private names of Keras that we use: that they are there, and what is said when they go."""

import re
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import facegen_keras
from facegen_keras.backend import keras_private
from facegen_keras.backend.keras_private import KerasChanged

SCOPES = "keras.src.backend.common.stateless_scope"


def test_the_current_scope():
    assert keras_private.current_scope() is None
    with keras.StatelessScope() as outer:
        assert keras_private.current_scope() is outer
        with keras.StatelessScope() as inner:
            assert keras_private.current_scope() is inner
        assert keras_private.current_scope() is outer
    assert keras_private.current_scope() is None


def adam_after_a_step():
    variables = [keras.Variable(np.zeros(2, "float32")), keras.Variable(np.zeros(3, "float32"))]
    optimizer = keras.optimizers.Adam(0.1, beta_1=0.5, beta_2=0.75)
    optimizer.build(variables)
    gradients = [np.full(2, 4.0, "float32"), np.full(3, 2.0, "float32")]
    optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
    return optimizer, variables


def test_the_moments_of_adam_are_those_of_the_variable():
    optimizer, variables = adam_after_a_step()
    for variable, gradient in zip(variables, (4.0, 2.0), strict=True):
        momentum, velocity = keras_private.adam_moments(optimizer, variable)
        np.testing.assert_allclose(momentum, np.full(variable.shape, 0.5 * gradient))
        np.testing.assert_allclose(velocity, np.full(variable.shape, 0.25 * gradient**2))


WRITE_BACK = """
import keras, numpy as np
from facegen_keras.backend import keras_private

seen = []

class Look(keras.callbacks.Callback):
    def on_train_batch_end(self, step, logs=None):
        keras_private.write_back(self.model)
        seen.append(int(np.asarray(self.model.optimizer.iterations.value)))

model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile(optimizer="sgd", loss="mse")
keras_private.write_back(model)  # outside of a fit: nothing to do
model.fit(np.ones((6, 2)), np.ones((6, 1)), batch_size=2, verbose=0, callbacks=[Look()])
print(seen)
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_state_can_be_read_in_the_middle_of_an_epoch(backend, on_backend):
    assert on_backend(WRITE_BACK, backend).strip() == "[1, 2, 3]"


@pytest.mark.parametrize("name", ["_get_variable_index", "_momentums", "_velocities"])
def test_what_adam_lost_is_named(name):
    optimizer, (variable, _) = adam_after_a_step()

    class Without:
        def __getattr__(self, asked):
            if asked == name:
                raise AttributeError(asked)
            return getattr(optimizer, asked)

    told = f"keras_private.adam_moments: Keras {keras.__version__} has no Adam.{name}"
    with pytest.raises(KerasChanged, match=f"^{re.escape(told)}$"):
        keras_private.adam_moments(Without(), variable)


def test_a_lost_scope_is_named(monkeypatch):
    monkeypatch.delattr(f"{SCOPES}.get_stateless_scope")
    with pytest.raises(KerasChanged, match=rf"current_scope: .* has no {SCOPES}\.get_stateless"):
        keras_private.current_scope()
    monkeypatch.setitem(sys.modules, SCOPES, None)  # as if it had moved
    with pytest.raises(KerasChanged, match=rf"current_scope: .* has no {SCOPES}$"):
        keras_private.current_scope()


def test_a_lost_write_back_is_named(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(KerasChanged, match=r"write_back: .* has no Model\.jax_state_sync$"):
        keras_private.write_back(object())


def test_no_other_file_uses_a_private_name():
    private = re.compile(
        r"(from|import) keras\.src|\._(momentums|velocities|get_variable_index)|jax_state_sync"
    )
    package = Path(facegen_keras.__file__).parent
    found = {p.relative_to(package).as_posix() for p in package.rglob("*.py")
             if private.search(p.read_text(encoding="utf-8"))}  # fmt: skip
    assert found == {"backend/keras_private.py"}
