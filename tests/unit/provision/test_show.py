"""How plans look: signs, differences line by line, what is left alone, colours only on a terminal."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import yaml

from scripts.core.console import Console
from scripts.provision.plan import Left, ProjectPlan
from scripts.provision.resources import Action, Change, Difference
from scripts.provision.show import as_json, lines, summary
from scripts.provision.yaml_text import as_file, as_lines


def texts(*changes: Change, left: tuple[Left, ...] = (), kept: int = 0) -> list[str]:
    return [text for text, _ in lines([ProjectPlan("kosmos", changes, left, kept)])]


def changed(field: str, old: Any, new: Any) -> list[str]:
    """Return how one difference looks."""
    return texts(Change(Action.UPDATE, "prompt", "answer", (Difference(field, old, new),)))[2:]


def test_every_action_has_its_sign_and_the_summary_counts_them() -> None:
    changes = [Change(action, "model", str(action)) for action in Action]
    assert texts(*changes)[1:] == [
        "  + model create",
        "  ~ model update",
        "  ~ model replace",
        "  - model delete",
        "  ! model blocked",
    ]
    plan = ProjectPlan("kosmos", tuple(changes))
    assert summary([plan]) == "1 to create, 2 to change, 1 to delete, 1 that the API cannot make."


def test_a_project_without_changes_says_how_much_is_as_wanted_and_what_is_left_alone() -> None:
    left = (*(Left("prompt", f"p{number}") for number in range(7)), Left("model", "acme-7b"))
    assert texts(left=left, kept=3) == [
        "project kosmos",
        "    3 as wanted",
        "    left alone, not in config/: 7 prompts (p0, p1, p2, p3, p4, ...)",
        "    left alone, not in config/: 1 model (acme-7b)",
    ]
    assert summary([ProjectPlan("kosmos", ())]) == "Nothing to change."


def test_a_short_difference_stands_in_one_line() -> None:
    assert changed("maxValue", 1.0, 2e-7) == ["      maxValue: 1 -> 0.0000002"]
    assert changed("labels", None, ["a", "b"]) == ["      labels: nothing -> [a, b]"]
    assert changed("description", "old", "") == ['      description: "old" -> ""']


def test_of_a_long_list_only_what_differs_is_shown() -> None:
    names = ["LOW", "MEDIUM", "HIGH"]
    old = [{"label": name, "value": float(number)} for number, name in enumerate(names)]
    assert changed("categories", old, [*old, {"label": "CERTAIN", "value": 3.0}]) == [
        "      categories:",
        "        @@ -3 +3,2 @@",
        "          - {label: HIGH, value: 2}",
        "        + - {label: CERTAIN, value: 3}",
    ]


def test_of_a_chat_prompt_the_changed_line_of_the_changed_message_is_shown() -> None:
    def messages(line: str) -> list[dict[str, str]]:
        return [
            {"role": "system", "content": f"Be kind.\n{line}\nBe short."},
            {"role": "user", "content": "{{q}}"},
        ]

    shown = changed("prompt", messages("Name sources."), messages("Name all sources."))
    assert [line.strip() for line in shown if line.lstrip()[:1] in "+-"] == [
        "-     Name sources.",
        "+     Name all sources.",
    ]


def test_a_line_end_that_was_added_at_the_end_of_a_text_is_seen() -> None:
    assert "        + " in changed("prompt", "one\ntwo", "one\ntwo\n")


def test_long_differences_are_cut_and_say_so() -> None:
    shown = changed("prompt", "", "\n".join(f"line {number}" for number in range(100)))
    assert len(shown) < 45
    assert shown[-1] == "        ... and 62 more lines"
    (_, _, line) = changed("input", "short", "x" * 2_000)
    assert line.endswith("... (2002 characters)")


def test_more_than_twenty_changes_of_a_kind_are_counted() -> None:
    items = [Change(Action.CREATE, "dataset item", f"item-{number}") for number in range(5_000)]
    shown = texts(*items, Change(Action.CREATE, "prompt", "answer"))
    assert shown[-2:] == ["  + prompt answer", "  + ... and 4980 more dataset items"]
    assert len(shown) == 23


def test_all_deletions_are_shown_before_anybody_says_yes_to_them() -> None:
    shown = texts(*(Change(Action.DELETE, "prompt", f"p{number}") for number in range(30)))
    assert shown[1:] == [f"  - prompt p{number}" for number in range(30)]


def test_json_has_everything_with_values_as_they_are() -> None:
    change = Change(Action.UPDATE, "score config", "quality", (Difference("maxValue", 1.0, None),), "why")
    shown = json.loads(as_json([ProjectPlan("kosmos", (change,), (Left("prompt", "p"),), 4)]))
    assert shown == {
        "changes": 1,
        "plans": [
            {
                "project": "kosmos",
                "kept": 4,
                "changes": [
                    {
                        "action": "update",
                        "kind": "score config",
                        "key": "quality",
                        "note": "why",
                        "differences": [{"field": "maxValue", "old": 1.0, "new": None}],
                    }
                ],
                "left": [{"kind": "prompt", "key": "p"}],
            }
        ],
    }


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_colours_and_wrapped_lines_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal, file = Terminal(), io.StringIO()
    text = "      " + "word " * 20
    for stream in (terminal, file):
        Console({}, stream, io.StringIO()).styled(text.rstrip(), "green")
    assert file.getvalue() == f"{text.rstrip()}\n"
    first, second, _ = terminal.getvalue().split("\n")
    assert "\x1b[32m" in first
    assert second.startswith("      ")
    assert "word" in second


@pytest.mark.parametrize(
    "value", [0.0000002, 2.5, 3.0, float("inf"), 1e22, "1e3", "a: b", "x\n\ny\n", "", None]
)
def test_what_is_written_as_yaml_reads_back_as_it_was(value: object) -> None:
    assert yaml.safe_load(as_file({"value": value})) == {"value": value}


def test_a_mapping_has_a_line_for_each_key() -> None:
    assert as_lines({"a": {"b": 1}, "c": [1, 2]}) == ["a:", "  b: 1", "c:", "- 1", "- 2"]
