"""Run the engine as a process: lock the data directory, bind, announce, serve, stop."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from . import log_lines
from .config import EngineConfig
from .errors import DataDirectoryError, DirectoryInUse, EngineError
from .store.writer.process import WriterProcess

_TURN_SECONDS = 0.000_5


@contextmanager
def data_directory(path: Path) -> Iterator[None]:
    """Create the data directory if needed and hold it for this process alone.

    The lock belongs to the open file, so it ends with the process however that ends. The process id stands in
    `engine.pid` while the lock is held.

    Raises:
        DirectoryInUse: another engine holds it.
        DataDirectoryError: it cannot be created or written.
    """
    lock_path, pid_path = path / "engine.lock", path / "engine.pid"
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = lock_path.open("a")
    except OSError as error:
        raise DataDirectoryError(
            f"Cannot use {path}: {error.strerror}. Check that the directory may be written by this user."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _read_pid(pid_path)
            raise DirectoryInUse(
                f"Another engine{f' (process {holder})' if holder else ''} works on {path}. "
                "Stop it first, or give this one a data directory of its own."
            ) from None
        pid_path.write_text(f"{os.getpid()}\n")
        try:
            yield
        finally:
            pid_path.unlink(missing_ok=True)


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    Raises:
        EngineError: the address is taken or does not exist here.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise EngineError(
            f"Cannot listen on {host}:{port}: {error.strerror}. Stop what uses the port, or choose another."
        ) from error
    return listener


def serve(config: EngineConfig) -> int:
    """Run the engine until SIGTERM or SIGINT; return the exit code."""
    # uvicorn raises the signal that stopped it once more when it is done: this ends the process with 0, and
    # through the context managers below.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_cleanly)
    with data_directory(config.data_dir), bind(config.host, config.port) as listener:
        # The server library costs 0.15 s to import: a refusal above must not wait for it, and the writer
        # starts meanwhile. It ends when this process does.
        writer = WriterProcess(config.data_dir)
        # What is imported from here on stays: looking for garbage in it takes a tenth of the start.
        gc.disable()

        import uvicorn

        from .app import App
        from .engine import Engine
        from .http.fault_injection import FaultInjection
        from .http.protocol import ClosableProtocol

        log_lines.configure()
        engine = Engine(config, writer, gave_up=lambda: setattr(server, "should_exit", True))
        app = App(engine)
        faulty = config.faults is not None
        server = uvicorn.Server(
            uvicorn.Config(
                FaultInjection(app, engine.faults) if faulty else app,
                http=ClosableProtocol,
                log_config=None,
                log_level="warning",
                access_log=False,
                ws="none",
                lifespan="on",
                server_header=False,
                # Anybody may claim to pass on what others ask: only configured proxies are believed.
                proxy_headers=bool(config.trusted_proxies),
                forwarded_allow_ips=list(config.trusted_proxies),
                timeout_keep_alive=75,
                timeout_graceful_shutdown=10,
            )
        )
        gc.freeze()
        gc.enable()
        # Threads that work on large bodies and answers hand the interpreter back to the event loop ten times
        # as often as usual: an export takes four turns, and waited up to 5 ms for each.
        sys.setswitchinterval(_TURN_SECONDS)
        address = listener.getsockname()
        print(f"listening on http://{address[0]}:{address[1]}", flush=True)
        try:
            server.run(sockets=[listener])
        except SystemExit:
            if app.startup_error is not None:
                raise app.startup_error from None
            raise
        # Signals end the process above: whoever comes here was stopped by a part of the engine that gave up.
        return 1


def main_error(error: EngineError) -> int:
    """Print an expected error without a traceback; return the exit code for it."""
    print(f"error: {error}", file=sys.stderr)
    return 2 if isinstance(error, DirectoryInUse) else 1


def _exit_cleanly(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _read_pid(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
