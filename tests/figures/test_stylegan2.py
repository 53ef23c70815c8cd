"""Tables and measurements of StyleGAN2 hold what they are given, where the headings say."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from facegen_keras import figures
from facegen_keras.errors import UserError
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
    figure, axes = plt.subplots(1, 2)
    assert figures.face_table(TABLE, ax=axes[0]) is figure
    assert figures.style_mix_matrix(TABLE, [7], [8, 9], ax=axes[1]) is figure
    assert len(figure.axes) == 2
    plt.close(figure)


def test_noise_is_shown_beside_its_deviation():
    deviation = np.arange(128.0).reshape(2, 8, 8)
    figure = figures.noise_effect(
        {"none": TABLE[:, 0], "one": TABLE[:, 1]}, deviation, ["seed 1", "seed 2"]
    )
    (ax,) = figure.axes
    most = np.percentile(deviation, 99)
    grey = (255 * np.clip(deviation / most, 0, 1)).round().astype("uint8")
    whole = np.concatenate([TABLE[:, :2], grey[:, None, ..., None].repeat(3, -1)], axis=1)
    np.testing.assert_array_equal(shown(ax), tile(whole.reshape(-1, 8, 8, 3), (3, 2)))
    assert headings(ax) == (["none", "one", "deviation"], ["seed 1", "seed 2"])
    (bar,) = ax.child_axes
    assert bar.get_ylabel() == "grey levels"
    assert bar.get_ylim() == (0, most)
    figure.canvas.draw()
    with pytest.raises(UserError, match="deviation of shape"):
        figures.noise_effect({"none": TABLE[:, 0]}, deviation[:1])


def test_a_map_of_nothing_is_black():
    still = np.zeros((2, 8, 8))
    figure = figures.noise_effect({"none": TABLE[:, 0]}, still)
    assert not shown(figure.axes[0])[:, 8:].any()
    figure = figures.style_exchange(TABLE, still, ["a", "b", "where"], ["before", 1, 2])
    assert not shown(figure.axes[0])[16:, 8:].any()
    figure.canvas.draw()


def test_exchanged_styles_stand_above_the_map_of_what_moved():
    maps = np.arange(128.0).reshape(2, 8, 8)
    figure = figures.style_exchange(TABLE, maps, ["a", "b", "where"], ["before", 1, 2], most=127.0)
    (ax,) = figure.axes
    sheet = shown(ax)
    np.testing.assert_array_equal(sheet[:16], tile(TABLE.reshape(-1, 8, 8, 3), (3, 2)))
    assert (sheet[16:, :8] == 255).all()  # nothing has moved yet, so there is no map
    np.testing.assert_array_equal(sheet[16:, 8:16, 0], (255 * maps[0] / 127).round())
    assert sheet[-1, -1].tolist() == [255, 255, 255]
    assert headings(ax) == (["before", "1", "2"], ["a", "b", "where"])
    assert ax.child_axes[0].get_ylim() == (0, 127)
    assert figures.style_exchange(TABLE, maps, ["a", "b", "where"], ["before", 1, 2]).axes
    figure.canvas.draw()
    with pytest.raises(UserError, match="maps of shape"):
        figures.style_exchange(TABLE, maps[:1], ["a", "b", "where"], ["before", 1, 2])
