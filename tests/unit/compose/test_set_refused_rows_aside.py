"""The file that sets aside rows that ClickHouse refuses, in Node itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.check.doctor.sources.logs import find

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "config" / "langfuse" / "set-refused-rows-aside.cjs"
# The shape of worker/src/services/ClickhouseWriter/index.ts, compiled, over a ClickHouse that refuses inserts
# with a row in them whose `is` names an error, and is away as often as AWAY says.
WRITER = """
exports.inserts = [];
let away = Number(process.env.AWAY ?? 0);
let late = 0;
class ClickhouseWriter {
  async writeToClickhouse(params) {
    const rows = params.records;
    if (rows.length < 4 && away-- > 0) throw new Error("socket hang up");
    const bad = rows.find((row) => row.is);
    if (bad && !(rows.length === 1 && bad.id === process.env.LATE && ++late > 1)) {
      const error = new Error(`Code: 407. DB::Exception: no: (at row 1). (${bad.is}) (version 26.3.1.1)`);
      throw Object.assign(error, process.env.TYPED ? { type: bad.is } : {});
    }
    exports.inserts.push([params.table, ...rows.map((row) => row.id)]);
  }
}
exports.ClickhouseWriter = ClickhouseWriter;
"""
MAIN = """
const { ClickhouseWriter, inserts } = require("../services/ClickhouseWriter");
const records = JSON.parse(process.env.RECORDS);
const writer = new ClickhouseWriter();
(async () => {
  const errors = [];
  for (let flush = 0; flush < Number(process.env.FLUSHES ?? 1); flush++)
    try { await writer.writeToClickhouse({ table: "events_full", records }); }
    catch (error) { errors.push(error.message); }
  console.log(JSON.stringify({ inserts, errors }));
})();
"""
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="needs Node")


def rows(count: int, **refused: str) -> list[dict[str, str]]:
    """Return rows with the ids r0, r1, ...; `refused` names the error that ClickHouse refuses a row with."""
    found = [{"id": f"r{number}", "project_id": "kosmos", "trace_id": "a1"} for number in range(count)]
    return [{**row, "is": refused[row["id"]]} if row["id"] in refused else row for row in found]


def written(directory: Path, records: list[dict[str, str]], **variables: str) -> tuple[list[str], Any, str]:
    """Return the ids that were inserted, the errors that the worker saw, and the log."""
    for name, text in (("services/ClickhouseWriter/index.js", WRITER), ("queues/main.js", MAIN)):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    environment = {
        **os.environ,
        "NODE_OPTIONS": f"--require={FILE}",
        "RECORDS": json.dumps(records),
        **variables,
    }
    done = subprocess.run(
        [str(NODE), str(directory / "queues" / "main.js")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    said = json.loads(done.stdout)
    assert {one[0] for one in said["inserts"]} <= {"events_full"}
    return [name for one in said["inserts"] for name in one[1:]], said["errors"], done.stderr


@pytest.mark.parametrize(
    "error", ["DECIMAL_OVERFLOW", "VIOLATED_CONSTRAINT", "INCORRECT_DATA", "CANNOT_PARSE_DATE"]
)
@pytest.mark.parametrize("typed", ["1", ""])
def test_the_row_at_fault_is_named_and_all_others_are_stored_once(
    tmp_path: Path, error: str, typed: str
) -> None:
    stored, errors, log = written(tmp_path, rows(1000, r417=error), TYPED=typed)
    assert sorted(stored) == sorted(f"r{number}" for number in range(1000) if number != 417)
    assert errors == []
    assert '[{"project_id":"kosmos","trace_id":"a1","id":"r417"}]' in log
    assert len(find({"langfuse-worker": log})["refused"]) == 1


def test_several_rows_at_fault_hold_up_none(tmp_path: Path) -> None:
    refused = {f"r{number}": "DECIMAL_OVERFLOW" for number in range(0, 60, 3)}
    stored, errors, log = written(tmp_path, rows(60, **refused))
    assert sorted(stored) == sorted(f"r{number}" for number in range(60) if number % 3)
    assert errors == []
    assert "refuses 20 events_full record(s)" in log


@pytest.mark.parametrize("count", [1, 5, 1000])
def test_where_every_row_is_refused_none_is_given_up(tmp_path: Path, count: int) -> None:
    """As with a ClickHouse that does not fit the server: the worker goes on trying."""
    refused = {f"r{number}": "DECIMAL_OVERFLOW" for number in range(count)}
    stored, errors, log = written(tmp_path, rows(count, **refused))
    assert (stored, len(errors), log) == ([], 1, "")


@pytest.mark.parametrize(
    "error", ["MEMORY_LIMIT_EXCEEDED", "TOO_MANY_PARTS", "TABLE_IS_READ_ONLY", "UNKNOWN_TABLE"]
)
def test_what_no_row_is_to_blame_for_is_left_to_the_worker(tmp_path: Path, error: str) -> None:
    stored, errors, log = written(tmp_path, rows(8, r3=error))
    assert (stored, log) == ([], "")
    assert error in errors[0]


def test_what_was_stored_before_clickhouse_went_away_is_not_stored_again(tmp_path: Path) -> None:
    stored, errors, _ = written(tmp_path, rows(8, r0="DECIMAL_OVERFLOW"), AWAY="1", FLUSHES="2")
    assert errors == ["socket hang up"]
    assert sorted(stored) == [f"r{number}" for number in range(1, 8)]


def test_a_row_that_is_taken_when_it_is_sent_again_alone_is_not_set_aside(tmp_path: Path) -> None:
    """ClickHouse joins the inserts of several workers: the row at fault was another one's."""
    stored, errors, log = written(tmp_path, rows(4, r1="DECIMAL_OVERFLOW", r2="DECIMAL_OVERFLOW"), LATE="r1")
    assert "r1" in stored
    assert errors == []
    assert '"id":"r2"' in log


def test_compose_mounts_the_file_where_node_looks_for_it() -> None:
    worker = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["langfuse-worker"]
    (mount,) = [
        one for one in worker["volumes"] if isinstance(one, dict) and one["source"].endswith(FILE.name)
    ]
    assert f"--require={mount['target']}" in worker["environment"]["NODE_OPTIONS"].split()
    assert mount["read_only"]
