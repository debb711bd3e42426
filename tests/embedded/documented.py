"""Code blocks of documentation, and a checkout in which their commands are run as a person would run them.

A block of commands is fenced as `sh`. One that cannot be run says so on the page, in the paragraph before it:
"Not run by a test: <reason>." One that another test runs has a comment there: `<!-- run by tests/... -->`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from .exporting import free_port
from .harness import REPOSITORY

PROGRAMS = {
    "apt", "apt-get", "bash", "cd", "curl", "docker", "export", "git", "make", "openssl", "pip", "psql",
    "python", "python3", "restic", "set", "sh", "sudo",
}  # fmt: skip
NOT_RUN = re.compile(r"Not run by a test: \S.*")
RUN_BY = re.compile(r"<!-- run by (\S+) -->")
MARK = "@@ documented"
TIMEOUT_S = 500.0


@dataclass(frozen=True)
class Block:
    """A code block of a page.

    Attributes:
        page: its path in the repository.
        line: where it begins.
        language: as the fence says.
        text: what stands in it.
        reason: why no test runs it, as the page says; or empty.
        run_by: the test that runs it instead of the runner; or empty.
    """

    page: str
    line: int
    language: str
    text: str
    reason: str
    run_by: str

    @property
    def place(self) -> str:
        """Where a person finds it."""
        return f"{self.page}:{self.line}"

    @property
    def looks_like_commands(self) -> bool:
        """Whether its first line calls a program."""
        words = [word for word in self.text.split("\n")[0].split() if not re.match(r"[A-Z_]+=", word)]
        return bool(words) and words[0].rpartition("/")[2] in PROGRAMS

    def steps(self) -> list[str]:
        """Return what is run at a time: each call of make, or else the block as a whole."""
        joined = self.text.replace("\\\n", " ")
        lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
        return lines if all(line.startswith("make ") for line in lines) else [self.text]


def blocks(path: Path) -> Iterator[Block]:
    """Yield the code blocks of a page."""
    before = ""
    for token in MarkdownIt().enable("table").parse(path.read_text(encoding="utf-8")):
        if token.type in {"fence", "code_block"}:
            found = RUN_BY.search(before)
            yield Block(
                page=path.relative_to(REPOSITORY).as_posix(),
                line=(token.map or [0])[0] + 1,
                language=token.info.strip().split(" ")[0],
                text=token.content,
                reason=before if NOT_RUN.search(before) else "",
                run_by=found[1] if found else "",
            )
            before = ""
        elif token.type in {"inline", "html_block"}:
            before = token.content


def commands(path: Path) -> list[Block]:
    """Return the blocks of commands of a page, but those that no test can run."""
    return [block for block in blocks(path) if block.language == "sh" and not block.reason]


@dataclass
class Checkout:
    """A copy of the files of this repository that git does not ignore, with a stack of its own on free ports.

    Attributes:
        root: where it is.
        environment: what commands get, besides PATH and HOME.
        replaced: what stands in pages -> what this machine has instead, such as `/mnt/media`.
        within: the beginning of a command that leads elsewhere, such as into another network.
        timeout_s: how long a session may take.
    """

    root: Path
    environment: Mapping[str, str]
    replaced: Mapping[str, str]
    within: Sequence[str] = ()
    timeout_s: float = TIMEOUT_S

    def make(self) -> Checkout:
        """Copy the files and commit them. The environment of Python is that of this repository."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=REPOSITORY,
            capture_output=True,
            check=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            source, target = REPOSITORY / name, self.root / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                # With its time: make compares it with that of the environment.
                shutil.copy2(source, target, follow_symlinks=False)
        author = ["-c", "user.name=Acme", "-c", "user.email=admin@acme.example"]
        for arguments in (["init", "-q"], ["add", "--all"], [*author, "commit", "-q", "-m", "Copy"]):
            subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, check=True)
        (self.root / ".venv").symlink_to(REPOSITORY / ".venv")
        return self

    def run(self, script: str, answers: str = "") -> subprocess.CompletedProcess[str]:
        """Run a session of bash in it; `answers` is what a person types."""
        for documented, here in self.replaced.items():
            script = script.replace(documented, here)
        return subprocess.run(
            [*self.within, "bash", "-c", script],
            cwd=self.root,
            env={"PATH": os.environ["PATH"], "HOME": str(self.root), **self.environment},
            input=answers, capture_output=True, text=True, check=False, timeout=self.timeout_s,
        )  # fmt: skip


def embedded_environment() -> dict[str, str]:
    """Return what a stack of the embedded engine on a free port is started with."""
    return {"ENGINE": "embedded", "LANGFUSE_PORT": str(free_port()), "CI": "true"}


def run_blocks(checkout: Checkout, run: list[Block], answers: str = "") -> str:
    """Run blocks in one session, in their order; return what they printed.

    Raises:
        AssertionError: a step ended otherwise; names page, line and what was printed.
    """
    steps = [(block, step) for block in run for step in block.steps()]
    parts = [f'{step}\necho "{MARK} {number} $?"' for number, (_, step) in enumerate(steps)]
    # A block of several commands stops at the first that fails.
    script = "\n".join(
        part if len(block.steps()) > 1 or "\n" not in step.strip() else f"set -e\n{part}\nset +e"
        for part, (block, step) in zip(parts, steps, strict=True)
    )
    done = checkout.run(script, answers)
    ended = {int(number): int(code) for number, code in re.findall(rf"{MARK} (\d+) (\d+)", done.stdout)}
    for number, (block, step) in enumerate(steps):
        # The doctor finds something on most machines, such as little memory; make ends with 2 then.
        right = {0, 2} if step.startswith("make doctor") else {0}
        assert ended.get(number) in right, (
            f"{block.place}: `{step.strip()}` ended with {ended.get(number, 'the session')}\n"
            f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return done.stdout
