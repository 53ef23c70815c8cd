"""Generative models of human faces in Keras 3."""

from facegen_keras.data import FaceBatches, Faces, load_faces
from facegen_keras.errors import UserError

__version__ = "0.1.0"

__all__ = ["FaceBatches", "Faces", "UserError", "load_faces"]
