"""Mean and covariance of features: streamed, mergeable, and cached by the source's fingerprint."""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facegen_keras.errors import UserError, check_path, printable
from facegen_keras.files.atomic import replacing
from facegen_keras.files.limits import check_npz, open_archive, unpacked_limit
from facegen_keras.files.places import cache_folder
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.sources import Images

# Rows gathered for one outer product: fewer make the matrix product inefficient, more cost memory
# (8 MB at 2048 features in float64).
GATHER = 512


@dataclass
class Statistics:
    """Gaussian summary of a set of features, in float64.

    Attributes:
        mean: `(dim,)`.
        covariance: `(dim, dim)`, unbiased (divided by n - 1).
        n: Number of images; None where a file does not state it (pytorch-fid's files do not).
        protocol: Extractor, sha256 of its weights, resize, and what else is known of the source.

    Raises:
        UserError: The shapes do not fit, or a value is not finite.
    """

    mean: np.ndarray
    covariance: np.ndarray
    n: int | None = None
    protocol: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mean = np.asarray(self.mean, np.float64)
        self.covariance = np.asarray(self.covariance, np.float64)
        dim = self.mean.shape[0] if self.mean.ndim == 1 else -1
        if self.covariance.shape != (dim, dim):
            raise UserError(
                f"statistics with a mean of {self.mean.shape} and a covariance of "
                f"{self.covariance.shape}; expected (dim,) and (dim, dim)"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise UserError(
                "statistics with values that are not finite; extract the features again"
            )

    @property
    def dim(self) -> int:
        """Number of features."""
        return len(self.mean)

    @classmethod
    def from_features(
        cls,
        features: np.ndarray | Iterable[np.ndarray],
        protocol: Mapping[str, object] | None = None,
    ) -> "Statistics":
        """Statistics of features.

        Args:
            features: `(n, dim)`, or an iterable of such batches.
            protocol: Stored with the numbers.

        Raises:
            UserError: Fewer than two images.
        """
        moments = Moments()
        if isinstance(features, np.ndarray):  # in parts: each is copied, in float64
            starts = range(0, max(len(features), 1), GATHER)
            features = [features[start : start + GATHER] for start in starts]
        for batch in features:
            moments.update(batch)
        return moments.statistics(protocol)

    @classmethod
    def from_images(
        cls,
        extractor: FeatureExtractor,
        images: Images,
        *,
        cache_dir: str | Path | None = None,
        progress: bool = False,
    ) -> "Statistics":
        """Statistics of images, without keeping their features.

        Args:
            extractor: An `InceptionFeatures` or `EfficientNetLite0Features`.
            images: `Faces`, uint8 `(n, height, width, 3)`, or an iterable of uint8 batches.
            cache_dir: Keep the result here under the fingerprints of images and extractor, and
                read it from here the next time. Only for images that have a `fingerprint`.
            progress: Show a progress bar.

        Raises:
            UserError: Fewer than two images.
        """
        fingerprint = getattr(images, "fingerprint", None)
        path = None
        if cache_dir is not None and fingerprint is not None:
            path = cached_path(extractor, fingerprint, cache_dir)
            if path.is_file():
                with contextlib.suppress(UserError):  # a damaged cache is written again
                    return cls.load(path)
        protocol: dict[str, object] = dict(extractor.protocol)
        if fingerprint is not None:
            protocol["fingerprint"] = fingerprint
        resolution = getattr(images, "resolution", None)
        if resolution is not None:
            protocol["resolution"] = int(resolution)
        elif isinstance(images, np.ndarray) and images.ndim == 4:
            protocol["resolution"] = int(images.shape[1])
        stats = cls.from_features(extractor.stream(images, progress), protocol)
        if path is not None:
            stats.save(path)
        return stats

    def __add__(self, other: "Statistics") -> "Statistics":
        """Statistics of both sets together (Chan, Golub & LeVeque 1979, eq. 2.1)."""
        if not isinstance(other, Statistics):
            return NotImplemented
        check_comparable(self, other)
        moments = Moments.of(self)
        moments.merge(Moments.of(other))
        same = {k: v for k, v in self.protocol.items() if other.protocol.get(k) == v}
        return moments.statistics(same)

    def save(self, path: str | Path) -> None:
        """Write an `.npz` that pytorch-fid reads too (`mu`, `sigma`), whole or not at all."""
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(
                file,
                mu=self.mean,
                sigma=self.covariance,
                n=np.int64(-1 if self.n is None else self.n),
                protocol=np.array(json.dumps(self.protocol, sort_keys=True)),
            )

    @classmethod
    def load(cls, path: str | Path) -> "Statistics":
        """Read an `.npz` with `mu` and `sigma`, such as ours and pytorch-fid's.

        Raises:
            UserError: The file does not exist, or holds no statistics.
        """
        check_path("stats", path)
        path = Path(path)
        if not path.is_file():
            raise UserError(f"{path}: no such file; expected an .npz with mu and sigma")
        try:
            with open_archive(path) as archive:
                check_npz(archive, unpacked_limit(path.stat().st_size))
            with np.load(path, allow_pickle=False) as data:
                if "mu" not in data or "sigma" not in data:
                    there = printable(", ".join(data.files) or "nothing")
                    raise UserError(f"{path}: holds {there}; expected mu and sigma")
                n = int(data["n"]) if "n" in data and data["n"].ndim == 0 else -1
                protocol = {}
                if "protocol" in data and data["protocol"].dtype.kind == "U":
                    protocol = json.loads(str(data["protocol"]))
                return cls(data["mu"], data["sigma"], n if n > 0 else None, protocol)
        except UserError:
            raise
        except Exception as error:  # a damaged archive fails in many ways
            raise UserError(f"{path}: not an .npz of statistics with mu and sigma") from error


class Moments:
    """Running count, mean and scatter matrix, in memory that does not grow with the images."""

    def __init__(self) -> None:
        self.n = 0
        self.mean = np.zeros(0)  # of another length once there are features
        self.scatter = np.zeros((0, 0))  # sum of outer products about the mean
        self._waiting: list[np.ndarray] = []

    @classmethod
    def of(cls, stats: Statistics) -> "Moments":
        """The moments that statistics were computed from.

        Raises:
            UserError: The number of images is unknown.
        """
        if stats.n is None:
            raise UserError("statistics without their number of images cannot be merged")
        moments = cls()
        moments.n, moments.mean = stats.n, stats.mean.copy()
        moments.scatter = stats.covariance * (stats.n - 1)
        return moments

    def update(self, features: np.ndarray) -> None:
        """Add features `(batch, dim)`."""
        features = np.array(features, np.float64)
        if features.ndim != 2:
            raise UserError(f"features of shape {features.shape}; expected (n, dim)")
        self._waiting.append(features)
        if sum(map(len, self._waiting)) >= GATHER:
            self._fold()

    def merge(self, other: "Moments") -> None:
        """Add another set (Chan, Golub & LeVeque 1979, eq. 2.1: the pairwise update)."""
        self._fold()
        other._fold()
        if other.n == 0:
            return
        if self.n == 0:
            self.n, self.mean, self.scatter = other.n, other.mean.copy(), other.scatter.copy()
            return
        total = self.n + other.n
        delta = other.mean - self.mean
        self.scatter = self.scatter + other.scatter
        self.scatter += np.outer(delta, delta * (self.n * other.n / total))
        self.mean = self.mean + delta * (other.n / total)
        self.n = total

    def statistics(self, protocol: Mapping[str, object] | None = None) -> Statistics:
        """The statistics of what was added so far.

        Raises:
            UserError: Fewer than two images.
        """
        self._fold()
        if self.n < 2:
            raise UserError(
                f"{self.n} image{'s' * (self.n != 1)}; a distance needs at least 2 on each side"
            )
        return Statistics(self.mean, self.scatter / (self.n - 1), self.n, dict(protocol or {}))

    def _fold(self) -> None:
        if not self._waiting:
            return
        rows = np.concatenate(self._waiting)
        self._waiting = []
        if not len(rows):
            return
        part = Moments()
        part.n = len(rows)
        part.mean = rows.mean(0)
        rows -= part.mean
        part.scatter = rows.T @ rows
        self.merge(part)


def check_comparable(a: Statistics, b: Statistics) -> None:
    """Refuse statistics of different extractors, weights or resize protocols, naming what differs.

    What a file does not state cannot be checked (pytorch-fid's files hold only numbers).

    Raises:
        UserError: The two cannot be compared.
    """
    check_same_features(a.dim, a.protocol, b.dim, b.protocol)


def check_same_features(
    dim_a: int, protocol_a: Mapping[str, object], dim_b: int, protocol_b: Mapping[str, object]
) -> None:
    """`check_comparable` for the numbers of features and the protocols of two sides.

    Raises:
        UserError: The two cannot be compared.
    """
    if dim_a != dim_b:
        raise UserError(
            f"statistics of {dim_a} and of {dim_b} features do not compare; extract both with the "
            "same extractor"
        )
    for key, words in (
        ("extractor", "the extractor"),
        ("weights_sha256", "the weights (sha256)"),
        ("resize", "the resize protocol"),
    ):
        if key in protocol_a and key in protocol_b and protocol_a[key] != protocol_b[key]:
            raise UserError(
                f"statistics do not compare: {words} is {protocol_a[key]!r} in one and "
                f"{protocol_b[key]!r} in the other; extract both with the same"
            )


def cached_path(
    extractor: FeatureExtractor, fingerprint: str, cache_dir: str | Path | None = None
) -> Path:
    """The file in which the statistics of a source under an extractor are kept."""
    key = hashlib.sha256(f"{fingerprint} {extractor.fingerprint}".encode()).hexdigest()
    return (
        cache_folder(cache_dir)
        / "statistics"
        / f"{extractor.name}-{extractor.resize}-{key[:20]}.npz"
    )
