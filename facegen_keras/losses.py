"""The losses, as pure functions of tensors. All return one value per sample or a scalar, as said.

Sums go over pixels and latents, means over the batch: a mean over pixels would shrink the
reconstruction against the KL divergence by the number of pixels, and the latent would collapse.
"""

from typing import Any

from keras import ops

Tensor = Any
GAN_LOSSES = ("non_saturating", "hinge")
RECONSTRUCTION_LOSSES = ("mse", "bce")
PATH_EPSILON = 1e-8  # under a root whose gradient at zero would not be finite
PROBABILITY_EPSILON = 1e-6  # keeps the logarithms of a saturated pixel finite in float32


def discriminator_loss(
    name: str, real_logits: Tensor, fake_logits: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """What the discriminator minimises, a scalar.

    Args:
        name: `"non_saturating"`: the cross-entropy of Goodfellow et al. 2014, eq. 1; `"hinge"`:
            Lim & Ye 2017, eq. 4, where label smoothing has no meaning and must be 0.
        real_logits: `(batch, 1)`, of photos.
        fake_logits: `(batch, 1)`, of generated images.
        label_smoothing: Photos are labelled `1 - label_smoothing` (one-sided, Salimans et al.
            2016, section 3.4).
    """
    if name == "hinge":
        return ops.mean(ops.relu(1.0 - real_logits)) + ops.mean(ops.relu(1.0 + fake_logits))
    real = ops.softplus(-real_logits) + label_smoothing * real_logits
    return ops.mean(real) + ops.mean(ops.softplus(fake_logits))


def generator_loss(name: str, fake_logits: Tensor) -> Tensor:
    """What the generator minimises, a scalar: -log D(G(z)), or -D(G(z)) for the hinge loss."""
    if name == "hinge":
        return -ops.mean(fake_logits)
    return ops.mean(ops.softplus(-fake_logits))


def kl_divergence(statistics: Tensor) -> Tensor:
    """KL(q(z|x) || N(0, 1)) in closed form, in nats (Kingma & Welling 2014, appendix B).

    Args:
        statistics: `(batch, 2 * latent_dim)`: means, then log-variances.

    Returns:
        `(batch, latent_dim)`: one term per latent dimension, not yet summed.
    """
    mean, log_variance = ops.split(ops.cast(statistics, "float32"), 2, axis=-1)
    return 0.5 * (ops.square(mean) + ops.exp(log_variance) - 1.0 - log_variance)


def reconstruction_loss(name: str, images: Tensor, reconstructions: Tensor) -> Tensor:
    """-log p(x|z) up to a constant, summed over pixels and channels: `(batch,)`.

    Args:
        name: `"mse"`: squared error of pixels in [0, 1] (a Gaussian of variance 1/2); `"bce"`:
            cross-entropy, pixels in [0, 1] read as probabilities.
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


def r1_penalty(gradient: Tensor) -> Tensor:
    """Squared norm of the discriminator's gradient at photos, `(batch,)`.

    To be multiplied by gamma / 2 (Mescheder et al. 2018, eq. 9). No root: its gradient at zero
    would not be finite.

    Args:
        gradient: Of the summed logits with respect to the images, `(batch, height, width, 3)`.
    """
    return ops.sum(ops.square(gradient), axis=(1, 2, 3))


def path_lengths(gradient: Tensor) -> Tensor:
    """Lengths of the Jacobian's projections, `(batch,)` (Karras et al. 2020, eq. 4).

    As the official code has it: squares are summed over w, averaged over layers, then the root.

    Args:
        gradient: Of the images projected on N(0, 1) / sqrt(height * width), with respect to the
            styles `(batch, layers, w_dim)`.
    """
    squares = ops.mean(ops.sum(ops.square(gradient), axis=2), axis=1)
    return ops.sqrt(squares + PATH_EPSILON)


def share_above_zero(logits: Any) -> Any:
    """The part of the logits that is positive, a scalar."""
    return ops.mean(ops.cast(logits > 0, "float32"))
