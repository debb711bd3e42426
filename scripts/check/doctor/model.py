"""What a check is, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from scripts.engines.base import EngineName

if TYPE_CHECKING:
    from scripts.engines.context import Context

    from .facts import Facts

COMPOSE = frozenset({EngineName.COMPOSE})
EMBEDDED = frozenset({EngineName.EMBEDDED})
BOTH = COMPOSE | EMBEDDED


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """It works now, but will not stay so, or not be safe."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """It could not be looked at, or makes no sense here; the reason is beside it."""


class Group(StrEnum):
    """The groups, in the order of the report: a fault in one often explains those below."""

    HOST = "host"
    DOCKER = "docker"
    CONFIGURATION = "configuration"
    SECRETS = "secrets"
    NETWORK = "network"
    STORES = "stores"
    LANGFUSE = "langfuse"
    FLOW = "flow"
    CAPACITY = "capacity"
    BACKUP = "backup"
    TLS = "tls"
    VERSIONS = "versions"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found.

    Attributes:
        found: what was seen, with numbers; of a skipped check the reason.
        fix: what to do in this case; empty: the check's own fix.
    """

    status: Status
    found: str
    fix: str = ""


def ok(found: str) -> Verdict:
    """Return that all is well."""
    return Verdict(Status.OK, found)


def warning(found: str, fix: str = "") -> Verdict:
    """Return that something should be looked after."""
    return Verdict(Status.WARNING, found, fix)


def failed(found: str, fix: str = "") -> Verdict:
    """Return that something is broken."""
    return Verdict(Status.FAILED, found, fix)


def skipped(reason: str) -> Verdict:
    """Return that there was nothing to look at."""
    return Verdict(Status.SKIPPED, reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A fix that changes nothing but what the check complains about, so that it may be offered.

    Attributes:
        what: one line for the question.
        apply: does it. Raises StackError or OSError.
    """

    what: str
    apply: Callable[[Context], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        id: `group.name`; stays the same forever, as tickets and scripts name it.
        looks_at: what has to be so, one sentence for the reference page.
        fix: what to do when it is not.
        page: where more is said, relative to `docs/`.
        judge: the check itself: pure, over gathered facts. NotGathered passes through and means skipped.
    """

    id: str
    looks_at: str
    fix: str
    page: str
    judge: Callable[[Facts], Verdict]
    engines: frozenset[EngineName] = BOTH
    repair: Repair | None = None

    @property
    def group(self) -> Group:
        """The group it belongs to."""
        return Group(self.id.partition(".")[0])


@dataclass(frozen=True, slots=True)
class Result:
    """A check with its verdict."""

    check: Check
    verdict: Verdict

    @property
    def status(self) -> Status:
        """How it ended."""
        return self.verdict.status

    @property
    def fix(self) -> str:
        """What to do, or empty when nothing is to be done."""
        if self.status in (Status.OK, Status.SKIPPED):
            return ""
        return self.verdict.fix or self.check.fix
