"""Which image sizes there are."""

from facegen_keras.errors import UserError

SMALLEST, LARGEST = 8, 1024  # of what is read; the families start at 32
SMALLEST_TRAINED = 32


def check_resolution(resolution: int, lowest: int = SMALLEST) -> None:
    """Refuse a resolution that is not a power of two within bounds, naming the nearest.

    Raises:
        UserError: It is not.
    """
    allowed = [2**k for k in range(3, 11) if lowest <= 2**k]
    if resolution not in allowed:
        nearest = min(allowed, key=lambda side: abs(side - resolution))
        raise UserError(
            f"resolution {resolution}: expected a power of two from {lowest} to {LARGEST}; "
            f"the nearest is {nearest}"
        )
