"""Repositories that are not folders: in S3 and on an SFTP server, each with the real program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from scripts.core.runner import SubprocessRunner
from scripts.data.backup.errors import NoRepository, RepositoryError
from scripts.settings.envfile import read_env

from .backup_servers import Server, program, s3_server, sftp_server
from .backups import Stack, everything, fill, stack_in
from .harness import REPOSITORY

pytestmark = pytest.mark.slow

KINDS: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {"s3": s3_server, "sftp": sftp_server}


@pytest.fixture(params=sorted(KINDS))
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server for the repository."""
    program("restic", "rehearsal/install_tools.sh")
    directory = tmp_path / "server"
    directory.mkdir()
    with KINDS[request.param](directory) as running:
        yield running


@pytest.fixture
def stack(server: Server, tmp_path: Path) -> Iterator[Stack]:
    """A running stack with data, whose backups go there."""
    made = stack_in(tmp_path / "stack", SubprocessRunner(REPOSITORY)).with_environment(
        BACKUP_REPOSITORY=server.location, **server.environment
    )
    made.up()
    with made.client() as client:
        fill(client, traces=5)
    yield made
    made.stop()


def test_a_lost_host_comes_back_from_there_and_strangers_are_refused(stack: Stack, server: Server) -> None:
    with stack.client() as client:
        before = everything(client)
    with pytest.raises(NoRepository, match=server.location):
        stack.repository()
    stack.back_up()
    with pytest.raises(RepositoryError):
        stack.with_environment(**server.refused).repository()

    password = read_env(stack.layout.env_file).values()["BACKUP_PASSWORD"]
    stack.lose_everything()
    assert stack.with_environment(BACKUP_PASSWORD=password).restore() == 0
    with stack.client() as client:
        assert everything(client) == before
