"""Stand-ins for the world around the commands: a runner that records, a clock that jumps, a quiet console."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts.core.errors import StackError
from scripts.core.layout import Layout
from scripts.core.runner import Completed
from scripts.core.waiting import Clock
from scripts.settings.envfile import EnvFile
from scripts.settings.table import SETTINGS
from scripts.settings.values import Settings, load_settings

Answer = Completed | StackError | Callable[[Sequence[str], Mapping[str, str] | None], Completed]


@dataclass
class FakeRunner:
    """Answers by the longest rule that occurs in the command; remembers every command."""

    rules: dict[str, Answer] = field(default_factory=dict)
    calls: list[list[str]] = field(default_factory=list)
    environments: list[Mapping[str, str] | None] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout_s: float = 60,
    ) -> Completed:
        self.calls.append(list(argv))
        self.environments.append(env)
        self.inputs.append(stdin)
        line = " ".join(argv)
        rules = sorted((rule for rule in self.rules if rule in line), key=len)
        if not rules:
            # Nothing that is asked for in JSON is empty.
            return Completed(0, '{"services": {}}' if line.endswith("config --format json") else "")
        answer = self.rules[rules[-1]]
        if isinstance(answer, StackError):
            raise answer
        return answer if isinstance(answer, Completed) else answer(argv, env)

    def watched(
        self,
        argv: Sequence[str],
        look: Callable[[str], None],
        *,
        env: Mapping[str, str] | None = None,
        every_s: float = 1.0,
        timeout_s: float = 60,
    ) -> Completed:
        """Look once while it runs."""
        done = self.run(argv, env=env)
        look(done.stderr)
        return done

    def stream(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> int:
        return self.run(argv, env=env).returncode

    def lines(self) -> list[str]:
        """Every command in one line."""
        return [" ".join(call) for call in self.calls]


class QuietProgress:
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        self.said.append(text)
        yield

    def note(self, text: str) -> None:
        self.said.append(text)

    @contextmanager
    def steps(self, text: str) -> Iterator[Callable[[Mapping[str, str]], None]]:
        self.said.append(text)
        yield lambda states: self.said.extend(f"{name}: {state}" for name, state in states.items())


def jumping_clock() -> Clock:
    """A clock on which every sleep takes no time but counts."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return Clock(lambda: now[0], sleep)


def layout_in(directory: Path) -> Layout:
    """A layout that lies in a temporary directory as a whole."""
    return Layout(directory, directory / ".env", directory / ".stack")


def settings_with(**values: str) -> Settings:
    """Checked settings: defaults, an admin password, and `values`."""
    given = {"LANGFUSE_INIT_USER_PASSWORD": "test-password", "ADMIN_API_KEY": "ad" * 16, **values}
    return load_settings(SETTINGS, EnvFile(), given)


@dataclass
class Screen:
    """Streams for a Console."""

    out: io.StringIO = field(default_factory=io.StringIO)
    err: io.StringIO = field(default_factory=io.StringIO)
