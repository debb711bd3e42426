"""The commands that the writer knows: name -> function.

A command gets the context, the head of the request (its arguments) and the body as bytes, and returns what
goes back as JSON. It runs inside the transaction of its group; to turn down its input it raises `Refused`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import legacy, observations, scores
from .context import WriteContext

Command = Callable[[WriteContext, dict[str, Any], bytes], Any]

COMMANDS: dict[str, Command] = {
    **observations.COMMANDS,
    **scores.COMMANDS,
    **legacy.COMMANDS,
}
