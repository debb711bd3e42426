"""Where the engine answers differently from the recorded server on purpose, each with its reason.

One table for all suites that compare with recordings or vectors. An entry that no longer differs makes its
suite fail, so that the table cannot outlive its reasons.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accepted:
    """One difference: the suite, the case as the suite names it, and why the engine differs."""

    suite: str
    case: str
    reason: str


_NUL_IS_TEXT = (
    "PostgreSQL cannot store U+0000, so the server answers 500; SQLite can, and a 500 is no contract"
)

_CLIPPED = "The server clips costs at 999,999.999999 USD and units at 64 bits; the engine keeps the costs"
_KEPT = "The server loses what is under this key; the engine keeps it"
_NOT_IN_ITS_LIST = "The maintained price list knows this model name, the recorded server's own list does not"
_PRICE_CHANGED = "The maker changed the price after the recorded server was released"
_TIER_SOLD = "The maker charges another rate here, which the recorded server's own list does not know"
_KIND_PRICED = "The maintained price list has a price for these units, that of the recorded server has none"
_PRICES_DIFFER = "The two price lists disagree about an old model; the maintained one counts"
_NO_DNS = "The server looked the host name up, without a network; the engine calls nobody and asks no DNS"
_ANY_SPAN = "The server shows the description of any span, here of one without; the engine that of one with"

_AT_ONCE = "The server was still writing what other tests sent at the same time, or requests that were cut"
_IN_FLIGHT = "Requests in flight at the same time created the items; the replay sends one after another"

_NO_MCP = "The engine has no MCP endpoint and says so: 501"
_NO_ORDER = "Observations of one moment have no order; a name that was left out is null"

_OBSERVATIONS = "GET /api/public/v2/observations"

ACCEPTED = (
    Accepted("score_validation", "array_body", "Servers from 4.59 on, and SDK 5, take lists of scores"),
    Accepted("pricing", "builtin/gpt-5-codex", _NOT_IN_ITS_LIST),
    Accepted("pricing", "builtin/openai/text-embedding-3-small", _NOT_IN_ITS_LIST),
    Accepted("pricing", "builtin/ft:gpt-4o-mini-2024-07-18:org::abc", _NOT_IN_ITS_LIST),
    Accepted("pricing", "builtin/gemini-2.5-flash-preview-09-2025", _NOT_IN_ITS_LIST),
    Accepted("pricing", "builtin/gpt-5.6-sol", _PRICE_CHANGED),
    Accepted("pricing", "tier/gpt-5.6-sol_service_fast", _PRICE_CHANGED),
    Accepted("pricing", "tier/gpt-5.6-sol_service_priority", _PRICE_CHANGED),
    Accepted("pricing", "tier/gpt-5.6-sol_service_None", _PRICE_CHANGED),
    Accepted("pricing", "tier/gpt-5.6-sol_service_flex", _TIER_SOLD),
    Accepted("pricing", "tier/gpt-5.5_service_flex", _TIER_SOLD),
    Accepted("pricing", "tier/claude-sonnet-4-5_200001", _TIER_SOLD),
    Accepted("pricing", "tier/claude-sonnet-4-5_cached", _TIER_SOLD),
    Accepted("pricing", "tier/claude-sonnet-4-5_272001", _TIER_SOLD),
    Accepted("pricing", "builtin/gpt-4o-realtime-preview", _KIND_PRICED),
    Accepted("pricing", "builtin/gemini-1.5-flash", _KIND_PRICED),
    Accepted("pricing", "builtin/ft:gpt-3.5-turbo-0613:org::abc", _PRICES_DIFFER),
    Accepted("pricing", "builtin/gemini-1.5-pro-latest", _PRICES_DIFFER),
    Accepted("prompt_validation", "name/nul", _NUL_IS_TEXT),
    Accepted("otel_mapping_api", "metadata/proto_key", _KEPT),
    Accepted("otel_mapping_api", "io/traceloop_prefix_only", _KEPT),
    Accepted("otel_mapping_api", "cost/usage_1e20", _CLIPPED),
    Accepted("otel_mapping_api", "cost/usage_computed_1e6", _CLIPPED),
    Accepted("otel_mapping", "metadata/proto_key", _KEPT),
    Accepted("otel_mapping", "io/traceloop_prefix_only", _KEPT),
    Accepted(
        "otel_mapping",
        "cost/usage_1e20",
        "Units beyond 64 bits wrap around in the server's store; the engine keeps the largest number",
    ),
    Accepted(
        "otel_mapping",
        "environment/internal_keeps_prefix",
        "Only the server's own telemetry keeps the reserved prefix; no request can",
    ),
    Accepted(
        "raw_events_only",
        f"54 {_OBSERVATIONS}",
        "The export is malformed (a `stringValue` that is an object): the engine stores its JSON text",
    ),
    Accepted("raw_events_only", "225 PUT /api/public/llm-connections", _NO_DNS),
    Accepted("raw_events_only", "226 GET /api/public/llm-connections", _NO_DNS),
    Accepted(
        "raw_events_only",
        "264 GET /api/admin/bullmq",
        "Counts of jobs in the server's own queues; the engine commits before it answers and has no jobs",
    ),
    Accepted(
        "sdk5_events_only",
        f"24 {_OBSERVATIONS}",
        "Read before the server had written the span; the engine shows it at once",
    ),
    Accepted("sdk5_events_only", "88 GET /api/public/experiments", _ANY_SPAN),
    Accepted("sdk418_events_only", "95 GET /api/public/experiments", _ANY_SPAN),
    Accepted("edges_dual", "345 GET /api/public/traces/lt1", _NO_ORDER),
    Accepted("edges_dual", "385 GET /api/public/mcp", _NO_MCP),
    Accepted("edges_dual", "386 POST /api/public/mcp", _NO_MCP),
    Accepted("edges_dual", "391 GET /api/public/slack/install", "The engine has no Slack integration"),
    *(
        Accepted("python_sdk_e2e_dual", f"{number} GET /api/public/traces", _AT_ONCE)
        for number in (425, 426, 438, 447)
    ),
    Accepted(
        "python_sdk_e2e_dual",
        "80 GET /api/public/datasets/test-dataset-3ff050e2-03ff-490b-aad9-454762a79ac7/runs"
        "/Dataset Test 12f3f3da - 2026-11-21T02:28:16.023503Z",
        _IN_FLIGHT,
    ),
    Accepted("python_sdk_e2e_dual", "87 GET /api/public/dataset-run-items", _IN_FLIGHT),
)


def require_accepted(suite: str, differences: Mapping[str, object]) -> None:
    """Fail on differences of a suite that are not accepted, and on accepted ones that are gone."""
    unlike = differences.keys() ^ accepted_cases(suite).keys()
    assert not unlike, json.dumps(
        {name: differences.get(name, "no longer differs") for name in unlike}, indent=1
    )


def accepted_cases(suite: str) -> dict[str, str]:
    """Return the accepted cases of a suite with their reasons."""
    return {entry.case: entry.reason for entry in ACCEPTED if entry.suite == suite}
