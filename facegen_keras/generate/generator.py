"""A trained generator: faces of seeds and latents, and walks between them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypedDict, Unpack

import numpy as np

from facegen_keras.errors import UserError, check_several
from facegen_keras.generate.walks import interpolate, walk
from facegen_keras.inference import images_per_pass, in_chunks, infer, latents, to_uint8
from facegen_keras.mixture import Mixture

if TYPE_CHECKING:
    import keras


class StyleOptions(TypedDict, total=False):
    """How a StyleGAN2 draws a face; the other families have no such options.

    Attributes:
        truncation_psi: Pull w towards its average: 1 leaves w unchanged.
        truncation_cutoff: Truncate only this many of the first layers; None: all of them.
        noise_mode: "const", "random" or "none".
    """

    truncation_psi: float
    truncation_cutoff: int | None
    noise_mode: str


class SamplingOptions(StyleOptions, total=False):
    """Those of `StyleOptions`, and the noise of each image.

    Attributes:
        noise_seeds: One per image, which makes the noise mode "random" repeatable.
    """

    noise_seeds: Sequence[int] | None


class WalkOptions(TypedDict, total=False):
    """What a StyleGAN2 offers between two faces; the other families have no such options.

    Attributes:
        truncation_psi: As in `StyleOptions`, of both faces.
        layers: Layers whose style moves; None: all of them.
    """

    truncation_psi: float
    layers: Iterable[int] | None


class Generator:
    """A generator and what is known about it.

    Attributes:
        model: The Keras model, `(batch, latent_dim)` to `(batch, height, width, 3)`.
        family: "vae", "dcgan", "combined", "stylegan2", or "unknown".
        resolution: Side of an image, in pixels.
        latent_dim: Length of the latent z.
        spaces: Latent spaces that a walk can go through. The last one is the default.
        layers: Number of layers that take a style; 0 where the family has no styles.
        metadata: What the export wrote into the file; empty for a file of another program.
        path: The file it was read from, or None.
        prior: Where `codes` leads latents; None: nowhere, they are the codes. It may be set to
            None, for faces from N(0, I).
    """

    spaces: ClassVar[tuple[str, ...]] = ("z",)
    layers: int = 0

    def __init__(
        self,
        model: "keras.Model",
        family: str = "unknown",
        metadata: dict | None = None,
        path: Path | None = None,
    ) -> None:
        self.model = model
        latent_dim = int(self._latent_shape()[-1])
        self._describe(latent_dim, int(model.output_shape[1]), family, metadata, path)

    def _describe(
        self,
        latent_dim: int,
        resolution: int,
        family: str,
        metadata: dict | None,
        path: Path | None,
    ) -> None:
        self.family = family
        self.metadata = metadata or {}
        self.path = path
        self.prior: Mixture | None = None
        self.latent_dim = latent_dim
        self.resolution = resolution
        self.chunk = images_per_pass(resolution)  # rows of every pass, see `in_chunks`

    def __call__(self, z: np.ndarray, **options: Unpack[SamplingOptions]) -> np.ndarray:
        """Images of latents: float32 `(n, height, width, 3)`, about [-1, 1], not clipped.

        The network gets them as they are, such as the codes of photos. Those that are drawn from
        N(0, I) go through `codes` first where there is a `prior`.

        Args:
            z: Latents `(n, latent_dim)`, n at least 1.
            **options: What the family offers at call time; the plain families offer nothing.

        Raises:
            UserError: The latents have another shape, or an option is unknown.
        """
        return in_chunks(
            lambda part: self.forward(part, **options), self._checked_latents(z), self.chunk
        )

    def sample(
        self, seeds: Iterable[int] = range(16), **options: Unpack[SamplingOptions]
    ) -> np.ndarray:
        """Faces of seeds: uint8 `(n, height, width, 3)`.

        A seed always gives the same face, whatever other seeds are asked for in the same call.

        Args:
            seeds: One per face, from 0 to 2**32 - 1.
            **options: As in `__call__`.

        Raises:
            UserError: A seed is invalid, or an option is unknown.
        """
        return to_uint8(self(self.codes(latents(seeds, self.latent_dim)), **options))

    def codes(self, z: np.ndarray) -> np.ndarray:
        """What the network takes for latents that are drawn from N(0, I): `(n, latent_dim)`.

        The same latents where there is no `prior`, else their codes, see `Mixture.codes`: latents
        that are close to each other get codes that are. A walk between two latents thus leads
        through codes that are as likely as those of any seed, also where its ends belong to
        different components.

        Args:
            z: Latents `(n, latent_dim)`, n at least 1.

        Raises:
            UserError: The latents have another shape.
        """
        z = self._checked_latents(z)
        return z if self.prior is None else self.prior.codes(z)

    def interpolate(
        self,
        seeds: Sequence[int],
        frames: int = 48,
        loop: bool = True,
        space: str | None = None,
        **options: Unpack[SamplingOptions],
    ) -> np.ndarray:
        """The frames of a walk through the faces of seeds: uint8 `(frames, height, width, 3)`.

        The walk is spherical in z, and leads through `codes`. In w, which only a StyleGAN2 has, it
        is straight.

        Args:
            seeds: Two or more faces to visit.
            frames: Total number of images, at least one per seed.
            loop: Return from the last face to the first, which is not shown twice.
            space: One of `spaces`; by default the last of them.
            **options: As in `__call__`.

        Raises:
            UserError: Fewer than two seeds, fewer frames than seeds, a seed is invalid, or the
                family does not have this space or option.
        """
        self._check_space(space)
        z = walk(latents(seeds, self.latent_dim), frames, loop)
        return to_uint8(self(self.codes(z), **options))

    def walk_between(
        self,
        seed: int,
        other: int,
        positions: Iterable[float],
        **options: Unpack[WalkOptions],
    ) -> np.ndarray:
        """Faces between the faces of two seeds, in the family's default space.

        Args:
            seed: Of the first face.
            other: Of the last face.
            positions: From 0, the first face, to 1, the last.
            **options: What the family offers here; the plain families offer nothing.

        Returns:
            uint8 `(positions, height, width, 3)`.

        Raises:
            UserError: A seed is invalid, or an option is unknown.
        """
        check_several("positions", positions)
        start, end = latents([seed, other], self.latent_dim)
        t = np.asarray(list(positions), "float32")
        self._refuse(options)
        return to_uint8(self(self.codes(interpolate(start, end, t))))

    def forward(self, z: np.ndarray, **options: Unpack[SamplingOptions]) -> np.ndarray:
        """One pass in inference mode over exactly `chunk` latents."""
        self._refuse(options)
        return infer(self.model, z)

    def _refuse(self, options: Mapping[str, object]) -> None:
        if options:
            raise UserError(f"{', '.join(options)}: not an option of a {self.family} generator")

    def _check_space(self, space: str | None) -> str:
        """The space to walk in, `spaces[-1]` for None."""
        if space is not None and space not in self.spaces:
            raise UserError(
                f"space {space!r}: a {self.family} generator has {' and '.join(self.spaces)}"
            )
        return space or self.spaces[-1]

    def _checked_latents(self, z: np.ndarray) -> np.ndarray:
        try:
            z = np.asarray(z, dtype="float32")
        except (TypeError, ValueError):
            raise UserError(
                f"latents of type {type(z).__name__}: expected numbers (n, {self.latent_dim})"
            ) from None
        if z.ndim != 2 or z.shape[1] != self.latent_dim or not len(z):
            raise UserError(f"latents of shape {z.shape}: expected (n, {self.latent_dim}), n >= 1")
        return z

    def _latent_shape(self) -> tuple:
        shape = self.model.input_shape
        return shape[0] if isinstance(shape, list) else shape


def interpolate_seeds(
    generator: Generator,
    seeds: Sequence[int],
    frames: int = 48,
    loop: bool = True,
    **options: Unpack[SamplingOptions],
) -> np.ndarray:
    """A spherical walk in z through the faces of seeds, for every family.

    The arguments, the result and the errors are those of `Generator.interpolate`.
    """
    return generator.interpolate(seeds, frames, loop, space="z", **options)
