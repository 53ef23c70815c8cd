"""What the page shows is what its fields and its address say: in Chromium, with a model of eight
lines in place of the worker's. Its faces are Python's: see `tests/test_web_page.py`."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest

import facegen_keras.generate

PAGE = Path(facegen_keras.generate.__file__).parent / "page"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ABOUT = {
    "family": "stylegan2", "name": "StyleGAN2", "file": "g.h5", "resolution": 8, "latent_dim": 8,
    "layers": 4, "w_dim": 6, "psi": 0.7, "facts": [], "sizes": {},
    "version": "1", "runtime": "1", "weights": "float32",
}  # fmt: skip
# w is the first number of a latent, six times; a face is as light as its w is large.
WORKER = """onmessage = ({ data: { task, rows, shape } }) => {
  if (task === "open") return postMessage({});
  const [count, size] = [shape[0], rows.length / shape[0]];
  const level = (i) => 128 + 60 * rows[i * size];
  const values = Float32Array.from({ length: count * 24 }, (_, k) => rows[Math.floor(k / 24) * 8]);
  if (task === "run") return postMessage({ result: { values, shape: [count, 4, 6] } });
  const pixels = Uint8ClampedArray.from({ length: count * 256 }, (_, k) => level(k >> 8));
  postMessage({ result: { pixels, height: 8, width: 8 } });
};"""

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.xdist_group("browser"),
]


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def open_page():
    """`open_page("#face?seed=7")`: the page at that address, ready."""
    from playwright.sync_api import sync_playwright

    handler = functools.partial(Handler, directory=PAGE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

            def open_page(address):
                page = browser.new_page()
                page.route("**/model.json", lambda route: route.fulfill(json=ABOUT))
                script = {"body": WORKER, "content_type": "text/javascript"}
                page.route("**/worker.js", lambda route: route.fulfill(**script))
                page.goto(f"http://127.0.0.1:{server.server_port}/{address}")
                page.wait_for_selector("#app:not([hidden])")
                return page

            yield open_page
            browser.close()
        server.shutdown()


def test_an_address_names_only_what_is_known(open_page):
    page = open_page("#walk?seed=7")
    assert page.url.endswith("#walk?seed=7")
    page.click("#tab-face")
    page.wait_for_selector('#face-picture[data-seed="7"]')
    assert page.url.endswith("#face?seed=7&psi=0.7")
    page.close()


def test_after_the_last_seed_comes_the_first(open_page):
    page = open_page("#face?seed=4294967295")
    page.click('#face-more button[aria-label="Seed 0"]')
    page.wait_for_selector('#face-picture[data-seed="0"]')
    assert page.input_value("#face-seed") == "0"
    page.close()


def test_other_faces_come_also_where_the_grid_is_left_at_once(open_page):
    page = open_page("#grid")
    page.wait_for_function("() => document.querySelector('#grid-picture').dataset.frames == 18")
    page.fill("#grid-seed", "5000")
    page.click("#tab-walk")
    page.wait_for_timeout(500)
    page.click("#tab-grid")
    page.wait_for_selector('#grid-picture[aria-label*="from 5000 on"]')
    page.close()


def test_random_seeds_are_valid_ones(open_page):
    page = open_page("#walk")
    page.fill("#walk-from", "x")
    assert page.get_attribute("#walk-from", "aria-invalid") == "true"
    page.click("#walk-random")
    assert page.input_value("#walk-from").isdigit()
    assert page.get_attribute("#walk-from", "aria-invalid") is None
    page.close()
