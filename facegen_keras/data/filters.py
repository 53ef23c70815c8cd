"""Ways to make a picture smaller, the good and the bad ones, to compare them.

The data pipeline itself uses Lanczos with antialiasing (`data.decode`). Parmar, Zhang & Zhu 2022
("On Aliased Resizing and Surprising Subtleties in GAN Evaluation") measured what the others cost.
"""

import numpy as np
from PIL import Image

from facegen_keras.errors import UserError

FILTERS = ("nearest", "bilinear", "box", "lanczos")


def shrink(images: np.ndarray, side: int, filter: str) -> np.ndarray:
    """Resize images down.

    Args:
        images: uint8 `(n, height, width, 3)`.
        side: Height and width of the result in pixels.
        filter: `"nearest"` takes one pixel; `"bilinear"` mixes the four around a point, which
            leaves out the rest as soon as the factor is above 2 (what most deep-learning
            frameworks do unless asked for antialiasing); `"box"` averages all pixels that a new
            one covers; `"lanczos"` is the windowed sinc of three lobes, stretched by the factor.

    Returns:
        uint8 `(n, side, side, 3)`.

    Raises:
        UserError: Unknown filter.
    """
    if filter not in FILTERS:
        raise UserError(f"filter {filter!r}: expected one of {', '.join(FILTERS)}")
    return np.stack([_shrink(Image.fromarray(image), side, filter) for image in images])


def _shrink(image: Image.Image, side: int, filter: str) -> np.ndarray:
    if filter == "bilinear":  # Pillow's resize() would antialias; its transform() does not
        whole = (0, 0, *image.size)
        extent = Image.Transform.EXTENT
        return np.asarray(image.transform((side, side), extent, whole, Image.Resampling.BILINEAR))
    return np.asarray(image.resize((side, side), Image.Resampling[filter.upper()]))


def enlarge(images: np.ndarray, side: int) -> np.ndarray:
    """Resize uint8 `(n, height, width, 3)` up to `(n, side, side, 3)` by bicubic interpolation."""
    return np.stack(
        [
            np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
            for image in images
        ]
    )


def zone_plate(side: int = 256) -> np.ndarray:
    """The test pattern that shows aliasing: rings whose frequency grows with the radius.

    cos(pi r^2 / side): at r pixels from the centre the local frequency is r / side cycles per
    pixel, so that it reaches the Nyquist frequency of one half exactly at the middle of the edges.

    Args:
        side: Height and width in pixels.

    Returns:
        Grey levels as uint8 `(side, side, 3)`.
    """
    x = np.arange(side) - (side - 1) / 2
    rings = np.cos(np.pi * (x[:, None] ** 2 + x**2) / side)
    return np.repeat(np.rint((rings + 1) * 127.5).astype(np.uint8)[..., None], 3, axis=-1)
