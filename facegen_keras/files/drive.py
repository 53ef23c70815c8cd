"""Google Drive, for notebooks on Colab: what a disconnect must not take."""

import shutil
from pathlib import Path

from facegen_keras.errors import UserError

MOUNT = Path("/content/drive")
KEPT = ("output", "saved_models")


def keep_on_drive(folder: str = "MyDrive/facegen", mount: Path = MOUNT) -> None:
    """Mount the Drive, and make `output/` and `saved_models/` of this folder links into it.

    What they hold is copied there first; files that are on the Drive alone stay. Repeating it
    changes nothing. So runs go on after a disconnect, and a model that was trained on one machine
    is found on the next.

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
        shutil.copytree(here, there, dirs_exist_ok=True)
        shutil.rmtree(here)
        here.symlink_to(there, target_is_directory=True)
