"""What all models of the configuration share: strict types, and the texts that several of them check."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
# A project's id is the name of its credentials file, also on file systems that ignore case.
ProjectId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
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

JsonObject = dict[str, Any]


class Strict(BaseModel):
    """A mapping of the configuration: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)
