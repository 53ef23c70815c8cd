"""Draw faces with a trained model: `facegen generate` without installing the package."""

import sys

from facegen_keras.cli import main

sys.exit(main(["generate", *sys.argv[1:]]))
