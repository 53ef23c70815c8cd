import os
import shutil
import socket
import zipfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from facegen_keras.data import load_faces, worker
from facegen_keras.data.decode import Settings
from facegen_keras.data.doctor import examine
from facegen_keras.data.faces import open_source
from facegen_keras.data.image_files import format_and_side
from facegen_keras.errors import UserError
from facegen_keras.figures.theme import save_png
from facegen_keras.pictures import save_grid


def load(source, **options):
    return load_faces(source, resolution=32, progress=False, **options)


def pack(folder: Path, target: Path, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(target, "w", method) as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    return target


def test_nested_folder_in_the_order_of_names(folder, photo):
    faces = load(folder)
    assert len(faces) == 12
    assert faces.report.found == faces.report.used == 12
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    for index, name in enumerate(names):
        expected = (
            photo(int(Path(name).stem))
            .crop((0, 4, 40, 44))
            .resize((32, 32), Image.Resampling.LANCZOS)
        )
        assert (faces[index] == np.asarray(expected)).all()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_gives_the_same_faces_and_fingerprint_as_its_folder(folder, tmp_path, method):
    faces, zipped = load(folder), load(pack(folder, tmp_path / "faces.zip", method))
    assert (faces[:] == zipped[:]).all()
    assert faces.fingerprint == zipped.fingerprint


def test_folder_that_holds_only_a_zip_stands_for_it(folder, tmp_path):
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    pack(folder, dataset / "sample_faces.zip")
    (dataset / "README.md").write_text("about the sample")
    faces = load(dataset)
    assert len(faces) == 12
    assert not faces.report.skipped
    (dataset / "mine.png").write_bytes((folder / "00.png").read_bytes())
    assert len(load(dataset)) == 1  # photos of one's own come first


def test_several_zips_and_no_image_are_ambiguous(folder, tmp_path):
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    pack(folder, dataset / "a.zip")
    pack(folder, dataset / "b.zip")
    with pytest.raises(UserError, match=r"several zips \(a.zip, b.zip\)"):
        load(dataset)


def test_company_of_images_is_judged_by_its_name(folder):
    for name in ("README.md", ".DS_Store", "Thumbs.db", "LICENSE", "__MACOSX/x.png", ".git/y.png"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("not a face")
    report = load(folder).report
    assert str(report) == "12 images"  # nothing to worry about
    aside = {"README.md", ".DS_Store", "Thumbs.db", "LICENSE", "__MACOSX/", ".git/"}
    assert {(name, problem) for name, problem, _ in report.skipped} == {
        (name, "set aside") for name in aside
    }
    (folder / "notes.txt").write_text("not a face")
    (folder / "page.jpg").write_text("not a face")
    report = load(folder).report
    assert {(name, problem) for name, problem, _ in report.skipped if name not in aside} == {
        ("notes.txt", "not an image"),
        ("page.jpg", "not an image"),
    }
    assert (report.found, report.used) == (14, 12)


def test_extension_does_not_decide_what_a_photo_is(folder, photo, encode):
    (folder / "00.png").write_bytes(encode(photo(0), "WEBP", lossless=True))
    (folder / "no_extension").write_bytes(encode(photo(0), "BMP"))
    (folder / "CAPITALS.JPEG").write_bytes(encode(photo(0), "JPEG"))
    assert load(folder).report.used == 14


def test_link_back_up_does_not_go_round(folder):
    os.symlink(folder, folder / "more" / "loop")
    faces = load(folder)
    assert len(faces) == 12
    assert [name for name, *_ in faces.report.skipped] == ["more/loop/"]


def test_entries_that_are_no_files_are_named_and_cost_nothing_else(folder):
    os.symlink("itself.png", folder / "itself.png")
    os.symlink("nowhere.png", folder / "dangling.png")
    os.symlink("/dev/null", folder / "null.png")
    os.mkfifo(folder / "fifo.png")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(folder / "socket.png"))
        report = load(folder).report
    assert (report.found, report.used) == (17, 12)
    assert {name: (problem, detail) for name, problem, detail in report.skipped} == {
        "itself.png": ("unreadable", "a link to itself"),
        "dangling.png": ("unreadable", "a link to nothing"),
        "null.png": ("unreadable", "a device, not a file"),
        "fifo.png": ("unreadable", "a FIFO, not a file"),
        "socket.png": ("unreadable", "a socket, not a file"),
    }


def test_what_this_package_wrote_beside_faces_is_no_face(folder, tmp_path):
    before = load(folder)
    images = before[:4]
    save_grid(images, folder / "all of them.png")  # known by its mark
    figure, _ = plt.subplots()
    save_png(figure, folder / "chart.png")
    plt.close(figure)
    Image.fromarray(images[0]).save(folder / "grid.png")  # of before the mark: by its name
    Image.fromarray(images[0]).save(folder / "g_memorisation.png")
    for source in (folder, pack(folder, tmp_path / "faces.zip")):
        faces = load(source)
        assert faces.fingerprint == before.fingerprint
        assert {(name, problem) for name, problem, _ in faces.report.skipped} == {
            (name, "not a face")
            for name in ("all of them.png", "chart.png", "grid.png", "g_memorisation.png")
        }
        assert "4 not a face (" in str(faces.report)
    assert format_and_side(folder) == ("PNG", 40)


def test_output_below_the_photos_is_none_of_them(folder, photo):
    before = load(folder)
    (folder / "output" / "run").mkdir(parents=True)
    photo(77).save(folder / "output" / "run" / "fakes.png")
    assert len(load(folder)) == len(before) + 1
    without = [folder / "output", folder / "not there"]
    assert load(folder, without=without).fingerprint == before.fingerprint
    assert len(load(folder / "output", without=without)) == 1  # what is asked for stays


def test_single_photo(folder, photo):
    expected = photo(0).crop((0, 4, 40, 44)).resize((32, 32), Image.Resampling.LANCZOS)
    assert (load(folder / "00.png")[0] == np.asarray(expected)).all()


def test_zip_with_a_damaged_member_loses_only_that(folder, tmp_path):
    path = pack(folder, tmp_path / "faces.zip")
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("more/deep/03.png")
    data = bytearray(path.read_bytes())
    data[member.header_offset + 30 + len(member.filename) + 40] ^= 255
    path.write_bytes(data)
    faces = load(path)
    assert len(faces) == 11
    assert faces.report.skipped[0][:2] == ("more/deep/03.png", "unreadable")
    assert "checksum" in faces.report.skipped[0][2]


def test_encrypted_member_is_named(folder, tmp_path):
    path = pack(folder, tmp_path / "faces.zip")
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 8] |= 1
    path.write_bytes(data)
    faces = load(path)
    assert len(faces) == 11
    assert "encrypted" in faces.report.skipped[0][2]


@pytest.mark.parametrize("kind", ["missing", "empty", "text only", "empty zip"])
def test_nothing_there_names_the_three_ways(kind, tmp_path):
    source = tmp_path / "source"
    if kind == "empty zip":
        source = tmp_path / "source.zip"
        zipfile.ZipFile(source, "w").close()
    elif kind != "missing":
        source.mkdir()
    if kind == "text only":
        (source / "notes.txt").write_text("no face")
    with pytest.raises(UserError) as error:
        load(source)
    message = str(error.value)
    assert message.startswith(str(source))
    assert "\n" not in message
    for way in ("folder or .zip of your own photos", "hf:owner/name", "dataset/sample_faces.zip"):
        assert way in message


def test_what_was_seen_instead_of_images_is_told(tmp_path):
    (tmp_path / "source").mkdir()
    for name in ("1.HEIC", "2.heic", "notes.txt", "README.md"):
        (tmp_path / "source" / name).write_text("no face")
    zipped = pack(tmp_path / "source", tmp_path / "source.zip")
    for source in (tmp_path / "source", zipped):
        told = r"no image found, but 2 \.heic, 1 \.txt \(convert photos to PNG or JPEG\); expected"
        with pytest.raises(UserError, match=told):
            load(source)


def test_broken_zip(tmp_path, folder):
    path = pack(folder, tmp_path / "faces.zip")
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(UserError, match=r"faces\.zip: not a readable zip"):
        load(path)


def test_only_unusable_files(tmp_path, photo):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.jpg").write_text("no face")
    with pytest.raises(UserError, match=r"none of 1 files is a usable image.*a\.jpg: not an image"):
        load(tmp_path / "x")
    photo(0, 15, 15).save(tmp_path / "x" / "a.jpg")
    with pytest.raises(UserError, match="all 1 images are too small for resolution 32"):
        load(tmp_path / "x")
    assert len(load(tmp_path / "x", min_size=15)) == 1


def test_a_crop_that_is_too_small_is_told_apart_from_small_images(folder):
    told = "crop 0,0,10,12: 10x12 pixels, at least 16 are needed for resolution 32"
    with pytest.raises(UserError, match=told):
        load(folder, crop="0,0,10,12")
    with pytest.raises(UserError, match=told):
        examine(open_source(folder), Settings(32, (0, 0, 10, 12), 16), progress=False)
    assert len(load(folder, crop="0,0,10,12", min_size=10)) == 12


def test_name_that_is_not_text(folder, tmp_path, capsys):
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff.jpg"))).write_text("no face")
    faces = load_faces(folder, resolution=32)
    assert len(faces) == 12
    assert r"\udcff.jpg" in capsys.readouterr().out
    assert load(folder).report == faces.report  # from the cache


def test_name_that_would_move_the_cursor(folder, capsys):
    (folder / "a\n\x1b[2Jb.jpg").write_text("no face")
    load_faces(folder, resolution=32)
    out = capsys.readouterr().out
    assert r"(a\n\x1b[2Jb.jpg)" in out
    assert out.count("\n") == 1


def test_a_list_of_checksums_beside_a_zip_is_no_photo(folder, tmp_path, photo):
    place = tmp_path / "download"
    place.mkdir()
    with zipfile.ZipFile(place / "faces.zip", "w") as archive:
        for path in folder.rglob("*"):
            archive.write(path, f"./{path.relative_to(folder)}")  # as bsdtar writes them
    (place / "SHA256SUMS").write_text("0123  faces.zip\n")
    assert len(load(place)) == len(load(folder))
    photo(1, 40, 40).save(place / "no_extension", format="PNG")
    assert len(load(place)) == 1


def test_a_zip_beside_photos_is_told(folder, tmp_path):
    dataset = tmp_path / "dataset"
    shutil.copytree(folder, dataset)
    before = load(dataset)
    pack(folder, dataset / "more.zip")
    faces = load(dataset)
    assert faces.fingerprint == before.fingerprint
    assert "skipped 1 not an image (more.zip)" in str(faces.report)


def test_what_is_there_is_named(folder, tmp_path):
    np.save(tmp_path / "faces.npy", np.zeros((2, 8, 8, 3), "uint8"))
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=r"zzz: no such file or folder; .* there is: .*faces\.npy"):
        load(tmp_path / "zzz")
    with pytest.raises(UserError, match=r" there is: faces\.npy; give a folder"):
        load(tmp_path / "facs.npy")
    empty = tmp_path / "empty"
    empty.mkdir()
    np.save(empty / "faces.npy", np.zeros((2, 8, 8, 3), "uint8"))
    with pytest.raises(UserError, match=r"no image found, but 1 \.npy"):
        load(empty)


def test_a_file_that_unpacks_to_anything_is_refused_alone(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "MAX_BYTES", 2**20)
    (folder / "bomb.png").write_bytes((folder / "00.png").read_bytes() + bytes(2**20))
    for source in (folder, pack(folder, tmp_path / "x.zip", zipfile.ZIP_DEFLATED)):
        faces = load(source)
        assert len(faces) == 12
        assert faces.report.skipped == (
            ("bomb.png", "unreadable", "an encoded image of more than 1 MiB"),
        )
