"""Measure models: `facegen evaluate` without installing the package."""

import sys

from facegen_keras.cli import main

sys.exit(main(["evaluate", *sys.argv[1:]]))
