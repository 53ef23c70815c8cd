import io
from pathlib import Path

import numpy as np
import pytest

from facegen_keras.data.pixels import HEADER_BYTES, PixelFile, make_header
from facegen_keras.files.limits import read_npy_header


@pytest.mark.parametrize("count", [1, 9, 10**6, 10**12])
@pytest.mark.parametrize("resolution", [8, 1024])
def test_header_has_one_length_and_reads_back(count, resolution):
    header = make_header(count, resolution)
    assert len(header) == HEADER_BYTES
    shape = (count, resolution, resolution, 3)
    assert read_npy_header(io.BytesIO(header)) == (shape, False, np.uint8)


def test_indexing_copies(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "x.npy", images)
    pixels = PixelFile(tmp_path / "x.npy")
    assert len(pixels) == 9
    for index in (slice(2, 5), np.array([7, 1, 1])):
        taken = pixels[index]
        assert (taken == images[index]).all()
        taken[...] = 0
        assert (pixels[index] == images[index]).all()


def test_shorter_than_its_header_says(tmp_path):
    (tmp_path / "x.npy").write_bytes(make_header(4, 8) + bytes(100))
    with pytest.raises(ValueError, match="shorter than its header"):
        PixelFile(tmp_path / "x.npy")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_memory_stays_flat(tmp_path):
    def resident() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssFile"))

    path = tmp_path / "x.npy"
    count, resolution = 30_000, 64  # 350 MiB of holes
    with open(path, "wb") as file:
        file.write(make_header(count, resolution))
        file.truncate(HEADER_BYTES + count * resolution**2 * 3)
    pixels = PixelFile(path)
    rng = np.random.default_rng(0)
    before, most = resident(), 0
    for _ in range(300):
        pixels[rng.integers(0, count, 128)]
        most = max(most, resident() - before)
    assert most < 200 * 2**20
