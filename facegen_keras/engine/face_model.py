"""`FaceModel`: what every family of this package offers, and what it has to implement.

A family states its algorithm once, in `update(images, phase)`; `Trainer` makes Keras's training
step of it on every backend. This class adds what users call: `fit`, `sample`, and the networks that
are exported.
"""

import dataclasses
import inspect
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from facegen_keras.backend.types import Tensor
from facegen_keras.data.faces import Faces
from facegen_keras.engine.adam import Adam
from facegen_keras.engine.distribution import split
from facegen_keras.engine.fit import fit
from facegen_keras.engine.options import (
    DTYPE_POLICIES,
    AdamOptions,
    FaceModelOptions,
    Precision,
    arguments_section,
)
from facegen_keras.engine.trainer import Trainer
from facegen_keras.engine.transfer import take_weights
from facegen_keras.errors import UserError
from facegen_keras.inference import images_per_pass, in_chunks, infer, latents, to_uint8
from facegen_keras.mixture import Mixture


class FaceModel(Trainer):
    """Base of the four families.

    Args:
        options: Resolution, length of the latent, precision, seed, and the family's own.
        more_losses: As for `Trainer`.

    A subclass declares its options in a dataclass and takes them one by one: see `options.takes`.
    It sets `family` and `loss_names` (the keys that `update` returns), and implements `update`,
    `networks`, `sampling_network` and `export_parts`.

    Attributes:
        options: The options that the model was made with.
        options_type: Their dataclass.
        adam: What `default_optimizers` uses; from the family's paper.
        main_part: The network among `export_parts` that generates; the others stand beside it.
        has_validation: Whether `validate` measures the losses of held-out photos.
        has_latent_statistics: Whether `latent_statistics` tells how photos use the latent.
        trained_with: Networks of others that take part in training, each a dict of `network`,
            `weights_sha256` and `pretrained_on`; recorded in exports, and `evaluate` refuses them.
        starts_from: The other families whose files `start_from` takes too.
    """

    family: ClassVar[str]
    options: FaceModelOptions
    options_type: ClassVar[type[FaceModelOptions]]
    adam: ClassVar[AdamOptions] = AdamOptions()
    main_part: ClassVar[str] = "generator"
    trained_with: tuple[dict[str, str], ...] = ()
    has_validation: ClassVar[bool] = False
    has_latent_statistics: ClassVar[bool] = False
    starts_from: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: FaceModelOptions, more_losses: tuple[str, ...] = ()) -> None:
        in_half = options.precision == "float16"
        super().__init__(self.family, options.seed, scale_losses=in_half, more_losses=more_losses)
        self.options = options
        self.training_config: dict[str, Any] | None = None  # recorded in exports

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Take the arguments and their description from the options of `__init__`."""
        super().__init_subclass__(**kwargs)
        options_type = getattr(cls.__init__, "options_type", None)
        if options_type is not None:
            cls.options_type = options_type
            cls.__signature__ = inspect.signature(options_type).replace(
                return_annotation=inspect.Signature.empty
            )
            cls.__doc__ = (
                f"{inspect.cleandoc(cls.__doc__ or '')}\n\n{arguments_section(options_type)}"
            )

    @property
    def resolution(self) -> int:
        """Height and width of the images, pixels."""
        return self.options.resolution

    @property
    def latent_dim(self) -> int:
        """Length of the latent z."""
        return self.options.latent_dim

    @property
    def seed(self) -> int:
        """Seed of everything random in training."""
        return self.options.seed

    @property
    def precision(self) -> Precision:
        """Arithmetic of the hidden layers."""
        return self.options.precision

    @property
    def layer_dtype(self) -> str:
        """The dtype policy of the hidden layers."""
        return DTYPE_POLICIES[self.precision]

    def get_config(self) -> dict[str, Any]:
        return self.options.as_dict()

    def default_config(self) -> dict[str, Any]:
        return {field.name: field.default for field in dataclasses.fields(self.options)}

    # --- what a family has, or refuses ---

    def default_optimizers(
        self, learning_rate: float | None = None, beta_1: float | None = None
    ) -> dict[str, keras.optimizers.Optimizer]:
        """The optimizers of the paper, by the name of their network.

        Args:
            learning_rate: Instead of the paper's.
            beta_1: Instead of the paper's.
        """
        adam = self.adam_options(learning_rate, beta_1)
        shares = {  # where a family has such an option: `generator_rate`
            name: getattr(self.options, f"{name}_rate", 1.0) for name in self.networks()
        }
        return {
            name: Adam(float(share * adam.learning_rate), beta_1=adam.beta_1)
            for name, share in shares.items()
        }

    def adam_options(self, learning_rate: float | None, beta_1: float | None) -> AdamOptions:
        """`adam`, with those of its values that are given."""
        return AdamOptions(
            self.adam.learning_rate if learning_rate is None else learning_rate,
            self.adam.beta_1 if beta_1 is None else beta_1,
        )

    def validate(self, faces: Faces | np.ndarray) -> dict[str, float]:
        """The losses of held-out photos.

        Args:
            faces: `Faces`, or uint8 `(n, height, width, 3)`.

        Raises:
            UserError: The family has no loss that means anything on held-out photos.
        """
        raise UserError(f"{self.family}: has no validation loss")

    def latent_statistics(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """How photos use the latent, as from `models.posterior.latent_statistics`.

        Raises:
            UserError: The family does not encode photos.
        """
        raise UserError(f"{self.family}: has no latent statistics")

    def start_from(self, path: str | Path) -> list[str]:
        """Take the weights of an exported or imported generator, and of the encoder and the
        discriminator where they stand beside it; layers of other shapes keep their random start.

        Args:
            path: The generator, .h5 or .keras, or `hf:owner/name[/file.h5][@revision]`.

        Returns:
            The names of the layers that do, or `"the discriminator"` for all of its layers.

        Raises:
            UserError: A file cannot be read, is of another family, or none of its layers fits; with
                `warm_up_images`, also if one layer of the generator does not.
        """
        families = (self.family, *self.starts_from)
        whole = self.warm_up_images > 0
        kept = take_weights(path, self.parts(), families, self.options.as_dict(), whole)
        for average, network in self.averages():
            average.set_weights(network.get_weights())
        return kept

    @property
    def warm_up_images(self) -> int:
        """For how many images, at first, the generator stays as it was; 0 for most families."""
        return getattr(self.options, "warm_up_images", 0)

    @property
    def is_warming_up(self) -> bool:
        """Whether the generator has not learned yet."""
        return 0 < self.images_seen <= self.warm_up_images

    def parts(self) -> dict[str, keras.Model]:
        """The networks in training by the names that `export_parts` has for them, the one that
        generates first.
        """
        return self.networks()

    def averages(self) -> list[tuple[keras.Model, keras.Model]]:
        """Each averaged network with the one that it is the average of."""
        return []

    def latent_prior(self) -> Mixture | None:
        """The mixture that latents of new faces are mapped to; None for N(0, I) itself."""
        return None

    def call(self, latents: Tensor) -> Tensor:
        """Images of latents: float32 `(batch, latent_dim)` to `(batch, height, width, 3)`."""
        return self.sampling_network(latents, training=False)

    @property
    def sampling_network(self) -> keras.Model:
        """The network that new faces come from (the averaged one where there is an average)."""
        raise NotImplementedError

    def export_parts(self) -> dict[str, keras.Model]:
        """The networks worth keeping by name, float32 and functional; `main_part` generates."""
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
                must be the same, except `augment` and the prior. The batches of a `PyDataset` must
                depend on nothing but their index.
            **kwargs: Passed on to `keras.Model.fit`, except `initial_epoch` and validation data,
                and except `steps_per_epoch` with faces.

        Raises:
            UserError: `compile` was not called, `faces` or an argument is something else, the
                images have another size, there are fewer of them than one batch holds, the
                checkpoints are of another training, or a loss stopped being a number (with a
                `NanGuard` of the caller's own and no checkpoints, training just ends).
        """
        return fit(self, faces, epochs, batch_size, callbacks, verbose, checkpoints, **kwargs)

    def sample(self, seeds: Iterable[int] = range(16)) -> np.ndarray:
        """Faces of seeds, uint8 `(n, height, width, 3)`, from `sampling_network`."""
        network, prior = self.sampling_network, self.latent_prior()
        z = latents(seeds, self.latent_dim)
        z = z if prior is None else prior.codes(z)
        size = images_per_pass(self.resolution)
        return to_uint8(in_chunks(lambda part: infer(network, part), z, size))

    def draw_latents(self, batch_size: int) -> Tensor:
        """Latents from N(0, 1), `(batch, latent_dim)`, from the model's random stream."""
        shape = (batch_size, self.latent_dim)
        return split(keras.random.normal(shape, seed=self.seed_generator))
