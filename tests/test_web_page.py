"""The web page of a model, in a real browser: its faces are Python's.

Needs Chromium, and ONNX Runtime Web in this machine's cache or from the network; elsewhere these
tests are skipped.
"""

import functools
import http.server
import io
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegen_keras import export_model, load_generator
from facegen_keras.errors import UserError
from facegen_keras.export import web_runtime
from facegen_keras.files.places import cache_folder
from facegen_keras.inference import latents, to_uint8

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
CACHE = cache_folder(None)  # of this machine: tests have one of their own, which is empty
MODELS = {"stylegan2": "stylegan2_generator.h5", "vae": "vae_decoder.h5"}
GREY_LEVELS = 2

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The address of a server without any special headers, with one page per family below it."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEGEN_CACHE", str(CACHE))
        try:
            web_runtime.runtime_files()
        except UserError as error:
            pytest.skip(str(error))
        for family, name in MODELS.items():
            export_model(ROOT / "saved_models" / name, folder / family, "web")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Say nothing."""

    handler = functools.partial(Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.getuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def open_page(pages, browser):
    """`open_page(family)`: its page, ready, and what went wrong there."""
    opened = {}

    def open_page(family):
        if family not in opened:
            page = browser.new_page(viewport={"width": 390, "height": 844})
            page.set_default_timeout(180_000)  # milliseconds
            wrong = []
            page.on("pageerror", lambda error: wrong.append(error))
            page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
            page.on("request", lambda asked: (
                asked.url.startswith((pages, "blob:")) or wrong.append(asked.url)
            ))  # fmt: skip
            page.goto(f"{pages}/{family}/")
            page.wait_for_selector("#app:not([hidden])")
            opened[family] = page, wrong
        return opened[family]

    return open_page


def downloaded(page, view):
    """The pixels of the PNG that a view's button saves."""
    with page.expect_download() as download:
        page.click(f"#{view}-download")
    return np.asarray(Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))).astype(int)


def slide(page, name, value):
    page.eval_on_selector(
        name,
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }",
        str(value),
    )


def python(family):
    return load_generator(ROOT / "saved_models" / MODELS[family])


@pytest.mark.parametrize("family", list(MODELS))
def test_a_seed_gives_the_same_face_as_in_python(family, open_page):
    page, wrong = open_page(family)
    generator = python(family)
    assert page.evaluate("crossOriginIsolated") is False  # one thread has to do
    page.click("#tab-face")
    for psi in (0.5, 1) if family == "stylegan2" else (1,):
        page.fill("#face-seed", "7")
        if family == "stylegan2":
            slide(page, "#face-psi", psi)
        page.wait_for_selector(f'#face-picture[data-seed="7"][data-psi="{psi}"]')
        options = {"truncation_psi": psi} if family == "stylegan2" else {}
        (face,) = generator.sample([7], **options)
        found = downloaded(page, "face")
        assert found.shape[:2] == (64, 64)
        assert np.abs(found[..., :3] - face).max() <= GREY_LEVELS
    assert page.is_visible("#tab-mix") == page.is_visible("#face-psi") == (family == "stylegan2")
    assert not wrong


def test_latents_are_numpys_to_the_last_bit(open_page):
    page, _ = open_page("vae")
    seeds = [0, 7, 12345, 2**31, 2**32 - 1, *range(1000, 1200)]
    for length in (101, 128):
        found = page.evaluate(
            """async ([seeds, length]) => {
              const { latent } = await import("./latents.js");
              return seeds.map((seed) => [...new Uint32Array(latent(seed, length).buffer)]);
            }""",
            [seeds, length],
        )
        np.testing.assert_array_equal(
            np.array(found, "uint32"), latents(seeds, length).view("uint32")
        )


def test_styles_are_mixed_as_in_python(open_page):
    page, wrong = open_page("stylegan2")
    page.click("#tab-mix")
    page.wait_for_function("() => document.querySelector('#mix-picture').ariaLabel")
    words = page.text_content("#mix-python").split()
    rows, columns, layers = (word.partition("=")[2] for word in words if "=" in word)
    assert words[-2:] == ["--truncation_psi", "0.7"]
    generator = python("stylegan2")
    ends = [int(rows.split(",")[1]), int(columns.split(",")[2])]
    row, column = generator.styles(generator.mapping(latents(ends, 128)), 0.7)
    low, high = (int(end) for end in layers.split("-"))
    assert (low, high) == (0, 3)
    row[low : high + 1] = column[low : high + 1]
    (mixed,) = to_uint8(generator.synthesis(row[None]))
    found = downloaded(page, "mix")
    y, x = 2 * (64 + 4), 3 * (64 + 4)
    assert np.abs(found[y : y + 64, x : x + 64, :3] - mixed).max() <= GREY_LEVELS
    assert not wrong


def test_a_walk_and_a_grid_are_those_of_python(open_page):
    page, wrong = open_page("vae")
    generator = python("vae")
    page.click("#tab-walk")
    slide(page, "#walk-position", 8)
    page.wait_for_selector('#walk-picture[aria-label*="25 %"]')
    (face,) = generator.walk_between(7, 12, [0.25])
    assert np.abs(downloaded(page, "walk")[..., :3] - face).max() <= GREY_LEVELS
    page.click("#walk-play")
    page.wait_for_selector('#walk-picture[aria-label*="34 %"]')
    page.click("#tab-grid")
    page.wait_for_function("() => document.querySelector('#grid-picture').dataset.frames >= 2")
    faces = generator.sample(range(36)).reshape(6, 6, 64, 64, 3).swapaxes(1, 2)
    found = downloaded(page, "grid")[..., :3]
    assert np.abs(found - faces.reshape(384, 384, 3)).max() <= GREY_LEVELS
    pictures = []
    for _ in range(2):
        pictures.append(page.evaluate("document.querySelector('#grid-picture').toDataURL()"))
        page.wait_for_timeout(300)
    assert pictures[0] != pictures[1]  # it moves
    page.click("#grid-play")
    assert page.text_content("#grid-play") == "Play"
    assert not wrong


def test_it_works_by_keyboard_and_on_a_narrow_screen(open_page):
    page, wrong = open_page("vae")
    page.focus("#tab-face")
    page.click("#tab-face")
    page.fill("#face-seed", "7")
    page.press("#face-download", "ArrowRight")
    assert page.input_value("#face-seed") == "8"
    page.press("#face-download", "r")
    assert page.input_value("#face-seed") not in ("7", "8")
    page.fill("#face-seed", "-1")
    assert page.get_attribute("#face-seed", "aria-invalid") == "true"
    page.press("#tab-face", "ArrowRight")
    assert page.is_visible("#walk")
    assert not page.is_visible("#face")
    assert page.evaluate("document.activeElement.id") == "tab-walk"
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert "none of these people is real" in page.text_content("#lead")
    assert "CelebA" in page.text_content("#lead")
    assert not wrong


def test_a_file_that_is_missing_is_named(pages, browser):
    page = browser.new_page()
    page.route("**/mapping.onnx", lambda route: route.fulfill(status=404))
    page.goto(f"{pages}/stylegan2/")
    page.wait_for_selector("#progress", state="hidden")
    page.wait_for_load_state("networkidle")
    said = page.text_content("#status")
    assert said.startswith("The model could not be opened: mapping.onnx: 404")
    page.close()
