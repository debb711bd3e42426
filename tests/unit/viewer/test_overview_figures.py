"""The overview draws what any server's Metrics API answers, and its command says what it cannot use."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest

from langfuse_embedded.errors import EngineError
from langfuse_embedded.viewer.charts import Series, lines
from langfuse_embedded.viewer.overview_figures import Range, figures, questions
from langfuse_embedded.viewer.overview_file import write_page, write_questions

DAYS = ("2026-01-01", "2026-01-02")
RANGE = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-03T00:00:00Z"}


def row(count: Any, cost: Any, **more: Any) -> dict[str, Any]:
    return {
        "count_count": count,
        "sum_totalCost": cost,
        "sum_totalTokens": 10,
        "p50_latency": 5.0,
        "p95_latency": None,
        **more,
    }


def answers(number: Any = float) -> dict[str, list[dict[str, Any]]]:
    """Return answers in which `number` writes the amounts: some servers write them as texts."""
    models = [f"model-{place}" for place in range(7)]
    return {
        "total": [row(number(9), number(28.5), uniq_traceId=number(3), uniq_uniqueUserIds=number(2))],
        "over_time": [
            row(number(5), number(28.5), time_dimension=DAYS[0]),
            row(0, 0, time_dimension=DAYS[1]),
        ],
        "errors": [{"time_dimension": DAYS[0], "count_count": number(2)}],
        "models": [
            row(number(1), number(7 - place), providedModelName=name) for place, name in enumerate(models)
        ]
        + [row(2, 0.5, providedModelName=None)],
        # The last ones are cut off: an answer has an end.
        "cost_by_model": [
            {"time_dimension": DAYS[0], "providedModelName": name, "sum_totalCost": number(7 - place)}
            for place, name in enumerate(models[:6])
        ],
        "scores": [{"name": "quality", "count_count": number(4), "avg_value": 0.5}],
        "score_trends": [
            {"time_dimension": DAYS[1], "name": "quality", "count_count": number(4), "avg_value": 0.5},
            {"time_dimension": DAYS[0], "name": "quality", "count_count": 0, "avg_value": None},
        ],
    }


def test_numbers_that_a_server_writes_as_texts_are_numbers() -> None:
    assert figures(answers(str)) == figures(answers())


def test_what_no_named_model_cost_is_drawn_as_others() -> None:
    [(_, _, costs), *_] = figures(answers())["charts"]
    drawn = {one.name: list(one.values) for one in costs.series}
    assert drawn.pop("others") == [pytest.approx(28.5 - 27), 0]
    assert drawn == {f"model-{place}": [7 - place, 0] for place in range(6)}


def test_what_adding_up_leaves_is_no_cost_of_others() -> None:
    given = answers()
    given["models"] = given["models"][:3]
    given["cost_by_model"] = [
        {"time_dimension": DAYS[0], "providedModelName": f"model-{place}", "sum_totalCost": 0.1}
        for place in range(3)
    ]
    given["over_time"][0]["sum_totalCost"] = 0.3
    [(_, _, costs), *_] = figures(given)["charts"]
    assert [one.name for one in costs.series] == ["model-0", "model-1", "model-2"]


def test_errors_and_the_rest_are_all_observations() -> None:
    shown = figures(answers())
    assert shown["errors"] == 2
    fine, failed = shown["charts"][3][2].series
    assert (list(fine.values), list(failed.values)) == ([3, 0], [2, 0])


def test_a_score_is_drawn_where_it_was_given() -> None:
    [(name, chart)] = figures(answers())["trends"]
    assert (name, list(chart.series[0].values)) == ("quality", [None, 0.5])
    assert chart.lines == ["M75.0 50.0 h0.01"]


def test_a_fitted_line_goes_from_the_lowest_to_the_highest_value() -> None:
    chart = lines(DAYS, [Series("quality", [-2.0, 6.0])], is_fitted=True)
    assert (chart.bottom, chart.top, chart.lines) == (-2.0, 6.0, ["M25.0 100.0 L75.0 0.0 h0.01"])


@pytest.mark.parametrize(("days", "granularity"), [(3, "hour"), (4, "day"), (92, "day"), (93, "week")])
def test_charts_have_as_many_buckets_as_can_be_told_apart(days: int, granularity: str) -> None:
    asked = questions(Range(0, days * 86_400_000), {"observations": [], "scores-numeric": []})
    assert {one["timeDimension"]["granularity"] for one in asked.values() if "timeDimension" in one} == {
        granularity
    }


def test_the_command_asks_without_what_it_is_told_to_leave_out() -> None:
    for given, left_out in (({}, "sdk-experiment"), ({"without": ["load-test"]}, "load-test")):
        out = io.StringIO()
        write_questions(io.StringIO(json.dumps({**RANGE, **given})), out)
        for document in json.loads(out.getvalue()).values():
            assert left_out in document["filters"][0]["value"]
    out = io.StringIO()
    write_questions(io.StringIO(json.dumps({**RANGE, "without": []})), out)
    assert json.loads(out.getvalue())["total"]["filters"] == []


def test_names_cannot_break_out_of_the_page() -> None:
    hostile = "</style><script>alert(1)</script>"
    given = answers()
    given["models"][0]["providedModelName"] = given["scores"][0]["name"] = hostile
    table = {"title": hostile, "heads": [hostile], "rows": [[hostile]]}
    alert = {"name": hostile, "state": "firing", "severity": "info", "condition": hostile, "window": hostile}
    told = {"at": RANGE["to"], "alerts": [{**alert, "runbook": "javascript:alert(1)"}]}
    section = {**RANGE, "name": hostile, "without": [hostile], "answers": given, "tables": [table]}
    out = io.StringIO()
    page = {"title": hostile, "note": hostile, "sections": [{**section, "alerts": told}]}
    write_page(io.StringIO(json.dumps(page)), out)
    assert "<script" not in out.getvalue()
    assert out.getvalue().count("</style>") == 1
    assert not re.search(r'(src|href)="[^#]', out.getvalue())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"from": "today", "to": "now"}', '{"from": 1, "to": 2}'])
def test_what_cannot_be_used_is_refused(text: str) -> None:
    for write in (write_questions, write_page):
        with pytest.raises(EngineError, match="what is on standard input cannot be used"):
            write(io.StringIO(text), io.StringIO())
