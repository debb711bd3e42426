"""What all models of the configuration share: strict types, and the texts that several of them check."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
# As an id, and the name of a credentials file. Ids that the server makes are in it (cuid, uuid).
ProjectId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")]
DisplayName = Annotated[str, Field(min_length=3, max_length=60)]  # as the server's forms allow
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
"""The name of an environment variable, never its value."""

FolderName = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^/|<>]([^|<>]*[^/|<>])?$")]
"""A name in which slashes make folders, as of prompts and datasets."""

Text = Annotated[str, Field(min_length=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""USD for one unit of usage."""


def refuse(reason: str, fix: str) -> PydanticCustomError:
    """Return the error that a validator raises: what is wrong, and what to write instead."""
    return PydanticCustomError("refused", "{reason}; {fix}", {"reason": reason, "fix": fix})


def _as_json_has_it(value: Any) -> Any:
    """Return the value. YAML knows more than JSON, which is what goes to the server."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise refuse(f"the key {key!r} is not text", "put it in quotes")
            _as_json_has_it(inner)
    elif isinstance(value, list):
        for inner in value:
            _as_json_has_it(inner)
    elif isinstance(value, float) and not math.isfinite(value):
        raise refuse(f"JSON has no {value}", "write null or a finite number")
    elif not isinstance(value, str | int | float | bool | None):
        raise refuse(f"JSON has no {type(value).__name__}", "write text, a number, a list or a mapping")
    return value


JsonValue = Annotated[Any, AfterValidator(_as_json_has_it)]
JsonObject = Annotated[dict[str, Any], AfterValidator(_as_json_has_it)]


class Strict(BaseModel):
    """A mapping of the configuration: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)
