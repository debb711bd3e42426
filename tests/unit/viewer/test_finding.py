"""A text that is looked for is marked wherever it is shown, and nothing else changes."""

from __future__ import annotations

import json

import pytest

from langfuse_embedded.viewer.content import Content, content_of, content_of_value
from langfuse_embedded.viewer.finding import Finder

HOSTILE = "</mark><script>alert('x')</script>"


def html_of(content: Content | None) -> str:
    assert content is not None
    parts = [part for message in content.messages for part in message.parts]
    return "".join(part.html for part in (*parts, *([content.part] if content.part else ())))


def found(text: str, wanted: str) -> tuple[str, int]:
    finder = Finder(wanted)
    content = finder.content(content_of(text))
    assert content is not None
    assert content.hits == finder.hits
    return html_of(content), finder.hits


def test_each_place_is_marked_in_any_case_and_numbered() -> None:
    assert found("Order, reorder, ORDER", "order") == (
        '<mark id="hit-1">Order</mark>, re<mark id="hit-2">order</mark>, <mark id="hit-3">ORDER</mark>',
        3,
    )


def test_names_and_values_of_json_are_searched_and_what_is_marked_stays_json() -> None:
    html, hits = found('{"order": {"id": 4711, "note": "no order"}}', "order")
    assert hits == 2
    assert html.count("<mark") == 2
    assert '<span class="k">&#34;<mark id="hit-1">order</mark>&#34;</span>' in html
    assert found('{"n": 4711}', "471")[0].count('<mark id="hit-1">471</mark>1') == 1


def test_what_is_folded_around_a_hit_is_opened_and_what_has_none_stays_folded() -> None:
    long = {str(number): number for number in range(40)}
    value = {"calm": long, "outer": {"inner": {**long, "needle": 1}, **long}}
    html, hits = found(json.dumps(value), "needle")
    assert hits == 1
    assert html.count('<details class="fold" open>') == 2
    assert html.count('<details class="fold">') == 1
    # What stands for the folded part is no text of it.
    assert found(json.dumps(value), "fields") == (html_of(content_of(json.dumps(value))), 0)


@pytest.mark.parametrize("text", ["a<b && c>d &amp; \"e\" 'f'", "&lt;&copy &#39;", HOSTILE, "e\u0301 ß İ"])
def test_marking_changes_nothing_but_the_marks(text: str) -> None:
    plain = html_of(content_of(text))
    for wanted in ("a", "&", "<", "amp", "lt", ";", "'", "s", "i", text, HOSTILE):
        html, hits = found(text, wanted)
        assert html.count("<mark id=") == hits == html.count("</mark>")
        parts = html.replace("</mark>", "<mark>").split("<mark>")
        stripped = "".join(parts)
        for number in range(1, hits + 1):
            stripped = stripped.replace(f'<mark id="hit-{number}">', "")
        assert stripped == plain
        assert "<script" not in html


def test_an_entity_is_searched_as_the_character_that_it_stands_for() -> None:
    assert found("fish & chips", "amp") == ("fish &amp; chips", 0)
    assert found("fish & chips", "h & c") == ('fis<mark id="hit-1">h &amp; c</mark>hips', 1)


def test_marks_are_counted_across_contents_and_names_and_end_at_a_thousand() -> None:
    finder = Finder("tier")
    named = finder.named({"tier": content_of_value("gold tier"), "none": None})
    assert list(named) == ['<mark id="hit-1">tier</mark>', "none"]
    assert 'gold <mark id="hit-2">tier</mark>' in html_of(named['<mark id="hit-1">tier</mark>'])
    finder.content(content_of("tier " * 2000))
    assert finder.hits == 1000


def test_without_a_text_nothing_is_marked_and_a_long_one_is_cut() -> None:
    content = content_of("anything")
    assert Finder("").content(content) is content
    assert Finder("").named({"<b>": None}) == {"&lt;b&gt;": None}
    assert Finder("x").content(None) is None
    assert len(Finder("x" * 500).text) == 200
    finder = Finder("x")
    finder.content(content_of("x" * 100_001))
    assert finder.is_cut
