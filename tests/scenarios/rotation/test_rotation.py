"""Every secret of a compose stack is rotated while it runs: the new one works, the former one does not."""

from __future__ import annotations

from dataclasses import replace

import docker
import pytest

from scripts.config.rotate import command
from scripts.config.rotate.execute import RealHands
from scripts.config.rotate.plan import Plan, Step
from scripts.config.rotate.stores import Stores
from scripts.core.errors import EXIT_OK, StackError, UsageError
from scripts.engines.base import EngineName
from tests.scenarios.load import container, load_on, wait_healthy
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack

ADMIN = "admin@acme.example"


@pytest.fixture(scope="module")
def running(stack: Stack) -> Stack:
    """Return the stack after its first start."""
    stack.up()
    return stack


def rotate(stack: Stack, secret: str = "", *, undo: bool = False, **environment: str) -> int:
    context = replace(stack.context, environment={**stack.context.environment, **environment})
    return command.rotate(context, secret=secret, yes=True, undo=undo)


def secret_of(stack: Stack, name: str) -> str:
    return stack.context.settings()[name]


def stores_of(stack: Stack) -> Stores:
    return Stores(stack.context, stack.context.settings())


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "CLICKHOUSE_PASSWORD", "REDIS_AUTH"])
def test_the_password_of_a_store_changes_under_load_and_nothing_is_lost(
    running: Stack, report: Report, name: str
) -> None:
    old = secret_of(running, name)
    with load_on(running) as load:
        assert rotate(running, name) == EXIT_OK
        wait_healthy(running)
    new = secret_of(running, name)
    assert new != old
    assert stores_of(running).takes(name, new)
    assert not stores_of(running).takes(name, old)
    lost = load.lost()
    report.add("rotation", f"{name} rotated", acknowledged=len(load.acknowledged), lost=len(lost))
    assert lost == set()


def test_both_keys_of_the_object_store_change_and_come_back(running: Stack) -> None:
    names = ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
    old = tuple(secret_of(running, name) for name in names)
    assert rotate(running, "S3_SECRET_ACCESS_KEY") == EXIT_OK
    new = tuple(secret_of(running, name) for name in names)
    assert not set(old) & set(new)
    assert stores_of(running).takes_keys(*new)
    assert not stores_of(running).takes_keys(*old)
    assert rotate(running, undo=True) == EXIT_OK
    assert tuple(secret_of(running, name) for name in names) == old
    assert stores_of(running).takes_keys(*old)
    assert not stores_of(running).takes_keys(*new)


def test_the_secrets_of_web_change_and_keys_go_on_working(
    running: Stack, engine: docker.DockerClient
) -> None:
    for name in ("NEXTAUTH_SECRET", "ADMIN_API_KEY"):
        old = secret_of(running, name)
        assert rotate(running, name) == EXIT_OK
        variables = container(engine, running, "langfuse-web").attrs["Config"]["Env"]
        assert f"{name}={secret_of(running, name)}" in variables
        assert f"{name}={old}" not in variables
    with running.client() as client:
        assert client.get("/api/public/projects").is_success


def test_the_password_of_the_admin_is_stored_as_the_server_stores_it(running: Stack) -> None:
    old = secret_of(running, "LANGFUSE_INIT_USER_PASSWORD")
    assert rotate(running, "LANGFUSE_INIT_USER_PASSWORD") == EXIT_OK
    new = secret_of(running, "LANGFUSE_INIT_USER_PASSWORD")
    stores = stores_of(running)
    assert stores.user_has_password(EngineName.COMPOSE, ADMIN, new)
    assert not stores.user_has_password(EngineName.COMPOSE, ADMIN, old)
    with pytest.raises(StackError, match=r"There is no user hermes@acme\.example"):
        stores.set_user_password(EngineName.COMPOSE, "hermes@acme.example", new)


def test_a_rotation_that_fails_at_its_proof_leaves_the_former_password(
    running: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = secret_of(running, "POSTGRES_PASSWORD")
    do = RealHands.do

    def fails(hands: RealHands, step: Step, plan: Plan) -> None:
        do(hands, step, plan)
        if step is Step.VERIFY and plan.changes[0].new != old:
            raise StackError("the proof failed.")

    monkeypatch.setattr(RealHands, "do", fails)
    with pytest.raises(StackError, match="The former value is back"):
        rotate(running, "POSTGRES_PASSWORD")
    assert secret_of(running, "POSTGRES_PASSWORD") == old
    assert stores_of(running).takes("POSTGRES_PASSWORD", old)
    assert running.state().healthy


def test_what_cannot_be_rotated_changes_nothing(running: Stack) -> None:
    before = running.context.layout.env_file.read_text()
    for name in ("SALT", "ENCRYPTION_KEY"):
        with pytest.raises(UsageError, match=f"{name} cannot be rotated"):
            rotate(running, name)
    assert running.context.layout.env_file.read_text() == before
    assert running.state().healthy
