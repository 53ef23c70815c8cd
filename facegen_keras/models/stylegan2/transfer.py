"""Transfer learning: start a StyleGAN2 from the weights of another one, and freeze the first layers
of its discriminator ("Freeze the Discriminator", Mo et al. 2020).
"""

from pathlib import Path

import keras

from facegen_keras.errors import UserError
from facegen_keras.export.from_hub import local_model
from facegen_keras.export.read import discriminator_path, load_discriminator, read_generator


def take_weights(
    path: str | Path,
    generator: keras.Model,
    discriminator: keras.Model,
    discriminator_needed: bool = False,
) -> list[str]:
    """Copy the weights of an exported or imported generator, and of the discriminator beside it,
    into both networks, wherever name and shape agree.

    Args:
        path: The generator, .h5 or .keras, or `hf:owner/name[/file.h5][@revision]`.
        generator: From `build_generator`.
        discriminator: From `build_discriminator`.
        discriminator_needed: Whether a file without a discriminator is refused.

    Returns:
        The names of the layers that keep their initial weights, or `"the discriminator"` for all
        of its layers.

    Raises:
        UserError: The file cannot be read, no layer fits, or a needed discriminator is missing.
    """
    path = local_model(path)
    source, _, _ = read_generator(path, expected_family="stylegan2")
    if "synthesis" not in [layer.name for layer in source.layers]:
        raise UserError(f"{path}: not a StyleGAN2 generator (it has no synthesis network)")
    kept = copy_weights(source, generator)
    if len([name for name in kept if name.startswith("synthesis")]) >= len(
        [layer for layer in generator.get_layer("synthesis").layers if layer.weights]
    ):
        raise UserError(
            f"{path}: none of its layers fits this model; channel_base and channel_max must be "
            "those it was trained with"
        )
    if discriminator_path(path).exists():
        return kept + copy_weights(load_discriminator(path), discriminator)
    if discriminator_needed:
        raise UserError(
            f"freeze_discriminator: {discriminator_path(path)} does not exist, and random "
            "layers are not worth freezing"
        )
    return [*kept, "the discriminator"]


def freeze_first_layers(discriminator: keras.Model, count: int) -> None:
    """Exclude the layers next to the image from training, in the official order: from RGB, then
    conv0, conv1 and skip of each resolution.
    """
    names = [layer.name for layer in discriminator.layers if layer.weights]

    def order(name: str) -> tuple[int, int]:
        size, _, kind = name[1:].partition("_")
        kinds = ("fromrgb", "conv0", "conv1", "skip", "conv", "fc", "out")
        return -int(size), kinds.index(kind)

    for name in sorted(names, key=order)[:count]:
        discriminator.get_layer(name).trainable = False


def copy_weights(source: keras.Model, target: keras.Model) -> list[str]:
    """Copy the weights of all layers of `target` that `source` has by name and shape.

    Returns:
        The names of the layers of `target`, such as `synthesis/b64_conv0`, that keep their own
        weights.
    """
    kept = []
    there = {layer.name: layer for layer in source.layers}
    for layer in target.layers:
        twin = there.get(layer.name)
        if isinstance(layer, keras.Model) and isinstance(twin, keras.Model):
            kept += [f"{layer.name}/{name}" for name in copy_weights(twin, layer)]
        elif layer.weights:
            shapes = [tuple(v.shape) for v in layer.weights]
            if twin is not None and shapes == [tuple(v.shape) for v in twin.weights]:
                layer.set_weights(twin.get_weights())
            else:
                kept.append(layer.name)
    return kept
