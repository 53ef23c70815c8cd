"""Projection: the w whose face is closest to a photo (Karras et al. 2020, appendix D)."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from keras import ops
from tqdm.auto import tqdm

from facegen_keras import backend
from facegen_keras.backend.types import Tensor
from facegen_keras.engine import autodiff
from facegen_keras.errors import UserError
from facegen_keras.generate.stylegan2 import StyleGAN2Generator
from facegen_keras.generate.w_space import check_styled
from facegen_keras.inference import to_network_range, to_uint8

# Appendix D of the paper: rate 0.1, raised over the first 5 % and lowered over the last 25 % of the
# steps; noise on w that fades out over the first 75 %.
LEARNING_RATE, RAMP_UP, RAMP_DOWN = 0.1, 0.05, 0.25
NOISE, NOISE_UNTIL = 0.05, 0.75
W_SAMPLES = 10_000  # for the average and the spread of w; same appendix
BETAS, EPSILON = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class Projection:
    """A photo found in the latent space.

    Attributes:
        styles: float32 `(1, layers, w_dim)`.
        image: uint8 `(height, width, 3)`, the face found.
        start: uint8 `(height, width, 3)`, the average face that the search started from.
        losses: One per step.
        frames: uint8 `(n, height, width, 3)`, faces on the way, the last one is `image`.
    """

    styles: np.ndarray
    image: np.ndarray
    start: np.ndarray
    losses: list[float]
    frames: np.ndarray = field(repr=False)


def project(
    generator: StyleGAN2Generator,
    photo: np.ndarray,
    steps: int = 500,
    space: str = "w",
    features: Callable[[Tensor], Tensor] | None = None,
    feature_weight: float = 1.0,
    frames: int = 48,
    seed: int = 0,
    progress: bool = True,
    on_step: Callable[[int, float], None] | None = None,
) -> Projection:
    """Find the w of a photo by optimisation.

    The loss compares pixels at several scales, halving the image down to 8×8, so that it matches
    large shapes before details. A distance of features can be added.

    Args:
        generator: A StyleGAN2 generator.
        photo: uint8 `(height, width, 3)` of the generator's resolution.
        steps: Steps of Adam.
        space: "w": one w for all layers, which stays a plausible face; "w+": one per layer, closer
            to the photo.
        features: From a tensor `(1, height, width, 3)` in [-1, 1] to features, differentiable;
            their squared distance is added to the loss.
        feature_weight: Weight of that distance.
        frames: Number of faces kept on the way.
        seed: Of the noise on w.
        progress: Show a progress bar.
        on_step: Called after each step with the number of steps done and the loss.

    Raises:
        UserError: The generator is no StyleGAN2, the photo has another shape, or an option has an
            impossible value.
    """
    check_styled(generator)
    photo = np.asarray(photo)
    _check(photo, generator.resolution, space, steps)
    step_of = _loss_and_gradient(generator, to_network_range(photo[None]), features, feature_weight)
    shape = (1, generator.layers, generator.w_dim)
    random = np.random.RandomState(seed)
    average, spread = _average_w(generator, random)
    free_layers = generator.layers if space == "w+" else 1
    start = value = np.tile(average, (1, free_layers, 1)).astype("float32")
    adam, losses, kept = _Adam(value.shape), [], []
    keep = set(np.linspace(0, steps - 1, min(frames, steps)).astype(int).tolist())
    bar = tqdm(range(steps), desc="projecting", disable=not progress)
    for step in bar:
        t = step / steps
        strength = spread * NOISE * max(0.0, 1.0 - t / NOISE_UNTIL) ** 2
        noisy = value + strength * random.randn(*value.shape).astype("float32")
        loss, image, gradient = step_of(np.broadcast_to(noisy, shape).astype("float32"))
        if free_layers == 1:
            gradient = gradient.sum(axis=1, keepdims=True)
        value = value - adam.step(gradient, _rate(t))
        losses.append(loss)
        if on_step:
            on_step(step + 1, loss)
        if step in keep:
            kept.append(to_uint8(image)[0])
        if step % 10 == 0:
            bar.set_postfix(loss=f"{loss:.4f}")
    styles = np.broadcast_to(value, shape).astype("float32")
    found, first = (_face(generator, w) for w in (value, start))
    return Projection(styles, found, first, losses, np.stack([*kept, found]))


def distance(images: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of pixels, averaged over scales down to 8×8: a scalar.

    Args:
        images: A tensor `(batch, height, width, 3)`.
        target: A tensor of the same shape.
    """
    terms = []
    while True:
        terms.append(ops.mean(ops.square(images - target)))
        if images.shape[1] <= 8:
            return sum(terms) / len(terms)
        images, target = (
            ops.average_pool(x, 2, 2, "valid", data_format="channels_last")
            for x in (images, target)
        )


def _check(photo: np.ndarray, size: int, space: str, steps: int) -> None:
    if photo.shape != (size, size, 3) or photo.dtype != np.uint8:
        raise UserError(
            f"photo of shape {photo.shape}, {photo.dtype}: expected uint8 ({size}, {size}, 3)"
        )
    if space not in ("w", "w+") or steps < 1:
        raise UserError(f"space {space!r}, steps {steps}: expected w or w+, and at least 1 step")


def _average_w(
    generator: StyleGAN2Generator, random: np.random.RandomState
) -> tuple[np.ndarray, float]:
    """The mean of w, `(w_dim,)`, and how far w is from its average."""
    w = generator.mapping(random.randn(W_SAMPLES, generator.latent_dim))
    spread = float(np.sqrt(np.mean(np.sum((w - generator.w_avg) ** 2, axis=1))))
    return w.mean(axis=0), spread


def _face(generator: StyleGAN2Generator, w: np.ndarray) -> np.ndarray:
    styles = np.broadcast_to(w, (1, generator.layers, generator.w_dim))
    return to_uint8(generator.synthesis(styles))[0]


def _loss_and_gradient(
    generator: StyleGAN2Generator,
    target: Tensor,
    features: Callable[[Tensor], Tensor] | None,
    feature_weight: float,
) -> Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray]]:
    """A function from styles `(1, layers, w_dim)` to the loss, the image and the gradient."""
    network = generator.network("const")
    wanted = features(target) if features else None

    def loss(styles: Tensor) -> tuple[Tensor, Tensor]:
        image = network(styles, training=False)
        total = distance(image, target)
        if features:
            total = total + feature_weight * ops.sum(ops.square(features(image) - wanted))
        return total, image

    compiled = backend.compiled(lambda styles: autodiff.input_gradient(loss, styles))

    def step_of(styles: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        value, image, gradient = map(ops.convert_to_numpy, compiled(ops.convert_to_tensor(styles)))
        return float(value), image, gradient

    return step_of


def _rate(t: float) -> float:
    """The learning rate after the fraction t of the steps."""
    down = min(1.0, (1.0 - t) / RAMP_DOWN)
    down = 0.5 - 0.5 * np.cos(down * np.pi)
    return LEARNING_RATE * down * min(1.0, t / RAMP_UP)


class _Adam:
    """Adam on one NumPy array (Kingma & Ba 2015, algorithm 1)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.mean, self.square, self.count = np.zeros(shape), np.zeros(shape), 0

    def step(self, gradient: np.ndarray, rate: float) -> np.ndarray:
        """The update to subtract, float32."""
        self.count += 1
        self.mean += (1 - BETAS[0]) * (gradient - self.mean)
        self.square += (1 - BETAS[1]) * (gradient**2 - self.square)
        mean = self.mean / (1 - BETAS[0] ** self.count)
        square = self.square / (1 - BETAS[1] ** self.count)
        return (rate * mean / (np.sqrt(square) + EPSILON)).astype("float32")
