"""`FaceModel`: what every family of this package offers, and what it has to implement.

A family states its algorithm once, in `update(images, phase)`; `Trainer` makes Keras's training
step of it on every backend. This class adds what users call: `fit`, `sample`, and the networks that
are exported.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import keras
import numpy as np

from facegen_keras.engine.fit import fit
from facegen_keras.engine.options import DTYPE_POLICIES, check_options
from facegen_keras.engine.trainer import Trainer
from facegen_keras.inference import images_per_pass, in_chunks, infer, latents, to_uint8
from facegen_keras.resolution import SMALLEST_TRAINED, check_resolution


class FaceModel(Trainer):
    """Base of the four families.

    Args:
        options: The family's arguments by name: the `locals()` of its `__init__`. They are
            checked, kept as attributes of their names (`loss` as `loss_name`: Keras has a `loss`
            of its own), and returned by `get_config`. All families have `resolution` (a power of
            two from 32 on), `latent_dim`, `precision` (of the arithmetic; weights stay float32)
            and `seed` (of every random number drawn while training, kept in variables).

    A subclass sets `family` and `loss_names` (the keys that `update` returns), and implements
    `update`, `networks`, `sampling_network`, `export_parts` and `default_optimizers`.

    Raises:
        UserError: An option has a value that no model can be made of.
    """

    family: ClassVar[str]

    def __init__(self, options: Mapping[str, Any]):
        options = {k: v for k, v in options.items() if k not in ("self", "__class__")}
        check_resolution(options["resolution"], SMALLEST_TRAINED)
        check_options(options)
        super().__init__(self.family, options["seed"], options["precision"] == "float16")
        self._options = options
        for name, value in options.items():
            setattr(self, "loss_name" if name == "loss" else name, value)
        self.training_config: dict[str, Any] | None = None  # recorded in exports

    @property
    def layer_dtype(self) -> str:
        """The dtype policy of the hidden layers."""
        return DTYPE_POLICIES[self.precision]

    def get_config(self) -> dict[str, Any]:
        return dict(self._options)

    def call(self, latents: Any) -> Any:
        """Images of latents: float32 `(batch, latent_dim)` to `(batch, height, width, 3)`."""
        return self.sampling_network(latents, training=False)

    @property
    def sampling_network(self) -> keras.Model:
        """The network that new faces come from (the averaged one where there is an average)."""
        raise NotImplementedError

    def export_parts(self) -> dict[str, keras.Model]:
        """The networks to export, float32 and functional; the generating one comes first."""
        raise NotImplementedError

    def fit(
        self,
        faces: Any,
        epochs: int = 1,
        batch_size: int = 128,
        callbacks: list[keras.callbacks.Callback] | None = None,
        verbose: str | int = "auto",
        checkpoints: str | os.PathLike | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train; the first call after `checkpoint.restore` continues where the checkpoint ended.

        Args:
            faces: What `load_faces` returns, or uint8 images `(n, height, width, 3)`, or a
                `keras.utils.PyDataset` whose batches are `(batch_size, height, width, 3)`, all of
                one size.
            epochs: Passes over the data, including those before a checkpoint.
            batch_size: Images per step.
            callbacks: Keras callbacks. Those with `get_state()` and `set_state(state)` get their
                state back on resume.
            verbose: 0 for silence; otherwise one progress bar for the whole training.
            checkpoints: Folder to save checkpoints in, every epoch and every ten minutes, and to
                resume from if it already holds one: after a lost session the same call ends where
                it would have ended, and it does nothing when all epochs are trained. All options
                must be the same, except `augment`.
            **kwargs: Passed on to `keras.Model.fit`, except `initial_epoch` and validation data.

        Raises:
            UserError: `compile` was not called, `faces` or an argument is something else, the
                images have another size, there are fewer of them than one batch holds, the
                checkpoints are of another training, or a loss stopped being a number (with a
                `NanGuard` of the caller's own and no checkpoints, training just ends).
        """
        return fit(self, faces, epochs, batch_size, callbacks, verbose, checkpoints, **kwargs)

    def sample(self, seeds: Iterable[int] = range(16)) -> np.ndarray:
        """Faces of seeds, uint8 `(n, height, width, 3)`, from `sampling_network`."""
        network = self.sampling_network
        z = latents(seeds, self.latent_dim)
        size = images_per_pass(self.resolution)
        return to_uint8(in_chunks(lambda part: infer(network, part), z, size))

    def draw_latents(self, batch_size: int) -> Any:
        """Latents from N(0, 1), `(batch, latent_dim)`, from the model's random stream."""
        return keras.random.normal((batch_size, self.latent_dim), seed=self.seed_generator)
