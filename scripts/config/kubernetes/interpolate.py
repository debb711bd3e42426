"""Read the variables of a service of `compose.yaml`: the cluster gets what the stack was tested with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts.core.errors import SettingsError

_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(:?[-?])?")


def service_environment(compose_file: Path, service: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a service with their values; those that are empty are left out.

    Raises:
        SettingsError: a required value is missing.
    """
    document: dict[str, Any] = yaml.safe_load(compose_file.read_text(encoding="utf-8"))
    found: dict[str, str] = {}
    for name, text in document["services"][service]["environment"].items():
        value = values.get(name, "") if text is None else interpolate(str(text), values)
        if value:
            found[name] = value
    return found


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with `${NAME}`, `${NAME:-default}` and `${NAME:?reason}` replaced, nested ones too.

    Raises:
        SettingsError: a value is required and missing, with the reason that the file gives.
    """
    result, place = "", 0
    while (match := _NAME.search(text, place)) is not None:
        end = _closing(text, match.start())
        result += text[place : match.start()] + _value(match, text[match.end() : end], values)
        place = end + 1
    return result + text[place:]


def _value(match: re.Match[str], rest: str, values: Mapping[str, str]) -> str:
    name, operator = match[1], match[2] or ""
    value = values.get(name)
    if value or (value is not None and not operator.startswith(":")):
        return value
    if operator.endswith("-"):
        return interpolate(rest, values)
    if operator.endswith("?"):
        raise SettingsError(f"{name} is not set.", fix=f"{rest}.")
    return ""


def _closing(text: str, start: int) -> int:
    depth = 0
    for place in range(start, len(text)):
        if text.startswith("${", place):
            depth += 1
        elif text[place] == "}":
            depth -= 1
            if depth == 0:
                return place
    raise SettingsError(f"{text[start:]!r} is not closed.", fix="close it in compose.yaml.")
