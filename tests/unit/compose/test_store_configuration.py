"""The configuration files of the stores: bounded logs, one memory cap, no eviction, buckets made once."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from .conftest import ROOT, Render

CONFIG = ROOT / "config"
# S314 is about data of somebody else; these are files of this repository.
SERVER = ET.parse(CONFIG / "clickhouse" / "config.d" / "langfuse.xml").getroot()  # noqa: S314
USERS = ET.parse(CONFIG / "clickhouse" / "users.d" / "langfuse.xml").getroot()  # noqa: S314
MONITOR = ET.parse(CONFIG / "clickhouse" / "users.d" / "monitor.xml").getroot()  # noqa: S314

# The log tables that the default configuration of ClickHouse 26.4 creates or offers.
SYSTEM_LOGS = {
    *("trace_log", "text_log", "metric_log", "asynchronous_metric_log", "latency_log", "crash_log"),
    *("opentelemetry_span_log", "processors_profile_log", "query_metric_log", "query_thread_log"),
    *("query_views_log", "session_log", "zookeeper_log", "s3queue_log", "asynchronous_insert_log"),
    *("blob_storage_log", "query_log", "part_log", "error_log", "backup_log"),
}


def from_environment(root: ET.Element) -> set[str]:
    return {name for node in root.iter() if (name := node.get("from_env"))}


def setting(path: str) -> str:
    found = SERVER.find(path)
    assert found is not None, path
    return (found.text or "").strip()


def test_every_system_log_is_removed_or_has_a_ttl() -> None:
    for name in SYSTEM_LOGS:
        table = SERVER.find(name)
        assert table is not None, f"{name} is left at its default, which grows without bound"
        if table.get("remove") is None:
            # Merged into the default it would have two engines, and the server would not start.
            assert table.get("replace") == "replace", name
            assert re.search(r"TTL event_date \+ INTERVAL \d+ DAY DELETE", table.findtext("engine", "")), name


def test_the_logs_that_langfuse_and_backups_read_are_kept() -> None:
    kept = {name for name in SYSTEM_LOGS if SERVER.find(f"{name}/table") is not None}
    assert kept == {"query_log", "part_log", "error_log", "backup_log"}


def test_clickhouse_is_in_utc_and_can_back_up_into_a_volume(render: Render) -> None:
    assert setting("timezone") == "UTC"
    assert setting("backups/allowed_disk") == "backups"
    path = setting("storage_configuration/disks/backups/path")
    assert setting("backups/allowed_path") == path
    volumes = render()["services"]["clickhouse"]["volumes"]
    data = [volume["target"] for volume in volumes if volume["type"] == "volume"]
    assert any(path.startswith(f"{target}/") for target in data)


def test_the_profilers_are_off_and_the_user_without_a_password_is_gone() -> None:
    for kind in ("real_time", "cpu_time"):
        assert USERS.findtext(f"profiles/default/query_profiler_{kind}_period_ns") == "0"
    default = USERS.find("users/default")
    assert default is not None
    assert default.get("remove") == "remove"
    assert [user.tag for user in USERS.findall("users/*")] == ["default", "langfuse"]


def test_monitoring_reads_the_tables_of_langfuse_and_merges_their_parts() -> None:
    monitor = MONITOR.find("users/langfuse_monitor")
    assert monitor is not None
    assert [query.text for query in monitor.findall("grants/query")] == [
        "GRANT SELECT, OPTIMIZE ON default.*"
    ]
    # ClickHouse refuses a user that has both.
    assert monitor.find("access_management") is None
    profile = MONITOR.find(f"profiles/{monitor.findtext('profile')}")
    assert profile is not None
    assert profile.findtext("profile") == "default", "with its limits of memory"
    assert profile.find("constraints/max_memory_usage/readonly") is not None


def test_a_container_without_the_password_of_monitoring_has_no_such_user() -> None:
    """One of an older compose.yaml: ClickHouse takes a variable that is not set for an empty password."""
    assert from_environment(MONITOR) == {"MONITOR_PASSWORD"}
    assert "MONITOR_PASSWORD" not in from_environment(USERS)


def test_every_value_that_clickhouse_takes_from_its_environment_is_given(render: Render) -> None:
    wanted = {*from_environment(SERVER), *from_environment(USERS), *from_environment(MONITOR)}
    given = render()["services"]["clickhouse"]["environment"]
    assert {
        *(
            "CLICKHOUSE_PASSWORD",
            "MONITOR_PASSWORD",
            "CLICKHOUSE_MAX_MEMORY_BYTES",
            "CLICKHOUSE_MARK_CACHE_BYTES",
        ),
        "CLICKHOUSE_MAX_QUERY_MEMORY_BYTES",
    } == wanted
    assert wanted <= set(given)


def directives(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    pairs = [line.split(maxsplit=1) for line in lines if not line.startswith("#")]
    return {pair[0]: pair[1] for pair in pairs}


def test_valkey_keeps_every_job() -> None:
    found = directives(CONFIG / "valkey" / "valkey.conf")
    assert found["maxmemory-policy"] == "noeviction"
    assert found["appendonly"] == "yes"
    assert found["appendfsync"] == "everysec"


def test_postgres_is_durable_in_utc_and_knows_passwords_only_as_scram() -> None:
    found = {
        name: value.removeprefix("= ").strip("'")
        for name, value in directives(CONFIG / "postgres" / "postgresql.conf").items()
    }
    assert found["timezone"] == found["log_timezone"] == "UTC"
    assert found["password_encryption"] == "scram-sha-256"
    assert found["fsync"] == found["synchronous_commit"] == found["full_page_writes"] == "on"


def run_make_buckets(
    tmp_path: Path, present: str, *, days: int = 30, fails: str = "nothing"
) -> tuple[int, list[str]]:
    """Run the script with a `weed` that records what its shell was told; return exit code and commands.

    `present` is what `s3.bucket.list` prints, `fails` a word of the commands that fail.
    """
    recorded = tmp_path / "commands"
    listing = tmp_path / "listing"
    listing.write_text(present)
    weed = tmp_path / "weed"
    weed.write_text(
        "#!/bin/sh\nread -r line\n"
        f'echo "$line" >> {recorded}\n'
        f'case "$line" in *list) cat {listing} ;; *{fails}*) exit 1 ;; esac\n'
    )
    weed.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", CONFIG / "seaweedfs" / "make-buckets.sh"],
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "BUCKETS": "events media exports",
            "EVENTS_BUCKET": "events",
            "EVENTS_EXPIRE_DAYS": str(days),
        },
        check=False,
        capture_output=True,
    )
    return done.returncode, recorded.read_text().splitlines()


def test_missing_buckets_are_made_and_events_expire(tmp_path: Path) -> None:
    code, commands = run_make_buckets(tmp_path, "  media\tsize:0\tlogical:0\n  events-old\tsize:0\n")
    assert code == 0
    assert commands == [
        "s3.bucket.list",
        "s3.bucket.create -name events",
        "s3.bucket.create -name exports",
        "fs.configure -locationPrefix=/buckets/events/ -ttl=30d -apply",
    ]


def test_events_that_are_to_stay_lose_their_expiry(tmp_path: Path) -> None:
    present = "  events\tsize:0\n  media\tsize:0\n  exports\tsize:0\n"
    code, commands = run_make_buckets(tmp_path, present, days=0)
    assert code == 0
    assert commands == [
        "s3.bucket.list",
        "fs.configure -locationPrefix=/buckets/events/ -delete -apply",
    ]


@pytest.mark.parametrize("step", ["create", "configure"])
def test_a_step_that_fails_fails_the_service(tmp_path: Path, step: str) -> None:
    code, _ = run_make_buckets(tmp_path, "", fails=step)
    assert code != 0
