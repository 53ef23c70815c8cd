"""Photos in, batches out: sources, doctor, cache and order."""

from facegen_keras.data.batches import FaceBatches
from facegen_keras.data.faces import Faces, LoadReport, load_faces

__all__ = ["FaceBatches", "Faces", "LoadReport", "load_faces"]
