"""What the stand-in takes from the ClickHouse configuration of the stack: users, time zone, engine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

# Belongs to the server around the engine: logs to files and consoles, ports, reports.
_OF_THE_SERVER = frozenset(("logger", "prometheus", "send_crash_reports"))


class BadConfiguration(Exception):
    """A file that the server would refuse, too."""


def read_users(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the passwords of all users by name. Raises BadConfiguration."""
    users: dict[str, str] = {}
    for file in sorted(path.glob("*.xml")):
        for user in _root(file).findall("./users/*"):
            if user.get("remove") is None:
                users[user.tag] = _password(user.find("password"), environment, f"{file}: user {user.tag}")
    if not users:
        raise BadConfiguration(f"{path} names no user")
    return users


def read_grants(path: Path) -> dict[str, frozenset[str]]:
    """Return what users may do that may not do everything, such as SELECT."""
    grants: dict[str, frozenset[str]] = {}
    for file in sorted(path.glob("*.xml")):
        for user in _root(file).findall("./users/*"):
            queries = [query.text or "" for query in user.findall("grants/query")]
            if queries:
                given = [re.findall(r"[A-Z]+(?= ON|,)", query.removeprefix("GRANT")) for query in queries]
                grants[user.tag] = frozenset(privilege for some in given for privilege in some)
    return grants


def read_profile(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of the profile `default`, which every query runs with. Raises BadConfiguration."""
    settings: dict[str, str] = {}
    for file in sorted(path.glob("*.xml")):
        for element in _root(file).findall("./profiles/default/*"):
            settings[element.tag] = (_resolved(element, environment, file).text or "").strip()
    return settings


def read_timezone(path: Path) -> str:
    """Return the time zone that the configuration sets, or an empty string."""
    zones = [_root(file).findtext("timezone") for file in sorted(path.glob("*.xml"))]
    return next((zone.strip() for zone in zones if zone), "")


def engine_configuration(path: Path, environment: Mapping[str, str]) -> bytes:
    """Return the part of `config.d` that the engine itself understands, as one file.

    Disks, backups, memory limits and system logs are taken as they stand; what is to be removed from the
    defaults of the image, or concerns the server around the engine, is left out.

    Raises:
        BadConfiguration: a value comes from a variable that is not set.
    """
    merged = ET.Element("clickhouse")
    for file in sorted(path.glob("*.xml")):
        merged.extend(_resolved(_root(file), environment, file))
    return ET.tostring(merged)


def _resolved(parent: ET.Element, environment: Mapping[str, str], file: Path) -> ET.Element:
    """Return a copy without what is removed, and with values in the place of variables."""
    copy = ET.Element(parent.tag)
    copy.text = parent.text
    if name := parent.get("from_env"):
        if not environment.get(name):
            raise BadConfiguration(f"{file}: {parent.tag} comes from {name}, which is not set")
        copy.text = environment[name]
    for child in parent:
        if child.get("remove") is None and child.tag not in _OF_THE_SERVER:
            copy.append(_resolved(child, environment, file))
    return copy


def _root(file: Path) -> ET.Element:
    return ET.parse(file).getroot()  # noqa: S314 - a file of the operator


def _password(element: ET.Element | None, environment: Mapping[str, str], where: str) -> str:
    if element is None:
        raise BadConfiguration(f"{where} has no password")
    name = element.get("from_env")
    value = environment.get(name, "") if name else element.text or ""
    if not value:
        raise BadConfiguration(f"{where}: the password is empty{f' ({name} is not set)' if name else ''}")
    return value
