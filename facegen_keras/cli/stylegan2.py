"""The modes of `generate` that only a StyleGAN2 has: mixing, truncation, directions, projection."""

from pathlib import Path

import numpy as np

from facegen_keras import pictures
from facegen_keras.cli.values import parse_layers, parse_mix, parse_seeds
from facegen_keras.files.atomic import replacing
from facegen_keras.files.unused_name import numbered, write_beside
from facegen_keras.generate import w_space
from facegen_keras.generate.generator import StyleOptions
from facegen_keras.generate.projection import project
from facegen_keras.generate.stylegan2 import StyleGAN2Generator
from facegen_keras.labels import save_labelled

STEPS = (-3, -2, -1, 0, 1, 2, 3)  # in units of a direction's scale


def save_style_mix(
    generator: StyleGAN2Generator, words: list[str], folder: Path, options: StyleOptions
) -> Path:
    """Write the matrix of `rows=... cols=... layers=...` as one picture."""
    parts = parse_mix(words)
    rows = parse_seeds(parts["rows"], "style_mix rows")
    columns = parse_seeds(parts["cols"], "style_mix cols")
    layers = parse_layers(parts["layers"], generator.layers)
    matrix = w_space.style_mix(generator, rows, columns, layers, **options)
    return _save(
        matrix,
        folder / f"{generator.family}_style_mix.png",
        [f"layers {parts['layers']} from", *(f"seed {seed}" for seed in columns)],
        ["", *(f"seed {seed}" for seed in rows)],
    )


def save_truncation_sweep(
    generator: StyleGAN2Generator,
    seeds: list[int],
    psis: list[float],
    folder: Path,
    options: StyleOptions,
) -> Path:
    """Write each seed's face at each truncation ψ as one picture, one row per seed."""
    cutoff, noise_mode = options.get("truncation_cutoff"), options.get("noise_mode", "const")
    table = w_space.truncation_sweep(generator, seeds, psis, cutoff, noise_mode)
    return _save(
        table,
        folder / f"{generator.family}_truncation.png",
        [f"ψ = {psi:g}" for psi in psis],
        [f"seed {seed}" for seed in seeds],
    )


def save_directions(
    generator: StyleGAN2Generator,
    method: str,
    count: int,
    seed: int,
    folder: Path,
    options: StyleOptions,
) -> Path:
    """Write one face moved along the strongest directions, one row per direction."""
    find = w_space.pca_directions if method == "pca" else w_space.sefa_directions
    table = w_space.traverse_w(generator, find(generator, count), seed, STEPS, **options)
    return _save(
        table,
        folder / f"{generator.family}_directions_{method}.png",
        [f"{step:+d} σ" if step else f"seed {seed}" for step in STEPS],
        [f"direction {k}" for k in range(1, len(table) + 1)],
    )


def save_projection(
    generator: StyleGAN2Generator, photo: np.ndarray, steps: int, seed: int, folder: Path
) -> list[Path]:
    """Find a photo, uint8 `(height, width, 3)`, in w.

    Writes the photo, the start and the result side by side, a film, and the styles.
    """
    found = project(generator, photo, steps, seed=seed)
    names = numbered(folder / f"{generator.family}_projection.png")
    files = ([name.with_suffix(suffix) for suffix in (".png", ".mp4", ".npz")] for name in names)
    picture, film, styles = next(three for three in files if not any(f.exists() for f in three))
    triple = np.stack([photo, found.start, found.image])[None]
    save_labelled(triple, picture, ["photo", "start", "projection"])
    pictures.save_frames(found.frames, film)
    with replacing(styles) as temporary:
        np.savez(temporary, styles=found.styles, losses=found.losses)
    return [picture, film, styles]


def _save(table: np.ndarray, path: Path, columns: list[str], rows: list[str]) -> Path:
    """Write images `(rows, columns, height, width, 3)` under their headings."""
    return write_beside(path, lambda to: save_labelled(table, to, columns, rows))
