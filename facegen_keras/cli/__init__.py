"""The command line: `facegen train ...`, `python -m facegen_keras.cli train ...`."""

import errno
import importlib
import os
import sys
from collections.abc import Sequence

from facegen_keras.cli.parser import nearest, parse
from facegen_keras.errors import UserError, printable
from facegen_keras.startup import check_backend, quiet
from facegen_keras.version import __version__

# Each is the module `facegen_keras.cli.<name>` with a dataclass `CONFIG` and a function `run`, or
# with a function `main` that reads the flags itself; imported only when it is asked for.
COMMANDS = {
    "train": "train a model on a folder of photos",
    "generate": "faces, grids, interpolations and reconstructions from a trained model",
    "evaluate": "FID, KID and other measures of a trained model",
    "data": "look through a folder of photos before training",
    "sweep": "train several configurations one after the other and compare them",
    "import": "read official StyleGAN2 weights",
}
MODULES = {"import": "import_weights"}  # where a module cannot have the name of its command
_FULL = (errno.ENOSPC, errno.EDQUOT)  # writing tells them without the file's name


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    A user's mistake is one line on stderr and 2; Ctrl-C is 130, a reader of stdout who has gone
    141 (128 and the number of the signal, as in a shell).

    Args:
        argv: The command and its flags; by default those of the process.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's cannot
            stream.reconfigure(errors="replace")  # a terminal may have no β
    try:
        return _run(argv)
    except UserError as error:
        return _refuse(str(error))
    except BrokenPipeError:
        # Python flushes what is left when it ends, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.filename is None and error.errno not in _FULL:
            raise
        return _refuse(f"{error.filename or argv[0]}: {error.strerror}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _refuse(message: str) -> int:
    print(f"error: {printable(message)}", file=sys.stderr)
    return 2


def _run(argv: list[str]) -> int:
    try:
        code = _dispatch(argv)
    except SystemExit as end:  # the parser's --help
        code = end.code if isinstance(end.code, int) else 0
    print(end="", flush=True)  # here, where a reader who has gone is still noticed
    return code


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: facegen COMMAND [--NAME VALUE ...]\n")
        print("\n".join(f"  {name:<10}{purpose}" for name, purpose in COMMANDS.items()))
        print("\n`facegen COMMAND --help` shows the flags of a command.")
        return 0
    name, *flags = argv
    if name == "--version":
        print(f"facegen-keras {__version__}")
        return 0
    if name not in COMMANDS:
        raise UserError(
            f"{name!r}: unknown command; expected one of "
            f"{', '.join(COMMANDS)}{nearest(name, list(COMMANDS))}"
        )
    check_backend()
    with quiet():  # a command imports Keras; a mistake is to be one line on stderr
        command = importlib.import_module(f"facegen_keras.cli.{MODULES.get(name, name)}")
    if hasattr(command, "main"):  # a command that parses its own flags
        return int(command.main(flags) or 0)
    if hasattr(command, "expand"):  # flags that stand for others, such as --resume
        flags = command.expand(flags)
    config = parse(command.CONFIG, flags, prog=f"facegen {name}", description=COMMANDS[name])
    return int(command.run(config) or 0)
