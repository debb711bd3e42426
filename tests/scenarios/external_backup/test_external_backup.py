"""A stack on four external stores: backup under load, contents lost, restored, and the same as before."""

from __future__ import annotations

import docker
import pytest

from scripts.core.errors import EXIT_DRIFT, EXIT_OK, StackError
from scripts.data.backup import restore, verify
from scripts.data.backup.errors import Refused
from scripts.data.retention import erase
from tests.killing import RESTORE, run_killed
from tests.scenarios.backup_restore.drill import (
    back_up,
    bring_back,
    client,
    content_hash,
    seed,
    with_repository,
)
from tests.scenarios.conftest import MakeStack
from tests.scenarios.load import sent_around, wait_healthy
from tests.scenarios.reconcile.test_reconcile import reconcile, send_and_lose
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack, export, new_id, readable, wait_readable
from tests.waiting import wait_for

from .company import OTHERS, Company, company_of

OBSERVATIONS = 2_000
RESTORE_PHASES = (
    "scripts.stores.external_postgres:ExternalPostgres.load",
    "scripts.stores.external_postgres:ExternalPostgres.exchange",
    "scripts.stores.clickhouse_tables:ClickHouseTables.restore",
    "scripts.data.backup.restoring:prove",
)


@pytest.fixture(scope="module")
def company(make_stack: MakeStack, engine: docker.DockerClient) -> Company:
    """The stores of somebody else, with something of their own in them."""
    return company_of(make_stack(), engine)


@pytest.fixture(scope="module")
def tenant(company: Company, make_stack: MakeStack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A running stack on these stores, with data."""
    stack = company.tenant(make_stack())
    stack = with_repository(stack, tmp_path_factory.mktemp("backups") / "repository")
    stack.up()
    seed(stack, OBSERVATIONS)
    return stack


def parts(stack: Stack) -> set[str]:
    """Return the services that have a container."""
    return {name.removeprefix(f"{stack.name}-")[:-2] for name in stack.leftovers()["containers"]}


def test_contents_that_were_lost_come_back_from_a_backup_under_load(
    company: Company, tenant: Stack, report: Report
) -> None:
    before = content_hash(tenant)
    load, sent_before = sent_around(tenant, lambda: back_up(tenant))
    later = len(load.acknowledged)
    assert parts(tenant) == {"langfuse-web", "langfuse-worker"}
    assert company.beside() == []

    assert verify.backup_verify(tenant.context, backup="latest", read_all=True) == EXIT_OK
    assert content_hash(tenant, without=load.trace_id) == before
    with pytest.raises(Refused, match="has data in its external stores"):
        bring_back(tenant)

    company.destroy_contents(tenant)
    assert bring_back(tenant) == EXIT_OK

    assert content_hash(tenant, without=load.trace_id) == before
    with client(tenant, "kosmos") as api:
        loaded = readable(api, load.trace_id)
    lost = len(sent_before - loaded)
    report.add("external_backup", "contents lost, restored", acknowledged=len(sent_before), lost=lost)
    assert lost == 0
    assert len(loaded) < later, "what came after the backup is gone"
    assert company.others() == [OTHERS] * 4
    assert company.beside() == []
    assert parts(tenant) == {"langfuse-web", "langfuse-worker"}
    assert "volumes" not in tenant.leftovers()


def test_a_restore_killed_in_any_phase_is_undone_and_the_next_one_succeeds(
    company: Company, tenant: Stack
) -> None:
    back_up(tenant)
    wanted = content_hash(tenant)
    later = new_id(16)
    with client(tenant, "kosmos") as api:
        assert export(api, later, [new_id(8)]).status_code == 200
        wait_for(lambda: len(readable(api, later)) == 1, "the trace after the backup")
    before = content_hash(tenant)
    assert before != wanted
    looked = restore.restore(
        tenant.context, backup="latest", dry_run=True, replace_data=True, with_smoke=False
    )
    assert looked == EXIT_OK
    assert content_hash(tenant) == before
    for place in RESTORE_PHASES:
        run_killed(RESTORE, place, tenant.context)
        with pytest.raises(StackError, match="A restore was interrupted"):
            tenant.up()
    with pytest.raises(Refused, match="has data"):
        bring_back(tenant)
    tenant.up()
    assert content_hash(tenant) == before
    assert bring_back(tenant, replace_data=True) == EXIT_OK
    assert content_hash(tenant) == wanted
    assert company.others() == [OTHERS] * 4
    assert company.beside() == []


def test_what_the_worker_dropped_is_found_and_replayed(tenant: Stack) -> None:
    wait_healthy(tenant)
    traces = [new_id(16) for _ in range(2)]
    with client(tenant, "kosmos") as api:
        sent = send_and_lose(tenant, api, traces)
        assert reconcile(tenant, check=True) == EXIT_DRIFT
        assert reconcile(tenant) == EXIT_OK
        assert [wait_readable(api, trace, sent[trace]) for trace in traces] == [set(), set()]
    assert parts(tenant) == {"langfuse-web", "langfuse-worker"}


def test_a_trace_is_erased_from_every_store(company: Company, tenant: Stack) -> None:
    trace = new_id(16)
    with client(tenant, "kosmos") as api:
        assert export(api, trace, [new_id(8)]).status_code == 200
        wait_for(lambda: len(readable(api, trace)) == 1, "the trace")
        done = erase.erase(tenant.context, way="trace", value=trace, apply=True, by="athena", verify=True)
        assert done == EXIT_OK
        assert readable(api, trace) == set()
    assert company.others() == [OTHERS] * 4
    # Last: what it deletes at its end may wait in a queue, and queues are in no backup.
    assert tenant.smoke(["-k", "not example"]) == 0
