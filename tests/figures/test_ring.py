"""Panels of the game in the plane hold the samples and the levels they are given."""

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.figures import ring_panels
from facegen_keras.figures.ring import REAL
from facegen_keras.models.ring import CELLS, CENTRES, EDGE, NEAR, Snapshot


def snapshot(step):
    samples = np.random.default_rng(step).normal(size=(64, 2))
    level = np.linspace(0, 1, CELLS**2).reshape(CELLS, CELLS)
    return Snapshot(step, samples, np.ones((64, 2)), level)


def test_a_row_for_each_game():
    games = {"one": [snapshot(0), snapshot(5)], "two": [snapshot(1), snapshot(5)]}
    figure = ring_panels(games)
    first, second, third, _ = figure.axes
    assert [first.get_title(), second.get_title()] == ["step 0", "step 5"]
    assert [first.get_ylabel(), third.get_ylabel()] == ["one", "two"]
    ground, *others = first.collections
    np.testing.assert_array_equal(ground.get_array(), games["one"][0].level)
    (points,) = [x for x in others if len(x.get_offsets()) == 64]
    np.testing.assert_array_equal(
        points.get_offsets(), np.clip(games["one"][0].samples, -EDGE, EDGE)
    )
    (real,) = [x.get_offsets() for x in others if len(x.get_offsets()) == REAL]
    assert np.linalg.norm(real[:, None] - CENTRES, axis=-1).min(axis=1).max() < NEAR
    figure.canvas.draw()


def test_games_of_different_lengths_are_refused():
    with pytest.raises(UserError, match=r"\[1, 2\] snapshots"):
        ring_panels({"one": [snapshot(0)], "two": [snapshot(0), snapshot(1)]})
