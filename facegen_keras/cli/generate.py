"""`generate`: pictures from a trained model."""

from pathlib import Path

import numpy as np

from facegen_keras import pictures
from facegen_keras.cli.generate_config import STYLEGAN2_FLAGS, GenerateConfig
from facegen_keras.cli.model_path import find_model_file
from facegen_keras.cli.values import parse_psis
from facegen_keras.data.faces import load_faces, open_source
from facegen_keras.errors import UserError
from facegen_keras.export.parts import MAIN_PARTS
from facegen_keras.files.places import check_writable
from facegen_keras.files.unused_name import write_beside
from facegen_keras.generate.generator import Generator
from facegen_keras.generate.quick import open_quickly
from facegen_keras.generate.walks import walk
from facegen_keras.inference import to_uint8
from facegen_keras.labels import save_labelled
from facegen_keras.startup import quiet

_AT_A_TIME = 256  # faces in memory between sampling and writing


def run(config: GenerateConfig) -> int:
    """Draw what the configuration asks for, and print where it is."""
    check_writable("output_dir", config.output_dir)  # before a projection of minutes
    path = find_model(config)
    generator = _open(config, path)
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
        _save_walk(config, generator, frames, folder, [f"seed {seed}" for seed in stops])
    if not config.reconstruct and not config.interpolate:
        _faces(config, generator, folder)
    return 0


def _open(config: GenerateConfig, path: Path) -> Generator:
    """The generator; without Keras where nothing but its faces is asked for."""
    if not config.reconstruct and not _explored(config) and not config.force:
        generator = open_quickly(path, config.model, config.prior)
        if generator is not None:
            return generator
    with quiet():
        from facegen_keras.generate.loading import load_generator

    return load_generator(
        path, expected_family=config.model, prior=config.prior, force=config.force
    )


def find_model(config: GenerateConfig) -> Path:
    """The file to open: `model_path`, or the family's in `saved_models_dir`."""
    if config.model_path:
        return find_model_file(config.model_path)
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
    from facegen_keras.generate.stylegan2 import StyleGAN2Generator

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
        grid = np.concatenate(kept)
        path = write_beside(folder / "grid.png", lambda to: pictures.save_grid(grid, to, shape))
        print(f"grid: {path}")


def _reconstruct(
    config: GenerateConfig, source: str, generator: Generator, path: Path, folder: Path
) -> None:
    from facegen_keras.generate.loading import load_encoder
    from facegen_keras.generate.reconstruction import encode

    encoder = load_encoder(path, expected_family=config.model, force=config.force)
    photos = _photos(config, generator, source, config.count())
    means = encode(encoder, photos)
    if config.interpolate == "photos":
        film = config.resolved()
        z = walk(means, film.frames, loop=film.format != "png")
        names = [f"photo {k}" for k in range(1, len(means) + 1)]
        _save_walk(config, generator, to_uint8(generator(z)), folder, names)
        if config.grid and not config.shape():
            return
    pairs = np.stack([photos, to_uint8(generator(means))], axis=1)
    target = folder / f"{generator.family}_reconstruction.png"
    columns, rows = config.shape() or pictures.grid_shape(len(pairs))
    pictures.check_grid((columns, rows), len(pairs))
    pairs = pairs[: columns * rows]
    table = np.full((columns * rows, *pairs.shape[1:]), 255, "uint8")
    table[: len(pairs)] = pairs
    table = table.reshape(rows, 2 * columns, *pairs.shape[2:])
    words = ["photo", "reconstruction"] * columns
    target = write_beside(target, lambda to: save_labelled(table, to, words))
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
    config: GenerateConfig,
    generator: Generator,
    frames: np.ndarray,
    folder: Path,
    stops: list[str],
) -> None:
    """Write a film, or a strip with the names of the stops above it."""
    target = folder / f"{generator.family}_interpolation.{config.resolved().format}"
    if target.suffix == ".png":
        positions = np.linspace(0, len(stops) - 1, len(frames))
        words = [""] * len(frames)
        for number, name in enumerate(stops):
            words[int(np.abs(positions - number).argmin())] = name
        target = write_beside(target, lambda to: save_labelled(frames[None], to, words))
    else:
        target = write_beside(target, lambda to: pictures.save_frames(frames, to))
    print(f"{len(frames)} frames: {target}")
