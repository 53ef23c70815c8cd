import zipfile

import numpy as np
from PIL import Image

from facegen_keras.data.contact_sheet import PITCH, SIDE, TEXT, _fitting, draw_contact_sheet
from facegen_keras.data.decode import Settings
from facegen_keras.data.doctor import examine
from facegen_keras.data.faces import load_faces, open_source

SETTINGS = Settings(32, min_size=16)


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
    assert diagnosis.formats["PNG"] == 16
    assert diagnosis.sizes["40x48"] == 17
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
    named = {**diagnosis.unusable, "set aside": diagnosis.set_aside}
    assert sorted(report.skipped) == sorted(
        (finding.name, problem, finding.detail)
        for problem, findings in named.items()
        for finding in findings
    )
    assert "README.md" in {name for name, *_ in report.skipped}
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
    at = np.argwhere((windows[:60, :60] == np.asarray(first)).all(axis=(2, 3, 4)))
    assert len(at) == 1
    row, column = at[0]
    assert (sheet[row + SIDE : row + PITCH + TEXT, column : column + SIDE] < 128).any()  # its name


def test_names_below_thumbnails_are_whole_or_lose_their_middle():
    assert _fitting("thumbnail.png", len) == "thumbnail.png"
    letters = 6 * PITCH  # longer than the room
    short = _fitting("a" * letters + ".jpg", len)
    assert len(short) <= SIDE
    assert short.startswith("aaa")
    assert ".." in short
    assert short.endswith(".jpg")
