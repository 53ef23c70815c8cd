import contextlib
import io
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from facegen_keras.data import arrays, load_faces
from facegen_keras.data.faces import open_source
from facegen_keras.errors import UserError


@pytest.fixture
def images(photo) -> np.ndarray:
    return np.stack([np.asarray(photo(number, 24, 32)) for number in range(10)])


def load(source, **options):
    return load_faces(source, **{"resolution": 16, "progress": False, **options})


@pytest.fixture
def three(images, tmp_path):
    """The same images in memory, as `.npy` and as compressed `.npz` beside some labels."""
    np.save(tmp_path / "x.npy", images)
    np.savez_compressed(tmp_path / "x.npz", labels=np.arange(10), faces=images)
    return images, tmp_path / "x.npy", tmp_path / "x.npz"


def test_resized_like_files(three, images, monkeypatch):
    monkeypatch.setattr(arrays, "PIECE_BYTES", 3 * images[0].nbytes)  # several pieces
    expected = np.stack(
        [
            np.asarray(
                Image.fromarray(image)
                .crop((0, 4, 24, 28))
                .resize((16, 16), Image.Resampling.LANCZOS)
            )
            for image in images
        ]
    )
    for source in three:
        assert (load(source)[:] == expected).all()
    assert len({load(source).fingerprint for source in three}) == 1
    assert load(images, crop="none").fingerprint != load(images).fingerprint


def test_right_size_is_used_in_place(images, tmp_path, cache):
    square = np.ascontiguousarray(images[:, :16, :16])
    np.save(tmp_path / "x.npy", square)
    np.savez(tmp_path / "x.npz", square)
    in_memory, in_place, cached = (
        load(source) for source in (square, tmp_path / "x.npy", tmp_path / "x.npz")
    )
    assert in_memory.pixels is square
    assert [path.name[:5] for path in cache.glob("*") if path.suffix == ".npy"] == [
        cached.fingerprint[:5]
    ]
    for faces in (in_memory, in_place, cached):
        assert (faces[:] == square).all()
        assert faces.fingerprint == in_memory.fingerprint
    faces = load(tmp_path / "x.npy", limit=3)
    assert len(faces) == 3
    assert (faces[:] == square[:3]).all()
    assert faces.fingerprint == load(square[:3]).fingerprint


def test_fingerprint_of_a_npy_is_remembered_until_it_changes(images, tmp_path, monkeypatch):
    square = np.ascontiguousarray(images[:, :16, :16])
    np.save(tmp_path / "x.npy", square)
    first = load(tmp_path / "x.npy").fingerprint
    with monkeypatch.context() as patch:
        patch.setattr(arrays.ArraySource, "chunks", None)
        assert load(tmp_path / "x.npy").fingerprint == first
    square[3, 4, 5, 1] ^= 1
    np.save(tmp_path / "x.npy", square)
    assert load(tmp_path / "x.npy").fingerprint not in (first, "")


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((4, 16, 16, 3), np.float32), "float32 of shape"),
        (np.zeros((4, 16, 16), np.uint8), r"uint8 of shape \(4, 16, 16\)"),
        (np.zeros((4, 3, 16, 16), np.uint8), r"\(4, 3, 16, 16\)"),
        (np.zeros((0, 16, 16, 3), np.uint8), r"\(0, 16, 16, 3\)"),
        (np.array([{"a": 1}], object), "object"),
    ],
)
def test_other_arrays_are_refused(array, told, tmp_path):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=array, allow_pickle=True)
    for source in (array, tmp_path / "x.npy", tmp_path / "x.npz"):
        with pytest.raises(UserError, match=r"uint8 images of shape \(n, height, width, 3\)"):
            load(source)
    with pytest.raises(UserError, match=told):
        load(tmp_path / "x.npy")


def test_damaged_files(images, tmp_path):
    np.save(tmp_path / "x.npy", images)
    np.savez_compressed(tmp_path / "x.npz", images)
    for name, keep in (("x.npy", -100), ("x.npy", 20), ("x.npy", 0), ("x.npz", -100), ("x.npz", 0)):
        path = tmp_path / f"cut{keep}{name}"
        path.write_bytes((tmp_path / name).read_bytes()[:keep])
        with pytest.raises(UserError, match=f"{name}: not a usable"):
            load(path)
    data = bytearray((tmp_path / "x.npz").read_bytes())
    data[len(data) // 2] ^= 255
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(UserError, match=r"x\.npz: (damaged|not a usable)"):
        load(tmp_path / "x.npz")


def test_fortran_order_and_several_arrays(images, tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(images))
    with pytest.raises(UserError, match="Fortran order"):
        load(tmp_path / "x.npy")
    np.savez(tmp_path / "two.npz", a=images, b=images)
    with pytest.raises(UserError, match="2 such arrays, name one images"):
        load(tmp_path / "two.npz")
    np.savez(tmp_path / "two.npz", a=images[:2], images=images)
    assert len(load(tmp_path / "two.npz")) == 10


def test_crop_that_does_not_fit(images):
    with pytest.raises(UserError, match="outside the crop: 24x32 pixels"):
        load(images, crop=(0, 0, 25, 25))


def test_any_bit_of_a_header_may_be_wrong(tmp_path):
    image = np.zeros((2, 16, 16, 3), np.uint8)
    np.save(tmp_path / "x.npy", image)
    np.savez(tmp_path / "x.npz", image)
    header = (tmp_path / "x.npy").read_bytes()[:128]
    for name in ("x.npy", "x.npz"):
        data = (tmp_path / name).read_bytes()
        start = data.index(header[:90])  # what follows are spaces
        for bit in range(8 * 90):
            damaged = bytearray(data)
            damaged[start + bit // 8] ^= 1 << bit % 8
            (tmp_path / name).write_bytes(damaged)
            with contextlib.suppress(UserError):
                open_source(str(tmp_path / name))


def write_header(shape) -> bytes:
    file = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


@pytest.mark.parametrize("shape", [(1, 2**20, 2**20, 3), (2**40, 16, 16, 3), (2**70, 16, 16, 3)])
def test_a_header_that_names_any_size_takes_no_memory(shape, tmp_path):
    (tmp_path / "x.npy").write_bytes(write_header(shape) + bytes(4096))
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", write_header(shape) + bytes(2**20))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(UserError):
            load(tmp_path / name, limit=2)


def test_a_header_that_never_ends_is_not_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + bytes(2**20))
    with pytest.raises(UserError, match="its header has 2,147,483,648 bytes"):
        load(tmp_path / "x.npz")


def test_numbers_of_other_types_mean_the_same(images, tmp_path):
    np.save(tmp_path / "x.npy", images)
    for source in (images, tmp_path / "x.npy"):
        plain, other = load(source, limit=3), load(source, resolution=16.0, limit=np.int64(3))
        assert (len(other), other.fingerprint) == (3, plain.fingerprint)
        assert isinstance(other.resolution, int)
