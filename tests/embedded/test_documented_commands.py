"""Every command block of the documentation is run as it stands, or says on its page why not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.test_documented_code import PAGES as PAGES_OF_APPLICATIONS

from .documented import Block, Checkout, blocks, embedded_environment, run_blocks
from .harness import REPOSITORY

PAGES = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]
DRILL = "docs/how-to/recover-from-disaster.md"
# Six pages run the smoke tests; `make test` runs all of them, with two SDKs.
SMOKE_WITHOUT_EXAMPLES = {"PYTEST_ADDOPTS": "-k 'not example'"}


@dataclass(frozen=True)
class Session:
    """How the commands of a page are run, besides what stands on it.

    Attributes:
        before: what was done before; a page begins on a stack that runs.
        answers: what the person types.
        shows: what is printed on the way, as a pattern.
    """

    before: str = "make up"
    answers: str = ""
    shows: str = "."


_WITHIN_REACH = (
    "make up && printf 'NEXTAUTH_URL=https://traces.acme.example\\n"
    "S3_PUBLIC_ENDPOINT=https://s3.acme.example\\n' >> .env"
)
# Two projects, of which pages name both.
_EXAMPLE = "make init FROM=examples/kosmos && make up"
SESSIONS = {
    "docs/how-to/add-capacity.md": Session(shows="healthy"),
    "docs/how-to/back-up-and-restore.md": Session(shows="prove|verified|restores"),
    "docs/how-to/corporate-proxy.md": Session(
        before="mkdir -p {etc} && touch {etc}/acme.crt", shows="Langfuse|running"
    ),
    "docs/how-to/decommission.md": Session(before="make up && make canary", shows="observations"),
    "docs/how-to/delete-data.md": Session(before="make up && make canary"),
    "docs/how-to/export-and-import.md": Session(before=f"{_EXAMPLE} && make canary"),
    "docs/how-to/install-on-a-host.md": Session(before="true", shows=" passed"),
    "docs/how-to/install-offline.md": Session(before="true", shows=r"Installed in .*(?s:.* passed)"),
    "docs/how-to/keep-your-configuration.md": Session(
        before="true", shows=r"config/local/stack.yaml is valid(?s:.*)default in organization Default"
    ),
    "docs/how-to/move-in.md": Session(
        before=f"{_EXAMPLE} && make canary && . .stack/credentials/kosmos.env && "
        "printf 'FROM_URL=%s\\nFROM_PUBLIC_KEY=%s\\nFROM_SECRET_KEY=%s\\n' "
        '"$LANGFUSE_BASE_URL" "$LANGFUSE_PUBLIC_KEY" "$LANGFUSE_SECRET_KEY" > from.env',
        shows=r"observations +[1-9]",
    ),
    "docs/how-to/move-host.md": Session(
        before="make up && make canary && cp -r . {new} && rm -rf {new}/.env {new}/.stack && "
        "sed -n 's/^BACKUP_PASSWORD=//p' .env > password",
        answers="password",
        shows="restored|Restored",
    ),
    "docs/how-to/provision.md": Session(),
    "docs/how-to/reconcile.md": Session(before="make up && make canary"),
    "docs/how-to/run-smoke-tests.md": Session(before="true", shows=" passed"),
    "docs/how-to/size-a-host.md": Session(shows="capacity"),
    "docs/how-to/sso.md": Session(),
    "docs/how-to/test-against-faults.md": Session(before="true"),
    "docs/how-to/scale-out.md": Session(before=_WITHIN_REACH, shows="helm upgrade"),
    "docs/reference/capacity.md": Session(shows="STACK_SIZE"),
    "docs/reference/commands.md": Session(shows="Nothing to change"),
    "docs/reference/doctor.md": Session(),
    "docs/tutorial.md": Session(before="true", shows=r"FIRING +kosmos +confidence_drop(?s:.*) passed"),
    "docs/reference/kubernetes.md": Session(before=_WITHIN_REACH, shows="helm upgrade"),
}


def of_page(page: str) -> list[Block]:
    """Return the blocks of commands of a page that a runner has to run."""
    found = [block for block in blocks(REPOSITORY / page) if block.language == "sh"]
    return [block for block in found if not block.reason and not block.run_by]


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    """A checkout with a stack of its own, stopped at the end."""
    media, new = tmp_path / "media", tmp_path / "new"
    media.mkdir()
    replaced = {
        "/mnt/media": str(media),
        "/mnt/backups": str(tmp_path / "checkout" / ".backups"),
        "/srv/langfuse-stack": str(tmp_path / "installed"),
        "/srv/new-host/langfuse-stack": str(new),
        "/usr/local/share/ca-certificates": str(media),
        "~/bundle-key": str(media / "bundle-key"),
        "https://langfuse.acme.example": "$LANGFUSE_BASE_URL",
    }
    environment = {**embedded_environment(), **SMOKE_WITHOUT_EXAMPLES}
    made = Checkout(tmp_path / "checkout", environment, replaced).make()
    yield made
    for root in (made.root, tmp_path / "installed", new):
        if (root / ".stack").is_dir():
            made.run(f"cd {root} && make down")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_stand_in_blocks_of_shell_and_each_is_run_somewhere(path: Path) -> None:
    page = path.relative_to(REPOSITORY).as_posix()
    runs = page in SESSIONS or page == DRILL or path.name in PAGES_OF_APPLICATIONS
    for block in blocks(path):
        assert block.language == "sh" or not block.looks_like_commands, f"{block.place}: fence it as sh"
        if block.language != "sh":
            continue
        assert runs or block.reason or block.run_by, (
            f"{block.place}: no test runs it, and it does not say why"
        )
        assert not block.run_by or (REPOSITORY / block.run_by).exists(), block.place


def test_every_session_has_a_page_with_commands() -> None:
    assert [page for page in SESSIONS if not of_page(page)] == []


def test_a_block_that_fails_fails_its_page_with_its_line(checkout: Checkout) -> None:
    block = Block("page.md", 7, "sh", "true\nfalse\ntrue\n", "", "")
    with pytest.raises(AssertionError, match=r"page\.md:7"):
        run_blocks(checkout, [block])


def test_a_failing_make_in_a_list_of_calls_fails_its_page(checkout: Checkout) -> None:
    block = Block("page.md", 7, "sh", "make no-such-target\nmake help\n", "", "")
    with pytest.raises(AssertionError, match=r"page\.md:7: `make no-such-target` ended with 2"):
        run_blocks(checkout, [block])


@pytest.mark.slow
@pytest.mark.parametrize("page", SESSIONS)
def test_the_commands_of_a_page_run(checkout: Checkout, page: str) -> None:
    session = SESSIONS[page]
    places = {
        "new": checkout.replaced["/srv/new-host/langfuse-stack"],
        "etc": checkout.replaced["/mnt/media"],
    }
    before = checkout.run("set -e\n" + session.before.format(**places))
    assert before.returncode == 0, before.stdout + before.stderr
    answers = session.answers
    if answers == "password":
        answers = (checkout.root / "password").read_text()
    said = run_blocks(checkout, of_page(page), answers)
    assert re.search(session.shows, said), said[-3000:]
