"""Layers that more than one family uses. Those of StyleGAN2 are in `equalized_layers` and
`modulated_layers`."""

from typing import Any

import keras
from keras import ops

from facegen_keras import backend

register = keras.saving.register_keras_serializable(package="facegen_keras")


@register
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's BatchNormalization over the last axis, with TensorFlow's fused kernel in training.

    Takes `(batch, height, width, channels)`. Same state, same numbers; Keras computes moments and
    scaling as separate operations (and casts 16-bit inputs to float32 and back), which made a
    bfloat16 DCGAN step a fifth slower on a CPU.

    Ioffe & Szegedy 2015, algorithm 1.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not (training and backend.fused_batch_norm is not None and len(inputs.shape) == 4):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = backend.fused_batch_norm(
            inputs, self.gamma, self.beta, self.epsilon
        )
        rate = 1.0 - self.momentum
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average + rate * (ops.cast(value, average.dtype) - average))
        return outputs


@register
class Sampling(keras.layers.Layer):
    """Draw a latent from the encoder's Gaussian: z = mean + exp(log_variance / 2) * noise.

    Takes `(batch, 2 * latent_dim)`, mean and log-variance side by side, and noise from N(0, 1) of
    shape `(batch, latent_dim)`; returns `(batch, latent_dim)`. The reparameterization of Kingma &
    Welling 2014, section 2.4.
    """

    def call(self, statistics: Any, noise: Any) -> Any:
        mean, log_variance = ops.split(statistics, 2, axis=-1)
        return mean + ops.exp(0.5 * log_variance) * noise
