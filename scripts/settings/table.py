"""The table of all settings, as `settings.toml` holds it: read, and checked strictly."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import defaults, kinds
from .model import Computed, Group, Reader, SetBy, Setting

FILE = Path(__file__).with_name("settings.toml")
_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "description": str,
    "kind": (str, dict),
    "unit": str,
    "default": str,
    "computed": (str, dict),
    "random": int,
    "set_by": str,
    "secret": bool,
    "used_by": list,
    "since": str,
}


class TableError(ValueError):
    """The file says something that no setting has: a fault in the repository, not of who uses it."""


def read_groups(text: str) -> dict[str, Group]:
    """Return the groups of a table of settings by their keys. Raises TableError with the place."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TableError(f"settings.toml is not TOML: {error}") from error
    groups: dict[str, Group] = {}
    places: dict[str, str] = {}
    for key, table in document.items():
        rows = {name: row for name, row in table.items() if isinstance(row, dict)}
        plain = {name: value for name, value in table.items() if name not in rows}
        if not {"title"} <= plain.keys() <= {"title", "used_by"}:
            raise TableError(f"[{key}] has {', '.join(plain)}: a group has title, and maybe used_by")
        found = []
        for name, row in rows.items():
            place = f"[{key}.{name}]"
            if name in places:
                raise TableError(f"{place} is {places[name]} already")
            readers = plain.get("used_by", ["compose"])
            found.append(_setting(name, {"used_by": readers, **row}, place, places))
            places[name] = place
        groups[key] = Group(plain["title"], tuple(found))
    return groups


def _setting(name: str, row: dict[str, Any], place: str, earlier: Mapping[str, str]) -> Setting:
    if not _NAME.fullmatch(name):
        raise TableError(f"{place} is not a name of capitals, digits and _")
    for key, value in row.items():
        if key not in _KEYS:
            raise TableError(f"{place} has {key}: a setting has {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]) or (isinstance(value, bool) and _KEYS[key] is not bool):
            raise TableError(f"{place}: {key} cannot be {value!r}")
    if not row.get("description"):
        raise TableError(f"{place} has no description")
    is_random = "random" in row
    try:
        _check(row)
        return Setting(
            name=name,
            description=" ".join(row["description"].split()),
            kind=kinds.of(row.get("kind", "text")),
            unit=row.get("unit", ""),
            default=_default(row.get("default", ""), row.get("computed", ""), earlier),
            generate=kinds.random_hex(row["random"]) if is_random else None,
            set_by=SetBy.GENERATED if is_random else SetBy(row.get("set_by", SetBy.OPERATOR)),
            secret=is_random or row.get("secret", False),
            used_by=tuple(map(Reader, row["used_by"])),
            since=row.get("since", ""),
        )
    except ValueError as error:
        raise TableError(f"{place}: {error}") from error


def _check(row: Mapping[str, Any]) -> None:
    if "random" in row and row.keys() & {"set_by", "secret", "default", "computed"}:
        raise ValueError("random sets it, and makes it a secret: nothing else says so")
    if row.get("set_by") == SetBy.GENERATED:
        raise ValueError("a generated setting says how: random")
    if not row["used_by"]:
        raise ValueError("nobody uses it")
    if "since" in row and kinds.VERSION.check(row["since"]):
        raise ValueError(f"{row['since']!r} is not a version")


def _default(shown: str, computed: str | dict[str, str], earlier: Mapping[str, str]) -> str | Computed:
    for name in re.findall(r"\$\{(\w+)\}", shown):
        if name not in earlier:
            raise ValueError(f"the default names {name}, which is not a setting further up")
    if not computed:
        return Computed(shown, defaults.template(shown)) if "${" in shown else shown
    if isinstance(computed, str) and computed in defaults.PLAIN:
        return Computed(shown, defaults.PLAIN[computed])
    if isinstance(computed, dict) and len(computed) == 1:
        [(name, argument)] = computed.items()
        if name in defaults.WITH_ARGUMENT and isinstance(argument, str):
            return Computed(shown, defaults.WITH_ARGUMENT[name](shown, argument))
        computed = name
    raise ValueError(f"{computed!r} is not in defaults.py, or has another argument")


GROUP: Mapping[str, Group] = read_groups(FILE.read_text("utf-8"))
GROUPS: tuple[Group, ...] = tuple(GROUP.values())
SETTINGS: tuple[Setting, ...] = tuple(setting for group in GROUPS for setting in group.settings)
