"""Count the tokens of a generation that tells no usage, as the server does for models with a tokenizer.

The rules are those of the server (worker/src/features/tokenisation/usage.ts at 4.16.0). For OpenAI's models
JSON is read: an array of chat messages costs some tokens a message and a name, a text counts as what it says,
and anything else as a document without blanks. For Claude's a text counts as it is. The vocabularies come
with `splintr`, are loaded when first needed (0.1 s, 30 MB), and a process that never needs them pays nothing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any

from langfuse_embedded.javascript.values import dumps
from langfuse_embedded.lossless_json import parse_lossless

if TYPE_CHECKING:
    from collections.abc import Callable

    from .model import Model

_LONGEST = 1_000_000
"""Characters. What is longer would hold up the spans behind it, and is not counted."""

# Tokens that the makers' chat format adds before the answer.
_REPLY = 3
_COUNTED = ("content", "role", "name", "tool_calls", "function_call", "toolCalls", "functionCall")
_OLD_ENCODING, _NEW_ENCODING = "cl100k_base", "o200k_base"
# One token each, wherever they are in a text.
_SPECIAL = {
    _OLD_ENCODING: re.compile(r"<\|(?:endoftext|fim_prefix|fim_middle|fim_suffix|endofprompt)\|>"),
    _NEW_ENCODING: re.compile(r"<\|(?:endoftext|endofprompt)\|>"),
}
_CHAT = re.compile(
    r"gpt-4(-0314|-0613|-32k(-0314|-0613)?|-1106-preview|-vision-preview)?"
    r"|gpt-3\.5-turbo(-0301|-0613|-1106|-16k(-0613)?)?|gpt-35-turbo|gpt-4o(-2024-05-13)?"
)
"""The models of which the server knows how they chat."""
_OTHERS = re.compile(
    r"(davinci|babbage)(-002)?|curie|ada|gpt2|text-davinci-00[123]|text-(curie|babbage|ada)-001"
    r"|code-(davinci|cushman)-00[12]|(davinci|cushman)-codex|(text|code)-davinci-edit-001"
    r"|text-embedding-ada-002|text-similarity-(davinci|curie|babbage|ada)-001"
    r"|text-search-(davinci|curie|babbage|ada)-doc-001|code-search-(babbage|ada)-code-001"
    r"|gpt-3\.5-turbo-(0125|instruct(-0914)?)|gpt-4-turbo(-2024-04-09|-preview)?|gpt-4-0125-preview"
)
"""The others that it has a vocabulary for."""


class TokenCounter:
    """Counts with the tokenizer of one model."""

    __slots__ = ("_chats", "_count", "_per_message", "_per_name")

    def __init__(self, encoding: str, *, chats: bool, per_message: int | None, per_name: int | None) -> None:
        """`chats` tells whether messages cost what the chat format adds; not counted where that is None."""
        self._count = _encoder(encoding)
        self._chats = chats
        self._per_message, self._per_name = per_message, per_name

    def usage(self, given: str | None, answer: str | None) -> dict[str, int]:
        """Return tokens by usage kind with their `total`; empty when there is neither input nor output."""
        counted = {"input": self._tokens(given), "output": self._tokens(answer)}
        usage = {kind: tokens for kind, tokens in counted.items() if tokens is not None}
        return usage | {"total": sum(usage.values())} if usage else {}

    def _tokens(self, text: str | None) -> int | None:
        if text is None or len(text) > _LONGEST:
            return None
        document = parse_lossless(text)
        if not (self._chats and _is_chat(document)):
            return self._count(document if isinstance(document, str) else dumps(document))
        if self._per_message is None or self._per_name is None:
            return None
        return _REPLY + sum(
            self._per_message + self._message(message) + ("name" in message) * self._per_name
            for message in document
        )

    def _message(self, message: dict[str, Any]) -> int:
        return sum(
            self._count(_as_text(value)) for key, value in message.items() if value and key in _COUNTED
        )


class TextCounter(TokenCounter):
    """Counts texts as they are, for Claude's models, of which the vocabulary is not published."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_OLD_ENCODING, chats=False, per_message=None, per_name=None)

    def _tokens(self, text: str | None) -> int | None:
        if text is None or len(text) > _LONGEST:
            return None
        return self._count(unicodedata.normalize("NFKC", text))


def counter_of(model: Model) -> TokenCounter | None:
    """Return the counter for a model; None when it has no tokenizer, or one that is not set up completely."""
    if model.tokenizer_id == "claude":
        return TextCounter()
    config = model.tokenizer_config
    if model.tokenizer_id != "openai" or not isinstance(config, dict):
        return None
    name = config.get("tokenizerModel")
    if not isinstance(name, str) or not (_CHAT.fullmatch(name) or _OTHERS.fullmatch(name)):
        return None
    encoding = _NEW_ENCODING if name.startswith("gpt-4o") else _OLD_ENCODING
    added = config.get("tokensPerMessage"), config.get("tokensPerName")
    per_message, per_name = (number if isinstance(number, int) else None for number in added)
    chats = _CHAT.fullmatch(name) is not None
    return TokenCounter(encoding, chats=chats, per_message=per_message, per_name=per_name)


@cache
def _encoder(encoding: str) -> Callable[[str], int]:
    """Return what counts the tokens of a text, loading the vocabulary with the first text."""
    encode: Callable[[str], list[int]] | None = None
    special = _SPECIAL[encoding]

    def count(text: str) -> int:
        nonlocal encode
        if encode is None:
            from splintr import Tokenizer

            encode = Tokenizer.from_pretrained(encoding).encode_ordinary
        # A lone surrogate, which JSON may hold, has no UTF-8; JavaScript counts a replacement character.
        parts = special.split(text.encode("utf-8", "replace").decode())
        return sum(len(encode(part)) for part in parts) + len(parts) - 1

    return count


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
