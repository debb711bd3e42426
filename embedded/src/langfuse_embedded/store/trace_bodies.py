"""Put together what the observations of a trace say of it: input, output, metadata and tags.

The rules are the server's for `dual` mode: a root (a span without a parent, or that its SDK marks as one)
counts with its input, output and metadata; any observation may add what it says of the trace
(`Event.trace`), which goes before. Of what is said twice the later arrival counts; tags are united.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from .bodies import BlockReader, Body

_OBSERVATIONS = """
    select span_id, parent_span_id, as_root, block, position,
        trace_name <> '' or user_id <> '' or session_id <> '' or tags is not null or public as speaks
    from observations where project = ? and trace_id = ? and seq <= ? order by seq
"""

# Where an observation comes from: told to the trace by whichever observation says something of it.
_SURROUNDINGS = ("resourceAttributes", "scope")


def trace_body(
    connection: sqlite3.Connection,
    blocks: BlockReader,
    project: int,
    trace_id: Any,
    horizon: int | None,
    *,
    parts_count: bool = False,
) -> Body:
    """Return input, output and metadata of a trace; `trace_id` as it is in the row.

    With `parts_count` a span whose parent is elsewhere counts like a root: what begins in another service is
    shown, which the server does not.
    """
    upto = 2**63 - 1 if horizon is None else horizon
    given: dict[str, str | None] = {}
    of_root: dict[str, str | None] = {}
    metadata: dict[str, str] = {}
    more: dict[str, Any] = {}
    rows = connection.execute(_OBSERVATIONS, (project, trace_id, upto)).fetchall()
    inside = {row["span_id"] for row in rows}
    for row in rows:
        try:
            body = blocks.body(row["block"], row["position"])
        except LookupError:
            continue  # deleted in between
        said = body.more.get("trace") or {}
        is_root = row["parent_span_id"] is None or bool(row["as_root"])
        is_root = is_root or (parts_count and row["parent_span_id"] not in inside)
        if is_root:
            of_root = {"input": body.input, "output": body.output}
            if "sent_metadata" in body.more:
                more = {"sent_metadata": body.more["sent_metadata"]}
        given |= {part: said[part] for part in ("input", "output") if said.get(part)}
        if is_root:
            metadata |= _first_of_each(body.metadata)
        elif said or row["speaks"]:
            names = [*_SURROUNDINGS, *said.get("metadata", ())]
            metadata |= _first_of_each(_below(names, body.metadata))
    whole = of_root | given
    return Body(whole.get("input"), whole.get("output"), list(metadata.items()), more)


def own_metadata(body: Body) -> list[Sequence[str]]:
    """Return the metadata of an observation without what it says of its trace alone."""
    said = body.more.get("trace")
    if not said:
        return list(body.metadata)
    names = [name for name in said["metadata"] if name not in said["shared"]]
    of_trace = {pair[0] for pair in _below(names, body.metadata)}
    return [pair for pair in body.metadata if pair[0] not in of_trace]


def register_tags(connection: sqlite3.Connection) -> None:
    """Teach the connection `united_tags(lists)`: JSON arrays joined by commas become one, or null."""
    connection.create_function("united_tags", 1, _united_tags, deterministic=True)


def _united_tags(lists: str | None) -> str | None:
    if not lists:
        return None
    return orjson.dumps(sorted({tag for tags in orjson.loads(f"[{lists}]") for tag in tags})).decode()


def _below(names: Sequence[str], pairs: Sequence[Sequence[str]]) -> Iterator[Sequence[str]]:
    if not names:
        return iter(())
    prefixes = tuple(f"{name}." for name in names)
    return (pair for pair in pairs if pair[0] in names or pair[0].startswith(prefixes))


def _first_of_each(pairs: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found
