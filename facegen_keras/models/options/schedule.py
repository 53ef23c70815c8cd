"""Progressive growing of a StyleGAN2: which resolution is trained when."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facegen_keras.errors import UserError

LOWEST = 4  # pixels along one side of the learned constant


@dataclass(frozen=True)
class Schedule:
    """Which resolution is trained when.

    Attributes:
        images: Images per resolution, fade-in included, lowest first; the last has no end.
        fade: Fraction of the previous resolution's images over which a new one is faded in.
    """

    images: Mapping[int, int]
    fade: float = 0.5

    def resolution(self, images_seen: int) -> int:
        """The resolution in training after that many images."""
        for resolution, count in self.images.items():
            if images_seen < count:
                return resolution
            images_seen -= count
        return max(self.images)

    def start(self, resolution: int) -> int:
        """The images that are seen before a resolution."""
        return sum(count for size, count in self.images.items() if size < resolution)

    def alpha(self, resolution: int, images_seen: Any) -> Any:
        """How far a resolution is faded in, 0 to 1.

        Args:
            resolution: Height and width.
            images_seen: A number or a scalar tensor.
        """
        from keras import ops  # here: reading the options needs no Keras

        sizes = sorted(self.images)
        place = sizes.index(resolution)
        if place == 0:
            return 1.0
        length = max(1.0, self.fade * self.images[sizes[place - 1]])
        since = ops.cast(images_seen, "float32") - self.start(resolution)
        return ops.clip(since / length, 0.0, 1.0)


def parse_schedule(text: str, resolution: int, fade: float = 0.5) -> Schedule | None:
    """`"8:60,16:120,32:200"`: kimg at each resolution up to, not with, the last; `""` for none.

    Raises:
        UserError: The text is of another form, or its resolutions do not double up to the last.
    """
    if not text:
        return None
    expected = f'expected such as "8:60,16:120", every power of two below {resolution}, in kimg'
    try:
        pairs = [piece.split(":") for piece in text.split(",")]
        images = {int(size): round(float(kimg) * 1000) for size, kimg in pairs}
    except (ValueError, OverflowError):
        raise UserError(f"progressive {text!r}: {expected}") from None
    sizes = [*images, resolution]
    doubling = all(b == 2 * a for a, b in itertools.pairwise(sizes))
    if not doubling or sizes[0] < 2 * LOWEST or min(images.values()) <= 0 or not 0 <= fade <= 1:
        raise UserError(f"progressive {text!r}: {expected}")
    return Schedule({**images, resolution: 1 << 62}, fade)
