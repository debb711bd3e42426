"""Run commands, and look for each secret of a stack in command lines, output and files."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

from scripts.check.support.redaction import Redactor
from scripts.check.support.secret_values import secret_values
from scripts.core.console import Console
from scripts.core.layout import Layout
from scripts.core.runner import SubprocessRunner
from scripts.engines.context import Context

PUBLIC = "pk-lf-"
# The name of an S3 key: it is in every signed URL, and SeaweedFS logs it.
IDENTIFIER = "S3_ACCESS_KEY_ID"
KEEPS_SECRETS = (
    *(".env", ".stack/credentials/", ".stack/rotation.json"),
    *("config/alertmanager/secrets/", "config/local/alertmanager/secrets/"),
)
# Ends with this for a reason that the command tells: compose alone has it, or no network is there.
DONE, REFUSED = frozenset({0}), frozenset({1, 2})
ANY = frozenset({0, 1, 2, 3})


@dataclass(frozen=True)
class Call:
    """One call of a command.

    Attributes:
        words: what follows `python -m scripts`.
        ends: with which exit codes.
        prints: the secret that is its answer.
        before: what the shell has before it.
    """

    words: str
    ends: frozenset[int] = DONE
    prints: str = ""
    before: str = ""


@dataclass
class Told:
    """What a stack has told while all commands ran.

    Attributes:
        secrets: all that it had, former ones too: value -> name.
        printed: calls with their output.
        failed: calls that ended otherwise than they should.
        lines: command lines of the machine.
    """

    root: Path
    secrets: dict[str, str] = field(default_factory=dict)
    printed: list[tuple[Call, str]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    lines: set[str] = field(default_factory=set)

    def leaks(self, text: str, expected: str = "") -> list[str]:
        """Return which secrets are in a text in any way of writing, but the expected one."""
        known = {name: value for value, name in self.secrets.items() if not expected or expected not in name}
        return Redactor.of(known).leaks(text)

    def printed_secrets(self) -> dict[str, list[str]]:
        """Return by call which secrets it printed, but its answer."""
        found = {call.words: self.leaks(said, call.prints) for call, said in self.printed}
        return {words: leaks for words, leaks in found.items() if leaks}

    def left_secrets(self) -> dict[str, list[str]]:
        """Return by file which secrets are in it, but files whose purpose that is."""
        found = {name: self.leaks(text) for path in left_behind(self.root) for name, text in contents(path)}
        return {name: leaks for name, leaks in found.items() if leaks}


def secrets_of(root: Path) -> dict[str, str]:
    """Return the secrets of a checkout as they are now: value -> name. What names a key is not one."""
    layout = Layout(root, root / ".env", root / ".stack")
    found = secret_values(Context(layout, {}, Console({}), SubprocessRunner(root)))
    return {
        value: name
        for name, value in found.items()
        if not value.startswith(PUBLIC) and not name.endswith(IDENTIFIER)
    }


def run_calls(root: Path, calls: Sequence[Call], run: Callable[[str], CompletedProcess[str]]) -> Told:
    """Run commands of a checkout one after the other; `run` runs a line of shell in it."""
    told = Told(root)
    for call in calls:
        done = run(f"{call.before}.venv/bin/python -m scripts {call.words}")
        said = done.stdout + done.stderr
        told.printed.append((call, said))
        if done.returncode not in call.ends:
            told.failed[call.words] = f"{done.returncode}: {said[-3000:]}"
        # A name stays: after a rotation the same value is that of a former secret.
        told.secrets = secrets_of(root) | told.secrets
    return told


def contents(path: Path) -> Iterator[tuple[str, str]]:
    """Yield name and content of a file, and of the files in an archive. Each byte becomes a letter."""
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b") and not tarfile.is_tarfile(path):
        data = gzip.decompress(data)
    yield path.name, data.decode("latin-1")
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            for member in archive:
                if (file := archive.extractfile(member)) is not None:
                    yield f"{path.name}:{member.name}", file.read().decode("latin-1")


def left_behind(root: Path) -> Iterator[Path]:
    """Yield the files of a checkout and its stack, but those whose purpose is to hold secrets."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not path.is_symlink() and not name.startswith(KEEPS_SECRETS):
            yield path
