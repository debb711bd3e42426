"""A YAML file that its aliases make endless is refused at once, with its place; usual aliases stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.core.edited_file import parse_edited
from scripts.core.errors import UsageError
from scripts.provision.source import NotYaml, read_yaml

LEVELS = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 11))
BOMB = f"l0: &l0 [x, x, x, x, x, x, x, x, x]\n{LEVELS}\n"
MAPPINGS = "a0: &a0 {x: 1}\n" + "\n".join(
    f"a{n}: &a{n} {{{', '.join(f'k{i}: *a{n - 1}' for i in range(9))}}}" for n in range(1, 11)
)
REFUSED = {
    "sequences": BOMB,
    "mappings": MAPPINGS,
    "itself": "a: &a [*a]",
    "itself by key": "a: &a {b: {c: *a}}",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_aliases_that_explode_or_have_no_end_are_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"^retention\.yaml:\d+:\d+: its aliases stand for more than 200,000"
    ):
        parse_edited(text, "retention.yaml")
    with pytest.raises(NotYaml, match="its aliases stand for more than"):
        read_yaml(text, Path("stack.yaml"), "stack.yaml")


def test_what_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(UsageError, match="nested too deeply"):
        parse_edited("[" * 5000 + "]" * 5000, "retention.yaml")


def test_aliases_that_people_use_stay() -> None:
    text = "base: &base {a: 1, b: [1, 2]}\none: {<<: *base, c: 3}\ntwo: *base\n"
    assert parse_edited(text, "a.yaml")["one"] == {"a": 1, "b": [1, 2], "c": 3}
    assert read_yaml(text, Path("a"), "a").data["two"] == {"a": 1, "b": [1, 2]}


def test_a_large_file_without_aliases_stays() -> None:
    assert len(parse_edited("\n".join(f"- {{a: {n}}}" for n in range(2000)), "a.yaml")) == 2000
