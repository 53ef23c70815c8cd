"""Google Drive, for notebooks on Colab: what a disconnect must not take."""

import filecmp
import itertools
import shutil
from pathlib import Path

from facegen_keras.errors import UserError

MOUNT = Path("/content/drive")
KEPT = ("output", "saved_models")


def keep_on_drive(folder: str = "MyDrive/facegen", mount: Path = MOUNT) -> None:
    """Mount the Drive, and make `output/` and `saved_models/` of this folder links into it.

    What they hold is copied there first, and nothing on the Drive is replaced: a run or a model
    that is there under the same name with other content stays, and the one of this machine is
    copied under a second name, `<name>_here`. Repeating it changes nothing. So runs go on after a
    disconnect, and a model that was trained on one machine is found on the next, where the clone
    holds the shipped one again.

    Args:
        folder: On the Drive; made if it is missing.
        mount: Where the Drive is mounted.

    Raises:
        UserError: This is not Colab.
    """
    try:
        from google.colab import drive
    except ImportError:
        raise UserError(
            "DRIVE: Google Drive can be mounted on Colab only; set DRIVE = False"
        ) from None
    drive.mount(str(mount))
    for name in KEPT:
        here, there = Path(name), mount / folder / name
        if here.is_symlink():
            continue
        here.mkdir(exist_ok=True)
        there.mkdir(parents=True, exist_ok=True)
        for entry in sorted(here.iterdir()):
            _copy_beside(entry, there / entry.name)
        shutil.rmtree(here)
        here.symlink_to(there, target_is_directory=True)


def _copy_beside(entry: Path, target: Path) -> None:
    """Copy a file or folder to a name, or to the next free one where something else has it."""
    for count in itertools.count(1):
        number = "" if count == 1 else f"_here{'' if count == 2 else count - 1}"
        name = target.with_stem(f"{target.stem}{number}")
        if not name.exists():
            part = name.with_name(f".{name.name}.part")  # a copy that is cut off has no name yet
            if entry.is_dir():
                shutil.rmtree(part, ignore_errors=True)
                shutil.copytree(entry, part)
            else:
                shutil.copy2(entry, part)
            part.rename(name)
            return
        if _holds(name, entry):
            return


def _holds(there: Path, entry: Path) -> bool:
    """Whether every file of `entry` is there with the same content."""
    if not entry.is_dir():
        return there.is_file() and filecmp.cmp(there, entry, shallow=False)
    return there.is_dir() and all(_holds(there / inner.name, inner) for inner in entry.iterdir())
