"""Variety of a set of images: the mean distance between two of them."""

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.metrics.estimate import Estimate


def mean_pairwise_distance(features: np.ndarray) -> Estimate:
    """Mean Euclidean distance between the features of two different images.

    It measures variety, not quality: noise varies too. Read it beside the value of photos.

    Args:
        features: `(n, dim)`, of an extractor or flattened pixels, n at least 3.

    Returns:
        The mean over all pairs, and its standard error in `.error`: that of a U-statistic of two
        arguments (Hoeffding 1948), twice the standard deviation of each image's mean distance to
        the others, over √n.

    Raises:
        UserError: There are fewer than three images, or the features are not a matrix.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < 3:
        raise UserError(f"features of shape {features.shape}: expected (n, dim), n at least 3")
    features = features - features.mean(0)  # smaller numbers lose fewer digits in the squares
    norms = np.einsum("ij,ij->i", features, features)
    squared = norms[:, None] - 2 * (features @ features.T) + norms
    np.fill_diagonal(squared, 0)
    own = np.sqrt(np.maximum(squared, 0)).sum(1) / (len(features) - 1)
    return Estimate(own.mean(), 2 * own.std(ddof=1) / np.sqrt(len(features)))
