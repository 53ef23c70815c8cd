"""What the options of the families may be: a name means the same, and has one range, in all."""

import numbers
from collections.abc import Callable
from typing import Any

from facegen_keras import losses
from facegen_keras.errors import UserError

Allowed = tuple[Callable[[Any], bool], str]  # the test, and how its bounds are told


def _at_least(low: float) -> Allowed:
    return lambda value: value >= low, f"at least {low}"


def _whole(low: int) -> Allowed:
    return (
        lambda value: isinstance(value, numbers.Integral) and value >= low,
        f"a whole number from {low} on",
    )


def _one_of(choices: tuple[str, ...]) -> Allowed:
    return lambda value: value in choices, f"one of {', '.join(choices)}"


DTYPE_POLICIES = {  # Keras's names for what `precision` may be
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",  # every optimizer gets a dynamic loss scale
}
_PART: Allowed = (lambda value: 0 <= value <= 1, "0 to 1")
_POSITIVE: Allowed = (lambda value: value > 0, "a positive number")

ALLOWED: dict[str, Allowed] = {
    "precision": _one_of(tuple(DTYPE_POLICIES)),
    "seed": _whole(0),
    "latent_dim": _whole(1),
    "base_channels": _whole(1),
    "beta": _at_least(0),
    "kl_warmup": _at_least(0),
    "reconstruction": _one_of(losses.RECONSTRUCTION_LOSSES),
    "feature_weight": _at_least(0),
    "loss": _one_of(losses.GAN_LOSSES),
    "label_smoothing": (lambda value: 0 <= value < 0.5, "0 up to, not with, 0.5"),
    "r1_gamma": _at_least(0),
    "r1_interval": _whole(1),
    "ema_half_life": _POSITIVE,
    "ema_rampup": _POSITIVE,
    "w_dim": _whole(1),
    "mapping_layers": _whole(1),
    "channel_max": _whole(1),
    "path_weight": _at_least(0),
    "path_interval": _whole(1),
    "style_mixing": _PART,
    "ada_target": (lambda value: -1 < value < 1, "between -1 and 1, such as 0.6"),
    "ada_images": _POSITIVE,
    "accumulate": _whole(1),
    "progressive_fade": _PART,
    "freeze_discriminator": _whole(0),
    "low_precision_blocks": _whole(0),
}


def check_options(options: dict[str, Any]) -> None:
    """Refuse values that no model can be made of; None stands for a default.

    Raises:
        UserError: A value is out of its range; names option, value and range.
    """
    for name, value in options.items():
        if value is None or name not in ALLOWED:
            continue
        fine, expected = ALLOWED[name]
        try:
            allowed = fine(value)
        except TypeError:  # a word where a number belongs
            allowed = False
        if not allowed:
            raise UserError(f"{name} {value!r}: expected {expected}")
    if options.get("label_smoothing") and options.get("loss") == "hinge":
        raise UserError("label_smoothing: the hinge loss has no labels; use loss non_saturating")
    if "channel_base" in options and options["channel_base"] < options["resolution"]:
        raise UserError(f"channel_base {options['channel_base']}: expected at least resolution")
    if options.get("ada_target") is not None and not options["augment"]:
        raise UserError(
            "ada_target: adapts the strength of augmentations, and there are none; give augment, "
            'such as "color,translation,cutout"'
        )
