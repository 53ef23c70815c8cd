"""Figures of the memorisation check hold the photos and distances they are given."""

import numpy as np

from facegen_keras.figures import (
    memorisation_overview,
    nearest_distances,
    nearest_photos,
    save_png,
)
from facegen_keras.figures.theme import COLOURS
from facegen_keras.metrics import Memorisation


def lines(ax) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


def test_nearest_distances_are_cumulative():
    ax = nearest_distances({"held out": np.array([3.0, 1.0]), "vae": np.array([2.0])}, 1.5).axes[0]
    assert lines(ax)["held out"].tolist() == [[1, 0], [1, 50], [3, 100]]
    assert lines(ax)["close: left of this line"][:, 0].tolist() == [1.5, 1.5]
    assert len({line.get_linestyle() for line in ax.get_lines()[:2]}) == 2
    sets = {"held out": np.array([3.0]), "vae": np.array([2.0])}
    black, own = nearest_distances(sets, looks={"vae": 4}).axes[0].get_lines()
    assert (black.get_color(), own.get_color()) == (COLOURS[2], COLOURS[4])


def test_samples_stand_beside_their_nearest_photos():
    photos = np.random.RandomState(0).randint(0, 256, (5, 4, 4, 3)).astype("uint8")
    figure = nearest_photos(255 - photos[:2], photos, [[3, 1], [0, 4]], [[1.0, 2.5], [0.5, 3.0]])
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["sample", "1.00", "2.50", "sample", "0.50", "3.00"]
    shown = [np.asarray(ax.get_images()[0].get_array()) for ax in figure.axes]
    np.testing.assert_array_equal(shown[0], 255 - photos[0])
    np.testing.assert_array_equal(shown[5], photos[4])
    named = nearest_photos(photos[:2], photos, [[3], [0]], [[1], [2]], headings=["copy", "sample"])
    assert [ax.get_title() for ax in named.axes] == ["copy", "1.00", "sample", "2.00"]


def test_the_overview_shows_the_closest_samples_first_and_all_distances(tmp_path):
    samples = np.random.RandomState(0).randint(0, 256, (3, 4, 4, 3)).astype("uint8")
    found = Memorisation(
        indices=np.array([[0, 1], [1, 2], [2, 0]]),
        distances=np.array([[3.0, 4.0], [1.0, 2.0], [2.0, 5.0]]),
        held_out=np.array([2.5, 1.5]),
        threshold=1.6,
        close=1 / 3,
        samples=samples,
        training=255 - samples,
    )
    figure = memorisation_overview(found, rows=2)
    *pictures, ax = figure.axes
    titles = [picture.get_title() for picture in pictures]
    assert titles == ["sample", "1.00", "2.00", "sample", "2.00", "5.00"]
    shown = [np.asarray(picture.get_images()[0].get_array()) for picture in pictures]
    np.testing.assert_array_equal(shown[0], samples[1])
    np.testing.assert_array_equal(shown[4], 255 - samples[2])
    assert lines(ax)["samples"][1:, 0].tolist() == [1, 2, 3]
    assert lines(ax)["close: left of this line"][:, 0].tolist() == [1.6, 1.6]
    assert ax.get_title() == "33.3 % of the samples are close"
    path = save_png(figure, tmp_path / "new" / "m.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert len(memorisation_overview(found).axes) == 3 * 3 + 1
    assert figure.get_figwidth() > 3 * 128 / 120 + 5  # faces at two times 64 pixels
