"""Facts about a stack: each source is asked once, all at the same time, each within its own time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from scripts.core.errors import StackError
from scripts.engines.base import Engine, EngineName
from scripts.engines.context import Context
from scripts.engines.embedded import EmbeddedEngine
from scripts.settings.envfile import EnvFile
from scripts.settings.table import SETTINGS
from scripts.settings.values import Settings, load_settings_leniently

Kind = TypeVar("Kind")

# What leaves this set is a fault of ours, and shows as one.
EXPECTED = (StackError, OSError)


class NotGathered(Exception):
    """Facts that are not there; the text says why."""


class Facts(Protocol):
    """What checks see: the facts of one kind, or NotGathered."""

    def of(self, kind: type[Kind]) -> Kind:
        """Return the facts of that kind. Raises NotGathered."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What sources start from.

    Attributes:
        settings: checked leniently, as a broken `.env` is one of the things to find.
        env_file: what is in `.env`; None when there is none, or it cannot be read.
        env_fault: why it cannot be read, or empty.
        read_only: whether nothing may be written, not even a canary.
    """

    context: Context
    settings: Settings
    engine: Engine
    env_file: EnvFile | None = None
    env_fault: str = ""
    read_only: bool = False
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def of(cls, context: Context, *, read_only: bool = False) -> Surroundings:
        """Return the surroundings, whatever state the files are in."""
        env_file, fault = None, ""
        try:
            env_file = context.env_file()
        except (OSError, UnicodeError) as error:
            fault = str(error)
        settings = load_settings_leniently(SETTINGS, env_file or EnvFile(), context.environment)
        engine = context.current_engine(settings, looking=True)
        return cls(context, settings, engine, env_file, fault, read_only)

    @property
    def is_compose(self) -> bool:
        """Whether the stack runs on Docker."""
        return self.engine.name is EngineName.COMPOSE

    def url(self) -> str:
        """Return where the server answers: an embedded engine may still run with former settings."""
        process = self.engine.find() if isinstance(self.engine, EmbeddedEngine) else None
        return process.url if process else self.engine.local_url


@dataclass(frozen=True, slots=True)
class Source:
    """Where facts of one kind come from.

    Attributes:
        gather: asks; it may ask for other facts. Raises NotGathered, StackError or OSError.
        limit_s: after which the facts count as not there.
    """

    gather: Callable[[Surroundings, Facts], Any]
    limit_s: float


class Gathering:
    """Asks the sources, each once, in threads."""

    def __init__(self, surroundings: Surroundings, sources: Mapping[type, Source]) -> None:
        self.surroundings = surroundings
        self._sources = sources
        # One thread for each source: one that waits for another never keeps that one from starting.
        self._pool = ThreadPoolExecutor(max_workers=len(sources), thread_name_prefix="doctor")
        self._lock = threading.Lock()
        self._started: dict[type, tuple[Future[Any], float]] = {}

    def start_all(self) -> None:
        """Ask all sources now."""
        for kind in self._sources:
            self._start(kind)

    def of(self, kind: type[Kind]) -> Kind:
        """Return the facts of that kind, as soon as they are there. Raises NotGathered."""
        future, began = self._start(kind)
        limit = self._sources[kind].limit_s
        try:
            found: Kind = future.result(timeout=max(0.0, began + limit - time.monotonic()))
        except TimeoutError as error:
            raise NotGathered(f"no answer within {limit:g} s") from error
        except EXPECTED as error:
            raise NotGathered(error.message if isinstance(error, StackError) else str(error)) from error
        return found

    def close(self) -> None:
        """Give up what has not begun; what has ends by its own time limit."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, kind: type) -> tuple[Future[Any], float]:
        with self._lock:
            if kind not in self._started:
                future = self._pool.submit(self._sources[kind].gather, self.surroundings, self)
                self._started[kind] = (future, time.monotonic())
            return self._started[kind]
