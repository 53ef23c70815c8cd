import json
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from facegen_keras.cli.data import DataConfig, run, run_check, table
from facegen_keras.cli.parser import parse
from facegen_keras.data.contact_sheet import SIDE, draw_contact_sheet
from facegen_keras.data.decode import Settings
from facegen_keras.data.doctor import examine
from facegen_keras.data.faces import load_faces, open_source
from facegen_keras.errors import UserError

SETTINGS = Settings(32, min_size=16)


@pytest.fixture
def mixed(folder, photo, encode):
    """The twelve photos, and two or more of everything that can be wrong or odd."""
    (folder / "cut.jpg").write_bytes(encode(photo(20), "JPEG")[:-200])
    (folder / "empty.png").write_bytes(b"")
    (folder / "page.jpg").write_text("<html>404</html>")
    (folder / "notes.txt").write_text("not a face")
    (folder / "README.md").write_text("about")
    (folder / "broken.png").write_bytes(encode(photo(21))[:20] + b"\0" * 200 + b"IEND\xaeB`\x82")
    photo(22, 15, 40).save(folder / "small.png")
    photo(23).convert("L").save(folder / "grey.png")
    photo(24).convert("CMYK").save(folder / "more" / "cmyk.jpg")
    shutil.copy(folder / "00.png", folder / "more" / "again.png")
    shutil.copy(folder / "00.png", folder / "third.png")
    return folder


def check(diagnosis) -> None:
    names = {
        problem: sorted(finding.name for finding in findings)
        for problem, findings in diagnosis.unusable.items()
    }
    assert names == {
        "truncated": ["cut.jpg", "empty.png"],
        "not an image": ["notes.txt", "page.jpg"],
        "unreadable": ["broken.png"],
        "too small": ["small.png"],
    }
    assert {mode: [f.name for f in findings] for mode, findings in diagnosis.odd_modes.items()} == {
        "L": ["grey.png"],
        "CMYK": ["more/cmyk.jpg"],
    }
    assert diagnosis.duplicates == [["00.png", "more/again.png", "third.png"]]
    assert (diagnosis.files, diagnosis.usable) == (22, 16)
    assert diagnosis.formats["PNG"] == 16 and diagnosis.sizes["40x48"] == 17
    (small,) = diagnosis.unusable["too small"]
    assert (small.width, small.height, small.mode) == (15, 40, "RGB")


def test_folder_and_zip_are_diagnosed_alike(mixed, tmp_path):
    check(examine(open_source(mixed), SETTINGS, progress=False))
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in mixed.rglob("*"):
            archive.write(path, path.relative_to(mixed))
    check(examine(open_source(tmp_path / "x.zip"), SETTINGS, progress=False))


def test_training_skips_exactly_what_the_doctor_names(mixed):
    diagnosis = examine(open_source(mixed), SETTINGS, progress=False)
    report = load_faces(mixed, resolution=32, progress=False).report
    assert {name for name, _, _ in report.skipped} == {
        finding.name for findings in diagnosis.unusable.values() for finding in findings
    }
    assert (report.found, report.used) == (diagnosis.files, diagnosis.usable)


def test_equal_checksums_of_different_files_are_no_duplicates(mixed, monkeypatch):
    monkeypatch.setattr("facegen_keras.data.decode.zlib.crc32", lambda data: 7)
    for path in mixed.rglob("*.png"):  # one size for all: zeros after the end of a PNG are ignored
        data = path.read_bytes()
        path.write_bytes(data + bytes(20_000 - len(data)) if data else data)
    diagnosis = examine(open_source(mixed), SETTINGS, progress=False)
    assert diagnosis.duplicates == [["00.png", "more/again.png", "third.png"]]


def test_arrays(tmp_path, photo):
    images = np.stack([np.asarray(photo(number % 9)) for number in range(10)])
    np.savez(tmp_path / "x.npz", images)
    diagnosis = examine(open_source(tmp_path / "x.npz"), SETTINGS, progress=False)
    assert (diagnosis.files, diagnosis.usable, diagnosis.unusable) == (10, 10, {})
    assert diagnosis.duplicates == [["row 00000000", "row 00000009"]]
    assert diagnosis.sizes == {"40x48": 10}
    draw_contact_sheet(open_source(tmp_path / "x.npz"), diagnosis, tmp_path / "x.png")
    shown = np.asarray(Image.open(tmp_path / "x.png"))
    assert not (shown == 255).all()


def test_contact_sheet_shows_the_faces(folder, tmp_path, photo):
    source = open_source(folder)
    diagnosis = examine(source, SETTINGS, progress=False)
    draw_contact_sheet(source, diagnosis, tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    first = photo(0).crop((0, 4, 40, 44)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    windows = np.lib.stride_tricks.sliding_window_view(sheet, (SIDE, SIDE, 3)).squeeze(2)
    assert (windows[:60, :60] == np.asarray(first)).all(axis=(2, 3, 4)).any()


def test_check_writes_and_returns_one_if_anything_is_unusable(mixed, tmp_path, capsys):
    out = tmp_path / "out"
    assert run_check(str(mixed), str(out), resolution=32, progress=False) == 1
    printed = capsys.readouterr().out
    for line in ("files", "22", "truncated", "cut.jpg", "= more/again.png", "6 unusable"):
        assert line in printed
    assert (
        printed.strip()
        in table(examine(open_source(mixed), SETTINGS, progress=False))
        + f"\nfull lists: {out / 'data_check.json'}; contact sheet: {out / 'data_check.png'}"
    )
    report = json.loads((out / "data_check.json").read_text())
    assert [finding["name"] for finding in report["unusable"]["too small"]] == ["small.png"]
    assert report["usable"] == 16
    with Image.open(out / "data_check.png") as sheet:
        assert sheet.format == "PNG" and sheet.width > 12 * SIDE


def test_duplicates_and_odd_modes_alone_are_usable(folder, tmp_path, photo):
    shutil.copy(folder / "00.png", folder / "again.png")
    photo(23).convert("L").save(folder / "grey.png")
    assert run_check(str(folder), str(tmp_path / "out"), resolution=32, progress=False) == 0


def test_command_line(folder, tmp_path, capsys):
    flags = ["check", str(folder), "--output_dir", str(tmp_path / "out"), "--resolution", "32"]
    config = parse(DataConfig, flags, "facegen data", "")
    assert run(config) == 0
    assert "all usable" in capsys.readouterr().out
    with pytest.raises(UserError, match="workers -1: must be 1 or more"):
        run(parse(DataConfig, [*flags, "--workers", "-1"], "facegen data", ""))
    with pytest.raises(UserError, match="an empty path"):
        run(parse(DataConfig, ["check", ""], "facegen data", ""))
    with pytest.raises(UserError, match="the folder of the photos, among which"):
        run_check(str(folder), str(folder), resolution=32, progress=False)
    for _ in range(2):  # what the first writes below the photos, the second leaves out
        assert run_check(str(folder), str(folder / "o"), resolution=32, progress=False) == 0
    for words in (["my photos"], ["--resolution", "32", "my photos"], ["chekc", "my photos"]):
        with pytest.raises(UserError, match=r"say: facegen data check 'my photos'$"):
            parse(DataConfig, words, "facegen data", "")
    with pytest.raises(UserError, match="give it a folder"):
        run(DataConfig())
    with pytest.raises(UserError, match="give another --output_dir"):
        run_check(str(folder), str(folder / "00.png" / "x"), resolution=32, progress=False)
