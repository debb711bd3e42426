"""From new observations to judgements to be made: which rules match?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from langfuse_embedded.clock import now_ms
from langfuse_embedded.store.bodies import BlockReader
from langfuse_embedded.store.database import open_database
from langfuse_embedded.store.evaluation_rules import Assignment, EvaluationRuleStore, Rule
from langfuse_embedded.store.evaluators import Evaluator, EvaluatorStore
from langfuse_embedded.store.events import EVENTS_FILE
from langfuse_embedded.store.hexid import unpack
from langfuse_embedded.store.state import StateReader

from .filters import columns_read, matches, may_be_judged, sampled, sql_of
from .identity import job_id
from .jobs import Jobs, NewJob

_CHUNK = 500
# Rows among which a chunk is looked for: few may fit.
_RANGE = 20_000
# SQLite takes 32,766 values; each rule brings some.
_MOST_RULES = 100
# Of every row, beside what the filters of rules look at: most rows match none.
_NEEDED = ("seq", "project", "trace_id", "span_id", "environment", "block", "position")
_NOTE_MS = 1000


class Rules:
    """The enabled rules, read anew when `state.db` has changed."""

    def __init__(self, data_dir: Path) -> None:
        self.db = open_database(data_dir / "state.db", readonly=True)
        self._version = -1
        self.of_project: dict[str, list[Rule]] = {}
        self.since: int | None = None
        self.select, self.values = "", list[str]()
        self._pairs: dict[str, tuple[Rule, Assignment, Evaluator]] = {}

    def refresh(self) -> None:
        """Forget what is outdated."""
        version = self.db.execute("pragma data_version").fetchone()[0]
        if version == self._version:
            return
        self._version = version
        reader = StateReader(self.db)
        rules = EvaluationRuleStore(reader).enabled()
        evaluators = EvaluatorStore(reader).named(
            {one.evaluator_id for rule in rules for one in rule.assignments}
        )
        self.of_project, self._pairs = {}, {}
        self.since = min((rule.since for rule in rules), default=None)
        self.select, self.values = _select(rules)
        for rule in rules:
            self.of_project.setdefault(rule.project_id, []).append(rule)
            for one in rule.assignments:
                # One that was deleted between the two reads is gone with the next refresh.
                if evaluator := evaluators.get(one.evaluator_id):
                    self._pairs[one.id] = rule, one, evaluator

    def pair(self, assignment_id: str) -> tuple[Rule, Assignment, Evaluator] | None:
        """Return rule, assignment and evaluator as they are now, unless they do not judge any more."""
        found = self._pairs.get(assignment_id)
        return None if found is None or found[2].paused_reason else found

    def active(self, rule: Rule) -> Iterator[Assignment]:
        """Yield the assignments of a rule whose evaluators are not paused."""
        return (one for one in rule.assignments if self.pair(one.id) is not None)


def _select(rules: Sequence[Rule]) -> tuple[str, list[str]]:
    """Return the statement for rows of a range that rules may match, and the values after its two ends."""
    read = {name for rule in rules for name in columns_read(rule.values.filter)}
    columns = ", ".join([*_NEEDED, *sorted(read.difference(_NEEDED))])
    fits, values = list[str](), list[str]()
    for rule in rules if len(rules) <= _MOST_RULES else ():
        condition, wanted = sql_of(rule.values.filter)
        fits.append(f"(+project = (select key from projects where id = ?) and {condition})")
        values += [rule.project_id, *wanted]
    return (
        f"select {columns} from observations where seq > ? and seq <= ? and ({' or '.join(fits) or 'true'})"
        f" order by seq limit {_CHUNK}"
    ), values


class Scheduler:
    """Follows the sequence of `events.db`, and adds a job for everything that a rule matches."""

    def __init__(self, data_dir: Path, jobs: Jobs, rules: Rules) -> None:
        self._jobs, self._rules = jobs, rules
        self.db = open_database(data_dir / EVENTS_FILE, readonly=True)
        self._blocks = BlockReader(self.db)
        self._projects: dict[int, str] = {}
        self._seen = self._noted = jobs.seen()
        self._noted_at = 0

    def step(self) -> bool:
        """Look at the next observations; tell whether there are more."""
        last = self.db.execute("select last from sequence").fetchone()[0]
        if last < self._seen:
            # The data of an earlier moment was restored: what comes from now on is new.
            self._note([], last)
        if last == self._seen:
            self._note_at_leisure()
            return False
        since = last if self._rules.since is None else self._rules.since
        begin = min(max(self._seen, since), last)
        upto = min(begin + _RANGE, last)
        values = (begin, upto, *self._rules.values)
        rows = self.db.execute(self._rules.select, values).fetchall() if begin < upto else []
        found = [job for row in rows if may_be_judged(row["environment"]) for job in self._jobs_of(row)]
        seen = rows[-1]["seq"] if len(rows) == _CHUNK else upto
        if found:
            self._note(found, seen)
        else:
            self._seen = seen
            self._note_at_leisure()
        return bool(seen < last)

    def _note(self, found: list[NewJob], seen: int) -> None:
        now = now_ms()
        self._jobs.add(found, seen, now)
        self._seen = self._noted = seen
        self._noted_at = now

    def _note_at_leisure(self) -> None:
        """Note how far this has looked: after a kill, what matches no rule is looked at once more."""
        if self._noted != self._seen and now_ms() - self._noted_at >= _NOTE_MS:
            self._note([], self._seen)

    def _jobs_of(self, row: sqlite3.Row) -> Iterator[NewJob]:
        project_id = self._project(row["project"])
        span_id = unpack(row["span_id"])
        for rule in self._rules.of_project.get(project_id, ()):
            if row["seq"] <= rule.since or not sampled(span_id, rule.values.sampling):
                continue
            if not matches(rule.values.filter, row, lambda: self._metadata(row)):
                continue
            trace_id = unpack(row["trace_id"])
            for one in self._rules.active(rule):
                yield NewJob(
                    id=job_id(rule.id, one.id, trace_id, span_id),
                    project_id=project_id,
                    project=row["project"],
                    trace_id=trace_id,
                    span_id=span_id,
                    rule_id=rule.id,
                    assignment_id=one.id,
                    evaluator_id=one.evaluator_id,
                )

    def _metadata(self, row: sqlite3.Row) -> dict[str, str]:
        try:
            pairs = self._blocks.body(row["block"], row["position"]).metadata
        except LookupError:
            return {}  # deleted meanwhile
        found: dict[str, str] = {}
        for name, value in pairs:
            found.setdefault(name, value)
        return found

    def _project(self, key: int) -> str:
        if key not in self._projects:
            self._projects = dict(self.db.execute("select key, id from projects").fetchall())
        return self._projects[key]

    def close(self) -> None:
        """Close the file."""
        self.db.close()
