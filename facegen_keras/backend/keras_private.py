"""Every private name of Keras that this package uses, one function each.

Keras may move a private name in any release. A function here then raises `KerasChanged`, which says
what is missing, instead of an AttributeError far from the cause; `test_keras_private.py` calls them
all.
"""

import importlib
from collections.abc import Callable
from typing import Any

import keras


class KerasChanged(RuntimeError):
    """A private name of Keras that this package needs is not where it was."""


def current_scope() -> keras.StatelessScope | None:
    """The `keras.StatelessScope` around this call, or None.

    Gradients on JAX nest such scopes, and an inner one has to begin with the values of the outer
    one; Keras has no public name for the outer one.
    """
    name = "keras.src.backend.common.stateless_scope"
    try:
        module = importlib.import_module(name)
    except ImportError:
        raise _changed(current_scope, name) from None
    return _attribute(current_scope, module, "get_stateless_scope", name)()


def adam_moments(
    optimizer: keras.optimizers.Adam, variable: Any
) -> tuple[keras.Variable, keras.Variable]:
    """The two moving averages that Adam keeps of a variable's gradient: mean, and mean square.

    TensorFlow's fused kernel updates them in place. They are among the public `variables`, but not
    in an order that Keras documents.
    """
    index = _attribute(adam_moments, optimizer, "_get_variable_index", "Adam")(variable)
    momentums = _attribute(adam_moments, optimizer, "_momentums", "Adam")
    velocities = _attribute(adam_moments, optimizer, "_velocities", "Adam")
    return momentums[index], velocities[index]


def write_back(model: keras.Model) -> None:
    """Write the state of a `fit` under way into the model's variables.

    Keras's JAX trainer keeps it aside until the epoch ends. There is nothing to do on the other
    backends, or between epochs.
    """
    if keras.backend.backend() == "jax":
        _attribute(write_back, model, "jax_state_sync", "Model")()


def _attribute(user: Callable[..., Any], owner: Any, name: str, owner_name: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        raise _changed(user, f"{owner_name}.{name}") from None


def _changed(user: Callable[..., Any], missing: str) -> KerasChanged:
    return KerasChanged(
        f"keras_private.{user.__name__}: Keras {keras.__version__} has no {missing}"
    )
