"""One question to a model: over an OpenAI-compatible or an Anthropic connection, answered by a schema.

The OpenAI request is the server's, as recorded. Addresses inside the network are refused before every call,
by the rules that connections have; the call goes to the address that was checked, and follows no redirect.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from langfuse_embedded.outbound_urls import AllowedHosts, host_of, refusal, refusal_of_address
from langfuse_embedded.store.evaluators import Output

from .failures import (
    ACCOUNT_NOT_READY,
    AUTH_INVALID,
    BILLING_EXHAUSTED,
    CONFIG_INVALID,
    ENDPOINT_UNREACHABLE,
    MODEL_UNAVAILABLE,
    CallFailed,
)
from .outputs import InvalidAnswer, answer_schema, parsed_answer

if TYPE_CHECKING:
    from .transport import Transport

# packages/shared/src/server/evals/classifyEvaluatorLlmError.ts
_BY_STATUS = {401: AUTH_INVALID, 402: BILLING_EXHAUSTED, 404: MODEL_UNAVAILABLE}
_BY_TEXT = (
    ("Model use case details have not been submitted for this account", ACCOUNT_NOT_READY),
    ("API key not valid", AUTH_INVALID),
    ("invalid_grant", AUTH_INVALID),
    ("DNS lookup failed", ENDPOINT_UNREACHABLE),
    ("Insufficient credits", BILLING_EXHAUSTED),
    ("credit balance is too low", BILLING_EXHAUSTED),
    ("prepayment credits are depleted", BILLING_EXHAUSTED),
    ("Budget has been exceeded", BILLING_EXHAUSTED),
    ("requires more credits", BILLING_EXHAUSTED),
)
_QUOTA = "insufficient_quota"
# What the server's client asks again for: timeouts of the provider, conflicts, limits, failures.
_RETRYABLE = frozenset({408, 409, 429})
_WAIT_SECONDS = 2.0
_ANTHROPIC_TOKENS = 4096
DEFAULT_URLS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com/v1"}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a question goes: a connection of the project, with its secrets, and a model.

    `parameters` are those of the project's default model: `max_tokens`, `temperature`, `top_p`.
    """

    adapter: str
    base_url: str
    secret_key: str
    headers: Mapping[str, str]
    model: str
    parameters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered. `usage` has `input`, `output`, `input_cached_tokens` and `total`."""

    text: str
    parsed: dict[str, Any]
    usage: dict[str, int]
    response_id: str
    finish_reason: str


@dataclass(slots=True)
class Caller:
    """Asks models over one HTTP client; close it with `close`."""

    allowed: AllowedHosts
    timeout_seconds: float = 120.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _transport: Transport | None = field(default=None, init=False)

    async def ask(
        self,
        target: Target,
        messages: Sequence[Mapping[str, str]],
        output: Output,
        *,
        attempts: int,
        traceparent: str = "",
    ) -> Answer:
        """Return the answer of a model, which is asked `attempts` times at most while it fails for now.

        Raises:
            CallFailed: it was not answered, or not in the form that was asked for.
        """
        wait, number = _WAIT_SECONDS, 1
        while True:
            try:
                return await self._ask_once(target, messages, output, traceparent)
            except CallFailed as error:
                error.attempts = number
                if not error.retryable or number >= attempts:
                    raise
            await self.sleep(wait)
            wait, number = wait * 2, number + 1

    async def close(self) -> None:
        """Close idle connections."""
        if self._transport is not None:
            await self._transport.close()
            self._transport = None

    async def _ask_once(
        self, target: Target, messages: Sequence[Mapping[str, str]], output: Output, traceparent: str
    ) -> Answer:
        headers, path, body = _request(target, messages, output)
        if traceparent:
            headers["traceparent"] = traceparent
        url = f"{target.base_url.rstrip('/')}/{path}"
        try:
            async with asyncio.timeout(self.timeout_seconds):
                status, data = await self._post(url, {**headers, **target.headers}, orjson.dumps(body))
        except TimeoutError:
            raise CallFailed(f"The model did not answer within {self.timeout_seconds:g} s") from None
        if status != 200:
            raise _failure(status, data)
        text, usage, response_id, finish = _READERS[target.adapter](data)
        try:
            return Answer(text, parsed_answer(text, output), usage, response_id, finish)
        except InvalidAnswer as error:
            failed = CallFailed(str(error))
            failed.usage, failed.text = usage, text
            raise failed from None

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        address, host = await self._checked(url)
        if self._transport is None:
            # The HTTP client takes 0.1 s to import: only who calls a model waits for it.
            from .transport import Transport

            self._transport = Transport(self.timeout_seconds)
        status, data = await self._transport.post(url, address, host, headers, body)
        try:
            return status, orjson.loads(data)
        except orjson.JSONDecodeError:
            return status, None

    async def _checked(self, url: str) -> tuple[str, str]:
        """Return the address to connect to and the name of the host."""
        why = refusal(url, self.allowed)
        if why:
            raise CallFailed(f"Invalid baseURL: {why}", blocks=CONFIG_INVALID)
        host = host_of(url)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, urlsplit(url).port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError):
            raise CallFailed(f"DNS lookup failed for {host}", blocks=ENDPOINT_UNREACHABLE) from None
        addresses = [str(entry[4][0]) for entry in found]
        if host not in self.allowed.names:
            for address in addresses:
                bare = ipaddress.ip_address(address.partition("%")[0])
                if why := refusal_of_address(bare, self.allowed):
                    raise CallFailed(f"Invalid baseURL: {why}", blocks=CONFIG_INVALID)
        return addresses[0], host


def _request(
    target: Target, messages: Sequence[Mapping[str, str]], output: Output
) -> tuple[dict[str, str], str, dict[str, Any]]:
    schema = answer_schema(output)
    headers = {"content-type": "application/json", "accept": "*/*"}
    if target.adapter == "openai":
        form = {"type": "json_schema", "json_schema": {"schema": schema, "strict": True, "name": "response"}}
        body: dict[str, Any] = {
            "model": target.model,
            "response_format": form,
            "messages": [dict(message) for message in messages],
            **target.parameters,
        }
        return {**headers, "authorization": f"Bearer {target.secret_key}"}, "chat/completions", body
    # Anthropic has no form of answers: a tool that must be called has the schema instead.
    body = {
        "model": target.model,
        "max_tokens": _ANTHROPIC_TOKENS,
        "messages": [dict(message) for message in messages if message["role"] != "system"],
        "tools": [{"name": "json", "description": "Respond with a JSON object.", "input_schema": schema}],
        "tool_choice": {"type": "tool", "name": "json"},
        **target.parameters,
    }
    if system := [message["content"] for message in messages if message["role"] == "system"]:
        body["system"] = "\n\n".join(system)
    headers |= {"x-api-key": target.secret_key, "anthropic-version": "2023-06-01"}
    return headers, "messages", body


def _openai(data: Any) -> tuple[str, dict[str, int], str, str]:
    try:
        choice = data["choices"][0]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        raise CallFailed("Invalid JSON response") from None
    used = data.get("usage") or {}
    cached = (used.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    given, made = used.get("prompt_tokens") or 0, used.get("completion_tokens") or 0
    usage = {
        "input": max(given - cached, 0),
        "output": made,
        "input_cached_tokens": cached,
        "total": given + made,
    }
    return (
        text if isinstance(text, str) else "",
        usage if used else {},
        str(data.get("id") or ""),
        str(choice.get("finish_reason") or ""),
    )


def _anthropic(data: Any) -> tuple[str, dict[str, int], str, str]:
    try:
        parts = data["content"]
        call = next((part["input"] for part in parts if part.get("type") == "tool_use"), None)
        text = orjson.dumps(call).decode() if call is not None else "".join(p.get("text", "") for p in parts)
    except (KeyError, TypeError, AttributeError):
        raise CallFailed("Invalid JSON response") from None
    used = data.get("usage") or {}
    given, made = used.get("input_tokens") or 0, used.get("output_tokens") or 0
    cached = used.get("cache_read_input_tokens") or 0
    usage = {"input": given, "output": made, "input_cached_tokens": cached, "total": given + cached + made}
    return text, usage if used else {}, str(data.get("id") or ""), str(data.get("stop_reason") or "")


_READERS = {"openai": _openai, "anthropic": _anthropic}
ADAPTERS = frozenset(_READERS)


def _failure(status: int, data: Any) -> CallFailed:
    error = data.get("error") if isinstance(data, dict) else None
    error = error if isinstance(error, dict) else {}
    message = error.get("message") if isinstance(error.get("message"), str) else ""
    message = message or f"The provider answered {status}"
    blocks = _BY_STATUS.get(status, "")
    if not blocks and _QUOTA in (error.get("code"), error.get("type")):
        blocks = BILLING_EXHAUSTED
    if not blocks:
        blocks = next((reason for text, reason in _BY_TEXT if text in message), "")
    retryable = status in _RETRYABLE or status >= 500
    return CallFailed(message, blocks=blocks, retryable=retryable, status=status)
