"""StyleGAN2 weights under the official names: load them, and give them out."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from facegen_keras.errors import UserError
from facegen_keras.models.stylegan2 import fir
from facegen_keras.models.stylegan2.modulated_layers import StyledConv, TruncatedStyles

OFFICIAL_NETWORKS = ("G_ema", "G", "D")  # G_ema is the averaged generator


def load_official(model: keras.Model, state: Mapping[str, Any]) -> None:
    """Load official weights into a generator, mapping network, synthesis network or discriminator.

    Args:
        model: From one of the builders, of the same architecture.
        state: Arrays by official name (`synthesis.b8.conv0.weight`, `b32.fromrgb.weight`). Where
            names have a prefix (`G/` or `G_ema/`, the averaged one, and `D/`), only those of the
            model's kind count.

    Raises:
        UserError: A tensor is missing, of another shape, left over, or its resampling filter is
            not [1, 3, 3, 1].
    """
    networks = official_networks(state)
    if networks:
        wanted = ("D",) if model.name == "discriminator" else ("G_ema", "G")
        state = next((networks[name] for name in wanted if name in networks), {})
    used = set()
    for prefix, layer in _official_layers(model):
        for attribute, name in layer.OFFICIAL.items():
            variable = getattr(layer, attribute, None)
            if variable is None:
                continue
            name = f"{prefix}{name}"
            if name not in state:
                raise UserError(f"tensor {name} is missing; is this a StyleGAN2 state dict?")
            value = np.asarray(state[name])
            variable.assign(_in_keras_order(name, value, tuple(variable.shape)))
            used.add(name)
    others = {"mapping": ("synthesis.", "mapping.w_avg"), "synthesis": ("mapping.",)}
    for name in sorted(set(state) - used):
        if name.endswith("resample_filter"):
            if not fir.is_standard_filter(np.asarray(state[name])):
                raise UserError(f"{name}: only the [1, 3, 3, 1] filter is known, not this one")
        elif not name.startswith(others.get(model.name, ())):
            raise UserError(f"tensor {name} has no place in this {model.name}")


def official_state(generator: keras.Model) -> dict[str, np.ndarray]:
    """The weights of a generator under the official names, as its official state dict has them.

    `load_official` is the inverse. The resampling filters, which are constants here, are among
    them, so that the official code finds every tensor that it looks for.

    Args:
        generator: From `build_generator` or `join_generator`.

    Returns:
        float32 arrays by name (`synthesis.b8.conv0.weight`), axes in the official order.
    """
    state: dict[str, np.ndarray] = {}
    for prefix, layer in _official_layers(generator):
        for attribute, name in layer.OFFICIAL.items():
            value = ops.convert_to_numpy(getattr(layer, attribute))
            state[f"{prefix}{name}"] = _in_official_order(f"{prefix}{name}", value)
        if isinstance(layer, StyledConv):
            block = prefix.rpartition(".conv")[0]
            for owner in (block, prefix.rstrip(".")):
                state[f"{owner}.resample_filter"] = np.outer(fir.TAPS, fir.TAPS)
    return state


def official_settings(generator: keras.Model) -> dict[str, float]:
    """What the tensors of `official_state` do not show: `lr_multiplier` of the mapping network, and
    `conv_clamp` where there is one.
    """
    settings = {"lr_multiplier": generator.get_layer("mapping").get_layer("fc0").lr_multiplier}
    clamps = [x.clamp for x in generator.get_layer("synthesis").layers if isinstance(x, StyledConv)]
    return settings if clamps[0] is None else {**settings, "conv_clamp": clamps[0]}


def official_networks(state: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The tensors of each network of a state dict of several, without the prefix of their names.

    Args:
        state: Arrays by name, prefixed with `G_ema/`, `G/` or `D/`; others are left out.

    Returns:
        Network to its tensors; empty where no name has a prefix.
    """
    networks: dict[str, dict[str, Any]] = {}
    for name, value in state.items():
        network, _, own = name.partition("/")
        if network in OFFICIAL_NETWORKS:
            networks.setdefault(network, {})[own] = value
    return networks


def _official_layers(model: keras.Model) -> list[tuple[str, keras.layers.Layer]]:
    """All layers with weights, each with the prefix of its official names."""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += _official_layers(layer)
        elif isinstance(layer, TruncatedStyles):
            found.append(("mapping.", layer))
        elif hasattr(layer, "OFFICIAL"):
            part = "" if model.name == "discriminator" else f"{model.name}."
            found.append((f"{part}{layer.name.replace('_', '.')}.", layer))
    return found


def _in_keras_order(name: str, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Output-first axes to Keras's: (out, in) to (in, out), (out, in, h, w) to (h, w, in, out)."""
    if value.ndim == 2 and len(shape) == 4 and value.size == np.prod(shape):
        # A dense layer over a flattened image, channels first.
        value = value.reshape(shape[3], shape[2], shape[0], shape[1])
    if name.endswith("const") and value.ndim == 3:
        value = value.transpose(1, 2, 0)
    elif value.ndim == 4:
        value = value.transpose(2, 3, 1, 0)
    elif name.endswith("weight"):
        value = value.T
    if value.shape != shape:
        raise UserError(f"tensor {name} has shape {value.shape} in Keras's order, not {shape}")
    return value.astype("float32")


def _in_official_order(name: str, value: np.ndarray) -> np.ndarray:
    """The inverse of `_in_keras_order`, but for the discriminator's dense layer over an image."""
    if value.ndim == 4:
        value = value.transpose(3, 2, 0, 1)
    elif value.ndim == 3:
        value = value.transpose(2, 0, 1)
    elif name.endswith("weight"):
        value = value.T
    return np.asarray(value, "float32", order="C")
