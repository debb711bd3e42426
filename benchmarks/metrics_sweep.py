"""Every metrics query there is a word for: each aggregation of each measure, each dimension, each filter.

    python -m benchmarks.metrics_sweep [--rows 1000000] [--slowest 5]

The queries are made from the views themselves, so a new measure or dimension is measured too. Rows are those
of `benchmarks.metrics`, with a score on every tenth.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from langfuse_embedded.metrics.model import GRANULARITIES
from langfuse_embedded.metrics.views import VIEWS
from tests.embedded.harness import RunningEngine

from .metrics import ask, feed, seed

Query = dict[str, Any]
_COUNT = {"measure": "count", "aggregation": "count"}
_TOP = {"orderBy": [{"field": "count_count", "direction": "desc"}], "config": {"row_limit": 10}}


def queries() -> Iterator[tuple[str, Query]]:
    """Yield a name and a query for every aggregation, dimension, granularity and filter of every view."""
    for view_name, view in VIEWS.items():
        for measure_name, measure in view.measures.items():
            for aggregation in measure.aggregations:
                metric = {"measure": measure_name, "aggregation": aggregation}
                yield f"{view_name}: {aggregation} of {measure_name}", _query(view_name, metric)
        for dimension in view.dimensions:
            grouped = {"dimensions": [{"field": dimension}], **_TOP}
            yield f"{view_name}: count by {dimension}", _query(view_name, _COUNT, **grouped)
        for granularity in GRANULARITIES:
            bucketed = {"timeDimension": {"granularity": granularity}}
            yield f"{view_name}: count by {granularity}", _query(view_name, _COUNT, **bucketed)
    for condition in _conditions():
        name = f"filter {condition['type']} {condition['operator']} on {condition['column']}"
        yield f"observations: {name}", _query("observations", _COUNT, filters=[condition])
    yield (
        "observations: histogram of latency by traceName and day",
        _query(
            "observations",
            {"measure": "latency", "aggregation": "histogram"},
            dimensions=[{"field": "traceName"}],
            timeDimension={"granularity": "day"},
        ),
    )


def _query(view: str, metric: Query, **more: Any) -> Query:
    return {"view": view, "metrics": [metric], **more}


def _conditions() -> Iterator[Query]:
    for operator in ("=", "contains", "does not contain", "starts with", "ends with"):
        yield {"column": "userId", "type": "string", "operator": operator, "value": "user-1"}
        yield {"column": "usageType", "type": "string", "operator": operator, "value": "input"}
        yield {
            "column": "metadata",
            "type": "stringObject",
            "key": "tier",
            "operator": operator,
            "value": "g",
        }
    for operator in ("any of", "none of"):
        yield {"column": "name", "type": "stringOptions", "operator": operator, "value": ["step-1", "step-2"]}
    for operator in ("any of", "none of", "all of"):
        yield {"column": "tags", "type": "arrayOptions", "operator": operator, "value": ["alpha"]}
        yield {"column": "toolNames", "type": "arrayOptions", "operator": operator, "value": ["alpha"]}
    for operator in (">", "<", ">=", "<="):
        moment = "2026-01-15T00:00:00Z"
        yield {"column": "start_time", "type": "datetime", "operator": operator, "value": moment}
    for operator in ("=", "<>"):
        yield {"column": "isRootObservation", "type": "boolean", "operator": operator, "value": True}
    for operator in ("is null", "is not null"):
        yield {"column": "sessionId", "type": "null", "operator": operator, "value": ""}


def main() -> None:
    """Measure and print the slowest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=5, help="answers a query (default: %(default)s)")
    parser.add_argument("--slowest", type=int, default=5, help="how many to print (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-sweep-") as folder:
        data_dir = Path(folder) / "data"
        data_dir.mkdir()
        seed(data_dir, arguments.rows)
        feed(data_dir)
        engine = RunningEngine(data_dir).start()
        try:
            taken = {
                name: ask(engine.client, query, arguments.times, may_be_empty=True)
                for name, query in queries()
            }
        finally:
            engine.stop()
    medians = {name: statistics.median(times) for name, times in taken.items()}
    table = Table("query", "p50 ms", title=f"{len(medians)} queries over {arguments.rows:,} observations")
    for name in sorted(medians, key=medians.__getitem__, reverse=True)[: arguments.slowest]:
        table.add_row(name, f"{medians[name]:,.0f}")
    table.add_section()
    table.add_row("median of all", f"{statistics.median(medians.values()):,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
