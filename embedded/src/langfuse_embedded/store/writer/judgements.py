"""Writer command for judgements: the scores and the trace of one, both or nothing."""

from __future__ import annotations

from typing import Any

import orjson

from langfuse_embedded.otlp.event import Event

from .context import WriteContext
from .observations import store_events
from .protocol import Payload
from .scores import store_scores


def store_judgement(context: WriteContext, head: dict[str, Any], body: Payload) -> int:
    """Store `scores` of the head and the events of the body for `project`; return the number of scores.

    Ids follow from the judgement: one that is stored again replaces itself.
    """
    events = [
        Event(**{**fields, "metadata": [tuple(pair) for pair in fields["metadata"]]})
        for fields in orjson.loads(body)
    ]
    store_events(context, head["project"], events)
    return store_scores(context, head, b"")


COMMANDS = {"store_judgement": store_judgement}
