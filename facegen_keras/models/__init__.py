"""The families, by the name that flags, YAML files and exported models use."""

from facegen_keras.models.combined import Combined
from facegen_keras.models.dcgan import DCGAN
from facegen_keras.models.stylegan2.family import StyleGAN2
from facegen_keras.models.vae import VAE

FAMILIES = {model.family: model for model in (VAE, DCGAN, Combined, StyleGAN2)}
