"""The disaster: a host with data under load is lost as a whole, and comes back from its backup alone."""

from __future__ import annotations

from pathlib import Path

from scripts.core.heartbeats import heartbeats_dir, last_successes
from scripts.data.backup import verify
from tests.scenarios.conftest import MakeStack
from tests.scenarios.load import sent_around
from tests.scenarios.report import Report
from tests.scenarios.stack import readable

from .drill import (
    PROJECTS,
    back_up,
    bring_back,
    client,
    content_hash,
    lose_host,
    password,
    seed,
    seen_with,
    with_repository,
)

OBSERVATIONS = 20_000


def test_a_lost_host_comes_back_as_it_was(make_stack: MakeStack, tmp_path: Path, report: Report) -> None:
    stack = with_repository(make_stack(), tmp_path / "backups")
    stack.up()
    seed(stack, OBSERVATIONS)
    before = content_hash(stack)
    keys = {project: stack.keys(project) for project in PROJECTS}

    # Spans arrive while the stores are copied: those of before are there as a whole.
    load, sent_before = sent_around(stack, lambda: back_up(stack))
    later = len(load.acknowledged)

    secret = password(stack)
    assert verify.backup_verify(stack.context, backup="latest", read_all=True) == 0
    assert "backup-verify" in last_successes(heartbeats_dir(stack.context.layout))
    lose_host(stack)
    empty = seen_with(stack, BACKUP_PASSWORD=secret)
    assert bring_back(empty) == 0

    assert content_hash(stack, without=load.trace_id) == before
    with client(stack, "kosmos") as api:
        loaded = readable(api, load.trace_id)
        lost = len(sent_before - loaded)
        report.add("backup_restore", "host lost, restored", acknowledged=len(sent_before), lost=lost)
        assert lost == 0
        assert len(loaded) < later, "what came after the backup is gone"
    assert {project: stack.keys(project) for project in PROJECTS} == keys
    assert password(stack) == secret
    assert stack.smoke(["-k", "not example"]) == 0
