"""Bytes in and out of a service: as they come, and what happens when one side breaks off."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from scripts.core.errors import CommandFailed
from scripts.docker.compose import Compose
from scripts.stores.clickhouse import ClickHouse
from scripts.stores.errors import StoreError
from scripts.stores.postgres import Postgres
from tests.unit.scripts.fakes import FakeRunner, layout_in, settings_with


def services(directory: Path, script: str) -> Compose:
    """Return the services of a stack whose `docker` is a shell script, which finds the directory as $HERE."""
    docker = directory / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f"#!/bin/sh\n{script}\n")
    docker.chmod(0o700)
    environment = {"PATH": f"{docker.parent}:{os.environ['PATH']}", "HERE": str(directory)}
    return Compose(layout_in(directory), settings_with(), environment, FakeRunner())


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A backup as ClickHouse keeps it, and its archive."""
    source = tmp_path / "backup"
    (source / "data").mkdir(parents=True)
    (source / ".backup").write_text("<config/>")
    (source / "data" / "part").write_bytes(os.urandom(200_000))
    with tarfile.open(tmp_path / "archive.tar", "w") as file:
        file.add(source, arcname=".")
    return source


def test_a_backup_of_clickhouse_arrives_as_it_was(tmp_path: Path, archive: Path) -> None:
    ClickHouse(services(tmp_path, 'cat "$HERE/archive.tar"')).fetch("one", tmp_path / "into")
    assert (tmp_path / "into" / ".backup").read_text() == "<config/>"
    assert (tmp_path / "into" / "data" / "part").read_bytes() == (archive / "data" / "part").read_bytes()


def test_a_backup_that_breaks_off_is_a_failure(tmp_path: Path, archive: Path) -> None:
    clickhouse = ClickHouse(services(tmp_path, 'head -c 100000 "$HERE/archive.tar"'))
    with pytest.raises(StoreError, match="could not be copied to"):
        clickhouse.fetch("one", tmp_path / "into")
    assert archive.exists()


def test_what_the_program_says_counts_when_it_fails_at_the_end(tmp_path: Path, archive: Path) -> None:
    clickhouse = ClickHouse(services(tmp_path, 'cat "$HERE/archive.tar"; echo "file changed" >&2; exit 1'))
    with pytest.raises(CommandFailed, match="file changed"):
        clickhouse.fetch("one", tmp_path / "into")
    assert archive.exists()


def test_a_backup_goes_to_clickhouse_as_it_is_and_belongs_to_nobody_there(
    tmp_path: Path, archive: Path
) -> None:
    ClickHouse(services(tmp_path, 'cat > "$HERE/sent.tar"')).send(archive, "one")
    with tarfile.open(tmp_path / "sent.tar") as sent:
        members = {member.name: member for member in sent}
        part = sent.extractfile("./data/part")
        assert part is not None
        assert part.read() == (archive / "data" / "part").read_bytes()
    assert {(member.uid, member.uname) for member in members.values()} == {(0, "")}


def test_a_service_that_stops_listening_is_a_failure_with_its_words(tmp_path: Path, archive: Path) -> None:
    clickhouse = ClickHouse(services(tmp_path, 'head -c 10 >/dev/null; echo "no space left" >&2; exit 1'))
    with pytest.raises(CommandFailed, match="no space left"):
        clickhouse.send(archive, "one")


def test_a_dump_has_its_bytes_in_the_file_and_its_counts_beside_them(tmp_path: Path) -> None:
    script = """printf 'PGDMP\\000\\377'; echo '["prompts", "kosmos", 3]' >&2"""
    counts = Postgres(services(tmp_path, script)).dump(tmp_path / "dump")
    assert counts == {"prompts": {"kosmos": 3}}
    assert (tmp_path / "dump").read_bytes() == b"PGDMP\x00\xff"


def test_a_dump_onto_a_full_disk_is_a_failure(tmp_path: Path) -> None:
    postgres = Postgres(services(tmp_path, "head -c 100000 /dev/zero"))
    with pytest.raises(CommandFailed, match="No space left on device"):
        postgres.dump(Path("/dev/full"))
