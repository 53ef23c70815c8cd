"""`generate`: pictures from a trained model."""

from pathlib import Path

import numpy as np

from facegen_keras import pictures
from facegen_keras.cli.generate_config import STYLEGAN2_FLAGS, GenerateConfig
from facegen_keras.cli.model_path import under_either_name
from facegen_keras.cli.values import parse_psis
from facegen_keras.data import load_faces
from facegen_keras.data.faces import open_source
from facegen_keras.errors import UserError
from facegen_keras.export.parts import MAIN_PARTS
from facegen_keras.generate.generator import Generator
from facegen_keras.generate.loading import load_encoder, load_generator
from facegen_keras.generate.reconstruction import encode
from facegen_keras.generate.stylegan2 import StyleGAN2Generator
from facegen_keras.generate.walks import walk
from facegen_keras.inference import to_uint8

_AT_A_TIME = 256  # faces in memory between sampling and writing

CONFIG = GenerateConfig


def run(config: GenerateConfig) -> int:
    """Draw what the configuration asks for, and print where it is."""
    path = find_model(config)
    generator = load_generator(path, expected_family=config.model)
    folder = Path(config.output_dir)
    if _explored(config):
        _explore(config, generator, folder)
        return 0
    if config.reconstruct:
        _reconstruct(config, config.reconstruct, generator, path, folder)
    if stops := config.stops():
        film = config.resolved()
        frames = generator.interpolate(
            stops, film.frames, loop=film.format != "png", **config.options()
        )
        _save_walk(config, generator, frames, folder)
    if not config.reconstruct and not config.interpolate:
        _faces(config, generator, folder)
    return 0


def find_model(config: GenerateConfig) -> Path:
    """The file to open: `model_path`, or the family's in `saved_models_dir`."""
    if config.model_path:
        return under_either_name(Path(config.model_path))
    folder = Path(config.saved_models_dir)
    names = [folder / f"{config.model}_{part}.h5" for part in MAIN_PARTS]
    for path in names:
        if path.exists():
            return path
    raise UserError(
        f"{config.model}: neither {names[0]} nor {names[1]} exists; "
        "train it first or give model_path a file"
    )


def _explored(config: GenerateConfig) -> list[str]:
    """The flags in use that only a StyleGAN2 has."""
    return [name for name in STYLEGAN2_FLAGS if getattr(config, name)]


def _explore(config: GenerateConfig, generator: Generator, folder: Path) -> None:
    if not isinstance(generator, StyleGAN2Generator):
        raise UserError(
            f"{', '.join(_explored(config))}: only for stylegan2, not for {generator.family}"
        )
    for name in ("interpolate", "reconstruct"):
        if getattr(config, name):
            raise UserError(f"{name}: not together with {_explored(config)[0]}; run them in turn")
    from facegen_keras.cli import stylegan2

    paths = []
    if config.style_mix:
        paths.append(
            stylegan2.save_style_mix(generator, config.style_mix, folder, config.options())
        )
    if config.truncation_sweep:
        psis = parse_psis(config.truncation_sweep)
        paths.append(
            stylegan2.save_truncation_sweep(
                generator, config.seed_list(), psis, folder, config.options()
            )
        )
    if config.directions:
        paths.append(
            stylegan2.save_directions(
                generator,
                config.directions,
                config.resolved().num_directions,
                config.seed_list()[0],
                folder,
                config.options(),
            )
        )
    if config.project:
        (photo,) = _photos(config, generator, config.project, 1)
        search = config.resolved()
        paths += stylegan2.save_projection(
            generator, photo, search.project_steps, search.seed, folder
        )
    print("\n".join(str(path) for path in paths))


def _faces(config: GenerateConfig, generator: Generator, folder: Path) -> None:
    seeds = config.seed_list()
    shape = config.shape() if config.grid else pictures.grid_shape(len(seeds))
    in_grid = shape[0] * shape[1] if shape else 0
    kept = []
    for start in range(0, len(seeds), _AT_A_TIME):
        part = seeds[start : start + _AT_A_TIME]
        images = generator.sample(part, **config.options())
        pictures.save_faces(images, part, generator.family, folder)
        kept.append(images[: max(0, in_grid - start)])
    print(f"{len(seeds)} faces: {folder / generator.family}_seed*.png")
    if shape:
        print(f"grid: {pictures.save_grid(np.concatenate(kept), folder / 'grid.png', shape)}")


def _reconstruct(
    config: GenerateConfig, source: str, generator: Generator, path: Path, folder: Path
) -> None:
    encoder = load_encoder(path, expected_family=config.model)
    photos = _photos(config, generator, source, config.count())
    means = encode(encoder, photos)
    if config.interpolate == "photos":
        film = config.resolved()
        z = walk(means, film.frames, loop=film.format != "png")
        _save_walk(config, generator, to_uint8(generator(z)), folder)
        if config.grid and not config.shape():
            return
    pairs = pictures.beside(photos, to_uint8(generator(means)))
    target = folder / f"{generator.family}_reconstruction.png"
    pictures.save_grid(pairs, target, config.shape())
    print(f"{len(pairs)} photos, each beside its reconstruction: {target}")


def _photos(config: GenerateConfig, generator: Generator, path: str, limit: int) -> np.ndarray:
    """The photos at `path`, cropped as in the training or as the configuration says."""
    trained = (generator.metadata.get("training") or {}).get("crop", "center")
    if not config.crop and trained != "center":
        print(f"photos are cropped as in the training: {trained} (--crop for another)")
    photos = load_faces(path, generator.resolution, config.crop or trained, limit=limit)[:]
    if len(photos) == limit and (there := len(open_source(path))) > limit:
        more = " (num_images for more)" if config.reconstruct else ""
        print(f"{path}: {limit} of {there} photos{more}")
    return photos


def _save_walk(
    config: GenerateConfig, generator: Generator, frames: np.ndarray, folder: Path
) -> None:
    target = folder / f"{generator.family}_interpolation.{config.resolved().format}"
    print(f"{len(frames)} frames: {pictures.save_frames(frames, target)}")
