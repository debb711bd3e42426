"""Which background migrations are to be waited for."""

from __future__ import annotations

import json

import pytest

from scripts.stores.background import BackgroundMigration, parse_rows

GATE = "LANGFUSE_BACKGROUND_MIGRATION_V4_ENABLE_HISTORIC_BACKFILL"


@pytest.mark.parametrize(
    ("change", "worker", "dormant"),
    [
        ({"gate": GATE}, {}, True),
        ({"gate": GATE}, {GATE: "false"}, True),
        ({"gate": GATE}, {GATE: "TRUE"}, True),
        ({"gate": GATE}, {GATE: "true"}, False),
        ({"gate": GATE, "claimed": True}, {}, False),
        ({"gate": GATE, "failed": True}, {}, False),
        ({"gate": "ANOTHER_NAME"}, {"ANOTHER_NAME": "true"}, True),
        ({"gate": None}, {}, False),
        ({"gate": 1}, {}, False),
        ({}, {}, False),
    ],
)
def test_a_migration_is_dormant_where_the_worker_never_runs_it(
    change: dict[str, object], worker: dict[str, str], *, dormant: bool
) -> None:
    row = {"name": "backfill", "failed": False, "reason": None, "claimed": False, "gate": None} | change
    assert BackgroundMigration.of(row).dormant(worker) is dormant


def test_rows_are_read_from_what_psql_prints() -> None:
    row = {"name": "a", "failed": True, "reason": "no room", "claimed": True, "gate": None}
    assert parse_rows(f"{json.dumps(row)}\n") == [
        BackgroundMigration("a", failed=True, reason="no room", claimed=True)
    ]
    assert parse_rows("") == []
