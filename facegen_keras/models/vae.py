"""VAE: Auto-Encoding Variational Bayes (Kingma & Welling 2014, https://arxiv.org/abs/1312.6114),
with the weight β on the KL divergence of Higgins et al. 2017.

The encoder maps an image to a Gaussian over latents, the decoder a latent to an image; both are
trained on the negative evidence lower bound, reconstruction error plus β times KL. With
`reconstruction="gaussian"` the variance of the pixels is the one that fits best, so that β = 1 is
the bound itself and not a guess of the noise (σ-VAE, Rybkin et al. 2021,
https://arxiv.org/abs/2006.13202). With so little noise the codes of all photos are no longer
N(0, I): `prior="mixture"` fits a density to them after training (Ghosh et al. 2020,
https://arxiv.org/abs/1903.12436), see `mixture`. Kernel, leak,
widths and momentum are those of the DCGAN, so that the families can be compared.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from facegen_keras import losses
from facegen_keras.backend.types import Losses, Tensor
from facegen_keras.data.faces import Faces
from facegen_keras.engine import autodiff
from facegen_keras.engine.average import untrained_copy
from facegen_keras.engine.face_model import FaceModel
from facegen_keras.engine.options import takes
from facegen_keras.engine.run_state import RunState
from facegen_keras.errors import UserError
from facegen_keras.inference import to_network_range
from facegen_keras.layers import BatchNormalization, Sampling
from facegen_keras.mixture import Mixture, fit_mixture
from facegen_keras.models.dcgan import KERNEL, LEAK, MOMENTUM
from facegen_keras.models.options.vae import VAEOptions
from facegen_keras.models.posterior import draw_codes, latent_statistics
from facegen_keras.models.widths import channel_widths

VALIDATION_SEED = 0  # the same noise at every validation: only the weights differ
PRIOR_PHOTOS = 12_000  # each of ten components then has some ten codes for every number of a code
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
class VAE(FaceModel):
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
        super().__init__(options, more_losses=("reconstruction_std",) if gaussian else ())
        shape = (options.resolution, options.latent_dim, options.base_channels)
        self.encoder = build_encoder(*shape, self.layer_dtype)
        self.decoder = build_decoder(*shape, self.layer_dtype)
        self.sampling = Sampling(name="sampling", dtype="float32")
        self.autoencoder = self._join()
        self._prior: Mixture | None = None
        self._prior_step = -1  # at which it was fitted
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
            for name, value in self.evidence_bound(images, drawn, training=False).items():
                sums[name] = sums.get(name, 0.0) + float(value) * images.shape[0]
        means = {name: value / len(faces) for name, value in sums.items()}
        if self.options.reconstruction == "gaussian":  # its logarithm is no mean over chunks
            terms = means["reconstruction_loss"], means["kl_loss"]
            means = {k: float(v) for k, v in self._bound(*terms, self.options.beta).items()}
        return means

    def evidence_bound(self, images: Tensor, noise: Tensor, training: bool) -> Losses:
        """The loss and its terms, means over the batch.

        `loss` and `kl_loss` are in nats. `reconstruction_loss` is the squared error or the
        cross-entropy, summed over pixels in [0, 1]; with `reconstruction="gaussian"` the squared
        error, of which `losses.gaussian_error` is a function, and `reconstruction_std` is the
        fitted standard deviation of a pixel.
        """
        statistics = self.encoder(images, training=training)
        reconstructions = self.decoder(self.sampling(statistics, noise), training=training)
        error = losses.reconstruction_loss(self.options.reconstruction, images, reconstructions)
        kl = ops.mean(ops.sum(losses.kl_divergence(statistics), axis=-1))
        weight = self._kl_weight() if training else self.options.beta
        return self._bound(ops.mean(error), kl, weight)

    def _bound(self, error: Tensor, kl: Tensor, weight: Tensor) -> Losses:
        """The loss from its terms, which are means over all images that it is the loss of."""
        terms = {"reconstruction_loss": error, "kl_loss": kl}
        if self.options.reconstruction != "gaussian":
            return {"loss": error + weight * kl, **terms}
        pixels = 3 * self.resolution**2
        nats = losses.gaussian_error(error, pixels)
        std = ops.sqrt(losses.pixel_variance(error, pixels))
        return {"loss": nats + weight * kl, **terms, "reconstruction_std": std}

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

    def latent_prior(self) -> Mixture | None:
        """The mixture that latents of new faces are mapped to; None for N(0, I) itself.

        With `prior="mixture"` it is fitted to the photos last trained on, again whenever the
        weights have changed. Before the first step there is none.

        Raises:
            UserError: It has to be fitted, and the photos are not known.
        """
        if self.options.prior == "normal" or self.steps == 0:
            return None
        if self._prior is None or self._prior_step != self.steps:
            if self.photos is None:
                raise UserError(
                    "prior mixture: the photos to fit it to are not known; call fit_prior(photos)"
                )
            self.fit_prior(self.photos)
        return self._prior

    def fit_prior(self, faces: Faces | np.ndarray) -> None:
        """Fit the mixture of `prior="mixture"` to codes of photos; the same again with one seed.

        Args:
            faces: `Faces`, or uint8 `(n, height, width, 3)`; at most 12,000 are used, chosen at
                random, half of them flipped if the training flipped photos.

        Raises:
            UserError: The prior is normal, there are fewer than two photos per component, or they
                have another size.
        """
        if self.options.prior == "normal":
            raise UserError('prior normal: fit_prior fits a mixture; make the VAE with "mixture"')
        codes = draw_codes(self.encoder, faces, PRIOR_PHOTOS, bool(self.mirror), self.seed)
        self._prior = fit_mixture(codes, self.options.prior_components, self.seed)
        self._prior_step = self.steps

    def resume(self, state: RunState) -> None:
        super().resume(state)
        self._prior = None  # the number of the step does not tell other weights

    def networks(self) -> dict[str, keras.Model]:
        return {"autoencoder": self.autoencoder}

    def parts(self) -> dict[str, keras.Model]:
        return {"decoder": self.decoder, "encoder": self.encoder}

    @property
    def sampling_network(self) -> keras.Model:
        return self.decoder

    def export_parts(self) -> dict[str, keras.Model]:
        shape = (self.resolution, self.latent_dim, self.options.base_channels)
        return {
            "decoder": untrained_copy(lambda: build_decoder(*shape), self.decoder),
            "encoder": untrained_copy(lambda: build_encoder(*shape), self.encoder),
        }
