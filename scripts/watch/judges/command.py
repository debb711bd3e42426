"""`judges`: compare judges with people on the same items; say whether to trust them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from scripts.api.client import Api
from scripts.api.keys import ProjectKey
from scripts.core.errors import EXIT_FAILED, EXIT_OK, EXIT_WARNINGS, UsageError
from scripts.engines.context import Context
from scripts.watch.alerts.readings import TIMEOUT_S, selected_keys

from .compare import Comparison, Trust, Verdict
from .coverage import Coverage
from .gather import Wanted, comparisons, coverage
from .show import as_json, lines_of, lines_of_coverage

_ATTEMPTS = 3
_SOURCES = ("ANNOTATION", "API")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; empty names mean all judges, and no coverage."""

    project: str = ""
    judge: str = ""
    human: str = ""
    source: str = "annotation"
    days: int = 90
    threshold: float = 0.6
    coverage: str = ""
    target: float = 0.9
    base_url: str = ""
    as_json: bool = False


def judges(context: Context, options: Options) -> int:
    """The command. Exit code 0: all are to be trusted; 1: one is not; 3: it is not established."""
    _check(options)
    keys = selected_keys(context, options.project)
    url = options.base_url or context.current_engine(context.lenient_settings()).local_url
    now = datetime.now(UTC)
    wanted = Wanted(
        since=now - timedelta(days=options.days),
        until=now,
        judge=options.judge,
        human=options.human,
        source=options.source.upper(),
        threshold=options.threshold,
    )
    with context.console.working("Reading scores"):
        found = [(key.project, *_of_project(url, key, wanted, options)) for key in keys]
    if options.as_json:
        context.console.print(json.dumps([as_json(*one) for one in found], indent=2))
    else:
        for project, compared, covered in found:
            _show(context, project, compared, covered, options)
    verdicts = [one.verdict for _, compared, _ in found for one in compared]
    verdicts += [covered.verdict for _, _, covered in found if covered]
    return _exit_code(verdicts)


def _of_project(
    url: str, key: ProjectKey, wanted: Wanted, options: Options
) -> tuple[Sequence[Comparison], Coverage | None]:
    with Api(url, key.keys, timeout_s=TIMEOUT_S, attempts=_ATTEMPTS, repeatable=True) as api:
        if options.coverage:
            return (), coverage(api, wanted, options.coverage, options.target)
        return comparisons(api, wanted), None


def _show(
    context: Context, project: str, compared: Sequence[Comparison], covered: Coverage | None, options: Options
) -> None:
    context.console.styled(f"Project {project}, last {options.days} days", "bold")
    blocks = [(one.verdict, lines_of(one)) for one in compared]
    if covered:
        blocks.append((covered.verdict, lines_of_coverage(covered)))
    for verdict, lines in blocks:
        context.console.print()
        for line in lines[:-1]:
            context.console.print(line)
        context.console.styled(lines[-1], _COLOURS[verdict.trust])
    if not blocks:
        context.console.print(
            f"No item has a score of a judge (EVAL) and one of people ({options.source.upper()})."
        )
    context.console.print()


_COLOURS = {Trust.TRUSTED: "green", Trust.NOT_TRUSTED: "red", Trust.OPEN: "yellow"}


def _exit_code(verdicts: Sequence[Verdict]) -> int:
    if any(one.trust is Trust.NOT_TRUSTED for one in verdicts):
        return EXIT_FAILED
    return EXIT_OK if verdicts and all(one.trust is Trust.TRUSTED for one in verdicts) else EXIT_WARNINGS


def _check(options: Options) -> None:
    if options.source.upper() not in _SOURCES:
        raise UsageError(
            f"SOURCE is {options.source!r}.",
            fix="say where the scores of people come from: annotation or api.",
        )
    for name, value, low, high in (
        ("THRESHOLD", options.threshold, 0.0, 1.0),
        ("TARGET", options.target, 0.0, 1.0),
        ("DAYS", options.days, 1, 3650),
    ):
        if not low <= value <= high:
            raise UsageError(f"{name} is {value:g}.", fix=f"choose a number from {low:g} to {high:g}.")
    if options.human and not options.judge:
        raise UsageError("HUMAN is set without JUDGE.", fix="name the score of the judge, too: JUDGE=.")
