"""What prevents an upgrade of the compose engine. Pure: facts in, findings out.

Sources: https://langfuse.com/self-hosting/upgrade (one major after the other, from its last release;
background migrations finished), https://langfuse.com/self-hosting/upgrade/versioning.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from scripts.core.compatibility import (
    CLICKHOUSE_FROM,
    MINIMUM_SERVER,
    Version,
    clickhouse_refusal,
    numbers_of,
    supported_sdks,
    version_of,
)
from scripts.engines.base import GIB

KNOWN_MAJOR = 4
"""The newest major that `compose.yaml` describes."""
LAST_OF_MAJOR: Mapping[int, Version] = {3: (3, 224, 1)}
"""From which release of a major on the next one may be installed (Helm chart of Langfuse)."""
POSTGRES_FROM: Mapping[int, int] = {4: 15}
IMAGES_BYTES = 3 * GIB
"""Web and worker of another version, unpacked."""
ALLOWABLE = ("background", "clickhouse", "disk", "sdk", "write-mode")
"""What `ALLOW=` may name; whether that helps depends on the finding."""


@dataclass(frozen=True, slots=True)
class Levels:
    """How far both databases are migrated.

    Attributes:
        postgres: how many migrations are done.
        clickhouse: number of the last one.
        dirty: whether that one was left unfinished.
        unfinished: migrations of PostgreSQL that were begun only.
        background: migrations of the worker that are not finished.
        background_failed: those that gave up.
    """

    postgres: int
    clickhouse: int
    dirty: bool = False
    unfinished: tuple[str, ...] = ()
    background: tuple[str, ...] = ()
    background_failed: tuple[str, ...] = ()

    @property
    def state(self) -> tuple[object, ...]:
        """What tells whether a schema was changed."""
        return self.postgres, self.clickhouse, self.dirty, self.unfinished

    def __str__(self) -> str:
        dirty = " (dirty)" if self.dirty else ""
        return f"PostgreSQL {self.postgres} migrations, ClickHouse {self.clickhouse}{dirty}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known before an upgrade.

    Attributes:
        old, new: versions of Langfuse.
        levels: None where the databases do not say.
        clickhouse, postgres: versions of the stores; empty where they are not asked or are stand-ins.
        sdk: version of the Python SDK of this checkout, or empty.
        write_mode: LANGFUSE_MIGRATION_V4_WRITE_MODE.
        free_bytes, data_bytes: of the disk, and of what the stores hold.
        images: why the images of the new version cannot be had, or empty.
        sick: what is not in order, a line each: a backup would fail.
        locked: whether images.lock pins images.
    """

    old: str
    new: str
    levels: Levels | None = None
    clickhouse: str = ""
    postgres: int = 0
    sdk: str = ""
    write_mode: str = "events_only"
    free_bytes: int = 0
    data_bytes: int = 0
    images: str = ""
    sick: tuple[str, ...] = ()
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is in the way, or that should be known.

    Attributes:
        id: what `ALLOW=` names.
        stops: whether the upgrade is refused.
        allowable: whether `ALLOW=` lets it happen all the same.
    """

    id: str
    text: str
    fix: str
    stops: bool = True
    allowable: bool = False

    def line(self) -> str:
        """Return it for people: why, what to do, and how to go on all the same."""
        override = f" Or, knowing that: ALLOW={self.id}." if self.stops and self.allowable else ""
        return f"{self.id}: {self.text} Fix: {self.fix}.{override}"


@dataclass(slots=True)
class _Findings:
    found: list[Finding] = field(default_factory=list)

    def stop(self, name: str, text: str, fix: str, *, allowable: bool = False) -> None:
        self.found.append(Finding(name, text, fix, allowable=allowable))

    def warn(self, name: str, text: str, fix: str) -> None:
        self.found.append(Finding(name, text, fix, stops=False))


def examine(facts: Facts, allow: Collection[str] = ()) -> Sequence[Finding]:
    """Return all findings; what `allow` names, and may be allowed, does not stop any more."""
    findings = _Findings()
    for rule in (_versions, _migrations, _stores, _sdk, _surroundings):
        rule(facts, findings)
    return [
        Finding(one.id, one.text, one.fix, stops=False) if one.allowable and one.id in allow else one
        for one in findings.found
    ]


def _versions(facts: Facts, findings: _Findings) -> None:
    old, new = version_of(facts.old), version_of(facts.new)
    if not old or not new:
        findings.stop("version", f"{facts.old or 'nothing'} or {facts.new} is not a version.", "TO=4.60.0")
        return
    if new < old:
        findings.stop(
            "downgrade",
            f"{facts.new} is older than {facts.old}, and no version migrates a database back.",
            "make rollback (to before the last upgrade), or restore a backup that the older version made",
        )
    if new[0] > KNOWN_MAJOR:
        findings.stop(
            "major",
            f"compose.yaml describes Langfuse {KNOWN_MAJOR}, not {new[0]}.",
            "update this repository first: git pull",
        )
    if new[0] > old[0] + 1:
        findings.stop(
            "major",
            f"From {old[0]} to {new[0]} at once is not supported.",
            f"upgrade to the last release of {old[0] + 1} first",
        )
    if new[0] == old[0] + 1:
        _next_major(facts, old, findings)


def _next_major(facts: Facts, old: Version, findings: _Findings) -> None:
    last = LAST_OF_MAJOR.get(old[0])
    if last and old < last:
        text = ".".join(map(str, last))
        findings.stop(
            "last-release", f"{facts.old} is not the last release of its major.", f"make upgrade TO={text}"
        )
    if old[0] == 3 and facts.write_mode == "events_only":
        findings.stop(
            "write-mode",
            "With LANGFUSE_MIGRATION_V4_WRITE_MODE=events_only what version 3 stored is not moved.",
            "set it to dual until the background migrations of version 4 are finished",
            allowable=True,
        )


def _migrations(facts: Facts, findings: _Findings) -> None:
    levels = facts.levels
    if levels is None:
        findings.stop("migrations", "The databases do not say how far they are migrated.", "make doctor")
        return
    if levels.dirty:
        findings.stop(
            "dirty",
            f"Migration {levels.clickhouse} of ClickHouse was left unfinished.",
            "make repair-migration",
        )
    if levels.unfinished:
        findings.stop(
            "unfinished",
            f"PostgreSQL has migrations that were begun only: {', '.join(levels.unfinished)}.",
            "make repair-migration",
        )
    if levels.background_failed:
        findings.stop(
            "background",
            f"Background migrations have failed: {', '.join(levels.background_failed)}.",
            "retry them in the user interface (the version number, bottom left), then repeat",
        )
    elif levels.background:
        findings.stop(
            "background",
            f"Background migrations are not finished: {', '.join(levels.background)}.",
            "wait for them (make logs SERVICE=langfuse-worker), then repeat",
            # Only the next major takes it for granted that they are.
            allowable=version_of(facts.old)[:1] == version_of(facts.new)[:1],
        )


def _stores(facts: Facts, findings: _Findings) -> None:
    major = (version_of(facts.new) or (KNOWN_MAJOR,))[0]
    page = "docs/how-to/upgrade.md, ClickHouse and PostgreSQL"
    known = facts.clickhouse and major == KNOWN_MAJOR
    if known and (refusal := clickhouse_refusal(facts.clickhouse, facts.new)):
        # A newer one can be told to read numbers as before: input_format_read_datetime_number_as_raw_value.
        newer = numbers_of(facts.clickhouse) >= CLICKHOUSE_FROM
        findings.stop("clickhouse", f"{refusal}.", f"see {page}", allowable=newer)
    if facts.postgres and facts.postgres < POSTGRES_FROM.get(major, 0):
        findings.stop(
            "postgres",
            f"PostgreSQL is {facts.postgres}; {facts.new} needs {POSTGRES_FROM[major]}.",
            f"see {page}",
        )


def _sdk(facts: Facts, findings: _Findings) -> None:
    line = f"python-{facts.sdk.split('.')[0]}"
    if line in MINIMUM_SERVER and not supported_sdks(facts.new).get(line, True):
        text = ".".join(map(str, MINIMUM_SERVER[line]))
        findings.stop(
            "sdk",
            f"The Python SDK {facts.sdk} needs a server from {text} on: scores would be lost in silence.",
            f"TO={text}, or an older SDK in your applications",
            allowable=True,
        )


def _surroundings(facts: Facts, findings: _Findings) -> None:
    if facts.sick:
        findings.stop("health", f"Not in order: {'; '.join(facts.sick)}.", "make doctor, make up")
    if facts.images:
        findings.stop("images", f"{facts.images[0].upper()}{facts.images[1:]}.", "see that, then repeat")
    crosses = version_of(facts.new)[:1] > version_of(facts.old)[:1]
    # A copy of the stores for the backup; a new major copies its old tables, which takes three times as much.
    needed = IMAGES_BYTES + facts.data_bytes * (4 if crosses else 2)
    if facts.free_bytes < needed:
        findings.stop(
            "disk",
            f"{facts.free_bytes / GIB:.1f} GiB are free, {needed / GIB:.1f} may be needed.",
            "free some space: docker system df shows what Docker holds",
            allowable=True,
        )
    if facts.locked:
        findings.warn(
            "images-lock", "images.lock does not know the new images by digest.", "make lock afterwards"
        )
