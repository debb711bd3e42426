"""Which users the stand-in of ClickHouse knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal.clickhouse.front import BadConfiguration, read_timezone, read_users

CONFIGURATION = Path(__file__).resolve().parents[3] / "config" / "clickhouse"


def test_the_configuration_of_the_stack_has_one_user_and_utc() -> None:
    users = read_users(CONFIGURATION / "users.d", {"CLICKHOUSE_PASSWORD": "obviously-fake"})
    assert users == {"langfuse": "obviously-fake"}
    assert read_timezone(CONFIGURATION / "config.d") == "UTC"


def test_a_password_that_is_not_set_is_refused_by_name() -> None:
    with pytest.raises(BadConfiguration, match="CLICKHOUSE_PASSWORD is not set"):
        read_users(CONFIGURATION / "users.d", {})


def test_a_configuration_without_users_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="names no user"):
        read_users(tmp_path, {})
