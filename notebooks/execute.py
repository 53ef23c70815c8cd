"""Run notebooks from a clean kernel and store what they drew (`make notebooks`).

    python notebooks/execute.py notebooks/*.ipynb

Progress bars are left out: a stored bar would stay at 0 % for ever. A widget that carries a picture
of itself is stored as that picture. Pictures are packed again, without loss, as small as PNG can.
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
            if "image/png" in data:
                data["image/png"] = packed(data["image/png"])
        if "outputs" in cell:
            cell.outputs = kept
    with replacing(path) as part:  # a power cut leaves the stored one
        nbformat.write(notebook, part)
    size = path.stat().st_size / 1e6
    print(f"{path}: {time.monotonic() - began:.0f} s, {size:.2f} MB", flush=True)


def packed(picture: str) -> str:
    """A PNG in base64, without the transparency it does not use; every pixel stays as it is."""
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    if image.mode == "RGBA" and image.getextrema()[3][0] == 255:
        image = image.convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        execute(Path(name))
