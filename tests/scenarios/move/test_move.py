"""A stack moves to one that has only external stores, and back, while an application sends spans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from scripts.core.console import Console
from scripts.core.errors import EXIT_OK, StackError, UsageError
from scripts.data.move.command import Options, move_from, move_into, move_to
from scripts.docker.moved import Phase, read_moved
from tests.killing import MOVE, MOVE_REPLACING, run_killed
from tests.scenarios.backup_restore.drill import client, content_hash, seed
from tests.scenarios.conftest import MakeStack
from tests.scenarios.external_backup.company import OTHERS, Company, company_of
from tests.scenarios.load import wait_healthy
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack, export, new_id, readable, wait_readable
from tests.unit.scripts.fakes import Screen

from .clients import Application, Name, visited

OBSERVATIONS = 1_000
YES = Options(yes=True)
PHASES = (
    "scripts.stores.postgres:Postgres.dump",
    "scripts.stores.clickhouse_copy:ClickHouseCopy.send",
    "scripts.stores.external_postgres:ExternalPostgres.load",
    "scripts.data.backup.restoring:prove",
    "scripts.data.move.leaving:Leaving.note",
)


@pytest.fixture(scope="module")
def company(make_stack: MakeStack, engine: docker.DockerClient) -> Company:
    """Stores that a company runs, with nothing of Langfuse in them, and something of others."""
    return company_of(make_stack(), engine)


@pytest.fixture(scope="module")
def external(company: Company, make_stack: MakeStack) -> Stack:
    """A stack on these stores that was never started: its `.env` has addresses, and no secret of Langfuse."""
    stack = company.tenant(make_stack())
    company.destroy_contents(stack)
    path = stack.context.layout.env_file
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(one for one in lines if not one.startswith(("SALT=", "ENCRYPTION_KEY="))))
    return stack


@pytest.fixture(scope="module")
def bundled(make_stack: MakeStack) -> Stack:
    """A stack with its own stores, running, with data."""
    stack = make_stack()
    stack.up()
    seed(stack, OBSERVATIONS)
    return stack


@pytest.fixture
def name(bundled: Stack) -> Iterator[Name]:
    made = Name(bundled)
    yield made
    made.close()


def move(source: Stack, target: Stack, options: Options = YES) -> str:
    """Run the command; return what it said."""
    screen = Screen()
    console = Console({}, screen.out, screen.err)
    context = replace(source.context, console=console)
    assert move_to(context, replace(target.context, console=console), options) == EXIT_OK
    return " ".join((screen.out.getvalue() + screen.err.getvalue()).split())


def move_under_load(
    source: Stack, target: Stack, name: Name, directory: Path, options: Options, report: Report, what: str
) -> None:
    """Move while an application sends, lead the name to the new stack, finish; nothing may be lost."""
    name.leads_to = source
    before = content_hash(source)
    application = Application(name.url, source.keys(), directory)
    application.wait_for(200)
    with visited(source) as visitor:
        said = move(source, target, options)
        mark = read_moved(source.context.layout)
    assert mark is not None
    assert mark.phase == Phase.TAKEN
    taken = source.context.layout.moved_file.stat().st_mtime
    application.wait_for(100)  # they come to the old stack still
    name.leads_to = target
    application.wait_for(100)  # on its old connection
    finished = move(source, target, replace(options, finish=True))
    application.wait_for(200)
    complaints = application.stop()

    spans = application.spans()
    with target.client() as api:
        lost = wait_readable(api, application.trace_id, set(spans), within_s=120)
        prompts = [api.get(f"/api/public/v2/prompts/{one}?version=1").status_code for one in visitor.prompts]
    moments = [moment - mark.began.timestamp() for moment in spans.values()]
    pause = taken - mark.began.timestamp()
    early, late = sum(one < 0 for one in moments), sum(one > pause for one in moments)
    during = len(moments) - early - late
    report.add("move", what, acknowledged=len(spans), lost=len(lost))
    refused = re.search(r"Changes were refused for ([\d.]+) s", said)
    assert refused is not None, said
    report.measured(
        f"{what}: {early} spans before, {during} during, {late} after, lost {len(lost)}; changes refused for"
        f" {refused[1]} s ({visitor.refused} of {visitor.refused + len(visitor.prompts)});"
        f" {visitor.failed_reads} of {visitor.reads} reads failed"
    )
    assert lost == set(), (said, finished, complaints)
    assert min(early, during, late) > 0
    assert visitor.refused > 0, "changes are told"
    assert visitor.prompts
    assert set(prompts) == {200}, "a change that was taken is there"
    assert visitor.failed_reads <= 2, "a connection to PostgreSQL was ended"
    assert "are the same on both sides" in said
    after = content_hash(target, without=application.trace_id)
    changed = {kind for kind in before if before[kind] != after[kind]}
    assert changed <= {"kosmos v2/prompts"}, "the prompts that were made meanwhile"
    assert not source.state().running
    with pytest.raises(StackError, match="This stack is moved to"):
        source.up()
    assert not (source.context.layout.stack_dir / "move").exists()
    wait_healthy(target)


def test_it_moves_to_external_stores_under_load(
    bundled: Stack, external: Stack, company: Company, name: Name, tmp_path: Path, report: Report
) -> None:
    assert "nothing was changed" in move(bundled, external, replace(YES, dry_run=True))
    assert read_moved(bundled.context.layout) is None
    assert content_hash(bundled)
    move_under_load(bundled, external, name, tmp_path, YES, report, "bundled to external stores")
    assert company.others() == [OTHERS] * 4
    assert company.beside() == []


def test_it_moves_back_under_load(
    bundled: Stack, external: Stack, name: Name, tmp_path: Path, report: Report
) -> None:
    with pytest.raises(UsageError, match="cannot be moved") as caught:
        move(external, bundled)
    assert any("has data already" in line for line in caught.value.details)
    options = replace(YES, replace=True)
    move_under_load(external, bundled, name, tmp_path, options, report, "external to bundled stores")
    assert read_moved(bundled.context.layout) is None


def test_a_move_killed_at_any_step_goes_on_and_can_be_undone(
    bundled: Stack, external: Stack, company: Company, report: Report
) -> None:
    trace, sent = new_id(16), set()

    def send(stack: Stack) -> None:
        with client(stack, "kosmos") as api:
            span = new_id(8)
            assert export(api, trace, [span]).status_code == 200
            sent.add(span)

    send(bundled)
    for place in PHASES:
        command = MOVE_REPLACING if place == PHASES[0] else MOVE
        run_killed(command, place, bundled.context, external.context)
        send(bundled)
        assert read_moved(bundled.context.layout) is not None
        assert "paused since" in bundled.state().detail
    move(bundled, external)
    with client(external, "kosmos") as api:
        assert wait_readable(api, trace, sent) == set()
    send(bundled)
    send(external)
    prompt = {"name": "only-there", "type": "text", "prompt": "Hello", "labels": []}
    with client(external, "kosmos") as api:
        api.post("/api/public/v2/prompts", json=prompt).raise_for_status()

    said = move(bundled, external, replace(YES, undo=True))
    assert "Changed in the new stack since, and lost with it: prompts kosmos" in said
    assert read_moved(bundled.context.layout) is None
    assert not external.state().running
    wait_healthy(bundled)
    with client(bundled, "kosmos") as api:
        lost = wait_readable(api, trace, sent, within_s=120)
        assert api.get("/api/public/v2/prompts/only-there?version=1").status_code == 404
        assert api.post("/api/public/v2/prompts", json=prompt).is_success
    report.add("move", "killed at five steps, undone", acknowledged=len(sent), lost=len(lost))
    assert lost == set()
    assert company.others() == [OTHERS] * 4


def test_it_moves_to_another_host_by_a_directory(
    bundled: Stack, make_stack: MakeStack, tmp_path: Path, report: Report
) -> None:
    new, directory = make_stack(), tmp_path / "set"
    before = content_hash(bundled)
    assert move_into(bundled.context, directory, YES) == EXIT_OK
    assert move_from(new.context, directory, YES) == EXIT_OK
    assert move_into(bundled.context, directory, YES) == EXIT_OK
    assert move_into(bundled.context, directory, replace(YES, pause=True)) == EXIT_OK
    trace, sent = new_id(16), {new_id(8) for _ in range(3)}
    with client(bundled, "kosmos") as api:
        assert export(api, trace, sorted(sent)).status_code == 200
    assert move_from(new.context, directory, YES) == EXIT_OK
    assert content_hash(new, without=trace) == before
    assert move_into(bundled.context, directory, replace(YES, finish=True)) == EXIT_OK
    assert move_from(new.context, directory, YES) == EXIT_OK
    with client(new, "kosmos") as api:
        lost = wait_readable(api, trace, sent)
        assert readable(api, trace) == sent
    report.add("move", "to another host by a directory", acknowledged=len(sent), lost=len(lost))
    assert move_into(bundled.context, directory, replace(YES, undo=True)) == EXIT_OK
    wait_healthy(bundled)
    assert content_hash(bundled, without=trace) == before
