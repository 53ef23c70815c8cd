"""The image sizes that the package works with."""

from facegen_keras.errors import UserError

SMALLEST, LARGEST = 8, 1024  # of what is read; 1024 is the largest official StyleGAN2
SMALLEST_TRAINED = 32  # of what the families train on


def check_resolution(resolution: int, lowest: int = SMALLEST) -> None:
    """Refuse a resolution that is not a power of two from `lowest` to `LARGEST`.

    Raises:
        UserError: Names the nearest allowed one.
    """
    allowed = [2**k for k in range(3, 11) if lowest <= 2**k]
    if not isinstance(resolution, int | float):
        raise UserError(f"resolution {resolution!r}: expected a number such as {allowed[0]}")
    if resolution not in allowed:
        nearest = min(allowed, key=lambda side: abs(side - resolution))
        raise UserError(
            f"resolution {resolution}: expected a power of two from {lowest} to {LARGEST}; "
            f"the nearest is {nearest}"
        )
