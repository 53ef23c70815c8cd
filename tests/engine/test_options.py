"""Options declared once: ranges, sharing, and the arguments that follow from them."""

import inspect
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest

from facegen_keras.engine.options import (
    FRACTION,
    POSITIVE,
    AdamOptions,
    FaceModelOptions,
    arguments_section,
    option,
    shared,
    takes,
    whole,
)
from facegen_keras.errors import UserError


@dataclass(frozen=True)
class PaintOptions(FaceModelOptions):
    latent_dim: int = shared(FaceModelOptions, "latent_dim", 7)
    brush: Literal["round", "flat"] = option("round", "Shape of the brush")
    drip: float | None = option(None, "Fraction that drips", FRACTION, "as much as it wants")
    layers: int = option(2, "Coats of paint", whole(1))


class Painter:
    """Paints."""

    @takes(PaintOptions)
    def __init__(self, options: PaintOptions) -> None:
        self.options = options


def test_the_arguments_are_the_options():
    parameters = inspect.signature(Painter).parameters
    assert {name: p.default for name, p in parameters.items()} == {
        "resolution": 64, "latent_dim": 7, "brush": "round", "drip": None, "layers": 2,
        "precision": "float32", "seed": 0,
    }  # fmt: skip
    assert parameters["seed"].kind is inspect.Parameter.KEYWORD_ONLY
    assert Painter(32, 5, "flat", seed=3).options == PaintOptions(
        resolution=32, latent_dim=5, brush="flat", seed=3
    )
    with pytest.raises(TypeError, match="colour"):
        Painter(colour="red")


def test_the_docstring_lists_every_option():
    lines = arguments_section(PaintOptions).splitlines()
    assert lines[0] == "Args:"
    assert [line.split(":")[0].strip() for line in lines[1:]] == list(
        inspect.signature(Painter).parameters
    )
    assert "    drip: Fraction that drips. None: as much as it wants." in lines


def test_a_shared_option_has_one_meaning_and_one_range():
    fields = PaintOptions.__dataclass_fields__
    own, original = fields["latent_dim"], FaceModelOptions.__dataclass_fields__["latent_dim"]
    assert own.metadata == original.metadata
    assert (own.default, original.default) == (7, 128)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"brush": "wide"}, "brush 'wide': expected one of round, flat"),
        ({"drip": 1.5}, "drip 1.5: expected 0 to 1"),
        ({"drip": "much"}, "drip 'much': expected 0 to 1"),
        ({"layers": 0}, "layers 0: expected a whole number from 1 on"),
        ({"layers": 1.5}, "layers 1.5: expected a whole number from 1 on"),
        ({"layers": None}, "layers None: expected a whole number from 1 on"),
        ({"latent_dim": 0}, "latent_dim 0: expected a whole number from 1 on"),
        ({"precision": "half"}, "precision 'half': expected one of float32, bfloat16, float16, "),
        ({"precision": 16}, "precision 16: expected one of float32, bfloat16, float16, auto"),
        ({"seed": 2**32}, "seed 4294967296: expected 0 to 4294967295"),
        ({"resolution": 48}, "resolution 48: expected a power of two from 32 to 1024"),
    ],
)
def test_values_outside_of_their_range_are_refused(options, message):
    with pytest.raises(UserError) as refusal:
        PaintOptions(**options)
    assert str(refusal.value).startswith(message)


def test_values_at_the_ends_of_their_range_are_not():
    PaintOptions(drip=0, layers=np.int64(1), seed=2**32 - 1)
    PaintOptions(drip=1.0, resolution=1024)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_rate_is_positive(value):
    with pytest.raises(UserError, match=r"learning_rate .*: expected a positive number"):
        AdamOptions(learning_rate=value)
    assert not POSITIVE.holds(value)
