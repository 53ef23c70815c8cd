"""Worker processes decode what one process does, and one that dies takes nothing with it."""

from pathlib import Path

import pytest

from facegen_keras.data import load_faces, pool, worker
from facegen_keras.errors import UserError


def load(source, **options):
    return load_faces(source, **{"resolution": 32, "progress": False, **options})


def big_folder(root: Path, photo, count: int = 420) -> Path:
    root.mkdir()
    for number in range(count):
        photo(number, 12, 12).save(root / f"{number:04d}.bmp")
    (root / "0200.bmp").write_bytes(b"BM no")
    (root / "0201.bmp").unlink()
    return root


def test_worker_processes_give_what_one_process_gives(tmp_path, photo, monkeypatch):
    root = big_folder(tmp_path / "big", photo)
    alone = load(root, resolution=8, workers=1)
    monkeypatch.setattr(worker, "process", None)  # whoever decodes now is another process
    monkeypatch.setattr(pool, "process", None)
    together = load(root, resolution=8, workers=2, cache_dir=tmp_path / "other")
    assert len(alone) == 418
    assert (alone[:] == together[:]).all()
    assert alone.fingerprint == together.fingerprint
    assert alone.report == together.report


def test_file_that_takes_a_worker_down_is_refused(tmp_path, photo, monkeypatch):
    root = big_folder(tmp_path / "big", photo)
    trap = """
import os
from facegen_keras.data import worker
real = worker.decode
worker.decode = lambda data, settings: os._exit(1) if data == b"BM no" else real(data, settings)
serve()
"""
    monkeypatch.setattr(pool, "BOOTSTRAP", pool.BOOTSTRAP.replace("\nserve()\n", trap))
    faces = load(root, resolution=8, workers=2)
    assert len(faces) == 418
    assert faces.report.skipped == (("0200.bmp", "unreadable", "the decoder crashed on it"),)


def test_a_photo_whose_worker_the_system_kills_is_tried_again(tmp_path, photo, monkeypatch):
    root = big_folder(tmp_path / "big", photo)
    killed = """
import os
from facegen_keras.data import worker
real = worker.decode
def decode(data, settings):
    if data == b"BM no":
        os.kill(os.getpid(), 9)
    return real(data, settings)
worker.decode = decode
serve()
"""
    with monkeypatch.context() as patch:
        patch.setattr(pool, "BOOTSTRAP", pool.BOOTSTRAP.replace("\nserve()\n", killed))
        load(root, resolution=8, workers=2)
    ((name, _, detail),) = load(root, resolution=8, workers=2).report.skipped
    assert name == "0200.bmp"
    assert "killed" not in detail  # judged by its content, not by what happened the first time


def test_modules_of_the_current_folder_are_not_those_of_python(tmp_path, photo, monkeypatch):
    root = big_folder(tmp_path / "big", photo)
    (tmp_path / "random.py").write_text("print('guess my number')\nraise SystemExit")
    monkeypatch.chdir(tmp_path)
    assert len(load(root, resolution=8, workers=2)) == 418


def test_full_disk_of_worker_processes(tmp_path, photo, cache, monkeypatch):
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\nserve()"
    monkeypatch.setattr(pool, "BOOTSTRAP", pool.BOOTSTRAP.replace("serve()", limited))
    root = big_folder(tmp_path / "big", photo)
    with pytest.raises(UserError, match="cannot write the image cache"):
        load(root, resolution=8, workers=2)
    assert list(cache.iterdir()) == []
