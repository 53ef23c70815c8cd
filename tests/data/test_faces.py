import zipfile

import numpy as np
import pytest
from PIL import Image

import facegen_keras as fg
from facegen_keras.data.faces import parse_crop


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def faces(images) -> fg.Faces:
    return fg.load_faces(images, resolution=8)


def test_indexing_is_an_arrays(faces, images):
    mask = np.arange(50) % 3 == 0
    for index in (0, -1, 49, np.int64(7), slice(3, 20, 4), [5, 1, 5], np.array([-1, 2]), mask):
        assert (faces[index] == images[index]).all()
        assert faces[index].shape == images[index].shape
        assert faces[index].dtype == np.uint8
    assert (faces.batch([4, 4]) == images[[4, 4]]).all()
    assert sum(1 for _ in faces) == len(faces) == 50
    for index in (50, -51):
        with pytest.raises(IndexError):
            faces[index]


def test_reads_are_copies(faces, images):
    before = images.copy()
    for index in (0, slice(None), [1, 2]):
        faces[index][...] = 0
    assert (images == before).all()


def test_split_parts_share_no_image_and_lose_none(faces, images):
    train, validation = faces.split(held_out=0.1, seed=3)
    assert (len(train), len(validation)) == (45, 5)
    together = np.concatenate([train[:], validation[:]])
    assert sorted(image.tobytes() for image in together) == sorted(i.tobytes() for i in images)
    again = faces.split(held_out=0.1, seed=3)
    assert [part.fingerprint for part in again] == [train.fingerprint, validation.fingerprint]
    assert (again[1][:] == validation[:]).all()
    assert faces.split(seed=4)[1].fingerprint != validation.fingerprint
    assert len({faces.fingerprint, train.fingerprint, validation.fingerprint}) == 3
    inner, _ = train.split(held_out=0.2)
    assert {i.tobytes() for i in inner[:]} < {i.tobytes() for i in train[:]}
    assert (train.resolution, train.source) == (faces.resolution, faces.source)


@pytest.mark.parametrize("held_out", [0, 1, -0.5, 0.001])
def test_split_with_an_empty_part(faces, held_out):
    with pytest.raises(fg.UserError, match="leaves one part empty"):
        faces.split(held_out=held_out)


@pytest.mark.parametrize(("given", "nearest"), [(100, 128), (65, 64), (0, 8), (4, 8), (5000, 1024)])
def test_resolution_is_a_power_of_two(images, given, nearest):
    with pytest.raises(fg.UserError, match=f"resolution {given}: .* the nearest is {nearest}$"):
        fg.load_faces(images, resolution=given)


def test_crop_as_text_or_tuple():
    assert parse_crop("15,40,163,188") == parse_crop((15, 40, 163, 188)) == (15, 40, 163, 188)
    assert (parse_crop("none"), parse_crop("center")) == ("none", "center")
    for crop in ("middle", "1,2,3", "5,5,5,9", "-1,0,5,5", (1, 2, 3), None, 7, "a,b,c,d"):
        with pytest.raises(fg.UserError, match="must be none, center, or left,upper,right,lower"):
            parse_crop(crop)


@pytest.mark.parametrize("name", ["limit", "workers"])
def test_counts_are_positive(images, name):
    with pytest.raises(fg.UserError, match=f"{name} 0: must be 1 or more"):
        fg.load_faces(images, resolution=8, **{name: 0})


def test_an_empty_path_is_not_the_current_folder():
    with pytest.raises(fg.UserError, match=r"an empty path.*give a folder or \.zip"):
        fg.load_faces("")


@pytest.mark.parametrize(
    ("name", "kind"), [("p.heic", ".heic"), ("p.gif", ".gif"), ("a.TXT", ".txt")]
)
def test_a_file_of_another_kind_is_named_by_its_extension(tmp_path, name, kind):
    (tmp_path / name).write_bytes(b"GIF89a and more")
    told = rf"{name}: {kind} files are not read; convert photos to PNG or JPEG \(.*\.webp"
    with pytest.raises(fg.UserError, match=told):
        fg.load_faces(tmp_path / name)


def test_content_decides_where_the_name_says_nothing(tmp_path, images):
    Image.fromarray(images[0]).save(tmp_path / "photo", "PNG")
    assert (fg.load_faces(tmp_path / "photo", resolution=8)[0] == images[0]).all()
    with zipfile.ZipFile(tmp_path / "photos.cbz", "w") as archive:
        archive.write(tmp_path / "photo", "a.png")
    assert (fg.load_faces(tmp_path / "photos.cbz", resolution=8)[0] == images[0]).all()


def test_unreadable_place(tmp_path):
    with pytest.raises(fg.UserError, match=r"cannot be read|no such file"):
        fg.load_faces(tmp_path / ("x" * 300))
