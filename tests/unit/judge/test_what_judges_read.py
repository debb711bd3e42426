"""Prompts, paths, variables and filters of judges follow the recorded server's rules."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from langfuse_embedded.judge.filters import may_be_judged, sampled
from langfuse_embedded.judge.jsonpath import MAX_LENGTH, Unsupported, find
from langfuse_embedded.judge.outputs import NO_FIT, NO_JSON, InvalidAnswer, answer_schema, parsed_answer
from langfuse_embedded.judge.prompts import MappingProblem, TooLong, check_mapping, compiled, variables_of
from langfuse_embedded.judge.values import variables
from langfuse_embedded.store.bodies import Body
from langfuse_embedded.store.evaluators import Output

# As sent to the recorded server: numbers keep their value, not their digits.
INPUT = (
    '{"a":{"b":"deep"},"list":[{"n":1},{"n":2},{"n":3}],"bool":false,"nul":null,"num":1.50,'
    '"enc":"{\\"x\\":\\"encoded\\"}"}'
)
NUMERIC: Output = {"dataType": "NUMERIC", "reasoning": None, "score": None, "minValue": 0, "maxValue": 1}
CHOICE: Output = {
    "dataType": "CATEGORICAL",
    "reasoning": None,
    "score": None,
    "categories": ["good", "bad"],
    "multiple": True,
}


def value(source: str, path: str | None = None, **parts: Any) -> str:
    """Return what a variable becomes."""
    entry = {"variable": "x", "source": source, **({"jsonPath": path} if path else {})}
    body = Body(
        parts.get("input", INPUT), parts.get("output"), parts.get("metadata", ()), parts.get("more", {})
    )
    return variables([entry], body, parts.get("tools", ()))["x"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("$.a.b", "deep"),
        ("$['a']['b']", "deep"),
        ("$.list[*].n", "[1,2,3]"),
        ("$..n", "[1,2,3]"),
        ("$.list[0]", '{"n":1}'),
        ("$.list[-1:].n", "3"),
        ("$.list[0,2].n", "[1,3]"),
        ("$.list.length", "3"),
        ("$.none", ""),
        ("$.nul", ""),
        ("$.bool", "false"),
        ("$.num", "1.5"),
        ("$.enc.x", "encoded"),
    ],
)
def test_a_path_selects_what_the_server_selects(path: str, text: str) -> None:
    assert value("input", path) == text


def test_a_whole_value_is_compact_json_with_its_texts_read() -> None:
    assert value("input") == (
        '{"a":{"b":"deep"},"list":[{"n":1},{"n":2},{"n":3}],"bool":false,"nul":null,"num":1.5,'
        '"enc":{"x":"encoded"}}'
    )
    assert value("output", output="plain text") == "plain text"
    assert value("output", "$.x", output="plain text") == "plain text"
    assert value("output", output="1.50") == "1.50"
    assert value("output", "$.who", output="{'who': 'zeus', 'ok': True}") == "zeus"
    assert value("input", input=None) == ""


def test_metadata_is_one_object_in_which_the_first_of_equal_names_counts() -> None:
    metadata = [["j", '{"y": 5}'], ["n", "0"], ["n", "1"]]
    assert value("metadata", metadata=metadata) == '{"j":{"y":5},"n":"0"}'
    assert value("metadata", "$.j.y", metadata=metadata) == "5"


def test_tool_calls_get_their_names_back() -> None:
    call = '{"id":"call_1","arguments":"{\\"city\\":\\"Athens\\"}","type":"function","index":0}'
    assert value("tool_calls", tools=["lookup"], more={"tool_calls": [call]}) == (
        '[{"id":"call_1","name":"lookup","arguments":{"city":"Athens"},"type":"function","index":0}]'
    )
    assert value("tool_calls") == "[]"


def test_experiment_items_bring_what_is_expected() -> None:
    more = {"experiment": {"item_expected_output": '"exp one"', "item_metadata": [["level", "easy"]]}}
    assert value("expected_output", more=more) == "exp one"
    assert value("experiment_item_metadata", "$.level", more=more) == "easy"
    assert value("expected_output") == ""


@pytest.mark.parametrize("document", ["object", "list"])
def test_paths_find_what_the_library_of_the_server_finds(document: str) -> None:
    # What jsonpath-plus 10.3.0 answers with `eval: false`; null where it raises an error.
    content = json.loads(Path(__file__).with_name("jsonpath_plus.json").read_text("utf-8"))
    differing = []
    for path, name, theirs in content["cases"]:
        if name != document:
            continue
        try:
            ours = find(path, content["documents"][name])
        except Unsupported:
            ours = None
        # 1 and true are equal in Python.
        if json.dumps(ours) != json.dumps(theirs):
            differing.append((path, theirs, ours))
    assert differing == []


@pytest.mark.parametrize("path", ["$[?(@.n>1)]", "$^", "$~", "$[(@.length-1)]", "$.a@other()"])
def test_what_is_not_applied_leaves_the_whole_value(path: str) -> None:
    with pytest.raises(Unsupported):
        find(path, {"a": 1})
    assert value("input", path, input='{"a":1}') == '{"a":1}'


def test_an_expression_without_a_place_to_apply_it_to_finds_nothing() -> None:
    assert find("$.none[?(@.n>1)]", {"a": 1}) == []
    assert value("input", "$.none[?(@.n>1)]", input='{"a":1}') == ""


def test_parents_and_names_fill_variables() -> None:
    assert value("input", "$.list[?(@.n)]") == value("input")
    assert value("input", "$.a.b^") == '{"b":"deep"}'
    assert value("input", "$.list[0].n~") == "n"
    assert value("input", "$.*~") == '["a","list","bool","nul","num","enc"]'


def test_a_path_that_leads_to_too_much_leaves_the_whole_value() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"x": deep}
    with pytest.raises(Unsupported):
        find("$..x", deep)
    with pytest.raises(Unsupported):
        find("$..*..*..*..*", [[[[[[1] * 9] * 9] * 9] * 9] * 9])


def test_variables_are_found_and_filled_as_on_the_server() -> None:
    prompt = "{{a1}} {{ a1 }} {{ spaced }} {{#if x}} {{a.b}} {{{triple}}} {{größe}} {{1x}}"
    assert variables_of([{"content": prompt}]) == ["a1", "triple", "größe"]
    filled = compiled(prompt, {"a1": "{{triple}}", "triple": "T", "größe": "G"})
    assert filled == "{{triple}} {{triple}} {{ spaced }} {{#if x}} {{a.b}} {T} {{größe}} {{1x}}"


@pytest.mark.parametrize(
    ("mapping", "code"),
    [
        ([], "missing_variable_mapping"),
        ([{"variable": "y", "source": "input"}], "invalid_variable_mapping"),
        ([{"variable": "x", "source": "expected_output"}], "invalid_variable_mapping"),
        ([{"variable": "x", "source": "input"}] * 2, "duplicate_variable_mapping"),
        ([{"variable": "x", "source": "input", "jsonPath": "a.b"}], "invalid_json_path"),
        ([{"variable": "x", "source": "input", "jsonPath": "$.a["}], "invalid_json_path"),
        ([{"variable": "x", "source": "input", "jsonPath": "$.a]"}], "invalid_json_path"),
        ([{"variable": "x", "source": "input", "jsonPath": "$.a[?(@.b)]"}], "invalid_request"),
        ([{"variable": "x", "source": "input", "jsonPath": "$.a[-1]"}], "invalid_request"),
    ],
)
def test_mappings_that_do_not_fit_are_named(mapping: list[dict[str, str]], code: str) -> None:
    with pytest.raises(MappingProblem) as problem:
        check_mapping(mapping, ["x"], ("input", "output"), "observation")
    assert problem.value.code == code


def test_brackets_in_quoted_names_are_no_brackets() -> None:
    check_mapping([{"variable": "x", "source": "input", "jsonPath": "$['a[?(']"}], ["x"], ("input",), "o")
    assert find("$['a.b']", {"a.b": 1}) == [1]


def test_the_schema_of_an_answer_is_the_recorded_one() -> None:
    told: Output = {**NUMERIC, "reasoning": "Why this score", "score": "0 to 1, 1 is right"}
    assert answer_schema(told)["properties"] == {
        "reasoning": {"type": "string", "description": "Why this score"},
        "score": {"type": "number", "minimum": 0, "maximum": 1, "description": "0 to 1, 1 is right"},
    }
    several = answer_schema(CHOICE)["properties"]["score"]
    assert several == {
        "minItems": 1,
        "maxItems": 2,
        "type": "array",
        "items": {"type": "string", "enum": ["good", "bad"]},
    }


def test_answers_are_taken_as_they_are_or_not_at_all() -> None:
    assert parsed_answer('{"reasoning":"r","score":1,"more":2}', NUMERIC) == {"reasoning": "r", "score": 1}
    assert parsed_answer('{"reasoning":"r","score":["bad"]}', CHOICE)["score"] == ["bad"]
    for text, why in (
        ("```json\n{}\n```", NO_JSON),
        ('{"score":1}', NO_FIT),
        ('{"reasoning":"r","score":"0.7"}', NO_FIT),
        ('{"reasoning":"r","score":7}', NO_FIT),
        ('{"reasoning":"r","score":true}', NO_FIT),
    ):
        with pytest.raises(InvalidAnswer, match=why):
            parsed_answer(text, NUMERIC)
    for score in ("[]", '["bad","bad"]', '["ugly"]', '"bad"'):
        with pytest.raises(InvalidAnswer):
            parsed_answer(f'{{"reasoning":"r","score":{score}}}', CHOICE)


def test_judges_are_not_judged() -> None:
    judged = ["default", "staging", "thing", "langfuse-prompt-experiment"]
    assert [
        one for one in (*judged, "langfuse-llm-as-a-judge", "llm-as-a-judge") if may_be_judged(one)
    ] == judged


def test_sampling_depends_on_the_span_alone() -> None:
    spans = [f"{number:016x}" for number in range(2000)]
    half = [span for span in spans if sampled(span, 0.5)]
    assert 900 < len(half) < 1100
    assert set(half) > {span for span in spans if sampled(span, 0.1)}
    assert (sampled(spans[0], 0), sampled(spans[0], 1)) == (False, True)


def test_a_path_longer_than_any_that_is_meant_is_refused_and_not_read() -> None:
    longest = "$." + "a" * (MAX_LENGTH - 2)
    trap = "$['" + "[(" * 100_000 + "']"
    assert find(longest, {"a" * (MAX_LENGTH - 2): 1}) == [1]
    with pytest.raises(Unsupported):
        find(trap, {"a": 1})
    for path, is_refused in ((longest, False), (trap, True)):
        entry = {"variable": "x", "source": "input", "jsonPath": path}
        with pytest.raises(MappingProblem, match="1000 characters") if is_refused else nullcontext():
            check_mapping([entry], ["x"], ["input"], "observation")


def test_a_prompt_that_repeats_a_large_variable_is_not_made() -> None:
    assert len(compiled("{{x}}" * 9, {"x": "a" * 1_000_000})) == 9_000_000
    with pytest.raises(TooLong):
        compiled("{{x}}" * 100_000, {"x": "a" * 1_000_000})
