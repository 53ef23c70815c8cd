"""The flags of `import`."""

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


def check(config: ImportConfig) -> None:
    """Refuse files that are not given."""
    if not config.source or not config.target:
        raise UserError(
            "import: give the file to read and the file to write: import network.pkl x.h5"
        )
