"""How long plans and applies of a large configuration take on the embedded engine: one table.

    python -m benchmarks.provision [--prompts 300] [--items 5000]

A stack of its own in a temporary directory. The configuration is files as teams have them: prompts of about
1.5 KB, a third of them chat and some including others, datasets of 500 items of about 0.7 KB in JSONL. The
commands run in this process; what an operator waits for is 0.4 s more, the start of Python.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table

from scripts.config import bootstrap, export_config, validate
from tests.embedded.backups import Stack, stack_in

SUMMARY = re.compile(r"^(Nothing to change|\d+ (?:changes made|to )[^\n]*)\.?$", re.MULTILINE)
ITEMS_PER_DATASET = 500
WORDS = (
    *("customer", "invoice", "refund", "answer", "politely", "never", "always", "source", "confidence"),
    *("album", "artist", "label", "release", "tool", "question", "context", "explain", "because"),
)


def main() -> None:
    """Describe, start, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=300)
    parser.add_argument("--items", type=int, default=5_000)
    wanted = parser.parse_args()
    table = Table("what", "seconds", "said")
    with tempfile.TemporaryDirectory(prefix="langfuse-stack-bench-") as name:
        stack = stack_in(Path(name) / "stack")
        stack.up()
        try:
            content = stack.layout.root / "config" / "kosmos"
            describe(content, wanted.prompts, wanted.items)
            name_in_stack_file(stack.layout.stack_file)
            measure(stack, content, table)
        finally:
            stack.stop()
    Console().print(table)


def measure(stack: Stack, content: Path, table: Table) -> None:
    """Add a row for each command."""

    def row(what: str, command: Callable[[], int]) -> None:
        begin = len(stack.screen.out.getvalue())
        began = time.monotonic()
        assert command() == 0
        seconds = time.monotonic() - began
        said = SUMMARY.findall(stack.screen.out.getvalue()[begin:])
        table.add_row(what, f"{seconds:.1f}", said[-1] if said else "")

    def plan() -> int:
        return bootstrap.bootstrap(stack.context, dry_run=True)

    def apply() -> int:
        return bootstrap.bootstrap(stack.context, dry_run=False)

    row("validate", lambda: validate.validate(stack.context))
    row("plan, nothing there yet", plan)
    row("apply all", apply)
    row("plan, all there", plan)
    change(content)
    row("plan, a tenth of all changed", plan)
    row("apply these changes", apply)
    into = stack.layout.root / "exported"
    row(
        "export-config",
        lambda: export_config.export_config(stack.context, into=into, project="kosmos", base_url=""),
    )


def describe(content: Path, prompts: int, items: int) -> None:
    """Write the files of a project."""
    random = Random(11)
    for folder in ("prompts/rules", "prompts/agents", "datasets"):
        (content / folder).mkdir(parents=True)
    for number in range(prompts):
        body = f"{_text(random, 1_400)}\nThe request: {{{{request}}}}\n"
        if number % 10 == 0:
            path = content / "prompts" / "rules" / f"rule-{number}.md"
            path.write_text(body)
        elif number % 3 == 0:
            messages = [{"role": "system", "content": body}, {"role": "user", "content": "{{request}}"}]
            prompt = {"name": f"chat/chat-{number}", "messages": messages, "config": {"temperature": 0.2}}
            (content / "prompts" / f"chat-{number}.yaml").write_text(json.dumps({"prompts": [prompt]}))
        else:
            rule = f"@@@langfusePrompt:name=rules/rule-{number // 10 * 10}|label=production@@@\n"
            head = "---\nlabels: [production, staging]\nconfig: {model: acme-7b, temperature: 0.2}\n---\n"
            (content / "prompts" / "agents" / f"agent-{number}.md").write_text(f"{head}{rule}{body}")
    names = [f"golden/set-{number}" for number in range(-(-items // ITEMS_PER_DATASET))]
    for number, _ in enumerate(names):
        rows = range(number * ITEMS_PER_DATASET, min(items, (number + 1) * ITEMS_PER_DATASET))
        lines = [json.dumps(_item(random, row)) for row in rows]
        (content / "datasets" / f"set-{number}.jsonl").write_text("\n".join(lines) + "\n")
    sets = [{"name": name, "items_from": f"set-{number}.jsonl"} for number, name in enumerate(names)]
    (content / "datasets" / "sets.yaml").write_text(json.dumps({"datasets": sets}))


def name_in_stack_file(stack_file: Path) -> None:
    """Let the project kosmos have the content."""
    old = "    name: kosmos\n"
    text = stack_file.read_text()
    assert text.count(old) == 1
    stack_file.write_text(text.replace(old, f"{old}    content: [kosmos]\n"))


def change(content: Path) -> None:
    """Edit every tenth prompt and every tenth item."""
    for path in sorted((content / "prompts").rglob("*.*"))[::10]:
        path.write_text(path.read_text().replace("The request:", "The request of today:"))
    for path in sorted((content / "datasets").glob("*.jsonl"))[::10]:
        path.write_text(path.read_text().replace('"easy"', '"hard"'))


def _item(random: Random, number: int) -> dict[str, object]:
    return {
        "id": f"item-{number}",
        "input": {"question": _text(random, 300), "history": [_text(random, 100)]},
        "expected_output": _text(random, 200),
        "metadata": {"difficulty": "easy", "source": "golden"},
    }


def _text(random: Random, length: int) -> str:
    text = ""
    while len(text) < length:
        text += f"{random.choice(WORDS)} "
    return text.strip()


if __name__ == "__main__":
    main()
