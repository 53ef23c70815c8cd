"""A trained StyleGAN2 generator: truncation, noise and styles chosen when it is called."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops

from facegen_keras.errors import UserError
from facegen_keras.generate.generator import Generator
from facegen_keras.inference import in_chunks, infer, latents, to_uint8
from facegen_keras.models.stylegan2.modulated_layers import StyledConv, TruncatedStyles

NOISE_MODES = ("const", "random", "none")
_LATENTS_A_PASS = 256  # of the mapping network, which is cheap


class StyleGAN2Generator(Generator):
    """A generator whose parts can be reached: `mapping`, `w_avg`, `styles`, `synthesis`.

    Besides what `Generator` has:

    Attributes:
        w_dim: Length of w.
        layers: Number of styles w that synthesis takes.
        w_avg: Average of w, float32 (w_dim,).
    """

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
                f"{path or 'this model'}: no StyleGAN2 generator (it has {', '.join(names[:6])}); "
                "expected the parts mapping, truncation and synthesis"
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
        """Images of latents: float32 (n, height, width, 3), about [-1, 1], not clipped.

        Args:
            z: Latents (n, latent_dim), n at least 1.
            truncation_psi: Pull w towards its average, 1 for none, 0 for the average face.
            truncation_cutoff: Only that many first layers are truncated; None: all of them.
            noise_mode: "const": the noise images kept with the weights; "random": new ones;
                "none".
            noise_seeds: One per image, which makes "random" repeatable.

        Raises:
            UserError: The latents have another shape, or an option has an impossible value.
        """
        w = self.mapping(z)
        return self.synthesis(
            self.styles(w, truncation_psi, truncation_cutoff), noise_mode, noise_seeds
        )

    def sample(self, seeds: Iterable[int] = range(16), **options) -> np.ndarray:
        """Faces of seeds: uint8 (n, height, width, 3), the same for a seed in any company.

        Args:
            seeds: One per face; of the latent, and of the noise with noise_mode="random".
            **options: As in `__call__`.
        """
        seeds = list(seeds)
        options = {"noise_seeds": seeds, **options}
        return to_uint8(self(latents(seeds, self.latent_dim), **options))

    def mapping(self, z: np.ndarray) -> np.ndarray:
        """w of latents, not truncated: float32 (n, latent_dim) to (n, w_dim)."""
        z = np.asarray(z, dtype="float32")
        if z.ndim != 2 or z.shape[1] != self.latent_dim or not len(z):
            raise UserError(f"latents of shape {z.shape}: expected (n, {self.latent_dim}), n >= 1")
        return in_chunks(lambda part: infer(self._mapping, part), z, _LATENTS_A_PASS)

    def styles(
        self, w: np.ndarray, truncation_psi: float = 1.0, truncation_cutoff: int | None = None
    ) -> np.ndarray:
        """One w per layer, truncated: (n, w_dim) or (n, layers, w_dim) to (n, layers, w_dim).

        Raises:
            UserError: The shape is another one, or an option has an impossible value.
        """
        cutoff = self.layers if truncation_cutoff is None else truncation_cutoff
        if not 0 <= cutoff <= self.layers or int(cutoff) != cutoff:
            raise UserError(f"truncation_cutoff {cutoff}: expected 0 to {self.layers} layers")
        if not np.isfinite(truncation_psi):
            raise UserError(f"truncation_psi {truncation_psi}: expected a number such as 0.7")
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
        """Images of styles: (n, layers, w_dim) to float32 (n, height, width, 3), not clipped.

        Raises:
            UserError: The styles have another shape, or the noise mode is unknown.
        """
        styles = np.asarray(styles, dtype="float32")
        self._check_styles(styles)
        if noise_mode not in NOISE_MODES:
            raise UserError(f"noise_mode {noise_mode!r}: expected one of {', '.join(NOISE_MODES)}")
        if noise_mode != "random":
            network = self.network(noise_mode)
            return in_chunks(lambda part: infer(network, part), styles, self.chunk)
        if noise_seeds is not None and len(noise_seeds) != len(styles):
            raise UserError(f"{len(noise_seeds)} noise_seeds for {len(styles)} images")
        network = self.network("input")
        shape, size = styles.shape[1:], network.inputs[1].shape[1]
        seeds = noise_seeds if noise_seeds is not None else [None] * len(styles)
        images = []
        for start in range(0, len(styles), self.chunk):  # the noise of one chunk at a time
            part = styles[start : start + self.chunk]
            noise = np.stack([_noise(seed, size) for seed in seeds[start : start + self.chunk]])
            rows = np.concatenate([part.reshape(len(part), -1), noise], axis=1)
            width = rows.shape[1] - size
            images.append(
                in_chunks(
                    lambda r, width=width: infer(
                        network, [r[:, :width].reshape(-1, *shape), r[:, width:]]
                    ),
                    rows,
                    self.chunk,
                )
            )
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
    """A synthesis network of the same architecture and weights that treats noise another way."""
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


def _noise(seed: int | None, size: int) -> np.ndarray:
    # Another stream than the latent's of the same seed.
    generator = np.random.default_rng(None if seed is None else [int(seed), 1])
    return generator.standard_normal(size, dtype="float32")


def interpolate_w(
    generator: StyleGAN2Generator,
    seeds: Sequence[int],
    frames: int = 48,
    loop: bool = True,
    **options,
) -> np.ndarray:
    """A straight walk in w through the faces of seeds: uint8 (frames, height, width, 3).

    Args:
        generator: A StyleGAN2 generator.
        seeds: Two or more faces to visit.
        frames: Pictures in all.
        loop: Go back from the last to the first, which is not shown twice.
        **options: truncation_psi, truncation_cutoff, noise_mode.

    Raises:
        UserError: Fewer than two seeds.
    """
    if len(seeds) < 2:
        raise UserError(f"an interpolation through {len(seeds)} seed: expected two or more")
    stops = generator.mapping(latents(seeds, generator.latent_dim))
    stops = np.concatenate([stops, stops[:1]]) if loop else stops
    position = np.linspace(0, len(stops) - 1, frames, endpoint=not loop)
    leg = np.minimum(position.astype(int), len(stops) - 2)
    share = (position - leg)[:, None]
    w = (1 - share) * stops[leg] + share * stops[leg + 1]
    noise_mode = options.pop("noise_mode", "const")
    noise_seeds = [int(seeds[0])] * frames  # one noise for the film, or it would flicker
    return to_uint8(generator.synthesis(generator.styles(w, **options), noise_mode, noise_seeds))
