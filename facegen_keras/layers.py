"""Layers that more than one family uses.

Those of StyleGAN2 are in `models.stylegan2.equalized_layers` and `modulated_layers`.
"""

import keras
from keras import ops

from facegen_keras import backend, losses
from facegen_keras.backend.types import Tensor

NORM_EPSILON = 1e-12  # under the root of a squared norm, whose gradient at zero would not be finite

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


class _SpectralNorm:
    """Divides the kernel of a layer by its largest singular value, estimated as in algorithm 1 of
    Miyato et al. 2018, https://arxiv.org/abs/1802.05957.

    Gradients pass through the division, on every backend. `keras.layers.SpectralNormalization`
    overwrites the kernel instead, so that they do so on JAX only, and PyTorch cannot train it.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)  # type: ignore[misc]
        self.vector_u = self.add_weight(  # type: ignore[attr-defined]
            name="vector_u",
            shape=(1, self.kernel.shape[-1]),  # type: ignore[attr-defined]
            initializer="random_normal",
            trainable=False,
            autocast=False,  # it is float32 in 16-bit layers too
        )

    def save_own_variables(self, store: dict) -> None:  # Conv2D's and Dense's leave out the vector
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: dict) -> None:
        keras.layers.Layer.load_own_variables(self, store)

    def _normalized_kernel(self, training: bool | None) -> Tensor:
        """The kernel over the norm of u W', where u approaches the first singular vector: a step of
        power iteration with each batch in training.
        """
        kernel = self.kernel  # type: ignore[attr-defined]
        rows = ops.reshape(ops.cast(kernel, "float32"), (-1, kernel.shape[-1]))
        u = _unit(self.vector_u.value)
        if training:
            fixed = ops.stop_gradient(rows)
            u = _unit(ops.matmul(_unit(ops.matmul(u, ops.transpose(fixed))), fixed))
            self.vector_u.assign(u)
        largest = _norm(ops.matmul(u, ops.transpose(rows)))
        return kernel / ops.cast(largest, kernel.dtype)


@register
class SpectralConv2D(_SpectralNorm, keras.layers.Conv2D):
    """Keras's Conv2D with spectral normalization, for inputs `(batch, height, width, channels)`."""

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Convolve; in training also improve the estimate of the largest singular value."""
        outputs = self.convolution_op(inputs, self._normalized_kernel(training))
        return self.activation(outputs + self.bias if self.use_bias else outputs)


@register
class SpectralDense(_SpectralNorm, keras.layers.Dense):
    """Keras's Dense with spectral normalization."""

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Multiply; in training also improve the estimate of the largest singular value."""
        outputs = ops.matmul(inputs, self._normalized_kernel(training))
        return self.activation(outputs + self.bias if self.use_bias else outputs)


def _norm(x: Tensor) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(x)) + NORM_EPSILON)


def _unit(x: Tensor) -> Tensor:
    return x / _norm(x)


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
