"""Published files: downloaded once into a cache, and checked by their hash."""

import http.client
import os
import secrets
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from facegen_keras.errors import UserError
from facegen_keras.files.hashes import sha256_of

CHUNK = 1 << 20  # bytes


def published(url: str, path: Path, sha256: str, name: str, instead: str) -> Path:
    """A published file, downloaded on first use (with a progress bar on a terminal).

    Args:
        url: Its address.
        path: Its place in the cache.
        sha256: Of its content, in hex.
        name: What it is, for the errors: `"the Inception weights"`.
        instead: What one can do without it, for the errors.

    Returns:
        `path`, after a check of its sha256.

    Raises:
        UserError: The file is neither there nor downloadable, or is not the published one. The
            message gives the address and the path for the file.
    """
    if path.is_file():
        _check(path, sha256, f"{path}", f"delete it and fetch {url} again, or {instead}")
        return path
    try:
        _download(url, path, sha256, instead)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise UserError(
            f"{name} could not be downloaded ({str(error) or type(error).__name__}); fetch {url} "
            f"elsewhere and put it at {path}, or {instead}"
        ) from error
    return path


def _check(path: Path, sha256: str, name: str, advice: str) -> None:
    found = sha256_of(path)
    if found != sha256:
        raise UserError(
            f"{name}: sha256 {found[:12]}... instead of {sha256[:12]}...; the file is damaged or "
            f"a different one; {advice}"
        )


def _download(url: str, path: Path, sha256: str, instead: str, timeout: float = 30.0) -> None:
    """Download into a temporary file, check it, and only then give it its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with (
            open(part, "xb") as file,
            urllib.request.urlopen(url, timeout=timeout) as answer,
        ):
            size = int(answer.headers.get("Content-Length") or 0) or None
            with tqdm(total=size, unit="B", unit_scale=True, desc=path.name, disable=None) as bar:
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
        _check(part, sha256, url, f"try again, or {instead}")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
