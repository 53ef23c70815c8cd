"""A trained model, and all that belongs to it, into a repository of the Hugging Face Hub."""

import os
import shutil
import tempfile
from pathlib import Path
from types import ModuleType

from facegen_keras.errors import UserError, reason_of, require
from facegen_keras.export.from_hub import LOG_IN, MODEL, local_model, status_of
from facegen_keras.export.model_file import read_model_file
from facegen_keras.export.parts import COMPANIONS, companion_path
from facegen_keras.export.read import check_same_export
from facegen_keras.files.atomic import write_text
from facegen_keras.generate.loading import load_generator
from facegen_keras.generate.runtimes import export_model
from facegen_keras.hub.card import FACES, card_of, hub_card, pictures_of
from facegen_keras.hub.repository import check_repository
from facegen_keras.pictures import save_grid

GRID = (6, 6)  # of the faces that are drawn for a card without a picture


def push_model(
    model_path: str | os.PathLike, repository: str, private: bool = False
) -> tuple[str, list[str]]:
    """Upload a trained generator, and what belongs to it, in one commit.

    These are the model, its encoder or discriminator, its card, the card again as the README that
    the hub shows, a grid of faces, and the weights as safetensors. The files say how the model was
    trained, and the name of the photos' folder or archive.

    Args:
        model_path: A generator, .h5.
        repository: `owner/name`; created if it is missing.
        private: Create it as a private one, and refuse one that is public.

    Returns:
        The address of the repository, and the names of the files.

    Raises:
        UserError: The package `huggingface_hub` is missing, the model cannot be opened or is no
            .h5, the repository's name has another form, the token is missing or has no right to
            write there, or the hub cannot be reached. Nothing was uploaded then.
    """
    hub = require("huggingface_hub", "hub")
    check_repository(repository)
    with tempfile.TemporaryDirectory() as folder:
        files = write_for_hub(model_path, repository, folder)
        try:
            url = _commit(hub, repository, files, private)
        except UserError:
            raise
        except Exception as error:  # the library's and those of the HTTP client underneath
            raise UserError(f"{repository}: {_explained(error)}; nothing was uploaded") from error
    return url, [file.name for file in files]


def write_for_hub(
    model_path: str | os.PathLike, repository: str, folder: str | os.PathLike
) -> list[Path]:
    """Write the files that `push_model` uploads into a folder, to look at them.

    Args:
        model_path: As for `push_model`.
        repository: Which the card names.
        folder: Empty, or created.

    Returns:
        The files, the model first.

    Raises:
        UserError: As `push_model`, or a file cannot be written.
    """
    hub = require("huggingface_hub", "hub")
    check_repository(repository)
    path, folder = local_model(model_path), Path(folder)
    if path.suffix != MODEL:
        raise UserError(f"{model_path}: only {MODEL} files are read back from the hub; give one")
    generator = load_generator(path)
    sources = [path]
    for part in COMPANIONS:
        beside = companion_path(path, generator.family, part)
        if beside.exists():
            check_same_export(read_model_file(path), read_model_file(beside))
            sources.append(beside)
    card = card_of(generator)
    shown = [path.parent / name for name in pictures_of(card)]
    sources += [file for file in (path.with_suffix(".md"), *shown) if file.is_file()]
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UserError(f"{folder}: holds files already, and none is replaced; give a new folder")
    files = [Path(shutil.copyfile(source, folder / source.name)) for source in sources]
    if not any(file.is_file() for file in shown):
        columns, rows = GRID
        files.append(save_grid(generator.sample(range(columns * rows)), folder / FACES, GRID))
    files += export_model(path, folder, "safetensors")
    readme = folder / "README.md"
    write_text(readme, hub_card(hub, generator, repository))
    return [*files, readme]


def _commit(hub: ModuleType, repository: str, files: list[Path], private: bool) -> str:
    api = hub.HfApi()
    url = api.create_repo(repository, private=private or None, exist_ok=True)
    if private and not api.model_info(repository).private:
        raise UserError(
            f"{repository}: there already, and public; leave private out, or give another name"
        )
    additions = [
        hub.CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=str(file)) for file in files
    ]
    api.create_commit(repository, additions, commit_message=f"Add {files[0].name}")
    return str(url)


def _explained(error: BaseException) -> str:
    while error.__cause__ is not None:  # the uploading threads wrap theirs
        error = error.__cause__
    if status_of(error) in (401, 403):
        return f"no right to write there; log in with a token that has it ({LOG_IN})"
    return f"the upload failed ({reason_of(error)})"
