"""Evaluator files that cannot work are refused with the place and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from langfuse_embedded.judge.filters import COLUMNS
from scripts.core.errors import StackError
from scripts.provision.judges import FILTER_COLUMNS
from scripts.provision.loading import load

ROOT = Path(__file__).resolve().parents[3]
STACK = """\
organization: {id: acme, name: Acme}
admin: {email: admin@acme.example, name: Acme Admin}
projects:
  - {id: kosmos, name: kosmos, content: [judges.yaml]}
"""
VALID = """\
evaluators:
  - name: accuracy
    prompt: "Expected: {{expected}} Answer: {{answer}}"
    variables:
      expected: {source: metadata, json_path: $.expected}
      answer: {source: output}
    output:
      data_type: NUMERIC
      reasoning: Why
      score: 1 is right
      min_value: 0
      max_value: 1
evaluation_rules:
  - name: all generations
    evaluators: [accuracy]
    filter:
      - {column: type, operator: any of, value: [GENERATION]}
"""


def test_files_and_engine_know_the_same_columns() -> None:
    """But for the one that a file says by the target of its rule."""
    assert {**FILTER_COLUMNS, "isExperimentItemRootSpan": "boolean"} == COLUMNS


def refused(directory: Path, text: str) -> str:
    """Return the message about a file with judges."""
    (directory / "stack.yaml").write_text(STACK)
    (directory / "judges.yaml").write_text(text)
    with pytest.raises(StackError) as error:
        load(directory / "stack.yaml", "config/stack.yaml")
    return str(error.value)


def test_the_valid_file_and_the_shipped_ones_are_read(tmp_path: Path) -> None:
    shipped = (ROOT / "examples" / name for name in ("evaluators.yaml", "kosmos/judges.yaml"))
    scores = (ROOT / "examples" / "kosmos" / "content" / "scores.yaml").read_text("utf-8")
    for text in (VALID, *(path.read_text("utf-8") for path in shipped)):
        (tmp_path / "stack.yaml").write_text(STACK.replace("[judges.yaml]", "[judges.yaml, scores.yaml]"))
        (tmp_path / "scores.yaml").write_text(scores)
        (tmp_path / "judges.yaml").write_text(text)
        project = load(tmp_path / "stack.yaml", "config/stack.yaml").stack.projects[0]
        assert project.evaluators
        assert not any(rule.enabled for rule in project.evaluation_rules)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("      answer: {source: output}\n", "", 2, "the variable 'answer' of the prompt comes from nowhere"),
        ("source: output}", "source: output}\n      more: {source: input}", 2, "no variable 'more'"),
        ("{source: output}", "{source: answer}", 6, "use one of input, output, metadata"),
        ("$.expected", "expected", 5, "does not start with $; write it as $.answer"),
        ("$.expected", '"$.a[?(@.b)]"', 5, "no filter or script"),
        ("$.expected", '"$.a[-1]"', 5, "use a slice such as [-1:]"),
        ("$.expected", '"$.a[0"', 5, "close what is open"),
        ("data_type: NUMERIC", "data_type: TEXT", 8, "NUMERIC"),
        ("data_type: NUMERIC", "data_type: BOOLEAN", 8, "only NUMERIC outputs have min_value"),
        ("min_value: 0", "min_value: 2", 8, "min_value is greater than max_value"),
        ("      reasoning: Why\n", "", 8, "reasoning"),
        ("evaluators: [accuracy]", "evaluators: [acuracy]", 15, "there is no evaluator 'acuracy'"),
        ("column: type", "column: typ", 17, "there is no column 'typ'"),
        ("operator: any of", "operator: '='", 17, "type has no operator '='; use one of 'any of', 'none of'"),
        ("value: [GENERATION]", "value: GENERATION", 17, "write a list such as [GENERATION]"),
        ("    filter:\n", "    sampling: 2\n    filter:\n", 16, "less than or equal to 1"),
        ("{source: output}", "{source: expected_output}", 15, "add target: experiment"),
        ("- name: accuracy", "- name: accuracy\n    temperature: 0", 3, "temperature"),
        ("column: type, operator: any of", "column: type, key: a, operator: any of", 17, "only metadata"),
    ],
)
def test_what_cannot_work_is_refused_with_place_and_fix(
    tmp_path: Path, old: str, new: str, line: int, said: str
) -> None:
    assert VALID.count(old) == 1, old
    message = refused(tmp_path, VALID.replace(old, new))
    assert said in message
    assert f"judges.yaml:{line}:" in message, message
