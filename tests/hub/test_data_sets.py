"""Photos from a hub, through its protocol: downloaded once, and read from the cache afterwards."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("datasets", reason="pip install '.[hub]'")
pyarrow = pytest.importorskip("pyarrow")

ROOT = Path(__file__).resolve().parents[2]
READ = """
import json, sys
import facegen_keras as fg
faces = fg.load_faces(sys.argv[1], 32, progress=False)
print(json.dumps([str(faces.report), faces.fingerprint, faces[:].tolist()]))
"""


@pytest.fixture
def photos(made_up):
    return made_up(5, 32)


@pytest.fixture
def parquet(photos):
    """A data set of one Parquet file, as the hub's own converter writes it."""
    from pyarrow import parquet

    rows = []
    for photo in photos:
        stream = io.BytesIO()
        Image.fromarray(photo).save(stream, "PNG")
        rows.append({"image": {"bytes": stream.getvalue(), "path": None}, "label": 1})
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return file.getvalue()


@pytest.fixture
def read(hub, hub_server, tmp_path, unmeasured):
    """`read(source)`: what a fresh process finds; the library looks at its settings only once."""
    settings = {
        "HF_ENDPOINT": f"http://127.0.0.1:{hub_server.server_port}",
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(ROOT),
    }

    def run(source: str, **more: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-c", READ, source],
            env={**unmeasured(), **settings, **more},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def test_photos_come_once_and_stay(hub, read, parquet, photos):
    hub.add("datasets/me/faces", {"data/train-00000-of-00001.parquet": parquet})
    first = read("hf:me/faces")
    assert first.returncode == 0, "\n".join(hub.asked)
    report, fingerprint, pixels = json.loads(first.stdout)
    assert report == "5 images"
    np.testing.assert_array_equal(pixels, photos)
    assert "GET /datasets/me/faces/resolve/" in "\n".join(hub.asked)
    hub.asked.clear()
    hub.down = True
    for more in ({"HF_HUB_OFFLINE": "1"}, {"HF_DATASETS_OFFLINE": "1"}):
        again = read("hf:me/faces", **more)
        assert again.returncode == 0, again.stderr[-2000:]
        assert json.loads(again.stdout) == [report, fingerprint, pixels]
    assert hub.asked == []


def test_a_data_set_that_is_not_there_is_one_line(hub, read):
    done = read("hf:me/nothing")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("facegen_keras.errors.UserError: hf:me/nothing: cannot be opened (")
