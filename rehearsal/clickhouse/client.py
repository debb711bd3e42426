"""`clickhouse-client` of the stand-in: runs queries over the HTTP interface, with the usual options."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from .front import HTTP_PORT

_TIMEOUT_S = 3600
_PARAMETER = "--param_"


def main(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the queries of `--query` or of the standard input; return an exit code."""
    parameters = dict(
        one.removeprefix(_PARAMETER).split("=", 1) for one in argv if one.startswith(_PARAMETER)
    )
    options = _parser(environment).parse_args([one for one in argv if not one.startswith(_PARAMETER)])
    # With a query, the standard input is the data of an insert and else not looked at.
    reads = options.query is None or options.query.lstrip().upper().startswith("INSERT")
    body = sys.stdin.buffer.read() if reads else b""
    arguments = {f"param_{name}": value for name, value in parameters.items()}
    if options.query is not None:
        arguments["query"] = options.query
    if options.format:
        arguments["default_format"] = options.format
    request = Request(
        f"http://{options.host}:{HTTP_PORT}/?{urlencode(arguments)}",
        data=body,
        headers={"X-ClickHouse-User": options.user, "X-ClickHouse-Key": options.password},
    )
    try:
        with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
            sys.stdout.buffer.write(answer.read())
    except HTTPError as error:
        sys.stderr.write(error.read().decode())
        return 1
    except URLError as error:
        sys.stderr.write(f"Code: 210. DB::NetException: {error.reason} ({options.host})\n")
        return 210
    return 0


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="clickhouse-client", add_help=False)
    parser.add_argument("--host", "-h", default="127.0.0.1")
    parser.add_argument("--port", help="accepted and not used: the native protocol is not there")
    parser.add_argument("--user", "-u", default=environment.get("CLICKHOUSE_USER", "default"))
    parser.add_argument("--password", default=environment.get("CLICKHOUSE_PASSWORD", ""))
    parser.add_argument("--database", "-d", choices=["default"], default="default")
    parser.add_argument("--query", "-q")
    parser.add_argument("--format", "-f", default="")
    parser.add_argument("--multiquery", "-n", action="store_true", help="accepted: always so")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
