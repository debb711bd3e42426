"""What stands in the way of an upgrade, and what only has to be known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scripts.data.upgrade.rules import ALLOWABLE, Facts, Levels, examine
from scripts.engines.base import GIB

GOOD = Facts(
    old="4.59.0",
    new="4.60.0",
    levels=Levels(433, 46),
    clickhouse="26.3.37.3",
    postgres=17,
    sdk="5.0.4",
    free_bytes=100 * GIB,
    data_bytes=GIB,
)


def stops(facts: Facts, *allow: str) -> list[str]:
    return [one.id for one in examine(facts, allow) if one.stops]


def test_nothing_stands_in_the_way_of_a_good_stack() -> None:
    assert list(examine(GOOD)) == []


# The last versions that send timestamps as numbers, with an SDK that works with them.
BEFORE_TEXT = {"old": "4.26.0", "new": "4.27.0", "sdk": "4.18.0"}


@pytest.mark.parametrize(
    ("change", "expected", "fix"),
    [
        ({"new": "4.58.0"}, "downgrade", "make rollback"),
        ({"old": "2.95.0"}, "major", "the last release of 3 first"),
        ({"new": "5.0.0"}, "major", "git pull"),
        ({"old": "3.100.0", "write_mode": "dual"}, "last-release", "make upgrade TO=3.224.1"),
        ({"old": "3.224.1"}, "write-mode", "dual"),
        ({"old": ""}, "version", "TO="),
        ({"levels": None}, "migrations", "make doctor"),
        ({"levels": Levels(433, 47, dirty=True)}, "dirty", "make repair-migration"),
        ({"levels": Levels(433, 46, unfinished=("2026_x",))}, "unfinished", "make repair-migration"),
        ({"levels": Levels(433, 46, background=("backfill",))}, "background", "wait for them"),
        ({"levels": Levels(433, 46, background_failed=("backfill",))}, "background", "retry"),
        ({"clickhouse": "25.8.1.1"}, "clickhouse", "upgrade.md"),
        ({**BEFORE_TEXT, "clickhouse": "26.8.1.2041"}, "clickhouse", "upgrade.md"),
        ({"postgres": 14}, "postgres", "upgrade.md"),
        ({"old": "4.16.0", "new": "4.17.0"}, "sdk", "TO=4.59.0"),
        ({"sick": ("valkey is exited",)}, "health", "make doctor"),
        ({"images": "1 of 9 images are neither here nor to be pulled"}, "images", "repeat"),
        ({"free_bytes": GIB}, "disk", "docker system df"),
    ],
)
def test_each_stop_is_seen_and_says_what_to_do(change: dict[str, Any], expected: str, fix: str) -> None:
    facts = replace(GOOD, **change)
    found = {one.id: one for one in examine(facts)}
    assert found[expected].stops
    assert fix in found[expected].fix


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"levels": Levels(433, 46, background=("backfill",))}, "background"),
        ({**BEFORE_TEXT, "clickhouse": "26.8.1.2041"}, "clickhouse"),
        ({"old": "4.16.0", "new": "4.17.0"}, "sdk"),
        ({"free_bytes": GIB}, "disk"),
        ({"old": "3.224.1", "write_mode": "events_only"}, "write-mode"),
    ],
)
def test_some_can_be_allowed_and_say_how(change: dict[str, Any], name: str) -> None:
    facts = replace(GOOD, **change)
    assert stops(facts) == [name]
    assert f"ALLOW={name}" in examine(facts)[0].line()
    assert name in ALLOWABLE
    assert stops(facts, name) == []
    assert [one.id for one in examine(facts, [name])] == [name], "it is still shown"
    assert stops(facts, "zeus") == [name]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"new": "4.58.0"}, "downgrade"),
        ({"new": "5.0.0"}, "major"),
        ({"levels": Levels(433, 47, dirty=True)}, "dirty"),
        ({"levels": Levels(433, 46, background_failed=("backfill",))}, "background"),
        ({"clickhouse": "25.8.1.1"}, "clickhouse"),
        ({"sick": ("valkey is exited",)}, "health"),
    ],
)
def test_others_cannot_be_allowed(change: dict[str, Any], name: str) -> None:
    facts = replace(GOOD, **change)
    assert name in stops(facts, name)
    assert "ALLOW" not in examine(facts)[0].line()


def test_background_migrations_have_to_be_finished_before_a_next_major() -> None:
    levels = Levels(433, 46, background=("backfill",))
    facts = replace(GOOD, old="3.224.1", write_mode="dual", levels=levels)
    assert stops(facts, "background") == ["background"]


def test_a_new_major_needs_room_for_three_more_copies() -> None:
    within = replace(GOOD, data_bytes=20 * GIB, free_bytes=50 * GIB)
    across = replace(within, old="3.224.1", write_mode="dual")
    assert stops(within) == []
    assert stops(across) == ["disk"]


def test_stand_ins_and_unknown_sdks_are_not_judged() -> None:
    assert stops(replace(GOOD, clickhouse="", postgres=0, sdk="")) == []
    assert stops(replace(GOOD, sdk="9.0.0")) == []


def test_a_lock_of_images_is_a_note_only() -> None:
    findings = examine(replace(GOOD, locked=True))
    assert [(one.id, one.stops) for one in findings] == [("images-lock", False)]


def test_a_patch_with_its_levels_reads_as_text() -> None:
    assert str(Levels(433, 46, dirty=True)) == "PostgreSQL 433 migrations, ClickHouse 46 (dirty)"
