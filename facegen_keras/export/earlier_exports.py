"""Keep earlier exports: a file that is replaced stays beside the new one, named after its run."""

import datetime
import os
import shutil
from pathlib import Path

from facegen_keras.errors import UserError
from facegen_keras.export.model_file import SUFFIXES, read_model_file
from facegen_keras.files.atomic import replacing


def back_up(path: str | os.PathLike) -> Path | None:
    """Link the file at `path` to a second name, `<stem>.<run><suffix>`, before it is replaced.

    The card beside a model (`.md`) moves with it, and this is printed. The run's name comes from
    the file's metadata, or else from its time. The file also stays at `path` until something else
    is written there; a folder is renamed.

    Args:
        path: Where an export will be written.

    Returns:
        The second name, or None when there is nothing at `path`.
    """
    path = Path(path)
    if not path.exists():
        return None
    when = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
    name = run_of(path) or f"{when:%Y%m%dT%H%M%SZ}"
    count = 1
    kept = path.with_stem(f"{path.stem}.{name}")
    while kept.exists():
        if kept.samefile(path):
            return kept
        count += 1
        kept = path.with_stem(f"{path.stem}.{name}-{count}")
    if path.is_dir():
        path.rename(kept)
        return kept
    try:
        os.link(path, kept)
    except OSError:  # a file system without hard links
        with replacing(kept) as temporary:
            shutil.copy2(path, temporary)
    card = path.with_suffix(".md")
    with_card = ""
    if path.suffix in SUFFIXES and card.is_file():  # of the model of before, not of the next
        os.replace(card, kept.with_suffix(".md"))
        with_card = f", with its card {kept.stem}.md"
    print(f"{path}: the model that was there is kept as {kept.name}{with_card}")
    return kept


def move_to_backup(path: Path) -> None:
    """Leave an earlier export at `path` under its second name only. Other files stay.

    Args:
        path: Where no export may remain.
    """
    if _metadata(path).get("export"):
        back_up(path)
        path.unlink()


def run_of(path: Path) -> str | None:
    """The run that wrote the file at `path`; None where its metadata does not name one."""
    run = _metadata(path).get("run")
    return run if isinstance(run, str) and run and "/" not in run else None


def _metadata(path: Path) -> dict:
    try:
        return read_model_file(path).metadata
    except UserError:
        return {}
