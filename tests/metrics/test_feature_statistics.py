"""Streaming statistics: equal to NumPy's, mergeable, saved, refused by name."""

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.metrics import Statistics
from facegen_keras.metrics.feature_statistics import cached_path, check_comparable


class PixelMeans:
    """A stand-in extractor: 12 numbers per image."""

    name, dim, resize = "pixel-means", 12, "none"
    protocol = {"extractor": "pixel-means", "weights_sha256": "0", "resize": "none"}  # noqa: RUF012
    fingerprint = "f" * 64

    def __init__(self):
        self.calls = 0

    def stream(self, images, progress=False):
        self.calls += 1
        for start in range(0, len(images), 7):
            batch = images[start : start + 7].astype(np.float32)
            n, h, w, _ = batch.shape
            yield batch.reshape(n, 2, h // 2, 2, w // 2, 3).mean((2, 4)).reshape(n, 12)


@pytest.fixture
def features():
    random = np.random.default_rng(0)
    return (3 + random.standard_normal((1500, 24)) @ random.standard_normal((24, 24))).astype("f4")


@pytest.mark.parametrize("batch", [1, 7, 512, 1500])
def test_equal_to_numpy_whatever_the_batch(features, batch):
    stats = Statistics.from_features(features[i : i + batch] for i in range(0, 1500, batch))
    assert stats.n == 1500
    np.testing.assert_allclose(stats.mean, features.astype(np.float64).mean(0), rtol=1e-12)
    np.testing.assert_allclose(stats.covariance, np.cov(features.T, dtype=np.float64), rtol=1e-8)


def test_order_does_not_matter(features):
    a = Statistics.from_features(features)
    b = Statistics.from_features(features[np.random.default_rng(1).permutation(1500)])
    assert abs(a.mean - b.mean).max() < 1e-8
    assert abs(a.covariance - b.covariance).max() < 1e-8


def test_far_from_zero_nothing_cancels():
    """Sums of squares would lose every digit here."""
    values = 1e8 + np.random.default_rng(0).standard_normal((2000, 3))
    stats = Statistics.from_features(values)
    np.testing.assert_allclose(stats.covariance, np.cov(values.T), rtol=1e-6, atol=1e-8)


def test_merge_is_both_sets_together(features):
    merged = Statistics.from_features(features[:100]) + Statistics.from_features(features[100:])
    whole = Statistics.from_features(features)
    assert merged.n == 1500
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(merged.covariance, whole.covariance, rtol=1e-10)


def test_file_there_and_back(tmp_path, features):
    stats = Statistics.from_features(features, {"extractor": "x", "resize": "clean"})
    stats.save(tmp_path / "a" / "x.npz")
    loaded = Statistics.load(tmp_path / "a" / "x.npz")
    np.testing.assert_array_equal(loaded.mean, stats.mean)
    np.testing.assert_array_equal(loaded.covariance, stats.covariance)
    assert loaded.n == 1500
    assert loaded.protocol == {"extractor": "x", "resize": "clean"}
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["x.npz"]
    with np.load(tmp_path / "a" / "x.npz") as data:  # what pytorch-fid reads
        np.testing.assert_array_equal(data["mu"], stats.mean)
        np.testing.assert_array_equal(data["sigma"], stats.covariance)


def test_pytorch_fids_file(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", mu=np.arange(3.0), sigma=np.eye(3))
    stats = Statistics.load(tmp_path / "x.npz")
    assert stats.n is None
    assert stats.mean.tolist() == [0, 1, 2]
    with pytest.raises(UserError, match="cannot be merged"):
        stats + stats


def test_from_images_is_cached_by_fingerprint(tmp_path):
    random = np.random.default_rng(0)

    class Photos(np.ndarray):
        fingerprint, resolution = "abc", 8

    photos = random.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8).view(Photos)
    extractor = PixelMeans()
    first = Statistics.from_images(extractor, photos, cache_dir=tmp_path)
    again = Statistics.from_images(extractor, photos, cache_dir=tmp_path)
    assert extractor.calls == 1
    np.testing.assert_array_equal(first.covariance, again.covariance)
    assert again.protocol["fingerprint"] == "abc"
    assert again.protocol["resolution"] == 8
    cached_path(extractor, "abc", tmp_path).write_bytes(b"damaged")
    Statistics.from_images(extractor, photos, cache_dir=tmp_path)
    assert extractor.calls == 2


def test_refusals(tmp_path, features):
    with pytest.raises(UserError, match=r"1 image;.*at least 2"):
        Statistics.from_features(features[:1])
    with pytest.raises(UserError, match="no such file"):
        Statistics.load(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"bad")
    with pytest.raises(UserError, match="not an"):
        Statistics.load(tmp_path / "bad.npz")
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    with pytest.raises(UserError, match="holds images; expected mu and sigma"):
        Statistics.load(tmp_path / "other.npz")
    with pytest.raises(UserError, match="not finite"):
        Statistics(np.array([np.nan]), np.eye(1))
    with pytest.raises(UserError, match="expected"):
        Statistics(np.zeros(3), np.eye(2))


@pytest.mark.parametrize("key", ["extractor", "weights_sha256", "resize"])
def test_mismatches_are_named(key):
    a = Statistics(np.zeros(2), np.eye(2), 9, {key: "one"})
    b = Statistics(np.zeros(2), np.eye(2), 9, {key: "other"})
    with pytest.raises(UserError, match="'one' in one and 'other'"):
        check_comparable(a, b)
    check_comparable(a, Statistics(np.zeros(2), np.eye(2)))  # an unlabelled file passes
    with pytest.raises(UserError, match="2 and of 3 features"):
        check_comparable(a, Statistics(np.zeros(3), np.eye(3)))


def test_a_file_of_statistics_cannot_fill_the_memory(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, mu=np.zeros(8), sigma=np.zeros((3000, 3000)))
    assert path.stat().st_size < 2**17
    with pytest.raises(UserError, match=r"not an \.npz of statistics"):
        Statistics.load(path)


def test_statistics_of_an_array_need_no_copy_of_it():
    import tracemalloc

    features = np.random.default_rng(0).standard_normal((20_000, 64), np.float32)
    tracemalloc.start()
    try:
        Statistics.from_features(features)
        assert tracemalloc.get_traced_memory()[1] < 0.5 * features.nbytes
    finally:
        tracemalloc.stop()
