"""Options of the families: name, type, default, meaning and range of each stand in one field.

A family declares its options in a frozen dataclass beside its model:

    @dataclass(frozen=True)
    class DCGANOptions(FaceModelOptions):
        base_channels: int = option(64, "Channels of the layer next to the image", whole(1))

Everything else follows from it: the arguments of the class (`takes`), its docstring, the flags and
YAML keys (`runs.config`), and the refusal of impossible values.
"""

import dataclasses
import functools
import inspect
import math
import numbers
import typing
from collections.abc import Callable
from dataclasses import KW_ONLY, MISSING, dataclass, field
from typing import Any, ClassVar, Concatenate, Literal, NamedTuple, ParamSpec, TypeVar

from facegen_keras.errors import UserError
from facegen_keras.resolution import SMALLEST_TRAINED, check_resolution
from facegen_keras.startup import quiet

Precision = Literal["float32", "bfloat16", "float16", "auto"]
DTYPE_POLICIES: dict[Precision, str] = {  # Keras's names
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",  # every optimizer gets a dynamic loss scale
}
LARGEST_SEED = 2**32 - 1  # NumPy's
# Options that may change when a training is resumed. `augment` may be turned on later: overfitting
# shows late. A run records from which step on. The prior is fitted after training.
MAY_CHANGE = frozenset({"augment", "prior", "prior_components"})


# --- the range of an option ---


class Allowed(NamedTuple):
    """The values that an option may have, and how a message describes them."""

    holds: Callable[[Any], bool]
    text: str


def at_least(low: float) -> Allowed:
    """Numbers from `low` on."""
    return Allowed(lambda value: value >= low, f"at least {low}")


def whole(low: int) -> Allowed:
    """Whole numbers from `low` on."""
    return Allowed(
        lambda value: isinstance(value, numbers.Integral) and int(value) >= low,
        f"a whole number from {low} on",
    )


POSITIVE = Allowed(lambda value: 0 < value < math.inf, "a positive number")
FRACTION = Allowed(lambda value: 0 <= value <= 1, "0 to 1")
SEED = Allowed(
    lambda value: isinstance(value, numbers.Integral) and 0 <= int(value) <= LARGEST_SEED,
    f"0 to {LARGEST_SEED}",
)
BELOW_ONE = Allowed(lambda value: 0 <= value < 1, "a number from 0 to less than 1")


# --- declaring options ---


def option(
    default: Any, help: str, allowed: Allowed | None = None, default_text: str | None = None
) -> Any:
    """A field of an options dataclass.

    Args:
        default: The value where none is given; None is allowed only where it is the default.
        help: The meaning, in a phrase without a full stop.
        allowed: The range; the choices of a `Literal` need none.
        default_text: What a default of None stands for.
    """
    metadata = {"help": help, "allowed": allowed, "default_text": default_text}
    return field(default=default, metadata=metadata)


def shared(options_type: type, name: str, default: Any = MISSING, default_text: str = "") -> Any:
    """The option of another family: the same meaning and range, perhaps with another default."""
    original = field_of(options_type, name)
    value = original.default if default is MISSING else default
    text = default_text or original.metadata["default_text"]
    return option(value, original.metadata["help"], original.metadata["allowed"], text)


def field_of(options_type: type, name: str) -> dataclasses.Field:
    """The field of an options dataclass, by its name."""
    return next(each for each in dataclasses.fields(options_type) if each.name == name)


def check(options: Any) -> None:
    """Refuse values outside of their ranges.

    Args:
        options: A dataclass whose fields are made by `option`.

    Raises:
        UserError: Names option, value and range.
    """
    types = typing.get_type_hints(type(options))
    for each in dataclasses.fields(options):
        value, allowed = getattr(options, each.name), each.metadata["allowed"]
        if value is None and each.default is None:
            continue
        if typing.get_origin(types[each.name]) is Literal:
            choices = typing.get_args(types[each.name])
            allowed = Allowed(choices.__contains__, f"one of {', '.join(choices)}")
        try:
            fine = allowed is None or allowed.holds(value)
        except TypeError:  # a word where a number belongs
            fine = False
        if not fine:
            raise UserError(f"{each.name} {value!r}: expected {allowed.text}")


@dataclass(frozen=True)
class AdamOptions:
    """What the optimizers of a family are made with where nothing else is asked for.

    Raises:
        UserError: A value is out of its range.
    """

    learning_rate: float = option(2e-4, "Adam's learning rate", POSITIVE)
    beta_1: float = option(0.9, "Adam's β1", BELOW_ONE)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class FaceModelOptions:
    """The options of every family.

    Attributes:
        family: The name of the family.
        adam: What its optimizers are made with; from its paper.
        has_validation: Whether it measures the losses of held-out photos.

    Raises:
        UserError: A value is out of its range; names option, value and range.
    """

    family: ClassVar[str]
    adam: ClassVar[AdamOptions]
    has_validation: ClassVar[bool] = False

    resolution: int = option(64, "Height and width of the images: 32, 64, 128 ... pixels")
    latent_dim: int = option(128, "Length of the latent z", whole(1))
    _: KW_ONLY
    precision: Precision = option(  # noqa: RUF009 - it makes a field
        "float32",
        "Arithmetic of the hidden layers; weights stay float32, float16 scales the losses, auto is "
        "bfloat16 where it is faster and else float32",
    )
    seed: int = option(0, "Seed of everything random in training", SEED)

    def __post_init__(self) -> None:
        check_resolution(self.resolution, SMALLEST_TRAINED)
        check(self)
        if self.precision == "auto":  # what is recorded is what is used
            with quiet():  # the command line reads its flags before Keras is there
                from facegen_keras.backend.precision import fastest_precision

            object.__setattr__(self, "precision", fastest_precision()[0])

    def as_dict(self) -> dict[str, Any]:
        """The options by name."""
        return {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}


# --- from options to the arguments of a class ---

Self = TypeVar("Self")
Options = TypeVar("Options")
Arguments = ParamSpec("Arguments")


def takes(
    options_type: Callable[Arguments, Options],
) -> Callable[[Callable[[Self, Options], None]], Callable[Concatenate[Self, Arguments], None]]:
    """Make an `__init__` that is written for an options object take the options one by one.

    The signature that `help`, editors and type checkers show is that of the options dataclass.
    """

    def decorate(
        init: Callable[[Self, Options], None],
    ) -> Callable[Concatenate[Self, Arguments], None]:
        @functools.wraps(init)
        def __init__(self: Self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
            init(self, options_type(*args, **kwargs))

        own = next(iter(inspect.signature(init).parameters.values()))
        options = inspect.signature(options_type)
        __init__.__signature__ = options.replace(  # type: ignore[attr-defined]
            parameters=[own, *options.parameters.values()]
        )
        __init__.options_type = options_type  # type: ignore[attr-defined]
        return __init__

    return decorate


def arguments_section(options_type: type) -> str:
    """The `Args:` of a class that takes these options, in Google's style."""
    lines = ["Args:"]
    for name in inspect.signature(options_type).parameters:
        metadata = field_of(options_type, name).metadata
        lines.append(f"    {name}: {metadata['help']}.")
        if metadata["default_text"]:
            lines[-1] += f" None: {metadata['default_text']}."
    return "\n".join(lines)
