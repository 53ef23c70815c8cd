"""The kernel distance: against its definition, without bias, with an honest error."""

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.metrics import kernel_distance
from facegen_keras.metrics.kernel import squared_mmd


def test_definition_by_loops():
    random = np.random.default_rng(0)
    x, y = random.standard_normal((5, 3)), random.standard_normal((4, 3))
    kernel = lambda a, b: (a @ b / 3 + 1) ** 3  # noqa: E731 - as the paper writes it
    xx = np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    yy = np.mean([kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    xy = np.mean([kernel(a, b) for a in x for b in y])
    assert squared_mmd(x, y) == pytest.approx(xx + yy - 2 * xy, rel=1e-9)


def test_no_bias_in_the_number_of_images():
    """The mean over many draws from one distribution is zero within its error, at any size."""
    random = np.random.default_rng(0)
    for n in (10, 40):
        values = [squared_mmd(*random.standard_normal((2, n, 8))) for _ in range(400)]
        assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(400)


def test_grows_with_the_difference_and_is_repeatable():
    random = np.random.default_rng(0)
    a, b = random.standard_normal((300, 16)), random.standard_normal((200, 16))
    near, far = kernel_distance(a, b + 0.2), kernel_distance(a, b + 1)
    assert 0 < near < far
    assert near == kernel_distance(a, b + 0.2)
    assert near != kernel_distance(a, b + 0.2, seed=1)


def test_the_error_is_that_of_the_images_not_of_the_subsets():
    """More subsets of the same images must not shrink it; it must cover the real spread."""
    random = np.random.default_rng(0)
    for size in (100, 40):
        draws = [
            kernel_distance(a, b + 0.4, subsets=40, subset_size=size)
            for a, b in random.standard_normal((60, 2, 200, 8))
        ]
        claimed = np.mean([d.error for d in draws])
        assert claimed == pytest.approx(np.std([float(d) for d in draws]), rel=0.25)
    a, b = random.standard_normal((2, 200, 8))
    many = kernel_distance(a, b, subsets=400).error
    assert 0.5 < many / kernel_distance(a, b, subsets=40).error < 2
    assert kernel_distance(a, b, subset_size=200).error is None  # every subset is the whole


def test_refusals():
    with pytest.raises(UserError, match=r"shape \(3, 2\) and \(3, 4\)"):
        kernel_distance(np.zeros((3, 2)), np.zeros((3, 4)))
    with pytest.raises(UserError, match="at least 2"):
        kernel_distance(np.zeros((1, 2)), np.zeros((3, 2)))
    with pytest.raises(UserError, match="subset_size=1"):
        kernel_distance(np.zeros((4, 2)), np.zeros((4, 2)), subset_size=1)
