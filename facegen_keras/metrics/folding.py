"""Frozen batch normalisation, folded into the convolution before it (exact up to float32 rounding).

The feature networks are read with PyTorch's names and layout, and run only in inference mode.
"""

from collections.abc import Mapping

import numpy as np

from facegen_keras.errors import UserError

# Of every BatchNorm in both state dicts: torchvision's Inception and EfficientNet-Lite.
BATCH_NORM_EPSILON = 1e-3


class FoldedConvolutions:
    """Convolution kernels and biases of a state dict with their batch normalisation folded in.

    Args:
        state: Tensors by name.
        network: Name of the network, for errors.
        expected: Where the right names come from, for errors.
    """

    def __init__(self, state: Mapping[str, np.ndarray], network: str, expected: str) -> None:
        self._state, self._network, self._expected = state, network, expected

    def __call__(self, conv: str, norm: str) -> tuple[np.ndarray, np.ndarray]:
        """Kernel and bias of a convolution (without a bias) and its normalisation, as one.

        Args:
            conv: Name of the convolution.
            norm: Name of the batch normalisation after it.

        Returns:
            float32 `(height, width, in, out)` and `(out,)`.

        Raises:
            UserError: A tensor is missing.
        """
        kernel = self._tensor(f"{conv}.weight")
        gain = self._tensor(f"{norm}.weight") / np.sqrt(
            self._tensor(f"{norm}.running_var") + BATCH_NORM_EPSILON
        )
        bias = self._tensor(f"{norm}.bias") - gain * self._tensor(f"{norm}.running_mean")
        kernel = (kernel * gain[:, None, None, None]).transpose(2, 3, 1, 0)
        return kernel.astype(np.float32), bias.astype(np.float32)

    def _tensor(self, name: str) -> np.ndarray:
        if name not in self._state:
            raise UserError(
                f"{self._network} weights: no tensor {name!r}; expected {self._expected}"
            )
        return np.asarray(self._state[name], np.float64)
