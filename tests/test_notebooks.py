"""Every notebook runs from a clean kernel without a network, and leaves what it promises.

Each is executed in a copy of the repository's folders, so that a test changes none of its files.
"""

import ast
import importlib.util
import os
import re
import shutil
import textwrap
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
OFFLINE = Path(__file__).parent / "offline"  # a sitecustomize that refuses every other machine
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 240  # that a notebook may take by itself on two cores in QUICK mode
BUSY = 3  # here the other worker has one of the cores, and CI machines differ
# A user's kernel has all cores, and nothing measures which lines it runs.
OF_OTHER_TESTS = (
    "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "COVERAGE_PROCESS_CONFIG",
)
CELL_LINES = 15
MEGABYTES = 4
PICTURES = ("image/png", "image/jpeg")
SOLUTION = re.compile(r"```python\n(.*?)```", re.DOTALL)
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"

WRITES = {
    "01_eda": ["output/01_eda/**/*.png"],
    "02_vae": ["saved_models/my_vae_decoder.h5", "saved_models/my_vae_encoder.h5"],
    "03_dcgan": ["saved_models/my_dcgan_generator.h5"],
    "04_combined": ["saved_models/my_combined_generator.h5"],
    "05_stylegan2": ["saved_models/my_stylegan2_generator.h5"],
    "06_fid_comparison": ["output/06_fid_comparison/**/*.json"],
}


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_all_six_are_there_in_order():
    assert [path.stem for path in NOTEBOOKS] == list(WRITES)


def fill_in(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Put the solutions into the cells that have a blank; return these cells."""
    cells = {cell.id: cell for cell in notebook.cells}
    blanks = [cell for name, cell in cells.items() if re.fullmatch(r"fill-in-\d", name)]
    assert len(blanks) >= 2
    for blank in blanks:
        checked = blank.source.splitlines()[-1]
        assert checked.startswith("fg.exercises.check("), blank.source
        solution = cells[f"{blank.id}-solution"].source
        assert solution.startswith("<details><summary>Solution</summary>")
        (code,) = SOLUTION.findall(solution)
        blank.source = code + checked
    return blanks


def solutions(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """The code of the exercises' solutions, as cells."""
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    (exercises,) = (text for text in texts if re.search("^## Exercises$", text, re.MULTILINE))
    code = SOLUTION.findall(exercises.partition("## Exercises")[2])
    return [nbformat.v4.new_code_cell(textwrap.dedent(block)) for block in code]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_a_page_to_read(path):
    notebook = read(path)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert BADGE in text
    assert f"/notebooks/{path.name}" in text
    for heading in ("What you will see", "The answer", "What did not work", "Exercises"):
        assert heading in text, heading
    headings = {heading.replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, re.M)}
    contents = text.partition("What you will see")[2].partition("How long")[0]
    links = re.findall(r"\]\(#([^)]*)\)", contents)
    assert len(links) >= 4
    assert set(links) <= headings, set(links) - headings
    following = NOTEBOOKS[NOTEBOOKS.index(path) + 1 :]
    if following:
        assert f"({following[0].name})" in text  # a link to the next
    tagged = [c for c in code_cells(notebook) if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert re.search(r"^QUICK = True\b", tagged[0].source, re.MULTILINE)
    assert re.search(r"^DATA_PATH = ", tagged[0].source, re.MULTILINE)
    for cell in code_cells(notebook):
        assert len(cell.source.splitlines()) <= CELL_LINES, cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_it_imports_exists(path):
    """Told here in a second, and only after minutes where the notebook runs."""
    for cell in code_cells(read(path)):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("facegen_keras"):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    submodule = f"{node.module}.{alias.name}"
                    assert hasattr(module, alias.name) or importlib.util.find_spec(submodule)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_committed_as_it_ran(path):
    assert path.stat().st_size < MEGABYTES * 1e6
    cells = [cell for cell in code_cells(read(path)) if cell.source.strip()]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    pictures = [(o, kind) for o in outputs for kind in PICTURES if kind in o.get("data", {})]
    assert len(pictures) >= 4
    for output, kind in pictures:
        assert output.metadata[kind]["alt"], "a picture without an alternative text"
    for output in outputs:
        assert output.output_type != "error"
        said = output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        assert "Warning" not in said, said
        assert not re.search(r"/(home|work|root|tmp)/", said), said


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_from_a_clean_kernel_without_a_network(path, tmp_path, monkeypatch, request):
    """With `--long` the code of the exercises' solutions too."""
    for folder in ("configs", "dataset"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    shipped = shutil.ignore_patterns("my_*")
    shutil.copytree(ROOT / "saved_models", tmp_path / "saved_models", ignore=shipped)
    models = tmp_path / "saved_models"
    before = {path: path.read_bytes() for path in models.rglob("*") if path.is_file()}
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(OFFLINE), str(ROOT)]))
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel's own, which draws inline
    for name in OF_OTHER_TESTS:
        monkeypatch.delenv(name, raising=False)
    notebook = read(path)
    blanks = fill_in(notebook)
    if request.config.getoption("--long"):
        notebook.cells += solutions(notebook)
    client = NotebookClient(
        notebook,
        timeout=BUSY * SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": tmp_path / "notebooks"}},
    )
    began = time.monotonic()
    client.execute()  # raises at the first cell that does
    assert time.monotonic() - began < BUSY * SECONDS
    for cell in blanks:  # the solutions solve them
        said = "".join(output.get("text", "") for output in cell.outputs)
        assert said.rstrip().endswith(": right"), f"{cell.id}: {said}"
    for pattern in WRITES[path.stem]:
        found = list(tmp_path.glob(pattern))
        assert found, pattern
        assert all(file.stat().st_size for file in found), pattern
    figures = tmp_path / "output" / "figures"
    assert list(figures.glob("*.pdf"))
    for page in figures.glob("*.pdf"):
        with Image.open(page.with_suffix(".png")) as image:
            assert round(image.info["dpi"][0]) == 300
    for there, content in before.items():  # a quick training never replaces a shipped model
        assert there.read_bytes() == content, there
