"""The page: clicked through in Chromium, tab by tab, with the smallest models."""

import functools
import gc
import json
import os
import re
import runpy
import shutil
import socket
import sys
import tomllib
import urllib.request
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from facegen_keras.cli import main
from facegen_keras.cli.demo import DemoConfig
from facegen_keras.demo.app import _Page, build_app, serve
from facegen_keras.demo.human_test import new_test
from facegen_keras.demo.studio import Studio, models_in
from facegen_keras.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
IN_BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
SECOND = 1000  # in Playwright's milliseconds
TABS = ["Faces", "Compare", "Walk", "Mix", "Directions", "Project", "Reconstruct", "Real or drawn"]

pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.filterwarnings("ignore"),  # of Gradio and what it stands on
]


def again_after_a_reload(test):
    """Gradio reloads its page when a busy machine cuts the connection: then begin once more."""

    @functools.wraps(test)
    def run(**fixtures):
        from playwright.sync_api import TimeoutError

        for left in (2, 1, 0):
            try:
                return test(**fixtures)
            except TimeoutError:
                if not left:
                    raise

    return run


@pytest.fixture(scope="module")
def gradio():
    """Gradio; the event loops that it leaves open are collected here, not under a later test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield pytest.importorskip("gradio", reason="pip install '.[demo]'")
        gc.collect()


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="module")
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def address(gradio, models, output, port, tmp_path_factory):
    """The demo on 127.0.0.1, its files in a folder of this test."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        app = build_app(Studio(models_in(models)), str(output))
        yield serve(app, port=port, block=False)
        app.close()
        del app


@pytest.fixture(scope="module")
def page(address):
    """A tab of a browser that shows the demo; it may ask nobody else for anything."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(60 * SECOND)
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(address)
        page.get_by_role("tab", name="Faces").wait_for()
        yield page
        browser.close()


@pytest.fixture
def open_tab(page):
    """`open_tab(name)`: the panel of a tab."""

    def show(name: str):
        page.get_by_role("tab", name=name, exact=True).click()
        return page.get_by_role("tabpanel").filter(visible=True)

    return show


def press(panel, name: str) -> None:
    panel.get_by_role("button", name=name, exact=True).click()


def size_of(picture) -> tuple[int, int]:
    picture.wait_for()
    return tuple(
        picture.evaluate(
            "async i => { i.videoWidth === undefined ? await i.decode() : "
            "await new Promise(r => i.readyState ? r() : i.onloadedmetadata = r);"
            " return [i.naturalWidth || i.videoWidth, i.naturalHeight || i.videoHeight] }"
        )
    )


@IN_BROWSER
def test_there_is_a_tab_for_everything(page, address):
    assert [tab.inner_text() for tab in page.get_by_role("tab").all()] == TABS
    assert address.startswith("http://127.0.0.1:")
    outside = [url for url in page.asked if not url.startswith((address, "data:", "blob:"))]
    assert outside == []
    assert page.get_by_role("button", name="Share").count() == 0


@IN_BROWSER
@pytest.mark.parametrize(
    ("tab", "button", "picture", "size"),
    [
        ("Faces", "Draw", "img", (512, 512)),
        ("Compare", "Compare", "img", (512, 512)),
        ("Walk", "Walk", "video", (256, 256)),
        ("Mix", "Mix", "img", (512, 512)),
        ("Directions", "Draw", "img", (512, 512)),
    ],
)
@again_after_a_reload
def test_a_tab_draws(open_tab, tab, button, picture, size):
    panel = open_tab(tab)
    press(panel, button)
    assert size_of(panel.locator(picture).first) == size


@IN_BROWSER
@again_after_a_reload
def test_a_slider_moves_the_face(open_tab):
    panel = open_tab("Directions")
    face = panel.locator("img").first

    def picture():
        return panel.page.request.get(face.get_attribute("src")).body()

    press(panel, "Draw")
    face.wait_for()
    before = picture()
    slider = panel.get_by_label(re.compile("^range slider for Direction 1")).first
    slider.focus()
    slider.press("End")
    for _ in range(300):
        press(panel, "Draw")  # does nothing while the first drawing is still on its way
        panel.page.wait_for_timeout(200)
        if picture() != before:
            return
    pytest.fail("the slider moved nothing in a minute")


@IN_BROWSER
@again_after_a_reload
def test_a_photo_is_reconstructed(open_tab, photos):
    panel = open_tab("Reconstruct")
    press(panel, "Reconstruct")
    panel.page.get_by_text("choose a photo first").wait_for()
    panel.locator("input[type=file]").set_input_files(photos[0])
    panel.get_by_text("photo00").first.wait_for()
    press(panel, "Reconstruct")
    assert size_of(panel.locator("img").first) == (512, 256)
    panel.get_by_text("Click to Upload").wait_for()  # the field is empty again


@IN_BROWSER
@again_after_a_reload
def test_a_photo_is_projected_with_progress(open_tab, photos):
    panel = open_tab("Project")
    panel.locator("input[type=file]").set_input_files(photos[0])
    panel.get_by_text("photo00").first.wait_for()
    press(panel, "Project")
    panel.get_by_text(re.compile(r"loss \d\.\d{4}")).first.wait_for()
    assert size_of(panel.locator("video").first) == (256, 256)
    assert size_of(panel.locator("img").first) == (768, 256)


@IN_BROWSER
def test_real_or_drawn_gives_a_score(open_tab, photos, output):
    panel = open_tab("Real or drawn")
    panel.locator("input[type=file]").set_input_files(photos[:5])
    panel.get_by_text("photo04").first.wait_for()
    press(panel, "Start")
    for number in range(1, 6):
        panel.get_by_text(f"Pair {number} of 5").wait_for()
        press(panel, ("Left is the photo", "Right is the photo")[number % 2])
    panel.get_by_text(re.compile(r"\d of 5 photos recognised: .* 95 % interval")).wait_for()
    (file,) = output.glob("human_test_*.json")
    assert json.loads(file.read_text())["pairs"] == 5
    assert panel.get_by_role("button", name="Left is the photo").is_disabled()


@IN_BROWSER
def test_no_upload_is_left(page, gradio):
    left = [path.name for path in Path(os.environ["GRADIO_TEMP_DIR"]).rglob("photo*")]
    assert left == []


def test_a_test_that_is_gone_or_finished_takes_no_answer(studio, made_up, tmp_path):
    """After the server has started again, and from the other button beside the last answer."""
    page = _Page(SimpleNamespace(update=dict), studio, tmp_path)
    with pytest.raises(UserError, match="no longer kept; press Start"):
        page.answer(True, None)
    test = new_test("vae", studio.generator("vae_decoder"), made_up(5, 8), pairs=5)
    for _ in range(5):
        page.answer(True, test)
    with pytest.raises(UserError, match="finished; press Start"):
        page.answer(False, test)
    assert len(list(tmp_path.glob("human_test_*.json"))) == 1  # one test, one result


def test_only_this_machine_is_let_in(address, port, monkeypatch):
    assert DemoConfig().host == "127.0.0.1"
    assert not DemoConfig().share
    with urllib.request.urlopen(f"{address}config") as answer:
        config = json.load(answer)
    assert not config["analytics_enabled"]
    jobs = [d for d in config["dependencies"] if d["backend_fn"]]
    assert jobs
    assert {d["api_visibility"] for d in jobs} == {"private"}
    with pytest.raises(UserError, match=f"port {port} at 127.0.0.1: cannot be opened .*; give"):
        serve(build_app(Studio(["saved_models/vae_decoder.h5"])), port=port)


def test_mistakes_are_one_line(models, tmp_path, monkeypatch, capsys):
    for argv, message in (
        (["--saved_models_dir", str(tmp_path)], "no model; train one first, or give model_path"),
        (["--model_path", str(models / "vae_encoder.h5x")], "no such file"),
        (["--port", "0"], "port 0: expected 1 to 65535"),
        (["--crop", "round"], "round"),
        (["--saved_models_dir", str(models), "--data_path", "none"], "none: no such file"),
    ):
        assert main(["demo", *argv]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["demo", "--saved_models_dir", str(models)]) == 2
    assert "run: pip install '.[demo]'" in capsys.readouterr().err


def test_the_folder_of_a_space_is_complete(gradio, models, monkeypatch):
    folder = ROOT / "spaces"
    about = yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert about["sdk"] == "gradio"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (line,) = (folder / "requirements.txt").read_text().splitlines()
    named, extras = re.match(r"([\w-]+)\[([\w,]+)\] @ git\+https", line).groups()
    assert named == project["name"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    monkeypatch.setenv("FACEGEN_MODELS", str(models / "vae_decoder.h5"))
    assert isinstance(runpy.run_path(str(folder / about["app_file"]))["app"], gradio.Blocks)
