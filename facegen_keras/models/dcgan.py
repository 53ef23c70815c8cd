"""DCGAN: Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
Networks (Radford, Metz & Chintala 2016, https://arxiv.org/abs/1511.06434).

A generator of transposed convolutions and a discriminator of strided ones, both with batch
normalization, play the minimax game of Goodfellow et al. 2014. The paper's 64x64 network, made
wider or narrower in steps of two for 32 to 256 pixels.
"""

from dataclasses import dataclass

import keras
from keras import layers, ops

from facegen_keras import losses
from facegen_keras.backend.types import Losses, Tensor
from facegen_keras.engine import autodiff
from facegen_keras.engine.average import untrained_copy, update_average
from facegen_keras.engine.face_model import FaceModel
from facegen_keras.engine.options import takes
from facegen_keras.layers import BatchNormalization, SpectralConv2D, SpectralDense
from facegen_keras.models.augmentation import Augmentation
from facegen_keras.models.options.combined import CombinedOptions
from facegen_keras.models.options.dcgan import DCGANOptions
from facegen_keras.models.widths import channel_widths

KERNEL = 4  # a multiple of the stride, against checkerboards (Odena et al. 2016); the paper has 5
INIT_STDDEV = 0.02  # section 4 of the paper
LEAK = 0.2  # section 4
MOMENTUM, EPSILON = 0.9, 1e-5  # of batch normalization, as in the authors' code


def _initializer() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=INIT_STDDEV)


def _normalized_relu(x: Tensor, name: str, dtype: str) -> Tensor:
    x = BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}_norm", dtype=dtype)(x)
    return layers.ReLU(name=f"{name}_relu", dtype=dtype)(x)


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

    convolution = SpectralConv2D if spectral_norm else layers.Conv2D
    dense = SpectralDense if spectral_norm else layers.Dense
    image = keras.Input((resolution, resolution, 3), name="image")
    x, outputs = image, []
    for k, width in enumerate(channel_widths(resolution, base_channels)):
        size = resolution // 2 ** (k + 1)
        name = f"{size}x{size}"
        batch_norm = k > 0 and not spectral_norm  # section 3: not on the first layer
        x = convolution(
            width, KERNEL, 2, "same", use_bias=not batch_norm, name=f"{name}_down", **options
        )(x)
        if batch_norm:
            x = BatchNormalization(
                momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}_norm", dtype=dtype
            )(x)
        x = layers.LeakyReLU(LEAK, name=f"{name}_relu", dtype=dtype)(x)
        if size == features_at:
            outputs.append(layers.Activation("linear", name="features", dtype="float32")(x))
    x = layers.Flatten(name="flatten", dtype=dtype)(x)
    logit = dense(1, name="logit", kernel_initializer=_initializer(), dtype="float32")(x)
    return keras.Model(image, [logit, *outputs] if outputs else logit, name="discriminator")


def discriminator_copy(
    options: DCGANOptions | CombinedOptions, discriminator: keras.Model
) -> keras.Model:
    """A trained discriminator as it is exported: float32, with the logit as its only output."""
    return untrained_copy(
        lambda: build_discriminator(
            options.resolution, options.base_channels, options.spectral_norm
        ),
        discriminator,
    )


@dataclass(frozen=True)
class Phase:
    """What a step of the DCGAN does besides the adversarial losses.

    Attributes:
        r1: Penalize the slope of the discriminator at photos.
        r2: And at generated images.
    """

    r1: bool = False
    r2: bool = False


@keras.saving.register_keras_serializable(package="facegen_keras")
class DCGAN(FaceModel):
    """The DCGAN as one trainable model.

    `seed` does not decide the initial weights: they come from Keras's global stream. Call
    `keras.utils.set_random_seed` first where they have to repeat.
    """

    family = "dcgan"
    starts_from = ("combined",)
    options: DCGANOptions
    adam = DCGANOptions.adam
    loss_names = (
        "discriminator_loss",
        "generator_loss",
        "r1",
        "real_accuracy",
        "fake_accuracy",
    )

    @takes(DCGANOptions)
    def __init__(self, options: DCGANOptions) -> None:
        more = ["r2"] if options.r2_gamma else []
        more += ["augment_probability"] if options.ada_target is not None else []
        super().__init__(options, more_losses=tuple(more))
        self.augmentation = Augmentation(self)
        self.generator = self._build_generator(self.layer_dtype)
        self.discriminator = build_discriminator(
            options.resolution, options.base_channels, options.spectral_norm, self.layer_dtype
        )
        self.generator_ema = untrained_copy(
            lambda: self._build_generator(self.layer_dtype), self.generator
        )
        self.built = True

    def update(self, images: Tensor, phase: Phase) -> Losses:
        """Algorithm 1 of Goodfellow et al. 2014, with one generator forward for both players."""
        latents = self.draw_latents(images.shape[0])
        fakes, pull_to_generator = autodiff.pullback(
            lambda: self.generator(latents, training=True), self.generator.trainable_variables
        )
        _, report, grads = autodiff.gradients(
            lambda: self._discriminator_loss(images, fakes, phase),
            self.discriminator.trainable_variables,
        )
        self.apply_gradients("discriminator", grads)
        _, report["generator_loss"], fake_gradient = autodiff.input_gradient(
            lambda fakes: self._generator_loss(fakes, images), fakes
        )
        self.apply_gradients("generator", pull_to_generator(fake_gradient))
        update_average(
            self.generator_ema,
            self.generator,
            images.shape[0],
            self._images_seen,
            self.options.ema_half_life,
            self.options.ema_rampup,
        )
        self.augmentation.follow(report, images.shape[0])
        return report

    def _discriminator_loss(
        self, images: Tensor, fakes: Tensor, phase: Phase
    ) -> tuple[Tensor, Losses]:
        """The loss on photos and fakes, with the penalties that are due, and what the log
        reports.
        """
        options = self.options
        real_logits, r1 = self._judge_and_penalize(images, phase.r1)
        fake_logits, r2 = self._judge_and_penalize(fakes, phase.r2)
        loss = losses.discriminator_loss(
            options.loss, real_logits, fake_logits, options.label_smoothing
        )
        report = {
            "discriminator_loss": loss,
            **losses.accuracies(options.loss, real_logits, fake_logits),
        }
        for due, name, penalty, gamma in (
            (phase.r1, "r1", r1, options.r1_gamma),
            (phase.r2, "r2", r2, options.r2_gamma),
        ):
            if due:
                report[name] = penalty
                loss = loss + 0.5 * gamma * options.r1_interval * penalty
        return self.scaled("discriminator", loss), report

    def _generator_loss(self, fakes: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        name = self.options.loss
        photos = ops.stop_gradient(self._judge(images)) if name == "relativistic" else None
        loss = losses.generator_loss(name, self._judge(fakes), photos)
        return self.scaled("generator", loss), loss

    def _judge(self, images: Tensor) -> Tensor:
        """Logits `(batch, 1)` of augmented images."""
        return self.discriminator(self.augmentation(images), training=True)

    def _judge_and_penalize(self, images: Tensor, penalize: bool) -> tuple[Tensor, Tensor]:
        """Logits `(batch, 1)` of images and, if asked, the mean of the gradient penalty at them."""
        if not penalize:
            return self._judge(images), 0.0

        def summed_logits(images: Tensor) -> tuple[Tensor, Tensor]:
            logits = self._judge(images)
            return ops.sum(logits), logits

        _, logits, gradient = autodiff.input_gradient(summed_logits, images, differentiable=True)
        return logits, ops.mean(losses.r1_penalty(gradient))

    @property
    def phases(self) -> tuple[Phase, ...]:
        """A plain step, and one with the penalties where there are any."""
        penalized = Phase(self.options.r1_gamma > 0, self.options.r2_gamma > 0)
        return (Phase(),) if penalized == Phase() else (Phase(), penalized)

    def phase_of(self, step: int) -> Phase:
        return self.phases[-1 if step % self.options.r1_interval == 0 else 0]

    def networks(self) -> dict[str, keras.Model]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    @property
    def sampling_network(self) -> keras.Model:
        return self.generator_ema

    def averages(self) -> list[tuple[keras.Model, keras.Model]]:
        return [(self.generator_ema, self.generator)]

    def export_parts(self) -> dict[str, keras.Model]:
        """The averaged generator, and the discriminator, for transfer."""
        return {
            "generator": untrained_copy(
                lambda: self._build_generator("float32"), self.generator_ema
            ),
            "discriminator": discriminator_copy(self.options, self.discriminator),
        }

    def _build_generator(self, dtype: str) -> keras.Model:
        options = self.options
        return build_generator(options.resolution, options.latent_dim, options.base_channels, dtype)
