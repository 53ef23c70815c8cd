"""Distortions of known strength, to test whether a distance grows with them.

All functions map uint8 `(n, height, width, 3)` to the same.
"""

import io

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from facegen_keras.errors import UserError
from facegen_keras.metrics.preprocess import resize_matrix

RESIZE_FILTERS = ("lanczos", "bicubic", "box", "bilinear", "bilinear, no antialias", "nearest")


def blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur; sigma in pixels, 0 leaves the images unchanged."""
    smooth = gaussian_filter(images.astype(np.float32), (0, sigma, sigma, 0), mode="nearest")
    return np.clip(np.rint(smooth), 0, 255).astype(np.uint8)


def add_noise(images: np.ndarray, deviation: float, seed: int = 0) -> np.ndarray:
    """Independent Gaussian noise on every pixel and channel; deviation in grey levels."""
    noise = np.random.default_rng(seed).standard_normal(images.shape, np.float32)
    return np.clip(np.rint(images + deviation * noise), 0, 255).astype(np.uint8)


def jpeg(images: np.ndarray, quality: int) -> np.ndarray:
    """JPEG compression and back; quality as in Pillow, 1 to 95."""
    pictures = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=int(quality))
        pictures.append(np.asarray(Image.open(file)))
    return np.stack(pictures)


def shrink(images: np.ndarray, side: int, filter: str) -> np.ndarray:
    """Downscale to squares by one of `RESIZE_FILTERS`: uint8 `(n, side, side, 3)`.

    The filters with one-word names are Pillow's. They widen with the reduction and avoid aliasing.
    "bilinear, no antialias" reads two pixels in each direction at any reduction, as PyTorch's
    `interpolate(mode="bilinear")` and TensorFlow's `tf.image.resize` do unless told otherwise.
    Parmar et al. 2022 (arXiv:2104.11222) measured its effect on FID.

    Raises:
        UserError: Unknown filter.
    """
    if filter not in RESIZE_FILTERS:
        raise UserError(f"filter {filter!r}; choose one of {', '.join(map(repr, RESIZE_FILTERS))}")
    if filter == "bilinear, no antialias":
        vertical = resize_matrix(images.shape[1], side, "bilinear")
        horizontal = resize_matrix(images.shape[2], side, "bilinear")
        small = np.einsum("ah,nhwc,bw->nabc", vertical, images, horizontal, optimize=True)
        return np.clip(np.rint(small), 0, 255).astype(np.uint8)
    method = Image.Resampling[filter.upper()]
    return np.stack([np.asarray(Image.fromarray(x).resize((side, side), method)) for x in images])
