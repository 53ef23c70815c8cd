"""The families, by the names that flags, YAML files and exported models use.

They are imported when they are first asked for: `models.options` says what they are trained with,
and needs no Keras.
"""

from typing import TYPE_CHECKING

from facegen_keras.lazy import lazy

if TYPE_CHECKING:
    from facegen_keras.models.combined import Combined
    from facegen_keras.models.dcgan import DCGAN
    from facegen_keras.models.families import FAMILIES, Family
    from facegen_keras.models.stylegan2.family import StyleGAN2
    from facegen_keras.models.vae import VAE

__all__ = ["DCGAN", "FAMILIES", "VAE", "Combined", "Family", "StyleGAN2"]

__getattr__ = lazy(
    __name__,
    {
        "Combined": "combined:Combined",
        "DCGAN": "dcgan:DCGAN",
        "FAMILIES": "families:FAMILIES",
        "Family": "families:Family",
        "StyleGAN2": "stylegan2.family:StyleGAN2",
        "VAE": "vae:VAE",
    },
)
