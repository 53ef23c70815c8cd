"""Features that are no numbers are refused: in comparisons they count as far from everything."""

import numpy as np

from facegen_keras.errors import UserError


def check_finite(*sets: np.ndarray) -> None:
    """Refuse features with NaN or infinity.

    Raises:
        UserError: There is one.
    """
    if not all(np.isfinite(features).all() for features in sets):
        raise UserError("features with values that are not finite; extract them again")
