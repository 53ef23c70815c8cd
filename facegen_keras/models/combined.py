"""The combined model, VAE-GAN: Autoencoding beyond pixels using a learned similarity metric
(Larsen, Sønderby, Larochelle & Winther 2016, https://arxiv.org/abs/1512.09300).

The VAE's encoder gives a latent, the DCGAN's generator decodes it, and the DCGAN's discriminator
judges photos, reconstructions and samples from the prior. Reconstructions are compared in the
discriminator's features instead of pixels.
"""

from typing import Any

import keras
from keras import ops

from facegen_keras import losses
from facegen_keras.backend.types import Losses, Tensor
from facegen_keras.engine import autodiff
from facegen_keras.engine.average import untrained_copy, update_average
from facegen_keras.engine.distribution import split
from facegen_keras.engine.optimizer_group import start_anew
from facegen_keras.engine.options import takes
from facegen_keras.layers import Sampling
from facegen_keras.models.augmentation import Augmentation
from facegen_keras.models.dcgan import (
    build_discriminator,
    build_generator,
    discriminator_copy,
)
from facegen_keras.models.encoding_model import EncodingModel
from facegen_keras.models.options.combined import CombinedOptions
from facegen_keras.models.vae import build_encoder

PLAIN, WARM_UP = "plain", "warm_up"  # phases: all networks learn, or all but the generator


@keras.saving.register_keras_serializable(package="facegen_keras")
class Combined(EncodingModel):
    """The VAE-GAN as one trainable model.

    `seed` does not decide the initial weights: they come from Keras's global stream.
    """

    family = "combined"
    starts_from = ("dcgan",)
    options: CombinedOptions
    adam = CombinedOptions.adam
    batch_parts = (2, "this family encodes one half of a batch and samples the other")
    loss_names = (
        "discriminator_loss",
        "generator_loss",
        "feature_loss",
        "kl_loss",
        "real_accuracy",
        "fake_accuracy",
    )

    @takes(CombinedOptions)
    def __init__(self, options: CombinedOptions) -> None:
        more = ["augment_probability"] if options.ada_target is not None else []
        more += ["latent_loss"] if options.warm_up_images else []
        super().__init__(options, more_losses=tuple(more))
        self.augmentation = Augmentation(self)
        self.encoder = self._build_encoder(self.layer_dtype)
        self.generator = self._build_generator(self.layer_dtype)
        self.discriminator = build_discriminator(
            options.resolution,
            options.base_channels,
            options.spectral_norm,
            self.layer_dtype,
            options.features_at,
        )
        self.sampling = Sampling(name="sampling", dtype="float32")
        self.sampling.built = True
        self.generator_ema = untrained_copy(
            lambda: self._build_generator(self.layer_dtype), self.generator
        )
        self.encoder_ema = untrained_copy(
            lambda: self._build_encoder(self.layer_dtype), self.encoder
        )
        self.built = True

    @property
    def phases(self) -> tuple[str, ...]:
        return (WARM_UP, PLAIN) if self.options.warm_up_images else (PLAIN,)

    def phase_of(self, step: int) -> str:
        return WARM_UP if self.images_before(step) < self.options.warm_up_images else PLAIN

    def update(self, images: Tensor, phase: str) -> Losses:
        """Algorithm 1 of the paper, with one generator forward for all three losses.

        Half of the fakes are reconstructions (of the batch's first half; batches are shuffled),
        half are samples, so that the discriminator sees as many fakes as photos. In the first
        `warm_up_images` images the generator stays as it is.
        """
        if phase == WARM_UP:
            return self._warm_up(images)
        batch = images.shape[0]
        together = self._images_seen.value - self.options.warm_up_images
        if self.options.warm_up_images:  # the encoder's loss is another one from here on
            start_anew([self.optimizer["encoder"]], together < batch)
        encoded = (batch + 1) // 2
        photos = split(images[:encoded])
        noise, prior = self.draw_latents(encoded), self.draw_latents(batch - encoded)
        statistics, pull_to_encoder = autodiff.pullback(
            lambda: self.encoder(photos, training=True), self.encoder.trainable_variables
        )
        latents = self.sampling(statistics, noise)
        # A trained generator goes on normalizing as it draws, with the statistics that it has:
        # those of a batch which is half reconstructions are others, and shift all that it draws.
        of_batch = not self.options.warm_up_images
        fakes, pull_to_generator = autodiff.pullback(
            lambda z: self.generator(z, training=of_batch),
            self.generator.trainable_variables,
            inputs=[split(ops.concatenate([latents, prior]))],
        )
        _, (report, features), grads = autodiff.gradients(
            lambda: self._discriminator_loss(images, fakes),
            self.discriminator.trainable_variables,
        )
        self.apply_gradients("discriminator", grads)
        if self.augmentation.policy:  # faces are compared as they are, not under two changes
            features = self.discriminator(photos, training=True)[1]
        target = ops.stop_gradient(split(features[:encoded]))
        to_latents = self._update_generator(fakes, images, target, pull_to_generator, report)
        _, report["kl_loss"], to_statistics = autodiff.input_gradient(
            lambda statistics: self._encoder_loss(statistics, noise, to_latents[:encoded]),
            statistics,
        )
        self.apply_gradients("encoder", pull_to_encoder(to_statistics))
        # The averages start anew when all networks begin to learn: the encoder has changed so much
        # until then that a mean with its past would be no good encoder.
        for average, network in self.averages():
            self._update_average(average, network, batch, together)
        self.augmentation.follow(report, batch)
        return report

    def _warm_up(self, images: Tensor) -> Losses:
        """A step beside a trained generator that does not learn yet, on its samples.

        The encoder finds the latents that they were drawn from, which are known: the sleep phase of
        Hinton et al. 1995, as Perarnau et al. 2016 (https://arxiv.org/abs/1611.06355) train an
        encoder for a trained generator. The discriminator tells them from photos. A step of all
        networks would drag the generator after two others that know nothing yet.
        """
        batch = images.shape[0]
        latents = self.draw_latents(batch)
        faces = ops.stop_gradient(self.generator(latents, training=False))  # as it draws in use
        _, (report, _), grads = autodiff.gradients(
            lambda: self._discriminator_loss(images, faces), self.discriminator.trainable_variables
        )
        self.apply_gradients("discriminator", grads)
        _, of_encoder, grads = autodiff.gradients(
            lambda: self._latent_loss(faces, latents), self.encoder.trainable_variables
        )
        self.apply_gradients("encoder", grads)
        self._update_average(self.encoder_ema, self.encoder, batch, self._images_seen.value)
        self.augmentation.follow(report, batch)
        return report | of_encoder

    def _latent_loss(self, faces: Tensor, latents: Tensor) -> tuple[Tensor, Losses]:
        """How much the latents of samples surprise the encoder; what the log reports."""
        statistics = self.encoder(faces, training=True)
        loss = ops.mean(losses.latent_surprise(latents, statistics))
        kl = ops.mean(ops.sum(losses.kl_divergence(statistics), axis=-1))
        return self.scaled("encoder", loss), {"latent_loss": loss, "kl_loss": kl}

    def _update_average(
        self, average: keras.Model, network: keras.Model, batch: int, seen: Tensor
    ) -> None:
        options = self.options
        update_average(average, network, batch, seen, options.ema_half_life, options.ema_rampup)

    def _update_generator(
        self, fakes: Tensor, images: Tensor, target: Tensor, pull_to_generator: Any, report: Losses
    ) -> Tensor:
        """Train the generator on adversarial and feature loss, adding both to the report.

        Args:
            fakes: Reconstructions, then samples.
            images: The photos of the batch, as many.
            target: The discriminator's features of the photos that were reconstructed.
            pull_to_generator: From the gradient of the fakes to those of weights and latents.
            report: Losses by name.

        Returns:
            The gradient of the encoder's (scaled) feature loss with respect to all latents.
        """
        batch = images.shape[0]
        encoded = (batch + 1) // 2
        _, report["generator_loss"], adversarial = autodiff.input_gradient(
            lambda fakes: self._adversarial_loss(fakes, images), fakes
        )
        _, report["feature_loss"], similarity = autodiff.input_gradient(
            lambda reconstructions: self._feature_loss(reconstructions, target),
            split(fakes[:encoded]),
        )
        similarity = split(ops.pad(similarity, [[0, batch - encoded], [0, 0], [0, 0], [0, 0]]))
        *_, to_latents = pull_to_generator(similarity)
        one = ops.ones(())
        rescale = self.scaled("generator", one) / self.scaled("encoder", one)  # 1 but for float16
        *grads, _ = pull_to_generator(
            adversarial + self.options.feature_weight * rescale * similarity
        )
        self.apply_gradients("generator", grads)
        return to_latents

    def _discriminator_loss(
        self, images: Tensor, fakes: Tensor
    ) -> tuple[Tensor, tuple[Losses, Tensor]]:
        """The loss on photos and fakes; what the log reports, and the features of the photos."""
        real_logits, features = self._judge(images)
        real_logits = self._mismatched(real_logits)
        fake_logits, _ = self._judge(fakes)
        loss = losses.discriminator_loss(
            self.options.loss, real_logits, fake_logits, self.options.label_smoothing
        )
        report = {
            "discriminator_loss": loss,
            **losses.accuracies(self.options.loss, real_logits, fake_logits),
        }
        return self.scaled("discriminator", loss), (report, features)

    def _adversarial_loss(self, fakes: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        logits, _ = self._judge(fakes)
        photos = None
        if self.options.loss == "relativistic":
            photos = ops.stop_gradient(self._mismatched(self._judge(images)[0]))
        loss = losses.generator_loss(self.options.loss, logits, photos)
        return self.scaled("generator", loss), loss

    def _mismatched(self, logits: Tensor) -> Tensor:
        """The logits of the photos in an order in which none meets its own reconstruction: the
        relativistic loss compares a photo with a fake that has nothing to do with it.
        """
        return ops.roll(logits, (logits.shape[0] + 1) // 2, axis=0)

    def _feature_loss(self, reconstructions: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Half the squared distance of the features: a Gaussian's -log p(features|z)."""
        _, features = self.discriminator(reconstructions, training=True)
        loss = 0.5 * ops.mean(ops.sum(ops.square(features - target), axis=(1, 2, 3)))
        return self.scaled("encoder", loss), loss

    def _encoder_loss(
        self, statistics: Tensor, noise: Tensor, to_latents: Tensor
    ) -> tuple[Tensor, Tensor]:
        """β times KL, plus a term whose gradient is that of the feature loss."""
        kl = ops.mean(ops.sum(losses.kl_divergence(statistics), axis=-1))
        latents = self.sampling(statistics, noise)
        feature_loss = ops.sum(latents * to_latents)  # the chain rule; its value means nothing
        return self.scaled("encoder", self.options.beta * kl) + feature_loss, kl

    def _judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `(batch, 1)` and features `(batch, side, side, channels)` of the discriminator."""
        logits, features = self.discriminator(self.augmentation(images), training=True)
        return logits, features

    def networks(self) -> dict[str, keras.Model]:
        return {
            "encoder": self.encoder,
            "generator": self.generator,
            "discriminator": self.discriminator,
        }

    @property
    def sampling_network(self) -> keras.Model:
        return self.generator_ema

    @property
    def sampling_encoder(self) -> keras.Model:
        return self.encoder_ema

    def parts(self) -> dict[str, keras.Model]:
        return {
            "generator": self.generator,
            "encoder": self.encoder,
            "discriminator": self.discriminator,
        }

    def averages(self) -> list[tuple[keras.Model, keras.Model]]:
        return [(self.generator_ema, self.generator), (self.encoder_ema, self.encoder)]

    def export_parts(self) -> dict[str, keras.Model]:
        """The averaged generator and encoder, and the discriminator, for transfer."""
        return {
            "generator": untrained_copy(
                lambda: self._build_generator("float32"), self.generator_ema
            ),
            "encoder": untrained_copy(lambda: self._build_encoder("float32"), self.encoder_ema),
            "discriminator": discriminator_copy(self.options, self.discriminator),
        }

    def _build_generator(self, dtype: str) -> keras.Model:
        options = self.options
        return build_generator(options.resolution, options.latent_dim, options.base_channels, dtype)

    def _build_encoder(self, dtype: str) -> keras.Model:
        options = self.options
        return build_encoder(options.resolution, options.latent_dim, options.base_channels, dtype)
