"""Defaults that follow from other settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from scripts.core.host import unprivileged_user

from .profiles import split_list

Values = Mapping[str, str]
Compute = Callable[[Values], str]


def template(shown: str) -> Compute:
    """Return what puts the values of settings in the place of each `${NAME}`."""

    def compute(values: Values) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda name: values.get(name[1], name[0]), shown)

    return compute


def https_url(shown: str, domain: str) -> Compute:
    """`https://` with the setting `domain` while the profile tls is on, else the template."""
    otherwise = template(shown)

    def compute(values: Values) -> str:
        if "tls" in split_list(values.get("STACK_PROFILES", "")):
            return f"https://{values[domain]}{_port(values)}"
        return otherwise(values)

    return compute


def status_page(_shown: str, path: str) -> Compute:
    """A page of STATUS_DOMAIN while these pages are on."""

    def compute(values: Values) -> str:
        if values["STATUS_PAGES"] == "off":
            return ""
        return f"https://{values['STATUS_DOMAIN']}{_port(values)}{path}"

    return compute


def _port(values: Values) -> str:
    return "" if values["HTTPS_PORT"] == "443" else f":{values['HTTPS_PORT']}"


def _statsd_receiver(values: Values) -> str:
    return "statsd-exporter" if "monitoring" in split_list(values.get("STACK_PROFILES", "")) else ""


def _exporter_user(_values: Values) -> str:
    user, group = unprivileged_user()
    return f"{user}:{group}"


def _clickhouse_reader(values: Values) -> str:
    return values["CLICKHOUSE_USER"] if values.get("CLICKHOUSE_URL") else "langfuse_monitor"


def _clickhouse_reader_password(values: Values) -> str:
    return values.get("CLICKHOUSE_PASSWORD" if values.get("CLICKHOUSE_URL") else "MONITOR_PASSWORD", "")


PLAIN: Mapping[str, Compute] = {
    "statsd_receiver": _statsd_receiver,
    "exporter_user": _exporter_user,
    "clickhouse_reader": _clickhouse_reader,
    "clickhouse_reader_password": _clickhouse_reader_password,
}
WITH_ARGUMENT: Mapping[str, Callable[[str, str], Compute]] = {
    "https_url": https_url,
    "status_page": status_page,
}
