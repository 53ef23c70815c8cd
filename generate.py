import sys

from facegen_keras.cli import main

sys.exit(main(["generate", *sys.argv[1:]]))
