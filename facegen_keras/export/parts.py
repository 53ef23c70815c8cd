"""The parts of a model: each is a file of its own, and its name leads to the others."""

import os
from pathlib import Path

MAIN_PARTS = ("generator", "decoder")  # what `FaceModel.main_part` may be, as file names have it
COMPANIONS = ("encoder", "discriminator")  # stand beside the main part


def companion_path(path: str | os.PathLike, family: str, part: str) -> Path:
    """Where the `"encoder"` or `"discriminator"` of the generator at `path` stands:
    `faces_encoder.h5` beside `faces_generator.h5`; beside `best.h5` `<family>_encoder.h5`, but
    `best_discriminator.h5`, since imported networks have names of their own.
    """
    path = Path(path)
    for ending in MAIN_PARTS:
        if path.stem.endswith(f"_{ending}"):
            return path.with_stem(f"{path.stem.removesuffix(ending)}{part}")
    return path.with_stem(f"{path.stem if part == 'discriminator' else family}_{part}")
