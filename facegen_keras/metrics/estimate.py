"""A number with its standard error."""


class Estimate(float):
    """A float with its standard error in `.error` (None where it is unknown)."""

    error: float | None

    def __new__(cls, value: float, error: float | None = None) -> "Estimate":
        """Make a float of `value` with an `error`."""
        number = super().__new__(cls, value)
        number.error = None if error is None else float(error)
        return number

    def __reduce__(self) -> tuple[type["Estimate"], tuple[float, float | None]]:
        return type(self), (float(self), self.error)

    def __repr__(self) -> str:
        return super().__repr__() if self.error is None else f"{float(self)!r} ± {self.error:.2g}"
