"""The observation type, rule by rule, and which rule wins."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.otlp.spans import mapped


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({}, "SPAN"),
        ({"langfuse.observation.type": "retriever", "openinference.span.kind": "LLM"}, "RETRIEVER"),
        ({"langfuse.observation.type": "unheard-of", "openinference.span.kind": "LLM"}, "GENERATION"),
        ({"openinference.span.kind": "RERANKER", "gen_ai.operation.name": "execute_tool"}, "TOOL"),
        ({"gen_ai.operation.name": "embeddings", "model": "m"}, "EMBEDDING"),
        ({"genkit:metadata:subtype": "tool.v2"}, "TOOL"),
        ({"ai.operationId": "ai.embed.doEmbed", "ai.model.id": "m"}, "EMBEDDING"),
        ({"operation.name": "ai.streamText.doStream answer", "ai.model.id": "m"}, "GENERATION"),
        ({"operation.name": "ai.streamText.doStream answer"}, "SPAN"),
        ({"operation.name": "ai.toolCall search"}, "TOOL"),
        ({"gen_ai.tool.call.id": "c1", "model": "m"}, "TOOL"),
        ({"flue.task.agent": "a"}, "AGENT"),
        ({"flue.task.agent": "a", "flue.tool.name": "t"}, "TOOL"),
        ({"llm.model_name": "m"}, "GENERATION"),
        ({"llm.model_name": ""}, "SPAN"),
        ({"model": 0}, "GENERATION"),
        ({"gen_ai.operation.name": ["chat"]}, "GENERATION"),
    ],
)
def test_the_first_rule_that_knows_an_answer_wins(attributes: dict[str, Any], kind: str) -> None:
    assert mapped(attributes).type == kind


@pytest.mark.parametrize(
    ("scope", "name", "kind"),
    [
        ("livekit-agents", "agent_turn", "AGENT"),
        ("livekit-agents", "function_tool", "TOOL"),
        ("livekit-agents", "tts_node", "SPAN"),
        ("acme-app", "agent_turn", "SPAN"),
    ],
)
def test_livekit_spans_tell_their_type_by_name(scope: str, name: str, kind: str) -> None:
    assert mapped(scope=scope, name=name).type == kind


@pytest.mark.parametrize(
    ("version", "language", "kind"),
    [
        ("3.3.0", "python", "GENERATION"),
        ("2.60", "python", "GENERATION"),
        ("3.4.0", "python", "SPAN"),
        ("4.0.0", "python", "SPAN"),
        ("3.3.0", "nodejs", "SPAN"),
    ],
)
def test_old_python_sdks_call_generations_spans(version: str, language: str, kind: str) -> None:
    event = mapped(
        {"langfuse.observation.type": "span", "langfuse.observation.model.name": "m"},
        scope="langfuse-sdk",
        version=version,
        resource={"telemetry.sdk.language": language},
    )
    assert event.type == kind
