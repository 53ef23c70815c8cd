"""In a real browser: the notebooks open in JupyterLab, and one runs there to its end.

Needs Chromium; elsewhere these tests are skipped.
"""

import contextlib
import copy
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
MINUTE = 60_000  # in Playwright's milliseconds

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with copies of the notebooks and of what they read."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", home / "notebooks")
    (home / "dataset").symlink_to(ROOT / "dataset")
    shutil.copytree(ROOT / "saved_models", home / "saved_models")
    return home


@pytest.fixture(scope="module")
def lab(home, unmeasured):
    """A JupyterLab over `home`: its address up to `/tree/`, with the token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    arguments = ["--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0"]
    arguments += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={home}"]
    places = {f"JUPYTER_{name}_DIR": str(home / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    environment = {name: value for name, value in unmeasured().items() if name != "MPLBACKEND"}
    log = open(home / "lab.log", "w")  # noqa: SIM115 - closed below, after the server
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *arguments],
        env={**environment, **places, "PYTHONPATH": str(ROOT)},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + 90
        while True:
            with contextlib.suppress(OSError):
                url = f"http://127.0.0.1:{port}/api/status?token={token}"
                with urllib.request.urlopen(url, timeout=5) as answer:
                    json.load(answer)
                break
            said = (home / "lab.log").read_text()
            assert server.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/lab/workspaces/test/tree/{{}}?token={token}&reset"
    finally:
        server.terminate()
        try:
            server.wait(30)  # it waits for its kernels
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()


@pytest.fixture
def page():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        page.set_default_timeout(3 * MINUTE)
        yield page
        browser.close()


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def outputs(notebook) -> list:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def pictures(notebook) -> int:
    """How many there are; those of faces are stored as JPEG."""
    kinds = {"image/png", "image/jpeg"}
    return sum(not kinds.isdisjoint(output.get("data", {})) for output in outputs(notebook))


def open_notebook(page, lab: str, path: str) -> None:
    page.goto(lab.format(path))
    page.wait_for_selector(".jp-Notebook .jp-Cell")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_opens_and_shows_its_title_and_pictures(lab, page, path):
    open_notebook(page, lab, f"notebooks/{path.name}")
    notebook = nbformat.read(path, as_version=4)
    title = next(
        line.lstrip("# ") for line in notebook.cells[0].source.splitlines() if line.startswith("# ")
    )
    shown = page.locator(".jp-MarkdownOutput h1").first.inner_text()
    assert shown.rstrip("¶").strip() == title.strip()
    page.wait_for_selector(".jp-OutputArea-output img", state="attached")
    assert page.locator(".jp-Dialog").count() == 0  # "notebook validation failed" and the like


@pytest.mark.skipif(not NOTEBOOKS, reason="no notebooks")
def test_one_runs_to_its_end(lab, home, page):
    """Judged by the file that JupyterLab saves: its cells start without numbers or outputs."""
    stored = nbformat.read(NOTEBOOKS[0], as_version=4)
    blank = copy.deepcopy(stored)
    for cell in code_cells(blank):
        cell.execution_count, cell.outputs = None, []
    file = home / "notebooks" / "to_run.ipynb"
    nbformat.write(blank, file)
    open_notebook(page, lab, f"notebooks/{file.name}")
    page.wait_for_selector("#jp-main-statusbar :text-matches('^Python 3.*Idle$')")  # its kernel
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Restart Kernel and Run All Cells…").click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()

    deadline = time.monotonic() + 240
    while True:
        assert time.monotonic() < deadline, "not at its end after 240 s"
        page.wait_for_timeout(1_000)
        page.keyboard.press("Control+s")
        try:
            ran = nbformat.read(file, as_version=4)
        except nbformat.reader.NotJSONError:  # JupyterLab is writing it at this moment
            continue
        assert "error" not in [output.output_type for output in outputs(ran)]
        if all(cell.execution_count for cell in code_cells(ran)):
            break
    assert [cell.execution_count for cell in code_cells(ran)] == [
        cell.execution_count for cell in code_cells(stored)
    ]
    assert pictures(ran) == pictures(stored) >= 1
