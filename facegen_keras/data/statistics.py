"""What a set of faces looks like in numbers, read once and in small batches.

Brightness, colour and the mean face stream through memory, so that the size of the set does not
matter. The faces may be a `Faces` or any uint8 array `(n, height, width, 3)`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from facegen_keras.data.faces import Faces
from facegen_keras.errors import UserError

BATCH = 256  # faces in memory at a time: 12 MiB as float32 at 64x64
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601: Y' of R'G'B', as Pillow's mode L


@dataclass(frozen=True)
class PixelStatistics:
    """Brightness and colour of a set of faces; pixel values are 0 (black) to 255.

    Attributes:
        brightness: Mean luma of every face, `(n,)`.
        contrast: Standard deviation of the luma within every face, `(n,)`.
        colour: Mean red, green and blue of every face, `(n, 3)`.
        histogram: Number of pixels with each value, int64 `(3, 256)`: red, green, blue.
        mean: The mean face, `(height, width, 3)`.
        std: Standard deviation of every pixel over the faces, `(height, width, 3)`.
    """

    brightness: np.ndarray
    contrast: np.ndarray
    colour: np.ndarray
    histogram: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    @property
    def grey(self) -> int:
        """Number of faces whose red, green and blue are alike on average, within half a level."""
        return int((np.ptp(self.colour, axis=1) < 0.5).sum())


def pixel_statistics(faces: Faces | np.ndarray) -> PixelStatistics:
    """Brightness, contrast, colours, mean and standard-deviation face, in one pass.

    Args:
        faces: `Faces`, or uint8 `(n, height, width, 3)`.

    Raises:
        UserError: There is no face, or the array is not uint8 RGB.
    """
    brightness, contrast, colour = [], [], []
    histogram = np.zeros((3, 256), np.int64)
    shape = np.shape(faces[:1])[1:]
    total, squares = np.zeros((2, *shape), np.int64)  # exact below 10^14 faces
    for images in batches(faces):
        luma = images @ LUMA
        brightness.append(luma.mean((1, 2)))
        contrast.append(luma.std((1, 2)))
        colour.append(images.mean((1, 2)))
        for channel in range(3):
            histogram[channel] += np.bincount(images[..., channel].ravel(), minlength=256)
        total += images.sum(0, dtype=np.int64)
        squares += np.square(images, dtype=np.int64).sum(0)
    count = len(faces)
    # n * squares - total^2 in integers: no digit is lost to the subtraction of large numbers.
    spread = np.sqrt(count * squares - total * total) / count
    return PixelStatistics(
        np.concatenate(brightness),
        np.concatenate(contrast),
        np.concatenate(colour),
        histogram,
        total / count,
        spread,
    )


def closest_pairs(points: np.ndarray, count: int = 10) -> list[tuple[float, int, int]]:
    """The pairs with the smallest distances: near-duplicates, where the points describe faces.

    Args:
        points: float `(n, features)`, such as eigenface coordinates, at least two.
        count: Pairs returned.

    Returns:
        `(Euclidean distance, first index, second index)`, closest first, first < second.
    """
    points = np.asarray(points, np.float64)
    found: list[tuple[float, int, int]] = []
    for start in range(0, len(points) - 1, BATCH):
        rows = points[start : start + BATCH]
        distances = cdist(rows, points[start:])
        distances[np.tri(*distances.shape).astype(bool)] = np.inf  # itself, and pairs seen already
        flat = distances.ravel()
        nearest = np.argpartition(flat, min(count, flat.size - 1))[:count]
        first, second = np.unravel_index(nearest, distances.shape)
        found += zip(
            flat[nearest].tolist(), (first + start).tolist(), (second + start).tolist(), strict=True
        )
        found = sorted(pair for pair in found if np.isfinite(pair[0]))[:count]
    return found


def cells_of_a_map(
    points: np.ndarray, columns: int = 8, rows: int = 5, reach: float = 2.0
) -> np.ndarray:
    """A map of faces: which of them stands in each cell of a grid over two coordinates.

    The grid reaches `reach` standard deviations from the mean to each side. A cell holds the face
    nearest to its middle among those that lie in it.

    Args:
        points: Two coordinates of each face, `(n, 2)`, such as the first two of eigenfaces.
        columns: Cells along the first coordinate, which grows to the right.
        rows: Cells along the second, which grows upwards.
        reach: Half of the width and of the height, in standard deviations.

    Returns:
        Indices, int `(rows, columns)`; -1 where no face lies.

    Raises:
        UserError: They are not points of a plane, or all alike in one coordinate.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not points.std(0).all():
        raise UserError(f"points of shape {points.shape}: expected (n, 2), not all in one line")
    size = np.array([columns, rows])
    places = ((points - points.mean(0)) / points.std(0) / reach + 1) / 2 * size
    places[:, 1] = rows - places[:, 1]
    cells = np.floor(places).astype(int)
    off = np.square(places - cells - 0.5).sum(1)
    found = np.full((rows, columns), -1)
    for face in np.argsort(-off):  # the nearest to the middle comes last, and stays
        column, row = cells[face]
        if 0 <= column < columns and 0 <= row < rows:
            found[row, column] = face
    return found


def batches(faces: Faces | np.ndarray, size: int = BATCH) -> Iterator[np.ndarray]:
    """Yield all faces in order, uint8 `(at most size, height, width, 3)`.

    Raises:
        UserError: There is no face, or the array is not uint8 RGB.
    """
    first = faces[:1]
    if not len(faces) or first.ndim != 4 or first.shape[-1] != 3 or first.dtype != np.uint8:
        raise UserError(
            f"faces of shape {np.shape(first)}, {first.dtype}: expected Faces or uint8 "
            "(n, height, width, 3) with n at least 1"
        )
    for start in range(0, len(faces), size):
        yield faces[start : start + size]
