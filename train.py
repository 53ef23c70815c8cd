import sys

from facegen_keras.cli import main

sys.exit(main(["train", *sys.argv[1:]]))
