"""Run a command with the words of a text at its end: `append_words.py TEXT COMMAND...`.

`make` hands ARGS over as one text. A shell that takes it apart would run what is in `$(...)` or behind `;`.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str]) -> NoReturn:
    """Become the command, or exit with 2 when the text has a quote without its partner."""
    text, *command = arguments
    try:
        words = shlex.split(text)
    except ValueError as error:
        print(f"error: ARGS cannot be read: {error}.\nfix: close the quote.", file=sys.stderr)
        sys.exit(2)
    os.execvp(command[0], [*command, *words])  # noqa: S606 - the command comes from the Makefile


if __name__ == "__main__":
    main(sys.argv[1:])
