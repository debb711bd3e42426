"""Backups of the embedded engine: taken under load, restored on an empty host, refused where they must be.

Tests of what the repository itself does use restic; the others use plain folders in its place.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.core import host
from scripts.core.errors import EngineError, StackError, UsageError
from scripts.core.heartbeats import heartbeats_dir, last_successes
from scripts.core.layout import only_one_command
from scripts.core.runner import Completed, Runner, SubprocessRunner
from scripts.data.backup import listing, saving, verify
from scripts.data.backup.errors import BackupError, NoRepository, Refused, RepositoryError, WrongPassword
from scripts.data.backup.manifest import NAME, parse_manifest
from scripts.engines.base import EngineName
from scripts.engines.data_secrets import fingerprints
from scripts.engines.embedded import EmbeddedEngine
from scripts.settings.envfile import read_env
from tests.killing import BACK_UP, RESTORE, run_killed

from .backups import QUICK, Stack, everything, fill, span_of, stack_in
from .harness import REPOSITORY
from .spans import read, send, trace_id

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stopped stack with data. Copy it before changing anything."""
    source = stack_in(tmp_path_factory.mktemp("filled") / "stack", QUICK)
    source.up()
    with source.client() as client:
        fill(client, traces=20)
    source.stop()
    yield source
    source.stop()


@pytest.fixture(scope="module")
def saved(filled: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The same with a backup by restic."""
    if not shutil.which("restic"):
        pytest.skip("restic is not installed (rehearsal/install_tools.sh)")
    copy = copied(filled, tmp_path_factory.mktemp("saved") / "stack", SubprocessRunner(REPOSITORY))
    copy.back_up()
    return copy


@pytest.fixture(scope="module")
def saved_in_folders(filled: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The same with a backup without restic."""
    copy = copied(filled, tmp_path_factory.mktemp("folders") / "stack", QUICK)
    copy.back_up()
    return copy


def copied(stack: Stack, root: Path, runner: Runner) -> Stack:
    """Return a copy of a stopped stack."""
    copy = stack_in(root, runner)
    shutil.copytree(stack.layout.root, root, dirs_exist_ok=True)
    return copy


@pytest.fixture
def encrypted(saved: Stack, tmp_path: Path) -> Iterator[Stack]:
    """A stack with data and a backup by restic, not running."""
    copy = copied(saved, tmp_path / "stack", SubprocessRunner(REPOSITORY))
    yield copy
    copy.stop()


@pytest.fixture
def stack(saved_in_folders: Stack, tmp_path: Path) -> Iterator[Stack]:
    """A stack with data and a backup without restic, not running."""
    copy = copied(saved_in_folders, tmp_path / "stack", QUICK)
    yield copy
    copy.stop()


@pytest.fixture
def empty(encrypted: Stack) -> Stack:
    """The same after the host was lost: backups and the repository are all that is left."""
    password = read_env(encrypted.layout.env_file).values()["BACKUP_PASSWORD"]
    encrypted.lose_everything()
    return encrypted.with_environment(BACKUP_PASSWORD=password)


def files_of(stack: Stack) -> dict[str, bytes]:
    """Return data, credentials and settings of a stopped stack."""
    paths = [stack.layout.env_file, *stack.layout.stack_dir.rglob("*")]
    skipped = {"cache", "lock", "heartbeats", "logs"}
    return {
        str(path): path.read_bytes()
        for path in paths
        if path.is_file()
        and path.suffix not in {".db-shm", ".db-wal"}  # SQLite's, empty while nobody writes
        and not skipped.intersection(path.relative_to(stack.layout.root).parts)
    }


def packs(stack: Stack) -> list[Path]:
    """Return the files with data in a repository, the largest last."""
    files = (path for path in (stack.repository_dir / "data").rglob("*") if path.is_file())
    return sorted(files, key=lambda path: path.stat().st_size)


class Interrupted(Runner):
    """Runs programs, but lets one that is named fail after its work is half done."""

    def __init__(self, inner: Runner, word: str, spoil: Callable[[Sequence[str]], None]) -> None:
        self.inner, self.word, self.spoil = inner, word, spoil

    def run(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout_s: float = 60,
    ) -> Completed:
        done = self.inner.run(argv, env=env, stdin=stdin, timeout_s=timeout_s)
        if self.word not in argv:
            return done
        self.spoil(argv)
        return Completed(1, "", "write: no space left on device")

    def stream(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> int:
        return self.inner.stream(argv, env=env)


def test_a_lost_host_comes_back_as_it_was_at_the_backup(tmp_path: Path) -> None:
    stack = stack_in(tmp_path / "stack")
    stack.up()
    with stack.client() as client, stack.client("zeus") as other:
        fill(client, traces=40)
        fill(other, traces=2)
        before, before_other = everything(client), everything(other)
        stack.back_up()
        later = trace_id()
        send(client, span_of(later, 0))
    password = read_env(stack.layout.env_file).values()["BACKUP_PASSWORD"]
    stack.lose_everything()
    try:
        assert stack.with_environment(BACKUP_PASSWORD=password).restore() == 0
        with stack.client() as client, stack.client("zeus") as other:
            assert everything(client) == before
            assert everything(other) == before_other
            assert read(client, traceId=later) == []
            send(client, span_of(later, 0))
            assert len(read(client, traceId=later)) == 1
        assert read_env(stack.layout.env_file).values()["BACKUP_PASSWORD"] == password
        assert stack.layout.env_file.stat().st_mode & 0o777 == 0o600
        stack.up()
    finally:
        stack.stop()


def test_a_backup_under_load_holds_what_was_acknowledged_before_it_began(stack: Stack) -> None:
    stack.up()
    acknowledged: list[str] = []
    stop = threading.Event()

    def load() -> None:
        with stack.client() as client:
            while not stop.is_set():
                name = trace_id()
                send(client, *(span_of(name, step) for step in range(20)))
                acknowledged.append(name)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        while len(acknowledged) < 5:
            assert thread.is_alive()
        before = list(acknowledged)
        snapshot = stack.back_up()
    finally:
        stop.set()
        thread.join()
    assert len(acknowledged) > len(before), "nothing was written while the backup ran"
    stack.stop()
    assert stack.restore(snapshot.id, replace_data=True) == 0
    with stack.client() as client:
        for name in before:
            assert len(read(client, traceId=name)) == 20
        whole = {name: len(read(client, traceId=name)) for name in acknowledged}
        assert set(whole.values()) <= {0, 20}, "a batch was cut in two"


def test_a_second_backup_stores_little_more(encrypted: Stack) -> None:
    size = sum(path.stat().st_size for path in encrypted.repository_dir.rglob("*") if path.is_file())
    encrypted.back_up()
    grown = sum(path.stat().st_size for path in encrypted.repository_dir.rglob("*") if path.is_file()) - size
    assert grown < size / 2
    assert len(encrypted.repository().snapshots()) == 2


def test_the_manifest_says_what_the_set_consists_of(saved: Stack) -> None:
    repository = saved.repository()
    manifest = parse_manifest(repository.read(repository.snapshots()[-1], NAME))
    assert manifest.engine == "embedded"
    assert manifest.contents.counts["observations"] == {"kosmos": 100}
    assert manifest.contents.counts["prompts"] == {"kosmos": 1}
    assert manifest.contents.counts["projects"] == {"": 2}
    assert manifest.contents.schema.keys() == {"events.db", "state.db"}
    kinds = {sample.kind for sample in manifest.contents.samples}
    assert kinds == {"trace", "score", "prompt", "dataset_item", "media", "llm_connection"}
    paths = {file.path for file in manifest.files}
    assert {"env", "config/stack.yaml", "credentials/kosmos.env", "stores/events.db"} <= paths
    assert manifest.fingerprints == fingerprints(saved.context.settings())
    values = read_env(saved.layout.env_file).values()
    assert all(values[name] not in manifest.text() for name in ("SALT", "ENCRYPTION_KEY"))
    assert manifest.started <= manifest.ended


def test_nothing_in_the_repository_is_readable_without_the_password(saved: Stack) -> None:
    salt = read_env(saved.layout.env_file).values()["SALT"].encode()
    for path in saved.repository_dir.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert salt not in content
            assert b"SQLite format 3" not in content


def test_backups_are_listed_newest_first_with_what_they_hold(stack: Stack) -> None:
    newest = stack.back_up()
    assert listing.backups(stack.context, as_json=True) == 0
    text = stack.screen.out.getvalue()
    rows = json.loads(text[text.index("[\n") :])
    assert [row["observations"] for row in rows] == ["100", "100"]
    assert rows[-1]["id"] == newest.id
    lines = listing.lines(stack.repository().snapshots())
    assert lines[0][0] == newest.short_id
    assert "100 observations" in lines[0][1]


def test_verification_reads_everything_back_and_leaves_nothing(encrypted: Stack) -> None:
    before = files_of(encrypted)
    assert verify.backup_verify(encrypted.context, backup="latest", read_all=True) == 0
    assert "8 samples through the API" in encrypted.screen.out.getvalue()
    assert "backup-verify" in last_successes(heartbeats_dir(encrypted.layout))
    assert files_of(encrypted) == before


def test_verification_fails_when_the_engine_gives_something_else_back(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A manifest that knows more than the data has: the comparison must notice, not only run.
    original = saving.capture

    def boasting(*arguments: object) -> object:
        manifest = original(*arguments)  # type: ignore[arg-type]
        sample = replace(manifest.contents.samples[0], facts={"observations": 6, "sha256": "0" * 64})
        contents = replace(manifest.contents, samples=(sample,))
        changed = replace(manifest, contents=contents)
        (stack.layout.stack_dir / "backup" / NAME).write_text(changed.text())
        return changed

    monkeypatch.setattr("scripts.data.backup.backup.capture", boasting)
    stack.back_up()
    with pytest.raises(BackupError, match="does not give back") as caught:
        verify.backup_verify(stack.context, backup="latest", read_all=False)
    assert any("observations is 5, 6 in the backup" in line for line in caught.value.details)
    assert "backup-verify" not in last_successes(heartbeats_dir(stack.layout))


def test_the_old_state_comes_back_when_the_new_one_fails(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.up()
    with stack.client() as client:
        fill(client, traces=1)
        before = everything(client)

    monkeypatch.setattr("scripts.data.backup.restoring.prove", differs)
    with pytest.raises(BackupError, match="not the same"):
        stack.restore(replace_data=True)
    with stack.client() as client:
        assert everything(client) == before


def test_an_old_state_that_does_not_start_does_not_hide_why_the_restore_failed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.up()
    start, starts = EmbeddedEngine.start, []

    def only_once(self: EmbeddedEngine, init: Mapping[str, str]) -> bool:
        starts.append(init)
        if len(starts) > 1:
            raise EngineError("it does not like this version")
        return start(self, init)

    monkeypatch.setattr(EmbeddedEngine, "start", only_once)
    monkeypatch.setattr("scripts.data.backup.restoring.prove", differs)
    with pytest.raises(BackupError, match="not the same"):
        stack.restore(replace_data=True)
    assert "does not start: it does not like this version" in stack.screen.err.getvalue()


def differs(*_: object, **__: object) -> int:
    """Prove the contrary."""
    raise BackupError("it is not the same")


def test_data_is_replaced_only_when_told_to(stack: Stack) -> None:
    before = files_of(stack)
    with pytest.raises(Refused, match="has data") as caught:
        stack.restore()
    assert caught.value.exit_code == 2
    assert "REPLACE=1" in caught.value.fix
    assert files_of(stack) == before


def test_a_running_stack_is_refused_and_runs_on(stack: Stack) -> None:
    stack.up()
    with pytest.raises(Refused, match="has data"):
        stack.restore()
    assert stack.running()


def test_a_dry_run_changes_nothing(stack: Stack) -> None:
    before = files_of(stack)
    assert stack.restore(replace_data=True, dry_run=True) == 0
    assert files_of(stack) == before


def test_a_dry_run_only_looks_and_says_what_would_be_refused(stack: Stack) -> None:
    before = files_of(stack)
    assert stack.restore(dry_run=True) == 0
    said = stack.screen.err.getvalue()
    assert "A restore would be refused: This stack has data in .stack" in said
    assert "Nothing was changed." in said
    assert files_of(stack) == before


def with_other(stack: Stack, name: str) -> None:
    text = stack.layout.env_file.read_text()
    value = read_env(stack.layout.env_file).values()[name]
    stack.layout.env_file.write_text(text.replace(value, "5a" * 32))


def test_another_encryption_key_is_refused(stack: Stack) -> None:
    with_other(stack, "ENCRYPTION_KEY")
    before = files_of(stack)
    with pytest.raises(Refused, match=r"ENCRYPTION_KEY in \.env differs"):
        stack.restore(replace_data=True)
    assert files_of(stack) == before


def test_another_salt_only_makes_the_first_call_slower(stack: Stack) -> None:
    with_other(stack, "SALT")
    assert stack.restore(replace_data=True) == 0
    said = " ".join((stack.screen.out.getvalue() + stack.screen.err.getvalue()).split())
    assert "SALT in .env differs from that of the backup" in said


def test_a_wrong_password_is_named_as_such(encrypted: Stack) -> None:
    before = files_of(encrypted)
    with pytest.raises(WrongPassword, match="does not open"):
        encrypted.with_environment(BACKUP_PASSWORD="0" * 64).restore(replace_data=True)
    assert files_of(encrypted) == before


def test_a_repository_that_is_not_there_is_not_made_by_a_restore(stack: Stack) -> None:
    elsewhere = stack.with_environment(BACKUP_REPOSITORY="elsewhere")
    with pytest.raises(NoRepository, match="no backup repository"):
        elsewhere.restore(replace_data=True)
    assert not (stack.layout.root / "elsewhere").exists()


def test_data_of_a_newer_version_is_refused(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files_of(stack)
    older = {"events.db": 1, "state.db": 8}
    monkeypatch.setattr("scripts.data.backup.drivers.embedded.EmbeddedDriver.known_schema", lambda _: older)
    with pytest.raises(Refused, match="newer version") as caught:
        stack.restore(replace_data=True)
    assert caught.value.details[0].startswith("events.db has schema ")
    assert files_of(stack) == before


def test_a_flipped_byte_is_found(empty: Stack) -> None:
    pack = packs(empty)[-1]
    content = bytearray(pack.read_bytes())
    content[len(content) // 3] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(bytes(content))
    with pytest.raises(RepositoryError):
        empty.restore()
    assert not empty.layout.embedded_dir.exists()
    assert not empty.layout.env_file.exists()


def test_a_missing_pack_is_found(empty: Stack) -> None:
    packs(empty)[-1].unlink()
    with pytest.raises(RepositoryError):
        empty.restore()
    assert not empty.layout.embedded_dir.exists()


def test_a_file_that_changed_on_the_way_is_found(stack: Stack) -> None:
    def spoil(argv: Sequence[str]) -> None:
        path = next((stack.layout.stack_dir / "restore").rglob("events.db"))
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(bytes(content))

    class Spoiled(Interrupted):
        def run(self, argv: Sequence[str], **options: object) -> Completed:  # type: ignore[override]
            done = self.inner.run(argv, **options)  # type: ignore[arg-type]
            if self.word in argv:
                self.spoil(argv)
            return done

    before = files_of(stack)
    spoiled = Stack(
        replace(stack.context, runner=Spoiled(stack.context.runner, "restore", spoil)), stack.screen
    )
    with pytest.raises(BackupError, match="damaged") as caught:
        spoiled.restore(replace_data=True)
    assert caught.value.details == ("stores/events.db has other content than when it was saved",)
    assert files_of(stack) == before


def test_too_little_space_is_seen_before_anything_starts(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_of(stack)
    monkeypatch.setattr(host, "free_bytes", lambda _: 1000)
    with pytest.raises(BackupError, match="are needed"):
        stack.restore(replace_data=True)
    with pytest.raises(BackupError, match="are needed"):
        stack.back_up()
    assert files_of(stack) == before


def test_a_disk_that_fills_up_while_stores_are_copied_leaves_no_backup(stack: Stack) -> None:
    before = files_of(stack)
    limited = Stack(replace(stack.context, runner=Limited(QUICK, 100 * 1024)), stack.screen)
    with pytest.raises(BackupError, match="could not snapshot"):
        limited.back_up()
    assert len(stack.repository().snapshots()) == 1
    assert files_of(stack) == before
    stack.back_up()
    assert len(stack.repository().snapshots()) == 2


def test_a_disk_that_fills_up_while_a_backup_is_stored_leaves_no_backup(encrypted: Stack) -> None:
    before = files_of(encrypted)
    fresh = encrypted.with_environment(BACKUP_REPOSITORY="fresh")
    limited = Limited(fresh.context.runner, 8 * 1024, "backup")
    with pytest.raises(BackupError):
        Stack(replace(fresh.context, runner=limited), fresh.screen).back_up()
    assert fresh.repository().snapshots() == []
    assert files_of(encrypted) == before
    fresh.back_up()
    assert len(fresh.repository().snapshots()) == 1


def test_a_disk_that_fills_up_during_a_restore_changes_nothing(stack: Stack) -> None:
    before = files_of(stack)

    def halve(argv: Sequence[str]) -> None:
        next((stack.layout.stack_dir / "restore").rglob("events.db")).unlink()

    full = Stack(
        replace(stack.context, runner=Interrupted(stack.context.runner, "restore", halve)), stack.screen
    )
    with pytest.raises(RepositoryError, match="disk is full"):
        full.restore(replace_data=True)
    assert files_of(stack) == before


class Limited(Interrupted):
    """Lets a program write files up to a size only, as a full disk does."""

    def __init__(self, inner: Runner, size: int, word: str = "snapshot") -> None:
        super().__init__(inner, word, lambda _: None)
        self.size = size

    def run(self, argv: Sequence[str], **options: object) -> Completed:  # type: ignore[override]
        limit = ["prlimit", f"--fsize={self.size}"] if self.word in argv else []
        return self.inner.run([*limit, *argv], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "place",
    [
        "scripts.data.backup.saving:list_files",
        "scripts.data.backup.repository:Repository.save",
        "scripts.data.backup.repository:Repository.apply",
    ],
)
def test_a_backup_killed_in_any_phase_is_made_by_the_next_run(stack: Stack, place: str) -> None:
    run_killed(BACK_UP, place, stack.context)
    assert stack.back_up().facts["observations"] == "100"
    assert not (stack.layout.stack_dir / "backup").exists()


@pytest.mark.parametrize(
    "place",
    [
        "scripts.data.backup.restore:fetch",
        "scripts.data.backup.replacement:Path.rename",
        "scripts.data.backup.restoring:prove",
        "scripts.data.backup.replacement:_remove",
    ],
)
def test_a_restore_killed_in_any_phase_is_done_by_the_next_run(stack: Stack, place: str) -> None:
    newer = stack.layout.embedded_dir / "written-after-the-backup"
    newer.touch()
    run_killed(RESTORE, place, stack.context)
    assert stack.restore(replace_data=True) == 0
    assert not newer.exists()
    with stack.client() as client:
        assert len(read(client)) == 100
    assert list(stack.layout.restore_dir.glob("*")) == []


def test_what_was_there_comes_back_after_a_restore_was_killed(stack: Stack) -> None:
    before = files_of(stack)
    run_killed(RESTORE, "scripts.data.backup.restoring:prove", stack.context)
    stack.stop()
    engine = stack.context.engine(EngineName.EMBEDDED, stack.context.settings())
    assert "A restore was interrupted" in engine.obstacles()[0].reason
    with pytest.raises(Refused, match="has data"):
        stack.restore()
    assert files_of(stack) == before
    assert engine.obstacles() == []


def test_two_commands_do_not_run_at_once(stack: Stack) -> None:
    with only_one_command(stack.layout), pytest.raises(StackError, match="Another command"):
        stack.back_up()


def test_a_stack_without_data_has_nothing_to_save(tmp_path: Path) -> None:
    stack = stack_in(tmp_path / "stack").with_environment(BACKUP_PASSWORD="0" * 64)
    with pytest.raises(UsageError, match="nothing to save"):
        stack.back_up()
    assert not stack.repository_dir.exists()
