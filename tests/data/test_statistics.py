import numpy as np
import pytest

from facegen_keras.data import statistics
from facegen_keras.data.faces import load_faces
from facegen_keras.data.statistics import cells_of_a_map, closest_pairs, pixel_statistics
from facegen_keras.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (23, 8, 8, 3), dtype=np.uint8)


def test_known_pictures():
    images = np.zeros((2, 4, 4, 3), np.uint8)
    images[0] = (255, 0, 0)
    images[1, :2] = 200  # upper half grey, lower half black
    found = pixel_statistics(images)
    np.testing.assert_allclose(found.brightness, [0.299 * 255, 100])
    np.testing.assert_allclose(found.contrast, [0, 100], atol=1e-9)
    np.testing.assert_allclose(found.colour, [[255, 0, 0], [100, 100, 100]])
    assert found.grey == 1
    assert found.histogram.sum(1).tolist() == [32, 32, 32]
    assert (found.histogram[0, 255], found.histogram[1, 0], found.histogram[2, 200]) == (16, 24, 8)
    np.testing.assert_allclose(found.mean[0, 0], [227.5, 100, 100])
    np.testing.assert_allclose(found.std[3, 3], [127.5, 0, 0])


def test_numpy_over_everything_at_once_agrees(monkeypatch):
    monkeypatch.setattr(statistics, "BATCH", 5)
    monkeypatch.setattr(statistics.batches, "__defaults__", (5,))
    found = pixel_statistics(load_faces(IMAGES, resolution=8, progress=False))
    np.testing.assert_allclose(found.mean, IMAGES.mean(0))
    np.testing.assert_allclose(found.std, IMAGES.std(0), rtol=1e-12)
    np.testing.assert_allclose(found.colour, IMAGES.mean((1, 2)))
    assert len(found.brightness) == 23
    for channel in range(3):
        values = np.bincount(IMAGES[..., channel].ravel(), minlength=256)
        np.testing.assert_array_equal(found.histogram[channel], values)


def test_a_constant_set_has_no_spread():
    found = pixel_statistics(np.full((1000, 4, 4, 3), 254, np.uint8))
    assert (found.std == 0).all()
    assert (found.mean == 254).all()


@pytest.mark.parametrize("size", [4, 100])
def test_closest_pairs_are_those_of_all_distances(monkeypatch, size):
    monkeypatch.setattr(statistics, "BATCH", size)
    points = np.random.default_rng(1).normal(size=(30, 3))
    points[17] = points[5]
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    first, second = np.triu_indices(30, 1)
    order = np.argsort(distances[first, second])[:6]
    found = closest_pairs(points, 6)
    assert [(a, b) for _, a, b in found] == [(first[i], second[i]) for i in order]
    np.testing.assert_allclose(
        [d for d, _, _ in found], distances[first, second][order], atol=1e-12
    )
    assert found[0] == (0.0, 5, 17)
    assert len(closest_pairs(points[:3], 10)) == 3


def test_refused():
    for images in (IMAGES.astype(float), IMAGES[:0], IMAGES[..., :1], IMAGES[0]):
        with pytest.raises(UserError, match="expected Faces or uint8"):
            pixel_statistics(images)


def test_a_map_has_each_face_in_its_cell():
    corners = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    points = np.array([*corners, (0.9, 0.9), (-9, 0), (9, 0)], float)
    points /= points.std(0)
    found = cells_of_a_map(points, columns=2, rows=2, reach=2 / points[:, 1].max())
    assert found.shape == (2, 2)
    assert set(found.ravel()) <= {-1, 0, 1, 2, 3, 4}  # the two far away are off the map
    grid = np.stack(np.meshgrid([0.5, 1.5, 2.5], [0.5, 1.5]), -1).reshape(-1, 2)
    grid = np.concatenate([grid, grid + 0.2])  # a second one in each cell, further from the middle
    reach = (grid.max(0) - grid.min(0) + 1)[0] / 2 / grid.std(0)[0]
    stretched = (grid - grid.mean(0)) / grid.std(0)
    assert cells_of_a_map(stretched[:6], 3, 2, reach).shape == (2, 3)
    up = cells_of_a_map(np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float), 2, 2)
    assert up.tolist() == [[1, 3], [0, 2]]  # the second coordinate grows upwards
    sparse = cells_of_a_map(np.array([[0, 0], [1, 1]], float), 2, 2)
    assert sparse.tolist() == [[-1, 1], [0, -1]]
    with pytest.raises(UserError, match="not all in one line"):
        cells_of_a_map(np.zeros((5, 2)))
