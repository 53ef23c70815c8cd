"""The command line: `facegen train ...`, `python -m facegen_keras.cli train ...`."""

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from facegen_keras.cli import interrupts, leaving
from facegen_keras.cli.parser import nearest, parse
from facegen_keras.errors import UserError, is_out_of_memory, printable
from facegen_keras.startup import check_backend, quiet
from facegen_keras.version import __version__

# Each has two modules. `facegen_keras.cli.<name>_config` reads the flags and needs no Keras: it has
# a dataclass `CONFIG`, or a function `read` of its own. `facegen_keras.cli.<name>` has a function
# `run`, and is imported once the flags are known to be right.
COMMANDS = {
    "train": "train a model on a folder of photos",
    "generate": "faces, grids, interpolations and reconstructions from a trained model",
    "evaluate": "FID, KID and other measures of a trained model",
    "data": "look through a folder of photos before training",
    "sweep": "train several configurations one after the other and compare them",
    "report": "figures, tables and a LaTeX skeleton from runs and evaluations",
    "import": "read official StyleGAN2 weights",
    "export": "write a trained model for other runtimes (ONNX, LiteRT, ...) or as a web page",
    "demo": "trained models in a browser: faces, walks, styles, photos, real or drawn",
    "push": "upload a trained model to the Hugging Face Hub",
}
MODULES = {"import": "import_weights"}  # where a module cannot have the name of its command
_LESS = (
    "lower batch_size, resolution or base_channels (stylegan2: channel_base, or raise accumulate)"
)
LESS_MEMORY = {
    "train": _LESS,
    "sweep": _LESS,
    "generate": "lower num_images or grid",
    "evaluate": "lower batch_size or num_images",
    "data": "lower workers",
}
_FULL = (errno.ENOSPC, errno.EDQUOT)  # writing tells them without the file's name


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    A user's mistake is one line on stderr and 2; Ctrl-C is 130, a reader of stdout who has gone
    141 (128 and the number of the signal, as in a shell); 75 is for a process whose companions in a
    cluster have ended.

    Args:
        argv: The command and its flags; by default those of the process.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _main(argv)
    except Exception as error:
        if not leaving.has_companions():
            raise
        code = leaving.report(error)
    if code and leaving.has_companions():
        leaving.leave(code)
    return code


def _main(argv: list[str]) -> int:
    """`main`, before the other processes are thought of."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's cannot
            stream.reconfigure(errors="replace")  # a terminal may have no β
    try:
        with interrupts.never_swallowed():
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
        return interrupts.CODE
    except Exception as error:
        if not is_out_of_memory(error) or leaving.has_companions():
            raise
        return _refuse(f"{argv[0]}: out of memory; {LESS_MEMORY.get(argv[0], 'free some')}")


def _open_streams() -> None:
    """Let what is said go nowhere where a stream is closed (`2>&-`): others write without asking.

    The number is taken too, since C++ would write its notes into the next file that has it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            if os.open(os.devnull, os.O_RDWR) != number:  # the lowest that is free
                raise
            os.set_inheritable(number, True)  # workers have the same
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115 - until it ends
            setattr(sys, name, stream)


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
    module = f"facegen_keras.cli.{MODULES.get(name, name)}"
    config = _read(name, flags, importlib.import_module(f"{module}_config"))
    # A command imports Keras; a mistake is to be one line on stderr.
    with interrupts.ending_at_once(), quiet():
        command = importlib.import_module(module)
    return int(command.run(config) or 0)


def _read(name: str, flags: list[str], reader: ModuleType) -> Any:
    """The configuration of a command, from its flags."""
    if hasattr(reader, "read"):
        return reader.read(flags)
    if hasattr(reader, "expand"):  # flags that stand for others, such as --resume
        flags = reader.expand(flags)
    config = parse(reader.CONFIG, flags, prog=f"facegen {name}", description=COMMANDS[name])
    if hasattr(reader, "check"):  # what has to be there besides
        reader.check(config)
    return config
