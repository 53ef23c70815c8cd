"""`python -m facegen_keras.cli`."""

import sys

from facegen_keras.cli import main

sys.exit(main())
