"""`import`: official StyleGAN2 weights as a file of this package."""

import sys
from dataclasses import dataclass, field

from facegen_keras.errors import UserError


@dataclass
class ImportConfig:
    """What to read, and where to write it: `facegen import network.pkl saved_models/x.h5`."""

    source: str | None = field(default=None, metadata={"positional": True})
    """A .pkl of stylegan2-ada-pytorch or stylegan3, or a state dict (.npz, .safetensors, .pth)."""
    target: str | None = field(default=None, metadata={"positional": True})
    """The generator to write, ending in .h5 or .keras."""


CONFIG = ImportConfig


def run(config: ImportConfig) -> int:
    """Import the generator, and its discriminator beside it where the file has one."""
    if not config.source or not config.target:
        raise UserError(
            "import: give the file to read and the file to write: import network.pkl x.h5"
        )
    from facegen_keras.models.stylegan2.import_nvidia import import_networks

    done = import_networks(config.source, config.target)
    print(f"generator: {done.generator}")
    if done.discriminator:
        print(f"discriminator: {done.discriminator}")
    if done.left_out:
        print(f"warning: {done.left_out}", file=sys.stderr)
    return 0
