"""Projection: the w whose face is closest to a photo (Karras et al. 2020, appendix D)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from keras import ops
from tqdm.auto import tqdm

from facegen_keras import backend
from facegen_keras.engine import autodiff
from facegen_keras.errors import UserError
from facegen_keras.generate.stylegan2 import StyleGAN2Generator
from facegen_keras.inference import to_network_range, to_uint8

# Appendix D of the paper: rate 0.1, raised over the first 5 % and lowered over the last 25 % of the
# steps; noise on w that fades out over the first 75 %.
LEARNING_RATE, RAMP_UP, RAMP_DOWN = 0.1, 0.05, 0.25
NOISE, NOISE_PART = 0.05, 0.75
W_SAMPLES = 10_000  # for the average and the spread of w; same appendix
BETAS, EPSILON = (0.9, 0.999), 1e-8


@dataclass(frozen=True)
class Projection:
    """A photo found in the latent space.

    Attributes:
        styles: float32 (1, layers, w_dim).
        image: uint8 (height, width, 3), the face found.
        start: uint8 (height, width, 3), the average face it started from.
        losses: One per step.
        frames: uint8 (n, height, width, 3), on the way.
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
    features: Callable[[Any], Any] | None = None,
    feature_weight: float = 1.0,
    frames: int = 48,
    seed: int = 0,
    progress: bool = True,
) -> Projection:
    """Find the w of a photo by optimisation.

    The loss compares pixels at several scales, halving the image down to 8×8, so that it sees
    shapes before it sees hair; features may be added.

    Args:
        generator: A StyleGAN2 generator.
        photo: uint8 (height, width, 3) of the generator's resolution.
        steps: Steps of Adam.
        space: "w": one w for all layers, which stays a plausible face; "w+": one per layer, closer
            to the photo.
        features: From a tensor (1, height, width, 3) in [-1, 1] to features, differentiable; their
            squared distance is added.
        feature_weight: Weight of that distance.
        frames: Pictures kept of the way.
        seed: Of the noise on w.
        progress: Show a bar.

    Raises:
        UserError: The photo has another shape, or an option has an impossible value.
    """
    size = generator.resolution
    photo = np.asarray(photo)
    if photo.shape != (size, size, 3) or photo.dtype != np.uint8:
        raise UserError(
            f"photo of shape {photo.shape}, {photo.dtype}: expected uint8 ({size}, {size}, 3)"
        )
    if space not in ("w", "w+") or steps < 1:
        raise UserError(f"space {space!r}, steps {steps}: expected w or w+, and at least 1 step")
    network = generator.network("const")
    target = to_network_range(photo[None])
    wanted = features(target) if features else None

    def loss(styles: Any) -> tuple[Any, Any]:
        image = network(styles, training=False)
        total = distance(image, target)
        if features:
            total = total + feature_weight * ops.sum(ops.square(features(image) - wanted))
        return total, image

    step_of = backend.compiled(lambda styles: autodiff.input_gradient(loss, styles))
    random = np.random.RandomState(seed)
    w = generator.mapping(random.randn(W_SAMPLES, generator.latent_dim))
    spread = float(np.sqrt(np.mean(np.sum((w - generator.w_avg) ** 2, axis=1))))
    layers = generator.layers if space == "w+" else 1
    value = np.tile(w.mean(axis=0), (1, layers, 1)).astype("float32")
    start = value
    adam, losses, kept = _Adam(value.shape), [], []
    keep = set(np.linspace(0, steps - 1, min(frames, steps)).astype(int).tolist())
    bar = tqdm(range(steps), desc="projecting", disable=not progress)
    for step in bar:
        t = step / steps
        strength = spread * NOISE * max(0.0, 1.0 - t / NOISE_PART) ** 2
        noisy = value + strength * random.randn(*value.shape).astype("float32")
        styles = np.broadcast_to(noisy, (1, generator.layers, generator.w_dim))
        current, image, gradient = step_of(ops.convert_to_tensor(styles.astype("float32")))
        gradient = ops.convert_to_numpy(gradient)
        if layers == 1:
            gradient = gradient.sum(axis=1, keepdims=True)
        value = value - adam.step(gradient, _rate(t))
        losses.append(float(ops.convert_to_numpy(current)))
        if step in keep:
            kept.append(to_uint8(ops.convert_to_numpy(image))[0])
        if step % 10 == 0:
            bar.set_postfix(loss=f"{losses[-1]:.4f}")
    styles = np.broadcast_to(value, (1, generator.layers, generator.w_dim)).astype("float32")
    image, first = (
        to_uint8(generator.synthesis(np.broadcast_to(v, styles.shape)))[0] for v in (value, start)
    )
    return Projection(styles, image, first, losses, np.stack([*kept, image]))


def distance(images: Any, target: Any) -> Any:
    """Mean squared difference of pixels, averaged over scales down to 8×8: a scalar."""
    terms = []
    while True:
        terms.append(ops.mean(ops.square(images - target)))
        if images.shape[1] <= 8:
            return sum(terms) / len(terms)
        images, target = (
            ops.average_pool(x, 2, 2, "valid", data_format="channels_last")
            for x in (images, target)
        )


def _rate(t: float) -> float:
    """The learning rate at a part of the way."""
    down = min(1.0, (1.0 - t) / RAMP_DOWN)
    down = 0.5 - 0.5 * np.cos(down * np.pi)
    return LEARNING_RATE * down * min(1.0, t / RAMP_UP)


class _Adam:
    """Adam on one NumPy array (Kingma & Ba 2015, algorithm 1)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.mean, self.square, self.count = np.zeros(shape), np.zeros(shape), 0

    def step(self, gradient: np.ndarray, rate: float) -> np.ndarray:
        """What to subtract."""
        self.count += 1
        self.mean += (1 - BETAS[0]) * (gradient - self.mean)
        self.square += (1 - BETAS[1]) * (gradient**2 - self.square)
        mean = self.mean / (1 - BETAS[0] ** self.count)
        square = self.square / (1 - BETAS[1] ** self.count)
        return (rate * mean / (np.sqrt(square) + EPSILON)).astype("float32")
