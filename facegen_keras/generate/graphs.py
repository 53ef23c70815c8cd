"""What a trained model computes, as graphs for other runtimes.

Inputs and outputs have the same names in every format:

| graph | inputs | outputs |
|---|---|---|
| generator | `latent` `(n, latent_dim)`; StyleGAN2 also `truncation_psi` `()` | `images` |
| mapping (StyleGAN2) | `latent` `(n, latent_dim)`, `truncation_psi` `()` | `styles` |
| synthesis (StyleGAN2) | `styles` `(n, layers, w_dim)` | `images` |
| encoder (VAE, combined) | `images` | `mean`, `log_variance` `(n, latent_dim)` |

All are float32; `images` are `(n, height, width, 3)`, in about [-1, 1].
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from facegen_keras import losses
from facegen_keras.backend.types import Tensor
from facegen_keras.export.runtimes import Graph
from facegen_keras.generate.generator import Generator
from facegen_keras.generate.stylegan2 import StyleGAN2Generator
from facegen_keras.models.stylegan2.modulated_layers import StyledConv


def generator_graph(generator: Generator) -> Graph:
    """Latents to images, as `Generator.sample` draws them, with StyleGAN2's noise mode "const"."""
    latent = {"latent": (None, generator.latent_dim)}
    if isinstance(generator, StyleGAN2Generator):
        styles_of, images_of = _styles(generator), _images(generator)
        return Graph(
            {**latent, "truncation_psi": ()},
            lambda latent, psi: {"images": images_of(styles_of(latent, psi))},
        )

    def images(latent: Tensor) -> dict[str, Tensor]:
        return {"images": generator.model(network_input(generator, latent), training=False)}

    return Graph(latent, images)


def stylegan2_graphs(generator: StyleGAN2Generator) -> dict[str, Graph]:
    """The two halves of a StyleGAN2, by the names of its networks: styles can be mixed between."""
    styles_of, images_of = _styles(generator), _images(generator)
    return {
        "mapping": Graph(
            {"latent": (None, generator.latent_dim), "truncation_psi": ()},
            lambda latent, psi: {"styles": styles_of(latent, psi)},
        ),
        "synthesis": Graph(
            {"styles": (None, generator.layers, generator.w_dim)},
            lambda styles: {"images": images_of(styles)},
        ),
    }


def encoder_graph(encoder: keras.Model) -> Graph:
    """Images to the Gaussians q(z|x)."""

    def posterior(images: Tensor) -> dict[str, Tensor]:
        mean, log_variance = losses.posterior(encoder(images, training=False))
        return {"mean": mean, "log_variance": log_variance}

    return Graph({"images": (None, *encoder.input_shape[1:])}, posterior)


def network_input(generator: Generator, latent: Tensor) -> Tensor:
    """What the network is given for latents from N(0, 1): themselves, or their codes where the file
    has a prior.
    """
    return latent if generator.prior is None else generator.prior.flow(latent, ops)


def _styles(generator: StyleGAN2Generator) -> Callable[[Tensor, Tensor], Tensor]:
    """`StyleGAN2Generator.mapping` and `styles` as one function."""
    mapping = generator.model.get_layer("mapping")

    def styles(latent: Tensor, psi: Tensor) -> Tensor:
        w = mapping(network_input(generator, latent), training=False)
        w = w * psi + generator.w_avg * (1.0 - psi)  # exactly w where ψ is 1
        return ops.repeat(ops.expand_dims(w, 1), generator.layers, axis=1)

    return styles


def _images(generator: StyleGAN2Generator) -> Callable[[Tensor], Tensor]:
    """`StyleGAN2Generator.synthesis` with the noise stored with the weights.

    The noise is given to the network as an input that is as long as the batch. A converter would
    add a constant one to the biases beforehand and store one image per feature map, which took as
    much room as the weights.
    """
    network = generator.network("input")
    layers = [x for x in generator.network("const").layers if isinstance(x, StyledConv)]
    layers.sort(key=lambda layer: layer.noise_offset)
    noise = np.concatenate([ops.convert_to_numpy(x.noise_const).ravel() for x in layers])

    def images(styles: Tensor) -> Tensor:
        each = ops.broadcast_to(ops.convert_to_tensor(noise), (ops.shape(styles)[0], len(noise)))
        return network([styles, each], training=False)

    return images
