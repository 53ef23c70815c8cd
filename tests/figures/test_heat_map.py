"""A heat map holds the numbers it is given, with ink that can be read on their ground."""

import numpy as np

from facegen_keras.figures import heat_map


def test_numbers_in_their_places():
    values = np.array([[1.0, 4.0], [np.nan, 2.25]])
    (ax,) = heat_map(values, (0.5, 0.7), (32, 64), "β1", "latent", "distance").axes
    np.testing.assert_array_equal(np.asarray(ax.get_images()[0].get_array().filled(np.nan)), values)
    written = {text.get_position(): (text.get_text(), text.get_color()) for text in ax.texts}
    assert written == {
        (0, 0): ("1.00", "white"),
        (1, 0): ("4.00", "black"),
        (1, 1): ("2.25", "white"),
    }
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.5", "0.7"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["32", "64"]
    (ax,) = heat_map(values, (0.5, 0.7), (32, 64), "β1", "latent", "distance", digits=1).axes
    assert [text.get_text() for text in ax.texts] == ["1.0", "4.0", "2.2"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("β1", "latent", "distance")
