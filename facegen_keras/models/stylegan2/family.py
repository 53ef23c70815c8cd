"""StyleGAN2: the training (Karras et al. 2020, "Analyzing and Improving the Image Quality of
StyleGAN", and Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data").

The gradients of both players' main losses are taken before either is updated, so that one generator
forward and one judgement of the fakes serve both; the regularizers follow as steps of their own, as
in the official code. The networks are in `networks`, their stages while growing in `progressive`.
"""

from pathlib import Path
from typing import Any

import keras
from keras import ops

from facegen_keras import losses
from facegen_keras.augment import diff_augment, parse_policy
from facegen_keras.engine import autodiff
from facegen_keras.engine.average import untrained_copy, update_average
from facegen_keras.engine.face_model import FaceModel
from facegen_keras.engine.options import AdamOptions, takes
from facegen_keras.errors import UserError
from facegen_keras.models.stylegan2.networks import (
    build_discriminator,
    build_generator,
    channel_counts,
    noise_size,
    style_count,
)
from facegen_keras.models.stylegan2.options import GAMMA_HEURISTIC, Phase, StyleGAN2Options
from facegen_keras.models.stylegan2.progressive import build_stages, parse_schedule, settle, shrink
from facegen_keras.models.stylegan2.transfer import copy_weights, freeze_first_layers, take_weights

# Both players'; official configurations "stylegan2" and "paper1024", β1 Karras et al. 2018, A.1.
ADAM = AdamOptions(learning_rate=0.002, beta_1=0.0)
BETA_2, ADAM_EPSILON = 0.99, 1e-8  # Karras et al. 2018, appendix A.1
PATH_DECAY = 0.01  # of the moving average of path lengths; appendix B
PATH_BATCH_SHRINK = 2  # the path length is measured on half a batch; appendix B
W_AVG_DECAY = 0.998  # per step; official code of the stylegan3 repository
ADA_INTERVAL = 4  # steps between adjustments of the strength; ADA paper, section 3.1
FLOAT16_CLAMP = 256.0  # of activations in float16; ADA paper, appendix B


class StyleGAN2(FaceModel):
    """StyleGAN2 as one trainable model.

    `seed` does not decide the initial weights: they come from Keras's global stream.
    """

    family = "stylegan2"
    options: StyleGAN2Options
    adam = ADAM
    has_transfer = True
    loss_names = (
        "discriminator_loss",
        "generator_loss",
        "r1",
        "path_penalty",
        "path_length",
        "real_accuracy",
        "fake_accuracy",
        "augment_probability",
    )

    @takes(StyleGAN2Options)
    def __init__(self, options: StyleGAN2Options) -> None:
        super().__init__(options)
        self.augmentations = parse_policy(options.augment)
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
        """What training remembers from step to step besides the weights."""
        scalar = {"shape": (), "initializer": "zeros", "trainable": False, "dtype": "float32"}
        self.path_mean = self.add_weight(name="path_mean", **scalar)
        self.augment_probability = self.add_weight(name="augment_probability", **scalar)
        self._sign_sum = self.add_weight(name="sign_sum", **scalar)
        if self.options.ada_target is None:
            self.augment_probability.assign(1.0)

    def _build_stages(self) -> None:
        """The networks of each resolution of progressive growing, and the phases of a step."""
        self.stages = build_stages(
            self.generator,
            self.generator_ema,
            self.discriminator,
            self.schedule,
            self._images_seen,
        )
        # Keras does not look into `stages`, and the critics have layers that nothing else has.
        self._critics = list(self.stages.critics.values())
        self.phases = tuple(
            Phase(resolution, path_length, r1)
            for resolution in self.stages.critics
            for r1 in (False, True)
            for path_length in (False, True)
        )

    # --- the algorithm ---

    def update(self, images: Any, phase: Phase) -> dict[str, Any]:
        """One step: main losses of both players, then the regularizers that are due."""
        images = shrink(images, phase.resolution)
        batch = images.shape[0]
        parts = self._parts(images)

        discriminator_grads, generator_grads, report = _mean(
            [self._main_losses(part, phase.resolution) for part in parts]
        )
        self.apply_gradients("discriminator", discriminator_grads)
        self.apply_gradients("generator", generator_grads)
        if phase.path_length:
            grads, lengths = _mean(
                [self._path_length_gradients(part.shape[0], phase.resolution) for part in parts]
            )
            self.apply_gradients("generator", grads)
            report.update(lengths)
        if phase.r1:
            gamma = self._r1_gamma(phase.resolution, batch)
            grads, report["r1"] = _mean(
                [self._r1_gradients(part, phase.resolution, gamma) for part in parts]
            )
            self.apply_gradients("discriminator", grads)
        update_average(
            self.generator_ema,
            self.generator,
            batch,
            self._images_seen,
            self.options.ema_half_life,
            self.options.ema_rampup,
        )
        if self.options.ada_target is not None:
            self._adapt_augmentation(2.0 * report["real_accuracy"] - 1.0, batch)
        report["augment_probability"] = ops.convert_to_tensor(self.augment_probability)
        return report

    def _parts(self, images: Any) -> list[Any]:
        """The batch in as many parts as `accumulate` says."""
        batch, count = images.shape[0], self.options.accumulate
        if batch % count:
            raise UserError(f"batch_size {batch}: not a multiple of accumulate {count}")
        return ops.split(images, count) if count > 1 else [images]

    def _main_losses(
        self, images: Any, resolution: int
    ) -> tuple[list[Any], list[Any], dict[str, Any]]:
        """Gradients of the non-saturating logistic losses (Goodfellow et al. 2014, section 3): the
        discriminator's, the generator's; and the losses by name."""
        fakes, pull_to_generator = autodiff.pullback(
            lambda: self._generate(images.shape[0], resolution), self.generator.trainable_variables
        )

        def generator_loss(fakes: Any) -> tuple[Any, Any]:
            logits = self._judge(fakes, resolution)
            loss = losses.generator_loss("non_saturating", logits)
            return self.scaled("generator", loss), (loss, logits)

        def discriminator_loss() -> tuple[Any, Any]:
            _, (loss_of_generator, fake_logits), fake_gradient = autodiff.input_gradient(
                generator_loss, fakes, differentiable=True
            )
            real_logits = self._judge(images, resolution)
            loss = losses.discriminator_loss("non_saturating", real_logits, fake_logits)
            report = {
                "discriminator_loss": loss,
                "generator_loss": loss_of_generator,
                "real_accuracy": losses.share_above_zero(real_logits),
                "fake_accuracy": losses.share_above_zero(-fake_logits),
            }
            return self.scaled("discriminator", loss), (fake_gradient, report)

        _, (fake_gradient, report), grads = autodiff.gradients(
            discriminator_loss, self.stages.discriminators.trainable_variables
        )
        return grads, pull_to_generator(fake_gradient), report

    def _path_length_gradients(
        self, batch: int, resolution: int
    ) -> tuple[list[Any], dict[str, Any]]:
        """Gradients of path length regularization (eq. 4), times its interval: it is lazy."""
        batch = max(1, batch // PATH_BATCH_SHRINK)
        weight = self.options.path_weight * self.options.path_interval

        def penalty() -> tuple[Any, Any]:
            noise = self._draw_noise(batch)
            shape = (batch, resolution, resolution, 3)
            direction = keras.random.normal(shape, seed=self.seed_generator) / resolution

            def projected(styles: Any) -> tuple[Any, Any]:
                return ops.sum(self._synthesize(styles, noise, resolution) * direction), ()

            _, _, gradient = autodiff.input_gradient(
                projected, self._draw_styles(batch, resolution), differentiable=True
            )
            lengths = losses.path_lengths(gradient)
            average = self.path_mean + PATH_DECAY * (ops.mean(lengths) - self.path_mean)
            self.path_mean.assign(ops.stop_gradient(average))
            term = ops.mean(ops.square(lengths - average))
            report = {"path_penalty": term, "path_length": ops.mean(lengths)}
            return self.scaled("generator", weight * term), report

        _, report, grads = autodiff.gradients(penalty, self.generator.trainable_variables)
        return grads, report

    def _r1_gamma(self, resolution: int, batch: int) -> float:
        """The weight of R1 at a resolution: as given, else the heuristic of the ADA paper."""
        gamma = self.options.r1_gamma
        return GAMMA_HEURISTIC * resolution**2 / batch if gamma is None else gamma

    def _r1_gradients(self, images: Any, resolution: int, gamma: float) -> tuple[list[Any], Any]:
        """Gradients of the R1 penalty (Mescheder et al. 2018, eq. 9), times its interval: it is
        lazy."""

        def summed_logits(images: Any) -> tuple[Any, Any]:
            return ops.sum(self._judge(images, resolution)), ()

        def penalty() -> tuple[Any, Any]:
            _, _, gradient = autodiff.input_gradient(summed_logits, images, differentiable=True)
            r1 = ops.mean(losses.r1_penalty(gradient))
            weighted = 0.5 * gamma * self.options.r1_interval * r1
            return self.scaled("discriminator", weighted), r1

        _, r1, grads = autodiff.gradients(penalty, self.stages.discriminators.trainable_variables)
        return grads, r1

    def _generate(self, batch: int, resolution: int) -> Any:
        """Images of new latents, styles mixed."""
        return self._synthesize(
            self._draw_styles(batch, resolution), self._draw_noise(batch), resolution
        )

    def _synthesize(self, styles: Any, noise: Any, resolution: int) -> Any:
        return self.stages.generators[resolution].get_layer("synthesis")([styles, noise])

    def _draw_styles(self, batch: int, resolution: int) -> Any:
        """Styles `(batch, layers, w_dim)`, with mixing (Karras et al. 2019, section 3.1); updates
        the average of w."""
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
        return ops.where(layer < mixed, first[:, None], second[:, None])

    def _draw_noise(self, batch: int) -> Any:
        return keras.random.normal((batch, noise_size(self.resolution)), seed=self.seed_generator)

    def _judge(self, images: Any, resolution: int) -> Any:
        """Logits `(batch, 1)` of augmented images."""
        always = self.options.ada_target is None
        probability = 1 if always else self.augment_probability.value
        images = diff_augment(images, self.augmentations, self.seed_generator, probability)
        return self.stages.critics[resolution](images, training=True)

    def _adapt_augmentation(self, sign: Any, batch: int) -> None:
        """The heuristic of the ADA paper, section 3.1: raise the strength while r_t > target.

        Args:
            sign: The mean sign of this step's logits of photos, r_t.
            batch: Images a step.
        """
        options = self.options
        total = self._sign_sum + sign
        due = ops.equal((self._steps.value + 1) % ADA_INTERVAL, 0)
        step = ops.sign(total / ADA_INTERVAL - options.ada_target) * (
            batch * ADA_INTERVAL / options.ada_images
        )
        strength = ops.clip(self.augment_probability + step, 0.0, 1.0)
        self._sign_sum.assign(ops.where(due, 0.0, total))
        self.augment_probability.assign(ops.where(due, strength, self.augment_probability.value))

    # --- when, and with which networks ---

    def phase_of(self, step: int) -> Phase:
        options = self.options
        return Phase(
            self.resolution_after(self.images_before(step)),
            path_length=options.path_weight > 0 and step % options.path_interval == 0,
            # A step after the path length's, so that no step does all at once.
            r1=self._uses_r1 and step % options.r1_interval == 1 % options.r1_interval,
        )

    @property
    def _uses_r1(self) -> bool:
        return self.options.r1_gamma != 0  # None: by the heuristic

    def resolution_after(self, images_seen: int) -> int:
        """The resolution in training after so many images, below `resolution` while growing."""
        return self.schedule.resolution(images_seen) if self.schedule else self.resolution

    def networks(self) -> dict[str, keras.Model]:
        return {"generator": self.generator, "discriminator": self.stages.discriminators}

    def default_optimizers(
        self, learning_rate: float | None = None, beta_1: float | None = None
    ) -> dict[str, keras.optimizers.Optimizer]:
        """Adam for both players, its rate and betas to the power k / (k + 1) for a regularizer
        every k steps (lazy regularization, Karras et al. 2020, appendix B)."""
        options, adam = self.options, self.adam_options(learning_rate, beta_1)
        intervals = {
            "generator": options.path_interval if options.path_weight else 0,
            "discriminator": options.r1_interval if self._uses_r1 else 0,
        }
        optimizers = {}
        for name, interval in intervals.items():
            share = interval / (interval + 1) if interval else 1.0
            optimizers[name] = keras.optimizers.Adam(
                adam.learning_rate * share,
                beta_1=adam.beta_1**share,
                beta_2=BETA_2**share,
                epsilon=ADAM_EPSILON,
            )
        return optimizers

    # --- what is kept ---

    @property
    def sampling_network(self) -> keras.Model:
        return self.stages.averages[self.resolution_after(self.images_seen)]

    def export_parts(self) -> dict[str, keras.Model]:
        """The averaged generator at the resolution it has grown to, and, once that is the whole
        one, the discriminator, for transfer."""
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
        if self.schedule is not None:  # the file knows no fading
            alpha = self.schedule.alpha(size, self._images_seen.value)
            settle(generator, float(ops.convert_to_numpy(alpha)))
        if size < self.resolution:
            return {"generator": generator}
        discriminator = build_discriminator(size, self.channels, clamp=self._clamp)
        copy_weights(self.discriminator, discriminator)
        return {"generator": generator, "discriminator": discriminator}

    def start_from(self, path: str | Path) -> list[str]:
        """Take the weights of an exported or imported generator, and of its discriminator if that
        stands beside it; the layers of other shapes keep their random start.

        Returns:
            The names of the layers that did, or `"the discriminator"` for all of its own.

        Raises:
            UserError: The file cannot be read, or not one layer fits.
        """
        kept = take_weights(
            path, self.generator, self.discriminator, self.options.freeze_discriminator > 0
        )
        self.generator_ema.set_weights(self.generator.get_weights())
        return kept

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


def _mean(results: list[Any]) -> Any:
    """The mean of structures of tensors, one per part of the batch."""
    if len(results) == 1:
        return results[0]
    return keras.tree.map_structure(lambda *values: sum(values) / len(values), *results)
