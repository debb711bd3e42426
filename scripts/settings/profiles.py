"""Compute which services of `compose.yaml` a stack needs. An external store replaces the bundled one."""

from __future__ import annotations

from collections.abc import Mapping

# The settings that say where a store is, by the profile of the bundled service they replace.
REPLACED_BY: Mapping[str, tuple[str, ...]] = {
    "postgres": ("DATABASE_URL",),
    "clickhouse": ("CLICKHOUSE_URL",),
    "valkey": ("REDIS_HOST", "REDIS_CONNECTION_STRING"),
    "s3": ("S3_ENDPOINT",),
}


def split_list(value: str) -> tuple[str, ...]:
    """Return the words of a list that is written with commas."""
    return tuple(word.strip() for word in value.split(",") if word.strip())


# Bundled stores that have an exporter of their own in the profile monitoring.
WATCHED = frozenset({"postgres", "valkey"})


def compose_profiles(values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the profiles of a stack with these settings: bundled stores first, then the wanted extras.

    `monitoring` brings `monitoring-<store>` for each bundled store that has an exporter.
    """
    bundled = [
        profile
        for profile, settings in REPLACED_BY.items()
        if not any(values.get(setting) for setting in settings)
    ]
    extras = split_list(values.get("STACK_PROFILES", ""))
    exporters = [f"monitoring-{store}" for store in bundled if store in WATCHED and "monitoring" in extras]
    return (*bundled, *extras, *exporters)


# Which setting says where the port of another one is opened.
BIND_ADDRESSES: Mapping[str, str] = {
    "LANGFUSE_PORT": "LANGFUSE_BIND_ADDRESS",
    "S3_PORT": "LANGFUSE_BIND_ADDRESS",
    "HTTPS_PORT": "TLS_BIND_ADDRESS",
    "HTTP_PORT": "TLS_BIND_ADDRESS",
    "GRAFANA_PORT": "GRAFANA_BIND_ADDRESS",
}


def published_ports(values: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the port settings of what will run, each with the address that it listens on."""
    profiles = compose_profiles(values)
    names = ["LANGFUSE_PORT"]
    if "s3" in profiles:
        names.append("S3_PORT")
    if "tls" in profiles:
        names += ["HTTPS_PORT", "HTTP_PORT"]
    if "monitoring" in profiles:
        names.append("GRAFANA_PORT")
    return [(name, values[BIND_ADDRESSES[name]]) for name in names]
