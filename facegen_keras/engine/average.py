"""The exponential moving average of a network's weights (EMA), which samples better than the last
ones (Yazici et al. 2019).
"""

from typing import Any

import keras
from keras import ops

from facegen_keras.backend.types import Tensor


def update_average(
    average: keras.Model,
    network: keras.Model,
    batch_size: int,
    images_seen: keras.Variable | Tensor,
    half_life: float,
    rampup: float,
) -> None:
    """Move every float variable of `average`, moving statistics too, towards `network`.

    Args:
        average: A copy of `network` that is not trained.
        network: The trained one.
        batch_size: Images per step.
        images_seen: An integer: training images before this step.
        half_life: Images after which a weight's share has halved (Karras et al. 2018 use 10,000).
        rampup: Early on the half-life is at most this fraction of `images_seen`, so that the first
            weights are soon forgotten (0.05 in Karras et al. 2020).
    """
    seen = ops.cast(images_seen, "float32")
    images = ops.maximum(ops.minimum(float(half_life), seen * rampup), 1e-8)
    keep = ops.power(0.5, batch_size / images)
    for target, source in zip(average.variables, network.variables, strict=True):
        if "float" in keras.backend.standardize_dtype(target.dtype):
            target.assign(source + (target - source) * ops.cast(keep, target.dtype))


def untrained_copy(build: Any, network: keras.Model) -> keras.Model:
    """A second network from `build()`, with the weights of `network`, that no optimizer sees."""
    copy = build()
    copy.set_weights(network.get_weights())
    copy.trainable = False
    return copy
