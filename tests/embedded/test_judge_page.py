"""The page about judges in CI does what it says: a green test, a changed prompt, a red one."""

from __future__ import annotations

import re
from pathlib import Path

from .harness import REPOSITORY
from .judging import running_model
from .test_testing_package import run_pytest

PAGE = (REPOSITORY / "docs" / "how-to" / "judge-in-ci.md").read_text("utf-8")


def write_files(directory: Path) -> None:
    """Write the files of the page, as a reader does."""
    blocks = re.findall(r"```(?:python|text|json)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
    assert [name for name, _ in blocks] == [
        "assistant.py",
        "prompt.txt",
        "evaluator.json",
        "conftest.py",
        "test_answers.py",
    ]
    for name, text in blocks:
        (directory / name).write_text(text)


def test_a_prompt_that_gets_worse_makes_the_test_red(tmp_path: Path) -> None:
    write_files(tmp_path)
    with running_model() as model:
        green = run_pytest(tmp_path, MODEL_URL=model.base_url)
        assert green.returncode == 0, green.stdout + green.stderr
        prompt = tmp_path / "prompt.txt"
        [changed] = re.findall(r"Now write `([^`]+)` into `prompt.txt`", PAGE)
        assert prompt.read_text().count("within 30 days") == 1
        prompt.write_text(prompt.read_text().replace("within 30 days", changed))
        red = run_pytest(tmp_path, MODEL_URL=model.base_url)
    assert red.returncode == 1, red.stdout + red.stderr
    [shown] = re.findall(r"```\n(E  .*?)```", PAGE, re.DOTALL)
    for line in shown.strip().splitlines():
        assert line in red.stdout, red.stdout
