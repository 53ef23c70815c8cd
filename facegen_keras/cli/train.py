"""`train`: a model from a folder of photos."""

from collections.abc import Sequence

from facegen_keras import training
from facegen_keras.config import TrainConfig
from facegen_keras.errors import UserError
from facegen_keras.run_folder import find_run

CONFIG = TrainConfig


def expand(argv: Sequence[str]) -> list[str]:
    """Put the configuration of a run to resume under the flags, which win where they may."""
    flags = list(argv)
    resume = _value_of(flags, "--resume")
    if resume is None:
        return flags
    folder = find_run(resume, _value_of(flags, "--output_dir") or TrainConfig.output_dir)
    return ["--config", str(folder / "config.yaml"), *flags, "--resume", str(folder)]


def run(config: TrainConfig) -> int:
    """Train, or tell what training would be."""
    if config.model is None:
        config.model_options()  # says which families there are
    if config.dry_run:
        print(training.dry_run(config))
    else:
        training.train(config)
    return 0


def _value_of(flags: list[str], name: str) -> str | None:
    """What stands behind the last `--name value` or `--name=value`."""
    value = None
    for k, flag in enumerate(flags):
        if flag == name:
            if k + 1 == len(flags):
                raise UserError(f"{name}: expected a value after it")
            value = flags[k + 1]
        elif flag.startswith(f"{name}="):
            value = flag.partition("=")[2]
    return value
