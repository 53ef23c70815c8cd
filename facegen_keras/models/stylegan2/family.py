"""StyleGAN2: the training (Karras et al. 2020, "Analyzing and Improving the Image Quality of
StyleGAN", and Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data").

The networks are in `stylegan2`. Both players' main losses are taken against the networks as they
were before the step, so that one generator forward and one judgement of the fakes serve both; the
regularizers follow as steps of their own, as in the official code.
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
from facegen_keras.errors import UserError
from facegen_keras.models.stylegan2.networks import (
    build_discriminator,
    build_generator,
    channel_counts,
    noise_size,
    style_count,
)
from facegen_keras.models.stylegan2.progressive import build_stages, parse_schedule, settle, shrink
from facegen_keras.models.stylegan2.transfer import copy_weights, freeze_first_layers, take_weights

LEARNING_RATE = 0.002  # both players; official configurations "stylegan2" and "paper1024"
BETA_1, BETA_2, ADAM_EPSILON = 0.0, 0.99, 1e-8  # Karras et al. 2018, appendix A.1
GAMMA_HEURISTIC = 0.0002  # times resolution² / batch; ADA paper, appendix C and official "auto"
PATH_DECAY = 0.01  # of the moving average of path lengths; appendix B
PATH_BATCH_SHRINK = 2  # the path length is measured on half a batch; appendix B
W_AVG_DECAY = 0.998  # per step; official code of the stylegan3 repository
ADA_INTERVAL = 4  # steps between adjustments of the strength; ADA paper, section 3.1
FLOAT16_CLAMP = 256.0  # of activations in float16; ADA paper, appendix B


class StyleGAN2(FaceModel):
    """StyleGAN2 as one trainable model.

    Args:
        resolution: A power of two from 32 on.
        latent_dim: Length of z.
        w_dim: Length of w.
        mapping_layers: Depth of the mapping network; 8 in the paper, 2 in ADA's small runs.
        channel_base: Channels are `min(channel_base / resolution, channel_max)`; officially 16384
            below 512 pixels, 32768 from there on.
        channel_max: Most channels of a layer.
        r1_gamma: Weight of the R1 penalty; None: 0.0002 · resolution² / batch; 0: none.
        r1_interval: Steps from one R1 penalty to the next (lazy, section 3.1).
        path_weight: Weight of path length regularization (section 3.2); 0: none.
        path_interval: Steps from one to the next.
        style_mixing: Part of the images whose later layers take the style of a second latent.
        augment: DiffAugment policy, any of `"color,translation,cutout"`.
        ada_target: Target of r_t, the mean sign of the logits of photos, by which the probability
            of augmenting is adapted (0.6 in the ADA paper); None: always augment.
        ada_images: Images in which that probability can go from 0 to 1.
        ema_half_life: Of the averaged generator, in images.
        ema_rampup: The half-life is at most this part of the images seen.
        accumulate: Parts a batch is split into, one after the other, to save memory.
        progressive: Progressive growing: kimg per resolution up to, not with, the last, such as
            `"8:60,16:120,32:200"`; `""` for none.
        progressive_fade: Part of the previous resolution's kimg over which a new one is faded in.
        freeze_discriminator: Layers of the discriminator, counted from the image, that are not
            trained (FreezeD, Mo et al. 2020); for transfer.
        precision: `"float32"`, or `"bfloat16"` or `"float16"` in the highest resolutions.
        low_precision_blocks: How many resolutions have that precision.
        seed: Of everything random in training.
    """

    family = "stylegan2"
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

    def __init__(
        self,
        resolution: int = 64,
        latent_dim: int = 512,
        w_dim: int = 512,
        mapping_layers: int = 8,
        channel_base: int = 16384,
        channel_max: int = 512,
        r1_gamma: float | None = None,
        r1_interval: int = 16,
        path_weight: float = 2.0,
        path_interval: int = 4,
        style_mixing: float = 0.9,
        augment: str = "",
        ada_target: float | None = None,
        ada_images: float = 500_000,
        ema_half_life: float = 10_000,
        ema_rampup: float = 0.05,
        accumulate: int = 1,
        progressive: str = "",
        progressive_fade: float = 0.5,
        freeze_discriminator: int = 0,
        precision: str = "float32",
        low_precision_blocks: int = 4,
        seed: int = 0,
    ):
        super().__init__(locals())
        self.policy = parse_policy(augment)
        self.channels = channel_counts(resolution, channel_base, channel_max)
        self.generator = self._build_generator(noise_mode="input", policy=self.layer_dtype)
        self.discriminator = build_discriminator(
            resolution,
            self.channels,
            clamp=self._clamp,
            low_precision=self.layer_dtype,
            low_precision_blocks=low_precision_blocks,
        )
        self.generator_ema = untrained_copy(self._build_generator, self.generator)
        state = {"shape": (), "initializer": "zeros", "trainable": False, "dtype": "float32"}
        self.path_mean = self.add_weight(name="path_mean", **state)
        self.augment_probability = self.add_weight(name="augment_probability", **state)
        self._sign_sum = self.add_weight(name="sign_sum", **state)
        if ada_target is None:
            self.augment_probability.assign(1.0)
        self.schedule = parse_schedule(progressive, resolution, progressive_fade)
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
            f"{due}@{size}"
            for size in self.stages.critics
            for due in ("plain", "path", "r1", "path_r1")
        )
        self._stage = resolution  # the resolution of the step under way
        freeze_first_layers(self.discriminator, freeze_discriminator)
        self.built = True

    # --- the algorithm ---

    def update(self, images: Any, phase: str) -> dict[str, Any]:
        """One step: main losses of both players, then the regularizers that are due."""
        due, _, stage = phase.partition("@")
        self._stage = int(stage)
        images = shrink(images, self._stage)
        batch = images.shape[0]
        if batch % self.accumulate:
            raise UserError(f"batch_size {batch}: not a multiple of accumulate {self.accumulate}")
        parts = ops.split(images, self.accumulate) if self.accumulate > 1 else [images]

        discriminator_grads, generator_grads, report = _mean([self._play(part) for part in parts])
        self.apply_gradients("discriminator", discriminator_grads)
        self.apply_gradients("generator", generator_grads)
        if "path" in due:
            grads, lengths = _mean([self._regularize_generator(len_of(part)) for part in parts])
            self.apply_gradients("generator", grads)
            report.update(lengths)
        if "r1" in due:
            gamma = self.r1_gamma
            if gamma is None:
                gamma = GAMMA_HEURISTIC * self._stage**2 / batch
            grads, report["r1"] = _mean([self._regularize(part, gamma) for part in parts])
            self.apply_gradients("discriminator", grads)
        update_average(
            self.generator_ema,
            self.generator,
            batch,
            self._images_seen,
            self.ema_half_life,
            self.ema_rampup,
        )
        if self.ada_target is not None:
            self._adapt(2.0 * report["real_accuracy"] - 1.0, batch)
        report["augment_probability"] = ops.convert_to_tensor(self.augment_probability)
        return report

    def _play(self, images: Any) -> tuple[list[Any], list[Any], dict[str, Any]]:
        """Gradients of the non-saturating logistic losses (Goodfellow et al. 2014, section 3)."""
        fakes, pull_to_generator = autodiff.pullback(
            lambda: self._generate(len_of(images)), self.generator.trainable_variables
        )

        def generator_loss(fakes: Any) -> tuple[Any, Any]:
            logits = self._judge(fakes)
            loss = losses.generator_loss("non_saturating", logits)
            return self.scaled("generator", loss), (loss, logits)

        def discriminator_loss() -> tuple[Any, Any]:
            _, (loss_of_generator, fake_logits), fake_gradient = autodiff.input_gradient(
                generator_loss, fakes, differentiable=True
            )
            real_logits = self._judge(images)
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

    def _regularize(self, images: Any, gamma: float) -> tuple[list[Any], Any]:
        """Gradients of the R1 penalty (Mescheder et al. 2018, eq. 9), weighted for its rarity."""

        def penalty() -> tuple[Any, Any]:
            def summed_logits(images: Any) -> tuple[Any, Any]:
                return ops.sum(self._judge(images)), ()

            _, _, gradient = autodiff.input_gradient(summed_logits, images, differentiable=True)
            r1 = ops.mean(losses.r1_penalty(gradient))
            return self.scaled("discriminator", 0.5 * gamma * self.r1_interval * r1), r1

        _, r1, grads = autodiff.gradients(penalty, self.stages.discriminators.trainable_variables)
        return grads, r1

    def _regularize_generator(self, batch: int) -> tuple[list[Any], dict[str, Any]]:
        """Gradients of path length regularization (eq. 4), weighted for its rarity."""
        batch = max(1, batch // PATH_BATCH_SHRINK)

        def penalty() -> tuple[Any, Any]:
            noise = self._draw_noise(batch)
            shape = (batch, self._stage, self._stage, 3)
            direction = keras.random.normal(shape, seed=self.seed_generator) / self._stage

            def projected(styles: Any) -> tuple[Any, Any]:
                return ops.sum(self._synthesize(styles, noise) * direction), ()

            _, _, gradient = autodiff.input_gradient(
                projected, self._draw_styles(batch), differentiable=True
            )
            lengths = losses.path_lengths(gradient)
            average = self.path_mean + PATH_DECAY * (ops.mean(lengths) - self.path_mean)
            self.path_mean.assign(ops.stop_gradient(average))
            term = ops.mean(ops.square(lengths - average))
            report = {"path_penalty": term, "path_length": ops.mean(lengths)}
            return self.scaled("generator", self.path_weight * self.path_interval * term), report

        _, report, grads = autodiff.gradients(penalty, self.generator.trainable_variables)
        return grads, report

    def _generate(self, batch: int) -> Any:
        return self._synthesize(self._draw_styles(batch), self._draw_noise(batch))

    def _synthesize(self, styles: Any, noise: Any) -> Any:
        return self.stages.generators[self._stage].get_layer("synthesis")([styles, noise])

    def _draw_styles(self, batch: int) -> Any:
        """Styles with mixing (Karras et al. 2019, section 3.1); moves w_avg on."""
        w = self.generator.get_layer("mapping")(self.draw_latents(2 * batch))
        first, second = w[:batch], w[batch:]
        w_avg = self.generator.get_layer("truncation").w_avg
        mean = ops.stop_gradient(ops.mean(first, axis=0))
        w_avg.assign(mean + W_AVG_DECAY * (w_avg - mean))
        used = style_count(self._stage)
        cutoff = keras.random.uniform((2, batch, 1, 1), seed=self.seed_generator)
        # The first layer always has the first style, the last one of a mixed image the second.
        mixed = 1.0 + ops.floor(cutoff[0] * (used - 1))
        mixed = ops.where(cutoff[1] < self.style_mixing, mixed, float(used))
        layer = ops.reshape(ops.arange(style_count(self.resolution), dtype="float32"), (1, -1, 1))
        return ops.where(layer < mixed, first[:, None], second[:, None])

    def _draw_noise(self, batch: int) -> Any:
        return keras.random.normal((batch, noise_size(self.resolution)), seed=self.seed_generator)

    def _judge(self, images: Any) -> Any:
        probability = 1 if self.ada_target is None else self.augment_probability.value
        images = diff_augment(images, self.policy, self.seed_generator, probability)
        return self.stages.critics[self._stage](images, training=True)

    def _adapt(self, sign: Any, batch: int) -> None:
        """The heuristic of the ADA paper, section 3.1: raise the strength while r_t > target."""
        total = self._sign_sum + sign
        due = ops.equal((self._steps.value + 1) % ADA_INTERVAL, 0)
        step = ops.sign(total / ADA_INTERVAL - self.ada_target) * (
            batch * ADA_INTERVAL / self.ada_images
        )
        strength = ops.clip(self.augment_probability + step, 0.0, 1.0)
        self._sign_sum.assign(ops.where(due, 0.0, total))
        self.augment_probability.assign(ops.where(due, strength, self.augment_probability.value))

    # --- when, and with which networks ---

    def phase_of(self, step: int) -> str:
        path = self.path_weight and step % self.path_interval == 0
        # A step after the path length's, so that no step does all at once.
        r1 = self.r1_gamma != 0 and step % self.r1_interval == 1 % self.r1_interval
        due = "_".join(name for name, on in (("path", path), ("r1", r1)) if on)
        return f"{due or 'plain'}@{self.resolution_after(self.images_before(step))}"

    def resolution_after(self, images_seen: int) -> int:
        """The resolution in training after so many images, below `resolution` while growing."""
        return self.schedule.resolution(images_seen) if self.schedule else self.resolution

    def networks(self) -> dict[str, keras.Model]:
        return {"generator": self.generator, "discriminator": self.stages.discriminators}

    def default_optimizers(
        self, learning_rate: float = LEARNING_RATE, beta_1: float = BETA_1
    ) -> dict[str, keras.optimizers.Optimizer]:
        """Adam for both players, its rate and betas to the power k / (k + 1) for a regularizer
        every k steps (lazy regularization, Karras et al. 2020, appendix B)."""
        intervals = {
            "generator": self.path_interval if self.path_weight else 0,
            "discriminator": self.r1_interval if self.r1_gamma != 0 else 0,
        }
        optimizers = {}
        for name, interval in intervals.items():
            share = interval / (interval + 1) if interval else 1.0
            optimizers[name] = keras.optimizers.Adam(
                learning_rate * share,
                beta_1=beta_1**share,
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
            self.w_dim,
            self.mapping_layers,
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
            path, self.generator, self.discriminator, bool(self.freeze_discriminator)
        )
        self.generator_ema.set_weights(self.generator.get_weights())
        return kept

    @property
    def _clamp(self) -> float | None:
        return FLOAT16_CLAMP if self.precision == "float16" else None

    def _build_generator(self, noise_mode: str = "const", policy: str = "float32") -> keras.Model:
        return build_generator(
            self.resolution,
            self.latent_dim,
            self.w_dim,
            self.mapping_layers,
            self.channels,
            noise_mode,
            self._clamp,
            policy,
            self.low_precision_blocks,
        )


def len_of(images: Any) -> int:
    """Images in a batch, a number known while the step is compiled."""
    return int(images.shape[0])


def _mean(results: list[Any]) -> Any:
    """The mean of structures of tensors, one per part of the batch."""
    if len(results) == 1:
        return results[0]
    return keras.tree.map_structure(lambda *values: sum(values) / len(values), *results)
