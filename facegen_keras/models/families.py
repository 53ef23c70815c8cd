"""All families in one table."""

from facegen_keras.models.combined import Combined
from facegen_keras.models.dcgan import DCGAN
from facegen_keras.models.stylegan2.family import StyleGAN2
from facegen_keras.models.vae import VAE

Family = type[VAE] | type[DCGAN] | type[Combined] | type[StyleGAN2]
FAMILIES: dict[str, Family] = {model.family: model for model in (VAE, DCGAN, Combined, StyleGAN2)}
