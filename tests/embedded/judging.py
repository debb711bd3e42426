"""A model for judges, and the few calls that make an engine judge."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from examples.fake_llm import serve

ALLOWED = {"LANGFUSE_LLM_CONNECTION_WHITELISTED_IPS": "127.0.0.1"}
"""What an engine needs to call a model on this machine."""

CONNECTIONS = "/api/public/llm-connections"
EVALUATORS = "/api/public/v2/evaluators"
RULES = "/api/public/v2/evaluation-rules"
PROMPT = "Reference: {{reference}}\nAnswer: {{answer}}"
MAPPING = [
    {"variable": "reference", "source": "metadata", "jsonPath": "$.expected"},
    {"variable": "answer", "source": "output"},
]
NUMERIC = {"dataType": "NUMERIC", "minValue": 0, "maxValue": 1, "scoreValueInstructions": "1 is right"}


class Model:
    """The running stand-in of a model."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def rule(self, *rules: dict[str, Any]) -> None:
        """Answer by these rules from now on."""
        httpx.put(f"http://127.0.0.1:{self.port}/rules", json=list(rules)).raise_for_status()

    @property
    def questions(self) -> int:
        """How many questions it was asked."""
        return int(httpx.get(f"http://127.0.0.1:{self.port}/rules").json()["questions"])


@contextmanager
def running_model(port: int = 0) -> Iterator[Model]:
    """A stand-in that answers on a port of this machine."""
    server = serve(port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Model(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def connect(client: httpx.Client, base_url: str, **changes: Any) -> dict[str, Any]:
    """Create or replace the connection `fake`."""
    body = {"provider": "fake", "adapter": "openai", "secretKey": "sk-test-1234567890", "baseURL": base_url}
    return accepted(client.put(CONNECTIONS, json={**body, **changes}))


def evaluator(client: httpx.Client, name: str, **changes: Any) -> dict[str, Any]:
    """Create a judge that compares the output with `expected` in the metadata."""
    body = {
        "name": name,
        "type": "llm_as_judge",
        "prompt": PROMPT,
        "modelConfig": {"provider": "fake", "model": "gpt-4o-mini"},
        "variableMapping": MAPPING,
        "outputDefinition": NUMERIC,
    }
    return accepted(client.post(EVALUATORS, json={**body, **changes}))


def rule(client: httpx.Client, evaluators: Sequence[str], **changes: Any) -> dict[str, Any]:
    """Create an enabled rule with these evaluators."""
    assigned = [{"evaluatorId": one} for one in evaluators]
    body = {"name": "all", "enabled": True, "evaluatorAssignments": assigned}
    return accepted(client.post(RULES, json={**body, **changes}))


def accepted(answer: httpx.Response) -> dict[str, Any]:
    """Return the body of an answer that says yes."""
    assert answer.status_code in (200, 201), answer.text
    found: dict[str, Any] = answer.json()
    return found


def scores(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    """Return scores in their current form, with all fields."""
    fields = "core,subject,details,annotation"
    answer = client.get("/api/public/v3/scores", params={"limit": 100, "fields": fields, **query})
    return list(accepted(answer)["data"])
