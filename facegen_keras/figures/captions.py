"""What a figure shows, of which model: in words, beside the figure."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from facegen_keras.files.atomic import write_text

if TYPE_CHECKING:
    from facegen_keras.engine.face_model import FaceModel
    from facegen_keras.generate.generator import Generator

CAPTIONS = "captions.md"
_ENTRY = re.compile(r"^\*\*(?P<name>[^*]+)\*\* (?P<text>.*)$")


def credit(model: "Generator | FaceModel") -> str:
    """Whose faces they are, for a caption: `vae_decoder.h5 (316,416 images of faces.zip, seed 0)`.

    The seed is that of the training.

    Args:
        model: A generator that was loaded, or a model in training.
    """
    from facegen_keras.generate.generator import Generator

    if not isinstance(model, Generator):
        said = f"{model.images_seen:,} images, seed {model.seed}"
        name = "combined model" if model.family == "combined" else type(model).__name__
        return f"the {name} trained here ({said})"
    name = model.path.name if model.path else f"a {model.family} generator"
    seen = model.metadata.get("images_seen")
    if seen is None:
        return name
    training = model.metadata.get("training") or {}
    data, seed = training.get("data_path"), training.get("seed")
    of_data = f" of {Path(data).name}" if data else ""
    by_seed = "" if seed is None else f", seed {seed}"
    return f"{name} ({seen:,} images{of_data}{by_seed})"


def write_caption(folder: str | os.PathLike, name: str, caption: str) -> None:
    """Put the caption of a figure into `captions.md`, in place of an earlier one of that name.

    Args:
        folder: Where the figure is.
        name: Of its files, without an extension.
        caption: A sentence or two.
    """
    path = Path(folder) / CAPTIONS
    there = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    entries = {m["name"]: m["text"] for m in map(_ENTRY.match, there) if m}
    entries[name] = " ".join(caption.split())
    lines = ["# Captions of the figures in this folder"]
    lines += [f"**{key}** {text}" for key, text in sorted(entries.items())]
    write_text(path, "\n\n".join(lines) + "\n")
