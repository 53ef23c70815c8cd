import numpy as np
import pytest

from facegen_keras.data import eigenfaces as module
from facegen_keras.data.eigenfaces import eigenfaces
from facegen_keras.data.faces import load_faces
from facegen_keras.errors import UserError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch):
    monkeypatch.setattr(module, "PIXELS", 50)  # of 192


def test_they_are_the_singular_vectors():
    found = eigenfaces(load_faces(IMAGES, resolution=8, progress=False), components=29)
    flat = IMAGES.reshape(30, -1) - IMAGES.reshape(30, -1).mean(0)
    _, singular, vectors = np.linalg.svd(flat, full_matrices=False)
    np.testing.assert_allclose(found.variance, singular[:29] ** 2 / 30, rtol=1e-6)
    assert found.total == pytest.approx(IMAGES.reshape(30, -1).var(0).sum())
    assert found.share.sum() == pytest.approx(1)
    ours = found.components.reshape(29, -1)
    alike = np.abs((ours * vectors[:29]).sum(1))
    np.testing.assert_allclose(alike, 1, atol=1e-5)
    np.testing.assert_allclose(ours @ ours.T, np.eye(29), atol=1e-5)
    assert (ours[np.arange(29), np.abs(ours).argmax(1)] > 0).all()


def test_all_components_give_every_face_back():
    found = eigenfaces(IMAGES, components=29)
    coordinates = found.encode(IMAGES)
    np.testing.assert_allclose(coordinates.var(0), found.variance, rtol=1e-4)
    np.testing.assert_array_equal(found.decode(coordinates), IMAGES)
    mean = np.rint(IMAGES.mean(0)).astype(np.uint8)
    np.testing.assert_array_equal(found.decode(coordinates[:1], 0)[0], mean)


def test_explained_is_what_reconstruction_keeps():
    others = RANDOM.integers(80, 170, (7, 8, 8, 3), dtype=np.uint8)
    found = eigenfaces(IMAGES, components=20)
    np.testing.assert_allclose(found.explained(IMAGES), np.cumsum(found.share), rtol=1e-5)
    error = np.square(found.decode(found.encode(others), 12) - others.astype(float)).sum()
    around = np.square(others - found.mean).sum()
    assert found.explained(others)[11] == pytest.approx(1 - error / around, abs=0.002)
    assert found.explained(others)[19] < found.explained(IMAGES)[19]


def test_beyond_the_rank_there_is_nothing():
    copies = np.concatenate([IMAGES[:3]] * 4)  # rank 2 around its mean
    found = eigenfaces(copies, components=6)
    assert (found.variance[:2] > 1).all()
    assert (found.variance[2:] == 0).all()
    assert (found.components[2:] == 0).all()
    np.testing.assert_allclose(found.explained(copies)[1:], 1, rtol=1e-5)
    np.testing.assert_array_equal(found.decode(found.encode(copies)), copies)


def test_the_limit_spreads_over_the_set():
    found = eigenfaces(IMAGES, components=3, limit=4)
    assert found.count == 4
    np.testing.assert_allclose(found.mean, IMAGES[[0, 9, 19, 29]].mean(0))


def test_samples_have_the_mean_and_the_variance():
    soft = np.uint8(100 + IMAGES / 5)
    found = eigenfaces(soft, components=10)
    drawn = found.sample(range(400))
    np.testing.assert_array_equal(found.sample([7])[0], drawn[7])
    np.testing.assert_allclose(drawn.mean(0), found.mean, atol=4)
    variance = found.encode(drawn).var(0)
    np.testing.assert_allclose(variance, found.variance, rtol=0.3)


def test_refused():
    with pytest.raises(UserError, match="30 faces; give 1 to 29"):
        eigenfaces(IMAGES, components=30)
    with pytest.raises(UserError, match="uint8"):
        eigenfaces(IMAGES / 255.0, components=3)
    with pytest.raises(UserError, match=r"\(4, 4, 3\): these eigenfaces are \(8, 8, 3\)"):
        eigenfaces(IMAGES, components=3).encode(IMAGES[:, :4, :4])
