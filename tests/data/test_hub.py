import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegen_keras.data import load_faces
from facegen_keras.errors import UserError

datasets = pytest.importorskip("datasets", reason="pip install '.[hub]'")


def load(source, **options):
    return load_faces(source, **{"resolution": 32, "progress": False, **options})


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    datasets.disable_progress_bars()


def write_parquet(path: Path, encoded: list[bytes | None], column: str = "photo") -> None:
    path.parent.mkdir(exist_ok=True)
    rows = {
        "label": list(range(len(encoded))),
        column: [data and {"bytes": data, "path": None} for data in encoded],
    }
    features = datasets.Features({"label": datasets.Value("int64"), column: datasets.Image()})
    datasets.Dataset.from_dict(rows, features=features).to_parquet(path)


@pytest.fixture
def encoded(photo, encode) -> list[bytes]:
    return [encode(photo(number)) for number in range(12)]


def test_local_parquet_with_splits_and_a_broken_row(tmp_path, encoded, photo):
    write_parquet(tmp_path / "set" / "train.parquet", [*encoded, b"no face", None])
    write_parquet(tmp_path / "set" / "test.parquet", encoded[:3])
    faces = load(f"hf:{tmp_path}/set")
    assert len(faces) == 12
    assert [name for name, _, _ in faces.report.skipped] == ["row 00000012", "row 00000013"]
    expected = photo(7).crop((0, 4, 40, 44)).resize((32, 32), Image.Resampling.LANCZOS)
    assert (faces[7] == np.asarray(expected)).all()
    assert load(f"hf:{tmp_path}/set:train").fingerprint == faces.fingerprint
    assert len(load(f"hf:{tmp_path}/set:test")) == 3
    assert len(load(f"hf:{tmp_path}/set:train[:5]")) == 5


def test_worker_processes_get_the_bytes(tmp_path, photo, encode):
    write_parquet(
        tmp_path / "set" / "train.parquet", [encode(photo(n, 9, 9), "BMP") for n in range(400)]
    )
    faces = load(f"hf:{tmp_path}/set", resolution=8, workers=2)
    alone = load(f"hf:{tmp_path}/set", resolution=8, workers=1, cache_dir=tmp_path / "other")
    assert (faces[:] == alone[:]).all()
    assert len(faces) == 400


def test_local_image_folder_has_the_parquets_faces_and_fingerprint(tmp_path, encoded):
    write_parquet(tmp_path / "set" / "train.parquet", encoded)
    (tmp_path / "images").mkdir()
    for number, data in enumerate(encoded):
        (tmp_path / "images" / f"{number:02d}.png").write_bytes(data)
    faces, parquet = load(f"hf:{tmp_path}/images"), load(f"hf:{tmp_path}/set")
    assert (faces[:] == parquet[:]).all()
    assert faces.fingerprint == parquet.fingerprint


def test_changed_content_is_noticed(tmp_path, encoded):
    write_parquet(tmp_path / "set" / "train.parquet", encoded)
    before = load(f"hf:{tmp_path}/set")
    write_parquet(tmp_path / "set" / "train.parquet", encoded[::-1])
    assert (load(f"hf:{tmp_path}/set")[:] == before[::-1]).all()


def test_image_column_of_plain_bytes(tmp_path, encoded):
    (tmp_path / "set").mkdir()
    rows = {"label": [0] * 12, "jpg": encoded}
    datasets.Dataset.from_dict(rows).to_parquet(tmp_path / "set" / "train.parquet")
    assert len(load(f"hf:{tmp_path}/set")) == 12


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("hf:", "expected hf:owner/name"),
        ("hf:{}/set:nosuch", "nosuch"),
        ("hf:{}/missing", "cannot be opened"),
        ("hf:{}/text", "no image column among text"),
    ],
)
def test_bad_names(tmp_path, encoded, source, told):
    write_parquet(tmp_path / "set" / "train.parquet", encoded)
    (tmp_path / "text").mkdir()
    datasets.Dataset.from_dict({"text": ["a"]}).to_parquet(tmp_path / "text" / "train.parquet")
    with pytest.raises(UserError, match=told) as error:
        load(source.format(tmp_path))
    assert "\n" not in str(error.value)


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install '\.\[hub\]'"):
        load("hf:owner/name")
