"""The distance against the number of images, on Gaussians whose distance is known."""

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.metrics import distance_by_count, frechet_of_features, kernel_distance

DIM = 10
RANDOM = np.random.default_rng(0)
A = RANDOM.standard_normal((3000, DIM))
B = RANDOM.standard_normal((3000, DIM)) + 0.3  # at a distance of 10 * 0.09


def test_line_over_one_by_n_ends_at_the_true_distance():
    curve = distance_by_count(A, B, [50, 100, 200, 400, 800], repeats=20)
    assert (np.diff(curve.values) < 0).all()
    assert curve.values[0] > 1.2
    assert curve.limit == pytest.approx(DIM * 0.09, abs=0.08)
    assert curve.trusted
    assert curve.slope > 0
    assert (curve.spread > 0).all()
    line = curve.limit + curve.slope / curve.counts
    np.testing.assert_allclose(curve.values, line, atol=0.05)


def test_the_kernel_distance_does_not_fall():
    distance = lambda a, b: kernel_distance(a, b, subsets=1, subset_size=len(a))  # noqa: E731
    curve = distance_by_count(A, B, [50, 400], distance, repeats=100)
    error = np.hypot(*(curve.spread / 10))
    assert abs(curve.values[0] - curve.values[1]) < 4 * error


def test_whole_sets_once_and_few_images_are_not_trusted():
    curve = distance_by_count(A, B, [5, 3000], repeats=1)
    assert curve.values[1] == pytest.approx(frechet_of_features(A, B), rel=1e-9)
    assert curve.spread.tolist() == [0, 0]
    assert not curve.trusted


@pytest.mark.parametrize("counts", [[100], [1, 50], [100, 3001], [40, 40]])
def test_refused_counts(counts):
    with pytest.raises(UserError, match="from 2 to 3000"):
        distance_by_count(A, B, counts)
