"""`train`: a model from a folder of photos."""

import contextlib
import os
import sys

from facegen_keras.engine import distribution
from facegen_keras.runs.config import TrainConfig
from facegen_keras.runs.dry_run import dry_run
from facegen_keras.runs.train import train


def run(config: TrainConfig) -> int:
    """Train, or describe what training would be."""
    take_part(config)
    if config.dry_run:
        with contextlib.redirect_stdout(sys.stderr):  # keep stdout pure YAML
            text = dry_run(config)
        print(text)
    else:
        train(config)
    return 0


def take_part(config: TrainConfig) -> None:
    """Join the devices and processes that are asked for; only the first process goes on talking.

    Raises:
        UserError: They cannot be had.
    """
    distribution.distribute(config.devices, config.cluster)
    if not distribution.is_first():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
