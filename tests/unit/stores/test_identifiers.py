"""Ids and names of a subject are found in whatever form a store has them, and others are not."""

from __future__ import annotations

import json

import pytest

from scripts.stores.identifiers import Needles, keyed_hash, made_by_machine

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    "identifier", [TRACE, SPAN, "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "cm9x2k1ab0000s6l8d3f4g5h6"]
)
def test_an_id_of_chance_is_known_as_one(identifier: str) -> None:
    assert made_by_machine(identifier)


@pytest.mark.parametrize(
    "identifier", ["", "default", "hermes@acme.example", "1", "case-1", TRACE.upper(), TRACE + "0"]
)
def test_an_id_that_a_person_may_have_chosen_is_not(identifier: str) -> None:
    assert not made_by_machine(identifier)


@pytest.mark.parametrize(
    "text",
    [
        f"otel/kosmos/{TRACE}/x.json",
        json.dumps({"a": json.dumps({"traceId": TRACE})}),
        f"00-{TRACE}-{SPAN}-01",
        "user hermes@acme.example wrote",
        '{"user":"hermes@acme.example"}',
        json.dumps({"q": 'say "hi" \\ to'}),
        json.dumps({"q": json.dumps({"q": 'say "hi" \\ to'})}),
        json.dumps("größer als"),
        json.dumps("größer als", ensure_ascii=False),
        "ann, as a word",
    ],
)
def test_every_form_is_found(text: str) -> None:
    needles = Needles.of([TRACE, SPAN, "hermes@acme.example", 'say "hi" \\ to', "größer als", "ann"])
    assert needles.occur_in(text.encode())


@pytest.mark.parametrize("text", ["", TRACE[:-1] + "d", "hermesXacme.example", "planning", "ann_1"])
def test_what_is_another_text_is_not_found(text: str) -> None:
    needles = Needles.of([TRACE, SPAN, "hermes@acme.example", "ann", ""])
    assert not needles.occur_in(text.encode())


def test_nothing_is_found_when_nothing_is_wanted() -> None:
    assert not Needles.of([""]).occur_in(b"anything")


def test_what_replaces_a_chosen_id_depends_on_the_key_and_does_not_show_it() -> None:
    one, other = keyed_hash("salt", "hermes"), keyed_hash("pepper", "hermes")
    assert one != other
    assert one == keyed_hash("salt", "hermes")
    assert "hermes" not in one
