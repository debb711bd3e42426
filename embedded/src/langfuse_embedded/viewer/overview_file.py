"""The overview as a file: `overview --questions` says what to ask a server, `overview` writes the page.

Another program asks, of whatever server has the Metrics API, and hands over the answers. The page is the one
that the viewer shows, and needs nothing from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any, TextIO

from langfuse_embedded.alert_board import AlertState, Told
from langfuse_embedded.clock import parse_iso
from langfuse_embedded.errors import EngineError

from .noise import NOISE
from .overview_figures import OBSERVATIONS, SCORES, Range, condition, figures, questions

Given = Mapping[str, Any]


def write_questions(given: TextIO, out: TextIO) -> None:
    """Write the queries by name, as one line of JSON.

    `given` has `from` and `to` (ISO 8601), and `without`: environments that do not count, by default
    those that lists leave out. Raises EngineError where it has another shape.
    """
    try:
        asked = json.load(given)
        hidden = [condition("environment", "none of", _without(asked))] if _without(asked) else []
        found = questions(_range(asked), {OBSERVATIONS: hidden, SCORES: hidden})
    except _MALFORMED as error:
        raise _refusal(error) from error
    out.write(json.dumps(found) + "\n")


def write_page(given: TextIO, out: TextIO) -> None:
    """Write the page.

    `given` has `title`, `note`, and `sections`: `name`, the range and environments as above, `answers` by the
    names of questions; maybe `alerts` as `PUT /api/embedded/alerts` takes them with `at`, when they were
    evaluated, and `tables` of texts. Raises EngineError where it has another shape.
    """
    from markupsafe import Markup

    from .rendering import templates

    style = resources.files(__package__).joinpath("style.css").read_text("utf-8")
    try:
        page = json.load(given)
        values = {
            "user": None,
            "title": page["title"],
            "note": page["note"],
            "sections": [_section(one) for one in page["sections"]],
            "style": Markup(style),  # noqa: S704 - it is ours
            "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        }
    except _MALFORMED as error:
        raise _refusal(error) from error
    out.write(templates().get_template("overview_file.html").render(values))


_MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)


def _refusal(error: Exception) -> EngineError:
    return EngineError(f"what is on standard input cannot be used: {type(error).__name__}: {error}")


def _section(given: Given) -> dict[str, Any]:
    alerts = given.get("alerts")
    return {
        "name": given["name"],
        "between": _range(given),
        "without": _without(given),
        "alerts": alerts and Told(_moment(alerts["at"]), [AlertState(**one) for one in alerts["alerts"]]),
        "figures": figures(given["answers"]),
        "tables": [
            {name: table[name] for name in ("title", "heads", "rows")} for table in given.get("tables", ())
        ],
    }


def _without(given: Given) -> list[str]:
    return list(given.get("without", [name for names in NOISE.values() for name in names]))


def _range(given: Given) -> Range:
    return Range(_moment(given["from"]), _moment(given["to"]))


def _moment(text: str) -> int:
    found = parse_iso(text)
    if found is None:
        raise ValueError(f"{text!r} is not a time")
    return found
