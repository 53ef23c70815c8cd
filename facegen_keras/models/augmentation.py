"""The augmentation of what a discriminator judges: of every image, or of as many as it needs (ADA:
Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data",
https://arxiv.org/abs/2006.06676).
"""

from typing import Any

import keras
from keras import ops

from facegen_keras.augment import diff_augment
from facegen_keras.augment_policy import parse_policy
from facegen_keras.backend.types import Losses, Tensor
from facegen_keras.engine.face_model import FaceModel

ADA_INTERVAL = 4  # steps between adjustments of the probability; section 3.1


class Augmentation:
    """How a model's discriminator sees images, by the options `augment`, `ada_target` and
    `ada_images` of the model.

    Args:
        model: Gets the variables of this as its own, so that checkpoints have them.
        always_adds_variables: Also where nothing adapts: the checkpoints and the log of StyleGAN2
            have always had them.

    Attributes:
        adapts: Whether the probability follows the discriminator.
        probability: Scalar variable: of an image to be augmented, 0 without a policy. None where
            nothing adapts it and it has no variable.
    """

    def __init__(self, model: FaceModel, always_adds_variables: bool = False) -> None:
        self.model = model
        options: Any = model.options
        self.options = options
        self.policy = parse_policy(self.options.augment)
        self.adapts: bool = self.options.ada_target is not None
        self.probability: keras.Variable | None = None
        if self.adapts or always_adds_variables:
            scalar = {"shape": (), "initializer": "zeros", "trainable": False, "dtype": "float32"}
            self.probability = model.add_weight(name="augment_probability", **scalar)
            self._sign_sum = model.add_weight(name="sign_sum", **scalar)
            if self.policy and not self.adapts:
                self.probability.assign(1.0)

    def __call__(self, images: Tensor) -> Tensor:
        """Augment images `(batch, height, width, 3)`, each by chance."""
        adaptive = self.probability if self.adapts else None
        probability = 1 if adaptive is None else adaptive.value
        return diff_augment(images, self.policy, self.model.seed_generator, probability)

    def follow(self, report: Losses, batch: int) -> None:
        """Once a step: adapt the probability, and add it to the report where it is a variable.

        Section 3.1 of the paper: raise it while r_t, the mean sign of the logits of photos, is
        above the target.

        Args:
            report: The losses of the step, with the `real_accuracy` that r_t follows from.
            batch: Images a step.
        """
        if self.probability is None:
            return
        if self.adapts:
            total = self._sign_sum + 2.0 * report["real_accuracy"] - 1.0
            due = ops.equal((self.model._steps.value + 1) % ADA_INTERVAL, 0)
            step = ops.sign(total / ADA_INTERVAL - self.options.ada_target) * (
                batch * ADA_INTERVAL / self.options.ada_images
            )
            adapted = ops.clip(self.probability + step, 0.0, 1.0)
            self._sign_sum.assign(ops.where(due, 0.0, total))
            self.probability.assign(ops.where(due, adapted, self.probability.value))
        # Without a target not the variable, which a checkpoint of another `augment` may have set.
        now = self.probability if self.adapts else float(bool(self.policy))
        report["augment_probability"] = ops.convert_to_tensor(now, "float32")
