"""SHA-256 of files and of tensors."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def sha256_of(path: str | Path) -> str:
    """Hex sha256 of a file's content, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_tensors(state: Mapping[str, np.ndarray]) -> str:
    """Hex sha256 of tensors: names, shapes, dtypes and values, in any order."""
    digest = hashlib.sha256()
    for name in sorted(state):
        array = np.ascontiguousarray(state[name])
        digest.update(f"{name} {array.shape} {array.dtype.str}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
