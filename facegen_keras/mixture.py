"""A mixture of Gaussians as a prior of latents: fitted to codes, and reached from N(0, I).

Where a VAE has little noise in its pixels, the codes of its photos all together are no longer
N(0, I), and latents from N(0, I) land where the decoder saw nothing. A density that is fitted to
the codes after training mends that (Ghosh et al. 2020, https://arxiv.org/abs/1903.12436).

Latents are still drawn from N(0, I), one per seed, and `Mixture.codes` maps them. It picks no
component by lot: it follows a flow, as smooth as the mixture itself, so that a walk between two
latents is a walk between two codes, all of them as likely as any sample, whichever components they
belong to.
"""

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from facegen_keras.errors import UserError, check_whole
from facegen_keras.inference import in_chunks

STEPS = 16  # of the flow: its error is then 0.2 % of the spread of the codes, on average
ROWS = 64  # latents mapped at a time: bounds the memory
LLOYD_STEPS = 10  # k-means only has to begin well
EM_STEPS = 100  # at most
TOLERANCE = 0.01  # nats per code: EM ends when a step gains less
PATIENCE = 2.0  # seconds of silence before a long fit shows its progress
TINY = 1e-6  # added to the variance of all codes: a latent dimension may be the same for all
NEGLIGIBLE = 1e-9  # a smaller share of a code in a component is left out of its covariance


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians.

    Attributes:
        weights: Float32 `(components,)`, of sum 1.
        means: Float32 `(components, dim)`.
        cholesky: Float32 `(components, dim, dim)`: lower triangles L with covariances L Lᵀ.
    """

    weights: np.ndarray
    means: np.ndarray
    cholesky: np.ndarray

    @property
    def components(self) -> int:
        """Number of Gaussians."""
        return len(self.weights)

    @property
    def dim(self) -> int:
        """Length of a code."""
        return self.means.shape[1]

    def log_density(self, codes: np.ndarray) -> np.ndarray:
        """The logarithm of the density at codes `(n, dim)`, in nats: float64 `(n,)`."""
        return _log_sum(self.log_joint(codes))

    def log_joint(self, codes: np.ndarray) -> np.ndarray:
        """The logarithms of weight times density of each component: float64 `(n, components)`."""
        x = np.asarray(codes, "float64")
        constants = np.log(self.weights.astype("float64")) - 0.5 * self.dim * np.log(2 * np.pi)
        columns = []
        for constant, mean, lower in zip(constants, self.means, self.cholesky, strict=True):
            whitened = (x - mean) @ np.linalg.inv(lower.astype("float64")).T
            squares = np.einsum("nd,nd->n", whitened, whitened)
            columns.append(constant - np.log(np.diag(lower)).sum() - 0.5 * squares)
        return np.stack(columns, axis=1)

    def codes(self, latents: np.ndarray) -> np.ndarray:
        """Map latents from N(0, I) to codes from this mixture: float32 `(n, dim)`.

        A latent z moves from θ = 0 to π/2 along the flow that carries cos θ · z + sin θ · x from
        N(0, I) to the mixture of x (the probability flow of Song et al. 2021,
        https://arxiv.org/abs/2011.13456, with the interpolant of Albergo & Vanden-Eijnden 2023,
        https://arxiv.org/abs/2209.15571). At every θ the latents are distributed as a mixture, with
        means sin θ · μ and covariances cos² θ · I + sin² θ · Σ, and their velocity is the mean of
        the velocities of the components, weighted by their responsibilities. Within one component
        the flow is the straight map μ + Σ^½ z, and a step is exact.

        A row does not depend on the others.

        Args:
            latents: `(n, dim)`.
        """
        return in_chunks(self.flow, np.asarray(latents, "float32"), ROWS)

    def flow(self, x: Any, xp: Any = np) -> Any:
        """`codes` of latents `(n, dim)` all at once, by the midpoint rule.

        Args:
            x: Latents.
            xp: What computes: NumPy, or `keras.ops` for a graph.
        """
        angles = np.linspace(0, np.pi / 2, STEPS + 1, dtype="float32")
        for start, end in itertools.pairwise(angles):
            middle = (start + end) / 2
            halfway = x + self._way(x, start, start, middle, xp)
            x = x + self._way(halfway, middle, start, end, xp)
        return x

    def _way(self, x: Any, angle: float, start: float, end: float, xp: Any) -> Any:
        """How far x moves from one angle to another, if each component carries on as it would
        alone and the responsibilities stay those of x.

        Args:
            x: Where the flow is at `angle`, `(n, dim)`.
            angle: In radians, as the others.
            start: Where the way begins.
            end: Where it ends.
            xp: What computes.
        """
        variances, directions, means = self._axes
        here, before, after = (
            np.cos(each) ** 2 + np.sin(each) ** 2 * variances for each in (angle, start, end)
        )
        along = xp.reshape(xp.matmul(x, directions), (-1, *variances.shape))
        offsets = along - np.sin(angle) * means
        squares = xp.einsum("nkd,nkd,kd->nk", offsets, offsets, 1 / here)
        share = _shares(np.log(self.weights) - 0.5 * (np.log(here).sum(1) + squares), xp)
        offsets = offsets * (np.sqrt(after / here) - np.sqrt(before / here)) * share[:, :, None]
        shift = (np.sin(end) - np.sin(start)) * xp.matmul(share, self.means)
        return xp.matmul(xp.reshape(offsets, (-1, directions.shape[1])), directions.T) + shift

    @cached_property
    def _axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The principal axes of the components.

        Returns:
            Variances along them `(components, dim)`; the axes side by side, in columns
            `(dim, components * dim)`; the means along them `(components, dim)`.
        """
        lower = self.cholesky.astype("float64")
        variances, directions = np.linalg.eigh(lower @ lower.swapaxes(1, 2))
        means = np.einsum("kd,kde->ke", self.means, directions)
        joined = np.concatenate(list(directions), axis=1)
        return variances.astype("float32"), joined.astype("float32"), means.astype("float32")


def fit_mixture(codes: np.ndarray, components: int, seed: int = 0) -> Mixture:
    """Fit a mixture of Gaussians with full covariances, by expectation maximisation.

    It begins at the clusters of k-means, whose centres are drawn as in k-means++ (Arthur &
    Vassilvitskii 2007). Each covariance is drawn towards that of all codes, which counts as many
    codes as a code has numbers: components of few codes stay broad. Arithmetic is float64, and the
    same codes and seed give the same mixture. A fit that takes longer than two seconds shows its
    progress.

    Args:
        codes: `(n, dim)`.
        components: Number of Gaussians.
        seed: Of the first centres.

    Raises:
        UserError: There are fewer than two codes per component, or a code is not finite.
    """
    from tqdm.auto import tqdm  # who only draws faces does without

    x = np.asarray(codes, "float64")
    check_enough(len(x), components)
    if not np.isfinite(x).all():
        raise UserError("a mixture of codes that are not finite numbers: has the training broken?")
    nearest = _clusters(x, components, np.random.default_rng(seed))
    share = np.eye(components)[nearest]
    whole = np.atleast_2d(np.cov(x.T, bias=True)) + TINY * np.eye(x.shape[1])
    before = -np.inf
    steps = range(EM_STEPS)
    for _ in tqdm(steps, "fitting the prior", unit="step", delay=PATIENCE, leave=False):
        mixture = _maximise(x, share, whole)
        joint = mixture.log_joint(x)
        share, likelihood = _shares(joint), _log_sum(joint).mean()
        if likelihood - before < TOLERANCE:
            break
        before = likelihood
    return mixture


def check_enough(codes: int, components: int) -> None:
    """Refuse a mixture of more components than there are codes for.

    Raises:
        UserError: There are fewer than two codes per component, or no component.
    """
    check_whole("components", components)
    if codes < 2 * components:
        raise UserError(
            f"a mixture of {components} Gaussians for {codes} codes: give at least "
            f"{2 * components} photos, or fewer components"
        )


def _maximise(x: np.ndarray, share: np.ndarray, whole: np.ndarray) -> Mixture:
    """The mixture that fits codes best whose components are known.

    Args:
        x: Codes, `(n, dim)`.
        share: Of each code in each component, `(n, components)`.
        whole: The covariance of all codes, towards which the others are drawn.
    """
    dim = x.shape[1]
    counts = share.sum(0)
    means, triangles = [], []
    for k, count in enumerate(counts):
        mine = share[:, k] > NEGLIGIBLE
        weights, own = share[mine, k], x[mine]
        mean = weights @ own / max(count, NEGLIGIBLE)
        offsets = own - mean
        scatter = (weights[:, None] * offsets).T @ offsets
        triangles.append(np.linalg.cholesky((scatter + dim * whole) / (count + dim)))
        means.append(mean)
    weights = np.maximum(counts, NEGLIGIBLE) / np.maximum(counts, NEGLIGIBLE).sum()
    return Mixture(*(np.asarray(part, "float32") for part in (weights, means, triangles)))


def _clusters(x: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """The cluster of each code, `(n,)`, by k-means from centres that are far apart."""
    centres = x[[random.integers(len(x))]]  # a copy
    while len(centres) < count:
        distance = _squared_distances(x, centres).min(1)
        total = distance.sum()
        odds = distance / total if total else None  # all codes are the same
        centres = np.concatenate([centres, x[[random.choice(len(x), p=odds)]]])
    for _ in range(LLOYD_STEPS):
        nearest = _squared_distances(x, centres).argmin(1)
        for k in range(count):
            if (nearest == k).any():
                centres[k] = x[nearest == k].mean(0)
    return _squared_distances(x, centres).argmin(1)


def _squared_distances(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """`(n, centres)`, never negative."""
    products = x @ centres.T
    squares = (x**2).sum(1)[:, None] - 2 * products + (centres**2).sum(1)
    return np.maximum(squares, 0.0)


def _log_sum(joint: np.ndarray) -> np.ndarray:
    """The logarithms of the sums of exponentials over the last axis."""
    largest = joint.max(-1)
    return largest + np.log(np.exp(joint - largest[:, None]).sum(-1))


def _shares(joint: Any, xp: Any = np) -> Any:
    """Responsibilities: of sum 1 over the last axis, from log-densities with their weights."""
    odds = xp.exp(joint - xp.max(joint, axis=-1, keepdims=True))
    return odds / xp.sum(odds, axis=-1, keepdims=True)
