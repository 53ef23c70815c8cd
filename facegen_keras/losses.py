"""The losses, as pure functions of tensors: one value per image, or a scalar, as each one says.

Sums are over pixels and latents, means over the batch. A mean over pixels would make the
reconstruction error small beside the KL divergence, by the number of pixels, and the latents would
collapse.
"""

import math
from collections.abc import Sequence

from keras import ops

from facegen_keras.backend.types import Tensor

GAN_LOSSES = ("non_saturating", "hinge", "relativistic")
RECONSTRUCTION_LOSSES = ("mse", "bce", "gaussian")
PATH_EPSILON = 1e-8  # under a root whose gradient at zero would not be finite
PROBABILITY_EPSILON = 1e-6  # keeps the logarithms of a saturated pixel finite in float32
# Of q(z|x). On images it was not trained on, such as noise, an encoder may give any number, and
# exp(89) overflows float32. Photos stay far below 20, a standard deviation of 22,000 where the
# prior's is 1: at most 0.5 after training, 3.7 during it (15.5 at five times the learning rate).
LARGEST_LOG_VARIANCE = 20.0
# Of a pixel in [0, 1]: the error of rounding it to one of 256 grey levels. A fitted variance below
# it would say more about the rounding than about the photo, and its logarithm may be infinite.
SMALLEST_PIXEL_VARIANCE = 1 / (12 * 255**2)
SMALLEST_FEATURE_ERROR = 1e-6  # keeps the logarithm finite where two images are the same


def discriminator_loss(
    name: str, real_logits: Tensor, fake_logits: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """The loss of the discriminator, a scalar.

    Args:
        name: `"non_saturating"`: the cross-entropy of Goodfellow et al. 2014, eq. 1; `"hinge"`:
            Lim & Ye 2017, eq. 4; `"relativistic"`: each photo against one generated image
            (RSGAN of Jolicoeur-Martineau 2019, https://arxiv.org/abs/1807.00734). The last two know
            no labels: their smoothing must be 0.
        real_logits: `(batch, 1)`, of photos.
        fake_logits: `(batch, 1)`, of generated images.
        label_smoothing: One-sided label smoothing: real labels are `1 - label_smoothing` (Salimans
            et al. 2016, section 3.4).
    """
    if name == "hinge":
        return ops.mean(ops.relu(1.0 - real_logits)) + ops.mean(ops.relu(1.0 + fake_logits))
    if name == "relativistic":
        return ops.mean(ops.softplus(fake_logits - real_logits))
    real = ops.softplus(-real_logits) + label_smoothing * real_logits
    return ops.mean(real) + ops.mean(ops.softplus(fake_logits))


def generator_loss(name: str, fake_logits: Tensor, real_logits: Tensor | None = None) -> Tensor:
    """The loss of the generator, a scalar: -log D(G(z)), -D(G(z)) for the hinge loss, or for the
    relativistic one minus the logarithm of the probability that the sample is the realer one.

    Args:
        name: As for `discriminator_loss`.
        fake_logits: `(batch, 1)`, of generated images.
        real_logits: `(batch, 1)`, of photos; only the relativistic loss needs them, since it asks
            which of the two looks more real.
    """
    if name == "hinge":
        return -ops.mean(fake_logits)
    if name == "relativistic":
        return ops.mean(ops.softplus(real_logits - fake_logits))
    return ops.mean(ops.softplus(-fake_logits))


def posterior(statistics: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log-variance of the Gaussian q(z|x), each `(batch, latent_dim)`.

    The log-variance is bounded by `LARGEST_LOG_VARIANCE`. Its gradient passes through the bound:
    a clipped one would be zero there, and training could not bring the variance down again.

    Args:
        statistics: `(batch, 2 * latent_dim)`, from an encoder: means, then log-variances.
    """
    mean, log_variance = ops.split(statistics, 2, axis=-1)
    excess = ops.relu(log_variance - LARGEST_LOG_VARIANCE)
    return mean, log_variance - ops.stop_gradient(excess)


def kl_divergence(statistics: Tensor) -> Tensor:
    """KL(q(z|x) || N(0, 1)) in closed form, in nats (Kingma & Welling 2014, appendix B).

    Args:
        statistics: `(batch, 2 * latent_dim)`, from an encoder: see `posterior`.

    Returns:
        `(batch, latent_dim)`: one term per latent dimension, not yet summed.
    """
    mean, log_variance = posterior(ops.cast(statistics, "float32"))
    return 0.5 * (ops.square(mean) + ops.exp(log_variance) - 1.0 - log_variance)


def latent_surprise(latents: Tensor, statistics: Tensor) -> Tensor:
    """-log q(z|x) of the latents that images were drawn from, in nats, summed over the dimensions.

    Its mean over samples is smallest where q(z|x) is the generator's own posterior.

    Args:
        latents: `(batch, latent_dim)`.
        statistics: `(batch, 2 * latent_dim)`, from an encoder: see `posterior`.

    Returns:
        `(batch,)`.
    """
    mean, log_variance = posterior(ops.cast(statistics, "float32"))
    distance = ops.square(latents - mean) * ops.exp(-log_variance)
    return 0.5 * ops.sum(distance + log_variance + math.log(2 * math.pi), axis=-1)


def reconstruction_loss(name: str, images: Tensor, reconstructions: Tensor) -> Tensor:
    """-log p(x|z) up to a constant, summed over pixels and channels: `(batch,)`.

    Args:
        name: `"mse"`: squared error of pixels in [0, 1] (a Gaussian of variance 1/2), and the same
            for `"gaussian"`, of which `gaussian_error` makes a likelihood; `"bce"`: cross-entropy,
            pixels in [0, 1] read as probabilities.
        images: `(batch, height, width, 3)` in [-1, 1].
        reconstructions: The same shape and range.
    """
    images, reconstructions = (images + 1.0) / 2.0, (reconstructions + 1.0) / 2.0
    if name == "bce":
        p = ops.clip(reconstructions, PROBABILITY_EPSILON, 1.0 - PROBABILITY_EPSILON)
        error = -(images * ops.log(p) + (1.0 - images) * ops.log(1.0 - p))
    else:
        error = ops.square(images - reconstructions)
    return ops.sum(error, axis=(1, 2, 3))


def pixel_variance(squared_error: Tensor, pixels: int) -> Tensor:
    """The variance of a Gaussian around reconstructions that makes photos most likely, a scalar.

    It is the mean squared error per pixel (Rybkin et al. 2021, https://arxiv.org/abs/2006.13202),
    at least that of rounding to whole grey levels.

    Args:
        squared_error: Summed over the pixels of an image in [0, 1], mean over the images: a scalar.
        pixels: Values of an image: height times width times 3.
    """
    return ops.maximum(squared_error / pixels, SMALLEST_PIXEL_VARIANCE)


def gaussian_error(squared_error: Tensor, pixels: int) -> Tensor:
    """-log p(x|z) under a Gaussian with the variance that fits best, in nats per image.

    This is D/2 (log MSE + 1 + log 2π) for D pixels in [0, 1] (σ-VAE, Rybkin et al. 2021): below 0
    where the reconstructions are good, since a density may exceed 1. The variance is one for all
    images together. It takes no gradient: at its best value it would have none.

    Args:
        squared_error: As for `pixel_variance`.
        pixels: As for `pixel_variance`.
    """
    variance = ops.stop_gradient(pixel_variance(squared_error, pixels))
    return 0.5 * (pixels * ops.log(2 * math.pi * variance) + squared_error / variance)


def perceptual_error(squared_errors: Sequence[Tensor], pixels: int) -> Tensor:
    """The error of reconstructions in features of another network, in nats per image.

    As `gaussian_error`, without its constant: a layer whose features have the mean squared error e
    gives D/2 log e, as if it had the D values of an image. So every layer counts as much as the
    pixels, whatever the scale of its features and however many it has, and what is gained is a
    share of the error that is left.

    Args:
        squared_errors: The mean squared error of each layer, scalars.
        pixels: Values of an image: height times width times 3.
    """
    errors = ops.stack([ops.convert_to_tensor(e, "float32") for e in squared_errors])
    return 0.5 * pixels * ops.sum(ops.log(ops.maximum(errors, SMALLEST_FEATURE_ERROR)))


def r1_penalty(gradient: Tensor) -> Tensor:
    """Squared norm of the discriminator's gradient at images, `(batch,)`: R1 where they are photos,
    R2 where they are generated.

    The caller multiplies it by gamma / 2 (Mescheder et al. 2018, eq. 9). There is no root: its
    gradient at zero would not be finite.

    Args:
        gradient: Of the summed logits with respect to the images, `(batch, height, width, 3)`, or
            to points of another shape `(batch, ...)`.
    """
    return ops.sum(ops.square(gradient), axis=tuple(range(1, len(gradient.shape))))


def path_lengths(gradient: Tensor) -> Tensor:
    """Lengths of the Jacobian's projections, `(batch,)` (Karras et al. 2020, eq. 4).

    As in the official code, squares are summed over w and averaged over layers, before the root.

    Args:
        gradient: Of the images projected on N(0, 1) / sqrt(height * width), with respect to the
            styles `(batch, layers, w_dim)`.
    """
    squares = ops.mean(ops.sum(ops.square(gradient), axis=2), axis=1)
    return ops.sqrt(squares + PATH_EPSILON)


def accuracies(name: str, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
    """How often the discriminator is right, `real_accuracy` and `fake_accuracy`, each 0 to 1.

    The relativistic loss gives the sign of a single logit no meaning. There both are the share of
    the pairs in which the photo has the higher one.

    Args:
        name: As for `discriminator_loss`.
        real_logits: `(batch, 1)`, of photos.
        fake_logits: `(batch, 1)`, of generated images.
    """
    if name == "relativistic":
        share = share_above_zero(real_logits - fake_logits)
        return {"real_accuracy": share, "fake_accuracy": share}
    return {
        "real_accuracy": share_above_zero(real_logits),
        "fake_accuracy": share_above_zero(-fake_logits),
    }


def share_above_zero(logits: Tensor) -> Tensor:
    """The fraction of the logits that is positive, a scalar."""
    return ops.mean(ops.cast(logits > 0, "float32"))
