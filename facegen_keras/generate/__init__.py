"""Faces from trained models: samples, walks, reconstructions, styles, directions and projection."""

from facegen_keras.generate.generator import Generator, interpolate_seeds
from facegen_keras.generate.loading import load_encoder, load_generator
from facegen_keras.generate.reconstruction import encode, reconstruct
from facegen_keras.generate.stylegan2 import StyleGAN2Generator, interpolate_w
from facegen_keras.generate.walks import interpolate, walk
from facegen_keras.inference import to_uint8
from facegen_keras.pictures import beside, save_faces, save_frames, save_grid, tile

__all__ = [
    "Generator",
    "StyleGAN2Generator",
    "beside",
    "encode",
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
