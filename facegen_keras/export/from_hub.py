"""Models of the Hugging Face Hub: `hf:owner/name[/file.h5][@revision]` as files of its cache.

The package `huggingface_hub` does the work: token, cache, downloads that survive a short break.
What is added here: which files a model needs, no others, and the checks of `export.model_file`
before anything else looks at them. A pickle is never asked for.
"""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from facegen_keras.errors import UserError, check_path, reason_of, require
from facegen_keras.export.model_file import read_model_file
from facegen_keras.export.parts import COMPANIONS, companion_path
from facegen_keras.files.hashes import sha256_of
from facegen_keras.files.places import HUB_PREFIX

USAGE = "expected hf:owner/name, hf:owner/name/file.h5 or either with @revision behind it"
MODEL, CARD = ".h5", ".md"  # the only endings that are ever asked for
LOG_IN = "`hf auth login`, or the variable HF_TOKEN"
SECONDS = 10.0  # until a hub that does not answer counts as unreachable
_NAME = re.compile(
    r"hf:(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<file>[^@]+))?(?:@(?P<revision>[\w./-]+))?"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class HubName:
    """What `hf:owner/name[/file.h5][@revision]` says.

    Attributes:
        text: The name as it was given.
        repository: `owner/name`.
        file: A file in the repository; None: its only model.
        revision: A branch, a tag or a commit; None: the branch `main`.
    """

    text: str
    repository: str
    file: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class _Snapshot:
    """The files of a repository, and the folder in the cache where there is no network."""

    files: list[str]
    folder: Path | None = None


def is_hub_name(path: str | os.PathLike) -> bool:
    """Whether a path names a model of the hub."""
    check_path("model_path", path)
    return os.fspath(path).startswith(HUB_PREFIX)


def parse_hub_name(text: str) -> HubName:
    """The parts of `hf:owner/name[/file.h5][@revision]`.

    Raises:
        UserError: It has another form, or names a file that is no model.
    """
    found = _NAME.fullmatch(text)
    if not found or ".." in text:
        raise UserError(f"{text}: {USAGE}")
    file = found["file"]
    if file and Path(file).suffix != MODEL:
        raise UserError(f"{text}: only {MODEL} files are taken from the hub; {USAGE}")
    return HubName(text, found["repository"], file, found["revision"])


def local_model(path: str | os.PathLike) -> Path:
    """A model file on this machine: `path` itself, or the copy of a file of the hub.

    Of a repository, only the model is fetched, what belongs to it (encoder, discriminator, card),
    and what changed since. Where the hub cannot be reached, the copy in the cache is taken, and a
    line on stderr says so.

    Args:
        path: A file, or `hf:owner/name[/file.h5][@revision]`. Without a file, the repository has to
            hold one model. Private repositories need the token of `hf auth login` or `HF_TOKEN`.

    Raises:
        UserError: The name has another form, the package `huggingface_hub` is missing, there is no
            such repository, revision or file, the repository is closed to this user, the hub cannot
            be reached and the cache does not have the file, a download broke off or is damaged, or
            the file may not be opened (see `read_model_file`).
    """
    if not is_hub_name(path):
        return Path(path)
    name = parse_hub_name(os.fspath(path))
    hub = require("huggingface_hub", "hub")
    snapshot = _look_up(hub, name)
    file = name.file or _only_model(name, snapshot.files)
    if file not in snapshot.files:
        raise UserError(f"{name.text}: no such file; {_models_of(snapshot.files)}")
    model = _fetch(hub, name, snapshot, file)
    try:
        family = read_model_file(model).metadata.get("family") or "unknown"
    except UserError as error:  # says where in the cache; who gave the name wants to read the name
        raise UserError(str(error).replace(str(model), name.text)) from None
    beside = [companion_path(file, family, part) for part in COMPANIONS]
    for other in {twin.as_posix() for twin in (*beside, Path(file).with_suffix(CARD))} - {file}:
        if other in snapshot.files:
            _fetch(hub, name, snapshot, other)
    return model


def _look_up(hub: ModuleType, name: HubName) -> _Snapshot:
    try:
        info = hub.HfApi().model_info(name.repository, revision=name.revision, timeout=SECONDS)
    except Exception as error:  # the library's and those of the HTTP client underneath
        if not _unreachable(error):
            raise _explained(name, error) from error
        found = _cached(hub, name)
        if found is None:
            raise UserError(
                f"{name.text}: the hub cannot be reached ({reason_of(error)}), and no copy is in "
                "the cache; try again with a network"
            ) from error
        print(
            f"{name.text}: the hub cannot be reached; taken from the cache: {found.folder}",
            file=sys.stderr,
        )
        return found
    return _Snapshot([sibling.rfilename for sibling in info.siblings or ()])


def _cached(hub: ModuleType, name: HubName) -> _Snapshot | None:
    """The files that earlier downloads of this revision left in the cache."""
    folder = require("huggingface_hub.constants", "hub").HF_HUB_CACHE
    try:
        repositories = hub.scan_cache_dir(folder).repos
    except _errors().CacheNotFound:
        return None
    wanted = name.revision or "main"
    for repository in repositories:
        if (repository.repo_type, repository.repo_id) != ("model", name.repository):
            continue
        for revision in repository.revisions:
            if wanted in revision.refs or revision.commit_hash.startswith(wanted):
                place = Path(revision.snapshot_path)
                files = [Path(f.file_path).relative_to(place).as_posix() for f in revision.files]
                return _Snapshot(sorted(files), place)
    return None


def _only_model(name: HubName, files: list[str]) -> str:
    models = _main_models(files)
    if len(models) != 1:
        raise UserError(
            f"{name.text}: {_models_of(files)}"
            + (f"; name one: hf:{name.repository}/{models[0]}" if models else "")
        )
    return models[0]


def _main_models(files: list[str]) -> list[str]:
    endings = tuple(f"_{part}{MODEL}" for part in COMPANIONS)
    return [file for file in files if file.endswith(MODEL) and not file.endswith(endings)]


def _models_of(files: list[str]) -> str:
    models = _main_models(files)
    return f"the repository holds {', '.join(models[:8]) or f'no {MODEL} file'}"


def _fetch(hub: ModuleType, name: HubName, snapshot: _Snapshot, file: str) -> Path:
    """The path in the cache of one file, downloaded if it is not there."""
    if snapshot.folder is not None:
        return snapshot.folder / file
    try:
        path = Path(hub.hf_hub_download(name.repository, file, revision=name.revision))
    except Exception as error:
        raise _explained(name, error, file) from error
    blob = path.resolve()  # the cache names large files by their sha256
    if _SHA256.fullmatch(blob.name) and sha256_of(blob) != blob.name:
        blob.unlink()
        path.unlink(missing_ok=True)
        raise UserError(f"{name.text}: {file} arrived damaged and was removed; try again")
    return path


def _errors() -> ModuleType:
    return require("huggingface_hub.errors", "hub")


def _explained(name: HubName, error: Exception, file: str | None = None) -> UserError:
    """One line for an error of the library."""
    errors = _errors()
    if isinstance(error, errors.GatedRepoError):
        reason = f"accept the repository's terms on its page, and log in ({LOG_IN})"
    elif isinstance(error, errors.RepositoryNotFoundError) or status_of(error) in (401, 403):
        reason = f"no such repository, or a private one; check the name, or log in ({LOG_IN})"
    elif isinstance(error, errors.RevisionNotFoundError):
        reason = f"no such revision {name.revision}; expected a branch, a tag or a commit"
    elif isinstance(error, errors.EntryNotFoundError) and not isinstance(error, FileNotFoundError):
        reason = f"no such file {file}"
    elif file:
        reason = f"the download of {file} broke off ({reason_of(error)}); try again"
    else:
        reason = f"the hub answered {reason_of(error)}"
    return UserError(f"{name.text}: {reason}")


def _unreachable(error: Exception) -> bool:
    """Whether an error says nothing about the repository: no network, or a hub that is down."""
    status = status_of(error)
    return status >= 500 or status == 429 if status else not isinstance(error, ValueError)


def status_of(error: BaseException) -> int:
    """The HTTP status of an answer; 0 where there was none."""
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)
