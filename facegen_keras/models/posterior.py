"""The posteriors q(z|x) of photos, and how much of the latent they use."""

import keras
import numpy as np
from keras import ops

from facegen_keras import losses
from facegen_keras.data.faces import Faces
from facegen_keras.errors import UserError
from facegen_keras.inference import in_chunks, infer, to_network_range

ACTIVE_VARIANCE = 0.01  # of the mean; above it a unit is active (Burda et al. 2016, appendix C)
CHUNK = 64  # images at a time
AT_A_TIME = 1024  # photos in memory


def encode_photos(encoder: keras.Model, images: np.ndarray, chunk: int = CHUNK) -> np.ndarray:
    """Means and log-variances of photos: float32 `(n, 2 * latent_dim)`.

    Args:
        encoder: As from `load_encoder`.
        images: uint8 `(n, height, width, 3)`.
        chunk: Photos at a time; the result of a photo does not depend on the others.

    Raises:
        UserError: The photos do not have the encoder's input size.
    """
    images = np.asarray(images)
    if images.ndim != 4 or tuple(images.shape[1:]) != tuple(encoder.input_shape[1:]):
        raise UserError(
            f"photos of shape {images.shape}: the encoder takes (n, *{encoder.input_shape[1:]})"
        )
    return in_chunks(lambda part: infer(encoder, to_network_range(part)), images, chunk)


def latent_statistics(encoder: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """How photos use the latent.

    Args:
        encoder: Of a VAE or a combined model, as from `load_encoder`: images in [-1, 1] to means
            and log-variances `(n, 2 * latent_dim)`.
        images: uint8 `(n, height, width, 3)`.

    Returns:
        `mean` and `log_variance`, `(n, latent_dim)`; `kl_per_dimension`, `(latent_dim,)`, in nats,
        the mean over the images; `active`, `(latent_dim,)`, whether the mean depends on the image
        (its variance is above 0.01: Burda et al. 2016).

    Raises:
        UserError: The photos do not have the encoder's input size.
    """
    statistics = encode_photos(encoder, images)
    mean, log_variance = map(ops.convert_to_numpy, losses.posterior(statistics))
    kl = ops.convert_to_numpy(losses.kl_divergence(statistics))
    return {
        "mean": mean,
        "log_variance": log_variance,
        "kl_per_dimension": kl.mean(axis=0),
        "active": mean.var(axis=0) > ACTIVE_VARIANCE,
    }


def draw_codes(
    encoder: keras.Model, faces: Faces | np.ndarray, count: int, mirror: bool, seed: int = 0
) -> np.ndarray:
    """One code from the posterior of each of some photos: float32 `(count, latent_dim)`.

    Args:
        encoder: As from `load_encoder`.
        faces: `Faces`, or uint8 `(n, height, width, 3)`.
        count: Photos to choose at random; all where there are no more.
        mirror: Flip half of them, as in a training with `mirror`.
        seed: Of the choice and the noise.

    Raises:
        UserError: The photos do not have the encoder's input size.
    """
    random = np.random.default_rng(seed)
    chosen = np.sort(random.permutation(len(faces))[:count])
    flipped = random.random(len(chosen)) < (0.5 if mirror else 0.0)
    parts = []
    for start in range(0, len(chosen), AT_A_TIME):
        here = slice(start, start + AT_A_TIME)
        images = np.array(faces[chosen[here]])
        images[flipped[here]] = images[flipped[here], :, ::-1]
        mean, log_variance = map(
            ops.convert_to_numpy, losses.posterior(encode_photos(encoder, images))
        )
        parts.append(mean + np.exp(0.5 * log_variance) * random.standard_normal(mean.shape))
    return np.concatenate(parts).astype("float32")


def draw_latents(statistics: dict[str, np.ndarray], seed: int = 0) -> np.ndarray:
    """One latent from each photo's posterior, `(n, latent_dim)`: the aggregate posterior.

    Args:
        statistics: From `latent_statistics`.
        seed: Of the noise.
    """
    noise = np.random.RandomState(seed).randn(*statistics["mean"].shape)
    return statistics["mean"] + np.exp(0.5 * statistics["log_variance"]) * noise
