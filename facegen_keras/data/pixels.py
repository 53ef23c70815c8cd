"""A NumPy file of uint8 images that is read without filling the memory."""

import io
import math
import mmap
import os

import numpy as np

from facegen_keras.files.limits import read_npy_header

HEADER_BYTES = 128  # of a .npy file; NumPy pads it so that the number of images can grow in place
RESIDENT_BYTES = 32 * 2**20  # read from a mapping before its pages are handed back. Linux maps
# 64 KiB around each access, so that random 64x64 faces hold up to five times as much.


class PixelFile:
    """A read-only `.npy` file of uint8 images `(n, height, width, 3)`, indexed like an array.

    Pages of a mapping stay in the process's memory until someone else needs it. They are given
    back after every 32 MiB read, so that a large data set does not look like a leak; the system's
    file cache keeps them.

    Raises:
        ValueError: The file is not a `.npy` of uint8 in C order, or is shorter than it says.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        with open(path, "rb") as file:
            self.shape, fortran_order, dtype = read_npy_header(file)
            if fortran_order or dtype != np.uint8:
                order = "Fortran" if fortran_order else "C"
                raise ValueError(f"{dtype} in {order} order; uint8 in C order is needed")
            count = math.prod(self.shape)
            if os.fstat(file.fileno()).st_size < file.tell() + count:
                raise ValueError("the file is shorter than its header says")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            flat = np.frombuffer(self._map, np.uint8, count, file.tell())
        self._images = flat.reshape(self.shape)
        self._read = 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: np.ndarray | slice) -> np.ndarray:
        images = self._images[indices]
        if isinstance(indices, slice):  # an array of indices has copied already
            images = images.copy()
        self._read += images.nbytes
        if self._read > RESIDENT_BYTES and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
            self._read = 0
        return images


def make_header(count: int, resolution: int) -> bytes:
    """Return the `HEADER_BYTES` bytes that make a file of uint8 images a `.npy`."""
    buffer = io.BytesIO()
    shape = (count, resolution, resolution, 3)
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    header = buffer.getvalue()
    if len(header) != HEADER_BYTES:
        raise AssertionError(f"a .npy header of {len(header)} bytes")
    return header
