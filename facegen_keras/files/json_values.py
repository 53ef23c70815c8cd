"""Values that JSON has no type for."""

import numpy as np


def as_json(value: object) -> object:
    """For `json.dumps(default=)`: NumPy scalars and arrays as numbers, the rest as text."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)
