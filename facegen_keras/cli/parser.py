"""Flags and YAML into a dataclass: the same names in code, on the command line and in files."""

import argparse
import difflib
import os
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import Field, fields
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeVar

import jsonargparse
import yaml

from facegen_keras.errors import UserError
from facegen_keras.runs.config_files import find_config, similar_config

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
        prog=prog,
        description=description,
        exit_on_error=False,
        usage=_usage(config_type, prog),
        formatter_class=_Formatter,
    )
    parser.add_argument(
        "--config",
        action="config",
        help="A YAML file of the same names; for train also the name of one that comes with the "
        "package, such as dcgan_64.",
    )
    parser.add_class_arguments(config_type)
    files, flags = _arrange(config_type, list(argv))
    # Files first: what follows overrides them.
    flags = [flag for file in files for flag in _flags_of(config_type, file)] + flags
    if "--help" in flags:
        _sort_help(parser, config_type, flags)
    try:
        namespace = parser.parse_args(flags)
    except argparse.ArgumentError as error:
        raise UserError(_one_line(config_type, str(error))) from None
    values = {field.name: _at_home(namespace[field.name]) for field in fields(config_type)}
    _refuse_null(config_type, values)
    return config_type(**values)


def _at_home(value: Any) -> Any:
    """`~/x` in the home folder: the shell leaves it as it is in `--name=~/x` and in a file."""
    if isinstance(value, list):
        return [_at_home(each) for each in value]
    is_there = isinstance(value, str) and value.startswith("~/")
    return os.path.expanduser(value) if is_there else value


def nearest(name: str, valid: Sequence[str]) -> str:
    """A suggestion of the most similar valid name, as the end of a message; "" without one."""
    found = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"; did you mean {found[0]}?" if found else ""


# What other programs of the field call it, and how ours is counted where that differs.
SYNONYMS = {
    "kimg": ("epochs", " (passes over the photos, not thousands of images)"),
    "ticks": ("epochs", " (passes over the photos)"),
    "steps": ("epochs", " (passes over the photos)"),
    "gpus": ("devices", ""),
    "batch": ("batch_size", ""),
    "batch_gpu": ("accumulate", " (parts of a batch, for memory)"),
    "snap": ("save_interval", " (in epochs)"),
    "outdir": ("output_dir", ""),
    "out": ("output_dir", ""),
    "data": ("data_path", ""),
    "cfg": ("config", ""),
    "gamma": ("r1_gamma", ""),
    "lr": ("learning_rate", ""),
    "glr": ("learning_rate", " (of both players)"),
    "dlr": ("learning_rate", " (of both players)"),
    "trunc": ("truncation_psi", ""),
    "network": ("model_path", ""),
    "z_dim": ("latent_dim", ""),
    "aug": ("augment", ""),
    "target": ("ada_target", ""),
    "freezed": ("freeze_discriminator", ""),
    "metrics": ("fid_every", " (in epochs)"),
}
WITHOUT = {"workers": "photos are decoded by as many processes as there are cores; leave it out"}


def _meant(name: str, names: Sequence[str], valid: Sequence[str]) -> str:
    """The end of a message about an unknown name: the option that means it, or the most similar."""
    dashes = "--" if valid and valid[0].startswith("--") else ""
    plain = name.replace("-", "_").lower()
    target, how = SYNONYMS.get(plain, ("", ""))
    if target in names or target == "config":
        return f"; did you mean {dashes}{target}{how}?"
    return f"; {WITHOUT[plain]}" if plain in WITHOUT else nearest(f"{dashes}{name}", valid)


def _sort_help(parser: Any, config_type: Any, flags: Sequence[str]) -> None:
    """Put the options into their groups, with the defaults of the family that is named.

    argparse can add to a group, but not move an action between groups.
    """
    actions = {action.dest: action for action in parser._actions}
    for title, names in getattr(config_type, "GROUPS", {}).items():
        group = parser.add_argument_group(title)
        for name in names:
            for other in parser._action_groups:
                if actions[name] in other._group_actions:
                    other._group_actions.remove(actions[name])
            group._group_actions.append(actions[name])
    family = next((f.partition("=")[2] for f in reversed(flags) if f.startswith("--model=")), None)
    if family and hasattr(config_type, "defaults_of"):
        defaults, others = config_type.defaults_of(family)
        for name, value in defaults.items():
            actions[name].default = value
        for name in (*defaults, *others):
            actions[name].help = re.sub(r" \[[^]]*\]\.$", ".", actions[name].help)
        for name in others:
            actions[name].help = argparse.SUPPRESS


class _Formatter(jsonargparse.DefaultHelpFormatter):
    """Without "default: null", which says nothing: the text of such an option says what it does."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text: str = super()._get_help_string(action)
        return text.replace(", default: %(default)s", "") if action.default in (None, "") else text


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
            raise UserError(f"--{name}: unknown flag{_meant(name, names, options)}")
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


def _refuse_null(config_type: type, values: Mapping[str, object]) -> None:
    """The parser lets `null` of a file pass for any type."""
    types = typing.get_type_hints(config_type)
    for name, value in values.items():
        if value is None and types[name] not in (Any, None) and not _may_be_none(types[name]):
            raise UserError(f"{name} null: expected a value; leave the line out for the default")


def _may_be_none(kind: object) -> bool:
    return NoneType in typing.get_args(kind)


def _options(kind: object) -> list[object]:
    """The members of a union, without None; or the type itself."""
    if isinstance(kind, type) or typing.get_origin(kind) in (list, tuple, dict, typing.Literal):
        return [kind]
    return [option for option in typing.get_args(kind) if option is not NoneType] or [kind]


def _join(kind: object, values: list[str]) -> str:
    if not _is_list(kind) or (len(values) == 1 and re.fullmatch(r"\[.*\]", values[0])):
        return _whole(kind, values[0]) if len(values) == 1 else " ".join(values)
    return "[" + ", ".join(yaml.safe_dump(v, default_style='"').strip() for v in values) + "]"


def _whole(kind: object, text: str) -> str:
    """`1e9` where a whole number belongs as its digits; any other text as it is."""
    if int in _options(kind) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE]\+?\d{1,3}", text):
        number = float(text)
        return str(int(number)) if number.is_integer() else text
    return text


def _flags_of(config_type: type, given: str) -> list[str]:
    """A file as flags, so that both are read alike: PyYAML takes `1e9` for a text."""
    content = _content(config_type, given)
    types = typing.get_type_hints(config_type)
    flags = []
    for name, value in content.items():
        if isinstance(value, list) and _is_list(types[name]):
            text = _join(types[name], [str(each) for each in value])
        elif value is None or isinstance(value, bool):
            text = {None: "null", True: "true", False: "false"}[value]
        elif isinstance(value, float) and value.is_integer() and int in _options(types[name]):
            text = str(int(value))  # PyYAML takes 1.0e+3 for one
        elif isinstance(value, list | dict):
            text = yaml.safe_dump(value, default_flow_style=True).strip()
        else:
            text = _whole(types[name], str(value))
        flags.append(f"--{name}={text}")
    return flags


def _content(config_type: type, given: str) -> dict[str, Any]:
    """The entries of a file, which are all known."""
    file = find_config(given) or Path(given)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"--config {given}: {error.strerror or 'not readable'}{similar_config(given)}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise UserError(f"--config {file}: not YAML{line}") from None
    if not isinstance(content, dict):
        raise UserError(f"--config {file}: expected lines of `name: value`")
    names = [field.name for field in fields(config_type)]
    for key in content:
        if key not in names:
            raise UserError(f"{file}: unknown key {key!r}{_meant(str(key), names, names)}")
    return content


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
