"""Values as YAML that people read: long texts as blocks, numbers without exponents, no aliases."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import yaml

_UNFOLDED = 1_000_000


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


def _number(dumper: yaml.SafeDumper, number: float) -> yaml.ScalarNode:
    if not math.isfinite(number):
        return dumper.represent_float(number)
    # 2e-07 is a price nobody reads, and YAML 1.1 takes it for a text.
    shown = format(Decimal(repr(number)), "f").removesuffix(".0")
    return dumper.represent_scalar(f"tag:yaml.org,2002:{'float' if '.' in shown else 'int'}", shown)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)


def as_file(content: Any) -> str:
    """Return the text of a file."""
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


def as_lines(value: Any) -> list[str]:
    """Return a value in lines to be compared: lists and mappings in short lines, a text as it is."""
    if value is None:
        return []
    if isinstance(value, str):
        return value.split("\n")
    # What is innermost in a list is in one line: {label: LOW, value: 0}.
    flow = False if isinstance(value, dict) else None
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=flow, width=_UNFOLDED
    )
    return text.removesuffix("\n...\n").splitlines()


def as_line(value: Any) -> str:
    """Return a value in one line; a text in double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=True, width=_UNFOLDED
    )
    return text.removesuffix("\n").removesuffix("\n...")
