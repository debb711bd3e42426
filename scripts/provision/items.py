"""Dataset items: the id of one without, the value that the server keeps, whether it fits a schema."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from typing import Any

from .content import Dataset, DatasetItem
from .json_schemas import value_problem

# Control characters but tab, line feed, form feed and carriage return, which the server's store cannot hold.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")


def item_id(dataset: str, item: DatasetItem) -> str:
    """Return the item's id, or one that follows from the dataset's name and the input."""
    if item.id:
        return item.id
    text = json.dumps([dataset, item.input], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def stored(value: Any) -> Any:
    """Return a value as the server stores it: JSON in a text is parsed, an empty text is null."""
    if value == "":
        return None
    if isinstance(value, str):
        with suppress(ValueError):
            value = json.loads(value)
    return _clean(value)


def schema_fault(dataset: Dataset, item: DatasetItem) -> str:
    """Return why an item does not fit the schemas of its dataset, or an empty string."""
    for name, schema, value in (
        ("input", dataset.input_schema, item.input),
        ("expected_output", dataset.expected_output_schema, item.expected_output),
    ):
        problem = value_problem(schema, stored(value)) if schema is not None else ""
        if problem:
            return f"the {name} does not fit the dataset's schema: {problem}"
    return ""


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _CONTROL.sub("", value)
    if isinstance(value, list):
        return [_clean(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _clean(entry) for key, entry in value.items()}
    return value
