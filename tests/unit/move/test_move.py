"""What is in the way of a move, what it leaves behind, and what of the shell is not for the other stack."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from scripts.core.console import Console
from scripts.core.errors import UsageError
from scripts.data.backup import restore
from scripts.data.backup.drivers import objects
from scripts.data.backup.errors import Refused
from scripts.data.backup.manifest import Contents, Manifest, list_files
from scripts.data.move.arriving import Arrived, arrival, arrived_file, missing_secrets
from scripts.data.move.asking import is_of_this_move, name_of, other_context, other_environment
from scripts.data.move.command import Options, move_back, move_from, move_into
from scripts.data.move.plan import Facts, refusals, rows
from scripts.data.move.sets import MoveSet
from scripts.docker.moved import Phase, begin_move, end_move, note_phase, read_moved
from scripts.engines.base import moved_away
from scripts.engines.context import Context
from scripts.stores.queues import other_depths
from scripts.stores.s3 import Bucket, Location
from tests.unit.scripts.fakes import FakeRunner, Screen, layout_in

FIT = Facts(size=1000, free=5000, version="4.59.0", new_version="4.59.0", new_places=("S3 http://new",))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"compose": False}, "compose engine"),
        ({"obstacles": ["langfuse-web is exited"]}, "langfuse-web is exited"),
        ({"two_users": True}, "name two users"),
        ({"same_stack": True}, "are one"),
        ({"places": ["S3 http://new"]}, "Both stacks use S3 http://new"),
        ({"new_version": "4.58.0"}, "Langfuse 4.58.0, this one 4.59.0"),
        ({"same_key": False}, "ENCRYPTION_KEY"),
        ({"has_data": True}, "has data already"),
        ({"free": 1199}, "The copy needs 1.2 KiB"),
    ],
)
def test_a_move_is_refused_with_a_fix(changes: dict[str, object], reason: str) -> None:
    assert list(refusals(FIT)) == []
    (refusal,) = refusals(replace(FIT, **changes))  # type: ignore[arg-type]
    assert reason in refusal.reason
    assert refusal.fix


def test_what_an_earlier_pass_has_copied_needs_no_space() -> None:
    assert list(refusals(replace(FIT, free=200, copied=1000))) == []
    assert replace(FIT, copied=9000).needed == 0


def test_the_plan_names_both_sides_and_external_stores() -> None:
    shown = dict(rows(FIT, "acme", "acme-cluster in /srv/cluster"))
    assert shown["From"] == "acme: Langfuse 4.59.0, 1000 B"
    assert shown["External"] == "S3 http://new"


def test_the_mark_keeps_its_moment_and_keeps_the_stack_from_starting(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    assert read_moved(layout) is None
    assert moved_away(layout) == []
    first = begin_move(layout, "/srv/new", "TO")
    layout.moved_file.write_text(
        layout.moved_file.read_text().replace(first.since, "2026-01-02T03:04:05+00:00")
    )
    again = begin_move(layout, "/srv/new", "TO")
    assert again.since == "2026-01-02T03:04:05+00:00"
    assert again.text().startswith("paused since 2026-01-02T03:04:05+00:00 for a move to /srv/new")
    note_phase(layout, again, Phase.TAKEN)
    (obstacle,) = moved_away(layout)
    assert "moved to /srv/new" in obstacle.reason
    assert obstacle.fix == "make move TO=/srv/new UNDO=1, which gives this stack its place back"
    note_phase(layout, again, Phase.FINISHED)
    assert moved_away(layout)[0].reason == "This stack is moved to /srv/new, and was stopped."
    end_move(layout)
    assert read_moved(layout) is None


def test_a_restore_does_not_start_a_stack_that_has_moved(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    context = Context(layout, {}, Console(), FakeRunner())
    begin_move(layout, "/srv/new", "TO")
    with pytest.raises(Refused) as refused:
        restore.restore(context, backup="latest", dry_run=False, replace_data=True, with_smoke=False)
    assert refused.value.message.endswith("Nothing was changed.")
    assert refused.value.fix == "make move TO=/srv/new UNDO=1, which gives this stack its place back"


def test_a_mark_that_cannot_be_read_is_one(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    begin_move(layout, "/srv/new", "TO")
    layout.moved_file.write_text("{")
    assert moved_away(layout)[0].reason == (
        "This stack is paused since 1970-01-01T00:00:00+00:00 for a move to an unknown place: changes are"
        " refused, spans are kept."
    )


def test_what_was_taken_is_remembered(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    assert arrival(layout).read() is None
    arrival(layout).save(Arrived("acme", "2026-01-02"))
    assert arrival(layout).read() == Arrived("acme", "2026-01-02")
    begin_move(layout, "/srv/new", "TO")
    assert layout.move_files == (arrived_file(layout), layout.moved_file), "what make destroy removes"
    (layout.stack_dir / "move-in.json").write_text("[]")
    with pytest.raises(UsageError, match=r"move-in\.json cannot be read"):
        arrival(layout).read()


def test_secrets_of_the_data_come_along_and_none_is_overwritten() -> None:
    old = {"SALT": "a", "ENCRYPTION_KEY": "b", "NEXTAUTH_SECRET": "c", "REDIS_AUTH": "d"}
    assert missing_secrets({"SALT": "own", "ENCRYPTION_KEY": ""}, old) == {
        "ENCRYPTION_KEY": "b",
        "NEXTAUTH_SECRET": "c",
    }


def test_settings_of_the_shell_are_not_for_the_other_stack() -> None:
    shell = {
        "PATH": "/bin",
        "LANGFUSE_PORT": "3000",
        "COMPOSE_FILE": "a",
        "STACK_DIR": "b",
        "DOCKER_HOST": "c",
    }
    assert other_environment(shell) == {"PATH": "/bin", "DOCKER_HOST": "c"}


def test_a_set_is_checked_file_by_file(tmp_path: Path) -> None:
    move_set = MoveSet(tmp_path / "set")
    move_set.make()
    assert move_set.manifest() is None
    assert move_set.dumped == ""
    (move_set.last / "stores").mkdir(parents=True)
    dump = move_set.last / "stores" / "postgres.dump"
    dump.write_text("rows")
    manifest = Manifest(
        "compose",
        "acme",
        {},
        {},
        "2026-01-02",
        "2026-01-03",
        "",
        Contents({}, {}, ()),
        list_files(move_set.last),
    )
    (move_set.last / "manifest.json").write_text(manifest.text())
    assert move_set.manifest() == manifest
    assert move_set.dumped == "2026-01-02"
    dump.write_text("other rows")
    with pytest.raises(UsageError, match="not what the old stack wrote"):
        move_set.manifest()
    move_set.forget_databases()
    assert move_set.manifest() is None


def test_a_directory_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="not the directory of a move"):
        MoveSet(tmp_path).make()
    (tmp_path / "env").write_text("")
    MoveSet(tmp_path).make()


class Store:
    """A bucket in memory that notes what is asked for."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = dict(objects)
        self.read: list[str] = []

    def open(self) -> Bucket:
        """Return a client."""
        location = Location("http://127.0.0.1:9090", "us-east-1", "media", "key-of-test", "secret-of-test")
        return Bucket(location, httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        key = request.url.path.removeprefix("/media/")
        if key:
            self.read.append(key)
            body = self.objects.get(key)
            return httpx.Response(404) if body is None else httpx.Response(200, stream=httpx.ByteStream(body))
        time = "<LastModified>2026-01-02T03:04:05.000Z</LastModified>"
        found = (
            f"<Contents><Key>{one}</Key><Size>{len(body)}</Size>{time}</Contents>"
            for one, body in sorted(self.objects.items())
        )
        return httpx.Response(200, text=f"<R>{''.join(found)}</R>")


def update(store: Store, into: Path) -> list[str]:
    with store.open() as bucket:
        return [one.key for one in objects.update(bucket, bucket.objects(), into)]


def test_a_copy_takes_what_is_new_and_lets_go_of_what_is_gone(tmp_path: Path) -> None:
    store, into = Store(a=b"1", b=b"22"), tmp_path / "media"
    assert update(store, into) == ["a", "b"]
    del store.objects["a"]
    store.objects |= {"b": b"three", "c": b"4"}
    store.read.clear()
    assert update(store, into) == ["b", "c"]
    assert sorted(store.read) == ["b", "c"], "by threads, in any order"
    assert {one.key: (into / one.file).read_bytes() for one in objects.read_index(into)} == store.objects
    assert len([path for path in into.rglob("*") if path.is_file()]) == 3, "two objects and their index"
    assert update(store, into) == []


def test_a_copy_that_was_killed_while_it_wrote_goes_on(tmp_path: Path) -> None:
    store, into = Store(a=b"1", b=b"22"), tmp_path / "media"
    update(store, into)
    index = into / "index.jsonl"
    index.write_text(index.read_text()[:-5])
    assert [one.key for one in objects.read_index(into)] == ["a"]
    assert update(store, into) == ["b"]


def test_an_object_that_is_deleted_meanwhile_is_left_out(tmp_path: Path) -> None:
    store = Store(a=b"1", b=b"22")
    with store.open() as bucket:
        listed = list(bucket.objects())
        del store.objects["a"]
        assert [one.key for one in objects.update(bucket, listed, tmp_path / "media")] == ["b"]


def test_other_queues_are_counted_without_what_waits_for_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [
        {"queueName": "otel-ingestion-queue", "jobCount": {"waiting": 5}},
        {"queueName": "trace-delete", "jobCount": {"waiting": 1, "active": 1, "delayed": 7, "failed": 9}},
        {"queueName": "data-retention-queue", "jobCount": {"delayed": 1}},
    ]
    monkeypatch.setattr("scripts.api.client.Api.get", lambda *_, **__: answer)
    assert other_depths("http://127.0.0.1:1", "key-of-test") == {"trace-delete": 2}


def context_in(directory: Path, **environment: str) -> Context:
    """Return a context of a stack on the embedded engine, with Docker out of reach."""
    screen = Screen()
    given = {"LANGFUSE_INIT_USER_PASSWORD": "test-password", "ADMIN_API_KEY": "ad" * 16, "ENGINE": "embedded"}
    console = Console({}, screen.out, screen.err)
    return Context(layout_in(directory), {**given, **environment}, console, FakeRunner())


def test_the_embedded_engine_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    context = context_in(tmp_path)
    with pytest.raises(UsageError, match="cannot be moved") as caught:
        move_into(context, tmp_path / "set", Options(yes=True))
    assert "does not run on the compose engine" in caught.value.details[0]
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("options", [Options(finish=True), Options(undo=True)])
def test_what_was_not_moved_is_neither_finished_nor_undone(tmp_path: Path, options: Options) -> None:
    with pytest.raises(UsageError, match="was not moved"):
        move_into(context_in(tmp_path), tmp_path / "set", options)


def test_without_a_move_nothing_is_undone_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="was not moved"):
        move_back(context_in(tmp_path), Options(undo=True))


def test_what_a_move_has_begun_is_its_own_until_somebody_starts_that_stack(tmp_path: Path) -> None:
    layout, move_set = layout_in(tmp_path), MoveSet(tmp_path / "set")
    assert not is_of_this_move(layout, move_set)
    arrival(layout).save(Arrived("acme"))
    assert is_of_this_move(layout, move_set)
    layout.langfuse_version_file.write_text("4.59.0")
    later = arrived_file(layout).stat().st_mtime + 5
    os.utime(layout.langfuse_version_file, (later, later))
    assert not is_of_this_move(layout, move_set)
    layout.restore_dir.mkdir()
    layout.restore_journal.write_text("[]")
    assert is_of_this_move(layout, move_set), "that was a move which was killed"
    arrival(layout).save(Arrived("acme", "2026-01-02"))
    assert not is_of_this_move(layout, move_set)


def test_a_move_goes_on_to_where_it_was_begun(tmp_path: Path) -> None:
    context = context_in(tmp_path)
    begin_move(context.layout, "/srv/new", "TO")
    with pytest.raises(UsageError, match="move to /srv/new") as caught:
        move_into(context, tmp_path / "set", Options(undo=True))
    assert caught.value.fix == "make move TO=/srv/new UNDO=1 first."


def test_a_directory_without_a_move_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not the directory of a move"):
        move_from(context_in(tmp_path), tmp_path, Options())


def test_the_other_stack_is_a_checkout_with_an_env(tmp_path: Path) -> None:
    context = context_in(tmp_path / "here")
    with pytest.raises(UsageError, match="is not a checkout"):
        other_context(context, tmp_path)
    (tmp_path / "compose.yaml").write_text("")
    with pytest.raises(UsageError, match="needs a name and ports"):
        other_context(context, tmp_path)
    (tmp_path / ".env").write_text("COMPOSE_PROJECT_NAME=acme-new\n")
    other = other_context(context, tmp_path)
    assert name_of(other) == "acme-new"
    assert other.layout.stack_dir == tmp_path / ".stack"
