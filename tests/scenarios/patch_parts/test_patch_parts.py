"""Updates and deletes that ClickHouse has in patch parts are in a backup: BACKUP leaves those out."""

from __future__ import annotations

from scripts.data.reconcile.replay import reconciler_of
from tests.scenarios.stack import Stack

# As the server updates and deletes with CLICKHOUSE_USE_LIGHTWEIGHT_UPDATE and its delete mode, on a table
# with the settings of events_full (migration 0039 of the server at 4.16.0).
STEPS = """
CREATE TABLE patched (id String, name String) ENGINE = ReplacingMergeTree ORDER BY id
    SETTINGS enable_block_number_column = 1, enable_block_offset_column = 1
INSERT INTO patched VALUES ('kept', 'old'), ('updated', 'old'), ('deleted', 'old')
UPDATE patched SET name = 'new' WHERE id = 'updated'
DELETE FROM patched WHERE id = 'deleted' SETTINGS lightweight_delete_mode = 'lightweight_update_force'
"""


def test_a_backup_has_what_is_only_in_patch_parts(shared: Stack) -> None:
    clickhouse = reconciler_of(shared.context, shared.context.settings()).clickhouse
    read = "SELECT id, name FROM {} ORDER BY id"
    for step in STEPS.replace("\n    ", " ").strip().splitlines():
        clickhouse.query(step)
    try:
        now = clickhouse.rows(read.format("patched"))
        assert now == [{"id": "kept", "name": "old"}, {"id": "updated", "name": "new"}]
        assert clickhouse.patched() == ["patched"]
        clickhouse.back_up("with-patches")
        assert clickhouse.patched() == []
        place = "FROM Disk('backups', 'with-patches')"
        clickhouse.query(
            f"RESTORE TABLE {clickhouse.database}.patched AS {clickhouse.database}.restored {place}"
        )
        assert clickhouse.rows(read.format("restored")) == now
    finally:
        for table in ("patched", "restored"):
            clickhouse.query(f"DROP TABLE IF EXISTS {table} SYNC")
        clickhouse.remove("with-patches")
