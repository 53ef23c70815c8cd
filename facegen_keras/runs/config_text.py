"""Values of a configuration as text: durations, and YAML that every reader takes alike."""

import re
from typing import Any

import yaml

from facegen_keras.errors import UserError


def parse_duration(text: str) -> float:
    """Seconds of `"90s"`, `"30m"`, `"2h"` or `"1.5d"`; a bare number is seconds.

    Raises:
        UserError: Anything else.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", str(text))
    if not match or not float(match[1]):
        raise UserError(f"time_limit {text!r}: expected a duration such as 90s, 30m or 2h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def to_yaml(values: dict[str, Any]) -> str:
    """A mapping as YAML in its own order, without the entries that are None."""
    kept = {name: value for name, value in values.items() if value is not None}
    return yaml.dump(kept, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Quotes text that begins like a number: 1e5 is text to PyYAML and a float to others."""

    def represent_str(self, text: str) -> yaml.ScalarNode:
        style = '"' if re.match(r"[-+.]?\d", text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)
