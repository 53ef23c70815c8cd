"""A GAN small enough to be watched: two dense networks and eight Gaussians on a ring.

The ring is that of Metz et al. 2017 (Unrolled Generative Adversarial Networks,
https://arxiv.org/abs/1611.02163), the game that of `DCGAN.update`: only the pictures are gone. A
point of the plane stands for a photo.
"""

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from facegen_keras import losses
from facegen_keras.backend.types import Losses, Tensor
from facegen_keras.engine import autodiff
from facegen_keras.engine.trainer import Trainer
from facegen_keras.inference import infer

GAUSSIANS, RADIUS, STDDEV = 8, 2.0, 0.05
NEAR = 0.3  # from the centre of a Gaussian: six standard deviations
LEAST = 0.02  # share of the samples with which a Gaussian counts as reached; an even one: 0.125
LATENT_DIM = 2
WIDTH = 32  # of both hidden layers of both networks
BATCH = 128
EDGE, CELLS = 3.2, 48  # the square on which the discriminator is asked, and its cells

ANGLES = 2 * np.pi * np.arange(GAUSSIANS) / GAUSSIANS
CENTRES = RADIUS * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)


@dataclass(frozen=True)
class Snapshot:
    """The game after some steps.

    Attributes:
        step: How many.
        samples: Points of the generator, always from the same latents, `(n, 2)`.
        pull: Where the generator's loss falls at each of them, `(n, 2)`: minus its gradient.
        level: What the discriminator says of a point, `(CELLS, CELLS)` in [0, 1], over the square
            from -EDGE to EDGE; the first axis is y.
    """

    step: int
    samples: np.ndarray
    pull: np.ndarray
    level: np.ndarray

    @property
    def near(self) -> float:
        """Fraction of the samples near the centre of a Gaussian."""
        return float((self._distances.min(axis=1) < NEAR).mean())

    @property
    def reached(self) -> int:
        """Number of Gaussians with at least `LEAST` of the samples near their centre."""
        shares = (self._distances < NEAR).mean(axis=0)
        return int((shares >= LEAST).sum())

    @property
    def _distances(self) -> np.ndarray:
        return np.linalg.norm(self.samples[:, None] - CENTRES, axis=-1)


def draw_ring(count: int, random: np.random.Generator) -> np.ndarray:
    """Points of the eight Gaussians, float32 `(count, 2)`."""
    centres = CENTRES[random.integers(GAUSSIANS, size=count)]
    return (centres + STDDEV * random.normal(size=centres.shape)).astype("float32")


def _dense(name: str, inputs: int, outputs: int) -> keras.Model:
    x = start = keras.Input((inputs,))
    for _ in range(2):
        x = layers.Dense(WIDTH, "relu")(x)
    return keras.Model(start, layers.Dense(outputs)(x), name=name)


class RingGAN(Trainer):
    """The game in the plane.

    The initial weights come from Keras's global stream: see `keras.utils.set_random_seed`.

    Args:
        r1_gamma: Weight of the R1 penalty (Mescheder et al. 2018, eq. 9); 0 for none.
        seed: Of everything else that is random.
    """

    family = "ring"
    loss_names = ("discriminator_loss", "generator_loss", "r1")

    def __init__(self, r1_gamma: float = 0.0, seed: int = 0) -> None:
        super().__init__("ring", seed, scale_losses=False)
        self.r1_gamma = r1_gamma
        self.generator = _dense("generator", LATENT_DIM, 2)
        self.discriminator = _dense("discriminator", 2, 1)
        self.random = np.random.default_rng(seed)
        self.latents = self.random.normal(size=(256, LATENT_DIM)).astype("float32")
        self.built = True

    def networks(self) -> dict[str, keras.Model]:
        return {"generator": self.generator, "discriminator": self.discriminator}

    def play(self, steps: int, every: int) -> list[Snapshot]:
        """Train, and look at the start and every so many steps."""
        snapshots = [self.snapshot()]
        for step in range(1, steps + 1):
            self.train_on_batch(draw_ring(BATCH, self.random).reshape(BATCH, 1, 1, 2))
            if step % every == 0:
                snapshots.append(self.snapshot())
        return snapshots

    def snapshot(self) -> Snapshot:
        """What the two networks do now."""
        samples = infer(self.generator, self.latents)
        line = np.linspace(-EDGE, EDGE, CELLS)
        square = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2).astype("float32")
        level = 1 / (1 + np.exp(-infer(self.discriminator, square)))
        _, _, slope = autodiff.input_gradient(self._loss_of_each, ops.convert_to_tensor(samples))
        pull = -ops.convert_to_numpy(slope)
        return Snapshot(self.steps, samples, pull, level.reshape(CELLS, CELLS))

    def update(self, images: Tensor, phase: str) -> Losses:
        """One step of both players, from the same fakes."""
        z = keras.random.normal((images.shape[0], LATENT_DIM), seed=self.seed_generator)
        fakes, pull_to_generator = autodiff.pullback(
            lambda: self.generator(z, training=True), self.generator.trainable_variables
        )
        _, report, grads = autodiff.gradients(
            lambda: self._discriminator_loss(images, fakes),
            self.discriminator.trainable_variables,
        )
        self.apply_gradients("discriminator", grads)
        _, report["generator_loss"], slope = autodiff.input_gradient(self._generator_loss, fakes)
        self.apply_gradients("generator", pull_to_generator(slope))
        return report

    def _discriminator_loss(self, points: Tensor, fakes: Tensor) -> tuple[Tensor, Losses]:
        real = self.discriminator(points, training=True)
        fake = self.discriminator(fakes, training=True)
        loss = losses.discriminator_loss("non_saturating", real, fake)
        if not self.r1_gamma:
            return loss, {"discriminator_loss": loss}
        _, _, slope = autodiff.input_gradient(self._summed_logits, points, differentiable=True)
        r1 = ops.mean(losses.r1_penalty(slope))
        return loss + 0.5 * self.r1_gamma * r1, {"discriminator_loss": loss, "r1": r1}

    def _summed_logits(self, points: Tensor) -> tuple[Tensor, None]:
        """Their gradient at a point is the slope of the logit there."""
        return ops.sum(self.discriminator(points, training=True)), None

    def _generator_loss(self, fakes: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.discriminator(fakes, training=True)
        loss = losses.generator_loss("non_saturating", logits)
        return loss, loss

    def _loss_of_each(self, fakes: Tensor) -> tuple[Tensor, None]:
        """The generator's losses summed: the gradient at a sample is then that of its own."""
        return ops.sum(ops.softplus(-self.discriminator(fakes, training=False))), None

    def _images_of(self, data: Tensor) -> Tensor:
        """Points `(batch, 2)`, which need no scaling: a point is an image of one pixel."""
        points = data[0] if isinstance(data, tuple | list) else data
        return ops.reshape(ops.cast(points, "float32"), (self.batch_size, 2))
