"""Answers to the blanks that the notebooks leave for their readers."""

import numpy as np

from facegen_keras.errors import UserError

__all__ = ["check"]


def check(yours: object, expected: float | str | np.ndarray, tolerance: float = 1e-3) -> None:
    """Print whether an answer is right, and both.

    Args:
        yours: What was filled in; None while it is not.
        expected: A number, a word, or an array.
        tolerance: How far a number may be off, as a fraction of the expected one (of the largest in
            an array).

    Raises:
        UserError: The answer is of another kind or shape than the expected one.
    """
    if yours is None:
        print("not filled in yet")
        return
    if isinstance(expected, str):
        right = isinstance(yours, str) and yours.strip().lower() == expected.lower()
        print(f"expected {expected!r}, yours {yours!r}: {'right' if right else 'not yet'}")
        return
    if hasattr(yours, "detach"):  # a tensor of PyTorch, perhaps on a GPU or with a gradient
        yours = yours.detach().cpu()
    try:
        answer = np.asarray(yours, "float64")
    except (TypeError, ValueError) as error:
        raise UserError(f"yours is {type(yours).__name__}: expected numbers") from error
    wanted = np.asarray(expected, "float64")
    if answer.shape != wanted.shape:
        raise UserError(f"yours has the shape {answer.shape}: expected {wanted.shape}")
    apart = np.abs(answer - wanted).max()
    right = bool(apart <= tolerance * np.abs(wanted).max())
    told = "right" if right else "not yet"
    if wanted.ndim:
        print(f"{wanted.size} numbers, the largest difference is {apart:.2g}: {told}")
    else:
        print(f"expected {wanted:.4g}, yours {answer:.4g}: {told}")
