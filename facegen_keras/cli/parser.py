"""Flags and YAML into a dataclass: the same names in code, on the command line and in files."""

import argparse
import difflib
import re
import typing
from collections.abc import Sequence
from dataclasses import Field, fields
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, TypeVar

import jsonargparse
import yaml

from facegen_keras.errors import UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")
_EXTRA = ("help", "config", "print_config")


def parse(config_type: type[Config], argv: Sequence[str], prog: str, description: str) -> Config:
    """Fill a dataclass from flags and, with `--config file.yaml`, from a file; a flag wins.

    Flags are the field names. A `bool` flag needs no value; a list takes all values up to the next
    flag; a field with `metadata={"positional": True}` also takes the values that follow no flag.
    The text below a field (or in the class's `Attributes:`) is its help.

    Args:
        config_type: A dataclass whose fields all have defaults.
        argv: The command line without the program.
        prog: The program as the usage shows it.
        description: One line for the top of the help.

    Raises:
        UserError: An unknown name (the message suggests the nearest valid one), a value of the
            wrong type, or a file that cannot be read.
        SystemExit: `--help` or `--print_config` was asked for.
    """
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = jsonargparse.ArgumentParser(
        prog=prog, description=description, exit_on_error=False, usage=_usage(config_type, prog)
    )
    parser.add_argument("--config", action="config", help="A YAML file of the same names.")
    parser.add_class_arguments(config_type)
    files, flags = _arrange(config_type, list(argv))
    for file in files:
        _check_file(config_type, file)
    try:
        # Files first: what follows overrides them.
        namespace = parser.parse_args([*(f"--config={file}" for file in files), *flags])
    except argparse.ArgumentError as error:
        raise UserError(_one_line(config_type, str(error))) from None
    values = namespace.as_dict()
    return config_type(**{field.name: values[field.name] for field in fields(config_type)})


def nearest(name: str, valid: Sequence[str]) -> str:
    """A suggestion of the most similar valid name, as the end of a message; "" without one."""
    found = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""


def _usage(config_type: type, prog: str) -> str:
    positional = "".join(f" [{f.name} ...]" for f in fields(config_type) if _positional(f))
    return f"{prog}{positional} [--config FILE.yaml] [--NAME VALUE ...]"


def _arrange(config_type: type, argv: list[str]) -> tuple[list[str], list[str]]:
    """Check every flag's name; separate `--config`; write each flag as one `--name=value`."""
    types = typing.get_type_hints(config_type)
    names = [field.name for field in fields(config_type)]
    positional = [field.name for field in fields(config_type) if _positional(field)]
    files: list[str] = []
    flags: list[str] = []
    loose: list[str] = []
    while argv:
        token = argv.pop(0)
        if token == "-h":
            token = "--help"
        if not token.startswith("--"):
            loose.append(token)
            continue
        name, equals, value = token[2:].partition("=")
        if name not in names and name not in _EXTRA:
            options = [f"--{option}" for option in (*names, *_EXTRA)]
            raise UserError(f"--{name}: unknown flag{nearest(f'--{name}', options)}")
        if name in ("help", "print_config"):
            flags.append(token)
            continue
        values = [value] if equals else []
        if not equals:
            limit = None if _is_list(types.get(name)) else 1
            while argv and not argv[0].startswith("--") and (limit is None or len(values) < limit):
                if _is_bool(types.get(name)) and argv[0].lower() not in ("true", "false"):
                    break
                values.append(argv.pop(0))
        if not values:
            if not _is_bool(types.get(name)):
                raise UserError(f"--{name}: expected a value after it")
            values = ["true"]
        if name == "config":
            files += values
        else:
            flags.append(f"--{name}={_join(types[name], values)}")
    if loose and not positional:
        raise UserError(f"{loose[0]!r}: expected a flag such as --{names[0]}")
    for name in positional:
        taken, loose = (loose, []) if _is_list(types[name]) else (loose[:1], loose[1:])
        if taken:
            flags.append(f"--{name}={_join(types[name], taken)}")
    if loose:
        raise UserError(f"{loose[0]!r}: one value too many, or a flag is missing before it")
    return files, flags


def _positional(field: Field[object]) -> bool:
    return bool(field.metadata.get("positional"))


def _is_list(kind: object) -> bool:
    return any(typing.get_origin(option) is list for option in _options(kind))


def _is_bool(kind: object) -> bool:
    return _options(kind) == [bool]  # also `bool | None`, an option that a family may not have


def _options(kind: object) -> list[object]:
    """The members of a union, without None; or the type itself."""
    if isinstance(kind, type) or typing.get_origin(kind) in (list, tuple, dict, typing.Literal):
        return [kind]
    return [option for option in typing.get_args(kind) if option is not NoneType] or [kind]


def _join(kind: object, values: list[str]) -> str:
    if not _is_list(kind) or (len(values) == 1 and values[0].startswith("[")):
        return values[0] if len(values) == 1 else " ".join(values)
    return "[" + ", ".join(yaml.safe_dump(v, default_style='"').strip() for v in values) + "]"


def _check_file(config_type: type, file: str) -> None:
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"--config {file}: {error.strerror or 'not readable'}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise UserError(f"--config {file}: not YAML{line}") from None
    if not isinstance(content, dict):
        raise UserError(f"--config {file}: expected lines of `name: value`")
    names = [field.name for field in fields(config_type)]
    for key in content:
        if key not in names:
            raise UserError(f"{file}: unknown key {key!r}{nearest(str(key), names)}")


def _one_line(config_type: type, message: str) -> str:
    """Jsonargparse's report on a value, shortened to flag, value and what is allowed."""
    key = re.search(r'key "([\w.]+)"', message)
    value = re.search(r"(?:Given value|Got value): (.*)", message)
    types = typing.get_type_hints(config_type)
    if not key or key[1] not in types:
        return " ".join(message.split())
    allowed = " or ".join(_describe(option) for option in _options(types[key[1]]))
    given = value[1] if value else "this value"
    choices = [str(c) for o in _options(types[key[1]]) for c in typing.get_args(o)]
    return f"--{key[1]} {given}: expected {allowed}{nearest(given, choices)}"


def _describe(kind: object) -> str:
    names: dict[object, str] = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "text",
    }
    if kind in names:
        return names[kind]
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if typing.get_origin(kind) is tuple:
        return f"{len(arguments)} values such as [{', '.join(a.__name__ for a in arguments)}]"
    if typing.get_origin(kind) is list:
        return "a list"
    return getattr(kind, "__name__", str(kind))
