"""A trace as a support assistant makes it, for tests that look at pages."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx

from .spans import send, span, span_id, trace_id

OBSERVATION = "langfuse.observation."
QUESTION = "Where is my order 4711?\nIt was due on Monday."
ANSWER = "Your order left Piraeus this morning. It arrives on Wednesday."


def _chat(*messages: tuple[str, str]) -> str:
    return json.dumps([{"role": role, "content": content} for role, content in messages])


def support_trace(client: httpx.Client, **common: Any) -> tuple[str, dict[str, str]]:
    """Send one trace with a root, a retriever, a failed tool and two generations; return its id and theirs.

    `common` are attributes of all its spans.
    """
    trace, start = trace_id(), time.time_ns() // 1_000_000 - 5_000
    ids = {name: span_id() for name in ("root", "search", "tool", "plan", "answer")}
    shared = {"user.id": "athena", "session.id": "order-4711", "langfuse.environment": "production", **common}

    def step(name: str, kind: str, offset: int, duration: int, parent: str | None, **more: Any) -> Any:
        attributes = {f"{OBSERVATION}type": kind, **shared, **more.pop("attributes", {})}
        placed = {"parent": ids[parent]} if parent else {}
        return span(
            trace,
            more.pop("title"),
            id=ids[name],
            start=start + offset,
            duration=duration,
            attributes=attributes,
            **placed,
        )

    send(
        client,
        step(
            "root",
            "agent",
            0,
            3420,
            None,
            title="answer-customer",
            attributes={
                f"{OBSERVATION}input": QUESTION,
                f"{OBSERVATION}output": ANSWER,
                f"{OBSERVATION}metadata.channel": "e-mail",
                f"{OBSERVATION}metadata.customer": json.dumps({"tier": "gold", "orders": 12}),
                "langfuse.trace.name": "answer-customer",
                "langfuse.trace.tags": ["support", "v2"],
            },
        ),
        step(
            "plan",
            "generation",
            40,
            820,
            "root",
            title="plan",
            attributes={
                f"{OBSERVATION}model.name": "gpt-4o-mini",
                f"{OBSERVATION}usage_details": json.dumps({"input": 412, "output": 38}),
                f"{OBSERVATION}input": _chat(
                    ("system", "You plan the steps of a support agent."), ("user", QUESTION)
                ),
                f"{OBSERVATION}output": json.dumps(
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "function": {
                                    "name": "track_parcel",
                                    "arguments": '{"order": 4711, "live": true}',
                                }
                            }
                        ],
                    }
                ),
            },
        ),
        step("search", "retriever", 880, 310, "root", title="search-knowledge"),
        step(
            "tool",
            "tool",
            1210,
            640,
            "root",
            title="track-parcel",
            attributes={
                f"{OBSERVATION}level": "ERROR",
                f"{OBSERVATION}status_message": "The carrier answered 503; the last known position was used.",
                f"{OBSERVATION}input": json.dumps({"order": 4711, "live": True}),
                f"{OBSERVATION}output": json.dumps({"last_seen": "Piraeus", "eta": None}),
            },
        ),
        step(
            "answer",
            "generation",
            1900,
            1480,
            "root",
            title="write-answer",
            attributes={
                f"{OBSERVATION}model.name": "gpt-4o",
                f"{OBSERVATION}model.parameters": json.dumps({"temperature": 0.2, "max_tokens": 400}),
                f"{OBSERVATION}usage_details": json.dumps({"input": 1280, "output": 96}),
                f"{OBSERVATION}input": _chat(
                    ("system", "You answer customers of Acme. Be brief and kind."),
                    ("user", QUESTION),
                    ("tool", '{"last_seen": "Piraeus", "eta": null}'),
                ),
                f"{OBSERVATION}output": json.dumps({"role": "assistant", "content": ANSWER}),
            },
        ),
    )
    return trace, ids
