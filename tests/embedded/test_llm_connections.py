"""LLM connections: kept without their secrets, refused where a server would refuse them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .conftest import StartEngine
from .harness import RunningEngine

CONNECTIONS = "/api/public/llm-connections"
NO_AWS_KEYS = (
    "Invalid Bedrock credentials. "
    "Expected a JSON object with either {accessKeyId, secretAccessKey} or {apiKey}."
)
SECRET = "sk-test-very-secret-1234"


def put(client: httpx.Client, **changes: Any) -> httpx.Response:
    """Create or replace a connection."""
    return client.put(
        CONNECTIONS, json={"provider": "p", "adapter": "openai", "secretKey": SECRET, **changes}
    )


def test_a_connection_is_created_then_replaced(client: httpx.Client) -> None:
    created = put(
        client,
        provider="gateway",
        baseURL="https://llm.acme.example/v1",
        customModels=["m"],
        withDefaultModels=False,
        extraHeaders={"x-team": "kosmos"},
        config={"useResponsesApi": True},
    )
    assert created.status_code == 201
    body = created.json()
    assert body["displaySecretKey"] == "...1234"
    assert body["extraHeaderKeys"] == ["x-team"]
    replaced = put(client, provider="gateway", adapter="anthropic", secretKey="sk-test-other-5678", config={})
    assert replaced.status_code == 200
    assert (replaced.json()["id"], replaced.json()["displaySecretKey"], replaced.json()["baseURL"]) == (
        body["id"],
        "...5678",
        None,
    )
    assert replaced.json()["withDefaultModels"] is True
    listed = client.get(CONNECTIONS).json()["data"]
    assert [row["provider"] for row in listed].count("gateway") == 1
    assert client.delete(f"{CONNECTIONS}/{body['id']}").json() == {
        "message": "LLM connection successfully deleted"
    }
    assert client.delete(f"{CONNECTIONS}/{body['id']}").json()["message"] == "LLM connection not found"


def test_the_secret_and_the_headers_are_nowhere_on_disk(engine: RunningEngine, client: httpx.Client) -> None:
    put(client, provider="leak", extraHeaders={"x-key": "header-secret-9876"})
    stored = b"".join(
        path.read_bytes() for path in engine.data_dir.iterdir() if path.name.startswith("state")
    )
    assert b"leak" in stored
    assert SECRET.encode() not in stored
    assert b"header-secret-9876" not in stored


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://localhost:11434/v1", "Blocked hostname detected"),
        ("http://db.internal/v1", "Blocked hostname detected"),
        ("http://10.1.2.3/v1", "Blocked IP address detected"),
        ("http://169.254.169.254/latest", "Blocked IP address detected"),
        ("http://[::1]/v1", "Blocked IP address detected"),
        ("ftp://acme.example/", "Only HTTP and HTTPS protocols are allowed"),
        (
            "https://zeus:secret@acme.example/",
            "URL credentials are not allowed. Use authentication headers instead.",
        ),
    ],
)
def test_an_address_inside_the_network_is_refused(client: httpx.Client, url: str, why: str) -> None:
    answer = put(client, baseURL=url)
    assert (answer.status_code, answer.json()["message"]) == (400, f"Invalid baseURL: {why}")


def test_the_operator_can_open_addresses_inside_the_network(start_engine: StartEngine) -> None:
    client = start_engine(
        LANGFUSE_LLM_CONNECTION_WHITELISTED_HOST="localhost, models.internal",
        LANGFUSE_LLM_CONNECTION_WHITELISTED_IPS="192.168.1.5",
        LANGFUSE_LLM_CONNECTION_WHITELISTED_IP_SEGMENTS="10.1.0.0/16",
    ).client
    for url, status in (
        ("http://localhost:11434", 201),
        ("http://models.internal", 200),
        ("http://192.168.1.5", 200),
        ("http://10.1.9.9", 200),
        ("http://10.2.0.1", 400),
        ("http://192.168.1.6", 400),
    ):
        assert put(client, baseURL=url).status_code == status, url


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        (
            {"adapter": "bedrock"},
            ["config"],
            "Config is required for Bedrock adapter. Expected: { region: string }",
        ),
        (
            {"adapter": "bedrock", "config": {"region": "eu"}},
            ["secretKey"],
            NO_AWS_KEYS,
        ),
        (
            {"adapter": "anthropic", "config": {"a": "b"}},
            ["config"],
            "Config is not supported for anthropic adapter. Remove the config field.",
        ),
        (
            {"config": {"region": "eu"}},
            ["config"],
            'Invalid OpenAI config: Unrecognized key: "region". Expected: { useResponsesApi: boolean }',
        ),
        ({"baseURL": "no url"}, ["baseURL"], "Invalid URL"),
        (
            {"provider": ""},
            ["provider"],
            "Too small: expected string to have >=1 characters",
        ),
    ],
)
def test_a_connection_that_does_not_fit_its_adapter_is_refused(
    client: httpx.Client, changes: dict[str, Any], path: list[str], message: str
) -> None:
    (issue,) = put(client, **changes).json()["error"]
    assert (issue["path"], issue["message"]) == (path, message)


def test_aws_credentials_may_be_json_or_those_of_the_machine(client: httpx.Client) -> None:
    common = {"adapter": "bedrock", "config": {"region": "eu-central-1"}}
    keys = put(
        client, provider="aws", secretKey='{"accessKeyId":"test","secretAccessKey":"abcdef"}', **common
    )
    assert (keys.status_code, keys.json()["displaySecretKey"]) == (201, "...cdef")
    default = "__BEDROCK_DEFAULT_CREDENTIALS__"
    machine = put(client, provider="aws", secretKey=default, **common)
    assert machine.json()["displaySecretKey"] == "Default AWS credentials"
    assert put(client, provider="aws", secretKey=default).status_code == 400
