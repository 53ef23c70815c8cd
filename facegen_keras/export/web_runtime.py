"""ONNX Runtime Web: the two files that a page needs to run an ONNX file in a browser."""

import os
import tarfile
from pathlib import Path

from facegen_keras.errors import UserError
from facegen_keras.files.download import published
from facegen_keras.files.places import cache_folder

VERSION = "1.30.0"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"  # 33 MB
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
# By the name in a page: many servers do not know that an .mjs is JavaScript.
NAMES = {
    "ort.js": "ort.wasm.bundle.min.mjs",
    "ort.wasm": "ort-wasm-simd-threaded.wasm",
}
WASM = b"\0asm"  # how such a file begins


def runtime_files(folder: str | os.PathLike | None = None) -> dict[str, bytes]:
    """The files of ONNX Runtime Web, by their name in a page.

    Args:
        folder: Where they are, such as `node_modules/onnxruntime-web/dist`; None: they come from
            the npm package, downloaded on first use and kept in the cache.

    Raises:
        UserError: The folder does not have them; or the package is neither in the cache nor
            downloadable, or is not the published one.
    """
    if folder is None:
        return _from_package()
    found = {}
    for name, published_as in NAMES.items():
        path = Path(folder) / published_as
        if not path.is_file():
            raise UserError(
                f"runtime {folder}: no {published_as} in it; give it the folder dist of the npm "
                f"package onnxruntime-web {VERSION}"
            )
        found[name] = path.read_bytes()
    if not found["ort.wasm"].startswith(WASM):
        raise UserError(
            f"runtime {folder}: its {NAMES['ort.wasm']} is not WebAssembly; copy it again"
        )
    return found


def _from_package() -> dict[str, bytes]:
    archive = published(
        URL,
        cache_folder(None) / URL.rsplit("/", 1)[1],
        SHA256,
        f"ONNX Runtime Web {VERSION}",
        "give --runtime a folder with its files",
    )
    with tarfile.open(archive) as package:
        members = {name: package.extractfile(f"package/dist/{of}") for name, of in NAMES.items()}
        return {name: member.read() for name, member in members.items() if member}
