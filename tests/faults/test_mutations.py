"""Real files, damaged at random: read, or refused in one line; nothing else.

Every reader that takes a file from a user gets a few hundred damaged ones: with flipped bits, cut
short, with another header, with a block of zeros or of other bytes. Whatever the damage, nothing in
the file is executed, no other exception than `UserError` comes out, no reader takes longer than
`SECONDS`, and the memory does not grow by a gigabyte. `--long` takes twenty times as many.
"""

import io
import resource
import signal
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

import facegen_keras as fg
from facegen_keras.data.decode import Settings, decode
from facegen_keras.engine import checkpoint
from facegen_keras.errors import UserError
from facegen_keras.export.write import save_generator
from facegen_keras.files.safetensors_file import read_safetensors, write_safetensors
from facegen_keras.files.torch_file import read_state_dict
from facegen_keras.metrics import Statistics
from facegen_keras.runs.config import TrainConfig, load_config
from facegen_keras.runs.folder import check_same_run

SECONDS = 30
GIGABYTE = 2**30
LONGER = 20  # times as many with --long
EXECUTED = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")

events: list[str] | None = None  # of this process while a damaged file is read


def _listen(event: str, _: object) -> None:
    if events is not None and event in EXECUTED:
        events.append(event)


@pytest.fixture(scope="session", autouse=True)
def listening():
    sys.addaudithook(_listen)


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """One of the ways in which a file comes to be another."""
    data, size = bytearray(content), len(content)
    kind = random.integers(6)
    place = int(random.integers(size))
    if kind == 0:
        for each in random.integers(size, size=int(random.integers(1, 9))):
            data[each] ^= 1 << int(random.integers(8))
    elif kind == 1:
        del data[place:]
    elif kind == 2:  # the header
        data[int(random.integers(min(size, 128)))] = int(random.integers(256))
    elif kind == 3:
        data[place : place + 64] = bytes(len(data[place : place + 64]))
    elif kind == 4:
        length = len(data[place : place + 16])
        data[place : place + 16] = random.integers(256, size=length, dtype=np.uint8).tobytes()
    else:  # as of a download that began again
        data[place:place] = data[: int(random.integers(1, 512))]
    return bytes(data)


@pytest.fixture
def survives(request, tmp_path):
    """`survives(content, name, read, count)`: damage a file and read it, `count` times."""

    def too_slow(*_):
        raise AssertionError(f"a damaged file took more than {SECONDS} s")

    def run(content, name, read, count):
        global events
        count *= LONGER if request.config.getoption("--long") else 1
        random = np.random.default_rng(sum(name.encode()))
        path = tmp_path / name
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        before = signal.signal(signal.SIGALRM, too_slow)
        fine = 0
        try:
            for number in range(count):
                path.write_bytes(damaged(content, random))
                signal.alarm(SECONDS)
                events = []
                try:
                    read(path)
                    fine += 1
                except UserError as error:
                    message = str(error)
                    assert "\n" not in message, (number, message)
                signal.alarm(0)
                assert events == [], number
        finally:
            events = None
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
        grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak)
        assert grown < GIGABYTE
        path.write_bytes(content)
        read(path)  # intact, it can be read
        assert fine < count  # and the damage is damage

    return run


@pytest.fixture(scope="module")
def face():
    colours = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize((40, 48), Image.Resampling.BICUBIC)


def encoded(image, kind, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_images(kind, face, survives):
    def read(path):
        record, pixels = decode(path.read_bytes(), Settings(16))
        assert (pixels is None) == bool(record.problem)
        if record.problem:
            raise UserError(record.detail)

    survives(encoded(face, kind), f"x.{kind.lower()}", read, 250)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_archives_of_images(method, face, survives, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for number in range(3):
            archive.writestr(f"{number}.png", encoded(face.rotate(number), "PNG"))

    def read(path):
        faces = fg.load_faces(path, resolution=16, progress=False, cache_dir=tmp_path / "cache")
        faces[:]
        if faces.report.skipped:
            raise UserError(str(faces.report))

    survives(buffer.getvalue(), f"x{method}.zip", read, 40)


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_arrays(name, face, survives, tmp_path):
    images, buffer = np.stack([np.asarray(face)] * 3), io.BytesIO()
    (np.save if name == "x.npy" else np.savez_compressed)(buffer, images)

    def read(path):
        faces = fg.load_faces(path, resolution=16, progress=False, cache_dir=tmp_path / "cache")
        if not (faces[:] == faces[:1]).all():
            raise UserError("other pixels: an array has no checksum")

    survives(buffer.getvalue(), name, read, 60)


def test_statistics(survives, tmp_path):
    Statistics(np.zeros(8), np.eye(8), 40).save(tmp_path / "s.npz")
    survives((tmp_path / "s.npz").read_bytes(), "x.npz", Statistics.load, 150)


def test_safetensors(survives, tmp_path):
    tensors = {"a": np.zeros((3, 4), "f4"), "b": np.arange(5)}
    write_safetensors(tmp_path / "s.safetensors", tensors, {"text": "value"})
    content = (tmp_path / "s.safetensors").read_bytes()
    survives(content, "x.safetensors", read_safetensors, 150)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "pickle"])
def test_weights_of_torch(zipped, survives, tmp_path):
    """A pickle, in a zip or alone: read by a reader of its own that executes nothing."""
    torch = pytest.importorskip("torch")
    state = {"weight": torch.arange(12.0).reshape(3, 4), "bias": torch.zeros(4)}
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    content = (tmp_path / "w.pth").read_bytes()
    survives(content, f"x{int(zipped)}.pth", read_state_dict, 150)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_models(suffix, survives, tmp_path, tiny_family):
    path = save_generator(tiny_family(), tmp_path / f"g{suffix}")
    expected = fg.load_generator(path).sample([0])

    def read(path):
        assert (fg.load_generator(path).sample([0]) == expected).all()  # or refused, never another

    survives(path.read_bytes(), f"x{suffix}", read, 60)


def test_checkpoints(survives, tmp_path):
    model = fg.VAE(resolution=32, latent_dim=2, base_channels=1)
    model.compile()
    first = checkpoint.save(model, tmp_path, 0, 0)
    model._steps.assign(7)
    last = checkpoint.save(model, tmp_path, 1, 0)
    content = last.read_bytes()
    last.unlink()

    def read(path):
        assert first.exists()
        state = checkpoint.latest(path.parent).state
        assert state.step in (0, 7)
        if state.step == 0:
            raise UserError("the one before")

    survives(content, last.name, read, 40)


def test_run_folders(survives, tmp_path):
    config = TrainConfig(model="dcgan", name="x").resolved()
    config.save(tmp_path / "config.yaml")
    content = (tmp_path / "config.yaml").read_bytes()

    def read(path):
        check_same_run(config, path.parent)
        load_config(path)

    survives(content, "config.yaml", read, 40)
