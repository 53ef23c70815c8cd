"""Layers that more than one family uses. Those of StyleGAN2 are in `equalized_layers` and
`modulated_layers`."""

from typing import Any

import keras
from keras import ops

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
        fusable = keras.backend.backend() == "tensorflow" and len(inputs.shape) == 4
        if not (training and fusable):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.cast(self.gamma, "float32"),
            offset=tf.cast(self.beta, "float32"),
            mean=tf.constant([], "float32"),
            variance=tf.constant([], "float32"),
            epsilon=self.epsilon,
            is_training=True,
        )[:3]
        # The kernel reports the unbiased variance, Keras tracks the biased one.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], "float32")
        variance *= (count - 1.0) / count
        rate = 1.0 - self.momentum
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average + rate * (tf.cast(value, average.dtype) - average))
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
