"""What the stand-in of ClickHouse takes from the configuration of the stack."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from rehearsal.clickhouse.configuration import (
    BadConfiguration,
    engine_configuration,
    read_grants,
    read_timezone,
    read_users,
)

CONFIGURATION = Path(__file__).resolve().parents[3] / "config" / "clickhouse"


def test_the_configuration_of_the_stack_has_a_server_a_reader_and_utc() -> None:
    environment = {"CLICKHOUSE_PASSWORD": "obviously-fake", "MONITOR_PASSWORD": "fake-too"}
    users = read_users(CONFIGURATION / "users.d", environment)
    assert users == {"langfuse": "obviously-fake", "langfuse_monitor": "fake-too"}
    assert read_grants(CONFIGURATION / "users.d") == {"langfuse_monitor": {"SELECT", "OPTIMIZE"}}
    assert read_timezone(CONFIGURATION / "config.d") == "UTC"


def test_a_password_that_is_not_set_is_refused_by_name() -> None:
    with pytest.raises(BadConfiguration, match="CLICKHOUSE_PASSWORD is not set"):
        read_users(CONFIGURATION / "users.d", {})


def test_a_configuration_without_users_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="names no user"):
        read_users(tmp_path, {})


def test_the_engine_gets_disks_backups_and_limits_but_no_ports_or_logs_to_files() -> None:
    sizes = {
        "CLICKHOUSE_MAX_MEMORY_BYTES": "1000",
        "CLICKHOUSE_MARK_CACHE_BYTES": "100",
    }
    engine = ET.fromstring(engine_configuration(CONFIGURATION / "config.d", sizes))  # noqa: S314 - our own
    assert engine.findtext("max_server_memory_usage") == "1000"
    assert engine.findtext("backups/allowed_disk") == "backups"
    assert engine.findtext("storage_configuration/disks/backups/type") == "local"
    assert engine.findtext("query_log/table") == "query_log"
    assert {"logger", "prometheus", "mysql_port", "trace_log"}.isdisjoint(child.tag for child in engine)


def test_a_limit_that_is_not_set_is_refused_by_name() -> None:
    with pytest.raises(BadConfiguration, match="CLICKHOUSE_MAX_MEMORY_BYTES, which is not set"):
        engine_configuration(CONFIGURATION / "config.d", {})
