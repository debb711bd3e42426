"""Drive a stack through random histories: mistakes, losses and interruptions, and what its messages advise.

A history is a list of steps, a step is a few mishaps and then `up`. Where it refuses, the driver does what
the message says, as a person would who has nothing else to go by; a message that it cannot follow is the
failure that the test looks for.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

from scripts.api.client import Api
from scripts.config import bootstrap
from scripts.core.errors import EngineDied, StackError
from scripts.engines.context import Context
from scripts.engines.embedded import EmbeddedEngine
from scripts.engines.execution import file_failure
from scripts.provision import starting
from scripts.provision.credentials import CredentialsStore
from scripts.run import destroy, down, up
from scripts.settings.envfile import with_values
from scripts.settings.render import env_example
from scripts.settings.table import GROUPS

ROUNDS = 6
"""How many pieces of advice in a row a person follows."""
OTHER = "5a" * 32
HALF_A_STORE = "CLICKHOUSE_URL=https://ch.acme.example:8443"
# Where Ctrl-C or a crash can end `up`, in the order of its steps.
INTERRUPTIONS: tuple[tuple[object, str], ...] = (
    (starting, "write_env"),
    (bootstrap.Bootstrap, "keep_new_keys"),
    (EmbeddedEngine, "start"),
    (starting, "write_private"),
    (bootstrap.Bootstrap, "plan"),
    (EmbeddedEngine, "provision"),
    (CredentialsStore, "keep_verified"),
    (starting.data_secrets, "note"),
)


class NoWayOut(AssertionError):
    """A message names nothing that leads out."""


class History:
    """One stack and the person before it.

    Attributes:
        log: what happened, for the message of a failure.
        has_copy: whether the person keeps a copy of `.env`, as README asks for.
    """

    def __init__(self, context: Context, *, has_copy: bool = True) -> None:
        self.context = context
        self.port = context.environment["LANGFUSE_PORT"]
        self.has_copy = has_copy
        self.log: list[str] = []
        self._copy = context.layout.root / "copy-of-env"
        self._ends = ExitStack()
        self._patches: list[Callable[[], object]] = []

    @property
    def env(self) -> Path:
        """The settings of the stack."""
        return self.context.layout.env_file

    def close(self) -> None:
        """Stop what runs."""
        self._ends.close()
        self.context.engine(starting.EngineName.EMBEDDED, self.context.lenient_settings()).stop()

    def step(self, *mishaps: str) -> None:
        """Let these happen, one after the other, then ask for a stack that works. Raises NoWayOut."""
        for mishap in mishaps:
            self.log.append(mishap)
            getattr(self, f"_{mishap.partition(':')[0]}")(*mishap.partition(":")[2:])
        self.up_or_out()
        self._ends.close()

    def up_or_out(self) -> None:
        """Start the stack; where that is refused, do what the message says, and start it again."""
        for _ in range(ROUNDS):
            problem = self._try_up()
            if problem is None:
                self._check()
                return
            said = str(problem)
            self.log.append(f"up: {said}")
            assert problem.fix or problem.details, f"no advice at all: {said}"
            self._follow(said)
        raise NoWayOut(f"still not up after {ROUNDS} pieces of advice:\n" + "\n".join(self.log))

    def _try_up(self) -> StackError | None:
        with ExitStack() as patches:
            for patch in self._patches:
                patches.enter_context(patch())  # type: ignore[arg-type]
            self._patches = []
            try:
                up.up(self.context)
                return None
            except KeyboardInterrupt:
                self.log.append("interrupted")
            except StackError as error:
                return error
            except OSError as error:
                failure = file_failure(error)
                if failure is None:
                    raise
                return failure
        return self._try_up()  # as the message of an interruption says: repeat the command

    def _check(self) -> None:
        """The stack works: every key that lies there is taken, and nothing is left to do."""
        layout = self.context.layout
        store = CredentialsStore(layout.credentials_dir)
        with Api(f"http://127.0.0.1:{self._port_now()}") as api:
            for project in ("kosmos", "zeus"):
                keys = store.kept(project, project)
                assert keys is not None, f"no key of {project}\n" + "\n".join(self.log)
                found = api.project_of((keys.public_key, keys.secret_key))
                assert found == project, f"the key of {project} is refused\n" + "\n".join(self.log)
        left = [path.name for path in layout.credentials_dir.rglob("*.pending")]
        assert left == [], "\n".join(self.log)
        assert self.env.stat().st_mode & 0o077 == 0
        shutil.copy(self.env, self._copy)

    def _port_now(self) -> int:
        return self.context.settings().integer("LANGFUSE_PORT")

    def _follow(self, said: str) -> None:
        """Do what a message says. Raises NoWayOut where nothing in it can be done."""
        copied = self._copy.exists() and self.has_copy
        if "run the command again" in said or "wait until it is done" in said:
            return
        if command := re.search(r"choose another port \((.+?)\) or stop that", said):
            self._shell(command[1])
        elif "stop it first: make down" in said:
            down.down(self.context)
        elif re.search(
            r"put the former values? back|bring .env back|put the SALT of the data back", said
        ) and (copied):
            shutil.copy(self._copy, self.env)
        elif "raise `rotation`" in said:
            self._rotate()
        elif "make destroy" in said:
            destroy.destroy(self.context, yes=True, dry_run=False)
        elif places := re.findall(r"\.env:(\d+)\)", said):
            self._remove_lines({int(number) for number in places})
        elif needed := re.search(r"is needed beside (\w+)", said):
            text = self.env.read_text()
            self.env.write_text("".join(line for line in text.splitlines(True) if needed[1] not in line))
        elif "cannot be read" in said and ".env" in said and "permission" in said.lower():
            self.env.chmod(0o600)
        else:
            raise NoWayOut(f"nothing to do in: {said}\n" + "\n".join(self.log))

    def _shell(self, command: str) -> None:
        self.log.append(f"$ {command}")
        subprocess.run(["sh", "-c", command], cwd=self.context.layout.root, check=True, capture_output=True)
        if command.startswith("unset LANGFUSE_PORT"):
            self._set_environment(LANGFUSE_PORT="")

    def _set_environment(self, **values: str) -> None:
        environment = {**self.context.environment, **values}
        self.context = replace(
            self.context, environment={name: value for name, value in environment.items() if value}
        )

    def _remove_lines(self, numbers: set[int]) -> None:
        lines = self.env.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
        kept = [line for number, line in enumerate(lines, start=1) if number not in numbers]
        self.env.write_text("\n".join(kept), encoding="utf-8", errors="surrogateescape")

    def _rotate(self) -> None:
        path = self.context.layout.stack_file
        text = path.read_text()
        level = 1 + max([0, *map(int, re.findall(r"rotation: (\d+)", text))])
        text = re.sub(r"    keys: .*\n", "", text)
        path.write_text(
            re.sub(r"(    name: (\w+)\n)", rf"\1    keys: [{{name: app, rotation: {level}}}]\n", text)
        )

    def _stop_for_sure(self) -> None:
        self.context.engine(starting.EngineName.EMBEDDED, self.context.lenient_settings()).stop()

    # Mishaps.

    def _down(self, _: str = "", __: str = "") -> None:
        self._stop_for_sure()

    def _lose_env(self, *_: str) -> None:
        self.env.unlink(missing_ok=True)
        self._set_environment(LANGFUSE_PORT=self.port)

    def _copy_example(self, *_: str) -> None:
        self.env.write_text(env_example(GROUPS))
        self._set_environment(LANGFUSE_PORT=self.port)

    def _empty_env(self, *_: str) -> None:
        self.env.write_text("")
        self._set_environment(LANGFUSE_PORT=self.port)

    def _old_env(self, *_: str) -> None:
        """As an older version left it: secrets and settings of later ones are not in it."""
        if self.env.exists():
            kept = [
                line
                for line in self.env.read_text(errors="surrogateescape").splitlines(True)
                if not re.match(r"#? ?(ADMIN_API_KEY|BACKUP_PASSWORD|STATUS_\w+|GRAFANA_\w+)=", line)
            ]
            self.env.write_text("".join(kept), errors="surrogateescape")

    def _other_salt(self, *_: str) -> None:
        if self.env.exists():
            self.env.write_text(with_values(self.env.read_text(), {"SALT": OTHER}))

    def _other_encryption_key(self, *_: str) -> None:
        if self.env.exists():
            self.env.write_text(with_values(self.env.read_text(), {"ENCRYPTION_KEY": OTHER}))

    def _unnoted_salt(self, *_: str) -> None:
        """Another SALT on a stack of a version that kept no fingerprints."""
        self.context.layout.data_secrets_file.unlink(missing_ok=True)
        self._other_salt()

    def _env_back(self, *_: str) -> None:
        if self._copy.exists():
            shutil.copy(self._copy, self.env)

    def _lose_keys(self, *_: str) -> None:
        shutil.rmtree(self.context.layout.credentials_dir, ignore_errors=True)

    def _lose_a_key(self, *_: str) -> None:
        (self.context.layout.credentials_dir / "zeus.env").unlink(missing_ok=True)

    def _empty_key(self, *_: str) -> None:
        path = self.context.layout.credentials_dir / "zeus.env"
        if path.exists():
            path.write_text("")

    def _lose_data(self, *_: str) -> None:
        self._stop_for_sure()
        shutil.rmtree(self.context.layout.embedded_dir, ignore_errors=True)

    def _lose_engine_file(self, *_: str) -> None:
        self.context.layout.engine_file.unlink(missing_ok=True)

    def _lose_stack_dir(self, *_: str) -> None:
        self._stop_for_sure()
        shutil.rmtree(self.context.layout.stack_dir, ignore_errors=True)

    def _killed(self, *_: str) -> None:
        process = self._embedded().find()
        if process:
            os.kill(process.pid, 9)
            while self._embedded().find():
                pass

    def _embedded(self) -> EmbeddedEngine:
        engine = self.context.engine(starting.EngineName.EMBEDDED, self.context.lenient_settings())
        assert isinstance(engine, EmbeddedEngine)
        return engine

    def _half_a_store(self, *_: str) -> None:
        self._append(HALF_A_STORE)

    def _twice(self, *_: str) -> None:
        self._append(f"SALT={OTHER}")

    def _nonsense(self, *_: str) -> None:
        self._append("this is not a setting")

    def _not_utf_8(self, *_: str) -> None:
        self._append("S3_REGION=caf\udce9")

    def _append(self, line: str) -> None:
        text = self.env.read_text(errors="surrogateescape") if self.env.exists() else ""
        self.env.write_text(f"{text.rstrip()}\n{line}\n", encoding="utf-8", errors="surrogateescape")

    def _taken_port(self, *_: str) -> None:
        """Somebody else listens there, until the step is over."""
        self._stop_for_sure()
        other = socket.socket()
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            port = self.context.lenient_settings().integer("LANGFUSE_PORT")
            other.bind(("127.0.0.1", port))
        except OSError:
            other.close()
            return
        other.listen()
        self._ends.callback(other.close)

    def _edited_meanwhile(self, *_: str) -> None:
        """Somebody saves `.env` while `up` looks for an engine."""
        original = Context.choose

        def choose(context: Context, settings: object) -> object:
            if self.env.exists():
                self._append("# edited")
            else:
                self.env.write_text("# made\n")
            return original(context, settings)  # type: ignore[arg-type]

        self._patches.append(lambda: mock.patch.object(Context, "choose", choose))

    def _dying_engine(self, *_: str) -> None:
        """The start fails once."""

        def start(_engine: object, _init: object) -> bool:
            raise EngineDied("It died.", fix="run the command again.")

        self._stop_for_sure()
        self._patches.append(lambda: mock.patch.object(EmbeddedEngine, "start", start))

    def _interrupted(self, which: str = "0", *_: str) -> None:
        """Ctrl-C right after one of the steps of `up`."""
        owner, name = INTERRUPTIONS[int(which or 0)]
        original = getattr(owner, name)

        def then_stop(*arguments: object, **named: object) -> object:
            original(*arguments, **named)
            raise KeyboardInterrupt

        self._patches.append(lambda: mock.patch.object(owner, name, then_stop))


MISHAPS: tuple[str, ...] = (
    "down", "lose_env", "copy_example", "empty_env", "old_env", "other_salt", "other_encryption_key",
    "unnoted_salt", "env_back",
    "lose_keys", "lose_a_key", "empty_key", "lose_data", "lose_engine_file", "lose_stack_dir", "killed",
    "half_a_store", "twice", "nonsense", "not_utf_8", "taken_port", "edited_meanwhile", "dying_engine",
    *(f"interrupted:{number}" for number in range(len(INTERRUPTIONS))),
)  # fmt: skip


@contextmanager
def history(context: Context, *, has_copy: bool = True) -> Iterator[History]:
    """Yield a history that begins with a stack that is up; stop everything at its end."""
    one = History(context, has_copy=has_copy)
    try:
        one.up_or_out()
        yield one
    finally:
        one.close()
