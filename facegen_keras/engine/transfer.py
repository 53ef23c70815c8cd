"""Transfer: start the networks of a model from the weights of an exported one."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import keras

from facegen_keras.errors import UserError
from facegen_keras.export.from_hub import local_model
from facegen_keras.export.model_file import ModelFile
from facegen_keras.export.parts import companion_path
from facegen_keras.export.read import load_companion, read_generator

CONVOLUTION_DIMENSIONS = 4  # height, width, input and output channels
# Options that decide the shapes of the weights, for the message on a file that does not fit.
SHAPING = ("base_channels", "channel_base", "channel_max", "latent_dim", "w_dim", "spectral_norm")


def take_weights(
    path: str | Path,
    networks: Mapping[str, keras.Model],
    families: tuple[str, ...],
    options: Mapping[str, object],
) -> list[str]:
    """Copy the weights of an exported or imported generator, and of the networks beside it, into
    `networks`, wherever the name of a layer and its shapes agree.

    Args:
        path: The generator, .h5 or .keras, or `hf:owner/name[/file.h5][@revision]`.
        networks: By the names of the parts: first what generates, then what may stand beside it.
        families: Those whose files fit; a file that names no family is tried.
        options: Of the model, to be compared with those in the file.

    Returns:
        The names of the layers that keep their initial weights, or `"the discriminator"` for all
        layers of a network that has no file.

    Raises:
        UserError: A file cannot be read, is of another family, or none of its layers fits.
    """
    path = local_model(path)
    source, file, family = read_generator(path)
    if family not in (*families, "unknown"):
        raise UserError(f"{path}: holds a {family} model; expected {' or '.join(families)}")
    (_, generator), *companions = networks.items()
    kept = _copy_some(source, generator, file, options)
    for part, network in companions:
        beside = companion_path(path, family, part)
        if beside.exists():
            kept += _copy_some(load_companion(path, family, part), network, file, options)
        else:
            kept.append(f"the {part}")
    return kept


def _copy_some(
    source: keras.Model, target: keras.Model, file: ModelFile, options: Mapping[str, object]
) -> list[str]:
    """`copy_weights`, and refuse a source of which no convolution fits."""
    kept = copy_weights(source, target)
    convolutions = {
        name
        for name, layer in _layers(target)
        if any(len(v.shape) == CONVOLUTION_DIMENSIONS for v in layer.weights)
    }
    if convolutions <= set(kept):
        theirs = file.metadata.get("config") or {}
        differing = [
            f"{name} {theirs[name]} there and {options[name]} here"
            for name in SHAPING
            if name in theirs and name in options and theirs[name] != options[name]
        ]
        raise UserError(
            f"{file.path}: none of the layers of its {target.name} fits this model"
            + (f" ({', '.join(differing)})" if differing else "; give the options of its training")
        )
    return kept


def copy_weights(source: keras.Model, target: keras.Model) -> list[str]:
    """Copy the weights of all layers of `target` that `source` has by name and shape.

    Returns:
        The names of the layers of `target`, such as `synthesis/b64_conv0`, that keep their own
        weights.
    """
    kept = []
    there = dict(_layers(source))
    for name, layer in _layers(target):
        twin = there.get(name)
        shapes = [tuple(v.shape) for v in layer.weights]
        if twin is not None and shapes == [tuple(v.shape) for v in twin.weights]:
            layer.set_weights(twin.get_weights())
        else:
            kept.append(name)
    return kept


def _layers(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """Every layer that has weights, of models in the model too, by its name."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer, f"{prefix}{layer.name}/")
        elif layer.weights:
            yield f"{prefix}{layer.name}", layer
