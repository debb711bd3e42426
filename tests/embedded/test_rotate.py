"""Rotation on the embedded engine: the new value works, the former does not, and the way back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from scripts.config.rotate import command
from scripts.config.rotate.execute import RealHands
from scripts.config.rotate.journal import journal_of
from scripts.config.rotate.plan import Plan, Step
from scripts.core.errors import EXIT_OK, StackError, UsageError

from .backups import Stack, stack_in

ADMIN = "admin@acme.example"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that runs."""
    made = stack_in(tmp_path_factory.mktemp("stack"))
    made.up()
    yield made
    made.stop()


def rotate(stack: Stack, secret: str = "", *, undo: bool = False, user: str = "", **environment: str) -> int:
    context = replace(stack.context, environment={**stack.context.environment, **environment})
    return command.rotate(context, secret=secret, yes=True, undo=undo, user=user)


def queues(stack: Stack, key: str) -> int:
    url = f"http://127.0.0.1:{stack.context.environment['LANGFUSE_PORT']}/api/admin/bullmq"
    return httpx.get(url, headers={"Authorization": f"Bearer {key}"}, trust_env=False).status_code


def signs_in(stack: Stack, email: str, password: str) -> bool:
    """Sign in as a browser does."""
    base = f"http://127.0.0.1:{stack.context.environment['LANGFUSE_PORT']}"
    fields = {"email": email, "password": password, "targetPath": "/"}
    headers = {"origin": base}
    return (
        httpx.post(f"{base}/auth/sign-in", data=fields, headers=headers, trust_env=False).status_code == 303
    )


def secret_of(stack: Stack, name: str) -> str:
    return stack.context.settings()[name]


def test_a_new_admin_key_works_and_the_former_does_not_and_back(stack: Stack) -> None:
    old = secret_of(stack, "ADMIN_API_KEY")
    assert rotate(stack, "ADMIN_API_KEY") == EXIT_OK
    new = secret_of(stack, "ADMIN_API_KEY")
    assert new != old
    assert (queues(stack, new), queues(stack, old)) == (200, 401)
    with stack.client() as client:
        assert client.get("/api/public/projects").is_success

    assert rotate(stack, undo=True) == EXIT_OK
    assert secret_of(stack, "ADMIN_API_KEY") == old
    assert (queues(stack, new), queues(stack, old)) == (401, 200)
    with pytest.raises(UsageError, match="There is no rotation to undo"):
        rotate(stack, undo=True)


def test_a_new_password_of_the_admin_signs_in_and_the_former_does_not(stack: Stack) -> None:
    old = secret_of(stack, "LANGFUSE_INIT_USER_PASSWORD")
    assert signs_in(stack, ADMIN, old)
    assert rotate(stack, "LANGFUSE_INIT_USER_PASSWORD", NEW_VALUE="a-better-password") == EXIT_OK
    assert secret_of(stack, "LANGFUSE_INIT_USER_PASSWORD") == "a-better-password"
    assert signs_in(stack, ADMIN, "a-better-password")
    assert not signs_in(stack, ADMIN, old)
    stack.stop()
    stack.up()  # the variable is read at the first start only
    assert signs_in(stack, ADMIN, "a-better-password")
    assert rotate(stack, undo=True) == EXIT_OK
    assert signs_in(stack, ADMIN, old)


def test_another_user_gets_a_password_that_is_printed_once(stack: Stack) -> None:
    with pytest.raises(StackError, match=r"There is no user zeus@acme\.example"):
        rotate(stack, "LANGFUSE_INIT_USER_PASSWORD", user="zeus@acme.example")
    text = stack.layout.stack_file.read_text()
    members = (
        "members:\n  - {email: zeus@acme.example, name: Zeus, role: MEMBER, password_from: ZEUS_PASSWORD}\n"
    )
    stack.layout.stack_file.write_text(f"{text}{members}")
    from scripts.config import bootstrap

    try:
        context = replace(
            stack.context, environment={**stack.context.environment, "ZEUS_PASSWORD": "first-password-1"}
        )
        assert bootstrap.bootstrap(context, dry_run=False, yes=True) == EXIT_OK
    finally:
        stack.layout.stack_file.write_text(text)
    assert signs_in(stack, "zeus@acme.example", "first-password-1")
    before = stack.layout.env_file.read_text()
    assert rotate(stack, "LANGFUSE_INIT_USER_PASSWORD", user="zeus@acme.example") == EXIT_OK
    printed = stack.screen.out.getvalue().split("Password")[-1].split()[0]
    assert signs_in(stack, "zeus@acme.example", printed)
    assert not signs_in(stack, "zeus@acme.example", "first-password-1")
    assert stack.layout.env_file.read_text() == before


def test_salt_and_encryption_key_are_refused(stack: Stack) -> None:
    before = stack.layout.env_file.read_text()
    for name in ("SALT", "ENCRYPTION_KEY"):
        with pytest.raises(UsageError, match=f"{name} cannot be rotated"):
            rotate(stack, name)
    assert stack.layout.env_file.read_text() == before


def test_without_a_yes_and_in_a_dry_run_nothing_changes(stack: Stack) -> None:
    before = stack.layout.env_file.read_text()
    assert command.rotate(stack.context, secret="ADMIN_API_KEY", dry_run=True) == EXIT_OK
    shown = stack.screen.out.getvalue()
    assert "The former key dies at once" in shown
    assert "Step 1      write it to .env" in shown
    with pytest.raises(UsageError, match="not confirmed"):
        command.rotate(stack.context, secret="ADMIN_API_KEY")
    assert stack.layout.env_file.read_text() == before
    assert journal_of(stack.layout).read() is None


def test_the_list_names_every_secret_and_its_effect(stack: Stack) -> None:
    assert rotate(stack) == EXIT_OK
    shown = stack.screen.out.getvalue()
    assert "S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY  Links to media" in shown
    assert "ENCRYPTION_KEY  cannot be rotated" in shown


@pytest.mark.parametrize("step", [Step.ENV, Step.START, Step.VERIFY])
def test_a_rotation_that_was_killed_goes_on_with_the_same_value(
    stack: Stack, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = secret_of(stack, "ADMIN_API_KEY")
    do = RealHands.do

    def killed(hands: RealHands, now: Step, plan: Plan) -> None:
        do(hands, now, plan)
        if now is step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RealHands, "do", killed)
        with pytest.raises(KeyboardInterrupt):
            rotate(stack, "ADMIN_API_KEY")
    with pytest.raises(UsageError, match="The rotation of ADMIN_API_KEY was interrupted"):
        rotate(stack, "LANGFUSE_INIT_USER_PASSWORD")
    entry = journal_of(stack.layout).read()
    assert entry
    assert rotate(stack, "ADMIN_API_KEY") == EXIT_OK
    assert secret_of(stack, "ADMIN_API_KEY") == entry.changes[0].new
    assert (queues(stack, entry.changes[0].new), queues(stack, old)) == (200, 401)
    assert rotate(stack, undo=True) == EXIT_OK


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed")
def test_a_new_password_opens_old_backups_and_the_former_does_not(tmp_path: Path) -> None:
    stack = stack_in(tmp_path / "saved")
    stack.up()
    try:
        stack.back_up()
        old = secret_of(stack, "BACKUP_PASSWORD")
        assert rotate(stack, "BACKUP_PASSWORD") == EXIT_OK
        assert secret_of(stack, "BACKUP_PASSWORD") != old
        assert len(stack.repository().snapshots()) == 1
        with pytest.raises(StackError, match="does not open with this BACKUP_PASSWORD"):
            replace(stack.repository(), password=old).open(create=False)
        assert rotate(stack, undo=True) == EXIT_OK
        assert len(stack.repository().snapshots()) == 1
    finally:
        stack.stop()
