"""Metadata: what is attached, what surrounds a span, and how it is flattened."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.otlp.spans import mapped, mapped_all, sdk, span

_SURROUNDINGS = [("scope.name", "langfuse-sdk"), ("scope.version", "5.0.4")]


def _attached(attributes: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the metadata of an SDK span beyond the scope's name and version."""
    return [pair for pair in sdk(attributes).metadata if pair not in _SURROUNDINGS]


def test_foreign_spans_keep_the_attributes_that_nothing_else_carries() -> None:
    event = mapped(
        {
            "acme.tier": "gold",
            "acme.score": 1.0,
            "acme.list": [1, "a"],
            "input.value": "i",
            "gen_ai.prompt.0.content": "p",
            "langfuse.observation.metadata.k": "v",
        },
        resource={"service.name": "shop"},
    )
    assert event.metadata == [
        ("attributes.acme.tier", "gold"),
        ("attributes.acme.score", "1"),
        ("attributes.acme.list", '[1,"a"]'),
        ("resourceAttributes.service.name", "shop"),
        ("scope.name", "acme-app"),
        ("scope.version", "1.0"),
        ("k", "v"),
    ]


def test_sdk_spans_do_not_repeat_their_attributes() -> None:
    assert sdk({"acme.tier": "gold"}).metadata == _SURROUNDINGS


def test_events_of_one_batch_do_not_share_their_metadata() -> None:
    first, second = mapped_all(
        {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "langfuse-sdk"}, "spans": [span(), span()]}]}]}
    )
    first.metadata.append(("mine", "1"))
    assert second.metadata == [("scope.name", "langfuse-sdk")]


@pytest.mark.parametrize(
    ("attributes", "metadata"),
    [
        (
            {"langfuse.observation.metadata": '{"a":{"b":[1,2.0],"c":null},"d":"x"}'},
            [("a.b", "[1,2]"), ("a.c", ""), ("d", "x")],
        ),
        ({"langfuse.trace.metadata": "no json"}, []),
        ({"langfuse.trace.metadata": "5"}, []),
        ({"langfuse.trace.metadata": 5}, []),
        ({"langfuse.trace.metadata": '["x"]'}, [("0", "x")]),
        ({"langfuse.metadata": '{"a":1}'}, [("a", "1")]),
        ({"langfuse.metadata.a": True, "ai.telemetry.metadata.b": "2"}, [("a", "true"), ("b", "2")]),
        ({"ai.telemetry.metadata.userId": "u", "ai.telemetry.metadata.tags": ["t"]}, []),
        ({"langfuse.observation.metadata.": "nameless"}, []),
        ({"langfuse.observation.metadata.a": "o", "langfuse.trace.metadata.a": "t"}, [("a", "t")]),
        ({"langfuse.trace.metadata.langfuse_user_id": "u"}, [("langfuse_user_id", "u")]),
        ({"langfuse.observation.metadata": '{"a":{}}'}, []),
    ],
)
def test_attached_metadata_is_merged_and_flattened(
    attributes: dict[str, Any], metadata: list[tuple[str, str]]
) -> None:
    assert _attached(attributes) == metadata


def test_keys_that_look_like_slots_come_first_in_ascending_order() -> None:
    event = sdk({"langfuse.trace.metadata": '{"b":1,"10":2,"9":3,"07":4}'})
    assert event.metadata == [("9", "3"), ("10", "2"), *_SURROUNDINGS, ("b", "1"), ("07", "4")]


def test_attached_metadata_may_take_the_place_of_the_scope() -> None:
    event = sdk({"langfuse.trace.metadata.scope": "mine"}, resource={"service.name": "shop"})
    assert event.metadata == [("resourceAttributes.service.name", "shop"), ("scope", "mine")]


def test_a_scope_keeps_its_fields_in_the_order_sent() -> None:
    scope = {
        "version": "2",
        "name": "acme",
        "attributes": [{"key": "a", "value": {"stringValue": "b"}}],
        "x": [1],
    }
    assert mapped(scope=scope).metadata == [
        ("scope.version", "2"),
        ("scope.name", "acme"),
        ("scope.attributes.a", "b"),
        ("scope.x", "[1]"),
    ]


def test_metadata_nested_too_deeply_stays_out_and_hurts_nobody() -> None:
    deep = '{"a":' * 5000 + "1" + "}" * 5000
    assert _attached({"langfuse.trace.metadata": deep, "langfuse.trace.metadata.k": "v"}) == [("k", "v")]


@pytest.mark.parametrize(
    ("scope", "attributes", "parameters"),
    [
        ("acme-app", {}, "{}"),
        (
            "acme-app",
            {"langfuse.observation.model.parameters": '{"t":0.50,"stop":["a"],"n":null}'},
            '{"t":0.5,"stop":"[\\"a\\"]","n":"null"}',
        ),
        ("acme-app", {"langfuse.observation.model.parameters": "{", "model_config": '{"a":1}'}, '{"a":1}'),
        ("acme-app", {"llm.invocation_parameters": '{"a":true}', "gen_ai.request.top_p": 1}, '{"a":"true"}'),
        (
            "acme-app",
            {"gen_ai.request.model": "m", "gen_ai.request.top_p": 0.5, "llm.invocation_parameters.k": 3},
            '{"top_p":0.5,"k":3}',
        ),
        ("genkit-tracer", {"genkit:input": '{"config":{"t":1}}'}, '{"t":1}'),
        ("genkit-tracer", {"genkit:output": '{"request":{"config":{"t":2}}}'}, '{"t":2}'),
    ],
)
def test_model_parameters_are_texts_and_numbers(
    scope: str, attributes: dict[str, Any], parameters: str
) -> None:
    assert mapped(attributes, scope=scope).model_parameters == parameters


def test_the_ai_sdk_has_a_fixed_set_of_parameters() -> None:
    event = mapped(
        {
            "ai.settings.maxRetries": 2,
            "gen_ai.response.finish_reasons": ["stop", "length"],
            "ai.model.provider": "openai",
            "ai.response.providerMetadata": '{"openai":{"serviceTier":"flex"}}',
            "gen_ai.request.service_tier": "default",
            "langfuse.observation.model.parameters": '{"temperature":1}',
        },
        scope="ai",
    )
    assert event.model_parameters == (
        '{"maxSteps":null,"toolChoice":null,"maxTokens":null,"finishReason":"stop,length","system":"openai",'
        '"maxRetries":"2","mode":null,"temperature":1,"service_tier":"flex"}'
    )
