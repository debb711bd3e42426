"""The log of every process of the engine: one record a line, whatever clients put into it."""

from __future__ import annotations

import logging
import unicodedata

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# They move the cursor, hide text, turn its direction, or cannot be written at all (lone surrogates).
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_LONGEST = 4_000
_INDENT = "    "


def configure() -> None:
    """Send the log of this process to its standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine(_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class OneLine(logging.Formatter):
    """Writes a message as one line that a terminal shows and does not obey; a traceback is indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        """Return the line of a record."""
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:  # noqa: N802
        """Return a traceback; no line of it looks like a record."""
        lines = super().formatException(ei).split("\n")  # type: ignore[arg-type]
        return "\n".join(_INDENT + printable(line) for line in lines)


def printable(text: str) -> str:
    r"""Return a text as a part of one line, with `\n` or `\x1b` for what would end or change it."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}... ({len(text)} characters)"
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        one.encode("unicode_escape").decode() if unicodedata.category(one) in _UNSAFE else one for one in text
    )
