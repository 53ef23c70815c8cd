"""What the families with an encoder share: the prior that their new faces come from."""

import keras
import numpy as np

from facegen_keras.data.faces import Faces
from facegen_keras.engine.face_model import FaceModel
from facegen_keras.engine.run_state import RunState
from facegen_keras.errors import UserError, check_whole
from facegen_keras.mixture import Mixture, fit_mixture
from facegen_keras.models.options.combined import CombinedOptions
from facegen_keras.models.options.vae import VAEOptions
from facegen_keras.models.posterior import draw_codes

PHOTOS_PER_COMPONENT = 1200  # some ten codes for every number of a code of 128


def mixture_of_codes(
    encoder: keras.Model, faces: Faces | np.ndarray, components: int, mirror: bool, seed: int
) -> Mixture:
    """Fit a mixture to codes of photos; the same again with one seed.

    Args:
        encoder: As from `load_encoder`.
        faces: `Faces`, or uint8 `(n, height, width, 3)`; at most 1,200 per component are used.
        components: Gaussians in the mixture.
        mirror: Flip half of the photos, as in a training with `mirror`.
        seed: Of the choice of photos, their codes, and the fit.

    Raises:
        UserError: There are fewer than two photos per component, or no component, or the photos
            have another size.
    """
    check_whole("components", components)
    codes = draw_codes(encoder, faces, PHOTOS_PER_COMPONENT * components, mirror, seed)
    return fit_mixture(codes, components, seed)


class EncodingModel(FaceModel):
    """A family with an encoder. Its options have `prior` and `prior_components`.

    The codes of all photos together are N(0, I) only as far as the KL divergence was heeded. With
    `prior="mixture"` a density is fitted to them after training, and new faces are drawn from it
    (Ghosh et al. 2020, https://arxiv.org/abs/1903.12436): see `mixture`.
    """

    options: VAEOptions | CombinedOptions
    _prior: Mixture | None = None
    _prior_step = -1  # at which it was fitted

    @property
    def sampling_encoder(self) -> keras.Model:
        """The encoder whose codes `sampling_network` decodes."""
        raise NotImplementedError

    def latent_prior(self) -> Mixture | None:
        """The mixture that latents of new faces are mapped to; None for N(0, I) itself.

        With `prior="mixture"` it is fitted to the photos last trained on, again whenever the
        weights have changed. Before the first step there is none.

        Raises:
            UserError: It has to be fitted, and the photos are not known.
        """
        if self.options.prior == "normal" or self.steps == 0:
            return None
        if self._prior is None or self._prior_step != self.steps:
            if self.photos is None:
                raise UserError(
                    "prior mixture: the photos to fit it to are not known; call fit_prior(photos)"
                )
            self.fit_prior(self.photos)
        return self._prior

    def fit_prior(self, faces: Faces | np.ndarray) -> None:
        """Fit the mixture of `prior="mixture"` to codes of photos; the same again with one seed.

        Args:
            faces: `Faces`, or uint8 `(n, height, width, 3)`; at most 1,200 per component are
                used, chosen at random, half of them flipped if the training flipped photos.

        Raises:
            UserError: The prior is normal, there are fewer than two photos per component, or they
                have another size.
        """
        if self.options.prior == "normal":
            raise UserError('prior normal: fit_prior fits a mixture; make the model with "mixture"')
        self._prior = mixture_of_codes(
            self.sampling_encoder,
            faces,
            self.options.prior_components,
            bool(self.mirror),
            self.seed,
        )
        self._prior_step = self.steps

    def resume(self, state: RunState) -> None:
        super().resume(state)
        self._prior = None  # the number of the step does not tell other weights
