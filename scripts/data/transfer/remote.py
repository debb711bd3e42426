"""One project of one server, as exports and imports see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import orjson

from scripts.api.client import ATTEMPTS, Api, Row
from scripts.api.errors import Advice
from scripts.core.errors import StackError, UsageError
from scripts.engines.context import Context
from scripts.settings.envfile import read_env

_TIMEOUT_S = 120.0
_AGAIN = "repeat the command: it goes on where it stopped."
_ADVICE = Advice(
    key="check the project's key.",
    refused="correct what it names, then repeat the command.",
    away="start it, then repeat the command: it goes on where it stopped.",
)


class TransferError(StackError):
    """An export or import failed; it goes on where it stopped when it is repeated."""


def source_of(context: Context, url: str) -> Api:
    """Return the project of another server that its key in `FROM_PUBLIC_KEY` and `FROM_SECRET_KEY` opens.

    Its limits of requests are waited for, as long as the server asks.

    Raises:
        UsageError: there is no key.
    """
    public, secret = context.environment.get("FROM_PUBLIC_KEY"), context.environment.get("FROM_SECRET_KEY")
    if not public or not secret:
        raise UsageError(
            f"There is no key for {url}.",
            fix="set FROM_PUBLIC_KEY and FROM_SECRET_KEY to a key of the project that you want to bring.",
        )
    advice = Advice(key="check FROM_PUBLIC_KEY and FROM_SECRET_KEY.", refused=_ADVICE.refused, away=_AGAIN)

    def waiting(seconds: float) -> None:
        context.console.note(f"{url} has reached its limit of requests: going on in {seconds:.0f} s")

    return Api(
        url,
        (public, secret),
        timeout_s=_TIMEOUT_S,
        attempts=ATTEMPTS,
        repeatable=True,
        on_limit=waiting,
        advice=advice,
    )


def project_id(remote: Api) -> str:
    """Return the project that the key belongs to.

    Raises:
        UsageError: the server does not accept the key.
    """
    project = remote.project_of()
    if project is None:
        raise UsageError(f"{remote.base_url} refuses the key.", fix=_ADVICE.key)
    return project


def observations_of(remote: Api, traces: Sequence[str], **query: str) -> Iterator[list[Row]]:
    """Yield the observations of some traces in pages, with their ids alone."""
    condition = {"column": "traceId", "type": "stringOptions", "operator": "any of", "value": list(traces)}
    times = [
        {"column": "startTime", "type": "datetime", "operator": operator, "value": query[name]}
        for name, operator in (("fromStartTime", ">="), ("toStartTime", "<"))
        if name in query
    ]
    # Without spaces: the server limits the length of a URL.
    wanted = {"fields": "core", "limit": 1000, "filter": orjson.dumps([condition, *times]).decode()}
    for page, _ in remote.by_cursor("v2/observations", wanted):
        yield page


def remote_of(context: Context, project: str, base_url: str = "") -> Api:
    """Return a project of this stack, or of another server with its key in the environment.

    Raises:
        UsageError: there is no key.
    """
    directory = context.layout.credentials_dir
    names = sorted(path.stem for path in directory.glob("*.env"))
    if base_url:
        keys: Mapping[str, str] = context.environment
    else:
        chosen = project or ("" if len(names) > 1 else "".join(names))
        if names and chosen not in names:
            reason = f"There is no project {project!r}." if project else "There are several projects."
            raise UsageError(reason, fix=f"choose one with PROJECT=: {', '.join(names)}.")
        keys = read_env(directory / f"{chosen}.env").values()
        base_url = keys.get("LANGFUSE_BASE_URL", "")
    public, secret = keys.get("LANGFUSE_PUBLIC_KEY"), keys.get("LANGFUSE_SECRET_KEY")
    if not public or not secret:
        raise UsageError(
            f"There is no key for {base_url or project or 'any project'}.",
            fix="make up, or set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY together with BASE_URL.",
        )
    return Api(
        base_url, (public, secret), timeout_s=_TIMEOUT_S, attempts=ATTEMPTS, repeatable=True, advice=_ADVICE
    )
