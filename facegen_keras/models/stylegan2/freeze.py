"""Transfer to few photos: the first layers of the discriminator stay as they are ("Freeze the
Discriminator", Mo et al. 2020, https://arxiv.org/abs/2002.10964).
"""

import keras


def freeze_first_layers(discriminator: keras.Model, count: int) -> None:
    """Exclude the layers next to the image from training, in the official order: from RGB, then
    conv0, conv1 and skip of each resolution.
    """
    names = [layer.name for layer in discriminator.layers if layer.weights]

    def order(name: str) -> tuple[int, int]:
        size, _, kind = name[1:].partition("_")
        kinds = ("fromrgb", "conv0", "conv1", "skip", "conv", "fc", "out")
        return -int(size), kinds.index(kind)

    for name in sorted(names, key=order)[:count]:
        discriminator.get_layer(name).trainable = False
