"""Checks of data on its way: in, through the queue, and back out."""

from __future__ import annotations

import re

from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import COMPOSE, Check, Verdict, failed, ok, skipped, warning
from scripts.check.doctor.sources.calls import Calls
from scripts.check.doctor.sources.flow import Flow, Media
from scripts.check.doctor.sources.logs import Logs
from scripts.check.doctor.sources.server import Server
from scripts.check.doctor.sources.stack import Stack
from scripts.watch.exporter.canary import Step

from . import limits

SPAN_STEPS, SCORE_STEPS = (Step.WRITE_SPAN, Step.READ_SPAN), (Step.WRITE_SCORE, Step.READ_SCORE)


def _span(facts: Facts) -> Verdict:
    run = facts.of(Flow).run
    if run.failed in SPAN_STEPS:
        return failed(f"{run.result.value} at {run.failed.value}: {run.detail}")
    return ok(f"readable {run.seconds[Step.READ_SPAN]:.2f} s after it was acknowledged")


def _score(facts: Facts) -> Verdict:
    run = facts.of(Flow).run
    if run.failed in SPAN_STEPS:
        raise NotGathered("the span before it did not come through")
    if run.failed in SCORE_STEPS:
        return failed(f"{run.result.value} at {run.failed.value}: {run.detail}")
    return ok(f"readable {run.seconds[Step.READ_SCORE]:.2f} s after it was acknowledged")


def _visible(facts: Facts) -> Verdict:
    run = facts.of(Flow).run
    if Step.READ_SPAN not in run.seconds:
        raise NotGathered("the span did not come through")
    seconds = run.seconds[Step.WRITE_SPAN] + run.seconds[Step.READ_SPAN]
    slow = float(facts.of(Stack).values.get("CANARY_SLOW_S", limits.VISIBLE_S)) / 2
    text = f"a span takes {seconds:.2f} s to be seen"
    return ok(text) if seconds <= slow else warning(text)


def _media(facts: Facts) -> Verdict:
    media = facts.of(Media)
    if media.problem:
        return failed(f"at {media.step}: {media.problem}")
    return ok("a file went to the store and came back through signed URLs")


def _media_in_containers(facts: Facts) -> Verdict:
    media = facts.of(Media)
    if media.problem:
        raise NotGathered("media do not work on this machine either")
    if media.container is None:
        return skipped("not tried from a container")
    if not media.container:
        return ok("web reads it from inside its container, too")
    if "localhost" in media.url or "127.0.0.1" in media.url:
        return skipped(
            "media URLs name localhost, so applications in containers do not reach media; "
            "the profile tls gives them a name that does"
        )
    return failed(media.container)


def _queues(facts: Facts) -> Verdict:
    queues = _known_queues(facts)
    waiting = {name: jobs.get("waiting", 0) + jobs.get("delayed", 0) for name, jobs in queues.items()}
    long = {name: jobs for name, jobs in waiting.items() if jobs > limits.QUEUE_WARNING}
    if long:
        return warning(", ".join(f"{name}: {jobs} jobs wait" for name, jobs in sorted(long.items())))
    return ok(f"{sum(waiting.values())} jobs wait in {len(queues)} queues")


def _failed_jobs(facts: Facts) -> Verdict:
    queues = _known_queues(facts)
    broken = {name: jobs["failed"] for name, jobs in queues.items() if jobs.get("failed")}
    if broken:
        return warning(
            ", ".join(f"{name}: {jobs} jobs failed for good" for name, jobs in sorted(broken.items()))
        )
    return ok("no job has failed for good")


def _dropped(facts: Facts) -> Verdict:
    lines = facts.of(Logs).lines["dropped"]
    rows = sum(int(found[1]) for line in lines if (found := re.search(r"dropped (\d+)", line)))
    if rows:
        return failed(f"the worker dropped {rows} acknowledged rows in the last day")
    return ok("the worker dropped nothing in the last day")


def _refused(facts: Facts) -> Verdict:
    lines = facts.of(Logs).lines["refused"]
    rows = sum(int(found[1]) for line in lines if (found := re.search(r"refuses (\d+)", line)))
    if rows:
        return warning(f"ClickHouse refused {rows} rows in the last day, which were set aside")
    return ok("the worker set no row aside in the last day")


def _stalled(facts: Facts) -> Verdict:
    lines = facts.of(Logs).lines["stalled"]
    return (
        warning(f"{len(lines)} jobs stalled: {lines[-1]}") if lines else ok("no job stalled in the last day")
    )


def _query_memory(facts: Facts) -> Verdict:
    lines = facts.of(Logs).lines["memory"]
    if lines:
        return warning(f"ClickHouse refused {len(lines)} queries in the last day because memory ran out")
    return ok("no query ran out of memory in the last day")


def _counted_once(facts: Facts) -> Verdict:
    calls = facts.of(Calls)
    if calls.twice:
        first = calls.twice[0]
        return warning(
            f"of the last {calls.count} model calls {len(calls.twice)} count twice, such as {first.inner} in "
            f"{first.outer}, project {first.project}, trace {first.trace_id}"
        )
    return ok(f"none of the last {calls.count} model calls counts twice")


def _known_queues(facts: Facts) -> dict[str, dict[str, int]]:
    queues = facts.of(Server).answering().queues
    if queues is None:
        raise NotGathered("the server does not tell its queues")
    return {name: dict(jobs) for name, jobs in queues.items()}


CHECKS = (
    Check(
        id="flow.span",
        looks_at="A span is acknowledged and can be read back: API, object store, queue, worker, ClickHouse.",
        fix="make logs SERVICE=langfuse-worker; then the checks of the group stores",
        page="runbooks/CanaryFailing.md",
        judge=_span,
    ),
    Check(
        id="flow.score",
        looks_at="A score is acknowledged and can be read back.",
        fix="if spans come through, it is the pair of SDK and server (versions.pair) or the worker's log",
        page="runbooks/CanaryFailing.md",
        judge=_score,
    ),
    Check(
        id="flow.visible",
        looks_at="A span can be seen within half of CANARY_SLOW_S.",
        fix="see which queue is long (flow.queues) and who waits for CPU (docker.throttled)",
        page="runbooks/CanarySlow.md",
        judge=_visible,
    ),
    Check(
        id="flow.media",
        looks_at="A media file goes to the store and back from this machine through signed URLs.",
        fix="S3_PUBLIC_ENDPOINT must be a URL at which this machine reaches the object store; then make up",
        page="reference/compose.md#media-and-exports",
        judge=_media,
    ),
    Check(
        id="flow.media_in_containers",
        looks_at="The same signed URL works inside a container, where S3_PUBLIC_ENDPOINT does not name "
        "localhost.",
        fix="use a name that resolves inside and outside: the profile tls with S3_DOMAIN, or a record in "
        "your DNS",
        page="reference/compose.md#media-and-exports",
        judge=_media_in_containers,
        engines=COMPOSE,
    ),
    Check(
        id="flow.queues",
        looks_at="No queue holds more than 1000 jobs that wait.",
        fix="see whether the worker keeps up: make logs SERVICE=langfuse-worker; give it more CPU "
        "(WORKER_CPUS)",
        page="runbooks/QueueGrowing.md",
        judge=_queues,
    ),
    Check(
        id="flow.failed_jobs",
        looks_at="No queue holds jobs that failed for good.",
        fix="correct their reason (make logs SERVICE=langfuse-worker), then retry them: "
        "docs/runbooks/DeadLetters.md",
        page="runbooks/DeadLetters.md",
        judge=_failed_jobs,
    ),
    Check(
        id="flow.dropped",
        looks_at="The worker dropped no acknowledged row in the last day.",
        fix="make reconcile, which replays what was dropped from the events bucket "
        "(docs/runbooks/RowsDropped.md)",
        page="runbooks/RowsDropped.md",
        judge=_dropped,
        engines=COMPOSE,
    ),
    Check(
        id="flow.refused",
        looks_at="The worker set aside no row that ClickHouse refuses in the last day.",
        fix="make reconcile CHECK=1, which names what is missing (docs/runbooks/SpansMissing.md)",
        page="runbooks/SpansMissing.md",
        judge=_refused,
        engines=COMPOSE,
    ),
    Check(
        id="flow.counted_once",
        looks_at="No model call of the last day was reported by two instrumentations: its cost would double.",
        fix="keep one of the two: import `openai` from `openai`, not from `langfuse.openai`, where "
        "LangChain's handler or OpenTelemetry reports the call",
        page="how-to/instrument-your-app.md#one-call-one-observation",
        judge=_counted_once,
    ),
    Check(
        id="flow.stalled",
        looks_at="No job lost its worker in the last day.",
        fix="give the worker more CPU and memory (WORKER_CPUS, WORKER_MEMORY), then make up",
        page="runbooks/WorkerSilent.md",
        judge=_stalled,
        engines=COMPOSE,
    ),
    Check(
        id="flow.query_memory",
        looks_at="ClickHouse refused no query in the last day because memory ran out.",
        fix="give ClickHouse more memory; let big aggregates use the disk "
        "(CLICKHOUSE_MAX_BYTES_BEFORE_EXTERNAL_GROUP_BY)",
        page="runbooks/ClickHouseMemoryHigh.md",
        judge=_query_memory,
        engines=COMPOSE,
    ),
)
