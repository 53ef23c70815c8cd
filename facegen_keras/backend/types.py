"""The types that annotations share."""

from typing import Any

# `tf.Tensor`, `jax.Array` or `torch.Tensor`, whichever backend is active. They share no base class.
Tensor = Any
Losses = dict[str, Tensor]  # scalars by name

# What Keras hands to callbacks: numbers by name, to which callbacks add lists.
Logs = dict[str, Any]
