"""What a training step of StyleGAN2 does."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """What a training step of StyleGAN2 does besides the main losses.

    Attributes:
        resolution: Height and width of the images; below the model's while it grows.
        path_length: Whether path length regularization is due.
        r1: Whether the R1 penalty is due.
    """

    resolution: int
    path_length: bool = False
    r1: bool = False
