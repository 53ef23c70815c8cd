"""The values of flags: seeds, grids, layers, style mixes, truncations, generator options."""

import re
from typing import TYPE_CHECKING, Protocol

from facegen_keras.errors import UserError
from facegen_keras.pictures import MAX_FACES

if TYPE_CHECKING:
    from facegen_keras.generate.generator import StyleOptions

MIX_USAGE = "expected rows=1,2,3 cols=4,5,6 layers=0-3"


def parse_mix(words: list[str]) -> dict[str, str]:
    """`rows`, `cols` and `layers` of a style mixing.

    Raises:
        UserError: One of them is missing or repeated, or something else is given.
    """
    parts: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name not in ("rows", "cols", "layers") or not equals or name in parts:
            raise UserError(f"style_mix {word!r}: {MIX_USAGE}")
        parts[name] = value
    if len(parts) < 3:
        raise UserError(f"style_mix {' '.join(words)}: {MIX_USAGE}")
    return parts


def parse_psis(text: str) -> list[float]:
    """Truncations from `"0,0.5,0.7,1"`.

    Raises:
        UserError: A value is not a number.
    """
    try:
        return [float(piece) for piece in text.split(",")]
    except ValueError:
        raise UserError(f"truncation_sweep {text!r}: expected numbers such as 0,0.5,1") from None


def parse_seeds(text: str, option: str = "seeds") -> list[int]:
    """Seeds from `"0-35,100"`: whole numbers and inclusive ranges, in the order given.

    Args:
        text: The seeds.
        option: Name of the option, for errors.

    Raises:
        UserError: The text holds something else.
    """
    seeds: list[int] = []
    for piece in str(text).split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", piece)
        if not match:
            raise UserError(f"{option} {text!r}: expected numbers and ranges such as 0-35,100")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last >= 2**32:
            raise UserError(
                f"{option} {text!r}: {piece.strip()} is not a range within 0 to {2**32 - 1}"
            )
        if len(seeds) + last - first >= MAX_FACES:
            raise UserError(f"{option} {text!r}: more than {MAX_FACES:,} seeds")
        seeds.extend(range(first, last + 1))
    return seeds


def parse_grid(text: str) -> tuple[int, int] | None:
    """Columns and rows from `"6x4"`, or None from `"none"`.

    Raises:
        UserError: Anything else.
    """
    if text.strip().lower() == "none":
        return None
    match = re.fullmatch(r"\s*(\d+)\s*[x×]\s*(\d+)\s*", text.lower())
    if not match or not int(match[1]) * int(match[2]):
        raise UserError(f"grid {text!r}: expected columns x rows such as 6x4, or none")
    columns, rows = int(match[1]), int(match[2])
    if columns * rows > MAX_FACES:
        raise UserError(f"grid {text!r}: expected at most {MAX_FACES:,} places")
    return columns, rows


def parse_layers(text: str, count: int) -> list[int]:
    """Layers from `"0-3,6"`: whole numbers and inclusive ranges from 0 to `count - 1`, sorted.

    Args:
        text: The layers.
        count: Number of layers.

    Raises:
        UserError: The text holds something else.
    """
    layers: list[int] = []
    for piece in str(text).split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", piece)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last >= count:
            raise UserError(
                f"layers {text!r}: expected numbers and ranges from 0 to {count - 1}, such as 0-3"
            )
        layers.extend(range(first, last + 1))
    return sorted(set(layers))


class HasStyleOptions(Protocol):
    """A configuration with the options of a call of a generator; only StyleGAN2 has any."""

    @property
    def truncation_psi(self) -> float | None: ...
    @property
    def truncation_cutoff(self) -> int | None: ...
    @property
    def noise_mode(self) -> str | None: ...


def generator_options(config: HasStyleOptions) -> "StyleOptions":
    """The options of a generator that a configuration gives, as keyword arguments."""
    options: StyleOptions = {}
    if config.truncation_psi is not None:
        options["truncation_psi"] = config.truncation_psi
    if config.truncation_cutoff is not None:
        options["truncation_cutoff"] = config.truncation_cutoff
    if config.noise_mode is not None:
        options["noise_mode"] = config.noise_mode
    return options
