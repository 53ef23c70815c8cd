"""The figures of a set of faces hold the numbers and pixels they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from facegen_keras.errors import UserError
from facegen_keras.figures import (
    colour_histogram,
    eigenface_grid,
    explained_variance,
    image_rows,
    mean_and_std,
    named_bars,
    power_spectra,
    value_histogram,
    value_ranges,
)
from facegen_keras.metrics import Estimate
from facegen_keras.pictures import tile

IMAGES = np.random.RandomState(0).randint(0, 256, (3, 4, 4, 3)).astype("uint8")


def shown(ax) -> np.ndarray:
    (picture,) = ax.get_images()
    return np.asarray(picture.get_array())


def widths(ax) -> list[float]:
    return [bar.get_width() for bar in ax.patches]


def names(ax) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def written(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def lines(ax) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


def test_bars_say_their_numbers_and_gather_the_rest():
    figure = named_bars({"64x64": 1500, "32x40": 20, "1x1": 3, "2x2": 4}, "files", most=2)
    (ax,) = figure.axes
    assert names(ax) == ["64x64", "32x40", "2 others"]
    assert widths(ax) == [1500, 20, 7]
    assert written(ax) == ["1,500", "20", "7"]
    bottom, top = ax.get_ylim()
    assert bottom > top  # the first is at the top
    figure.canvas.draw()
    with pytest.raises(UserError, match="no value"):
        named_bars({}, "files")


def test_measured_bars_have_their_error_and_no_sum():
    (ax,) = named_bars({"a": Estimate(0.123456, 0.02), "b": 1.5, "c": 2.0}, "KID", most=2).axes
    assert names(ax) == ["a", "b"]
    assert written(ax) == ["0.12", "1.5"]  # the digits that its error allows
    (errors,) = ax.collections
    (first, second) = errors.get_segments()
    np.testing.assert_allclose([first[0][0], first[1][0]], [0.103456, 0.143456])
    assert second[0][0] == second[1][0] == 1.5


def test_histograms_are_shares_over_common_bins():
    sets = {"all": np.array([0.0, 1, 1, 3]), "few": np.array([3.0, 4])}
    (ax,) = value_histogram(sets, "brightness", bins=4).axes
    found = lines(ax)
    np.testing.assert_array_equal(found["all"], [[0, 25], [1, 50], [2, 0], [3, 25], [4, 25]])
    np.testing.assert_array_equal(found["few"][:, 1], [0, 0, 0, 100, 100])
    assert ax.get_legend() is not None
    assert value_histogram(sets["all"], "x").axes[0].get_legend() is None
    with pytest.raises(UserError, match="no value"):
        value_histogram({"empty": np.array([])}, "x")


def test_ranges_are_quantiles_one_row_per_set():
    sets = {"all": np.arange(101.0), "few": np.array([7.0])}
    (ax,) = value_ranges(sets, "degrees").axes
    drawn = [line.get_xydata().tolist() for line in ax.get_lines()]
    assert drawn[:3] == [[[5, 0], [95, 0]], [[25, 0], [75, 0]], [[50, 0]]]
    assert drawn[5] == [[7, 1]]
    thin, thick = (line.get_linewidth() for line in ax.get_lines()[:2])
    assert thin < thick
    assert names(ax) == ["all", "few"]
    bottom, top = ax.get_ylim()
    assert bottom > top  # the first is at the top
    for empty in ({}, {"empty": np.array([])}):
        with pytest.raises(UserError, match="no value"):
            value_ranges(empty, "degrees")


def test_colours():
    histogram = np.arange(3 * 256).reshape(3, 256)
    ax = colour_histogram(histogram).axes[0]
    for channel, line in enumerate(ax.get_lines()):  # red is drawn in red
        assert np.argmax(to_rgb(line.get_color())) == channel
    assert len({line.get_linestyle() for line in ax.get_lines()}) == 3
    found = lines(ax)
    assert list(found) == ["red", "green", "blue"]
    assert found["green"][7, 1] == pytest.approx(100 * 263 / histogram[1].sum())


def test_mean_and_standard_deviation():
    mean, std = np.full((4, 4, 3), 99.6), np.arange(48.0).reshape(4, 4, 3)
    figure = mean_and_std(mean, std)
    assert (shown(figure.axes[0]) == 100).all()
    np.testing.assert_array_equal(shown(figure.axes[1]), std.mean(-1))
    faces = mean_and_std(np.full((64, 64, 3), 99.6), np.ones((64, 64, 3)))
    faces.draw_without_rendering()
    wide = [round(ax.get_window_extent().width) for ax in faces.axes[:2]]
    assert wide == [256, 256]  # 64 times 4 pixels


def test_eigenfaces_are_stretched_around_grey():
    components = np.zeros((2, 4, 4, 3))
    components[0, 0, 0], components[0, 1, 1] = 0.5, -0.25
    figure = eigenface_grid(components, np.array([0.25, 0.071]), columns=2)
    first, second = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["1: 25%", "2: 7.1%"]
    assert shown(first)[0, 0].tolist() == [255] * 3
    assert shown(first)[1, 1].tolist() == [64] * 3
    assert (shown(second) == 128).all()


def test_explained_variance_counts_components_from_one():
    figure = explained_variance({"a": [0.5, 0.8, 0.95], "b": [0.4, 0.7, 0.8]}, levels=(0.75, 0.99))
    (ax,) = figure.axes
    found = lines(ax)
    np.testing.assert_allclose(found["a"], [[1, 50], [2, 80], [3, 95]])
    assert ax.get_xscale() == "log"
    assert written(ax) == ["75%: 2"]
    marks = [line.get_xydata().tolist() for line in ax.get_lines() if line.get_marker() == "o"]
    assert marks == [[[2, 80]]]


def test_rows_stand_below_each_other():
    figure = image_rows({"faces": IMAGES, "negatives": 255 - IMAGES})
    (ax,) = figure.axes
    np.testing.assert_array_equal(shown(ax), tile(np.concatenate([IMAGES, 255 - IMAGES]), (3, 2)))
    assert names(ax) == ["faces", "negatives"]
    assert ax.get_yticks().tolist() == [1.5, 5.5]
    with pytest.raises(UserError, match="expected one shape"):
        image_rows({"a": IMAGES, "b": IMAGES[:2]})


def test_spectra_of_unlike_sizes_share_the_axis():
    figure = power_spectra({"large": np.ones(8), "small": np.full(2, 5.0)})
    found = lines(figure.axes[0])
    assert found["large"][[0, -1]].tolist() == [[1 / 16, 1], [0.5, 1]]
    assert found["small"].tolist() == [[0.25, 5], [0.5, 5]]


def test_axes_of_the_caller_are_used():
    figure, axes = plt.subplots(2, 3)
    results = [
        named_bars({"a": 1}, "x", ax=axes[0, 0]),
        value_histogram(np.arange(3), "x", ax=axes[0, 1]),
        colour_histogram(np.ones((3, 256)), ax=axes[0, 2]),
        explained_variance({"a": [1.0]}, ax=axes[1, 0]),
        image_rows({"a": IMAGES}, ax=axes[1, 1]),
        power_spectra({"a": np.ones(4)}, ax=axes[1, 2]),
    ]
    assert all(result is figure for result in results)
    assert all(ax.has_data() for ax in axes.flat)
    plt.close(figure)
