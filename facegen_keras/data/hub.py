"""Faces from a Hugging Face data set, or from a local one in the same formats."""

import hashlib
import os
from types import ModuleType
from typing import Any

from facegen_keras.data.arrays import row_names
from facegen_keras.data.sources import Source
from facegen_keras.errors import UserError, require
from facegen_keras.files.places import HUB_PREFIX


class _Encoded:
    """The encoded images of a column; a slice reads their bytes, or the paths of local files."""

    def __init__(self, rows: Any, column: str) -> None:
        self.rows, self.column = rows, column

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: slice) -> list[bytes | str]:
        images = self.rows[index][self.column]
        # A missing image becomes an empty one, which is refused and listed like any other.
        return [(image["bytes"] or image["path"] or b"") if image else b"" for image in images]


def open_hub(source: str) -> Source:
    """Open `hf:owner/name[:split]` through the `datasets` library, which downloads it once.

    `owner/name` may also be a local folder of Parquet files or images. The split is `train` if
    there is one and none is given, else the first.

    Raises:
        UserError: `datasets` is not installed, the data set cannot be had, or it has no images.
    """
    datasets = require("datasets", "hub")
    name, _, split = source.removeprefix(HUB_PREFIX).partition(":")
    if not name:
        raise UserError(f"{source}: expected hf:owner/name or hf:owner/name:split")
    name = os.path.expanduser(name)
    try:
        if split:
            rows = datasets.load_dataset(name, split=split)
        else:
            parts = datasets.load_dataset(name)
            rows = parts["train"] if "train" in parts else next(iter(parts.values()))
    except Exception as error:  # the library raises many kinds, some of them its own
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(
            f"{source}: cannot be opened ({reason}); expected hf:owner/name[:split] of a public "
            "data set, or of one that `hf auth login` gives access to"
        ) from error
    column = _image_column(source, rows, datasets)
    rows = rows.select_columns([column]).cast_column(column, datasets.Image(decode=False))
    if not len(rows):
        raise UserError(f"{source}: the split is empty")
    # Names as on the machine the data set was made on would make the fingerprint depend on it.
    names = row_names(len(rows))
    return Source(source, "encoded", "", names, _Encoded(rows, column), _stamp(rows, column))


def _image_column(source: str, rows: Any, datasets: ModuleType) -> str:
    for name, feature in rows.features.items():
        if isinstance(feature, datasets.Image):
            return name
    for name, feature in rows.features.items():
        if isinstance(feature, dict) and {"bytes", "path"} <= feature.keys():
            return name
    for name, feature in rows.features.items():
        if getattr(feature, "dtype", "") in ("binary", "large_binary"):
            return name
    raise UserError(f"{source}: no image column among {', '.join(rows.column_names)}")


def _stamp(rows: Any, column: str) -> str:
    """Identify the content: the library's own fingerprint, and the state of files it only names."""
    digest = hashlib.sha256(rows._fingerprint.encode())
    for image in rows.with_format("arrow")[:][column]:
        if not image.is_valid or image["bytes"].is_valid or not image["path"].is_valid:
            continue
        path = image["path"].as_py()
        if os.path.isfile(path):
            info = os.stat(path)
            digest.update(f"{path}\0{info.st_size}\0{info.st_mtime_ns}\n".encode())
    return f"hub {digest.hexdigest()}"
