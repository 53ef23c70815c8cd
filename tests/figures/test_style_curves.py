"""Curves over truncation and over layers hold their numbers, errors and names."""

import numpy as np
import pytest

from facegen_keras import figures
from facegen_keras.errors import UserError
from facegen_keras.metrics import Estimate


def test_truncation_curves_hold_numbers_and_errors():
    figure = figures.truncation_curves(
        (0.5, 1), {"precision": [Estimate(0.8, 0.1), 0.6], "recall": [0.1, 0.3]}, "share"
    )
    (ax,) = figure.axes
    precision, recall = (container[0] for container in ax.containers)
    assert precision.get_xydata().tolist() == [[0.5, 0.8], [1, 0.6]]
    assert recall.get_xydata().tolist() == [[0.5, 0.1], [1, 0.3]]
    assert precision.get_linestyle() != recall.get_linestyle()
    bars = ax.collections[0].get_segments()
    np.testing.assert_allclose(bars[0][:, 1], [0.7, 0.9])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["precision", "recall"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("truncation ψ", "share")
    figure.canvas.draw()
    with pytest.raises(UserError, match="recall: 1 numbers for 2 ψ"):
        figures.truncation_curves((0.5, 1), {"recall": [0.1]})


def test_sizes_by_layer_are_medians_in_their_range():
    sizes = {
        "on": {"b4_conv1": np.array([1.0, 2.0, 9.0]), "b8_conv0": np.array([3.0, 3.0, 3.0])},
        "off": {"b4_conv1": np.array([4.0, 4.0, 4.0]), "b8_conv0": np.array([5.0, 6.0, 7.0])},
    }
    figure = figures.sizes_by_layer(sizes, "size")
    (ax,) = figure.axes
    on, off = ax.get_lines()
    assert on.get_xydata().tolist() == [[0, 2.0], [1, 3.0]]
    assert off.get_xydata().tolist() == [[0, 4.0], [1, 6.0]]
    band = ax.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (1.0, 9.0)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["b4\nconv1", "b8\nconv0"]
    assert (ax.get_yscale(), ax.get_ylabel()) == ("log", "size")
    figure.canvas.draw()
    with pytest.raises(UserError, match="2 lists of layers"):
        figures.sizes_by_layer({**sizes, "other": {"b4_conv1": np.ones(3)}})
