"""What every test shares: a quiet TensorFlow, made-up faces, the official reference, the smallest
models that can be exported, and a way to run code on another Keras backend."""

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "tests" / "fixtures" / "stylegan2_reference.npz"
COVERAGE = "COVERAGE_PROCESS_CONFIG"  # by which a process learns that it is measured
QUICK_XLA = "--xla_backend_optimization_level=0"  # compiling takes most of the time on JAX


# What takes longest comes first: at the end no worker waits for another.
LONGEST = ("test_it_runs_from_a_clean_kernel", "test_killed_", "test_training_starts_from")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what shares the processes of `on_backend` into one worker, and what takes long first:
    single tests, then groups that one worker runs, then all others.
    """
    for item in items:
        if "on_backend" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("backends"))
    items.sort(
        key=lambda item: (
            not item.name.startswith(LONGEST),
            item.get_closest_marker("xdist_group") is None,
        )
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long",
        action="store_true",
        help="more of what tests/cluster trains, tests/faults damages, and notebooks solve",
    )


def made_up_faces(count: int, resolution: int = 32, seed: int = 0) -> np.ndarray:
    """Colour gradients that differ from each other, uint8 `(count, resolution, resolution, 3)`."""
    corners = np.random.RandomState(seed).randint(0, 256, (count, 2, 2, 3), dtype=np.uint8)
    size = (resolution, resolution)
    return np.stack(
        [np.asarray(Image.fromarray(c).resize(size, Image.Resampling.BICUBIC)) for c in corners]
    )


@pytest.fixture(scope="session")
def made_up() -> Callable[..., np.ndarray]:
    return made_up_faces


@pytest.fixture(scope="session")
def faces_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 made-up faces of 32x32 as a zip of PNGs."""
    path = tmp_path_factory.mktemp("faces") / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, image in enumerate(made_up_faces(48)):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "PNG")
            archive.writestr(f"{number:02d}.png", buffer.getvalue())
    return path


@pytest.fixture(scope="session")
def stylegan2_reference() -> dict[str, np.ndarray]:
    """Small official StyleGAN2 networks (`G/`, `D/`) and what the official code computed with
    them."""
    return dict(np.load(REFERENCE))


@pytest.fixture(scope="session")
def same_images(stylegan2_reference: dict[str, np.ndarray]) -> Callable[[Path], Any]:
    """Open the file of an imported generator, see that it draws the official images, return it."""

    def check(path: Path) -> Any:
        import facegen_keras as fg

        generator = fg.load_generator(path)
        theirs = stylegan2_reference["image_psi_0.7_noise_const"]
        ours = generator(stylegan2_reference["z"], truncation_psi=0.7)
        assert np.abs(ours - theirs).max() / np.abs(theirs).max() < 1e-4
        return generator

    return check


@pytest.fixture(scope="session", autouse=True)
def no_cache_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded photos go to a cache of this session, also those of the processes it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEGEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """Weights and draws without a seed of their own are the same whenever a test runs: alone,
    after others, or again."""
    import keras

    keras.utils.set_random_seed(0)


def unmeasured_environment() -> dict[str, str]:
    """The environment of a process whose coverage is not measured.

    Measuring makes TensorFlow's import and tracing take half as long again. What these processes
    run of the package is measured elsewhere.
    """
    return {name: value for name, value in os.environ.items() if name != COVERAGE}


@pytest.fixture(scope="session")
def unmeasured() -> Callable[[], dict[str, str]]:
    """`unmeasured()`: the environment of a process whose coverage is not measured."""
    return unmeasured_environment


@pytest.fixture(scope="session")
def run_python() -> Callable[..., str]:
    """Run a piece of Python in a fresh process on the given backend and return its stdout."""

    def run(code: str, backend: str = "tensorflow", timeout: float = 300, **env: str) -> str:
        here = {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
        result = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**unmeasured_environment(), **here, **env},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert result.returncode == 0, f"{backend}:\n{result.stdout}\n{result.stderr[-4000:]}"
        return result.stdout

    return run


class BackendProcess:
    """The process of `backend_process.py` on one backend, started with the first piece it runs."""

    def __init__(self, backend: str, folder: Path) -> None:
        self.backend, self.log = backend, folder / f"{backend}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "tests" / "backend_process.py")],
                cwd=ROOT,
                env={
                    **os.environ,
                    "KERAS_BACKEND": backend,
                    "PYTHONPATH": str(ROOT),
                    "XLA_FLAGS": QUICK_XLA,
                    "OMP_NUM_THREADS": "1",
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def run(self, code: str, timeout: float, env: dict[str, str]) -> str:
        assert self.process.stdin
        assert self.process.stdout
        killer = threading.Timer(timeout, self.process.kill)
        killer.start()
        try:
            self.process.stdin.write(json.dumps({"code": code, "env": env}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        finally:
            killer.cancel()
        assert line, f"{self.backend}: the process ended\n{self.log.read_text()[-4000:]}"
        answer = json.loads(line)
        assert answer["error"] is None, f"{self.backend}:\n{answer['stdout']}\n{answer['error']}"
        return answer["stdout"]

    def end(self) -> None:
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture(scope="session")
def on_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Run a piece of Python on the given backend and return its stdout.

    A backend has one process, which is used again: what needs a fresh one takes `run_python`.
    """
    folder, processes = tmp_path_factory.mktemp("backends"), {}

    def run(code: str, backend: str, timeout: float = 300, **env: str) -> str:
        there = processes.get(backend)
        if there is None or there.process.poll() is not None:
            there = processes[backend] = BackendProcess(backend, folder)
        return there.run(code, timeout, env)

    yield run
    for process in processes.values():
        process.end()


def make_generator(latent_dim: int = 6, channels: int = 3) -> Any:
    import keras

    z = keras.Input((latent_dim,))
    x = keras.layers.Dense(4 * 4 * 8, use_bias=False)(z)
    x = keras.layers.Reshape((4, 4, 8))(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.LeakyReLU(0.2)(x)
    x = keras.layers.Conv2DTranspose(channels, 4, 2, "same", activation="tanh")(x)
    return keras.Model(z, x)


def make_encoder(latent_dim: int = 6) -> Any:
    import keras

    image = keras.Input((8, 8, 3))
    return keras.Model(
        image, keras.layers.Dense(2 * latent_dim)(keras.layers.Flatten()(image)), name="encoder"
    )


class TinyFamily:
    """The part of a family model that export looks at."""

    resolution, latent_dim, data_fingerprint = 8, 6, "f" * 64

    def __init__(self, family: str = "dcgan", images_seen: int = 1234) -> None:
        self.family, self.images_seen = family, images_seen
        self.main_part = "decoder" if family == "vae" else "generator"
        self.main = make_generator()
        self.encoder = make_encoder()

    def export_parts(self) -> dict[str, Any]:
        encoder = {} if self.family == "dcgan" else {"encoder": self.encoder}
        return {self.main_part: self.main, **encoder}

    def get_config(self) -> dict:
        return {"latent_dim": np.int64(6), "betas": (0.5, 0.999)}


@pytest.fixture
def tiny_generator() -> Callable[..., Any]:
    """`tiny_generator(latent_dim=6, channels=3)`: latents to images of 8x8, untrained."""
    return make_generator


@pytest.fixture
def tiny_encoder() -> Callable[..., Any]:
    """`tiny_encoder(latent_dim=6)`: images of 8x8 to means and log-variances."""
    return make_encoder


@pytest.fixture(scope="session")
def faces_of() -> Callable[..., np.ndarray]:
    """`faces_of(sheet, rows, columns, side)`: the faces `(rows, columns, side, side, 3)` of a table
    that `labels.labelled` has drawn, without its headings.
    """
    from facegen_keras.labels import scale_of

    def take(sheet: np.ndarray, rows: int, columns: int, side: int) -> np.ndarray:
        scale = scale_of(side)
        part = sheet[-rows * side * scale :, -columns * side * scale :]
        every = part[::scale, ::scale]
        assert np.array_equal(every.repeat(scale, 0).repeat(scale, 1), part)  # whole pixels
        return every.reshape(rows, side, columns, side, 3).transpose(0, 2, 1, 3, 4)

    return take


@pytest.fixture(scope="session")
def tiny_family() -> type[TinyFamily]:
    """`tiny_family(family="dcgan", images_seen=1234)`."""
    return TinyFamily


@pytest.fixture
def saved(tmp_path: Path) -> tuple[TinyFamily, Path]:
    """A model and the file it was exported to."""
    from facegen_keras.export.write import save_generator

    model = TinyFamily()
    return model, save_generator(model, tmp_path / "dcgan_generator.h5", run="first")


def run_file(path: Path, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs of a file of `facegen export`, by name, in the runtime it was written for."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))
    if path.suffix == ".tflite":
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter(model_path=str(path)).get_signature_runner()(**inputs)
    import tensorflow as tf

    outputs = tf.saved_model.load(str(path)).signatures["serving_default"](
        **{name: tf.constant(value) for name, value in inputs.items()}
    )
    return {name: value.numpy() for name, value in outputs.items()}


@pytest.fixture(scope="session")
def run_exported() -> Callable[..., dict[str, np.ndarray]]:
    """`run_exported(path, latent=z)`: what an exported file computes, by the names of outputs."""
    return run_file
