"""The options of all families as fields of one configuration, made from their dataclasses."""

import dataclasses
import typing
from collections.abc import Collection
from typing import Any

from facegen_keras.engine.options import AdamOptions
from facegen_keras.models.options import OPTIONS


def family_fields(without: Collection[str]) -> list[tuple[str, Any, Any]]:
    """Every option of any family once, in the form that `dataclasses.make_dataclass` takes.

    The default is None and stands for the family's; the help names families and defaults.

    Args:
        without: Names that are left out.
    """
    types: dict[str, Any] = {}
    for family in OPTIONS:
        for kind in _kinds(family):
            hints = typing.get_type_hints(kind)
            types |= {f.name: hints[f.name] for f in dataclasses.fields(kind)}
    fields = []
    for name, kind in types.items():
        if name not in without:
            field: Any = dataclasses.field(default=None, metadata={"help": _help(name)})
            fields.append((name, kind | None, field))
    return fields


def families_with(name: str) -> list[str]:
    """The families that have an option."""
    return [family for family in OPTIONS if name in options_of(family)]


def options_of(family: str) -> dict[str, dataclasses.Field]:
    """The fields of a family's options, and of its optimizers', by name."""
    return {field.name: field for kind in _kinds(family) for field in dataclasses.fields(kind)}


def _kinds(family: str) -> tuple[type, type]:
    return AdamOptions, OPTIONS[family]


def _help(name: str) -> str:
    """The meaning of an option, then its families and their defaults: `[vae: 128; dcgan: 100]`."""
    families: dict[str, list[str]] = {}
    for family in families_with(name):
        families.setdefault(_default(family, name), []).append(family)
    meaning = options_of(families_with(name)[0])[name].metadata["help"]
    defaults = [f"{', '.join(names)}: {default}" for default, names in families.items()]
    return f"{meaning} [{'; '.join(defaults)}]."


def _default(family: str, name: str) -> str:
    """The default of a family's option as YAML has it, or what a default of None stands for."""
    field = options_of(family)[name]
    default = getattr(OPTIONS[family].adam, name, field.default)
    if default is None:
        return field.metadata["default_text"]
    return str(default).lower() if isinstance(default, bool) else str(default) or "none"
