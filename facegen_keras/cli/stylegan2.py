"""The parts of `generate` that only a StyleGAN2 has: style mixing, truncation, directions,
projection."""

from pathlib import Path
from typing import Any

import numpy as np

from facegen_keras import generate as pictures
from facegen_keras import latent
from facegen_keras.errors import UserError
from facegen_keras.projection import project
from facegen_keras.stylegan2_generator import StyleGAN2Generator

MIX_USAGE = "expected rows=1,2,3 cols=4,5,6 layers=0-3"
STEPS = (-3, -2, -1, 0, 1, 2, 3)  # in units of a direction's scale


def save_style_mix(
    generator: StyleGAN2Generator, words: list[str], folder: Path, options: dict[str, Any]
) -> Path:
    """Write the matrix of `rows=... cols=... layers=...` as one picture."""
    parts = parse_mix(words)
    matrix = latent.style_mix(
        generator,
        pictures.parse_seeds(parts["rows"], "style_mix rows"),
        pictures.parse_seeds(parts["cols"], "style_mix cols"),
        latent.parse_layers(parts["layers"], generator.layers),
        **options,
    )
    return _save_table(matrix, folder / f"{generator.family}_style_mix.png")


def save_truncation_sweep(
    generator: StyleGAN2Generator,
    seeds: list[int],
    psis: list[float],
    folder: Path,
    options: dict[str, Any],
) -> Path:
    """Write each seed's face at each truncation ψ as one picture, a row per seed."""
    options = {name: value for name, value in options.items() if name != "truncation_psi"}
    table = latent.truncation_sweep(generator, seeds, psis, **options)
    return _save_table(table, folder / f"{generator.family}_truncation.png")


def save_directions(
    generator: StyleGAN2Generator,
    method: str,
    count: int,
    seed: int,
    folder: Path,
    options: dict[str, Any],
) -> Path:
    """Write one face moved along the strongest directions, a row per direction."""
    find = latent.pca_directions if method == "pca" else latent.sefa_directions
    table = latent.along(generator, find(generator, count), seed, STEPS, **options)
    return _save_table(table, folder / f"{generator.family}_directions_{method}.png")


def save_projection(
    generator: StyleGAN2Generator, photo: np.ndarray, steps: int, seed: int, folder: Path
) -> list[Path]:
    """Find a photo (uint8, height, width, 3) in w.

    Writes photo, start and result side by side, a film, and the styles.
    """
    found = project(generator, photo, steps, seed=seed)
    stem = folder / f"{generator.family}_projection"
    triple = np.stack([photo, found.start, found.image])
    paths = [
        pictures.save_grid(triple, stem.with_suffix(".png"), (3, 1)),
        pictures.save_frames(found.frames, stem.with_suffix(".mp4")),
        stem.with_suffix(".npz"),
    ]
    np.savez(paths[-1], styles=found.styles, losses=found.losses)
    return paths


def parse_mix(words: list[str]) -> dict[str, str]:
    """`rows`, `cols` and `layers` of a style mixing.

    Raises:
        UserError: One of them is missing, twice there, or something else is.
    """
    parts: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name not in ("rows", "cols", "layers") or not equals or name in parts:
            raise UserError(f"style_mix {word!r}: {MIX_USAGE}")
        parts[name] = value
    if len(parts) < 3:
        raise UserError(f"style_mix {' '.join(words)}: {MIX_USAGE}")
    return parts


def parse_psis(text: str) -> list[float]:
    """Truncations from `"0,0.5,0.7,1"`.

    Raises:
        UserError: Something is not a number.
    """
    try:
        return [float(piece) for piece in text.split(",")]
    except ValueError:
        raise UserError(f"truncation_sweep {text!r}: expected numbers such as 0,0.5,1") from None


def _save_table(table: np.ndarray, path: Path) -> Path:
    """Pictures (rows, columns, height, width, 3) as one."""
    rows, columns = table.shape[:2]
    return pictures.save_grid(table.reshape(-1, *table.shape[2:]), path, (columns, rows))
