"""VAE: Auto-Encoding Variational Bayes (Kingma & Welling 2014, https://arxiv.org/abs/1312.6114),
with the weight β on the KL divergence of Higgins et al. 2017.

The encoder maps an image to a Gaussian over latents, the decoder a latent to an image; both are
trained on the negative evidence lower bound, reconstruction error plus β times KL. With
`reconstruction="gaussian"` the variance of the pixels is the one that fits best, so that β = 1 is
the bound itself and not a guess of the noise (σ-VAE, Rybkin et al. 2021,
https://arxiv.org/abs/2006.13202). With so little noise the codes of all photos are no longer
N(0, I): `prior="mixture"` fits a density to them after training, see `encoding_model`. Kernel,
leak, widths and momentum are those of the DCGAN, so that the families can be compared.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from facegen_keras import losses
from facegen_keras.backend.types import Losses, Tensor
from facegen_keras.data.faces import Faces
from facegen_keras.engine import autodiff
from facegen_keras.engine.average import untrained_copy
from facegen_keras.engine.options import takes
from facegen_keras.inference import to_network_range
from facegen_keras.layers import BatchNormalization, Sampling
from facegen_keras.models.dcgan import KERNEL, LEAK, MOMENTUM
from facegen_keras.models.encoding_model import EncodingModel
from facegen_keras.models.options.vae import VAEOptions
from facegen_keras.models.perceptual import PerceptualDistance
from facegen_keras.models.posterior import latent_statistics
from facegen_keras.models.widths import channel_widths

VALIDATION_SEED = 0  # the same noise at every validation: only the weights differ
CHUNK = 128  # images at a time outside of training: bounds the memory


def build_encoder(
    resolution: int, latent_dim: int, base_channels: int = 64, dtype: str = "float32"
) -> keras.Model:
    """Image `(batch, resolution, resolution, 3)` in [-1, 1] to `(batch, 2 * latent_dim)`: the
    means, then the log-variances, of q(z|x).
    """
    image = keras.Input((resolution, resolution, 3), name="image")
    x = image
    for k, width in enumerate(channel_widths(resolution, base_channels)):
        size = resolution // 2 ** (k + 1)
        name = f"{size}x{size}"
        x = layers.Conv2D(
            width, KERNEL, 2, "same", use_bias=False, name=f"{name}_down", dtype=dtype
        )(x)
        x = BatchNormalization(momentum=MOMENTUM, name=f"{name}_norm", dtype=dtype)(x)
        x = layers.LeakyReLU(LEAK, name=f"{name}_relu", dtype=dtype)(x)
    x = layers.Flatten(name="flatten", dtype=dtype)(x)
    statistics = layers.Dense(2 * latent_dim, name="statistics", dtype="float32")(x)
    return keras.Model(image, statistics, name="encoder")


def build_decoder(
    resolution: int, latent_dim: int, base_channels: int = 64, dtype: str = "float32"
) -> keras.Model:
    """Latent `(batch, latent_dim)` to image `(batch, resolution, resolution, 3)` in [-1, 1]."""
    widths = channel_widths(resolution, base_channels)[::-1]
    latent = keras.Input((latent_dim,), name="latent")
    x = layers.Dense(4 * 4 * widths[0], name="project", dtype=dtype)(latent)
    x = layers.Reshape((4, 4, widths[0]), name="reshape", dtype=dtype)(x)
    for k, width in enumerate(widths[1:]):
        size = 8 * 2**k
        name = f"{size}x{size}"
        x = layers.Conv2DTranspose(
            width, KERNEL, 2, "same", use_bias=False, name=f"{name}_up", dtype=dtype
        )(x)
        x = BatchNormalization(momentum=MOMENTUM, name=f"{name}_norm", dtype=dtype)(x)
        x = layers.LeakyReLU(LEAK, name=f"{name}_relu", dtype=dtype)(x)
    x = layers.Conv2DTranspose(3, KERNEL, 2, "same", name="to_rgb", dtype=dtype)(x)
    image = layers.Activation("tanh", name="image", dtype="float32")(x)
    return keras.Model(latent, image, name="decoder")


@keras.saving.register_keras_serializable(package="facegen_keras")
class VAE(EncodingModel):
    """The VAE as one trainable model.

    `seed` does not decide the initial weights: they come from Keras's global stream.
    """

    family = "vae"
    options: VAEOptions
    adam = VAEOptions.adam
    main_part = "decoder"
    has_validation = VAEOptions.has_validation
    has_latent_statistics = True
    loss_names = ("loss", "reconstruction_loss", "kl_loss")

    @takes(VAEOptions)
    def __init__(self, options: VAEOptions) -> None:
        gaussian = options.reconstruction == "gaussian"
        more = ["reconstruction_std"] if gaussian else []
        more += ["perceptual_loss"] if options.perceptual_weight else []
        super().__init__(options, more_losses=tuple(more))
        shape = (options.resolution, options.latent_dim, options.base_channels)
        self.encoder = build_encoder(*shape, self.layer_dtype)
        self.decoder = build_decoder(*shape, self.layer_dtype)
        self.sampling = Sampling(name="sampling", dtype="float32")
        self.autoencoder = self._join()
        self.perceptual: PerceptualDistance | None = None
        if options.perceptual_weight:
            self.perceptual = PerceptualDistance(keras.DTypePolicy(self.layer_dtype).compute_dtype)
            self.trained_with = (self.perceptual.description,)
        self.built = True

    def _join(self) -> keras.Model:
        """Encoder, sampling and decoder as the one network that the optimizer trains:
        `[image, noise]` to the reconstruction.
        """
        image = keras.Input(self.encoder.input_shape[1:], name="image")
        noise = keras.Input((self.latent_dim,), name="noise")
        reconstruction = self.decoder(self.sampling(self.encoder(image), noise))
        return keras.Model([image, noise], reconstruction, name="autoencoder")

    def update(self, images: Tensor, phase: Any) -> Losses:
        """One step on the negative evidence lower bound (Kingma & Welling 2014, eq. 10)."""
        noise = self.draw_latents(images.shape[0])

        def loss() -> tuple[Tensor, Losses]:
            report = self.evidence_bound(images, noise, training=True)
            return self.scaled("autoencoder", report["loss"]), report

        _, report, grads = autodiff.gradients(loss, self.autoencoder.trainable_variables)
        self.apply_gradients("autoencoder", grads)
        return report

    def validate(self, faces: Faces | np.ndarray) -> dict[str, float]:
        """The losses of held-out photos with β at its full weight, from fixed noise.

        The variance of `reconstruction="gaussian"` is the one that fits all of them best.

        Args:
            faces: `Faces`, or uint8 `(n, height, width, 3)`.
        """
        noise = keras.random.SeedGenerator(VALIDATION_SEED)
        sums: dict[str, float] = {}
        for start in range(0, len(faces), CHUNK):
            images = to_network_range(faces[start : start + CHUNK])
            shape = (images.shape[0], self.latent_dim)
            drawn = keras.random.normal(shape, seed=noise)
            for name, value in self._errors(images, drawn, training=False).items():
                total = float(ops.convert_to_numpy(value)) * images.shape[0]
                sums[name] = sums.get(name, 0.0) + total
        means = {name: value / len(faces) for name, value in sums.items()}
        return {name: float(value) for name, value in self._bound(means, self.options.beta).items()}

    def evidence_bound(self, images: Tensor, noise: Tensor, training: bool) -> Losses:
        """The loss and its terms, means over the batch.

        `loss` and `kl_loss` are in nats. `reconstruction_loss` is the squared error or the
        cross-entropy, summed over pixels in [0, 1]; with `reconstruction="gaussian"` the squared
        error, of which `losses.gaussian_error` is a function, and `reconstruction_std` is the
        fitted standard deviation of a pixel. `perceptual_loss` is a sum over the layers of VGG16:
        of each, the nats that `losses.gaussian_error` gives to as many values as an image has
        pixels, without the constant.
        """
        weight = self._kl_weight() if training else self.options.beta
        return self._bound(self._errors(images, noise, training), weight)

    def _errors(self, images: Tensor, noise: Tensor, training: bool) -> Losses:
        """What the loss is a function of, means over the batch: the errors of pixels and of
        features, and the KL divergence.
        """
        statistics = self.encoder(images, training=training)
        reconstructions = self.decoder(self.sampling(statistics, noise), training=training)
        error = losses.reconstruction_loss(self.options.reconstruction, images, reconstructions)
        errors = {
            "reconstruction_loss": ops.mean(error),
            "kl_loss": ops.mean(ops.sum(losses.kl_divergence(statistics), axis=-1)),
        }
        if self.perceptual is not None:
            errors |= self.perceptual(images, reconstructions)
        return errors

    def _bound(self, errors: Mapping[str, Tensor], kl_weight: Tensor) -> Losses:
        """The loss from `_errors`, which are means over all images that it is the loss of."""
        terms = {name: errors[name] for name in ("reconstruction_loss", "kl_loss")}
        error, kl = terms.values()
        if self.options.reconstruction != "gaussian":
            return {"loss": error + kl_weight * kl, **terms}
        pixels = 3 * self.resolution**2
        loss = losses.gaussian_error(error, pixels) + kl_weight * kl
        terms["reconstruction_std"] = ops.sqrt(losses.pixel_variance(error, pixels))
        if self.perceptual is not None:
            features = [value for name, value in errors.items() if name not in terms]
            terms["perceptual_loss"] = losses.perceptual_error(features, pixels)
            loss = loss + self.options.perceptual_weight * terms["perceptual_loss"]
        return {"loss": loss, **terms}

    def _kl_weight(self) -> Tensor:
        """β, or what of it the warm-up allows after the images seen so far."""
        options = self.options
        if not options.kl_warmup:
            return options.beta
        seen = ops.cast(self._images_seen.value, "float32")
        return options.beta * ops.minimum(1.0, seen / options.kl_warmup)

    def latent_statistics(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """How photos use the latent: `posterior.latent_statistics` of this encoder."""
        return latent_statistics(self.encoder, images)

    def networks(self) -> dict[str, keras.Model]:
        return {"autoencoder": self.autoencoder}

    def parts(self) -> dict[str, keras.Model]:
        return {"decoder": self.decoder, "encoder": self.encoder}

    @property
    def sampling_network(self) -> keras.Model:
        return self.decoder

    @property
    def sampling_encoder(self) -> keras.Model:
        return self.encoder

    def export_parts(self) -> dict[str, keras.Model]:
        shape = (self.resolution, self.latent_dim, self.options.base_channels)
        return {
            "decoder": untrained_copy(lambda: build_decoder(*shape), self.decoder),
            "encoder": untrained_copy(lambda: build_encoder(*shape), self.encoder),
        }
