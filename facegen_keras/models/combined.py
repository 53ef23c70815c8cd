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
from facegen_keras.augment import diff_augment, parse_policy
from facegen_keras.engine import autodiff
from facegen_keras.engine.adam import Adam
from facegen_keras.engine.average import untrained_copy, update_average
from facegen_keras.engine.face_model import FaceModel
from facegen_keras.layers import Sampling
from facegen_keras.models.dcgan import (
    BETA_1,
    LEARNING_RATE,
    build_discriminator,
    build_generator,
)
from facegen_keras.models.vae import build_encoder

FEATURES_AT = 8  # the third convolution at 64x64: still knows where things are, figure 3


class Combined(FaceModel):
    """The VAE-GAN as one trainable model.

    Args:
        resolution: 32, 64, 128 or 256.
        latent_dim: Length of z.
        base_channels: Channels next to the image, in all three networks.
        beta: Weight of the KL divergence in the encoder's loss.
        feature_weight: Weight of the feature reconstruction in the generator's loss, against the
            adversarial terms (gamma in the paper's algorithm 1).
        loss: `"non_saturating"` or `"hinge"`.
        label_smoothing: How far from 1 the label of a photo is.
        spectral_norm: In the discriminator, instead of batch normalization.
        augment: DiffAugment policy, any of `"color,translation,cutout"`.
        ema_half_life: Of the averaged generator and encoder, in images.
        ema_rampup: The half-life is at most this part of the images seen.
        precision: `"float32"`, `"bfloat16"` or `"float16"`.
        seed: Of everything random in training. Initial weights come from Keras's global stream.
    """

    family = "combined"
    loss_names = (
        "discriminator_loss",
        "generator_loss",
        "feature_loss",
        "kl_loss",
        "real_accuracy",
        "fake_accuracy",
    )

    def __init__(
        self,
        resolution: int = 64,
        latent_dim: int = 128,
        base_channels: int = 64,
        beta: float = 1.0,
        feature_weight: float = 1e-3,
        loss: str = "non_saturating",
        label_smoothing: float = 0.0,
        spectral_norm: bool = False,
        augment: str = "",
        ema_half_life: float = 10_000,
        ema_rampup: float = 0.05,
        precision: str = "float32",
        seed: int = 0,
    ):
        super().__init__(locals())
        self.policy = parse_policy(augment)
        self.encoder = self._build_encoder(self.layer_dtype)
        self.generator = self._build_generator(self.layer_dtype)
        self.discriminator = build_discriminator(
            resolution, base_channels, spectral_norm, self.layer_dtype, FEATURES_AT
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

    def update(self, images: Any, phase: str) -> dict[str, Any]:
        """Algorithm 1 of the paper, with one generator forward for all three losses.

        Half of the fakes are reconstructions (of the batch's first half; batches are shuffled),
        half are samples, so that the discriminator sees as many fakes as photos.
        """
        batch = images.shape[0]
        encoded = (batch + 1) // 2
        photos = images[:encoded]
        noise, prior = self.draw_latents(encoded), self.draw_latents(batch - encoded)
        statistics, pull_to_encoder = autodiff.pullback(
            lambda: self.encoder(photos, training=True), self.encoder.trainable_variables
        )
        latents = self.sampling(statistics, noise)
        fakes, pull_to_generator = autodiff.pullback(
            lambda z: self.generator(z, training=True),
            self.generator.trainable_variables,
            inputs=[ops.concatenate([latents, prior])],
        )

        def discriminator_loss() -> tuple[Any, dict[str, Any]]:
            real_logits, features = self._judge(images)
            fake_logits, _ = self._judge(fakes)
            loss = losses.discriminator_loss(
                self.loss_name, real_logits, fake_logits, self.label_smoothing
            )
            report = {
                "discriminator_loss": loss,
                "real_accuracy": losses.share_above_zero(real_logits),
                "fake_accuracy": losses.share_above_zero(-fake_logits),
            }
            return self.scaled("discriminator", loss), (report, features)

        _, (report, features), grads = autodiff.gradients(
            discriminator_loss, self.discriminator.trainable_variables
        )
        self.apply_gradients("discriminator", grads)
        target = ops.stop_gradient(features[:encoded])

        def adversarial_loss(fakes: Any) -> tuple[Any, Any]:
            logits, _ = self._judge(fakes)
            loss = losses.generator_loss(self.loss_name, logits)
            return self.scaled("generator", loss), loss

        def feature_loss(reconstructions: Any) -> tuple[Any, Any]:
            _, features = self._judge(reconstructions)
            loss = 0.5 * ops.mean(ops.sum(ops.square(features - target), axis=(1, 2, 3)))
            return self.scaled("encoder", loss), loss

        reconstructions = fakes[:encoded]
        _, report["generator_loss"], adversarial = autodiff.input_gradient(adversarial_loss, fakes)
        _, report["feature_loss"], similarity = autodiff.input_gradient(
            feature_loss, reconstructions
        )
        similarity = ops.pad(similarity, [[0, batch - encoded], [0, 0], [0, 0], [0, 0]])
        *_, to_latents = pull_to_generator(similarity)
        one = ops.ones(())
        rescale = self.scaled("generator", one) / self.scaled("encoder", one)  # 1 but for float16
        *generator_grads, _ = pull_to_generator(
            adversarial + self.feature_weight * rescale * similarity
        )
        self.apply_gradients("generator", generator_grads)

        def latent_loss(statistics: Any) -> tuple[Any, Any]:
            kl = ops.mean(ops.sum(losses.kl_divergence(statistics), axis=-1))
            latents = self.sampling(statistics, noise)
            carried = ops.sum(latents * to_latents[:encoded])  # hands the gradient down the chain
            return self.scaled("encoder", self.beta * kl) + carried, kl

        _, report["kl_loss"], to_statistics = autodiff.input_gradient(latent_loss, statistics)
        self.apply_gradients("encoder", pull_to_encoder(to_statistics))
        for average, network in (
            (self.generator_ema, self.generator),
            (self.encoder_ema, self.encoder),
        ):
            update_average(
                average, network, batch, self._images_seen, self.ema_half_life, self.ema_rampup
            )
        return report

    def _judge(self, images: Any) -> tuple[Any, Any]:
        """Logits `(batch, 1)` and features `(batch, 8, 8, channels)` of the discriminator."""
        augmented = diff_augment(images, self.policy, self.seed_generator)
        logits, features = self.discriminator(augmented, training=True)
        return logits, features

    def default_optimizers(
        self, learning_rate: float = LEARNING_RATE, beta_1: float = BETA_1
    ) -> dict[str, keras.optimizers.Optimizer]:
        """The DCGAN's Adam for all three networks."""
        return {name: Adam(learning_rate, beta_1=beta_1) for name in self.networks()}

    def networks(self) -> dict[str, keras.Model]:
        return {
            "encoder": self.encoder,
            "generator": self.generator,
            "discriminator": self.discriminator,
        }

    @property
    def sampling_network(self) -> keras.Model:
        return self.generator_ema

    def export_parts(self) -> dict[str, keras.Model]:
        return {
            "generator": untrained_copy(
                lambda: self._build_generator("float32"), self.generator_ema
            ),
            "encoder": untrained_copy(lambda: self._build_encoder("float32"), self.encoder_ema),
        }

    def _build_generator(self, dtype: str) -> keras.Model:
        return build_generator(self.resolution, self.latent_dim, self.base_channels, dtype)

    def _build_encoder(self, dtype: str) -> keras.Model:
        return build_encoder(self.resolution, self.latent_dim, self.base_channels, dtype)
