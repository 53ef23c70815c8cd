"""The type of a tensor, for annotations."""

from typing import Any

# `tf.Tensor`, `jax.Array` or `torch.Tensor`, whichever backend is active. They share no base class.
Tensor = Any
