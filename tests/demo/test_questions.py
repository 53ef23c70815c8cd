"""The test in a notebook: what is shown, what a click does, and that nobody's answer is made up."""

import base64
import io
import sys

import numpy as np
import pytest
from PIL import Image

from facegen_keras.demo import questions
from facegen_keras.demo.human_test import new_test


@pytest.fixture
def test(studio, made_up):
    return new_test("vae", studio.generator("vae_decoder"), made_up(6, 8), seed=3, pairs=6)


def shown(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_clicks_are_answers(test):
    pytest.importorskip("ipywidgets")
    widget = questions.ask(test)
    assert "Nobody has answered yet: 6 pairs" in widget.said.value
    left, right = widget.buttons
    for on_left in test.photo_left:
        pair = np.concatenate(test.pair(), axis=1)
        np.testing.assert_array_equal(
            shown(widget.picture.value)[:: questions.FACTOR, :: questions.FACTOR], pair
        )
        (left if on_left else right).click()
    assert test.finished
    assert left.disabled
    assert right.disabled
    assert widget.said.value.startswith(
        "6 of 6 photos recognised: 100 %, 95 % interval 61 to 100 %"
    )


def test_no_score_before_the_end(test):
    assert "no score" in questions.standing(test)
    test.answer(True)
    assert questions.standing(test) == "1 of 6 pairs answered: no score before the last."


def test_a_page_without_widgets_shows_a_pair(test, monkeypatch):
    pytest.importorskip("ipywidgets")
    bundle = questions.ask(test)._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "Nobody has answered" in data["text/plain"]
    expected = np.asarray(questions.next_pair(test))
    np.testing.assert_array_equal(shown(base64.b64decode(data["image/png"])), expected)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    np.testing.assert_array_equal(np.asarray(questions.ask(test)), expected)
