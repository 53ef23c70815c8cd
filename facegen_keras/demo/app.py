"""The demo's page, in Gradio. It only arranges widgets: what they do is in `studio`."""

import functools
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from facegen_keras.demo.human_test import PAIRS, HumanTest
from facegen_keras.demo.studio import DIRECTIONS, MOST_FACES, MOST_FRAMES, SHOWN, Studio, enlarged
from facegen_keras.demo.uploads import MOST_BYTES
from facegen_keras.errors import UserError, printable, require

TITLE = "Faces from trained models"
SEED = 2**31 - 1  # the largest that a field offers
KEPT = 600  # seconds that a picture or film stays on disk
WAITING = 20  # jobs at most; whoever comes then is asked to try again
VISITORS = 50  # whose tests are kept in memory
PHOTOS = [".jpg", ".jpeg", ".png", ".webp", ".bmp"]


def build_app(studio: Studio, output_dir: str = "./output") -> Any:
    """The page as a `gradio.Blocks`, one tab per function of the studio.

    Args:
        studio: With the models.
        output_dir: Folder for the results of human tests.

    Raises:
        UserError: The package `gradio` is missing.
    """
    gr = require("gradio", "demo")
    page = _Page(gr, studio, Path(output_dir))
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(60, KEPT)) as app:
        gr.Markdown(f"# {TITLE}\nNo drawn face is a person. A seed is a face, always the same.")
        for name, build in page.tabs().items():
            with gr.Tab(name):
                build()
    app.queue(max_size=WAITING)
    return app


def serve(
    app: Any, host: str = "127.0.0.1", port: int = 7860, share: bool = False, block: bool = True
) -> str:
    """Open a page of `build_app` at an address, and return that.

    Args:
        app: As from `build_app`.
        host: Address to bind to; by default this machine alone can reach it.
        port: Of the address.
        share: Also open a public address through Gradio's servers, for a week at most.
        block: Return only once the server ends.

    Raises:
        UserError: The port is taken, or the address is not one of this machine.
    """
    gr = require("gradio", "demo")
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    try:
        _, local, public = app.launch(
            server_name=host,
            server_port=port,
            share=share,
            prevent_thread_lock=not block,
            max_file_size=MOST_BYTES,
            state_session_capacity=VISITORS,
            footer_links=[],
            enable_monitoring=False,
            theme=gr.themes.Default(**fonts),  # none is fetched from elsewhere
        )
    except (OSError, ValueError) as error:
        raise UserError(
            f"port {port} at {host}: cannot be opened (it is taken, or {host} is not an address of "
            "this machine); give another with port or host"
        ) from error
    return str(public or local)


class _Page:
    """The widgets of the tabs."""

    def __init__(self, gr: ModuleType, studio: Studio, output_dir: Path) -> None:
        self.gr, self.studio, self.output_dir = gr, studio, output_dir

    def tabs(self) -> dict[str, Callable[[], None]]:
        """What builds each tab, by its name; those that no model can fill are left out."""
        tabs = {"Faces": self.faces, "Compare": self.compare, "Walk": self.walk}
        if self.studio.of_family("stylegan2"):
            tabs |= {"Mix": self.mix, "Directions": self.directions, "Project": self.project}
        if self.studio.with_encoder():
            tabs["Reconstruct"] = self.reconstruct
        return {**tabs, "Real or drawn": self.human_test}

    def faces(self) -> None:
        gr = self.gr
        with gr.Row():
            model, seed, psi = self.model(), self.seed(), self.psi()
            count = gr.Slider(1, MOST_FACES, 16, step=1, label="Number of faces")
        draw, sheet = gr.Button("Draw", variant="primary"), self.picture("Faces")
        self.on(draw.click, self.studio.faces, [model, seed, count, psi], sheet)

    def compare(self) -> None:
        gr = self.gr
        gr.Markdown(
            "One seed in every family. Their latents differ, so the faces have nothing in common."
        )
        with gr.Row():
            seed, psi = self.seed(), self.psi()
        draw = gr.Button("Compare", variant="primary")
        gallery = gr.Gallery(
            label="One seed", columns=4, height="auto", format="png", buttons=["download"]
        )
        self.on(draw.click, self.studio.compare, [seed, psi], gallery)

    def walk(self) -> None:
        gr = self.gr
        with gr.Row():
            model, seed, psi = self.model(), self.seed("First seed"), self.psi()
            stops = gr.Slider(2, 8, 3, step=1, label="Faces to visit")
            frames = gr.Slider(8, MOST_FRAMES, 72, step=1, label="Frames (24 a second)")
        go = gr.Button("Walk", variant="primary")
        film = self.film("Walk")
        self.on(go.click, self.studio.walk, [model, seed, stops, frames, psi], film)

    def mix(self) -> None:
        gr = self.gr
        gr.Markdown(
            "The faces on the left take the styles of those on top, in some layers: the first ones "
            "hold pose and shape, the last ones colour."
        )
        names = self.studio.of_family("stylegan2")
        layers = self.studio.layers
        with gr.Row():
            model = self.model(names)
            rows, columns = self.seed("Seed on the left"), self.seed("Seed on top", 100)
        with gr.Row():
            first = gr.Slider(0, layers - 1, 0, step=1, label="First layer")
            last = gr.Slider(0, layers - 1, min(3, layers - 1), step=1, label="Last layer")
            psi = self.psi(0.7)
        mix, sheet = gr.Button("Mix", variant="primary"), self.picture("Mixed styles")
        self.on(mix.click, self.studio.mix, [model, rows, columns, first, last, psi], sheet)

    def directions(self) -> None:
        gr = self.gr
        gr.Markdown("The directions in which w varies most, strongest first; nobody named them.")
        with gr.Row():
            model = self.model(self.studio.of_family("stylegan2"))
            seed, psi = self.seed(), self.psi(0.7)
        with gr.Row():
            with gr.Column():
                sliders = [
                    gr.Slider(-3, 3, 0, step=0.1, label=f"Direction {number}")
                    for number in range(1, DIRECTIONS + 1)
                ]
                draw, reset = gr.Button("Draw", variant="primary"), gr.Button("Reset")
            face = self.picture("Face")

        def move(name: str, seed: int, psi: float, *amounts: float) -> np.ndarray:
            return self.studio.move(name, seed, amounts, psi)

        inputs = [model, seed, psi, *sliders]
        self.on(draw.click, move, inputs, face)
        for slider in sliders:
            self.on(slider.release, move, inputs, face)
        reset.click(lambda: [0] * DIRECTIONS, None, sliders, api_visibility="private")

    def reconstruct(self) -> None:
        gr = self.gr
        gr.Markdown("A photo through encoder and decoder. The upload is deleted once it is read.")
        with gr.Row():
            model, photo = self.model(self.studio.with_encoder()), self.upload("Photo")
        go = gr.Button("Reconstruct", variant="primary")
        pair = self.picture("Photo and reconstruction")

        def again(name: str, photo: str | None) -> tuple[np.ndarray, None]:
            return self.studio.reconstruct(name, _given(photo)), None

        self.on(go.click, again, [model, photo], [pair, photo])

    def project(self) -> None:
        gr = self.gr
        gr.Markdown(
            "The w whose face is closest to a photo, found step by step: photo, average face, face "
            "found. The upload is deleted once it is read."
        )
        with gr.Row():
            model = self.model(self.studio.of_family("stylegan2"))
            photo = self.upload("Photo")
            steps = gr.Slider(10, 500, 200, step=10, label="Steps")
        go = gr.Button("Project", variant="primary")
        triple, film = self.picture("Photo, average face, face found"), self.film("Search")

        def search(
            name: str,
            photo: str | None,
            steps: int,
            progress: Callable[..., Any] = gr.Progress(),  # noqa: B008 - how Gradio passes it
        ) -> tuple[np.ndarray, Path, None]:
            progress((0, steps), desc="starting", unit="steps")

            def show(done: int, loss: float) -> None:
                progress((done, steps), desc=f"loss {loss:.4f}", unit="steps")

            return *self.studio.project(name, _given(photo), steps, show), None

        self.on(go.click, search, [model, photo, steps], [triple, film, photo])

    def human_test(self) -> None:
        gr = self.gr
        gr.Markdown(
            f"{PAIRS} pairs, each a photo and a drawn face: which one is the photo? Half right is "
            "what guessing gives. The score goes to the output folder; photos are not kept."
            + (
                " Without uploads, those of the data set are shown."
                if self.studio.data_path
                else ""
            )
        )
        with gr.Row():
            model, psi = self.model(), self.psi()
            photos = self.upload("Photos of faces", file_count="multiple")
        start, test = gr.Button("Start", variant="primary"), gr.State(None)
        said = gr.Markdown()
        with gr.Row():
            pictures = [self.picture(side) for side in ("Left", "Right")]
        with gr.Row():
            buttons = [
                gr.Button(f"{side} is the photo", interactive=False) for side in ("Left", "Right")
            ]
        outputs = [*pictures, test, said, *buttons, photos]
        self.on(start.click, self.new_test, [model, photos, psi], outputs)
        for button, left in zip(buttons, (True, False), strict=True):
            self.on(button.click, functools.partial(self.answer, left), [test], outputs)

    def new_test(self, name: str, photos: list[str] | None, psi: float) -> tuple:
        return self.shown(self.studio.human_test(name, photos or (), psi))

    def answer(self, left: bool, test: HumanTest | None) -> tuple:
        if test is None:  # the server has started again, or `VISITORS` others came since
            raise UserError("this test is no longer kept; press Start for another")
        if test.finished:  # the other button, pressed while the last answer was on its way
            raise UserError("this test is finished; press Start for another")
        test.answer(left)
        return self.shown(test)

    def shown(self, test: HumanTest) -> tuple:
        """The test, a line, both pictures, both buttons and the emptied list of uploads."""
        button = self.gr.update(interactive=not test.finished)
        if test.finished:
            result = test.result()
            line = f"**{result}**\n\nWritten: {result.save(self.output_dir)}"
            return None, None, test, line, button, button, None
        pair = [enlarged(image[None], SHOWN)[0] for image in test.pair()]
        line = f"Pair {len(test.answers) + 1} of {test.pairs}"
        return *pair, test, line, button, button, None

    def on(
        self, event: Callable[..., Any], function: Callable[..., Any], inputs: Any, outputs: Any
    ) -> None:
        """Run a function when an event comes: one at a time, and one line if it fails."""

        @functools.wraps(function)
        def job(*values: Any) -> Any:
            try:
                with self.studio.lock:
                    return function(*values)
            except UserError as error:
                raise self.gr.Error(printable(str(error)), print_exception=False) from None

        first = outputs[0] if isinstance(outputs, list) else outputs
        event(
            job,
            inputs,
            outputs,
            concurrency_id="model",
            concurrency_limit=1,
            api_visibility="private",
            show_progress_on=first,
        )

    def model(self, names: list[str] | None = None) -> Any:
        names = names or self.studio.of_family()
        return self.gr.Dropdown(names, value=names[0], label="Model")

    def seed(self, label: str = "Seed", value: int = 0) -> Any:
        return self.gr.Number(value, label=label, precision=0, minimum=0, maximum=SEED)

    def psi(self, value: float = 1.0) -> Any:
        return self.gr.Slider(
            0, 1.5, value, step=0.05, label="Truncation ψ", info="StyleGAN2 alone: 1 for none"
        )

    def picture(self, label: str) -> Any:
        return self.gr.Image(
            label=label,
            alt_text=label,
            format="png",
            interactive=False,
            height=2 * SHOWN,
            buttons=["fullscreen", "download"],  # the third one would publish the picture
        )

    def film(self, label: str) -> Any:
        return self.gr.Video(
            label=label, loop=True, autoplay=True, height=2 * SHOWN, buttons=["download"]
        )

    def upload(self, label: str, **options: Any) -> Any:
        return self.gr.File(label=label, file_types=PHOTOS, height=160, **options)


def _given(photo: str | None) -> str:
    if not photo:
        raise UserError("choose a photo first")
    return photo
