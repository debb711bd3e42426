"""LLM connections: known by their provider; the secret comes from the environment and is never shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scripts.api.client import segment
from scripts.core.errors import UsageError
from scripts.provision.content import Content, LlmConnection
from scripts.provision.resources import Action, Body, Change, Found, Wanted, compact, simple_change
from scripts.provision.server import Server

_PATH = "llm-connections"
# The server shows the last characters of a secret, or what stands in for one.
_STAND_INS = {
    "__BEDROCK_DEFAULT_CREDENTIALS__": "Default AWS credentials",
    "__VERTEXAI_DEFAULT_CREDENTIALS__": "Default GCP credentials (ADC)",
}


class LlmConnections:
    """See Kind. A changed secret is seen by its last four characters: more of it the server does not tell."""

    name = "LLM connection"
    section = "llm_connections"

    def wanted(self, content: Content, secrets: Mapping[str, str]) -> list[Wanted]:
        return [_wanted(connection, secrets) for connection in content.llm_connections]

    def found(self, server: Server, wanted: Sequence[Wanted]) -> list[Found]:
        return [Found(row["provider"], _body(row), row["id"]) for row in server.pages(_PATH)]

    def compare(self, wanted: Wanted, found: Found | None) -> Change | None:
        compared = Wanted(wanted.key, {k: v for k, v in wanted.body.items() if k != "secrets"})
        change = simple_change(self.name, compared, found)
        return (
            Change(change.action, self.name, wanted.key, change.differences, wanted=wanted, found=found)
            if change
            else None
        )

    def removal(self, found: Found) -> Change | None:
        return Change(Action.DELETE, self.name, found.key, found=found)

    def write(self, server: Server, change: Change) -> None:
        if change.wanted is None:
            if change.found:
                server.delete(f"{_PATH}/{segment(change.found.id)}")
            return
        body, secrets = change.wanted.body, change.wanted.body["secrets"]
        server.put(
            _PATH,
            {
                "provider": change.key,
                "adapter": body["adapter"],
                "secretKey": secrets.secret,
                "baseURL": body["baseURL"],
                "customModels": body["customModels"],
                "withDefaultModels": body["withDefaultModels"],
                "extraHeaders": secrets.headers,
                **({"config": body["config"]} if body["config"] else {}),
            },
        )

    def exported(self, found: Found, everything: Mapping[str, Sequence[Found]]) -> Body | None:
        """See Kind. The names of the variables follow from the provider."""
        stem = "".join(char if char.isalnum() else "_" for char in found.key.upper())
        stem = stem if stem[:1].isalpha() else f"LLM_{stem}"
        body = found.body
        given = compact(
            {
                "provider": found.key,
                "adapter": body["adapter"],
                "secret_from": f"{stem}_SECRET_KEY",
                "base_url": body["baseURL"],
                "custom_models": body["customModels"],
                "extra_headers_from": {
                    header: f"{stem}_HEADER_{number}"
                    for number, header in enumerate(body["extraHeaderKeys"], start=1)
                },
                "config": body["config"],
            }
        )
        return given if body["withDefaultModels"] else {**given, "with_default_models": False}


class Secrets:
    """The secrets of a connection: no representation shows them."""

    __slots__ = ("headers", "secret")

    def __init__(self, secret: str, headers: Mapping[str, str]) -> None:
        self.secret = secret
        self.headers = dict(headers)

    def __repr__(self) -> str:
        return "Secrets(...)"


def _wanted(connection: LlmConnection, secrets: Mapping[str, str]) -> Wanted:
    variables = [connection.secret_from, *connection.extra_headers_from.values()]
    missing = [name for name in variables if not secrets.get(name)]
    if missing:
        raise UsageError(
            f"The LLM connection {connection.provider} takes its secret from {' and '.join(missing)}, "
            f"which {'is' if len(missing) == 1 else 'are'} not set.",
            fix=f"set {' and '.join(missing)} in the environment or in .env.",
        )
    secret = secrets[connection.secret_from]
    body: Body = {
        "adapter": connection.adapter,
        "displaySecretKey": _displayed(secret),
        "baseURL": connection.base_url,
        "customModels": connection.custom_models,
        "withDefaultModels": connection.with_default_models,
        "extraHeaderKeys": sorted(connection.extra_headers_from),
        "config": connection.config or None,
        "secrets": Secrets(
            secret, {header: secrets[name] for header, name in connection.extra_headers_from.items()}
        ),
    }
    return Wanted(connection.provider, body)


def _displayed(secret: str) -> str:
    if secret in _STAND_INS:
        return _STAND_INS[secret]
    return f"...{secret[-6:-2] if secret.endswith(chr(34) + '}') else secret[-4:]}"


def _body(row: Body) -> Body:
    return {
        "adapter": row["adapter"],
        "displaySecretKey": row["displaySecretKey"],
        "baseURL": row.get("baseURL"),
        "customModels": row.get("customModels") or [],
        "withDefaultModels": row["withDefaultModels"],
        "extraHeaderKeys": sorted(row.get("extraHeaderKeys") or []),
        "config": row.get("config") or None,
    }
