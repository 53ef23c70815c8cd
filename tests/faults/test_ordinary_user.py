"""What may not be read or written is told in one line, and costs nothing that was there.

Root may write anywhere; these commands run without that right, as an ordinary user's do.
"""

import os
import shutil
import zipfile
from pathlib import Path

import killing
import pytest

WITHOUT = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
SHORT = killing.FAMILIES["vae"].replace("--epochs 5", "--epochs 1")

pytestmark = [
    pytest.mark.xdist_group("kills"),
    pytest.mark.skipif(
        os.geteuid() == 0 and not shutil.which("setpriv"), reason="no setpriv to take rights away"
    ),
]


@pytest.fixture(scope="module")
def user(tmp_path_factory, faces_zip):
    before = WITHOUT if os.geteuid() == 0 else []
    user = killing.Killer(tmp_path_factory.mktemp("user"), faces_zip, before=before)
    yield user
    user.close()


@pytest.fixture(scope="module")
def trained(user):
    """A run of one epoch, and its models."""
    code, said = user.say("trained", line(user, "trained"))
    assert code == 0, said[-2000:]
    return user.root / "output" / "trained"


@pytest.fixture
def forbid():
    """Take rights of files and folders away, until the test is over."""
    kept = []

    def take(path: Path, mode: int) -> None:
        kept.append((path, path.stat().st_mode))
        path.chmod(mode)

    yield take
    for path, mode in reversed(kept):
        path.chmod(mode)


def line(user, name: str, data: Path | None = None, output: Path | None = None) -> list[str]:
    places = ["--output_dir", str(output or user.root / "output"), "--name", name]
    places += ["--saved_models_dir", str(user.root / "models" / name)]
    return ["train", *SHORT.split(), "--data_path", str(data or user.faces), *places]


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(user, name: str, words: list[str], cache: str = "shared") -> str:
    """The one line in which a command is refused."""
    code, said = user.say(name, words, cache)
    assert code == 2, said[-2000:]
    assert "Traceback" not in said, said[-2000:]
    (error,) = (text for text in said.splitlines() if text.startswith("error: "))
    return error


def test_a_folder_of_runs_that_may_not_be_written(user, forbid):
    folder = user.root / "closed"
    folder.mkdir()
    forbid(folder, 0o555)
    told = refused(user, "closed", line(user, "closed", output=folder))
    assert str(folder) in told
    assert not list(folder.iterdir())
    assert not (user.root / "models" / "closed").exists()


def test_a_folder_of_models_that_may_not_be_written(user, forbid):
    folder = user.root / "models" / "shut"
    folder.mkdir(parents=True)
    forbid(folder, 0o555)
    told = refused(user, "shut", line(user, "shut"))
    assert str(folder) in told
    assert not list(folder.iterdir())


def test_a_run_that_may_not_be_written_is_not_resumed(user, trained, forbid):
    before = content(trained)
    for folder in (trained, trained / "checkpoints"):
        forbid(folder, 0o555)
    told = refused(user, "resumed", ["train", "--resume", str(trained), "--epochs", "2"])
    assert str(trained) in told
    assert content(trained) == before


def test_a_photo_that_may_not_be_read_is_left_out_and_named(user, forbid):
    folder = user.root / "photos"
    with zipfile.ZipFile(user.faces) as faces:
        faces.extractall(folder)
    photo = min(folder.iterdir())
    forbid(photo, 0o000)
    code, said = user.say("photos", line(user, "photos", data=folder))
    assert code == 0, said[-2000:]
    assert "Traceback" not in said
    assert photo.name in (user.root / "output" / "photos" / "skipped.json").read_text()


def test_a_folder_among_photos_that_may_not_be_read(user, forbid):
    """Nobody knows how many photos are in it: training without them is no choice of ours."""
    folder = user.root / "album"
    (folder / "private").mkdir(parents=True)
    with zipfile.ZipFile(user.faces) as faces:
        faces.extractall(folder)
    forbid(folder / "private", 0o000)
    told = refused(user, "album", line(user, "album", data=folder))
    assert f"{folder / 'private'}: permission denied; make it readable" in told


def test_data_of_which_nothing_may_be_read(user, forbid):
    folder = user.root / "secret"
    folder.mkdir()
    forbid(folder, 0o000)
    told = refused(user, "secret", line(user, "secret", data=folder))
    assert str(folder) in told


def test_a_cache_that_may_not_be_written(user, forbid):
    folder = user.root / "cache" / "closed"
    folder.mkdir(parents=True)
    forbid(folder, 0o555)
    told = refused(user, "uncached", line(user, "uncached"), cache="closed")
    assert str(folder) in told
    assert "cache_dir or the variable FACEGEN_CACHE" in told


def test_a_model_that_may_not_be_read(user, trained, forbid):
    model = next(trained.glob("*decoder.h5"))
    forbid(model, 0o000)
    places = ["--output_dir", str(user.root / "pictures")]
    told = refused(user, "model", ["generate", "--model_path", str(model), *places])
    assert str(model) in told
    assert not (user.root / "pictures").exists()


def test_pictures_that_may_not_be_written(user, trained, forbid):
    folder = user.root / "gallery"
    folder.mkdir()
    forbid(folder, 0o555)
    model = next(trained.glob("*decoder.h5"))
    words = ["generate", "--model_path", str(model), "--output_dir", str(folder)]
    told = refused(user, "gallery", words)
    assert str(folder) in told
