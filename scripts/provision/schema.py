"""The JSON Schemas of the configuration, for completion and checks in editors; generated from the models."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from .content import Content
from .stack import Part, Stack

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def stack_schema() -> str:
    """Return the schema of `config/stack.yaml`, as text; those of other files are among its `$defs`."""
    models: list[type[BaseModel]] = [Stack, Part, Content]
    _, schema = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/$defs/{model}"
    )
    return _text(
        {
            "$schema": _DIALECT,
            "title": "config/stack.yaml of a Langfuse Stack",
            "$ref": "#/$defs/Stack",
            "$defs": schema["$defs"],
        }
    )


def content_schema() -> str:
    """Return the schema of a file with content of a project, as text."""
    return _text(
        {
            "$schema": _DIALECT,
            "title": "Content of a project of a Langfuse Stack",
            "$ref": "stack.schema.json#/$defs/Content",
        }
    )


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
