"""For each alert of examples/kosmos/alerts.yaml: statistics with which it fires, and with which it is silent.

The values lie close to both sides of the threshold, so that a changed threshold is noticed. A key is an
aggregate as it stands in the condition. `count` is the number of samples; without it there are enough.
"""

from __future__ import annotations

from dataclasses import dataclass

Statistics = dict[str, float]


@dataclass(frozen=True, slots=True)
class Case:
    """Statistics on both sides of the threshold."""

    fires: tuple[Statistics, ...]
    silent: tuple[Statistics, ...]


CASES: dict[str, Case] = {
    "confidence_drop": Case(({"avg": 0.69},), ({"avg": 0.7},)),
    "high_confidence_share_low": Case(({"share": 0.59},), ({"share": 0.6}, {"share": 0.1, "count": 19})),
    "conformal_miscalibration": Case(({"avg": 0.96}, {"avg": 0.84}), ({"avg": 0.94}, {"avg": 0.86})),
    "conformal_coverage_outside": Case(({"avg": 0.86}, {"avg": 0.94}), ({"avg": 0.88}, {"avg": 0.92})),
    "single_source_share_high": Case(({"share": 0.31},), ({"share": 0.3}, {"share": 0.9, "count": 19})),
    "gap_fill_rate_low": Case(({"avg": 0.49},), ({"avg": 0.5}, {"avg": 0.1, "count": 9})),
    "gap_fill_turns_high": Case(({"avg": 5.1},), ({"avg": 5},)),
    "gap_type_rate_low": Case(({"avg": 0.29},), ({"avg": 0.3}, {"avg": 0, "count": 9})),
    "satisfaction_low": Case(({"avg": 3.4},), ({"avg": 3.5}, {"avg": 1, "count": 9})),
    "cost_spike": Case(({"sum": 60.1},), ({"sum": 60}, {"sum": 0, "count": 0})),
    "tokens_per_query_high": Case(
        ({"sum(tokens)": 20010, "count(traces)": 10},),
        ({"sum(tokens)": 20000, "count(traces)": 10}, {"sum(tokens)": 20000, "count(traces)": 0}),
    ),
    "cost_per_gap_fill_high": Case(
        ({"sum(llm_cost)": 1.01, "sum(gap_fill_success)": 10},),
        (
            {"sum(llm_cost)": 0.99, "sum(gap_fill_success)": 10},
            {"sum(llm_cost)": 5, "sum(gap_fill_success)": 0},
        ),
    ),
    "daily_budget_exceeded": Case(({"sum": 50.1},), ({"sum": 50},)),
    "daily_budget_projected": Case(({"projected": 50.1},), ({"projected": 50},)),
    "monthly_budget_exceeded": Case(({"sum": 1001},), ({"sum": 1000},)),
    "monthly_budget_projected": Case(({"projected": 1001},), ({"projected": 1000},)),
    "tts_latency_high": Case(({"p95": 801},), ({"p95": 800}, {"p95": 5000, "count": 9})),
    "voice_sla_missed": Case(({"share": 0.94},), ({"share": 0.95}, {"share": 0.1, "count": 19})),
    "agent_success_rate_low": Case(({"avg": 0.89},), ({"avg": 0.9}, {"avg": 0.1, "count": 9})),
    "agent_error_rate_high": Case(({"avg": 0.051},), ({"avg": 0.05}, {"avg": 0.9, "count": 19})),
    "agent_latency_high": Case(({"p95": 30.1},), ({"p95": 30}, {"p95": 99, "count": 19})),
    "error_rate_high": Case(({"avg": 0.101},), ({"avg": 0.1}, {"avg": 0.9, "count": 19})),
    "latency_sla_missed": Case(({"p95": 20.1},), ({"p95": 20}, {"p95": 99, "count": 19})),
}
