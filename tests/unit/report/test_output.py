"""What a report looks like: numbers as texts, tables, cells of CSV files."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest

from scripts.watch.report.files import csv_files
from scripts.watch.report.model import Average, Cost, Day, Fixed, Latency, Point, Projection, Report, Window
from scripts.watch.report.tables import cost_table, lines_of, score_table, tables_of
from scripts.watch.table import Table, number, percent, usd

NOW = datetime(2026, 1, 31, 15, tzinfo=UTC)


def a_window(days: int, *costs: Cost, averages: tuple[Average, ...] = ()) -> Window:
    by = {group: [*costs] for group in ("model", "agent", "user", "task")}
    latency = [Latency(cost.name, 3, 0.1, 0.2, 0.4, 0.5) for cost in costs]
    return Window(days, NOW, by, [], {"task": latency, "agent": [], "model": latency}, [*averages], [])


def a_report(name: str = "gpt-4o") -> Report:
    total = Cost("total", 3.0, 30, 0, 3)
    return Report(
        project="kosmos",
        taken=NOW,
        windows=[
            a_window(7, total),
            a_window(30, Cost(name, 3.0, 30, 0, 3), total, averages=(Average(name, 2, 0.5),)),
        ],
        days=[Day("2026-01-30", 2.0, {name: 2.0}), Day("2026-01-31", 1.0, {})],
        projection=Projection(2.0, 1, 3.0, 3.75, 60.0, 730.0),
        fixed=Fixed(20.0, 0.5),
        trends={name: [Point("2026-01-30", 1, 0.25), Point("2026-01-31", 1, 0.75)]},
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0.00"),
        (1234.5, "1,234.50"),
        (0.5, "0.5000"),
        (0.01234, "0.0123"),
        (0.0000123, "0.000012"),
        (1e-9, "0.000000001"),
    ],
)
def test_amounts_show_what_matters(value: float | None, text: str) -> None:
    assert usd(value) == text


def test_what_is_unknown_is_a_dash() -> None:
    assert (number(None), percent(None), number(0.123456), percent(0.1234)) == ("-", "-", "0.1235", "12.3 %")


def test_tables_align_names_left_and_numbers_right() -> None:
    table = Table("T", ("model", "USD"), [("gpt-4o", "10.00"), ("a", "1.00")])
    assert lines_of(table) == ["model     USD", "gpt-4o  10.00", "a        1.00"]


def test_tables_without_rows_are_left_out() -> None:
    titles = [table.title for table in tables_of(a_report())]
    assert "Latency and errors by agent" not in titles
    assert "Categorical scores" not in titles
    assert titles[0] == "Cost"


def test_a_group_among_the_others_of_the_shorter_window_is_not_shown_as_free() -> None:
    total = Cost("total", 5.0, 1, 0, 1)
    long = a_window(30, Cost("zeus", 5.0, 1, 0, 1), total)
    with_others = cost_table("user", a_window(7, Cost("(other)", 1.0, 1, 0, 1), total), long)
    without = cost_table("user", a_window(7, total), long)
    assert (with_others.rows[0][2], without.rows[0][2]) == ("-", "0.00")


def test_a_score_that_came_to_an_end_has_no_change() -> None:
    table = score_table(a_window(7), a_window(30, averages=(Average("quality", 4, 0.5),)))
    assert table.rows == [("quality", "0.5", "-", "-", "4", "0")]


def test_a_name_cannot_become_a_formula_in_a_spreadsheet() -> None:
    rows = list(csv.reader(io.StringIO(csv_files(a_report("=1+1"))["cost.csv"])))
    assert ["30", "model", "'=1+1", "3.0", "30", "0", "3"] in rows
    assert not any(cell.startswith("=") for row in rows for cell in row)
