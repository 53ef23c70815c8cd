"""Faces from trained models: samples, walks, reconstructions, styles, directions and projection."""

from typing import TYPE_CHECKING

from facegen_keras.inference import to_uint8
from facegen_keras.lazy import lazy
from facegen_keras.pictures import save_faces, save_frames, save_grid, tile

if TYPE_CHECKING:
    from facegen_keras.generate.generator import Generator, interpolate_seeds
    from facegen_keras.generate.loading import load_encoder, load_generator
    from facegen_keras.generate.prior import fit_prior
    from facegen_keras.generate.reconstruction import encode, reconstruct
    from facegen_keras.generate.stylegan2 import StyleGAN2Generator, interpolate_w
    from facegen_keras.generate.walks import interpolate, walk

__all__ = [
    "Generator",
    "StyleGAN2Generator",
    "encode",
    "fit_prior",
    "interpolate",
    "interpolate_seeds",
    "interpolate_w",
    "load_encoder",
    "load_generator",
    "reconstruct",
    "save_faces",
    "save_frames",
    "save_grid",
    "tile",
    "to_uint8",
    "walk",
]

__getattr__ = lazy(  # most of them need Keras
    __name__,
    {
        "Generator": "generator:Generator",
        "StyleGAN2Generator": "stylegan2:StyleGAN2Generator",
        "encode": "reconstruction:encode",
        "fit_prior": "prior:fit_prior",
        "interpolate": "walks:interpolate",
        "interpolate_seeds": "generator:interpolate_seeds",
        "interpolate_w": "stylegan2:interpolate_w",
        "load_encoder": "loading:load_encoder",
        "load_generator": "loading:load_generator",
        "reconstruct": "reconstruction:reconstruct",
        "walk": "walks:walk",
    },
)
