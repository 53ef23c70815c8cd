"""How alike two faces are: distances in pixels or features, and what a reconstruction keeps.

Each number is a mean over faces with its standard error, so that two ways to measure likeness, or
two models, can be compared on a few dozen faces.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from facegen_keras.data.aliasing import radial_power
from facegen_keras.errors import UserError
from facegen_keras.inference import infer, to_network_range
from facegen_keras.metrics import distortions
from facegen_keras.metrics.estimate import Estimate

Measure = Callable[[np.ndarray], np.ndarray]  # uint8 faces to numbers, `(n, numbers)`


def pixels(images: np.ndarray) -> np.ndarray:
    """The pixels of uint8 `(n, height, width, 3)` in [0, 1], as `(n, height * width * 3)`."""
    return images.reshape(len(images), -1) / 255


def features_of(network: keras.Model, output: Any) -> Measure:
    """What a layer of a network sees, in inference mode, as a measure of faces.

    Args:
        network: Takes `(batch, side, side, 3)` in [-1, 1], such as a discriminator.
        output: The tensor of the layer, such as `network.outputs[1]` or
            `network.get_layer(name).output`.

    Returns:
        A function from uint8 `(n, height, width, 3)` to float32 `(n, numbers)`. Larger faces are
        averaged down to the side that the network takes.
    """
    image = network.inputs[0]
    layer, side = keras.Model(image, output), image.shape[1]

    def features(images: np.ndarray) -> np.ndarray:
        small = distortions.shrink(images, side, "box")
        return infer(layer, to_network_range(small)).reshape(len(images), -1)

    return features


def distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Euclidean distances between rows `(n, numbers)` of two arrays: `(n,)`."""
    return np.linalg.norm(some.astype("float64") - others, axis=1)


def mean_of(values: np.ndarray) -> Estimate:
    """The mean of one value per face, `(n,)`, with its standard error over faces.

    Raises:
        UserError: There are fewer than two.
    """
    return ratio_of(values, np.ones(len(values)))


def ratio_of(some: np.ndarray, others: np.ndarray) -> Estimate:
    """The mean of some values divided by that of others, with its standard error over faces.

    The error is that of the linearised ratio (Cochran 1977, section 6.4): the two values of one
    face belong together.

    Args:
        some: One per face, `(n,)`.
        others: Of the same faces, `(n,)`.

    Raises:
        UserError: There are fewer than two faces.
    """
    if len(some) < 2:
        raise UserError(f"{len(some)} faces: a standard error needs two or more")
    some, others = np.asarray(some, "float64"), np.asarray(others, "float64")
    ratio = some.mean() / others.mean()
    rest = (some - ratio * others).std(ddof=1)
    return Estimate(ratio, rest / np.sqrt(len(some)) / abs(others.mean()))


def pixel_error(faces: np.ndarray, again: np.ndarray) -> Estimate:
    """Root mean squared difference of a face and its reconstruction, in grey levels.

    Args:
        faces: uint8 `(n, height, width, 3)`.
        again: Their reconstructions.

    Raises:
        UserError: There are fewer than two.
    """
    return mean_of(np.sqrt(np.square(faces.astype("float64") - again).mean(axis=(1, 2, 3))))


def feature_distance(of_faces: np.ndarray, of_again: np.ndarray) -> Estimate:
    """How far reconstructions are from their faces, in units of how far two faces are apart.

    0 is the face itself, 1 is as far as another face.

    Args:
        of_faces: What a measure says of the faces, `(n, numbers)`.
        of_again: What it says of their reconstructions.

    Raises:
        UserError: There are fewer than two.
    """
    apart = distances(of_faces, np.roll(of_faces, 1, axis=0))
    return ratio_of(distances(of_faces, of_again), apart)


def fine_detail(faces: np.ndarray, again: np.ndarray) -> Estimate:
    """The power of reconstructions at a quarter of a cycle per pixel, as a share of the faces'.

    A share says how much detail there is, not whether it is the right one: noise has it as well.

    Args:
        faces: uint8 `(n, side, side, 3)`.
        again: Their reconstructions.

    Raises:
        UserError: There are fewer than two, or they are not square.
    """
    place = faces.shape[1] // 4 - 1
    left, whole = (
        np.array([radial_power(image[None])[place] for image in images])
        for images in (again, faces)
    )
    return ratio_of(left, whole)
