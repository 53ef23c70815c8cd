"""Real or drawn, asked in a notebook: two faces, two buttons and the score; notebook 06 has it.

It needs ipywidgets (the extra `notebooks`) and somebody who answers. A page without widgets, and a
notebook where ipywidgets is not installed, shows the first pair in their place.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from facegen_keras.demo.human_test import HumanTest
from facegen_keras.pictures import tile

if TYPE_CHECKING:
    import ipywidgets

FACTOR = 3  # of the size of a face on the page


def ask(test: HumanTest) -> ipywidgets.VBox | Image.Image:
    """The pairs of a test, one after the other, with a button for each side.

    Args:
        test: As from `human_test.new_test`; its `answers` grow with every click.

    Returns:
        A widget to end a cell with, or the first pair where ipywidgets is not installed.
    """
    try:
        import ipywidgets
    except ImportError:
        return next_pair(test)
    return _widget(ipywidgets, test)


def standing(test: HumanTest) -> str:
    """One line: how far the test is, its score once it is finished, or that nobody answered."""
    if test.finished:
        return str(test.result())
    if not test.answers:
        return f"Nobody has answered yet: {test.pairs} pairs are waiting, and there is no score."
    return f"{len(test.answers)} of {test.pairs} pairs answered: no score before the last."


def next_pair(test: HumanTest) -> Image.Image:
    """The next pair, the left face beside the right one; the last once the test is finished."""
    index = min(len(test.answers), test.pairs - 1)
    faces = [test.photos[index], test.drawn[index]]
    sheet = tile(np.stack(faces if test.photo_left[index] else faces[::-1]), (2, 1))
    return Image.fromarray(sheet.repeat(FACTOR, axis=0).repeat(FACTOR, axis=1))


def _png(test: HumanTest) -> bytes:
    buffer = io.BytesIO()
    next_pair(test).save(buffer, "PNG")
    return buffer.getvalue()


def _widget(ipywidgets: Any, test: HumanTest) -> ipywidgets.VBox:
    class Questions(ipywidgets.VBox):
        """Two buttons below a pair; a page without widgets shows the pair."""

        def _repr_mimebundle_(self, **kwargs: object) -> dict[str, object] | tuple:
            bundle = super()._repr_mimebundle_(**kwargs)
            data, *rest = bundle if isinstance(bundle, tuple) else (bundle,)
            data = {**(data or {}), "text/plain": standing(test)}
            data["image/png"] = base64.b64encode(_png(test)).decode()
            return (data, *rest) if rest else data

    picture, said = ipywidgets.Image(format="png"), ipywidgets.Label()
    buttons = [
        ipywidgets.Button(description=f"{side} is the photo", layout={"width": "190px"})
        for side in ("left", "right")
    ]

    def show() -> None:
        picture.value, said.value = _png(test), standing(test)
        for button in buttons:
            button.disabled = test.finished

    def answer(button: object) -> None:
        test.answer(button is buttons[0])
        show()

    for button in buttons:
        button.on_click(answer)
    show()
    questions = Questions([picture, ipywidgets.HBox(buttons), said])
    questions.buttons, questions.picture, questions.said = buttons, picture, said
    return questions
