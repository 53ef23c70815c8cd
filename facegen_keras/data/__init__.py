"""Photos in, batches out: sources, doctor, cache and order."""

from typing import TYPE_CHECKING

from facegen_keras.lazy import lazy

if TYPE_CHECKING:
    from facegen_keras.data.batches import FaceBatches
    from facegen_keras.data.faces import Faces, LoadReport, load_faces

__all__ = ["FaceBatches", "Faces", "LoadReport", "load_faces"]

__getattr__ = lazy(  # the batches need Keras
    __name__,
    {
        "FaceBatches": "batches:FaceBatches",
        "Faces": "faces:Faces",
        "LoadReport": "faces:LoadReport",
        "load_faces": "faces:load_faces",
    },
)
