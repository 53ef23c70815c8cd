"""The options of each family, with what else is to be known before it is made.

Nothing here needs Keras: the command line reads and checks its flags with it.
"""

from facegen_keras.engine.options import FaceModelOptions
from facegen_keras.models.options.combined import CombinedOptions
from facegen_keras.models.options.dcgan import DCGANOptions
from facegen_keras.models.options.stylegan2 import StyleGAN2Options
from facegen_keras.models.options.vae import VAEOptions

OPTIONS: dict[str, type[FaceModelOptions]] = {
    options.family: options
    for options in (VAEOptions, DCGANOptions, CombinedOptions, StyleGAN2Options)
}
