"""Tokens are counted where a client reports none, by the rules of the server."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from langfuse_embedded.pricing.book import PriceBook
from langfuse_embedded.pricing.model import Model
from langfuse_embedded.pricing.tokens import TokenCounter, counter_of

from .builders import Generation, Source, model

_CHAT = {"tokenizerModel": "gpt-4o", "tokensPerMessage": 3, "tokensPerName": 1}


def _with(tokenizer: str | None, config: Any) -> Model:
    return replace(model("^hermes-1$"), tokenizer_id=tokenizer, tokenizer_config=config)


def _counter(tokenizer: str | None = "openai", config: Any = _CHAT) -> TokenCounter:
    counter = counter_of(_with(tokenizer, config))
    assert counter is not None
    return counter


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("hello world", 2),
        ("Привет, мир! 🚀 日本語", 9),
        # A JSON text counts as what it says, a document without blanks between its parts.
        ('"hello world"', 2),
        ('{"a":  1}', 5),
        ('{"a":1}', 5),
        ("[not json", 3),
        # What JavaScript reads as JSON and writes without blanks.
        (' {"a":\n1}', 5),
        ('{"a":1.0}', 5),
        ("1.0", 1),
        ("true ", 1),
        # A special token is one, wherever it is.
        ("<|endoftext|>", 1),
        ("hello<|endoftext|> world<|endofprompt|>", 4),
        ("<|fim_prefix|>", 6),
        # A lone surrogate is a replacement character.
        ("\ud800", 1),
    ],
)
def test_texts_are_counted_with_the_encoding_of_the_model(text: str, tokens: int) -> None:
    assert _counter().usage(text, None) == {"input": tokens, "total": tokens}


def test_the_two_encodings_differ() -> None:
    text = "日本語のテキスト"
    older = _counter(config=_CHAT | {"tokenizerModel": "gpt-4"})
    assert older.usage(text, None) != _counter().usage(text, None)


@pytest.mark.parametrize(
    ("messages", "tokens"),
    [
        ('[{"role":"user","content":"hi"}]', 3 + 1 + 1 + 3),
        ('[{"role":"user","content":"hi","name":"zeus"}]', 3 + 1 + 1 + 2 + 1 + 3),
        ('[{"role":"user","content":"hi"},{"role":"user","content":""}]', 3 + 1 + 1 + 3 + 1 + 3),
        # What JavaScript makes of a list of objects: "[object Object]".
        ('[{"role":"user","content":"hi","tool_calls":[{"id":"1"}],"other":"x"}]', 3 + 1 + 1 + 4 + 3),
        ('[{"role":"user","content":"hi","function_call":{"name":"x"}}]', 3 + 1 + 1 + 3),
        # No chat: a message without a role.
        ('[{"content":"yo"}]', 7),
    ],
)
def test_chat_messages_cost_what_the_format_adds(messages: str, tokens: int) -> None:
    assert _counter().usage(messages, None)["input"] == tokens


def test_messages_are_text_to_a_model_without_a_chat_format() -> None:
    counter = _counter(config={"tokenizerModel": "davinci-002"})
    assert counter.usage('[{"role":"user","content":"hi"}]', None)["input"] == 11


def test_what_is_missing_empty_or_huge_is_not_counted() -> None:
    counter = _counter()
    assert counter.usage(None, None) == {}
    # An array without messages is a chat, too: the server adds what comes before an answer.
    assert counter.usage("[]", "hi") == {"input": 3, "output": 1, "total": 4}
    assert counter.usage("a" * 1_000_001, "hi") == {"output": 1, "total": 1}


@pytest.mark.parametrize(
    ("tokenizer", "config"),
    [
        (None, None),
        ("openai", None),
        ("openai", {"tokenizerModel": 4}),
        ("openai", {"tokenizerModel": "athena-2"}),
        ("openai", []),
    ],
)
def test_a_model_without_a_complete_tokenizer_has_no_counter(tokenizer: str | None, config: Any) -> None:
    assert counter_of(_with(tokenizer, config)) is None


def test_messages_are_not_counted_where_what_they_add_is_not_known() -> None:
    counter = _counter(config={"tokenizerModel": "gpt-4"})
    messages = '[{"role":"user","content":"hi"}]'
    assert counter.usage(messages, "hi") == {"output": 1, "total": 1}


@pytest.mark.parametrize(
    ("text", "tokens"),
    [('"hello world"', 4), ('{"a":  1}', 7), ('{"a":1}', 5), ("\ufb01n", 1), ("<|endoftext|>", 1)],
)
def test_texts_are_counted_as_they_are_for_claude(text: str, tokens: int) -> None:
    assert _counter("claude", None).usage(text, None)["input"] == tokens


def test_claude_models_have_a_counter() -> None:
    assert _counter("claude", None).usage("hello world", "hi there") == {"input": 2, "output": 2, "total": 4}


class TestPrices:
    """Counted tokens are priced like reported ones."""

    book = PriceBook(Source(own={"acme": [_with("openai", _CHAT)]}))
    question = Generation(input="hello world", output="hi there")

    def _usage(self, **changes: Any) -> dict[str, int]:
        self.book.refresh()
        return self.book.price("acme", replace(self.question, **changes)).usage

    def test_a_generation_without_usage_is_counted_and_priced(self) -> None:
        self.book.refresh()
        priced = self.book.price("acme", self.question)
        assert priced.usage == {"input": 2, "output": 2, "total": 4}
        assert priced.cost == {"input": 0.002, "output": 0.004, "total": 0.006}

    def test_what_the_client_gave_stands(self) -> None:
        assert self._usage(usage={"input": 7, "total": 7}) == {"input": 7, "total": 7}
        assert self._usage(cost={"total": 1.0}) == {}

    def test_failures_and_unknown_models_are_not_counted(self) -> None:
        assert self._usage(level="ERROR") == {}
        assert self._usage(model_name="athena-2") == {}
        assert self._usage(model_name=None) == {}


def test_vocabularies_are_not_loaded_before_they_are_needed() -> None:
    import subprocess

    code = "import sys, langfuse_embedded.pricing.book; assert 'splintr' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
