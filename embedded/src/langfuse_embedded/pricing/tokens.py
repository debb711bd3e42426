"""Count the tokens of a generation that tells no usage, as the server does for models with a tokenizer.

The rules are those of the server: an array of chat messages costs some tokens a message and a name, anything
else is counted as text. The vocabularies come with `splintr`, are loaded when first needed (0.1 s, 30 MB),
and a process that never needs them pays nothing.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable

    from .model import Model

_LONGEST = 1_000_000
"""Characters. What is longer would hold up the spans behind it, and is not counted."""

# Tokens that the makers' chat format adds before the answer.
_REPLY = 3
_COUNTED = ("content", "role", "name", "tool_calls", "function_call", "toolCalls", "functionCall")
_OLD_ENCODING, _NEW_ENCODING = "cl100k_base", "o200k_base"


class TokenCounter:
    """Counts with the tokenizer of one model."""

    __slots__ = ("_count", "_per_message", "_per_name")

    def __init__(self, encoding: str, per_message: int | None, per_name: int) -> None:
        """`per_message` is None where messages are counted as text."""
        self._count = _encoder(encoding)
        self._per_message = per_message
        self._per_name = per_name

    def usage(self, given: str | None, answer: str | None) -> dict[str, int]:
        """Return tokens by usage kind with their `total`; empty when there is neither input nor output."""
        counted = {"input": self._tokens(given), "output": self._tokens(answer)}
        usage = {kind: tokens for kind, tokens in counted.items() if tokens is not None}
        return usage | {"total": sum(usage.values())} if usage else {}

    def _tokens(self, text: str | None) -> int | None:
        if text is None or len(text) > _LONGEST:
            return None
        document = _document(text)
        if document == []:
            return None
        if self._per_message is not None and _is_chat(document):
            return _REPLY + sum(self._message(message) for message in document)
        return self._count(document if isinstance(document, str) else orjson.dumps(document).decode())

    def _message(self, message: dict[str, Any]) -> int:
        tokens = self._per_message or 0
        for key, value in message.items():
            if value and key in _COUNTED:
                tokens += self._count(_as_text(value))
            if key == "name":
                tokens += self._per_name
        return tokens


def counter_of(model: Model) -> TokenCounter | None:
    """Return the counter for a model; None when it has no tokenizer, or one that is not set up completely."""
    if model.tokenizer_id == "claude":
        return TokenCounter(_OLD_ENCODING, None, 0)
    config = model.tokenizer_config
    if model.tokenizer_id != "openai" or not isinstance(config, dict):
        return None
    name = config.get("tokenizerModel")
    if not isinstance(name, str):
        return None
    encoding = _NEW_ENCODING if name.startswith(("gpt-4o", "chatgpt-4o")) else _OLD_ENCODING
    match config:
        case {"tokensPerMessage": int(per_message), "tokensPerName": int(per_name)}:
            return TokenCounter(encoding, per_message, per_name)
        case _:
            return TokenCounter(encoding, None, 0)


@cache
def _encoder(encoding: str) -> Callable[[str], int]:
    """Return what counts the tokens of a text, loading the vocabulary with the first text."""
    encode: Callable[[str], list[int]] | None = None

    def count(text: str) -> int:
        nonlocal encode
        if encode is None:
            from splintr import Tokenizer

            encode = Tokenizer.from_pretrained(encoding).encode_ordinary
        # A lone surrogate, which JSON may hold, has no UTF-8; JavaScript counts a replacement character.
        return len(encode(text.encode("utf-8", "replace").decode()))

    return count


def _document(text: str) -> Any:
    if text[:1] not in '{["':
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _is_chat(document: Any) -> bool:
    return isinstance(document, list) and all(
        isinstance(message, dict)
        and isinstance(message.get("role"), str)
        and isinstance(message.get("content"), str)
        and isinstance(message.get("name", ""), str)
        for message in document
    )


def _as_text(value: Any) -> str:
    """Return what JavaScript makes of a value that it walks through as if it were text."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join("[object Object]" if isinstance(entry, dict) else str(entry) for entry in value)
    return ""
