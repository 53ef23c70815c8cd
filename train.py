"""Train a model: `facegen train` without installing the package."""

import sys

from facegen_keras.cli import main

sys.exit(main(["train", *sys.argv[1:]]))
