"""The configuration of ClickHouse: files of `config/clickhouse`, in the YAML that its operator takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

Config = dict[str, Any]

LOG = "_log"
"""What the names of ClickHouse's own log tables end with."""

_CONNECTIONS = 4096
"""Of the image's own configuration, which the operator replaces; the server's default is 1,024."""

# What else of the server's file holds in a cluster: its ports, disks and log files are the operator's.
_SETTINGS = frozenset(
    {
        "timezone",
        "max_server_memory_usage",
        "mark_cache_size",
        "max_concurrent_queries",
        "send_crash_reports",
    }
)


def server_config(directory: Path, environment: Mapping[str, str]) -> Config:
    """Return the settings of the server; `environment` has what the file takes with `from_env`.

    `@remove` and `@replace` are the attributes of the XML:
    https://clickhouse.com/docs/operations/configuration-files#yaml-examples
    """
    root = ET.parse(directory / "config.d" / "langfuse.xml").getroot()  # noqa: S314 - our own file
    found = {
        element.tag: _value(element, environment)
        for element in root
        if element.tag in _SETTINGS or element.tag.endswith(LOG)
    }
    return {"max_connections": _CONNECTIONS, **found}


def default_profile(directory: Path, environment: Mapping[str, str]) -> Config:
    """Return the settings of the default profile, which the server's user has in compose and in a cluster."""
    root = ET.parse(directory / "users.d" / "langfuse.xml").getroot()  # noqa: S314 - our own file
    return {element.tag: _value(element, environment) for element in root.iterfind("profiles/default/*")}


def _value(element: ET.Element, environment: Mapping[str, str]) -> Any:
    attributes = dict(element.attrib)
    if name := attributes.pop("from_env", None):
        return _scalar(environment[name])
    if not attributes and not len(element):
        return _scalar((element.text or "").strip())
    found: Config = {f"@{name}": value for name, value in attributes.items()}
    return found | {child.tag: _value(child, environment) for child in element}


def _scalar(text: str) -> int | str:
    return int(text) if text.isdigit() else " ".join(text.split())
