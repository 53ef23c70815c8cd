"""`--model_path` as it is typed: a file may be asked for under the other name of its part."""

from pathlib import Path

from facegen_keras.export.parts import MAIN_PARTS


def under_either_name(path: Path) -> Path:
    """`path`; where it is missing, the file that calls the same part by its other name, with a line
    that says so.

    A VAE's generator is its decoder: `vae_generator.h5` is asked for, `vae_decoder.h5` is there.
    """
    if path.exists():
        return path
    for part, other in (MAIN_PARTS, MAIN_PARTS[::-1]):
        twin = path.with_name(f"{path.stem.removesuffix(part)}{other}{path.suffix}")
        if path.stem.endswith(f"_{part}") and twin.exists():
            print(f"{path}: no such file; opening {twin}")
            return twin
    return path
