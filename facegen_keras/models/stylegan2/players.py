"""StyleGAN2: the two players in training, what they compute, and what of them is kept.

The networks are built by `networks`, their stages while growing by `progressive`; `family` trains
them.
"""

from pathlib import Path

import keras
from keras import ops

from facegen_keras.backend.types import Tensor
from facegen_keras.engine.average import untrained_copy
from facegen_keras.engine.distribution import split
from facegen_keras.engine.face_model import FaceModel
from facegen_keras.engine.options import takes
from facegen_keras.engine.transfer import copy_weights
from facegen_keras.errors import UserError
from facegen_keras.export.from_hub import local_model
from facegen_keras.export.read import discriminator_path
from facegen_keras.models.augmentation import Augmentation
from facegen_keras.models.options.schedule import parse_schedule
from facegen_keras.models.options.stylegan2 import StyleGAN2Options
from facegen_keras.models.stylegan2.freeze import freeze_first_layers
from facegen_keras.models.stylegan2.networks import (
    build_discriminator,
    build_generator,
    noise_size,
    style_count,
)
from facegen_keras.models.stylegan2.progressive import build_stages, settle
from facegen_keras.models.widths import channel_counts

W_AVG_DECAY = 0.998  # per step; official code of the stylegan3 repository
FLOAT16_CLAMP = 256.0  # of activations in float16; ADA paper, appendix B


class StyleGAN2Players(FaceModel):
    """Generator, averaged generator and discriminator, at every resolution they are trained at."""

    options: StyleGAN2Options

    @takes(StyleGAN2Options)
    def __init__(self, options: StyleGAN2Options) -> None:
        super().__init__(options)
        self.schedule = parse_schedule(
            options.progressive, options.resolution, options.progressive_fade
        )
        self._build_networks()
        self._add_state()
        self._build_stages()
        freeze_first_layers(self.discriminator, options.freeze_discriminator)
        self.built = True

    def _build_networks(self) -> None:
        """Both players and the averaged generator, of the whole resolution."""
        options = self.options
        self.channels = channel_counts(
            options.resolution, options.channel_base, options.channel_max
        )
        self.generator = self._build_generator(noise_mode="input", policy=self.layer_dtype)
        self.discriminator = build_discriminator(
            options.resolution,
            self.channels,
            clamp=self._clamp,
            low_precision=self.layer_dtype,
            low_precision_blocks=options.low_precision_blocks,
        )
        self.generator_ema = untrained_copy(self._build_generator, self.generator)

    def _add_state(self) -> None:
        """The variables that training updates besides the weights."""
        scalar = {"shape": (), "initializer": "zeros", "trainable": False, "dtype": "float32"}
        self.path_mean = self.add_weight(name="path_mean", **scalar)
        self.augmentation = Augmentation(self, always_adds_variables=True)

    def _build_stages(self) -> None:
        """The networks of each resolution of progressive growing."""
        self.stages = build_stages(
            self.generator,
            self.generator_ema,
            self.discriminator,
            self.schedule,
            self._images_seen,
        )
        # Keras does not look into `stages`, and the critics have layers that nothing else has.
        self._critics = list(self.stages.critics.values())

    # --- forward passes ---

    def _generate(self, batch: int, resolution: int) -> Tensor:
        """Images of new latents, styles mixed."""
        return self._synthesize(
            self._draw_styles(batch, resolution), self._draw_noise(batch), resolution
        )

    def _synthesize(self, styles: Tensor, noise: Tensor, resolution: int) -> Tensor:
        return self.stages.generators[resolution].get_layer("synthesis")([styles, noise])

    def _draw_styles(self, batch: int, resolution: int) -> Tensor:
        """Styles `(batch, layers, w_dim)`, with mixing (Karras et al. 2019, section 3.1); updates
        the average of w.
        """
        w = self.generator.get_layer("mapping")(self.draw_latents(2 * batch))
        first, second = w[:batch], w[batch:]
        w_avg = self.generator.get_layer("truncation").w_avg
        mean = ops.stop_gradient(ops.mean(first, axis=0))
        w_avg.assign(mean + W_AVG_DECAY * (w_avg - mean))
        used = style_count(resolution)
        cutoff = keras.random.uniform((2, batch, 1, 1), seed=self.seed_generator)
        # The first layer always has the first style, the last one of a mixed image the second.
        mixed = 1.0 + ops.floor(cutoff[0] * (used - 1))
        mixed = ops.where(cutoff[1] < self.options.style_mixing, mixed, float(used))
        layer = ops.reshape(ops.arange(style_count(self.resolution), dtype="float32"), (1, -1, 1))
        return split(ops.where(layer < mixed, first[:, None], second[:, None]))

    def _draw_noise(self, batch: int) -> Tensor:
        shape = (batch, noise_size(self.resolution))
        return split(keras.random.normal(shape, seed=self.seed_generator))

    def _judge(self, images: Tensor, resolution: int) -> Tensor:
        """Logits `(batch, 1)` of augmented images."""
        return self.stages.critics[resolution](self.augmentation(images), training=True)

    # --- the networks of the contract ---

    def networks(self) -> dict[str, keras.Model]:
        return {"generator": self.generator, "discriminator": self.stages.discriminators}

    def resolution_after(self, images_seen: int) -> int:
        """The resolution in training after this many images, below `resolution` while growing."""
        return self.schedule.resolution(images_seen) if self.schedule else self.resolution

    def skip_growing(self) -> None:
        """Count as many images as seen as come before the full resolution: to time its steps."""
        if self.schedule is not None:
            self._images_seen.assign(self.schedule.start(self.resolution))

    @property
    def sampling_network(self) -> keras.Model:
        return self.stages.averages[self.resolution_after(self.images_seen)]

    def export_parts(self) -> dict[str, keras.Model]:
        """The averaged generator at the resolution it has grown to, and, once that is the whole
        one, the discriminator, for transfer.
        """
        size = self.resolution_after(self.images_seen)
        channels = {k: v for k, v in self.channels.items() if k <= size}
        generator = build_generator(
            size,
            self.latent_dim,
            self.options.w_dim,
            self.options.mapping_layers,
            channels,
            clamp=self._clamp,
        )
        copy_weights(self.generator_ema, generator)
        if self.schedule is not None:  # a file has no fading
            alpha = self.schedule.alpha(size, ops.convert_to_tensor(self.images_seen))
            settle(generator, float(ops.convert_to_numpy(alpha)))
        if size < self.resolution:
            return {"generator": generator}
        discriminator = build_discriminator(size, self.channels, clamp=self._clamp)
        copy_weights(self.discriminator, discriminator)
        return {"generator": generator, "discriminator": discriminator}

    def start_from(self, path: str | Path) -> list[str]:
        path = local_model(path)
        beside = discriminator_path(path)
        if self.options.freeze_discriminator and path.exists() and not beside.exists():
            raise UserError(
                f"freeze_discriminator: {beside} does not exist, and random layers are not worth "
                "freezing"
            )
        kept = super().start_from(path)
        frozen = [layer.name for layer in self.discriminator.layers if not layer.trainable]
        if new := [name for name in frozen if name in kept or "the discriminator" in kept]:
            raise UserError(
                f"freeze_discriminator: {', '.join(new)} of {beside} do not fit this model, and "
                "random layers are not worth freezing"
            )
        return kept

    def parts(self) -> dict[str, keras.Model]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def averages(self) -> list[tuple[keras.Model, keras.Model]]:
        return [(self.generator_ema, self.generator)]

    @property
    def _clamp(self) -> float | None:
        return FLOAT16_CLAMP if self.options.precision == "float16" else None

    def _build_generator(self, noise_mode: str = "const", policy: str = "float32") -> keras.Model:
        options = self.options
        return build_generator(
            options.resolution,
            options.latent_dim,
            options.w_dim,
            options.mapping_layers,
            self.channels,
            noise_mode,
            self._clamp,
            policy,
            options.low_precision_blocks,
        )
