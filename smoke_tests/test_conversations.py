"""Conversations: several turns in one session, in writing and by voice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from langfuse import propagate_attributes

if TYPE_CHECKING:
    from collections.abc import Callable

    from langfuse import Langfuse

    from smoke_tests.helpers.server import Server

TURNS = [
    ("Who produced the album?", "Which album do you mean?"),
    ("Album 7", "Jane Doe produced album 7."),
    ("And the bass?", "John Smith played the bass."),
]


def test_the_turns_of_a_chat_are_traces_of_one_session(
    langfuse: Langfuse, server: Server, unique: Callable[[str], str]
) -> None:
    session_id, user_id = unique("chat"), unique("listener")
    trace_ids = []
    for number, (question, reply) in enumerate(TURNS, start=1):
        with (
            propagate_attributes(session_id=session_id, user_id=user_id, trace_name="chat-turn"),
            langfuse.start_as_current_observation(
                name="chat-turn", as_type="agent", input=question, metadata={"turn": number}
            ) as turn,
        ):
            with turn.start_as_current_observation(
                name="reply", as_type="generation", model="gpt-4o-mini", input=question
            ) as generation:
                generation.update(output=reply, usage_details={"input": 20 * number, "output": 10})
            turn.update(output=reply)
            trace_ids.append(turn.trace_id)
    langfuse.flush()

    rows = server.await_count(2 * len(TURNS), sessionId=session_id)
    turns = sorted(
        (row for row in rows if row["type"] == "AGENT"), key=lambda row: int(row["metadata"]["turn"])
    )
    replies = {row["parentObservationId"]: row for row in rows if row["type"] == "GENERATION"}
    assert [turn["traceId"] for turn in turns] == trace_ids
    assert len(set(trace_ids)) == len(TURNS)
    assert [(turn["input"], turn["output"]) for turn in turns] == TURNS
    assert [replies[turn["id"]]["usageDetails"]["input"] for turn in turns] == [20, 40, 60]
    assert {row["userId"] for row in rows} == {user_id}


def test_another_session_is_not_mixed_in(
    langfuse: Langfuse, server: Server, unique: Callable[[str], str]
) -> None:
    sessions = [unique("chat"), unique("chat")]
    for session_id in sessions:
        with propagate_attributes(session_id=session_id):
            langfuse.start_observation(name="turn", input=session_id).end()
    langfuse.flush()
    for session_id in sessions:
        (row,) = server.await_count(1, sessionId=session_id)
        assert row["input"] == session_id


@pytest.mark.usefixtures("needs_scores")
def test_a_voice_turn_carries_its_latency_score(
    langfuse: Langfuse, server: Server, unique: Callable[[str], str]
) -> None:
    with (
        propagate_attributes(session_id=unique("call"), trace_name="voice-turn"),
        langfuse.start_as_current_observation(name="voice-turn", as_type="agent") as turn,
    ):
        with turn.start_as_current_observation(name="speech_to_text", as_type="tool") as heard:
            heard.update(output="Play album seven.", metadata={"audio_s": 1.4})
        with turn.start_as_current_observation(
            name="reply", as_type="generation", model="gpt-4o-mini"
        ) as reply:
            reply.update(output="Here it is.", usage_details={"input": 12, "output": 4})
        with turn.start_as_current_observation(name="text_to_speech", as_type="tool") as spoken:
            spoken.update(output={"audio_s": 0.8})
            spoken.score(name="tts_latency_ms", value=312.5, data_type="NUMERIC", comment="first audio")
        trace_id = turn.trace_id
    langfuse.flush()

    names = ["voice-turn", "speech_to_text", "reply", "text_to_speech"]
    rows = server.await_observations(names, traceId=trace_id)
    assert rows["speech_to_text"]["metadata"]["audio_s"] == 1.4
    assert json.loads(rows["text_to_speech"]["output"]) == {"audio_s": 0.8}
    (score,) = server.await_scores(1, traceId=trace_id)
    assert (score["name"], score["value"], score["dataType"]) == ("tts_latency_ms", 312.5, "NUMERIC")
    assert score["comment"] == "first audio"
    assert score["subject"] == {
        "kind": "observation",
        "id": rows["text_to_speech"]["id"],
        "traceId": trace_id,
    }
