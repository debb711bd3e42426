"""The overview of a server: the embedded engine says what to ask, and writes the page of the answers."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from scripts.api.client import AsyncApi
from scripts.api.keys import ProjectKey
from scripts.core.errors import EngineError
from scripts.core.waiting import tail
from scripts.engines.context import Context
from scripts.engines.embedded import MODULE

from .alerts.queries import Rows
from .alerts.reader import ask_metrics
from .alerts.readings import TIMEOUT_S
from .table import Table

_IN_PARALLEL = 4


@dataclass(frozen=True, slots=True)
class Overview:
    """What was read of one project between two times.

    Attributes:
        without: environments that do not count; None: those that the engine leaves out of its lists.
        answers: of the Metrics API, by the names of the engine's questions.
    """

    project: str
    start: datetime
    end: datetime
    without: Sequence[str] | None
    answers: Mapping[str, Rows]

    def section(self, tables: Sequence[Table], alerts: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return this as the engine takes it, with more tables, and alerts as it is told of them."""
        return {
            "name": self.project,
            **_range(self.start, self.end, self.without),
            "answers": self.answers,
            "alerts": alerts,
            "tables": [asdict(table) for table in tables],
        }


def read_overviews(
    context: Context,
    keys: Sequence[ProjectKey],
    base_url: str,
    start: datetime,
    end: datetime,
    without: Sequence[str] | None = None,
) -> list[Overview]:
    """Return the overview of each project, in the order of `keys`. Raises MetricsError."""
    questions = json.loads(_engine(context, _range(start, end, without), "--questions"))

    async def read(client: AsyncApi, key: ProjectKey, slots: asyncio.Semaphore) -> Overview:
        async def ask(document: Mapping[str, Any]) -> Rows:
            async with slots:
                return await ask_metrics(client, key, document)

        rows = await asyncio.gather(*map(ask, questions.values()))
        return Overview(key.project, start, end, without, dict(zip(questions, rows, strict=True)))

    async def read_all() -> list[Overview]:
        slots = asyncio.Semaphore(_IN_PARALLEL)
        async with AsyncApi(base_url, timeout_s=TIMEOUT_S) as client:
            return await asyncio.gather(*(read(client, key, slots) for key in keys))

    return asyncio.run(read_all())


def page_of(context: Context, title: str, note: str, sections: Sequence[Mapping[str, Any]]) -> str:
    """Return the page as HTML that needs nothing from elsewhere."""
    return _engine(context, {"title": title, "note": note, "sections": sections})


def _range(start: datetime, end: datetime, without: Sequence[str] | None) -> dict[str, Any]:
    given: dict[str, Any] = {"from": start.isoformat(), "to": end.isoformat()}
    return given if without is None else {**given, "without": without}


def _engine(context: Context, given: Mapping[str, Any], *options: str) -> str:
    argv = [sys.executable, "-m", MODULE, "overview", *options]
    done = context.runner.run(argv, env=context.environment, stdin=json.dumps(given))
    if done.returncode != 0:
        raise EngineError(
            "The embedded engine could not draw the overview.",
            details=tail(done.stderr),
            fix="repair the installation: remove .venv and repeat.",
        )
    return done.stdout
