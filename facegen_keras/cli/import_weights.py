"""`import`: official StyleGAN2 weights as a file of this package."""

import sys

from facegen_keras.cli.import_weights_config import ImportConfig
from facegen_keras.models.stylegan2.import_nvidia import import_networks


def run(config: ImportConfig) -> int:
    """Import the generator, and its discriminator beside it where the file has one."""
    done = import_networks(config.source or "", config.target or "")
    print(f"generator: {done.generator}")
    if done.discriminator:
        print(f"discriminator: {done.discriminator}")
    if done.left_out:
        print(f"warning: {done.left_out}", file=sys.stderr)
    return 0
