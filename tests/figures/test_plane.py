"""Toys in the plane hold the numbers they are given, and count what the metrics count."""

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.figures import gaussian_pairs, neighbour_balls, point_clouds
from facegen_keras.metrics import Statistics, precision_recall


def lines(ax) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


def test_one_dimensional_gaussians_and_their_distance():
    a, b = Statistics([0.0], [[1.0]]), Statistics([2.0], [[9.0]])
    figure = gaussian_pairs([(a, b), (a, a)], labels=("photos", "samples"))
    left, right = figure.axes
    assert left.get_title() == "FD = 8.00\nmeans 4.00 + spreads 4.00"  # (0-2)^2 + (1-3)^2
    assert right.get_title().startswith("FD = 0.00")
    curve = lines(left)["samples"]
    peak = curve[curve[:, 1].argmax()]
    assert peak == pytest.approx([2, 1 / np.sqrt(18 * np.pi)], rel=0.03)
    figure.canvas.draw()


def test_two_dimensional_gaussians_are_ellipses():
    a = Statistics([1.0, 0.0], np.diag([4.0, 1.0]))
    ax = gaussian_pairs([(a, a)]).axes[0]
    outline = ax.get_lines()[0].get_xydata()
    assert outline[:, 0].min() == pytest.approx(-1, abs=0.02)
    assert outline[:, 1].max() == pytest.approx(1, abs=0.02)
    with pytest.raises(UserError, match="one or two features"):
        gaussian_pairs([(Statistics(np.zeros(3), np.eye(3)),) * 2])


def test_clouds():
    points = np.random.RandomState(0).randn(20, 2)
    figure = point_clouds({"one": points, "two": 2 * points})
    np.testing.assert_array_equal(figure.axes[1].get_lines()[0].get_xydata(), 2 * points)
    assert [ax.get_title() for ax in figure.axes] == ["one", "two"]
    assert not figure.legends
    with_photos = point_clouds({"one": points}, points + 1, ("drawn", "photos"))
    drawn = lines(with_photos.axes[0])
    np.testing.assert_array_equal(drawn["drawn"], points)
    np.testing.assert_array_equal(drawn["photos"], points + 1)
    assert len(with_photos.legends) == 1


def test_points_in_a_ball_are_counted_and_filled():
    random = np.random.default_rng(0)
    photos, samples = random.standard_normal((20, 2)), 0.5 * random.standard_normal((15, 2))
    figure = neighbour_balls(photos, samples)
    expected = precision_recall(photos, samples)
    left, right = figure.axes
    precise, recalled = round(15 * expected.precision), round(20 * expected.recall)
    assert left.get_title() == f"precision: {precise} of 15 samples are in a ball of a photo"
    assert right.get_title() == f"recall: {recalled} of 20 photos are in a ball of a sample"
    centres, filled, hollow = right.get_lines()
    np.testing.assert_array_equal(centres.get_xydata(), samples)
    assert len(filled.get_xydata()) == recalled
    assert len(hollow.get_xydata()) == 20 - recalled
    assert hollow.get_markerfacecolor() == "white"
    assert len(left.collections[0].get_offsets()) == 20
    figure.canvas.draw()


def test_a_ball_reaches_to_the_neighbour_asked_for():
    line = np.stack([np.arange(4.0), np.zeros(4)], 1)
    ax = neighbour_balls(line, line + np.array([0, 9]), k=1).axes[0]
    assert ax.get_title().startswith("precision: 0 of 4")
    np.testing.assert_allclose(ax.collections[0].get_widths(), 2)
    for wrong in (line[:3], np.zeros((5, 3))):
        with pytest.raises(UserError, match="n above 3"):
            neighbour_balls(line, wrong)
