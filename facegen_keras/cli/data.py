"""`data check`: check a folder of photos before training."""

from facegen_keras.cli.data_config import DataConfig
from facegen_keras.data.check import run_check


def run(config: DataConfig) -> int:
    """Check, print, write, and return 0 if everything is usable, else 1."""
    return run_check(
        config.path or "",
        config.output_dir,
        config.resolution,
        config.crop,
        config.min_size,
        config.workers,
    )
