"""Run notebooks from a clean kernel and store what they drew (`make notebooks`).

    python notebooks/execute.py notebooks/*.ipynb

Progress bars are left out: a stored bar would stay at 0 % for ever. A widget that carries a picture
of itself is stored as that picture. Drawings are packed again, without loss, as small as PNG can;
pictures of faces become JPEG of quality 92, which is much smaller. The caption that a cell prints
is the alternative text of its picture.
"""

import base64
import io
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

from facegen_keras.files.atomic import replacing

CAPTION = "Figure: "  # what `figures.save` prints
COLOURS = 4096  # a drawing has fewer, with the edges of its letters; faces have more
WIDGET = "application/vnd.jupyter.widget-view+json"


def execute(path: Path) -> None:
    """Run one notebook with the quick parameters it has, and write it back."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=3600,
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": path.parent}},
    )
    began = time.monotonic()
    client.execute()
    for cell in notebook.cells:
        kept = []
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if data.pop(WIDGET, None) is None or "image/png" in data:
                kept.append(output)
        if "outputs" in cell:
            cell.outputs = kept
            store_pictures(cell)
    with replacing(path) as part:  # a power cut leaves the stored one
        nbformat.write(notebook, part)
    size = path.stat().st_size / 1e6
    print(f"{path}: {time.monotonic() - began:.0f} s, {size:.2f} MB", flush=True)


def store_pictures(cell: nbformat.NotebookNode) -> None:
    """Pack the pictures of a cell, and give each the caption that the cell printed."""
    said = "".join(output.get("text", "") for output in cell.outputs)
    lines = said.splitlines()
    told = [x.removeprefix(CAPTION) for x in lines if x.startswith(CAPTION)]
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" not in data:
            continue
        alt = output.metadata.pop("image/png", {}).get("alt") or " ".join(told)
        kind, data[kind] = packed(data.pop("image/png"))
        output.metadata[kind] = {"alt": alt}


def packed(picture: str) -> tuple[str, str]:
    """A PNG in base64 as its smallest honest form: its media type, and it in base64.

    Without the transparency it does not use, a PNG keeps every pixel. Faces have more colours than
    a drawing by far; they are stored as JPEG without subsampled colours.
    """
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    if image.mode == "RGBA" and image.getextrema()[3][0] == 255:
        image = image.convert("RGB")
    photo = image.mode == "RGB" and image.getcolors(COLOURS) is None
    buffer = io.BytesIO()
    if photo:
        image.save(buffer, "JPEG", quality=92, subsampling=0, optimize=True)
    else:
        image.save(buffer, "PNG", optimize=True)
    kind = "image/jpeg" if photo else "image/png"
    return kind, base64.b64encode(buffer.getvalue()).decode()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        execute(Path(name))
