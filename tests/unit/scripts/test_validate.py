"""`make validate`: all files of config/ that people edit, each with its own faults."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.config import validate
from scripts.core.console import Console
from scripts.core.layout import default_layout
from scripts.engines.context import Context

from .fakes import FakeRunner

CONFIG = Path(__file__).parents[3] / "config"
EDITED = ("stack.yaml", "alerts.yaml", "retention.yaml", "backup.yaml", "kubernetes.yaml")


@dataclass
class Repository:
    """A copy of config/ and what is said about it."""

    root: Path

    def validate(self) -> tuple[int, str, str]:
        """Return the exit code, what was printed, and what was complained about."""
        out, err = io.StringIO(), io.StringIO()
        console = Console({}, out, err)
        code = validate.validate(Context(default_layout(self.root, {}), {}, console, FakeRunner()))
        return code, out.getvalue(), err.getvalue()

    def write(self, name: str, content: bytes) -> None:
        """Replace a file of config/."""
        (self.root / "config" / name).write_bytes(content)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    for name in EDITED:
        (tmp_path / "config").mkdir(exist_ok=True)
        shutil.copy(CONFIG / name, tmp_path / "config" / name)
    shutil.copytree(CONFIG / "content", tmp_path / "config" / "content")
    return Repository(tmp_path)


def test_the_files_of_this_repository_are_valid_and_counted_without_a_server(repository: Repository) -> None:
    code, said, complaints = repository.validate()
    assert (code, complaints) == (0, "")
    assert "project default: 2 dashboards" in said
    assert [name for name in EDITED if f"config/{name} is valid" not in said] == []
    assert not (repository.root / ".stack").exists()


@pytest.mark.parametrize("name", EDITED)
@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"a: 1\nfoo: [\n", "3:1: "),
        (b"a: 1\n# caf\xe9\n", "2: byte 0xe9 is not UTF-8"),
        (b"fooo: 1\n", ""),
        (b"- a\n", ""),
    ],
)
def test_a_file_with_faults_is_named_with_the_place_and_the_others_are_looked_at(
    repository: Repository, name: str, content: bytes, fault: str
) -> None:
    repository.write(name, content)
    code, said, complaints = repository.validate()
    assert code == 2
    assert f"config/{name}{':' if fault else ''}{fault}" in complaints
    assert complaints.count("error: ") == 1
    assert [other for other in EDITED if f"config/{other} is valid" not in said] == [name]


@pytest.mark.parametrize("name", EDITED)
def test_a_file_that_is_missing_is_brought_back(repository: Repository, name: str) -> None:
    (repository.root / "config" / name).unlink()
    code, _, complaints = repository.validate()
    assert code == 2
    assert complaints == (
        f"error: config/{name} is not there.\nfix: restore it: git checkout -- config/{name}\n"
    )


def test_a_byte_order_mark_does_not_matter(repository: Repository) -> None:
    repository.write("backup.yaml", "\ufeffkeep: {daily: 3}\n".encode())
    assert "keeps 3 daily" in repository.validate()[1]
