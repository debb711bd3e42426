"""Fields that are looked up: which attribute wins, and what odd values become."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.otlp.spans import START, mapped, sdk


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({}, "work"),
        ({"gen_ai.tool.name": "search", "genkit:name": "flow", "logfire.msg": "m"}, "search"),
        ({"gen_ai.tool.name": "", "genkit:name": "flow", "logfire.msg": "m"}, "flow"),
        ({"logfire.msg": "m", "ai.toolCall.name": "t"}, "m"),
        ({"ai.toolCall.name": "t", "ai.operationId": "ai.toolCall"}, "t"),
        (
            {"ai.operationId": "ai.generateText", "ai.telemetry.functionId": "answer"},
            "answer:ai.generateText",
        ),
        ({"ai.operationId": "ai.generateText"}, "ai.generateText"),
        ({"gen_ai.tool.name": 7}, "7"),
    ],
)
def test_the_name_is_what_frameworks_call_the_work(attributes: dict[str, Any], name: str) -> None:
    assert mapped(attributes).name == name


@pytest.mark.parametrize(
    ("span", "resource", "environment"),
    [
        ({}, {}, "default"),
        ({"langfuse.environment": "prod"}, {"langfuse.environment": "dev"}, "prod"),
        ({"deployment.environment": "a"}, {"deployment.environment.name": "b"}, "b"),
        ({}, {"deployment.environment": "Staging-1"}, "staging-1"),
        ({"langfuse.environment": "langfuse_langfuse-eval"}, {}, "eval"),
        ({"langfuse.environment": "langfuse"}, {}, "default"),
        ({"langfuse.environment": "two words"}, {}, "default"),
        ({"langfuse.environment": "prod\n"}, {}, "default"),
        ({"langfuse.environment": "x" * 50}, {}, "x" * 40),
        ({"langfuse.environment": 5}, {}, "default"),
        ({"langfuse.environment": ""}, {"deployment.environment": "later"}, "later"),
    ],
)
def test_the_environment_is_found_and_normalized(
    span: dict[str, Any], resource: dict[str, Any], environment: str
) -> None:
    assert mapped(span, resource=resource).environment == environment


def test_a_failed_evaluator_call_echoed_by_openrouter_keeps_its_environment() -> None:
    echo = '{"completion":null,"rawRequest":{"trace":{"environment":"langfuse-llm-as-a-judge"}}}'
    attributes = {"openrouter.source": "openrouter", "gen_ai.completion": echo}
    assert mapped(attributes, resource={"service.name": "openrouter"}).environment == "llm-as-a-judge"
    assert mapped(attributes, resource={"service.name": "acme"}).environment == "default"


@pytest.mark.parametrize(
    ("word", "status", "level"),
    [
        ("WARN", 0, "WARNING"),
        (" notice ", 2, "DEFAULT"),
        ("verbose", 0, "DEBUG"),
        ("fatal", 0, "ERROR"),
        ("loud", 2, "ERROR"),
        ("loud", 1, "DEFAULT"),
        (3, 0, "DEFAULT"),
    ],
)
def test_the_level_is_the_senders_word_or_what_the_status_says(word: Any, status: int, level: str) -> None:
    assert mapped({"langfuse.observation.level": word}, status={"code": status}).level == level


def test_livekits_own_machinery_is_debug_and_its_errors_stay_errors() -> None:
    assert mapped(scope="livekit-agents", name="tts_node").level == "DEBUG"
    assert mapped(scope="livekit-agents", name="tts_node", status={"code": 2}).level == "ERROR"
    assert mapped(scope="acme", name="tts_node").level == "DEFAULT"


def test_the_status_message_prefers_the_attribute_even_when_it_is_empty() -> None:
    status = {"code": 2, "message": "boom"}
    assert mapped(status=status).status_message == "boom"
    assert mapped({"langfuse.observation.status_message": ""}, status=status).status_message == ""
    assert mapped().status_message is None


@pytest.mark.parametrize(
    ("attributes", "user", "session"),
    [
        ({"langfuse.user.id": "a", "user.id": "b", "langfuse.session.id": "s", "session.id": "t"}, "a", "s"),
        ({"langfuse.user.id": "", "user.id": "b", "gen_ai.conversation.id": "c"}, "b", "c"),
        ({"langfuse.trace.metadata.langfuse_user_id": "m", "ai.telemetry.metadata.sessionId": "v"}, "m", "v"),
        ({"user.id": 42, "session.id": ["x"]}, "42", '["x"]'),
        ({"user.id": 0}, None, None),
        ({"user.id": {"arrayValue": {"values": []}}}, "[]", None),
    ],
)
def test_user_and_session_take_the_first_value_that_is_true(
    attributes: dict[str, Any], user: str | None, session: str | None
) -> None:
    event = mapped(attributes)
    assert (event.user_id, event.session_id) == (user, session)


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (["a", 1, 2.5, True], ["a", "1", "2.5", "true"]),
        ('["a", null, {"b": 1}]', ["a", "null", "[object Object]"]),
        ("a, b ,c", ["a", "b", "c"]),
        ("[a, b", ["[a", "b"]),
        ("one", ["one"]),
        ("", []),
        (5, []),
    ],
)
def test_tags_are_lists_json_lists_comma_lists_or_one_text(value: Any, tags: list[str]) -> None:
    assert mapped({"langfuse.trace.tags": value}).tags == tags


def test_tags_come_from_the_first_key_that_has_any() -> None:
    assert mapped({"langfuse.trace.tags": "", "tag.tags": "b", "langfuse.tags": "a"}).tags == ["a"]


def test_version_and_release_fall_back_to_the_resource() -> None:
    resource = {"service.version": "9", "langfuse.release": "r1"}
    event = mapped(resource=resource)
    assert (event.version, event.release, event.service_version) == ("9", "r1", "9")
    event = mapped({"langfuse.version": "10", "langfuse.release": "r2"}, resource=resource)
    assert (event.version, event.release) == ("10", "r2")


@pytest.mark.parametrize(("value", "public"), [(True, True), ("true", True), (1, False), ("yes", False)])
def test_a_trace_is_public_only_when_it_says_true(value: Any, public: bool) -> None:
    assert mapped({"langfuse.trace.public": value}).public is public
    assert mapped({"langfuse.public": value}).public is public
    assert mapped({"langfuse.internal.is_app_root": value}).is_app_root is public


@pytest.mark.parametrize(
    ("attributes", "model"),
    [
        ({"langfuse.observation.model.name": "a", "gen_ai.response.model": "b"}, "a"),
        ({"gen_ai.request.model": "asked", "gen_ai.response.model": "used"}, "used"),
        ({"llm.model_name": "", "model": "m"}, "m"),
        ({"genkit:name": "g", "genkit:metadata:subtype": "model"}, "g"),
        ({"genkit:name": "g", "genkit:metadata:subtype": "tool"}, None),
        ({"gen_ai.request.model": "m", "gen_ai.operation.name": "invoke_agent"}, None),
    ],
)
def test_the_model_is_the_first_named_and_never_that_of_a_summing_agent(
    attributes: dict[str, Any], model: str | None
) -> None:
    assert mapped(attributes).model_name == model


@pytest.mark.parametrize(
    ("version", "stored"),
    [(3, 3), ("4", 4), ("5x", 5), (0, 0), (65_535, 65_535), (65_536, None), ("x", None)],
)
def test_a_prompt_version_is_a_16_bit_number(version: Any, stored: int | None) -> None:
    event = sdk(
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.prompt.name": "greeting",
            "langfuse.observation.prompt.version": version,
        }
    )
    assert (event.prompt_name, event.prompt_version) == ("greeting", stored)


def test_a_prompt_is_linked_to_generations_alone() -> None:
    link = {"langfuse.prompt.name": "greeting", "langfuse.prompt.version": 1}
    assert sdk({"langfuse.observation.type": "agent", **link}).prompt_name is None
    assert sdk({"langfuse.observation.type": "generation", **link}).prompt_name == "greeting"


def test_the_ai_sdk_links_a_prompt_through_its_metadata() -> None:
    attributes = {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.id": "m",
        "ai.telemetry.metadata.langfusePrompt": '{"name":"greeting","version":2,"isFallback":false}',
    }
    event = mapped(attributes, scope="ai")
    assert (event.type, event.prompt_name, event.prompt_version) == ("GENERATION", "greeting", 2)


@pytest.mark.parametrize(
    ("value", "offset"),
    [
        ("2026-01-15T10:00:00.250Z", 250),
        ('"2026-01-15T10:00:00.250999Z"', 250),
        ("2026-01-15T11:00:00+01:00", 0),
        ("2026-01-15T10:00:01", 1000),
        ("Thu, 15 Jan 2026 10:00:02 GMT", 2000),
        (START + 7, 7),
        (str(START + 8), 8),
        ("soon", None),
        ("", None),
    ],
)
def test_the_completion_start_is_a_date_in_many_spellings(value: Any, offset: int | None) -> None:
    event = sdk({"langfuse.observation.completion_start_time": value})
    assert event.completion_start_time == (None if offset is None else START + offset)


def test_the_ai_sdk_tells_the_completion_start_as_a_delay() -> None:
    assert mapped({"ai.response.msToFirstChunk": 12.1}).completion_start_time == START + 13
    assert mapped({"ai.stream.msToFirstChunk": "20"}).completion_start_time == START + 20
    assert mapped({"ai.response.msToFirstChunk": "later"}).completion_start_time is None


def test_the_experiment_is_read_from_its_attributes() -> None:
    event = sdk(
        {
            "langfuse.experiment.id": "e1",
            "langfuse.experiment.name": "nightly",
            "langfuse.experiment.metadata": '{"a":{"b":1}}',
            "langfuse.experiment.metadata.c": "x",
            "langfuse.experiment.dataset.id": "d1",
            "langfuse.experiment.item.id": "i1",
            "langfuse.experiment.item.version": "2026-01-15T10:00:00Z",
            "langfuse.experiment.item.root_observation_id": "r1",
            "langfuse.experiment.item.expected_output": "42",
        }
    )
    run = event.experiment
    assert run is not None
    assert (run.id, run.name, run.dataset_id, run.item_id) == ("e1", "nightly", "d1", "i1")
    assert run.metadata == [("a.b", "1"), ("c", "x")]
    assert (run.item_version, run.item_root_span_id, run.item_expected_output) == (START, "r1", "42")


def test_an_item_version_that_is_no_date_is_dropped_and_most_spans_have_no_experiment() -> None:
    run = sdk({"langfuse.experiment.item.version": "v1"}).experiment
    assert run is not None
    assert (run.id, run.item_version) == ("", None)
    assert sdk({"langfuse.observation.type": "span"}).experiment is None
