"""A zip's list of members is measured before Python reads it."""

import subprocess
import sys
import zipfile

import pytest

from facegen_keras.cli import main
from facegen_keras.files import limits


def packed(path, members, comment=b"", comment_of_each=b""):
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = comment
        for number in range(members):
            info = zipfile.ZipInfo(f"{number}.png")
            info.comment = comment_of_each
            archive.writestr(info, b"")
    return path


@pytest.mark.parametrize("members", [0, 3, 70_000])  # the last needs 64 bits
@pytest.mark.parametrize("comment", [b"", b"taken in\0 1999"])
def test_the_list_has_the_size_that_python_finds(tmp_path, members, comment):
    path = packed(tmp_path / "faces.zip", members, comment)
    with limits.open_archive(path) as archive, open(path, "rb") as file:
        assert len(archive.namelist()) == members
        end = limits.ZIP_END.size + len(comment)
        if members > 65_535:
            end += limits.ZIP64_END.size + limits.ZIP64_LOCATOR
        assert limits._listed_bytes(file) == path.stat().st_size - archive.start_dir - end


def test_what_is_no_zip_is_left_to_python(tmp_path):
    for content in (b"", b"PK", b"PK\5\6", b"x" * 100):
        path = tmp_path / "faces.zip"
        path.write_bytes(content)
        with pytest.raises(zipfile.BadZipFile, match="not a zip"):
            limits.open_archive(path)


def test_a_list_that_would_fill_the_memory_is_refused(tmp_path, capsys):
    path = packed(tmp_path / "faces.zip", 1100, comment_of_each=b"x" * 65_000)
    assert main(["data", "check", str(path)]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "faces.zip: not a readable zip (its list of files has 71," in said
    for name in ("stats.npz", "model.keras", "weights.pth"):
        path = path.rename(tmp_path / name)
        with pytest.raises(zipfile.BadZipFile, match="its list of files has 71,"):
            limits.open_archive(path)


@pytest.mark.skipif(sys.platform != "linux", reason="the memory is read from /proc")
def test_a_million_members_take_less_than_a_gigabyte(tmp_path):
    """The longest list that is read, of the shortest names."""
    code = (
        "import re, sys\n"
        "from facegen_keras.files import limits\n"
        "archive = limits.open_archive(sys.argv[1])\n"
        "most = re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]\n"
        "print(len(archive.infolist()), most)\n"
    )
    members = limits.MOST_LISTED // (46 + 4)
    record = b"PK\1\2" + bytes(24) + (4).to_bytes(2, "little") + bytes(16)
    path = tmp_path / "faces.zip"
    listed = (record + b"a.xy") * members
    end = (b"PK\6\6", 44, 45, 45, 0, 0, members, members, len(listed), 0)
    locator = b"PK\6\7" + bytes(4) + len(listed).to_bytes(8, "little") + b"\1\0\0\0"
    last = (b"PK\5\6", 0, 0, 65_535, 65_535, 2**32 - 1, 2**32 - 1, 0)
    path.write_bytes(listed + limits.ZIP64_END.pack(*end) + locator + limits.ZIP_END.pack(*last))
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    count, kilobytes = map(int, done.stdout.split())
    assert count == members, done.stderr
    assert kilobytes < 1e6, kilobytes
