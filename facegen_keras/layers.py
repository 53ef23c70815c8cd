"""Layers that more than one family uses.

Those of StyleGAN2 are in `models.stylegan2.equalized_layers` and `modulated_layers`.
"""

import keras
from keras import ops

from facegen_keras import backend, losses
from facegen_keras.backend.types import Tensor

register = keras.saving.register_keras_serializable(package="facegen_keras")


@register
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's BatchNormalization, with TensorFlow's fused kernel in training.

    It has the same arguments, state and numbers. The kernel is used for inputs of
    `(batch, height, width, channels)` that are normalized over the last axis with both a scale and
    an offset, without a mask; everything else is left to Keras. Keras computes moments and scaling
    as separate operations, and casts 16-bit inputs to float32 and back, which made a bfloat16 DCGAN
    step a fifth slower on a CPU.

    Ioffe & Szegedy 2015, algorithm 1.
    """

    def call(
        self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Normalize by the batch in training, by the moving statistics otherwise and if frozen."""
        fused = backend.fused_batch_norm if self._is_fusable(inputs) else None
        if fused is None or not training or not self.trainable or mask is not None:
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = fused(inputs, self.gamma, self.beta, self.epsilon)
        rate = 1.0 - self.momentum
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average + rate * (ops.cast(value, average.dtype) - average))
        return outputs

    def _is_fusable(self, inputs: Tensor) -> bool:
        return (
            len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.scale
            and self.center
            and not self.synchronized
            and not getattr(self, "renorm", False)  # an option of Keras 3.14
        )


@register
class Sampling(keras.layers.Layer):
    """Draw a latent from the encoder's Gaussian: z = mean + exp(log_variance / 2) * noise.

    The reparameterization of Kingma & Welling 2014, section 2.4, with the log-variance bounded as
    in `losses.posterior`.
    """

    def call(self, statistics: Tensor, noise: Tensor) -> Tensor:
        """Draw one latent per image.

        Args:
            statistics: `(batch, 2 * latent_dim)`: means, then log-variances.
            noise: From N(0, 1), `(batch, latent_dim)`.

        Returns:
            `(batch, latent_dim)`.
        """
        mean, log_variance = losses.posterior(statistics)
        return mean + ops.exp(0.5 * log_variance) * noise
