"""Figures of likeness: points where the numbers are, with their errors."""

import numpy as np
import pytest

from facegen_keras import figures
from facegen_keras.errors import UserError
from facegen_keras.metrics import Estimate


def test_ratios_stand_at_their_value_and_row():
    ratios = {
        "blurred / moved": {"pixels": Estimate(0.5, 0.1), "features": 2.0},
        "blurred / brighter": {"pixels": 0.25, "features": Estimate(4.0, 1.0)},
    }
    (ax,) = figures.likeness_ratios(ratios, "distance, divided by that of a moved face").axes
    first, second = (container[0] for container in ax.containers)
    assert first.get_xdata().tolist() == [0.5, 2]
    assert second.get_xdata().tolist() == [0.25, 4]
    assert np.all(np.abs(first.get_ydata() - [0, 1]) < 0.2)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["pixels", "features"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(ratios)
    bars = [container.lines[2][0].get_segments() for container in ax.containers]
    np.testing.assert_allclose([bar[:, 0] for bar in bars[0]], [[0.4, 0.6], [2, 2]])
    np.testing.assert_allclose([bar[:, 0] for bar in bars[1]], [[0.25, 0.25], [3, 5]])
    with pytest.raises(UserError, match="the same measures"):
        figures.likeness_ratios({"a": {"pixels": 1.0}, "b": {"features": 1.0}}, "ratio")
    with pytest.raises(UserError, match="one or more"):
        figures.likeness_ratios({}, "ratio")


def test_models_lie_where_their_numbers_are():
    points = {"VAE": (25.0, 0.3), "γ 0": (Estimate(40.0, 1.0), Estimate(0.7, 0.1))}
    points["γ 1"] = (36.0, 0.2)
    (ax,) = figures.trade_off(points, "grey levels", "fine detail", sweep=["γ 0", "γ 1"]).axes
    assert [container[0].get_xydata().tolist() for container in ax.containers] == [
        [[25, 0.3]], [[40, 0.7]], [[36, 0.2]],
    ]  # fmt: skip
    assert ax.get_lines()[0].get_xydata().tolist() == [[40, 0.7], [36, 0.2]]
    across, up = (bars.get_segments()[0] for bars in ax.containers[1].lines[2])
    np.testing.assert_allclose(across, [[39, 0.7], [41, 0.7]])
    np.testing.assert_allclose(up, [[40, 0.6], [40, 0.8]])
    assert not ax.containers[0].lines[2]  # the VAE has no errors
    vae, *swept = (container[0].get_color() for container in ax.containers)
    assert swept[0] == swept[1] != vae
    assert [text.get_text() for text in ax.texts] == list(points)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("grey levels", "fine detail")
    with pytest.raises(UserError, match="no point"):
        figures.trade_off({}, "x", "y")
    with pytest.raises(UserError, match="no point γ 2"):
        figures.trade_off(points, "x", "y", sweep=["γ 2"])
