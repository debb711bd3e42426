"""Documents that are generated from the code agree with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.core.console import Console
from scripts.core.errors import StackError
from scripts.develop import docs
from scripts.engines.context import Context
from scripts.settings.envfile import parse_env
from scripts.settings.render import env_example, environment_page
from scripts.settings.table import GROUPS, SETTINGS, read_groups

from .fakes import FakeRunner, Screen, layout_in

ROOT = Path(__file__).parents[3]


def test_generated_documents_in_the_repository_are_up_to_date() -> None:
    assert docs.stale_documents(ROOT) == [], "run make docs"


def test_every_setting_stands_on_the_reference_page_once() -> None:
    page = environment_page(GROUPS)
    assert {s.name: page.count(f"| `{s.name}` |") for s in SETTINGS} == {s.name: 1 for s in SETTINGS}


def test_the_page_says_since_when_a_setting_is_there_and_what_is_secret() -> None:
    setting = "[stack.KEY_A]\ndescription = 'A key.'\nrandom = 16\nsince = '4.17.0'\n"
    text = f"[stack]\ntitle = 'S'\n{setting}"
    page = environment_page(tuple(read_groups(text).values()))
    assert "| generated | compose | A key. Since server 4.17.0. **Secret.** |" in page


def test_the_example_offers_every_setting_that_can_stand_in_the_file() -> None:
    parsed = parse_env(env_example(GROUPS))
    expected = {setting.name for setting in SETTINGS if setting.in_env_file}
    assert set(parsed.values()) | parsed.offered == expected


def test_the_example_contains_no_secret_value() -> None:
    assert set(parse_env(env_example(GROUPS)).values().values()) == {""}


def run_docs(root: Path, *, check: bool = False) -> str:
    screen = Screen()
    console = Console({}, screen.out, screen.err)
    docs.docs(Context(layout_in(root), {}, console, FakeRunner()), check=check)
    return screen.out.getvalue()


def test_docs_writes_stale_documents_and_nothing_the_second_time(tmp_path: Path) -> None:
    assert run_docs(tmp_path) == "".join(f"wrote {name}\n" for name in docs.generated_documents())
    assert run_docs(tmp_path) == ""
    assert run_docs(tmp_path, check=True) == ""


def test_docs_check_names_the_stale_document_and_leaves_it(tmp_path: Path) -> None:
    run_docs(tmp_path)
    (tmp_path / ".env.example").write_text("old")
    with pytest.raises(StackError, match=r"Out of date: \.env\.example\."):
        run_docs(tmp_path, check=True)
    assert (tmp_path / ".env.example").read_text() == "old"
