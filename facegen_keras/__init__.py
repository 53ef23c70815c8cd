"""Generative models of human faces in Keras 3."""

import importlib

import facegen_keras.startup  # noqa: F401 - first: it imports Keras without TensorFlow's notes

# isort: split
from facegen_keras.data import FaceBatches, Faces, load_faces
from facegen_keras.engine.callbacks import ImageGrid, LatentReport, RunLog
from facegen_keras.engine.guards import CollapseAlarm
from facegen_keras.errors import UserError
from facegen_keras.export.write import save_generator
from facegen_keras.generate.generator import Generator
from facegen_keras.generate.loading import load_encoder, load_generator
from facegen_keras.generate.stylegan2 import StyleGAN2Generator
from facegen_keras.models import stylegan2
from facegen_keras.models.combined import Combined
from facegen_keras.models.dcgan import DCGAN
from facegen_keras.models.stylegan2.family import StyleGAN2
from facegen_keras.models.vae import VAE
from facegen_keras.pictures import save_grid
from facegen_keras.runs.config import TrainConfig
from facegen_keras.version import __version__

__all__ = [
    "DCGAN",
    "VAE",
    "CollapseAlarm",
    "Combined",
    "FaceBatches",
    "Faces",
    "Generator",
    "ImageGrid",
    "LatentReport",
    "RunLog",
    "StyleGAN2",
    "StyleGAN2Generator",
    "TrainConfig",
    "UserError",
    "__version__",
    "explorer",
    "figures",
    "import_nvidia",
    "load_encoder",
    "load_faces",
    "load_generator",
    "metrics",
    "save_generator",
    "save_grid",
    "stylegan2",
]


def __getattr__(name: str) -> object:
    """Import what takes a second, SciPy and Matplotlib, when it is first asked for."""
    if name in ("figures", "metrics"):
        return importlib.import_module(f"facegen_keras.{name}")
    if name == "explorer":
        return importlib.import_module("facegen_keras.figures.explorer")
    if name == "import_nvidia":  # reads files of PyTorch with what is under metrics
        return importlib.import_module("facegen_keras.models.stylegan2.import_nvidia").import_nvidia
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
