"""Invalid configurations: each is refused with file, line, reason and fix, before anything is touched."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.core.errors import StackFileError
from scripts.provision.loading import load

EXAMPLE = Path(__file__).parent / "example"
PLACE = re.compile(r"^config/[\w./-]+:\d+:\d+: ")


@dataclass(frozen=True)
class Case:
    """An edit of the example, and what has to be said of it: where, why, and what to do."""

    name: str
    file: str
    old: str
    new: str
    place: str
    reason: str
    fix: str


CASES = [
    Case("typo in a section", "scores.yaml", "score_configs:", "score_confgs:", "scores.yaml:1:1",
         "unknown key score_confgs", "did you mean score_configs?"),
    Case("typo in a field", "scores.yaml", "max_value: 1\n", "maxvalue: 1\n", "scores.yaml:5:5",
         "unknown key score_configs[0].maxvalue", "did you mean max_value?"),
    Case("unknown section", "stack.yaml", "include:", "xyz:", "stack.yaml:14:1", "unknown key xyz",
         "known here: organizations, members, projects, include, organization, admin"),
    Case("key given twice", "scores.yaml", "    min_value: 0\n", "    min_value: 0\n    min_value: 1\n",
         "scores.yaml:5:5", "min_value is given twice", "keep one"),
    Case("not YAML", "models.yaml", "models:", "models: [", "models.yaml:", "this is not YAML",
         "correct that place"),
    Case("number in quotes", "scores.yaml", "min_value: 0", 'min_value: "0"', "scores.yaml:4:16",
         "score_configs[0].min_value cannot be used ('0')", "write a number here"),
    Case("number for a text", "scores.yaml", "name: attribution_confidence", "name: 7", "scores.yaml:2:11",
         "score_configs[0].name cannot be used (7)", "write text here (a number needs quotes)"),
    Case("text for a list", "rest.yaml", "custom_models: [acme-7b]", "custom_models: acme-7b",
         "rest.yaml:6:20", "custom_models cannot be used ('acme-7b')", "write a list here"),
    Case("list for a mapping", "datasets/sets.yaml", "metadata: {owner: zeus}", "metadata: [zeus]",
         "datasets/sets.yaml:4:15", "datasets[0].metadata cannot be used", "write a mapping here"),
    Case("yes as a label", "prompts/athena/answer.md", "[production, staging]", "[yes]",
         "prompts/athena/answer.md:2:10", "labels[0] cannot be used", "write text here"),
    Case("missing field", "models.yaml", "    match_pattern: (?i)^(acme-7b)(-[[:digit:]]+)?$\n", "",
         "models.yaml:2:5", "models[0].match_pattern is missing", "add it"),
    Case("unknown data type", "scores.yaml", "data_type: BOOLEAN", "data_type: boolean", "scores.yaml:13:41",
         "data_type cannot be used ('boolean')", "did you mean BOOLEAN?"),
    Case("unknown unit", "models.yaml", "unit: SECONDS", "unit: HOURS", "models.yaml:9:59",
         "unit cannot be used ('HOURS')", "use one of TOKENS, CHARACTERS"),
    Case("negative price", "models.yaml", "total: 0.0001", "total: -1", "models.yaml:9:84",
         "prices.total cannot be used (-1)", "greater than or equal to 0"),
    Case("infinite limit", "scores.yaml", "max_value: 1\n", "max_value: .inf\n", "scores.yaml:5:16",
         "max_value cannot be used (inf)", "write a finite number"),
    Case("limits in the wrong order", "scores.yaml", "max_value: 1\n", "max_value: -1\n", "scores.yaml:2:5",
         "max_value is not greater than min_value", "exchange or correct them"),
    Case("limits of a text", "scores.yaml", "data_type: TEXT", "data_type: TEXT, max_value: 3",
         "scores.yaml:15:5", "only NUMERIC scores have min_value and max_value", "remove them"),
    Case("no categories", "scores.yaml", "remark, data_type: TEXT", "remark, data_type: CATEGORICAL",
         "scores.yaml:15:5", "CATEGORICAL needs categories", "list at least one"),
    Case("two equal categories", "scores.yaml", "label: MEDIUM", "label: LOW", "scores.yaml:7:5",
         "two categories have the same label", "give each another label"),
    Case("bad name of a score", "scores.yaml", "name: attribution_confidence", "name: a/b",
         "scores.yaml:2:11",
         "name cannot be used ('a/b')", "use up to 35 letters"),
    Case("score config twice", "zeus.yaml", "    score_configs:\n",
         "    score_configs:\n      - {name: quality, data_type: TEXT}\n", "zeus.yaml:7:16",
         "score_configs has 'quality' twice (also at config/zeus.yaml:6:9)", "keep one"),
    Case("bad regex in a model", "models.yaml", "(acme-7b)(", "(acme-7b(", "models.yaml:3:20",
         "this is not a regular expression: missing ), unterminated subpattern", "correct it"),
    Case("bad option in a regex", "models.yaml", "(?i)", "(?z)", "models.yaml:3:20", "unknown option 'z'",
         "correct it"),
    Case("bad character class", "models.yaml", "[[:digit:]]", "[[:digits:]]", "models.yaml:3:20",
         "unknown character class 'digits'", "correct it"),
    Case("bad regex in a tier", "models.yaml", "^input", "^in(put", "models.yaml:7:45",
         "this is not a regular expression", "correct it"),
    Case("tier without condition", "models.yaml",
         "[{usage_detail_pattern: ^input, operator: gt, value: 200000}]", "[]", "models.yaml:7:21",
         "conditions cannot be used", "give at least one"),
    Case("prompt with both contents", "prompts/chat.yaml", "    messages:", "    prompt: x\n    messages:",
         "prompts/chat.yaml:2:5", "a prompt is either text or chat", "give prompt (a text) or messages"),
    Case("label in capitals", "prompts/athena/answer.md", "staging", "Staging",
         "prompts/athena/answer.md:2:22", "labels[1] cannot be used ('Staging')", "use lower case letters"),
    Case("label latest", "prompts/athena/answer.md", "staging", "latest", "prompts/athena/answer.md:",
         "the label latest always follows the newest version", "remove it"),
    Case("label on two versions", "prompts/chat.yaml", "[variant-b]", "[variant-a]", "prompts/chat.yaml:7:5",
         "two versions have the same label", "give each version other labels"),
    Case("text and chat in versions", "prompts/chat.yaml",
         '{prompt: "Choose an agent for {{request}}.", labels: [variant-b]}',
         "{messages: [{role: user, content: x}], labels: [variant-b]}", "prompts/chat.yaml:7:5",
         "a prompt cannot be text in one version and chat in another", "use two prompts"),
    Case("reserved name of a prompt", "prompts/chat.yaml", "name: zeus-routing", "name: new",
         "prompts/chat.yaml:7:5", "the server refuses the name 'new'", "choose another"),
    Case("bad name of a prompt", "prompts/chat.yaml", "name: zeus-routing", "name: zeus|routing",
         "prompts/chat.yaml:7:11", "name cannot be used ('zeus|routing')", "no |, < or >"),
    Case("half a message", "prompts/chat.yaml", "- placeholder: history", "- role: system",
         "prompts/chat.yaml:5:9", "neither a message nor a placeholder", "give role and content"),
    Case("open front matter", "prompts/athena/answer.md", "\n---\nAnswer", "\nAnswer",
         "prompts/athena/answer.md:1:1", "the front matter does not end", "close it with a line ---"),
    Case("typo in front matter", "prompts/athena/answer.md", "tags:", "tag:", "prompts/athena/answer.md:3:1",
         "unknown key tag", "did you mean tags?"),
    Case("inclusion of what is not there", "prompts/athena/answer.md", "name=athena/rules|",
         "name=athena/rule|",
         "prompts/athena/answer.md:2:1", "includes 'athena/rule': there is no such prompt",
         "did you mean athena/rules?"),
    Case("inclusion by an unknown label", "prompts/athena/answer.md", "label=production@", "label=prod@",
         "prompts/athena/answer.md:2:1", "it has no label 'prod'", "did you mean production?"),
    Case("inclusion of a chat prompt", "prompts/athena/answer.md", "name=athena/rules|",
         "name=customer-service|", "prompts/athena/answer.md:2:1", "it is a chat prompt",
         "only text prompts can be included"),
    Case("prompts in a circle", "prompts/athena/rules.md", "Name your sources.",
         "@@@langfusePrompt:name=athena/answer|label=production@@@", "prompts/athena/rules.md:1:1",
         "prompts include each other in a circle: athena/rules > athena/answer > athena/rules",
         "take one inclusion out"),
    Case("prompt that includes itself", "prompts/athena/rules.md", "Name your sources.",
         "@@@langfusePrompt:name=athena/rules|label=production@@@", "prompts/athena/rules.md:1:1",
         "in a circle: athena/rules > athena/rules", "take one inclusion out"),
    Case("prompt twice", "prompts/chat.yaml", "name: zeus-routing", "name: athena/rules",
         "prompts/chat.yaml:7:11", "prompts has 'athena/rules' twice", "keep one"),
    Case("bad schema", "datasets/sets.yaml", "{type: object, properties", "{type: objekt, properties",
         "datasets/sets.yaml:5:19", "the server refuses this JSON Schema: 'objekt'", "correct it"),
    Case("schema that strict mode refuses", "datasets/sets.yaml", "required: [request]", "required: [other]",
         "datasets/sets.yaml:5:19", "the required property 'other' is not declared", "correct it"),
    Case("item that does not fit the schema", "datasets/routing.jsonl", '{"request": "refund"}', '{"req": 1}',
         "datasets/routing.jsonl:1:1", "the input does not fit the dataset's schema", "correct the item"),
    Case("items file that is not there", "datasets/sets.yaml", "rag.csv", "rags.csv",
         "datasets/sets.yaml:8:17", "config/datasets/rags.csv cannot be read", "correct the path"),
    Case("items file of another kind", "datasets/sets.yaml", "rag.csv", "rag.xlsx", "datasets/sets.yaml:8:17",
         "items_from cannot be used ('rag.xlsx')", "name a .jsonl or .csv file"),
    Case("data that nobody names", "datasets/sets.yaml", "    items_from: rag.csv\n", "",
         "datasets/rag.csv:1:1", "no dataset names this file", "name it in items_from"),
    Case("line that is not JSON", "datasets/routing.jsonl", '"billing"}', '"billing"',
         "datasets/routing.jsonl:1:1", "this is not JSON", "write one object on each line"),
    Case("typo in a line", "datasets/routing.jsonl", '"expected_output": "billing"', '"expected": "billing"',
         "datasets/routing.jsonl:1:1", "unknown key expected", "did you mean expected_output?"),
    Case("item id twice", "datasets/routing.jsonl", '"id": "routing-2"', '"id": "routing-1"',
         "datasets/routing.jsonl:2:1", "the item id 'routing-1' is there twice", "give another id"),
    Case("item without input", "datasets/sets.yaml", 'input: {q: "2+2"}, ', "", "datasets/sets.yaml:11:9",
         "an item needs an input", "add input"),
    Case("unknown column", "datasets/rag.csv", "input.question", "inputs.question", "datasets/rag.csv:1:1",
         "unknown column 'inputs.question'", "did you mean input"),
    Case("column and its parts", "datasets/rag.csv", "input.question", "input.question,input",
         "datasets/rag.csv:1:1", "the column 'input' is given twice", "keep one, or use its parts only"),
    Case("number that JSON lacks", "datasets/sets.yaml", "expected_output: 4", "expected_output: .nan",
         "datasets/sets.yaml:", "JSON has no nan", "write null or a finite number"),
    Case("key that is not text", "datasets/sets.yaml", "{owner: zeus}", "{owner: {1: zeus}}",
         "datasets/sets.yaml:4:15", "the key 1 is not text", "put it in quotes"),
    Case("type that JSON lacks", "datasets/sets.yaml", "{owner: zeus}", "{owner: !!binary aGk=}",
         "datasets/sets.yaml:4:15", "JSON has no bytes", "write text, a number, a list or a mapping"),
    Case("too many cells", "datasets/rag.csv", '"Where, on a map, is Delphi?"', "Where, on a map, is Delphi?",
         "datasets/rag.csv:3:1", "6 cells instead of 4", "put quotes around a cell with commas"),
    Case("queue without its config", "rest.yaml", "[attribution_confidence, ", "[attribution_confidense, ",
         "rest.yaml:12:21", "there is no score config 'attribution_confidense'",
         "did you mean attribution_confidence?"),
    Case("secret of a connection in the file", "rest.yaml", "secret_from: ACME_GATEWAY_KEY",
         "secret_key: not-in-a-file-please", "rest.yaml:4:5", "secret_key would be a secret in a file",
         "name its environment variable in secret_from"),
    Case("secret in the place of a name", "rest.yaml", "secret_from: ACME_GATEWAY_KEY",
         "secret_from: sk-proj-0123456789abcdefghij", "rest.yaml:4:18", "secret_from cannot be used;",
         "give the NAME of an environment variable"),
    Case("secret in a prompt", "prompts/athena/rules.md", "Name your sources.",
         "Use sk-lf-test-0123456789.", "prompts/athena/rules.md:1:1", "this looks like a secret",
         "keep it in .env or the environment"),
    Case("secret in an item", "datasets/routing.jsonl", '"refund"', '"AKIA0123456789ABCDEF"',
         "datasets/routing.jsonl:1:1", "this looks like a secret", "keep it in .env or the environment"),
    Case("password in an address", "rest.yaml", "https://llm", "https://me:pass@llm", "rest.yaml:5:15",
         "base_url cannot be used", "without user and password"),
    Case("config that the adapter does not take", "rest.yaml", "adapter: openai", "adapter: bedrock",
         "rest.yaml:2:5", "bedrock needs a region", "add config: {region: ...}"),
    Case("dimension that the view lacks", "dashboards.yaml", "[providedModelName]", "[modelName]",
         "dashboards.yaml:5:9", "the view observations has no dimension 'modelName'",
         "did you mean"),
    Case("measure that the view lacks", "dashboards.yaml", "measure: totalCost", "measure: cost",
         "dashboards.yaml:5:9", "the view observations has no measure 'cost'", "did you mean"),
    Case("unknown aggregation", "dashboards.yaml", "agg: sum", "agg: total", "dashboards.yaml:8:45",
         "agg cannot be used ('total')", "use one of sum, avg"),
    Case("widget beyond the grid", "dashboards.yaml", "x: 6", "x: 8", "dashboards.yaml:12:9",
         "it reaches beyond the 12 columns", "lower x or width"),
    Case("unknown preset", "dashboards.yaml", "preset: home-traces", "preset: home-trace",
         "dashboards.yaml:18:17", "preset cannot be used ('home-trace')", "did you mean home-traces?"),
    Case("two widgets of one name", "dashboards.yaml", "name: Confidence", "name: Cost by model",
         "dashboards.yaml:2:5", "two widgets have the same name", "give each another name"),
    Case("project id with a space", "zeus.yaml", "id: zeus", "id: The Zeus", "zeus.yaml:2:9",
         "projects[0].id cannot be used ('The Zeus')", "use letters, digits, -, _ and . only"),
    Case("project id that differs in case only", "zeus.yaml", "id: zeus", "id: Kosmos", "zeus.yaml:2:9",
         "id 'Kosmos' is used twice", "choose another"),
    Case("project twice", "zeus.yaml", "id: zeus", "id: kosmos", "zeus.yaml:2:9",
         "id 'kosmos' is used twice", "choose another"),
    Case("two keys of one name", "stack.yaml", "{name: ci, rotation: 1}", "{name: app}", "stack.yaml:7:5",
         "two keys have the same name", "give each key another name"),
    Case("rotation of a fixed key", "stack.yaml", "{name: ci, rotation: 1}",
         "{name: ci, rotation: 1, public: pk-lf-test-ci, secret_from: CI_KEY}", "stack.yaml:12:9",
         "rotation is for generated keys", "replace a fixed key by another public"),
    Case("half of a fixed key", "stack.yaml", "{name: ci, rotation: 1}", "{name: ci, public: pk-lf-test-ci}",
         "stack.yaml:12:9", "a fixed key needs both public and secret_from", "give both"),
    Case("unknown role", "stack.yaml", "role: MEMBER", "role: MEMBERS", "stack.yaml:5:54",
         "role cannot be used ('MEMBERS')", "did you mean MEMBER?"),
    Case("organization that is not there", "zeus.yaml", "name: zeus\n",
         "name: zeus\n    organization: acne\n",
         "zeus.yaml:4:19", "there is no organization 'acne'", "did you mean acme?"),
    Case("content that is not there", "stack.yaml", "[scores.yaml,", "[score.yaml,", "stack.yaml:13:15",
         "config/score.yaml does not exist", "correct the path"),
    Case("include that includes itself", "zeus.yaml", "projects:", "include: [zeus.yaml]\nprojects:",
         "zeus.yaml:1:11", "config/zeus.yaml includes itself", "remove it here"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_with_file_line_reason_and_fix(case: Case, tmp_path: Path) -> None:
    config = tmp_path / "config"
    shutil.copytree(EXAMPLE, config)
    path = config / case.file
    text = path.read_text()
    assert text.count(case.old) == 1, f"{case.old!r} stands {text.count(case.old)} times"
    path.write_text(text.replace(case.old, case.new))
    with pytest.raises(StackFileError) as caught:
        load(config / "stack.yaml", "config/stack.yaml")
    assert "nothing was changed" in caught.value.message
    faults = caught.value.details
    assert all(PLACE.match(fault) for fault in faults), faults
    matching = [
        fault for fault in faults if fault.startswith(f"config/{case.place}") and case.reason in fault
    ]
    assert matching, faults
    assert any(case.fix in fault.split(case.reason, 1)[1] for fault in matching), matching


def test_there_are_more_than_forty_cases_with_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) > 40


def test_a_secret_is_never_repeated_in_a_message(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "config")
    rest = tmp_path / "config" / "rest.yaml"
    secret = "sk-proj-0123456789abcdefghij"
    for place in ("secret_from: ACME_GATEWAY_KEY", "base_url: https://llm.acme.example/v1", "ACME_TENANT"):
        text = (EXAMPLE / "rest.yaml").read_text()
        rest.write_text(
            text.replace(place, f"{place.partition(':')[0]}: {secret}" if ":" in place else secret)
        )
        with pytest.raises(StackFileError) as caught:
            load(tmp_path / "config" / "stack.yaml", "config/stack.yaml")
        assert secret not in str(caught.value)


def test_inclusions_deeper_than_the_server_allows_are_refused(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "config")
    lines = ["prompts:", "  - {name: deep-0, prompt: end}"]
    for level in range(1, 7):
        tag = f"@@@langfusePrompt:name=deep-{level - 1}|label=production@@@"
        lines.append(f"  - {{name: deep-{level}, prompt: '{tag}'}}")
    (tmp_path / "config" / "prompts" / "deep.yaml").write_text("\n".join(lines))
    with pytest.raises(StackFileError) as caught:
        load(tmp_path / "config" / "stack.yaml", "config/stack.yaml")
    assert [fault.partition(": ")[2] for fault in caught.value.details] == [
        f"the prompt 'deep-{level}' includes others more than 5 deep; take a level out" for level in (5, 6)
    ]
