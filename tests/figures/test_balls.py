"""The figure of precision and recall counts what the metric counts."""

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.figures import neighbour_balls
from facegen_keras.metrics import precision_recall


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
