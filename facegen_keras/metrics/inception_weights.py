"""The Inception weights: one published file, checked by its hash, kept in a cache."""

import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from facegen_keras.errors import UserError
from facegen_keras.files.hashes import sha256_of
from facegen_keras.files.places import cache_folder

# Published by the authors of pytorch-fid; the file name carries the first digits of the hash.
INCEPTION_URL = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth"
)
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
CHUNK = 1 << 20  # bytes


def inception_file() -> Path:
    """Path of the published Inception weights, downloaded on first use (91 MB, progress bar).

    Returns:
        The cached file, after a check of its sha256.

    Raises:
        UserError: The file is neither there nor downloadable, or is not the published one. The
            message gives the address and the path for the file.
    """
    path = cache_folder(None) / INCEPTION_URL.rsplit("/", 1)[1]
    if path.is_file():
        _check(path)
        return path
    try:
        _download(INCEPTION_URL, path)
    except (urllib.error.URLError, OSError) as error:
        raise UserError(
            f"the Inception weights could not be downloaded ({error}); fetch {INCEPTION_URL} "
            f"elsewhere and put it at {path}, or use the features of EfficientNet-Lite0, which are "
            "reported as FD, not FID"
        ) from error
    return path


def _check(path: Path) -> None:
    found = sha256_of(path)
    if found != INCEPTION_SHA256:
        raise UserError(
            f"{path}: sha256 {found[:12]}... instead of {INCEPTION_SHA256[:12]}...; the file is "
            f"damaged or a different one; delete it and fetch {INCEPTION_URL} again"
        )


def _download(url: str, path: Path, timeout: float = 30.0) -> None:
    """Download into a temporary file, check it, and only then give it its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    part = Path(name)
    try:
        with (
            os.fdopen(handle, "wb") as file,
            urllib.request.urlopen(url, timeout=timeout) as answer,
        ):
            size = int(answer.headers.get("Content-Length") or 0) or None
            with tqdm(total=size, unit="B", unit_scale=True, desc=path.name) as bar:
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
        _check(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
