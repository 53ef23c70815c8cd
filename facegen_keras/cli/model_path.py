"""Find the file of a model: of the hub, or one under the other name of its part."""

from pathlib import Path

from facegen_keras.export.from_hub import is_hub_name, local_model
from facegen_keras.export.parts import MAIN_PARTS


def find_model_file(name: str) -> Path:
    """The file that a flag names: a path, or `hf:owner/name[/file.h5][@revision]`.

    Raises:
        UserError: As `local_model`.
    """
    return local_model(name) if is_hub_name(name) else under_either_name(Path(name))


def under_either_name(path: Path) -> Path:
    """`path`, or if it is missing, the file with the other name of the same part.

    A VAE's generator is its decoder: for a missing `vae_generator.h5` this returns
    `vae_decoder.h5`, and prints that it does.
    """
    if path.exists():
        return path
    for part, other in (MAIN_PARTS, MAIN_PARTS[::-1]):
        twin = path.with_name(f"{path.stem.removesuffix(part)}{other}{path.suffix}")
        if path.stem.endswith(f"_{part}") and twin.exists():
            print(f"{path}: no such file; opening {twin}")
            return twin
    return path
