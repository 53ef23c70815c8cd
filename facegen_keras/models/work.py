"""What a training step of a family costs, counted from its options; needs no Keras and no model.

Convolutions and dense layers are counted, and nothing else: they take nearly all of the time, the
weights and the memory.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from facegen_keras.models.options.vae import VGG16_BLOCKS
from facegen_keras.models.widths import channel_counts, channel_widths

FLOAT32 = 4  # bytes
# Bytes that a step holds for each activation that is counted, with what lies between two layers,
# gradients and what the regularizers need: measured, see `benchmarks/README.md`.
BYTES_PER_ACTIVATION = 18
STATE = 4  # weights, gradients and Adam's two moments


@dataclass(frozen=True)
class Layer:
    """A convolution, or a dense layer as one of 1x1.

    Attributes:
        side: Height and width at which the kernel is applied, in pixels.
        kernel: Its height and width.
        inputs: Channels of its input.
        outputs: Channels of its output.
        output_side: Height and width of the output; by default `side`.
    """

    side: int
    kernel: int
    inputs: int
    outputs: int
    output_side: int = 0

    @property
    def weights(self) -> int:
        """Numbers in its kernel."""
        return self.kernel**2 * self.inputs * self.outputs

    @property
    def products(self) -> int:
        """Multiplications of a forward pass over one image."""
        return self.side**2 * self.weights

    @property
    def activations(self) -> int:
        """Numbers in its output for one image."""
        return (self.output_side or self.side) ** 2 * self.outputs


@dataclass(frozen=True)
class Work:
    """The cost of training.

    Attributes:
        weights: Numbers in all networks in training.
        operations: Floating-point operations per image of a step, on average.
        activations: Numbers per image that a step keeps.
        half: Whether they have 16 bits instead of 32.
    """

    weights: int
    operations: float
    activations: int
    half: bool = False

    def memory(self, images: int) -> int:
        """Bytes that a step over so many images needs."""
        activations = BYTES_PER_ACTIVATION * self.activations * images // (2 if self.half else 1)
        return FLOAT32 * STATE * self.weights + activations


def work_of(family: str, options: Any) -> Work:
    """The cost of training a family.

    Args:
        family: Its name.
        options: Its options, defaults filled in.
    """
    return replace(_WORK[family](options), half=options.precision != "float32")


def warm_up_work(options: Any) -> Work:
    """The cost of the combined model's steps in which its generator does not learn yet.

    Args:
        options: With `warm_up_images`, and defaults filled in.
    """
    encoder = _encoder(options, 2 * options.latent_dim)
    work = _work((encoder, 3), (_decoder(options), 1), (_encoder(options, 1), 6))
    return replace(work, half=options.precision != "float32")


def _sum(layers: Iterable[Layer], passes: float) -> tuple[int, float, int]:
    layers = list(layers)
    return (
        sum(layer.weights for layer in layers),
        2.0 * passes * sum(layer.products for layer in layers),
        sum(layer.activations for layer in layers),
    )


def _work(*networks: tuple[list[Layer], float]) -> Work:
    """From each network's layers, and how often a step goes through them: 1 for a forward pass, 1
    for the gradient of its input, 1 for that of its weights.
    """
    sums = [_sum(layers, passes) for layers, passes in networks]
    weights, operations, activations = (sum(each) for each in zip(*sums, strict=True))
    return Work(int(weights), operations, int(activations))


def _decoder(options: Any) -> list[Layer]:
    widths = [*reversed(channel_widths(options.resolution, options.base_channels)), 3]
    layers = [Layer(1, 1, options.latent_dim, 16 * widths[0])]
    for k in range(len(widths) - 1):
        side = 4 * 2**k
        layers.append(Layer(side, 4, widths[k], widths[k + 1], 2 * side))
    return layers


def _encoder(options: Any, outputs: int) -> list[Layer]:
    widths = [3, *channel_widths(options.resolution, options.base_channels)]
    sides = [options.resolution >> k for k in range(1, len(widths))]
    layers = [
        Layer(side, 4, a, b) for side, a, b in zip(sides, widths[:-1], widths[1:], strict=True)
    ]
    return [*layers, Layer(1, 1, 16 * widths[-1], outputs)]


def _vae(options: Any) -> Work:
    own = _work((_encoder(options, 2 * options.latent_dim), 3), (_decoder(options), 3))
    if not options.perceptual_weight:
        return own
    # VGG16 sees photos and reconstructions, and gives the gradient of these; it is not trained.
    seen = _work((_vgg16(options.resolution), 3))
    return replace(
        own,
        operations=own.operations + seen.operations,
        activations=own.activations + 2 * seen.activations,
    )


def _vgg16(resolution: int) -> list[Layer]:
    """The blocks of VGG16 that a perceptual loss goes through."""
    layers, channels = [], 3
    for k, count in enumerate(VGG16_BLOCKS):
        for _ in range(count):
            layers.append(Layer(resolution >> k, 3, channels, 64 << k))
            channels = 64 << k
    return layers


def _dcgan(options: Any) -> Work:
    # The discriminator sees photos and fakes, and the fakes again for the generator. A penalty on a
    # gradient takes six passes instead of three; the relativistic loss judges the photos again.
    penalties = (options.r1_gamma > 0) + (options.r2_gamma > 0)
    passes = 8 + 3 * penalties / options.r1_interval + (options.loss == "relativistic")
    return _work((_decoder(options), 3), (_encoder(options, 1), passes))


def _combined(options: Any) -> Work:
    # Half of a batch is encoded, and drawn again; the other half is drawn from the prior.
    encoder = _encoder(options, 2 * options.latent_dim)
    passes = 10 + (options.loss == "relativistic")
    return _work((encoder, 1.5), (_decoder(options), 4), (_encoder(options, 1), passes))


def _stylegan2(options: Any) -> Work:
    channels = channel_counts(options.resolution, options.channel_base, options.channel_max)
    latents = [options.latent_dim, *[options.w_dim] * options.mapping_layers]
    generator = [Layer(1, 1, a, b) for a, b in itertools.pairwise(latents)]
    discriminator = [Layer(options.resolution, 1, 3, channels[options.resolution])]
    for size, width in channels.items():
        below = channels[max(size // 2, 4)]
        if size > 4:
            generator += [
                Layer(size // 2, 3, below, width, size),
                Layer(1, 1, options.w_dim, below),
            ]
            discriminator += [
                Layer(size, 3, width, width),
                Layer(size // 2, 3, width, below),
                Layer(size // 2, 1, width, below),
            ]
        styles = Layer(1, 1, options.w_dim, width)
        generator += [Layer(size, 3, width, width), Layer(size, 1, width, 3), styles, styles]
    last = channels[4]
    discriminator += [Layer(4, 3, last + 1, last), Layer(1, 1, 16 * last, last)]
    # Main losses, and the regularizers in their steps: a penalty on a gradient takes six passes,
    # and the path length is that of half a batch.
    path = 3 / options.path_interval if options.path_weight else 0
    r1 = 6 / options.r1_interval if options.r1_gamma != 0 else 0
    return _work((generator, 3 + path), (discriminator, 7 + r1))


_WORK: dict[str, Callable[[Any], Work]] = {
    "vae": _vae,
    "dcgan": _dcgan,
    "combined": _combined,
    "stylegan2": _stylegan2,
}
