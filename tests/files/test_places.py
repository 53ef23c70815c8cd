"""Where files go: the cache, and a name that no other content has."""

from pathlib import Path

from facegen_keras.files.places import cache_folder
from facegen_keras.files.unused_name import write_beside


def test_the_cache_is_where_the_user_keeps_caches(monkeypatch, tmp_path):
    for name in ("FACEGEN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder(None) == tmp_path / ".cache/facegen_keras"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says its specification
    assert cache_folder(None) == tmp_path / ".cache/facegen_keras"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder(None) == tmp_path / "caches/facegen_keras"
    monkeypatch.setenv("FACEGEN_CACHE", str(tmp_path / "ours"))
    assert cache_folder(None) == tmp_path / "ours"
    assert cache_folder("~/given") == tmp_path / "given"


def test_other_content_gets_another_name_and_the_same_content_its_own(tmp_path):
    def written(text: str) -> str:
        return write_beside(tmp_path / "new/grid.png", lambda to: to.write_text(text)).name

    assert [written(text) for text in "aabacb"] == [
        "grid.png", "grid.png", "grid_2.png", "grid.png", "grid_3.png", "grid_2.png"
    ]  # fmt: skip
    found = {path.name: path.read_text() for path in Path(tmp_path, "new").iterdir()}
    assert found == {"grid.png": "a", "grid_2.png": "b", "grid_3.png": "c"}
