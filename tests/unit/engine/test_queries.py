"""Query parameters are read by the habits of the server, family by family, over one matrix."""

from __future__ import annotations

from typing import Any

import pytest

from langfuse_embedded.http.errors import InvalidData
from langfuse_embedded.http.queries import (
    known_texts,
    moment,
    number,
    options,
    page_limit,
    page_number,
    text,
    texts,
    upper_texts,
)
from langfuse_embedded.http.schema import MISSING, Object, Schema

REFUSED = "refused"

READERS: dict[str, Schema] = {
    "text": text(),
    "texts": texts(),
    "known": known_texts("a", "b", default=("a",)),
    "filtered": known_texts("a", "b", default=None, unknown_is_refused=False),
    "upper": upper_texts("kind", ("A", "B")),
    "options": options(),
    "number": number(),
    "page": page_number(),
    "limit": page_limit(),
    "moment": moment(),
}

MATRIX: list[tuple[str, Any, dict[str, Any]]] = [
    ("absent", MISSING, {"known": ["a"], "page": 1, "limit": 50}),
    (
        "empty",
        "",
        {"text": "", "known": ["a"], "options": [""], "page": 1, "limit": 50},
    ),
    (
        "one",
        "a",
        {"text": "a", "texts": ["a"], "known": ["a"], "filtered": ["a"], "upper": ["A"], "options": ["a"]}
        | dict.fromkeys(("number", "page", "limit", "moment"), REFUSED),
    ),
    (
        "twice",
        ["a", "b"],
        {"known": ["a", "b"], "filtered": ["a", "b"], "options": ["a", "b"]}
        | dict.fromkeys(("text", "texts", "upper", "number", "page", "limit", "moment"), REFUSED),
    ),
    (
        "a list",
        " a,b, ",
        {
            "text": " a,b, ",
            "texts": ["a", "b"],
            "known": ["a", "b"],
            "filtered": ["a", "b"],
            "upper": ["A", "B"],
            "options": [" a", "b", " "],
        }
        | dict.fromkeys(("number", "page", "limit", "moment"), REFUSED),
    ),
    (
        "only a comma",
        ",",
        {"text": ",", "known": [], "filtered": [], "options": ["", ""]}
        | dict.fromkeys(("number", "page", "limit", "moment"), REFUSED),
    ),
    (
        "unknown",
        "z",
        {"text": "z", "texts": ["z"], "known": REFUSED, "filtered": [], "upper": REFUSED, "options": ["z"]}
        | dict.fromkeys(("number", "page", "limit", "moment"), REFUSED),
    ),
    (
        "negative",
        "-1",
        {"text": "-1", "texts": ["-1"], "known": REFUSED, "filtered": [], "upper": REFUSED}
        | {"options": ["-1"], "number": -1, "page": REFUSED, "limit": REFUSED, "moment": 978_307_200_000},
    ),
    (
        "hexadecimal",
        "0x10",
        {"text": "0x10", "texts": ["0x10"], "known": REFUSED, "filtered": [], "upper": REFUSED}
        | {"options": ["0x10"], "number": 16, "page": 16, "limit": 16, "moment": REFUSED},
    ),
    (
        "a fraction",
        "2.5",
        {"text": "2.5", "texts": ["2.5"], "known": REFUSED, "filtered": [], "upper": REFUSED}
        | {"options": ["2.5"], "number": 2.5, "page": REFUSED, "limit": REFUSED, "moment": 981_331_200_000},
    ),
    (
        "a date",
        "2026-01-15",
        {"text": "2026-01-15", "texts": ["2026-01-15"], "known": REFUSED, "filtered": [], "upper": REFUSED}
        | {"options": ["2026-01-15"], "moment": 1_768_435_200_000}
        | dict.fromkeys(("number", "page", "limit"), REFUSED),
    ),
]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("name", "value", "expected"), MATRIX, ids=[row[0] for row in MATRIX])
def test_each_family_reads_by_its_habit(name: str, value: Any, expected: dict[str, Any], reader: str) -> None:
    shape = Object({"x": READERS[reader]})
    try:
        found = shape.parse({} if value is MISSING else {"x": value}).get("x", MISSING)
    except InvalidData:
        found = REFUSED
    assert found == expected.get(reader, MISSING)
