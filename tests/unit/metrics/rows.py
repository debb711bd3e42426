"""A projection in memory with a handful of rows, and queries over them."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import duckdb

from langfuse_embedded import store
from langfuse_embedded.metrics.checks import check_cardinality
from langfuse_embedded.metrics.compiler import compile_query
from langfuse_embedded.metrics.query import MetricsQuery, query_shape
from langfuse_embedded.metrics.result import present
from langfuse_embedded.metrics.views import VIEWS

SECOND = 1000
DAY = 86_400 * SECOND
START = 1_767_225_600_000  # Thursday, 2026-01-01
PROJECT = 7

_OBSERVATION = {
    "seq": 0,
    "project": PROJECT,
    "id": "",
    "trace_id": "t1",
    "parent_id": "",
    "is_root": True,
    "start_time": START,
    "end_time": None,
    "completion_start_time": None,
    "name": "step",
    "type": "SPAN",
    "level": "DEFAULT",
    "version": "",
    "release": "",
    "environment": "default",
    "user_id": "",
    "session_id": "",
    "trace_name": "",
    "tags": [],
    "model": "",
    "prompt_name": "",
    "prompt_version": None,
    "input_tokens": 0,
    "output_tokens": 0,
    "total_tokens": 0,
    "input_cost": 0.0,
    "output_cost": 0.0,
    "total_cost": 0.0,
    "usage_types": [],
    "usage_values": [],
    "cost_types": [],
    "cost_values": [],
    "tool_names": [],
    "called_tool_names": [],
    "experiment_id": "",
    "experiment_name": "",
    "experiment_dataset_id": "",
}
_SCORE = {
    "seq": 0,
    "project": PROJECT,
    "id": "",
    "timestamp": START,
    "name": "quality",
    "environment": "default",
    "source": "API",
    "data_type": "NUMERIC",
    "value": 0.0,
    "string_value": None,
    "trace_id": None,
    "observation_id": None,
    "session_id": None,
    "experiment_id": None,
    "config_id": None,
}


class Rows:
    """Tables in memory: add rows with what matters, ask as a client does."""

    def __init__(self) -> None:
        self.db = duckdb.connect()
        schema = resources.files(store).joinpath("projection", "schema.sql").read_text("utf-8")
        self.db.execute(schema)
        self._last = 0

    def observation(self, **values: Any) -> None:
        """Add an observation; its id is its number unless given."""
        self._add("observations", {**_OBSERVATION, "id": f"o{self._last + 1}", **values})

    def score(self, **values: Any) -> None:
        """Add a score; its id is its number unless given."""
        self._add("scores", {**_SCORE, "id": f"s{self._last + 1}", **values})

    def metadata(self, **values: str) -> None:
        """Give the last observation metadata."""
        self.db.execute(
            "insert into observation_metadata values (?, ?, ?)",
            (self._last, list(values), list(values.values())),
        )

    def _add(self, table: str, row: dict[str, Any]) -> None:
        self._last += 1
        values = {**row, "seq": self._last}
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        self.db.execute(
            f"insert into {table} ({names}) values ({marks})",  # noqa: S608  both are ours
            list(values.values()),
        )

    def ask(self, **query: Any) -> list[dict[str, Any]]:
        """Return the rows of a query over the first ten days."""
        parsed = parse(**query)
        view = VIEWS[parsed.view]
        check_cardinality(parsed, view)
        statement = compile_query(parsed, view, PROJECT, 100)
        return present(parsed, statement, self.db.execute(statement.sql, statement.values).fetchall())


def parse(**query: Any) -> MetricsQuery:
    """Return a query, by default one that counts observations; `by` and `measure` are short forms."""
    document = {
        "view": "observations",
        "metrics": [metric(*query.pop("measure", ("count", "count")))],
        "dimensions": [{"field": name} for name in query.pop("by", ())],
        "fromTimestamp": "2026-01-01T00:00:00Z",
        "toTimestamp": "2026-01-11T00:00:00Z",
        **query,
    }
    parsed: MetricsQuery = query_shape(tuple(VIEWS)).parse({"query": json.dumps(document)})["query"]
    return parsed


def metric(measure: str, aggregation: str) -> dict[str, str]:
    """Return a metric as clients write it."""
    return {"measure": measure, "aggregation": aggregation}
