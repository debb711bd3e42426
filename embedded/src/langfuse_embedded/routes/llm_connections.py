"""LLM connections: what judges call. Secrets go in, and never come out."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import orjson
from starlette.responses import Response

from langfuse_embedded.clock import iso
from langfuse_embedded.http.access import Access
from langfuse_embedded.http.errors import InvalidRequest, NotFound
from langfuse_embedded.http.json_answers import json_response
from langfuse_embedded.http.names import MAX_LENGTH
from langfuse_embedded.http.pagination import PAGE_PARAMETERS, Page
from langfuse_embedded.http.schema import Array, Boolean, Enum, Issues, Object, Record, Schema, String, Union
from langfuse_embedded.http.schema import Path as IssuePath
from langfuse_embedded.outbound_urls import refusal, refusal_of_host
from langfuse_embedded.store.llm_connections import ConnectionValues, LlmConnection

from .call import Call
from .operations import Operation

_AWS_DEFAULT = "__BEDROCK_DEFAULT_CREDENTIALS__"
_GCP_DEFAULT = "__VERTEXAI_DEFAULT_CREDENTIALS__"

_TEXT = String(min=1)
_BEDROCK_SECRET = Union(
    Object({"accessKeyId": _TEXT, "secretAccessKey": _TEXT}, strict=True),
    Object({"apiKey": _TEXT}, strict=True),
)
_CONFIGS: dict[str, tuple[str, Schema, str]] = {
    "bedrock": ("Bedrock", Object({"region": String()}), "{ region: string }"),
    "openai": (
        "OpenAI",
        Object({"useResponsesApi": Boolean().default(False)}, strict=True),
        "{ useResponsesApi: boolean }",
    ),
    "google-vertex-ai": (
        "VertexAI",
        Object({"location": String().optional()}, strict=True),
        "{ location: string }",
    ),
}


class _Url(Schema):
    """A text with a scheme."""

    def parse_at(self, value: Any, path: IssuePath, issues: Issues) -> Any:
        if isinstance(value, str) and not _scheme(value):
            issues.add(path, "Invalid URL", code="invalid_format", format="url")
        return String().parse_at(value, path, issues)


class _Connection(Schema):
    """The body of an upsert: its fields, then the rules that depend on the adapter."""

    fields = Object(
        {
            "provider": String(min=1, max=MAX_LENGTH),
            "adapter": Enum(
                "anthropic", "openai", "azure", "bedrock", "google-vertex-ai", "google-ai-studio"
            ),
            "secretKey": _TEXT,
            "baseURL": _Url().nullish(),
            "customModels": Array(_TEXT).optional(),
            "withDefaultModels": Boolean().default(True),
            "extraHeaders": Record(String()).optional(),
            "config": Record(Union(String(), Boolean())).optional(),
        }
    )

    def parse_at(self, value: Any, path: IssuePath, issues: Issues) -> Any:
        local = Issues()
        body = self.fields.parse_at(value, path, local)
        issues.found.extend(local.found)
        if not local.aborted:
            _check_adapter(body, issues)
        return body


def _check_adapter(body: dict[str, Any], issues: Issues) -> None:
    adapter, config = body["adapter"], body.get("config")
    if adapter == "bedrock" and config is None:
        issues.add(
            ("config",),
            "Config is required for Bedrock adapter. Expected: { region: string }",
            code="custom",
        )
        return
    if adapter in _CONFIGS and config is not None:
        title, shape, expected = _CONFIGS[adapter]
        found = Issues()
        shape.parse_at(config, (), found)
        if found.found:
            messages = ", ".join(issue["message"] for issue in found.found)
            issues.add(
                ("config",), f"Invalid {title} config: {messages}. Expected: {expected}", code="custom"
            )
    elif config:
        issues.add(
            ("config",),
            f"Config is not supported for {adapter} adapter. Remove the config field.",
            code="custom",
        )
    if adapter == "bedrock" and body["secretKey"] != _AWS_DEFAULT and not _is_aws_secret(body["secretKey"]):
        issues.add(
            ("secretKey",),
            "Invalid Bedrock credentials. Expected a JSON object with either {accessKeyId, secretAccessKey} "
            "or {apiKey}.",
            code="custom",
        )


def _is_aws_secret(secret: str) -> bool:
    found = Issues()
    try:
        _BEDROCK_SECRET.parse_at(orjson.loads(secret), (), found)
    except orjson.JSONDecodeError:
        return False
    return not found.found


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""


_LIST = Object(PAGE_PARAMETERS, strict=True)
_UPSERT = _Connection()


async def list_connections(call: Call) -> Response:
    """List connections, newest first, without secrets."""
    page = Page.of(call.query(_LIST))
    connections, total = call.engine.llm_connections.page(call.project_id, page.limit, page.offset)
    return json_response({"data": [_shown(one) for one in connections], "meta": page.meta(total)})


async def save_connection(call: Call) -> Response:
    """Create the connection to a provider (201), or replace it (200)."""
    body = await call.json(_UPSERT)
    store, base_url = call.engine.llm_connections, body.get("baseURL") or None
    existing = store.by_provider(call.project_id, body["provider"])
    if base_url and not (existing and existing.values.base_url == base_url):
        allowed = call.engine.config.llm_allowed_hosts
        why = refusal(base_url, allowed) or await refusal_of_host(base_url, allowed)
        if why:
            raise InvalidRequest(f"Invalid baseURL: {why}")
    if body["secretKey"] == _AWS_DEFAULT and body["adapter"] != "bedrock":
        raise InvalidRequest(
            "Default AWS credentials are only allowed for Bedrock in self-hosted deployments."
        )
    values = ConnectionValues(
        adapter=body["adapter"],
        display_secret=display_secret(body["secretKey"]),
        base_url=base_url,
        custom_models=body.get("customModels", []),
        with_default_models=body["withDefaultModels"],
        extra_header_keys=list(body.get("extraHeaders", {})),
        config=body.get("config", existing.values.config if existing else None),
    )
    sealed = call.engine.secrets.seal(
        {"secretKey": body["secretKey"], "extraHeaders": body.get("extraHeaders", {})}
    )
    with call.engine.state.transaction():
        store.save(call.project_id, body["provider"], values, sealed)
    saved = store.by_provider(call.project_id, body["provider"])
    if saved is None:
        raise NotFound("LLM connection not found")
    return json_response(_shown(saved), 200 if existing else 201)


async def delete_connection(call: Call) -> Response:
    """Delete a connection."""
    store = call.engine.llm_connections
    with call.engine.state.transaction():
        connection = store.by_id(call.project_id, call.params["id"])
        if connection is None:
            raise NotFound("LLM connection not found")
        default = store.default_model(call.project_id)
        store.delete(connection)
        call.engine.evaluators.pause_users_of(call.project_id, connection.provider)
        if default is not None and default.connection.id == connection.id:
            call.engine.evaluators.pause_users_of_default(call.project_id)
    return json_response({"message": "LLM connection successfully deleted"})


def display_secret(secret: str) -> str:
    """Return what may be shown of a secret: its last four characters, or what stands in for one."""
    if secret == _AWS_DEFAULT:
        return "Default AWS credentials"
    if secret == _GCP_DEFAULT:
        return "Default GCP credentials (ADC)"
    # A JSON document ends in a quote and a brace, which say nothing.
    return f"...{secret[-6:-2] if secret.endswith(chr(34) + '}') else secret[-4:]}"


def _shown(connection: LlmConnection) -> dict[str, Any]:
    values = connection.values
    return {
        "id": connection.id,
        "provider": connection.provider,
        "adapter": values.adapter,
        "displaySecretKey": values.display_secret,
        "baseURL": values.base_url,
        "customModels": values.custom_models,
        "withDefaultModels": values.with_default_models,
        "extraHeaderKeys": values.extra_header_keys,
        "config": values.config,
        "createdAt": iso(connection.created_at),
        "updatedAt": iso(connection.updated_at),
    }


_PATH = "/api/public/llm-connections"
_EITHER = Access.PROJECT_OR_ADMIN

OPERATIONS = [
    Operation("GET", _PATH, list_connections, "llmConnections_list", _EITHER),
    Operation("PUT", _PATH, save_connection, "llmConnections_upsert", _EITHER),
    Operation("DELETE", f"{_PATH}/{{id}}", delete_connection, "llmConnections_delete", _EITHER),
]
