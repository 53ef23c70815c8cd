"""What makes aliasing visible: a picture with every frequency in it, and the spectrum of faces.

A grid of pixels holds frequencies up to half a cycle per pixel, the Nyquist frequency. What is
above it when a picture is made smaller has to be averaged away; otherwise it comes back as a
pattern of a lower frequency that was never there.
"""

import numpy as np
from PIL import Image

from facegen_keras.data.faces import Faces
from facegen_keras.data.statistics import LUMA, batches
from facegen_keras.errors import UserError


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


def radial_power(faces: Faces | np.ndarray) -> np.ndarray:
    """Mean power of the luma by spatial frequency, whatever its direction.

    With the Hann window against the jump between opposite edges, and without the mean of each
    face. Natural photos fall off as about one over the square of the frequency (Field 1987).

    Args:
        faces: Square ones: `Faces`, or uint8 `(n, side, side, 3)`.

    Returns:
        float64 `(side // 2,)`: entry k - 1 belongs to k cycles per image side, that is k / side
        cycles per pixel; the last one is the Nyquist frequency of half a cycle per pixel.

    Raises:
        UserError: The images are not square, or as for `pixel_statistics`.
    """
    height, width = faces[:1].shape[1:3]
    if height != width:
        raise UserError(f"images of {width}x{height}: the spectrum needs square ones")
    window = np.hanning(height + 1)[:-1]
    window = np.outer(window, window)
    power = np.zeros((height, height))
    for images in batches(faces):
        luma = images @ LUMA
        luma -= luma.mean((1, 2), keepdims=True)
        power += (np.abs(np.fft.fft2(luma * window)) ** 2).sum(0)
    steps = np.fft.fftfreq(height, 1 / height)
    ring = np.rint(np.hypot(steps[:, None], steps)).astype(int).ravel()
    sums, sizes = np.bincount(ring, power.ravel()), np.bincount(ring)
    return (sums / sizes)[1 : height // 2 + 1] / (len(faces) * np.square(window).sum())


def enlarge(images: np.ndarray, side: int) -> np.ndarray:
    """Resize uint8 `(n, height, width, 3)` up to `(n, side, side, 3)` by bicubic interpolation."""
    return np.stack(
        [
            np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
            for image in images
        ]
    )
