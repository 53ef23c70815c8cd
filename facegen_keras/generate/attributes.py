"""Attributes measured on the pixels of aligned faces, and latent directions that change them.

No label is needed: a mouth that shows teeth is lighter and less red than one that does not. Each
attribute is a proxy and also responds to other things. What a direction really changes is for the
eye to judge.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.generate.generator import Generator
from facegen_keras.inference import to_uint8

# Left, top, right and bottom as fractions of the width and height of an aligned face (CelebA's
# alignment, cropped to the head as for the shipped models), measured on the mean face.
MOUTH = (0.42, 0.765, 0.58, 0.80)
CHEEKS = ((0.28, 0.60, 0.38, 0.70), (0.62, 0.60, 0.72, 0.70))
# From linear sRGB to CIE XYZ, whose white is D65 (IEC 61966-2-1).
SRGB_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)
WHITE = SRGB_TO_XYZ.sum(axis=1)
LEFT_HALF, RIGHT_HALF = (0.20, 0.30, 0.45, 0.80), (0.55, 0.30, 0.80, 0.80)


def brightness(images: np.ndarray) -> np.ndarray:
    """Mean grey level of uint8 `(n, height, width, 3)`: `(n,)` in [0, 255]."""
    return images.mean(axis=(1, 2, 3))


def warmth(images: np.ndarray) -> np.ndarray:
    """Mean of red minus blue of uint8 `(n, height, width, 3)`: `(n,)` in grey levels."""
    return images[..., 0].mean(axis=(1, 2)) - images[..., 2].mean(axis=(1, 2))


def smile(images: np.ndarray) -> np.ndarray:
    """How much lighter and less red the middle of the mouth is than the cheeks: a proxy, `(n,)`."""

    def pallor(box: tuple[float, ...]) -> np.ndarray:
        red, green, blue = np.moveaxis(_inside(images, box).mean(axis=(1, 2)), -1, 0)
        return (red + green + blue) / 3 + green - red

    return pallor(MOUTH) - sum(map(pallor, CHEEKS)) / len(CHEEKS)


def turn(images: np.ndarray) -> np.ndarray:
    """How much lighter the left half of the face is than the right: a proxy, `(n,)`.

    The half that is turned away is darker, but so is the half that the light does not reach.
    """
    left, right = _inside(images, LEFT_HALF), _inside(images, RIGHT_HALF)
    return left.mean(axis=(1, 2, 3)) - right.mean(axis=(1, 2, 3))


def skin_tone(images: np.ndarray) -> np.ndarray:
    """Individual typology angle of the cheeks in degrees, `(n,)`: higher is lighter, a proxy.

    The angle is atan2(L* - 50, b*) of their mean colour in CIE L*a*b* (Chardon et al. 1991; for
    photos of faces Merler et al. 2019, arXiv:1901.10436). Light, camera and make-up change it too,
    and it says nothing about who somebody is.
    """
    values = np.mean([_inside(images, box).mean(axis=(1, 2)) for box in CHEEKS], axis=0) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)  # sRGB
    _, y, z = (linear @ SRGB_TO_XYZ.T / WHITE).T
    y, z = (np.where(t > (6 / 29) ** 3, np.cbrt(t), t * 841 / 108 + 4 / 29) for t in (y, z))
    return np.degrees(np.arctan2(116 * y - 16 - 50, 200 * (y - z)))


ATTRIBUTES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "brightness": brightness,
    "warmth": warmth,
    "smile": smile,
    "turn": turn,
}


def measure(
    images: np.ndarray, attributes: Mapping[str, Callable[[np.ndarray], np.ndarray]] = ATTRIBUTES
) -> np.ndarray:
    """Measure attributes of images.

    Args:
        images: uint8 `(n, height, width, 3)`.
        attributes: Functions from images to `(n,)`, by name.

    Returns:
        float64 `(n, len(attributes))`.
    """
    return np.stack([value(images) for value in attributes.values()], axis=1).astype("float64")


def attribute_directions(means: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How the latent changes with each attribute while the others stay fixed: least squares.

    Args:
        means: Mean latents of photos, `(n, latent_dim)`.
        values: The attributes of the same photos, `(n, attributes)`.

    Returns:
        float32 `(attributes, latent_dim)`: the step that adds one standard deviation.

    Raises:
        UserError: Too few photos, or an attribute is the same for all of them.
    """
    count, attributes = values.shape
    if len(means) != count or count <= attributes:
        raise UserError(
            f"{len(means)} latents for {count} photos with {attributes} attributes: expected one "
            "latent per photo and more photos than attributes"
        )
    spread = values.std(axis=0)
    if not spread.all():
        raise UserError("an attribute is the same for all photos: it gives no direction")
    predictors = (values - values.mean(axis=0)) / spread
    solution, *_ = np.linalg.lstsq(predictors, means - means.mean(axis=0), rcond=None)
    return solution.astype("float32")


def attribute_vector(means: np.ndarray, values: np.ndarray, share: float = 0.25) -> np.ndarray:
    """The mean latent of photos that have an attribute, minus that of photos that do not.

    That is how Larsen et al. 2016 (section 4.2) add glasses to a face. Whatever goes together with
    the attribute in the photos is in the vector as well; `attribute_directions` takes it out.

    Args:
        means: Mean latents of photos, `(n, latent_dim)`.
        values: How much of the attribute each photo has, `(n,)`.
        share: Fraction of the photos on either side: the largest values have the attribute, the
            smallest do not.

    Returns:
        `(latent_dim,)`.

    Raises:
        UserError: There is not one latent per photo, or no photo on a side.
    """
    count = int(share * len(values))
    if len(means) != len(values) or not count or not 0 < share <= 0.5:
        raise UserError(
            f"{len(means)} latents for {len(values)} photos, a share of {share}: expected one "
            "latent per photo, and a share up to 0.5 that leaves a photo on each side"
        )
    order = np.argsort(values)
    return means[order[-count:]].mean(axis=0) - means[order[:count]].mean(axis=0)


def traverse_latent(
    generator: Generator,
    z: np.ndarray,
    directions: np.ndarray,
    steps: Sequence[float] = (-4, -2, 0, 2, 4),
) -> np.ndarray:
    """One face moved along each direction: uint8 `(directions, steps, height, width, 3)`.

    Args:
        generator: A plain generator or decoder.
        z: Latent of the face, `(latent_dim,)`.
        directions: `(directions, latent_dim)`.
        steps: Distances, in units of the directions.
    """
    moved = z + np.asarray(steps)[None, :, None] * directions[:, None]
    images = to_uint8(generator(moved.reshape(-1, moved.shape[-1])))
    return images.reshape(len(directions), len(steps), *images.shape[1:])


def _inside(images: np.ndarray, box: tuple[float, ...]) -> np.ndarray:
    height, width = images.shape[1:3]
    left, top, right, bottom = (
        round(fraction * side) for fraction, side in zip(box, (width, height) * 2, strict=True)
    )
    # At least one pixel, also of a small image.
    return images[:, top : max(bottom, top + 1), left : max(right, left + 1)].astype("float64")
