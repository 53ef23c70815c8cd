"""Progressive growing (Karras et al. 2018) of a StyleGAN2, optional: which resolution is trained
when, and with which networks.

All layers exist from the start; a stage is a network of the layers up to its resolution. The layers
of a new resolution are faded in: in the generator their RGB image (the skip output), in the
discriminator the features of the new block, against those of the halved image.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from facegen_keras.backend.types import Tensor
from facegen_keras.models.options.schedule import LOWEST, Schedule
from facegen_keras.models.stylegan2.equalized_layers import EqualizedConv, FilteredDownsampling
from facegen_keras.models.stylegan2.networks import join_generator


class Fade(keras.layers.Layer):
    """Blend two tensors of one shape while a resolution is faded in.

    The layer reads the number of images seen itself, so that training and sampling see the same
    blend. It is not part of any file: an export has no fading, see `settle`.

    Args:
        additive: `old + alpha * new` (a skip image), else `(1 - alpha) * old + alpha * new`.
        schedule: Gives alpha.
        resolution: The one that is faded in.
        images_seen: Integer variable: training images so far.
    """

    def __init__(
        self,
        additive: bool,
        schedule: Schedule,
        resolution: int,
        images_seen: keras.Variable,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.additive = additive
        self.schedule = schedule
        self.resolution = resolution
        # As an attribute it is a variable of this layer and of every network that contains it: a
        # prediction compiled by JAX takes any other variable for a constant.
        self.images_seen = images_seen

    def call(self, old: Tensor, new: Tensor) -> Tensor:
        alpha = self.schedule.alpha(self.resolution, self.images_seen.value)
        alpha = ops.cast(alpha, old.dtype)
        return (old if self.additive else (1.0 - alpha) * old) + alpha * new


@dataclass(frozen=True)
class Stages:
    """The networks that are trained, by the resolution of their images.

    Attributes:
        generators: From `[z, noise]` to images.
        averages: Of the averaged generator, from z to images.
        critics: From images to logits.
        discriminators: One model that owns the weights of all critics; never run.
    """

    generators: Mapping[int, keras.Model]
    averages: Mapping[int, keras.Model]
    critics: Mapping[int, keras.Model]
    discriminators: keras.Model


def build_stages(
    generator: keras.Model,
    average: keras.Model,
    discriminator: keras.Model,
    schedule: Schedule | None,
    images_seen: keras.Variable,
) -> Stages:
    """The stages of a schedule, lowest first, made of the layers of the whole networks. Without a
    schedule the whole networks are the only stage.

    Args:
        generator: From `build_generator`.
        average: The averaged generator.
        discriminator: From `build_discriminator`.
        schedule: Which resolutions there are, or None.
        images_seen: Integer variable: training images so far.
    """
    last = discriminator.input_shape[1]
    if schedule is None:
        return Stages({last: generator}, {last: average}, {last: discriminator}, discriminator)
    sizes = sorted(schedule.images)
    entrances = {size: entrance(discriminator, size) for size in sizes[:-1]}
    entrances[last] = discriminator.get_layer(f"b{last}_fromrgb")
    generators, averages, critics = {}, {}, {}
    for size in sizes:
        rgb = features = None
        if size > sizes[0]:
            rgb = Fade(True, schedule, size, images_seen, name=f"b{size}_fade_rgb")
            features = Fade(False, schedule, size, images_seen, name=f"b{size}_fade_features")
        generators[size] = generator_stage(generator, size, rgb)
        averages[size] = generator_stage(average, size, rgb)
        critics[size] = discriminator_stage(discriminator, size, entrances, features)
    inputs = [critic.inputs[0] for critic in critics.values()]
    outputs = [critic.outputs[0] for critic in critics.values()]
    discriminators = keras.Model(inputs, outputs, name="discriminators")
    return Stages(generators, averages, critics, discriminators)


def generator_stage(generator: keras.Model, resolution: int, fade: Fade | None) -> keras.Model:
    """The generator up to a resolution, made of the layers of the whole one.

    Args:
        generator: From `build_generator`.
        resolution: Height and width of the images.
        fade: Blends the new RGB image in; None takes it whole.
    """
    whole = generator.get_layer("synthesis")
    inputs = [keras.Input(tensor.shape[1:], name=tensor.name) for tensor in whole.inputs]
    x, image, size = whole.get_layer("b4")(inputs[0]), None, LOWEST
    while size <= resolution:
        if size > LOWEST:
            x = whole.get_layer(f"b{size}_conv0")(x, *inputs)
        x = whole.get_layer(f"b{size}_conv1")(x, *inputs)
        rgb = whole.get_layer(f"b{size}_torgb")(x, inputs[0])
        if image is not None:
            image = whole.get_layer(f"b{size}_upsample")(image)
            if fade is not None and size == resolution:
                rgb = fade(image, rgb)
            else:
                rgb = whole.get_layer(f"b{size}_skip")([image, rgb])
        image, size = rgb, 2 * size
    synthesis = keras.Model(inputs if len(inputs) > 1 else inputs[0], image, name="synthesis")
    return join_generator(
        generator.get_layer("mapping"), synthesis, generator.get_layer("truncation")
    )


def entrance(discriminator: keras.Model, resolution: int) -> EqualizedConv:
    """The layer from RGB of a lower stage of the discriminator."""
    whole = discriminator.get_layer(f"b{discriminator.input_shape[1]}_fromrgb")
    block = discriminator.get_layer(f"b{resolution}_conv0")
    return EqualizedConv(
        block.kernel.shape[2],
        1,
        clamp=whole.clamp,
        dtype=block.dtype_policy,
        name=f"b{resolution}_fromrgb",
    )


def discriminator_stage(
    discriminator: keras.Model,
    resolution: int,
    entrances: Mapping[int, keras.layers.Layer],
    fade: Fade | None,
) -> keras.Model:
    """The discriminator from a resolution down, made of the layers of the whole one.

    Args:
        discriminator: From `build_discriminator`.
        resolution: Height and width of the images.
        entrances: The layers from RGB, per resolution.
        fade: Blends the new block in against the halved image; None takes it whole.
    """
    layer = discriminator.get_layer
    images = keras.Input((resolution, resolution, 3), name=f"images_{resolution}")
    x, size = entrances[resolution](images), resolution
    while size > LOWEST:
        skip = layer(f"b{size}_skip")(x)
        x = layer(f"b{size}_conv1")(layer(f"b{size}_conv0")(x))
        x = layer(f"b{size}_residual")([skip, x])
        if fade is not None and size == resolution:
            halved = FilteredDownsampling(name=f"b{size}_halve")(images)
            x = fade(entrances[size // 2](halved), x)
        size //= 2
    for name in ("b4_mbstd", "b4_conv", "b4_fc", "b4_flatten", "b4_out"):
        if name in {each.name for each in discriminator.layers}:
            x = layer(name)(x)
    return keras.Model(images, x, name=f"discriminator_{resolution}")


def shrink(images: Tensor, resolution: int) -> Tensor:
    """Box-filter images, float `(batch, height, width, 3)`, to a lower resolution."""
    factor = images.shape[1] // resolution
    if factor == 1:
        return images
    return ops.average_pool(images, factor, factor, "valid", data_format="channels_last")


def settle(generator: keras.Model, alpha: float) -> None:
    """Scale the last RGB layer of a generator by alpha, so that it draws without fading what the
    stage draws with it.
    """
    newest = generator.get_layer("synthesis").get_layer(f"b{generator.output_shape[1]}_torgb")
    for variable in (newest.kernel, newest.bias):
        variable.assign(alpha * variable.value)
