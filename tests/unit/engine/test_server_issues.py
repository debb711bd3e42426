"""The shapes of queries and bodies refuse what the server's own schemas refuse, with the same issues.

`server_issues.jsonl` has what the schemas of Langfuse 4.16.0 said of each value, run with zod 4.3.6: those in
`web/src/features/public-api/types`, `web/src/features/media/validation.ts`,
`web/src/pages/api/public/v3/scores/index.ts`, `packages/shared/src/features` and
`packages/shared/src/server/ingestion/types.ts`. `server` is the name of the schema there.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from langfuse_embedded.http.errors import InvalidData, InvalidRequest
from langfuse_embedded.http.schema import Schema, Tagged
from langfuse_embedded.routes.legacy.ingestion import ALL_TYPES

_LINES = Path(__file__).with_name("server_issues.jsonl").read_text("ascii").splitlines()
_CASES = [json.loads(line) for line in _LINES]


def _schema(case: dict[str, Any]) -> Schema:
    if case["shape"] == "legacy event":
        value = case["value"]
        kind = value.get("type") if isinstance(value, dict) else None
        known = ALL_TYPES.get(kind) if isinstance(kind, str) else None
        return known.envelope if known else Tagged("type", {})
    module, _, name = case["shape"].rpartition(".")
    found = getattr(importlib.import_module(f"langfuse_embedded.routes.{module}"), name)
    schema: Schema = found() if isinstance(found, type) else found
    return schema


def _said(case: dict[str, Any]) -> Any:
    try:
        _schema(case).parse(case["value"])
    except InvalidData as error:
        return [[issue["code"], list(issue["path"]), issue["message"]] for issue in error.issues]
    except InvalidRequest as error:
        return str(error)
    return None


@pytest.mark.parametrize("shape", sorted({case["shape"] for case in _CASES}))
def test_a_shape_says_of_each_value_what_the_server_says(shape: str) -> None:
    cases = [case for case in _CASES if case["shape"] == shape]
    differences = {
        json.dumps(case["value"])[:200]: (said, case["issues"])
        for case in cases
        if (said := _said(case)) != case["issues"]
    }
    assert cases
    assert differences == {}


def test_the_recorded_values_are_accepted_and_refused() -> None:
    refused = [case for case in _CASES if case["issues"]]
    assert len(refused) > 400
    assert len(_CASES) - len(refused) > 40
