"""The parts of a model: each is a file of its own, and its name leads to the others."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import keras

MAIN_PARTS = ("generator", "decoder")  # what `FaceModel.main_part` may be, as file names have it
COMPANIONS = ("encoder", "discriminator")  # stand beside the main part


class Exportable(Protocol):
    """What an export needs to know of a model; every `FaceModel` has it.

    Attributes:
        family: Of the model, such as "vae".
        main_part: The network among `export_parts` that generates.
        resolution: Side of an image, in pixels.
        latent_dim: Length of the latent z.
        images_seen: Training images so far, repetitions counted.
    """

    @property
    def family(self) -> str: ...
    @property
    def main_part(self) -> str: ...
    @property
    def resolution(self) -> int: ...
    @property
    def latent_dim(self) -> int: ...
    @property
    def images_seen(self) -> int: ...
    def export_parts(self) -> dict[str, "keras.Model"]:
        """The networks to write, by the names of the parts."""

    def get_config(self) -> dict[str, Any]:
        """The options that the model was made with, as JSON values."""


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
