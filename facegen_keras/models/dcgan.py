"""DCGAN: Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks (Radford, Metz & Chintala 2016, https://arxiv.org/abs/1511.06434).

A generator of transposed convolutions and a discriminator of strided ones, both with batch
normalization, play the minimax game of Goodfellow et al. 2014. The paper's 64x64 network, made
wider or narrower in steps of two for 32 to 256 pixels.
"""

import math
from typing import Any

import keras
from keras import layers, ops

from facegen_keras import losses
from facegen_keras.augment import diff_augment, parse_policy
from facegen_keras.engine import autodiff
from facegen_keras.engine.adam import Adam
from facegen_keras.engine.average import untrained_copy, update_average
from facegen_keras.engine.face_model import FaceModel
from facegen_keras.layers import BatchNormalization

KERNEL = 4  # a multiple of the stride, against checkerboards (Odena et al. 2016); the paper has 5
INIT_STDDEV = 0.02  # section 4 of the paper
LEAK = 0.2  # section 4
LEARNING_RATE = 2e-4  # section 4
BETA_1 = 0.5  # section 4: 0.9 oscillates
MOMENTUM, EPSILON = 0.9, 1e-5  # of batch normalization, as in the authors' code
MAX_CHANNEL_FACTOR = 8  # 512 channels at 4x4 with base_channels=64, figure 1


def build_generator(
    resolution: int, latent_dim: int, base_channels: int = 64, dtype: str = "float32"
) -> keras.Model:
    """Latent `(batch, latent_dim)` to image `(batch, resolution, resolution, 3)` in [-1, 1]."""
    options = {"kernel_initializer": _initializer(), "use_bias": False, "dtype": dtype}
    widths = channel_widths(resolution, base_channels)[::-1]
    latent = keras.Input((latent_dim,), name="latent")
    x = layers.Dense(4 * 4 * widths[0], name="project", **options)(latent)
    x = layers.Reshape((4, 4, widths[0]), name="reshape", dtype=dtype)(x)
    x = _normalized_relu(x, "4x4", dtype)
    for k, width in enumerate(widths[1:]):
        size = 8 * 2**k
        name = f"{size}x{size}"
        x = layers.Conv2DTranspose(width, KERNEL, 2, "same", name=f"{name}_up", **options)(x)
        x = _normalized_relu(x, name, dtype)
    x = layers.Conv2DTranspose(3, KERNEL, 2, "same", name="to_rgb", **options)(x)
    image = layers.Activation("tanh", name="image", dtype="float32")(x)
    return keras.Model(latent, image, name="generator")


def build_discriminator(
    resolution: int,
    base_channels: int = 64,
    spectral_norm: bool = False,
    dtype: str = "float32",
    features_at: int | None = None,
) -> keras.Model:
    """Image `(batch, resolution, resolution, 3)` to logit `(batch, 1)`: large means a photo.

    Args:
        resolution: Height and width.
        base_channels: Channels of the first convolution.
        spectral_norm: Spectral normalization instead of batch normalization (Miyato et al. 2018).
        dtype: Policy of the hidden layers.
        features_at: With a size such as 8, also return the hidden features of that height and
            width, after their activation, as a second output.
    """
    options = {"kernel_initializer": _initializer(), "dtype": dtype}

    def convolution(layer: layers.Layer) -> layers.Layer:
        return layers.SpectralNormalization(layer, dtype=dtype) if spectral_norm else layer

    image = keras.Input((resolution, resolution, 3), name="image")
    x, outputs = image, []
    for k, width in enumerate(channel_widths(resolution, base_channels)):
        size = resolution // 2 ** (k + 1)
        name = f"{size}x{size}"
        normalized = k > 0 and not spectral_norm  # section 3: not on the first layer
        x = convolution(
            layers.Conv2D(
                width, KERNEL, 2, "same", use_bias=not normalized, name=f"{name}_down", **options
            )
        )(x)
        if normalized:
            x = BatchNormalization(
                momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}_norm", dtype=dtype
            )(x)
        x = layers.LeakyReLU(LEAK, name=f"{name}_relu", dtype=dtype)(x)
        if size == features_at:
            outputs.append(layers.Activation("linear", name="features", dtype="float32")(x))
    x = layers.Flatten(name="flatten", dtype=dtype)(x)
    logit = convolution(
        layers.Dense(1, name="logit", kernel_initializer=_initializer(), dtype="float32")
    )(x)
    return keras.Model(image, [logit, *outputs] if outputs else logit, name="discriminator")


class DCGAN(FaceModel):
    """The DCGAN as one trainable model.

    Args:
        resolution: 32, 64, 128 or 256.
        latent_dim: Length of z; 100 in the paper.
        base_channels: Channels next to the image; 64 in the paper's 64x64 network.
        loss: `"non_saturating"` (the paper's) or `"hinge"`.
        label_smoothing: How far from 1 the label of a photo is (one-sided, Salimans et al. 2016).
        r1_gamma: Weight of the R1 penalty, 0 for none (Mescheder et al. 2018).
        r1_interval: Steps from one R1 penalty to the next (lazy: Karras et al. 2020, 3.1).
        spectral_norm: In the discriminator, instead of batch normalization.
        augment: DiffAugment policy, any of `"color,translation,cutout"`; for small data sets.
        ema_half_life: Of the averaged generator, in images.
        ema_rampup: The half-life is at most this part of the images seen.
        precision: `"float32"`, `"bfloat16"` or `"float16"`.
        seed: Of everything random in training. Initial weights come from Keras's global stream:
            call `keras.utils.set_random_seed` first where they have to repeat.
    """

    family = "dcgan"
    loss_names = (
        "discriminator_loss",
        "generator_loss",
        "r1",
        "real_accuracy",
        "fake_accuracy",
    )
    phases = ("plain", "r1")

    def __init__(
        self,
        resolution: int = 64,
        latent_dim: int = 100,
        base_channels: int = 64,
        loss: str = "non_saturating",
        label_smoothing: float = 0.0,
        r1_gamma: float = 0.0,
        r1_interval: int = 16,
        spectral_norm: bool = False,
        augment: str = "",
        ema_half_life: float = 10_000,
        ema_rampup: float = 0.05,
        precision: str = "float32",
        seed: int = 0,
    ):
        super().__init__(locals())
        self.policy = parse_policy(augment)
        self.generator = self._build_generator()
        self.discriminator = build_discriminator(
            resolution, base_channels, spectral_norm, self.layer_dtype
        )
        self.generator_ema = untrained_copy(self._build_generator, self.generator)
        self.built = True

    def update(self, images: Any, phase: str) -> dict[str, Any]:
        """Algorithm 1 of Goodfellow et al. 2014, with one generator forward for both players."""
        latents = self.draw_latents(images.shape[0])
        fakes, pull_to_generator = autodiff.pullback(
            lambda: self.generator(latents, training=True), self.generator.trainable_variables
        )

        def discriminator_loss() -> tuple[Any, dict[str, Any]]:
            real_logits, r1 = self._judge_photos(images, with_r1=phase == "r1")
            fake_logits = self._judge(fakes)
            loss = losses.discriminator_loss(
                self.loss_name, real_logits, fake_logits, self.label_smoothing
            )
            report = {
                "discriminator_loss": loss,
                "real_accuracy": losses.share_above_zero(real_logits),
                "fake_accuracy": losses.share_above_zero(-fake_logits),
            }
            if phase == "r1":
                report["r1"] = r1
                loss = loss + 0.5 * self.r1_gamma * self.r1_interval * r1
            return self.scaled("discriminator", loss), report

        _, report, grads = autodiff.gradients(
            discriminator_loss, self.discriminator.trainable_variables
        )
        self.apply_gradients("discriminator", grads)

        def generator_loss(fakes: Any) -> tuple[Any, Any]:
            loss = losses.generator_loss(self.loss_name, self._judge(fakes))
            return self.scaled("generator", loss), loss

        _, report["generator_loss"], fake_gradient = autodiff.input_gradient(generator_loss, fakes)
        self.apply_gradients("generator", pull_to_generator(fake_gradient))
        update_average(
            self.generator_ema,
            self.generator,
            images.shape[0],
            self._images_seen,
            self.ema_half_life,
            self.ema_rampup,
        )
        return report

    def _judge(self, images: Any) -> Any:
        augmented = diff_augment(images, self.policy, self.seed_generator)
        return self.discriminator(augmented, training=True)

    def _judge_photos(self, images: Any, with_r1: bool) -> tuple[Any, Any]:
        """Logits `(batch, 1)` of photos and, if asked, their mean R1 penalty."""
        if not with_r1:
            return self._judge(images), 0.0

        def summed_logits(images: Any) -> tuple[Any, Any]:
            logits = self._judge(images)
            return ops.sum(logits), logits

        _, logits, gradient = autodiff.input_gradient(summed_logits, images, differentiable=True)
        return logits, ops.mean(losses.r1_penalty(gradient))

    def phase_of(self, step: int) -> str:
        return "r1" if self.r1_gamma and step % self.r1_interval == 0 else "plain"

    def default_optimizers(
        self, learning_rate: float = LEARNING_RATE, beta_1: float = BETA_1
    ) -> dict[str, keras.optimizers.Optimizer]:
        """Adam(2e-4, β1 0.5) for both players, section 4 of the paper."""
        return {name: Adam(learning_rate, beta_1=beta_1) for name in self.networks()}

    def networks(self) -> dict[str, keras.Model]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    @property
    def sampling_network(self) -> keras.Model:
        return self.generator_ema

    def export_parts(self) -> dict[str, keras.Model]:
        return {"generator": untrained_copy(self._build_float32, self.generator_ema)}

    def _build_generator(self) -> keras.Model:
        return build_generator(
            self.resolution, self.latent_dim, self.base_channels, self.layer_dtype
        )

    def _build_float32(self) -> keras.Model:
        return build_generator(self.resolution, self.latent_dim, self.base_channels)


def channel_widths(resolution: int, base_channels: int) -> list[int]:
    """Channels from the image inwards, doubling down to 4x4 and capped."""
    return [
        base_channels * min(2**k, MAX_CHANNEL_FACTOR) for k in range(int(math.log2(resolution)) - 2)
    ]


def _initializer() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=INIT_STDDEV)


def _normalized_relu(x: Any, name: str, dtype: str) -> Any:
    x = BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}_norm", dtype=dtype)(x)
    return layers.ReLU(name=f"{name}_relu", dtype=dtype)(x)
