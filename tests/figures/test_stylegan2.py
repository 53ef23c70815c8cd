"""Tables and measurements of StyleGAN2 hold what they are given, where the headings say."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from facegen_keras import figures
from facegen_keras.errors import UserError
from facegen_keras.generate.projection import Projection
from facegen_keras.metrics import Estimate
from facegen_keras.pictures import tile

TABLE = np.random.RandomState(0).randint(0, 256, (2, 3, 8, 8, 3)).astype("uint8")


def shown(ax) -> np.ndarray:
    (picture,) = ax.get_images()
    return np.asarray(picture.get_array())


def headings(ax) -> tuple[list[str], list[str]]:
    return tuple([t.get_text() for t in axis.get_ticklabels()] for axis in (ax.xaxis, ax.yaxis))


def test_a_table_has_its_headings_beside_its_pictures():
    figure = figures.face_table(TABLE, ["a", "b"], [1, 2, 3], "letter", "number")
    (ax,) = figure.axes
    np.testing.assert_array_equal(shown(ax), tile(TABLE.reshape(-1, 8, 8, 3), (3, 2)))
    assert headings(ax) == (["1", "2", "3"], ["a", "b"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("number", "letter")
    # The middle of the second column, and of the second row.
    assert ax.get_xticks()[1] == ax.get_yticks()[1] == 11.5
    figure.canvas.draw()
    with pytest.raises(UserError, match="1 headings for 2 rows"):
        figures.face_table(TABLE, ["a"])
    with pytest.raises(UserError, match="expected uint8"):
        figures.face_table(TABLE[0])


def test_the_mixing_matrix_sets_the_unmixed_faces_apart():
    figure = figures.style_mix_matrix(TABLE, [7], [8, 9], "layers 0-1")
    (ax,) = figure.axes
    sheet = shown(ax)
    assert sheet.shape == (17, 25, 3)  # a gap of one pixel
    np.testing.assert_array_equal(sheet[9:, 9:17], TABLE[1, 1])
    np.testing.assert_array_equal(sheet[:8, 17:], TABLE[0, 2])
    assert (sheet[8] == 255).all()
    assert (sheet[:, 8] == 255).all()
    assert headings(ax) == (["8", "9"], ["7"])
    assert ax.get_xlabel() == "layers 0-1 from seed"
    figure.canvas.draw()
    with pytest.raises(UserError, match="2 headings for 3 columns"):
        figures.style_mix_matrix(TABLE, [7], [8])


def test_truncations_and_directions_name_their_columns():
    columns, rows = headings(figures.truncation_table(TABLE, (0, 0.5, 1), [4, 5]).axes[0])
    assert columns == ["ψ = 0", "ψ = 0.5", "ψ = 1"]
    assert rows == ["4", "5"]
    columns, rows = headings(figures.direction_table(TABLE, (-2, 0, 1.5)).axes[0])
    assert columns == ["-2 σ", "0", "+1.5 σ"]
    assert rows == ["1", "2"]
    figure = figures.direction_table(TABLE, (-2, 0, 1.5), ["smile", "turn"], unit="", inch=0.5)
    assert headings(figure.axes[0]) == (["-2", "0", "+1.5"], ["smile", "turn"])
    assert 1.5 <= figure.get_figwidth() < 3  # three faces of half an inch, and headings


def test_tables_are_drawn_into_the_axes_of_the_caller():
    figure, axes = plt.subplots(1, 3)
    assert figures.face_table(TABLE, ax=axes[0]) is figure
    assert figures.style_mix_matrix(TABLE, [7], [8, 9], ax=axes[1]) is figure
    points = figures.quality_against_diversity([1], [2.0], [3.0], "a", "b", ax=axes[2])
    assert points is figure
    assert len(figure.axes) == 3
    plt.close(figure)


def test_quality_and_diversity_are_points_with_errors():
    figure = figures.quality_against_diversity(
        (0.5, 1), [Estimate(2.0, 0.25), 3.0], [0.9, 0.6], "distance", "precision", photos=4.0
    )
    (ax,) = figure.axes
    line, *_ = ax.get_lines()
    assert line.get_xydata().tolist() == [[2.0, 0.9], [3.0, 0.6]]
    assert [text.get_text() for text in ax.texts] == ["ψ = 0.5", "ψ = 1"]
    bars = ax.collections[0].get_segments()
    assert bars[0][:, 0].tolist() == [1.75, 2.25]
    assert ax.get_xlabel() == "diversity: distance"
    assert ax.get_ylabel() == "quality: precision"
    assert any(list(line.get_xdata()) == [4.0, 4.0] for line in ax.get_lines())
    figure.canvas.draw()
    with pytest.raises(UserError, match="expected one of each"):
        figures.quality_against_diversity((0.5, 1), [1.0], [1.0, 2.0], "a", "b")


def test_noise_is_shown_beside_its_deviation():
    deviation = np.arange(128.0).reshape(2, 8, 8)
    figure = figures.noise_effect(
        {"none": TABLE[:, 0], "one": TABLE[:, 1]}, deviation, ["seed 1", "seed 2"]
    )
    left, right, bar = figure.axes
    np.testing.assert_array_equal(shown(left), tile(TABLE[:, :2].reshape(-1, 8, 8, 3), (2, 2)))
    np.testing.assert_array_equal(shown(right), np.concatenate(list(deviation)))
    assert headings(left) == (["none", "one"], ["seed 1", "seed 2"])
    assert bar.get_ylabel() == "grey levels"
    figure.canvas.draw()
    with pytest.raises(UserError, match="deviation of shape"):
        figures.noise_effect({"none": TABLE[:, 0]}, deviation[:1])


def test_a_projection_from_its_start_to_what_it_found():
    frames = np.stack([np.full((8, 8, 3), level, "uint8") for level in (10, 20, 30, 40, 50)])
    start, found = np.zeros((8, 8, 3), "uint8"), np.full((8, 8, 3), 60, "uint8")
    result = Projection(np.zeros((1, 4, 2), "float32"), found, start, [4.0, 2.0, 1.0], frames)
    figure = figures.projection_steps(TABLE[0, 0], result, "w", shown=3)
    left, right = figure.axes
    assert shown(left)[0, ::8, 0].tolist() == [int(TABLE[0, 0, 0, 0, 0]), 0, 20, 30, 40, 60]
    assert headings(left)[0] == ["target", "start", "", "", "", "found"]
    (line,) = right.get_lines()
    assert line.get_xydata().tolist() == [[1, 4.0], [2, 2.0], [3, 1.0]]
    assert "squared difference" in right.get_ylabel()
    figure.canvas.draw()
    width = left.get_axes_locator()(left, None).width * figure.bbox.width  # of six faces
    assert width / 48 == pytest.approx(round(width / 48))
    assert width >= 6 * 128 - 0.5


def test_stages_are_drawn_at_one_size_without_smoothing():
    small = np.arange(2 * 4 * 4 * 3, dtype="uint8").reshape(2, 4, 4, 3)
    figure = figures.growing_stages({"4×4": small, "8×8": TABLE[0]})
    (ax,) = figure.axes
    sheet = shown(ax)
    assert sheet.shape == (16, 16, 3)  # the fewest images of a stage
    np.testing.assert_array_equal(sheet[:8:2, 8::2], small[1])
    np.testing.assert_array_equal(sheet[1:8:2, 9::2], small[1])
    assert headings(ax)[1] == ["4×4", "8×8"]
    with pytest.raises(UserError, match="does not divide"):
        figures.growing_stages({"3×3": small[:, :3, :3], "8×8": TABLE[0]})
    with pytest.raises(UserError, match="no stage"):
        figures.growing_stages({})
