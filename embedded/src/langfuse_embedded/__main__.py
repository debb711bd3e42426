"""Command line of the embedded engine: `serve`, `provision`, `overview`, and upkeep of its data."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TextIO

from .config import config_from_environment
from .errors import ConfigError, EngineError
from .lifecycle import main_error, serve


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code (0 done, 1 failed, 2 wrong use)."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "serve":
            config = config_from_environment(
                os.environ, data_dir=arguments.data_dir, host=arguments.host, port=arguments.port
            )
            return serve(config)
        if arguments.command == "provision":
            from .provisioning import provision

            return provision(arguments.data_dir, os.environ.get("SALT", ""), sys.stdin, sys.stdout)
        if arguments.command == "tenancy":
            from .provisioning import show_tenancy

            return show_tenancy(arguments.data_dir, sys.stdout)
        if arguments.command == "overview":
            from .viewer.overview_file import write_page, write_questions

            (write_questions if arguments.questions else write_page)(sys.stdin, sys.stdout)
            return 0
        return upkeep(arguments, sys.stdout)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except EngineError as error:
        return main_error(error)


def upkeep(arguments: argparse.Namespace, out: TextIO) -> int:
    """Copy, describe or clean a data directory; write what it contains, or what went, as one line of JSON.

    Raises:
        EngineError: the data cannot be read, or the copy cannot be written.
    """
    from .upkeep.contents import describe, schema_levels
    from .upkeep.purge import purge
    from .upkeep.search import search
    from .upkeep.snapshot import take_snapshot

    if arguments.command == "schema":
        answer: object = schema_levels()
    elif arguments.command == "snapshot":
        take_snapshot(arguments.data_dir, arguments.into)
        answer = describe(arguments.into)
    elif arguments.command == "purge":
        answer = purge(arguments.data_dir, json.load(sys.stdin))
    elif arguments.command == "search":
        answer = search(arguments.data_dir, json.load(sys.stdin))
    else:
        answer = describe(arguments.data_dir, check=arguments.check)
    out.write(json.dumps(answer) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m langfuse_embedded", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve_command = commands.add_parser("serve", help="run the engine until it is told to stop")
    serve_command.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
    )
    serve_command.add_argument("--port", type=int, default=3000, help="0 takes a free one (default: 3000)")
    provision_command = commands.add_parser(
        "provision",
        help="change projects, keys, members by JSON lines on standard input, beside a running engine or not",
    )
    tenancy_command = commands.add_parser("tenancy", help="say which projects and members there are")
    snapshot_command = commands.add_parser(
        "snapshot", help="copy the data as it is at one moment, beside a running engine or not"
    )
    snapshot_command.add_argument("--into", type=Path, required=True, help="directory to make")
    describe_command = commands.add_parser("describe", help="say what the data consists of")
    describe_command.add_argument("--check", action="store_true", help="look for damage too")
    purge_command = commands.add_parser(
        "purge", help="remove what hangs on the traces and sessions on standard input; the engine is stopped"
    )
    search_command = commands.add_parser(
        "search",
        help="say in which tables the ids and texts on standard input are, beside a running engine or not",
    )
    overview_command = commands.add_parser(
        "overview",
        help="write the overview of any server as a page, from answers of its Metrics API on standard input",
    )
    overview_command.add_argument(
        "--questions", action="store_true", help="write what to ask instead, for a range on standard input"
    )
    commands.add_parser("schema", help="say which schemas of the data this version knows")
    for command in (
        serve_command,
        provision_command,
        tenancy_command,
        snapshot_command,
        describe_command,
        purge_command,
        search_command,
    ):
        command.add_argument("--data-dir", type=Path, required=True, help="where all data is")
    return parser


if __name__ == "__main__":
    # What is stored is for this user alone, wherever it is put.
    os.umask(0o077)
    sys.exit(main())
