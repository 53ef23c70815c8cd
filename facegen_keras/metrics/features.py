"""What every measure asks of the features of two sets before it compares them."""

import numpy as np

from facegen_keras.errors import UserError


def check_features(a: np.ndarray, b: np.ndarray) -> None:
    """Refuse features that cannot be compared.

    A value that is no number would count as far from everything, without a word.

    Args:
        a: Features of one side, `(n, dim)`.
        b: Features of the other side, `(m, dim)`; n and m may differ.

    Raises:
        UserError: The shapes do not fit, or a value is not finite.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise UserError(
            f"features of shape {a.shape} and {b.shape}; expected (n, dim) and (m, dim)"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise UserError("features with values that are not finite; extract them again")
