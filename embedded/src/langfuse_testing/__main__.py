"""`langfuse-embedded`: a Langfuse on this machine, with keys, until a command has ended or Ctrl-C."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .embedded import DEFAULT_KEYS, LOGIN, EmbeddedLangfuse
from .server import Keys, LangfuseFailed

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Start an engine; return the exit code of the command that was given, else 0 (1: it did not start)."""
    arguments = _parser().parse_args(argv)
    keys = Keys(arguments.project, arguments.public_key, arguments.secret_key)
    engine = EmbeddedLangfuse(arguments.data_dir, keys=keys, port=arguments.port)
    # The end of the engine is this process's: what stops it must run the end of the block below.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_INTERRUPTED))
    try:
        with engine:
            if arguments.exec:
                return subprocess.run(
                    arguments.exec, env={**os.environ, **engine.environment()}, check=False
                ).returncode
            lasts = arguments.data_dir is not None
            print(
                json.dumps(engine.environment()) if arguments.json else _summary(engine, lasts=lasts),
                flush=True,
            )
            signal.pause()
    except LangfuseFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    except FileNotFoundError as error:
        print(f"error: {error.filename} is not a command here.", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        pass
    return 0


def _summary(engine: EmbeddedLangfuse, *, lasts: bool) -> str:
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in engine.environment().items())
    data = f"in {engine.data_dir}" if lasts else "gone at the end (--data-dir keeps it)"
    return (
        f"Langfuse  {engine.base_url}\n"
        f"Login     {LOGIN[0]}, password: {LOGIN[1]}\n"
        f"Data      {data}\n"
        f"Next      Ctrl-C stops it; for an application:\n\n"
        f"export {variables}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="langfuse-embedded", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="where it listens (default: a free port)")
    parser.add_argument("--data-dir", type=Path, help="where its data stays (default: it goes at the end)")
    parser.add_argument("--project", default=DEFAULT_KEYS.project_id, help="id (default: %(default)s)")
    parser.add_argument("--public-key", default=DEFAULT_KEYS.public_key, help="(default: %(default)s)")
    parser.add_argument("--secret-key", default=DEFAULT_KEYS.secret_key, help="(default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the variables as one line of JSON")
    parser.add_argument(
        "--exec",
        nargs=argparse.REMAINDER,
        metavar="COMMAND",
        help="run this with URL and keys in its environment, then stop; all that follows belongs to it",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
