"""Transfer: start the networks of a model from the weights of an exported one."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import keras

from facegen_keras.errors import UserError
from facegen_keras.export.from_hub import local_model
from facegen_keras.export.model_file import ModelFile
from facegen_keras.export.parts import companion_path
from facegen_keras.export.read import load_companion, read_generator

# Options that decide the shapes of the weights, for the message on a file that does not fit.
SHAPING = (
    "resolution", "base_channels", "channel_base", "channel_max", "latent_dim", "w_dim",
    "mapping_layers", "spectral_norm",
)  # fmt: skip
CONVOLUTION_DIMENSIONS = 4  # height, width, input and output channels
COLOURS = 3
Pairs = list[tuple[keras.layers.Layer, keras.layers.Layer]]


def take_weights(
    path: str | Path,
    networks: Mapping[str, keras.Model],
    families: tuple[str, ...],
    options: Mapping[str, object],
    whole: bool = False,
) -> list[str]:
    """Copy the weights of an exported or imported generator, and of the networks beside it, into
    `networks`, wherever the name of a layer and its shapes agree.

    Args:
        path: The generator, .h5 or .keras, or `hf:owner/name[/file.h5][@revision]`.
        networks: By the names of the parts: first what generates, then what may stand beside it.
        families: Those whose files fit, the model's own first; a file that names none is tried.
        options: Of the model, to be compared with those in the file.
        whole: Refuse a generator of which one layer does not fit.

    Returns:
        The names of the layers that keep their initial weights, or `"the discriminator"` for all
        layers of a network that has no file, or whose file has none that fits.

    Raises:
        UserError: A file cannot be read, is of another family, or no convolution of the generator
            but that of the image fits. Nothing has been copied.
    """
    path = local_model(path)
    source, file, family = read_generator(path)
    family = families[0] if family == "unknown" else family
    if family not in families:
        raise UserError(f"{path}: holds a {family} model; expected {' or '.join(families)}")
    (_, generator), *companions = networks.items()
    pairs, kept = _fitting(source, generator)
    if not _has_convolution(pairs):
        raise UserError(f"{file.path}: its layers do not fit this model{_why(file, options)}")
    if whole and kept:
        raise UserError(
            "warm_up_images: at first the generator stays as it is, so all its layers must be in "
            f"{file.path}; these are not: {', '.join(kept)}{_why(file, options)}"
        )
    depths = [_mapping_layers(network) for network in (source, generator)]
    if depths[0] != depths[1]:
        raise UserError(
            f"{path}: its mapping network has {depths[0]} layers and this model's {depths[1]}, "
            f"which is another function of z; give mapping_layers {depths[0]}"
        )
    for part, network in companions:
        some: Pairs = []
        if companion_path(path, family, part).exists():
            some, others = _fitting(load_companion(path, family, part), network)
        if _has_convolution(some):
            pairs, kept = pairs + some, kept + others
        else:
            kept.append(f"the {part}")
    _copy(pairs)
    return kept


def _mapping_layers(generator: keras.Model) -> int:
    """How deep the mapping network of a StyleGAN2 is; 0 for the other families."""
    return sum(name.startswith("mapping/") for name, _ in _layers(generator))


def _why(file: ModelFile, options: Mapping[str, object]) -> str:
    """The options that differ, in a message on layers that do not fit; and what to do."""
    theirs = file.metadata.get("config") or {}
    differing = [
        f"{name} {theirs[name]} there and {options[name]} here"
        for name in SHAPING
        if name in theirs and name in options and theirs[name] != options[name]
    ]
    why = f" ({', '.join(differing)})" if differing else ""
    return f"{why}; give the options of its training"


def copy_weights(source: keras.Model, target: keras.Model) -> list[str]:
    """Copy the weights of all layers of `target` that `source` has by name and shape.

    Returns:
        The names of the layers of `target`, such as `synthesis/b64_conv0`, that keep their own
        weights.
    """
    pairs, kept = _fitting(source, target)
    _copy(pairs)
    return kept


def _fitting(source: keras.Model, target: keras.Model) -> tuple[Pairs, list[str]]:
    """The layers of both that agree in name and shapes; names of those of `target` that do not."""
    pairs: Pairs = []
    kept = []
    there = dict(_layers(source))
    for name, layer in _layers(target):
        twin = there.get(name)
        if twin is not None and _shapes(layer) == _shapes(twin):
            pairs.append((twin, layer))
        else:
            kept.append(name)
    return pairs, kept


def _shapes(layer: keras.layers.Layer) -> list[tuple[int, ...]]:
    return [tuple(variable.shape) for variable in layer.weights]


def _has_convolution(pairs: Pairs) -> bool:
    """Whether one of them does more than to make, or read, the colours of an image."""
    kernels = [
        shape
        for layer, _ in pairs
        for shape in _shapes(layer)
        if len(shape) == CONVOLUTION_DIMENSIONS
    ]
    return any(COLOURS not in shape[2:] for shape in kernels)


def _copy(pairs: Pairs) -> None:
    for source, target in pairs:
        target.set_weights(source.get_weights())


def _layers(model: keras.Model, prefix: str = "") -> Iterator[tuple[str, keras.layers.Layer]]:
    """Every layer that has weights, of models in the model too, by its name."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer, f"{prefix}{layer.name}/")
        elif layer.weights:
            yield f"{prefix}{layer.name}", layer
