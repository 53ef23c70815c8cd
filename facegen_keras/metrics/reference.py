"""The photos that samples are compared with: chosen once, measured once, cached by fingerprint."""

import hashlib
import os
from pathlib import Path
from typing import Literal

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.files.atomic import replacing
from facegen_keras.files.limits import read_npy_header
from facegen_keras.files.places import cache_folder
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.feature_statistics import Statistics, check_same_features
from facegen_keras.metrics.sources import ImageSet

# Chooses the photos when not all are taken: fixed, so that every model is compared with the same.
SELECTION_SEED = 0

# A folder, None for the default one, False for none at all.
CacheDir = str | os.PathLike | Literal[False] | None


class Selection:
    """Some images of a source, without copying them.

    Args:
        images: `Faces` or uint8 `(n, height, width, 3)`.
        count: Number of images to take at random; by default, or if there are no more, all.
    """

    def __init__(self, images: ImageSet, count: int | None = None) -> None:
        total = len(images)
        self.images = images
        self.indices: np.ndarray | None = None
        if count is not None and count < total:
            order = np.random.default_rng(SELECTION_SEED).permutation(total)[:count]
            self.indices = np.sort(order)  # ascending: the memmap is read in its order

    def __len__(self) -> int:
        return len(self.images) if self.indices is None else len(self.indices)

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray:
        return self.images[index if self.indices is None else self.indices[index]]

    @property
    def resolution(self) -> int:
        """Side of the images, in pixels."""
        return int(np.shape(self.images[0])[0])

    @property
    def fingerprint(self) -> str:
        """Hex sha256 of the source's fingerprint and the choice, or of the pixels."""
        own = getattr(self.images, "fingerprint", None)
        digest = hashlib.sha256()
        if own is None:
            for start in range(0, len(self), 256):
                digest.update(np.ascontiguousarray(self[start : start + 256]).tobytes())
        elif self.indices is None:
            return own
        else:
            digest.update(own.encode())
            digest.update(self.indices.astype("<i8").tobytes())
        return digest.hexdigest()


class Reference:
    """Photos, or statistics of photos, under one extractor; measured on first use.

    Args:
        extractor: The extractor of both sides.
        photos: `Faces`, uint8 `(n, height, width, 3)`, or `Statistics`.
        count: Number of photos to use, always the same random choice; None uses all.
        cache_dir: Where features and statistics are kept by fingerprint; False keeps nothing.
        progress: Show progress bars.

    Raises:
        UserError: Fewer than two photos, or statistics of another extractor.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        photos: ImageSet | Statistics,
        count: int | None = None,
        cache_dir: CacheDir = None,
        progress: bool = False,
    ) -> None:
        self.extractor = extractor
        self._progress = progress
        self._cache_dir = cache_dir
        self._statistics: Statistics | None = None
        self._features: np.ndarray | None = None
        self.photos: Selection | None = None
        self.n: int | None
        self.resolution: int | None
        if isinstance(photos, Statistics):
            check_same_features(photos.dim, photos.protocol, extractor.dim, extractor.protocol)
            self._statistics = photos
            self.n = photos.n
            resolution = photos.protocol.get("resolution")
            self.resolution = resolution if isinstance(resolution, int) else None
            self.fingerprint = str(photos.protocol.get("fingerprint") or _digest(photos))
        else:
            chosen = Selection(photos, count)
            if len(chosen) < 2:
                raise UserError(f"{len(chosen)} photo(s) as reference; a distance needs at least 2")
            self.photos, self.n = chosen, len(chosen)
            self.resolution, self.fingerprint = chosen.resolution, chosen.fingerprint

    def features(self) -> np.ndarray:
        """Features of the photos, float32 `(n, dim)`.

        Raises:
            UserError: The reference is statistics only.
        """
        photos = self._chosen()
        if self._features is None:
            path = self._path(".npy")
            if path is not None and path.is_file():
                self._features = _read_features(path, (len(photos), self.extractor.dim))
            if self._features is None:
                self._features = self.extractor(photos, self._progress)
                if path is not None:
                    with replacing(path) as temporary, open(temporary, "wb") as file:
                        np.save(file, self._features)
        return self._features

    def statistics(self) -> Statistics:
        """Mean and covariance of the photos' features."""
        if self._statistics is None:
            if self._features is not None:
                protocol = {
                    **self.extractor.protocol,
                    "fingerprint": self.fingerprint,
                    "resolution": self.resolution,
                }
                self._statistics = Statistics.from_features(self._features, protocol)
            else:
                self._statistics = Statistics.from_images(
                    self.extractor,
                    self._chosen(),
                    cache_dir=None if self._cache_dir is False else cache_folder(self._cache_dir),
                    progress=self._progress,
                )
        return self._statistics

    def _chosen(self) -> Selection:
        if self.photos is None:
            raise UserError(
                "a reference of statistics has no features, only their mean and covariance"
            )
        return self.photos

    def _path(self, suffix: str) -> Path | None:
        if self._cache_dir is False:
            return None
        key = f"{self.fingerprint} {self.extractor.fingerprint}"
        name = f"{self.extractor.name}-{hashlib.sha256(key.encode()).hexdigest()[:20]}{suffix}"
        return cache_folder(self._cache_dir) / "features" / name


def _read_features(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    try:
        with open(path, "rb") as file:
            if read_npy_header(file) != (shape, False, np.dtype(np.float32)):
                return None
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None


def _digest(stats: Statistics) -> str:
    digest = hashlib.sha256(stats.mean.tobytes())
    digest.update(stats.covariance.tobytes())
    return digest.hexdigest()
