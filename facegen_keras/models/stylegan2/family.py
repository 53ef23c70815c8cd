"""StyleGAN2: the training (Karras et al. 2020, "Analyzing and Improving the Image Quality of
StyleGAN", and Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data").

The gradients of both players' main losses are taken before either is updated, so that one generator
forward and one judgement of the fakes serve both; the regularizers follow as steps of their own, as
in the official code. The players are built in `players`.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from facegen_keras import backend, losses
from facegen_keras.backend.types import Losses, Tensor
from facegen_keras.engine import autodiff
from facegen_keras.engine.average import update_average
from facegen_keras.engine.distribution import split
from facegen_keras.engine.optimizer_group import start_anew
from facegen_keras.errors import UserError
from facegen_keras.models.options.stylegan2 import GAMMA_HEURISTIC, StyleGAN2Options
from facegen_keras.models.stylegan2.lazy_adam import lazy_adam
from facegen_keras.models.stylegan2.networks import style_count
from facegen_keras.models.stylegan2.phase import Phase
from facegen_keras.models.stylegan2.players import StyleGAN2Players
from facegen_keras.models.stylegan2.progressive import shrink

PATH_DECAY = 0.01  # of the moving average of path lengths; appendix B
PATH_BATCH_SHRINK = 2  # the path length is measured on half a batch; appendix B


@keras.saving.register_keras_serializable(package="facegen_keras")
class StyleGAN2(StyleGAN2Players):
    """StyleGAN2 as one trainable model.

    `seed` does not decide the initial weights: they come from Keras's global stream.
    """

    family = "stylegan2"
    adam = StyleGAN2Options.adam
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

    @property
    def batch_parts(self) -> tuple[int, str]:  # type: ignore[override]
        """`accumulate` parts, each of which path length regularization halves."""
        halves = PATH_BATCH_SHRINK if self.options.path_weight > 0 else 1
        why = f"accumulate is {self.options.accumulate}" + (
            ", and the path length is measured on half of a part" if halves > 1 else ""
        )
        return self.options.accumulate * halves, why

    def update(self, images: Tensor, phase: Phase) -> Losses:
        """One step: main losses of both players, then the regularizers that are due."""
        images = shrink(images, phase.resolution)
        batch = images.shape[0]
        if self.schedule is not None and (start := self.schedule.start(phase.resolution)):
            # Its layers have had no gradient yet, and Adam, which has made many steps by then,
            # would take the first ones ten times as large as the learning rate.
            start_anew(self.optimizer.optimizers, self._images_seen.value - start < batch)
        parts = self._parts(images)

        discriminator_grads, generator_grads, report = _mean(
            lambda part: self._main_losses(part, phase.resolution), parts
        )
        self.apply_gradients("discriminator", discriminator_grads)
        self.apply_gradients("generator", generator_grads)
        if phase.path_length:
            grads, lengths = _mean(
                lambda part: self._path_length_gradients(part.shape[0], phase.resolution), parts
            )
            self.apply_gradients("generator", grads)
            report.update(lengths)
        if phase.r1:
            gamma = self._r1_gamma(phase.resolution, batch)
            grads, report["r1"] = _mean(
                lambda part: self._r1_gradients(part, phase.resolution, gamma), parts
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
        self.augmentation.follow(report, batch)
        return report

    def _parts(self, images: Tensor) -> list[Tensor]:
        """The batch in as many parts as `accumulate` says."""
        batch, count = images.shape[0], self.options.accumulate
        if batch % count:
            raise UserError(f"batch_size {batch}: not a multiple of accumulate {count}")
        return [split(part) for part in ops.split(images, count)] if count > 1 else [images]

    def _main_losses(
        self, images: Tensor, resolution: int
    ) -> tuple[list[Tensor], list[Tensor], Losses]:
        """Gradients of the non-saturating logistic losses (Goodfellow et al. 2014, section 3): the
        discriminator's, the generator's; and the losses by name.
        """
        fakes, pull_to_generator = autodiff.pullback(
            lambda: self._generate(images.shape[0], resolution), self.generator.trainable_variables
        )

        def generator_loss(fakes: Tensor) -> tuple[Tensor, Tensor]:
            logits = self._judge(fakes, resolution)
            loss = losses.generator_loss("non_saturating", logits)
            return self.scaled("generator", loss), (loss, logits)

        def discriminator_loss() -> tuple[Tensor, Tensor]:
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

    def _path_length_gradients(self, batch: int, resolution: int) -> tuple[list[Tensor], Losses]:
        """Gradients of path length regularization (eq. 4), times its interval: it is lazy."""
        batch = max(1, batch // PATH_BATCH_SHRINK)
        weight = self.options.path_weight * self.options.path_interval

        def penalty() -> tuple[Tensor, Tensor]:
            noise = self._draw_noise(batch)
            shape = (batch, resolution, resolution, 3)
            direction = split(keras.random.normal(shape, seed=self.seed_generator)) / resolution

            def projected(styles: Tensor) -> tuple[Tensor, Tensor]:
                return ops.sum(self._synthesize(styles, noise, resolution) * direction), ()

            _, _, gradient = autodiff.input_gradient(
                projected, self._draw_styles(batch, resolution), differentiable=True
            )
            lengths = losses.path_lengths(gradient[:, : style_count(resolution)])
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

    def _r1_gradients(
        self, images: Tensor, resolution: int, gamma: float
    ) -> tuple[list[Tensor], Tensor]:
        """Gradients of the R1 penalty (Mescheder et al. 2018, eq. 9), times its interval: it is
        lazy.
        """

        def summed_logits(images: Tensor) -> tuple[Tensor, Tensor]:
            return ops.sum(self._judge(images, resolution)), ()

        def penalty() -> tuple[Tensor, Tensor]:
            _, _, gradient = autodiff.input_gradient(summed_logits, images, differentiable=True)
            r1 = ops.mean(losses.r1_penalty(gradient))
            weighted = 0.5 * gamma * self.options.r1_interval * r1
            return self.scaled("discriminator", weighted), r1

        _, r1, grads = autodiff.gradients(penalty, self.stages.discriminators.trainable_variables)
        return grads, r1

    # --- what is due, and with which optimizers ---

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Every combination of regularizers at every resolution that is trained."""
        return tuple(
            Phase(resolution, path_length, r1)
            for resolution in self.stages.critics
            for r1 in (False, True)
            for path_length in (False, True)
        )

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

    def default_optimizers(
        self, learning_rate: float | None = None, beta_1: float | None = None
    ) -> dict[str, keras.optimizers.Optimizer]:
        """Adam for both players, corrected for lazy regularization: see `lazy_adam`."""
        options, adam = self.options, self.adam_options(learning_rate, beta_1)
        return {
            "generator": lazy_adam(adam, options.path_interval if options.path_weight else 0),
            "discriminator": lazy_adam(adam, options.r1_interval if self._uses_r1 else 0),
        }


def _mean(compute: Callable[[Tensor], Any], parts: list[Tensor]) -> Any:
    """The mean of a structure of tensors over the parts of a batch, one part after the other."""
    results: list[Any] = []
    for part in parts:
        results.append(backend.after(results[-1:], functools.partial(compute, part)))
    if len(results) == 1:
        return results[0]
    return keras.tree.map_structure(lambda *values: sum(values) / len(values), *results)
