"""Write a report as files for programs: one JSON document, and CSV with one row for each number's subject."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any

from scripts.core.outside import csv_cell

from .model import Report


def json_of(report: Report) -> str:
    """Return the whole report; times in ISO 8601, names as in `model`."""
    return json.dumps(asdict(report), default=_text, indent=2, ensure_ascii=False) + "\n"


def csv_files(report: Report) -> dict[str, str]:
    """Return the contents of the CSV files by name."""
    costs = [
        (window.days, by, *_values(cost))
        for window in report.windows
        for by, own in window.costs.items()
        for cost in own
    ]
    latencies = [
        (window.days, by, *_values(latency))
        for window in report.windows
        for by, own in window.latencies.items()
        for latency in own
    ]
    return {
        "cost.csv": _csv(("days", "by", "name", "cost_usd", "tokens", "input_tokens", "calls"), costs),
        "agents.csv": _csv(
            (
                *("days", "name", "runs", "success_rate", "quality"),
                *("cost_usd", "cost_per_run_usd", "tokens", "input_share"),
            ),
            [(window.days, *_values(one)) for window in report.windows for one in window.agents],
        ),
        "latency.csv": _csv(
            ("days", "by", "name", "count", "p50_s", "p95_s", "p99_s", "error_rate"), latencies
        ),
        "scores.csv": _csv(
            ("days", "name", "count", "average"),
            [(window.days, *_values(one)) for window in report.windows for one in window.averages],
        ),
        "categories.csv": _csv(
            ("days", "name", "value", "count", "share"),
            [(window.days, *_values(one)) for window in report.windows for one in window.categories],
        ),
        "daily-cost.csv": _csv(("date", "cost_usd"), [(day.date, day.cost) for day in report.days]),
        "score-trends.csv": _csv(
            ("name", "date", "count", "average"),
            [(name, *_values(point)) for name, points in report.trends.items() for point in points],
        ),
    }


def _csv(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows([csv_cell(value) if isinstance(value, str) else value for value in row] for row in rows)
    return out.getvalue()


def _values(thing: Any) -> tuple[Any, ...]:
    assert is_dataclass(thing)  # noqa: S101 - told to the type checker
    return tuple(getattr(thing, field) for field in thing.__dataclass_fields__)


def _text(value: datetime) -> str:
    return value.isoformat()
