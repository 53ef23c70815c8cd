"""A trained StyleGAN2 generator: truncation, noise and styles are chosen when it is called."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Unpack

import keras
import numpy as np
from keras import ops

from facegen_keras.errors import UserError, check_several, check_whole
from facegen_keras.generate.generator import Generator, SamplingOptions
from facegen_keras.generate.walks import straight_walk
from facegen_keras.inference import in_chunks, infer, latents, to_uint8
from facegen_keras.models.stylegan2.modulated_layers import StyledConv, TruncatedStyles

# What a caller may ask for. The networks themselves have other modes: "random" is noise that this
# class draws and passes to a network built with the mode "input".
SAMPLING_NOISE = ("const", "random", "none")
_LATENTS_A_PASS = 256  # of the mapping network, which is cheap


class StyleGAN2Generator(Generator):
    """A StyleGAN2 generator with access to its parts: `mapping`, `w_avg`, `styles`, `synthesis`.

    Besides those of `Generator`:

    Attributes:
        w_dim: Length of w.
        layers: Number of layers of the synthesis network that take a style w.
        w_avg: Average of w, float32 `(w_dim,)`.

    Raises:
        UserError: The model is not a StyleGAN2 generator.
    """

    spaces: ClassVar[tuple[str, ...]] = ("z", "w")

    def __init__(
        self,
        model: keras.Model,
        family: str = "stylegan2",
        metadata: dict | None = None,
        path: Path | None = None,
    ) -> None:
        super().__init__(model, family, metadata, path)
        names = [layer.name for layer in model.layers]
        if not {"mapping", "truncation", "synthesis"} <= set(names):
            raise UserError(
                f"{path or 'this model'}: not a StyleGAN2 generator (it has "
                f"{', '.join(names[:6])}); expected the parts mapping, truncation and synthesis"
            )
        self._mapping = model.get_layer("mapping")
        truncation: TruncatedStyles = model.get_layer("truncation")
        self._networks = {"const": model.get_layer("synthesis")}
        self.w_avg = ops.convert_to_numpy(truncation.w_avg).astype("float32")
        self.w_dim = len(self.w_avg)
        self.layers = truncation.layers

    def __call__(
        self,
        z: np.ndarray,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        noise_mode: str = "const",
        noise_seeds: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Images of latents: float32 `(n, height, width, 3)`, about [-1, 1], not clipped.

        Args:
            z: Latents `(n, latent_dim)`, n at least 1.
            truncation_psi: Pull w towards its average: 1 leaves w unchanged, 0 gives the average
                face.
            truncation_cutoff: Truncate only this many of the first layers; None: all of them.
            noise_mode: "const": the noise images stored with the weights; "random": new ones;
                "none".
            noise_seeds: One per image, which makes "random" repeatable.

        Raises:
            UserError: The latents have another shape, or an option has an impossible value.
        """
        w = self.mapping(z)
        return self.synthesis(
            self.styles(w, truncation_psi, truncation_cutoff), noise_mode, noise_seeds
        )

    def sample(
        self, seeds: Iterable[int] = range(16), **options: Unpack[SamplingOptions]
    ) -> np.ndarray:
        """Faces of seeds: uint8 `(n, height, width, 3)`.

        A seed always gives the same face, whatever other seeds are asked for in the same call.

        Args:
            seeds: One per face; of the latent, and of the noise with noise_mode="random".
            **options: As in `__call__`.

        Raises:
            UserError: A seed is invalid, or an option has an impossible value.
        """
        check_several("seeds", seeds)
        seeds = list(seeds)
        options.setdefault("noise_seeds", seeds)
        return super().sample(seeds, **options)

    def interpolate(
        self,
        seeds: Sequence[int],
        frames: int = 48,
        loop: bool = True,
        space: str | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        noise_mode: str = "const",
        noise_seeds: Sequence[int] | None = None,
    ) -> np.ndarray:
        """The frames of a walk through the faces of seeds: uint8 `(frames, height, width, 3)`.

        The walk is straight in w, where it is smoother than in z (Karras et al. 2019, section 4.1).

        Args:
            seeds: Two or more faces to visit.
            frames: Total number of images, at least one per seed.
            loop: Return from the last face to the first, which is not shown twice.
            space: "w" (the default), or "z" for the spherical walk of the other families.
            truncation_psi: As in `__call__`.
            truncation_cutoff: As in `__call__`.
            noise_mode: As in `__call__`.
            noise_seeds: As in `__call__`, one per frame; in w by default one noise for all frames.

        Raises:
            UserError: Fewer than two seeds, fewer frames than seeds, or a seed, the space or an
                option is invalid.
        """
        if self._check_space(space) == "z":
            return super().interpolate(
                seeds,
                frames,
                loop,
                space,
                truncation_psi=truncation_psi,
                truncation_cutoff=truncation_cutoff,
                noise_mode=noise_mode,
                noise_seeds=noise_seeds,
            )
        w = straight_walk(self.mapping(latents(seeds, self.latent_dim)), frames, loop)
        if noise_seeds is None:  # one noise for the film, or it would flicker
            noise_seeds = [int(seeds[0])] * frames
        styles = self.styles(w, truncation_psi, truncation_cutoff)
        return to_uint8(self.synthesis(styles, noise_mode, noise_seeds))

    def walk_between(
        self,
        seed: int,
        other: int,
        positions: Iterable[float],
        truncation_psi: float = 1.0,
        layers: Iterable[int] | None = None,
    ) -> np.ndarray:
        """Faces between the faces of two seeds, on a straight line in w.

        Args:
            seed: Of the first face.
            other: Of the last face.
            positions: From 0, the first face, to 1, the last.
            truncation_psi: Of both ends.
            layers: Layers whose style moves; None: all. Some of them at position 1 mix styles.

        Returns:
            uint8 `(positions, height, width, 3)`.

        Raises:
            UserError: A seed is invalid, or an option has an impossible value.
        """
        check_several("positions", positions)
        w = self.mapping(latents([seed, other], self.latent_dim))
        start, end = self.styles(w, truncation_psi)
        t = np.asarray(list(positions), "float32")[:, None, None]
        styles = start + t * self.layer_mask(layers)[:, None] * (end - start)
        return to_uint8(self.synthesis(styles))

    def layer_mask(self, layers: Iterable[int] | None = None) -> np.ndarray:
        """float32 `(layers,)`: 1 for each of the given layers (None: all of them), else 0.

        Raises:
            UserError: A layer does not exist, or none is given.
        """
        layers = range(self.layers) if layers is None else layers
        check_several("layers", layers)
        chosen = list(layers)
        if not chosen or not all(layer in range(self.layers) for layer in chosen):
            raise UserError(f"layers {chosen}: expected some of 0 to {self.layers - 1}")
        mask = np.zeros(self.layers, "float32")
        mask[[int(layer) for layer in chosen]] = 1
        return mask

    def mapping(self, z: np.ndarray) -> np.ndarray:
        """W of latents, not truncated: `(n, latent_dim)` to float32 `(n, w_dim)`.

        Raises:
            UserError: The latents have another shape.
        """
        return in_chunks(
            lambda part: infer(self._mapping, part), self._checked_latents(z), _LATENTS_A_PASS
        )

    def styles(
        self, w: np.ndarray, truncation_psi: float = 1.0, truncation_cutoff: int | None = None
    ) -> np.ndarray:
        """One w per layer, truncated, float32 `(n, layers, w_dim)`.

        Args:
            w: `(n, w_dim)` or `(n, layers, w_dim)`.
            truncation_psi: As in `__call__`.
            truncation_cutoff: As in `__call__`.

        Raises:
            UserError: w has another shape, or an option has an impossible value.
        """
        cutoff = self.layers if truncation_cutoff is None else truncation_cutoff
        if cutoff not in range(self.layers + 1):
            raise UserError(f"truncation_cutoff {cutoff!r}: expected 0 to {self.layers} layers")
        if not _is_number(truncation_psi):
            raise UserError(f"truncation_psi {truncation_psi!r}: expected a number such as 0.7")
        w = np.asarray(w, dtype="float32")
        if w.ndim == 2:
            w = np.repeat(w[:, None], self.layers, axis=1)
        self._check_styles(w)
        psi = np.where(np.arange(self.layers) < cutoff, truncation_psi, 1.0)[:, None]
        return np.where(psi == 1.0, w, self.w_avg + psi * (w - self.w_avg)).astype("float32")

    def synthesis(
        self,
        styles: np.ndarray,
        noise_mode: str = "const",
        noise_seeds: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Images of styles: float32 `(n, height, width, 3)`, about [-1, 1], not clipped.

        Args:
            styles: `(n, layers, w_dim)`.
            noise_mode: As in `__call__`.
            noise_seeds: As in `__call__`.

        Raises:
            UserError: The styles have another shape, or the noise mode is unknown.
        """
        styles = np.asarray(styles, dtype="float32")
        self._check_styles(styles)
        if noise_mode not in SAMPLING_NOISE:
            raise UserError(
                f"noise_mode {noise_mode!r}: expected one of {', '.join(SAMPLING_NOISE)}"
            )
        if noise_mode != "random":
            network = self.network(noise_mode)
            return in_chunks(lambda part: infer(network, part), styles, self.chunk)
        if noise_seeds is not None:
            check_several("noise_seeds", noise_seeds)
            for seed in noise_seeds:
                check_whole("noise seed", seed, least=0)
            if len(noise_seeds) != len(styles):
                raise UserError(f"{len(noise_seeds)} noise_seeds for {len(styles)} images")
        network = self.network("input")
        shape, size = styles.shape[1:], network.inputs[1].shape[1]
        seeds: Sequence[int | None] = [None] * len(styles) if noise_seeds is None else noise_seeds

        def with_noise(rows: np.ndarray) -> np.ndarray:  # styles and noise, side by side
            return infer(network, [rows[:, :-size].reshape(-1, *shape), rows[:, -size:]])

        images = []
        for start in range(0, len(styles), self.chunk):  # the noise of one chunk at a time
            part = styles[start : start + self.chunk]
            noise = np.stack([_noise(seed, size) for seed in seeds[start : start + self.chunk]])
            rows = np.concatenate([part.reshape(len(part), -1), noise], axis=1)
            images.append(in_chunks(with_noise, rows, self.chunk))
        return np.concatenate(images)

    def network(self, noise_mode: str) -> keras.Model:
        """The synthesis network as a Keras model, for differentiating through it.

        Args:
            noise_mode: "const" or "none": it takes styles; "input": `[styles, noise]`.
        """
        if noise_mode not in self._networks:
            base = self._networks["const"]
            self._networks[noise_mode] = with_noise_mode(base, noise_mode)
        return self._networks[noise_mode]

    def _check_styles(self, styles: np.ndarray) -> None:
        if styles.shape[1:] != (self.layers, self.w_dim) or not len(styles):
            raise UserError(
                f"styles of shape {styles.shape}: expected (n, {self.layers}, {self.w_dim}), n >= 1"
            )


def with_noise_mode(synthesis: keras.Model, noise_mode: str) -> keras.Model:
    """A copy of a synthesis network, weights included, with another noise mode.

    Args:
        synthesis: The network to copy.
        noise_mode: "const", "input" or "none", as in `StyledConv`.
    """
    from facegen_keras.models.stylegan2.networks import build_synthesis

    convolutions = [layer for layer in synthesis.layers if isinstance(layer, StyledConv)]
    copy = build_synthesis(
        synthesis.output_shape[1],
        synthesis.inputs[0].shape[-1],
        {layer.noise_const.shape[0]: layer.filters for layer in convolutions},
        noise_mode,
        convolutions[0].clamp,
    )
    copy.set_weights(synthesis.get_weights())
    return copy


def _is_number(value: object) -> bool:
    """Whether it is one finite number, also as an array of no axes."""
    array = np.asarray(value)
    return array.ndim == 0 and array.dtype.kind in "fiu" and bool(np.isfinite(array))


def _noise(seed: int | None, size: int) -> np.ndarray:
    # Another stream than the latent's of the same seed.
    generator = np.random.default_rng(None if seed is None else [int(seed), 1])
    return generator.standard_normal(size, dtype="float32")


def interpolate_w(
    generator: StyleGAN2Generator,
    seeds: Sequence[int],
    frames: int = 48,
    loop: bool = True,
    **options: Unpack[SamplingOptions],
) -> np.ndarray:
    """A straight walk in w through the faces of seeds.

    The arguments, the result and the errors are those of `StyleGAN2Generator.interpolate`.
    """
    return generator.interpolate(seeds, frames, loop, space="w", **options)
