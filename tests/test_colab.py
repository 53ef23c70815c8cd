"""The setup cells of the notebooks on a stock Colab, played by stand-ins.

Colab runs a notebook in `/content`, has `''` on `sys.path`, so that the current folder can be
imported from, and has none of this package and not all that it needs.
"""

import errno
import functools
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import nbformat
import pytest

from facegen_keras.errors import UserError
from facegen_keras.files.drive import keep_on_drive

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PIP = """
import os, sys
with open(os.environ["PIP_CALLS"], "a") as calls:
    print(os.getcwd(), *sys.argv[1:], file=calls)
sys.exit(int(os.environ.get("PIP_FAILS", 0)))
"""
# The names that the last cell leaves are what later cells build on.
SESSION = """
import sys
from types import ModuleType
sys.modules["google.colab"] = ModuleType("google.colab")
names, cells = {}, sys.argv[1:]
for _ in range(2):
    for cell in cells:
        exec(cell, names)
print(names["os"].getcwd(), names["COLAB"])
import facegen_keras
print(facegen_keras.__file__)
"""


@pytest.fixture
def content(tmp_path):
    """What `/content` is on Colab: an empty folder."""
    folder = tmp_path / "content"
    folder.mkdir()
    return folder


@pytest.fixture
def colab(tmp_path, content):
    """`colab(notebook, repository)`: run its setup cells twice, as on Colab; what came of it."""
    (tmp_path / "stubs" / "pip").mkdir(parents=True)
    (tmp_path / "stubs" / "pip" / "__init__.py").touch()
    (tmp_path / "stubs" / "pip" / "__main__.py").write_text(PIP)
    calls = tmp_path / "calls.txt"

    def run(notebook, repository, **environment):
        cells = [cell.source for cell in nbformat.read(notebook, 4).cells]
        setup = [cell for cell in cells if cell.startswith("# @title Setup")]
        assert len(setup) == 2
        setup = [cell.replace("/content/", f"{content}/") for cell in setup]
        assert "https://github.com/yourusername/human-face-generator" in setup[0]
        setup[0] = setup[0].replace(
            "https://github.com/yourusername/human-face-generator", str(repository)
        )
        calls.unlink(missing_ok=True)
        # Without site-packages (-S) nothing is installed; '' is on the path, as with -c always.
        done = subprocess.run(
            [sys.executable, "-S", "-c", SESSION, *setup],
            cwd=content,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(tmp_path / "stubs"),
                "PIP_CALLS": str(calls),
                **environment,
            },
            capture_output=True,
            text=True,
        )
        done.pip = calls.read_text().splitlines() if calls.exists() else []
        return done

    return run


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository of the package's Python files alone: the models take seconds to clone."""
    folder = tmp_path_factory.mktemp("repository")
    tracked = subprocess.run(
        ["git", "ls-files", "facegen_keras/*.py", "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in tracked:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_stock_colab_clones_once_and_installs(notebook, colab, content, repository):
    done = colab(notebook, repository)
    assert done.returncode == 0, done.stderr
    folder = content / "facegen"
    assert done.stdout.split() == [str(folder), "True", str(folder / "facegen_keras/__init__.py")]
    assert not (folder / "facegen").exists()  # the second run does not clone into the first
    # The stand-in installs nothing, so that the second run calls it too, in the same folder.
    assert done.pip == [f"{folder} install -q -e .[offline-fd]"] * 2


def test_a_clone_that_fails_says_so_in_a_sentence(colab, content):
    done = colab(NOTEBOOKS[0], content / "nowhere")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"{content / 'nowhere'} cannot be cloned: set REPO to your copy and run this cell again"
    )
    assert not done.pip


def test_pip_that_fails_says_so_in_a_sentence(colab, repository):
    done = colab(NOTEBOOKS[0], repository, PIP_FAILS="1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("pip could not install the package")
    assert len(done.pip) == 1


def test_where_it_is_installed_nothing_is_called(monkeypatch, tmp_path):
    """Here it is installed; `-e` has a distribution of its own too."""
    cells = [cell.source for cell in nbformat.read(NOTEBOOKS[0], 4).cells]
    install = next(cell for cell in cells if cell.startswith("# @title Setup, part 2"))
    installed = tmp_path / "facegen_keras-0.1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: facegen-keras\nVersion: 1\n")
    (installed / "RECORD").write_text("facegen_keras/__init__.py,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    names = {"sys": sys, "subprocess": None}  # a call would fail
    exec(install, names)
    assert names["INSTALLED"]


def test_all_notebooks_share_their_first_cells():
    titles = tuple(
        f"# @title {word}" for word in ("Setup, part 1", "Setup, part 2", "Back", "Goog")
    )
    shared = [
        [cell.source for cell in nbformat.read(path, 4).cells if cell.source.startswith(titles)]
        for path in NOTEBOOKS
    ]
    assert all(cells == shared[0] for cells in shared)
    assert len(shared[0]) == 4


def test_the_drive_keeps_runs_and_models(tmp_path, monkeypatch):
    """Two machines with one Drive: the second finds what the first left."""
    mounted = []

    class Drive:
        mount = staticmethod(mounted.append)

    colab = type(sys)("google.colab")
    colab.drive = Drive
    monkeypatch.setitem(sys.modules, "google", type(sys)("google"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    drive = tmp_path / "drive"
    for machine in ("one", "two"):
        (tmp_path / machine / "saved_models").mkdir(parents=True)
        (tmp_path / machine / "saved_models" / "vae_decoder.h5").write_text("shipped")
        (tmp_path / machine / "output" / "run").mkdir(parents=True)
        (tmp_path / machine / "output" / "run" / "log.jsonl").write_text(machine)
        monkeypatch.chdir(tmp_path / machine)
        keep_on_drive(mount=drive)
        keep_on_drive(mount=drive)  # "Run all" again
        if machine == "one":
            Path("saved_models/my_vae_decoder.h5").write_text("mine")
            Path("saved_models/vae_decoder.h5").write_text("trained here, under its own name")
    assert Path("saved_models/my_vae_decoder.h5").read_text() == "mine"
    assert Path("saved_models/vae_decoder.h5").read_text() == "trained here, under its own name"
    assert Path("saved_models/vae_decoder_here.h5").read_text() == "shipped"
    assert Path("output/run/log.jsonl").read_text() == "one"  # runs are not mixed
    assert Path("output/run_here/log.jsonl").read_text() == "two"
    assert sorted(path.name for path in Path("output").iterdir()) == ["run", "run_here"]
    assert mounted == [str(drive)] * 4


def test_a_copy_to_the_drive_that_was_cut_off_is_completed(tmp_path, monkeypatch):
    colab = type(sys)("google.colab")
    colab.drive = types.SimpleNamespace(mount=lambda place: None)
    monkeypatch.setitem(sys.modules, "google", type(sys)("google"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "output" / "run"
    run.mkdir(parents=True)
    for name in "abc":
        (run / name).write_text(name)
    copy, copied = shutil.copy2, []

    def full_at_the_second(source, target, **options):
        copied.append(source)
        if len(copied) == 2:
            raise OSError(errno.ENOSPC, "the Drive is full")
        return copy(source, target, **options)

    whole = shutil.copytree
    monkeypatch.setattr(
        shutil, "copytree", functools.partial(whole, copy_function=full_at_the_second)
    )
    with pytest.raises(OSError, match="the Drive is full"):
        keep_on_drive(mount=tmp_path / "drive")
    keep_on_drive(mount=tmp_path / "drive")
    assert [path.name for path in Path("output").iterdir()] == ["run"]
    assert sorted(path.name for path in Path("output/run").iterdir()) == ["a", "b", "c"]


def test_elsewhere_there_is_no_drive(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", None)
    with pytest.raises(UserError, match="on Colab only; set DRIVE = False"):
        keep_on_drive()


def test_make_repo_renames_every_link(tmp_path):
    for name in ("notebooks", "docs", "scripts", "spaces"):
        (tmp_path / name).mkdir()
    files = [ROOT / name for name in ("Makefile", "README.md", "CITATION.cff", "scripts/repo.py")]
    files.append(ROOT / "spaces/requirements.txt")
    for path in (*files, *NOTEBOOKS, *(ROOT / "docs").glob("*.md")):
        (tmp_path / path.relative_to(ROOT)).write_bytes(path.read_bytes())
    subprocess.run(["make", "-s", "repo", "NAME=me/faces"], cwd=tmp_path, check=True)
    for path in tmp_path.rglob("*.*"):
        assert "yourusername" not in path.read_text(encoding="utf-8"), path
    for path in (tmp_path / "notebooks").glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert text.count("github.com/me/faces") == 1
        assert text.count("/github/me/faces/blob/main/") == 1
        nbformat.reads(text, 4)
    refused = subprocess.run(
        ["make", "-s", "repo", "NAME=me"], cwd=tmp_path, capture_output=True, text=True
    )
    assert refused.returncode == 2
    assert "NAME=me: expected owner/name" in refused.stderr


# What Colab has of what the package needs: all but jsonargparse and the feature network.
SHIPPED = [
    "tensorflow",
    "keras",
    "jax",
    "numpy",
    "scipy",
    "matplotlib",
    "pillow",
    "h5py",
    "tqdm",
    "PyYAML",
    "imageio-ffmpeg",
]
PLAY = """
import sys, types
sys.modules["google.colab"] = types.ModuleType("google.colab")
"""


def test_a_notebook_runs_with_the_versions_of_colab(content, tmp_path):
    """A new environment of Colab's versions, the clone, pip's own work, and a whole notebook."""
    environment = tmp_path / "colab"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    kernel = ["ipykernel", "nbclient"]
    constraints = ["-c", ROOT / ".github/colab.txt"]
    pip = [python, "-m", "pip", "install", "-q", *constraints, *SHIPPED, *kernel]
    subprocess.run(pip, check=True)
    before = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True).stdout
    notebook = nbformat.read(NOTEBOOKS[0], 4)
    play = nbformat.v4.new_code_cell(PLAY)
    notebook.cells.insert(0, play)
    for cell in notebook.cells[:3]:
        cell.source = cell.source.replace("/content/", f"{content}/").replace(
            "https://github.com/yourusername/human-face-generator", f"file://{ROOT}"
        )
    path = content / "played.ipynb"
    nbformat.write(notebook, path)
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "KERAS_BACKEND")}
    command = [environment / "bin" / "jupyter-execute", "--timeout=600", path]
    done = subprocess.run(command, cwd=content, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    after = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True).stdout
    kept = [line for line in before.splitlines() if line not in after.splitlines()]
    assert not kept, "exchanged by the installation"
    assert "jsonargparse" in after
    assert list((content / "facegen/output/figures").glob("01_*.png"))
