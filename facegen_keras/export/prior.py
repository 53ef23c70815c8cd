"""The fitted prior of a decoder, in the decoder's own file.

In an .h5 it is the group `facegen_prior` with the arrays of `Mixture`, in a .keras the member
`facegen_prior.npz`. Keras itself does not look there: what it opens is the decoder alone.
"""

import io
import os
import shutil
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.export.model_file import ModelFile, first_input_shape, read_model_file
from facegen_keras.files.atomic import replacing
from facegen_keras.files.h5_file import DAMAGE, append_crc32, seal
from facegen_keras.files.limits import check_npz, read_member, unpacked_limit
from facegen_keras.mixture import Mixture

NAME = "facegen_prior"
ARRAYS = ("weights", "means", "cholesky")
MOST_COMPONENTS = 1000  # a file may come from anywhere: bounds the memory


def read_prior(file: ModelFile) -> Mixture | None:
    """The prior in a file that `read_model_file` has checked; None where it holds none.

    Raises:
        UserError: It is damaged, or not that of this decoder.
    """
    dim = (first_input_shape(file.config) or (None,))[-1]
    try:
        if file.path.suffix == ".h5":
            with h5py.File(file.path, "r") as opened:
                return _mixture(opened[NAME], dim) if NAME in opened else None
        with zipfile.ZipFile(file.path) as archive:
            if f"{NAME}.npz" not in archive.namelist():
                return None
            most = unpacked_limit(file.path.stat().st_size)
            content = io.BytesIO(read_member(archive, f"{NAME}.npz", most))
            with zipfile.ZipFile(content) as inner:
                check_npz(inner, most)
            content.seek(0)
            with np.load(content, allow_pickle=False) as arrays:
                return _mixture(arrays, dim)
    except (*DAMAGE, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise UserError(f"{file.path}: its prior is damaged ({error}); export it again") from None


def write_prior(path: str | os.PathLike, prior: Mixture | None) -> None:
    """Put a prior into an exported file in the place of the one that is there; None removes it.

    Raises:
        UserError: The file is damaged, or cannot be written.
    """
    path = Path(path)
    read_model_file(path)
    with replacing(path) as temporary:
        shutil.copyfile(path, temporary)
        attach_prior(temporary, prior)


def attach_prior(path: Path, prior: Mixture | None) -> None:
    """`write_prior`, in place and not atomic."""
    arrays = {} if prior is None else {name: getattr(prior, name) for name in ARRAYS}
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            if NAME in file:
                del file[NAME]
            for name, array in arrays.items():  # half of the triangles' numbers are zeros
                file.create_dataset(f"{NAME}/{name}", data=array, compression="gzip")
            seal(file)
        append_crc32(path)
        return
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    replace_member(path, f"{NAME}.npz", content.getvalue() if arrays else None)


def replace_member(path: Path, name: str, content: bytes | None) -> None:
    """Write a member of a zip anew, or remove it: two of one name would be ambiguous."""
    copy = path.with_suffix(".copy")
    try:
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
            for item in old.infolist():
                if item.filename != name:
                    new.writestr(item, old.read(item))
            if content is not None:
                new.writestr(name, content)
        os.replace(copy, path)
    finally:
        copy.unlink(missing_ok=True)


def _mixture(arrays: h5py.Group | np.lib.npyio.NpzFile, dim: int | None) -> Mixture:
    """The mixture in arrays by name.

    Raises:
        ValueError: They are not those of a mixture of codes of this length.
    """
    count = len(arrays["weights"])
    shapes = ((count,), (count, dim), (count, dim, dim))
    if not 1 <= count <= MOST_COMPONENTS or not isinstance(dim, int):
        raise ValueError(f"{count} components")
    found = []
    for name, shape in zip(ARRAYS, shapes, strict=True):
        if arrays[name].shape != shape:
            raise ValueError(f"{name} of shape {arrays[name].shape}, expected {shape}")
        found.append(np.asarray(arrays[name][()], "float32"))
    weights, means, cholesky = found
    scales = np.diagonal(cholesky, axis1=1, axis2=2)
    if not (np.isfinite(means).all() and np.isfinite(cholesky).all()):
        raise ValueError("numbers that are not finite")
    if not ((weights > 0).all() and (scales > 0).all()):
        raise ValueError("weights or scales that are not positive")
    return Mixture(weights, means, np.tril(cholesky))
