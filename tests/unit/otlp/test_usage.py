"""Usage and cost: every spelling, what is taken out of sums, and what is not a number."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.otlp.spans import mapped, sdk


def _given(usage: Any) -> dict[str, int]:
    text = usage if isinstance(usage, str) else json.dumps(usage)
    return sdk({"langfuse.observation.usage_details": text, "gen_ai.usage.input_tokens": 9}).usage


@pytest.mark.parametrize(
    ("usage", "units"),
    [
        ({"input": 10, "output": 5}, {"input": 10, "output": 5, "total": 15}),
        ({"input": 10, "total": 12}, {"input": 10, "total": 12}),
        (
            {"input": "7 tokens", "output": 2.0, "x": 1.5, "y": -1, "z": True},
            {"input": 7, "output": 2, "total": 9},
        ),
        ({"x": None}, {}),
        ([1], {}),
        ("5", {}),
        ("{broken", {"input": 9, "total": 9}),
        ("", {"input": 9, "total": 9}),
        ({"input": 1e20}, {"input": 2**63 - 1, "total": 2**63 - 1}),
    ],
)
def test_explicit_usage_hides_the_conventions_unless_it_is_broken(usage: Any, units: dict[str, int]) -> None:
    assert _given(usage) == units


@pytest.mark.parametrize(
    ("usage", "units"),
    [
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": None},
                "completion_tokens_details": {"reasoning_tokens": 60},
            },
            {
                "input": 60,
                "output": 0,
                "total": 150,
                "input_cached_tokens": 40,
                "output_reasoning_tokens": 60,
            },
        ),
        (
            {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7, "input_tokens_details": None},
            {"input": 3, "output": 4, "total": 7},
        ),
        (
            {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "extra": 4},
            {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "extra": 4, "total": 10},
        ),
        (
            {"prompt_tokens": 1.5, "completion_tokens": 2, "total_tokens": 3},
            {"completion_tokens": 2, "total_tokens": 3, "total": 5},
        ),
    ],
)
def test_openai_shapes_are_translated_only_when_they_fit_exactly(usage: Any, units: dict[str, int]) -> None:
    assert _given(usage) == units


@pytest.mark.parametrize(
    ("attributes", "units"),
    [
        ({"gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.input_tokens": 4}, {"input": 5, "total": 5}),
        (
            {"llm.token_count.prompt": "6", "llm.token_count.completion": 2.0},
            {"input": 6, "output": 2, "total": 8},
        ),
        (
            {
                "gen_ai.usage.input_tokens": 10,
                "gen_ai.usage.cache_read_input_tokens": 4,
                "gen_ai.usage.cache_creation.input_tokens": 3,
            },
            {"input": 3, "input_cached_tokens": 4, "input_cache_creation": 3, "total": 10},
        ),
        (
            {"gen_ai.usage.output_tokens": 5, "llm.token_count.completion_details.reasoning": 9},
            {"output": 0, "output_reasoning_tokens": 9, "total": 9},
        ),
        ({"gen_ai.usage.details.images": 2}, {"images": 2, "total": 2}),
        ({"gen_ai.usage.input_tokens": "many"}, {}),
        ({"gen_ai.usage.input_tokens": "0x" + "f" * 400, "gen_ai.usage.cache_read_tokens": 0.5}, {}),
        ({"gen_ai.usage.input_tokens": ""}, {"input": 0, "total": 0}),
        ({"gen_ai.usage.cost": 3}, {}),
        ({"gen_ai.usage.input_tokens": 5, "gen_ai.operation.name": "invoke_agent"}, {}),
    ],
)
def test_token_counts_of_the_conventions(attributes: dict[str, Any], units: dict[str, int]) -> None:
    assert mapped(attributes).usage == units


def test_genkit_keeps_thoughts_apart() -> None:
    output = {"usage": {"inputTokens": 8, "outputTokens": 10, "thoughtsTokens": 4, "totalTokens": 18}}
    event = mapped({"genkit:output": json.dumps(output)}, scope="genkit-tracer")
    assert event.usage == {"input": 8, "output": 6, "total": 18, "output_reasoning": 4}


def test_google_adk_tells_cached_tokens_in_its_response() -> None:
    event = mapped(
        {
            "gcp.vertex.agent.llm_response": '{"usage_metadata":{"cached_content_token_count":30}}',
            "gen_ai.usage.input_tokens": 100,
        },
        scope="gcp.vertex.agent",
    )
    assert event.usage == {"input": 70, "input_cached_tokens": 30, "total": 100}


@pytest.mark.parametrize(
    ("metadata", "units"),
    [
        (
            {"openai": {"cachedPromptTokens": 4, "reasoningTokens": 1}},
            {"input": 6, "output": 4, "input_cached_tokens": 4, "output_reasoning_tokens": 1},
        ),
        (
            {
                "anthropic": {
                    "usage": {
                        "cache_creation_input_tokens": 5,
                        "cache_read_input_tokens": 1,
                        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
                    }
                }
            },
            {
                "input": 4,
                "output": 5,
                "input_cached_tokens": 1,
                "input_cache_creation": 0,
                "input_cache_creation_5m": 2,
                "input_cache_creation_1h": 3,
            },
        ),
        (
            {"bedrock": {"usage": {"cacheReadInputTokens": 2, "cacheWriteInputTokens": 0}}},
            {"input": 8, "output": 5, "input_cache_read": 2, "input_cache_write": 0},
        ),
        ({"other": 1}, {"input": 10, "output": 5}),
    ],
)
def test_the_ai_sdk_reads_provider_metadata(metadata: Any, units: dict[str, int]) -> None:
    event = mapped(
        {
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 5,
            "ai.response.providerMetadata": json.dumps(metadata),
        },
        scope="ai",
    )
    assert {kind: count for kind, count in event.usage.items() if kind != "total"} == units


def test_the_ai_sdk_tells_details_as_numbers_or_in_their_otlp_wrapper() -> None:
    event = mapped(
        {
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 5,
            "ai.usage.cachedInputTokens": '{"intValue":"4"}',
            "ai.usage.reasoningTokens": 2,
        },
        scope="ai",
    )
    assert event.usage == {
        "input": 6,
        "output": 3,
        "input_cached_tokens": 4,
        "output_reasoning_tokens": 2,
        "total": 15,
    }


def test_the_ai_sdk_without_any_count_says_zero() -> None:
    assert mapped(scope="ai").usage == {"input": 0, "output": 0, "total": 0}


def test_broken_provider_metadata_leaves_the_conventions() -> None:
    attributes = {"gen_ai.usage.input_tokens": 10, "ai.response.providerMetadata": "{"}
    assert mapped(attributes, scope="ai").usage == {"input": 10, "total": 10}


@pytest.mark.parametrize(
    ("attributes", "cost"),
    [
        ({"langfuse.observation.cost_details": '{"input":0.1,"total":0.5}'}, {"input": 0.1, "total": 0.5}),
        ({"langfuse.observation.cost_details": '{"total":"0.5","x":null}'}, {"total": 0}),
        ({"langfuse.observation.cost_details": "[1]", "llm.cost.total": 3.0}, {}),
        ({"langfuse.observation.cost_details": "{", "llm.cost.total": 3.0}, {"total": 3.0}),
        ({"gen_ai.usage.cost": "", "llm.cost.total": 0.25}, {"total": 0.25}),
        ({"gen_ai.usage.cost": 2_000_000}, {"total": 999_999.999999}),
        ({"llm.cost.total": 0.25, "gen_ai.operation.name": "agent_step"}, {}),
    ],
)
def test_costs_are_taken_as_given(attributes: dict[str, Any], cost: dict[str, float]) -> None:
    assert mapped(attributes).cost == cost
