"""Read a text or YAML file that people edit; say where and why it cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from .errors import UsageError
from .yaml_nodes import LARGEST, beyond_bounds, position


def read_edited(path: Path, shown: str, refusal: type[UsageError] = UsageError) -> str:
    """Return the text of a file of this repository; `shown` is what messages call it.

    Raises:
        UsageError: of the class `refusal`: the file is absent, not UTF-8, or not to be read.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise refusal(f"{shown} is not there.", fix=f"restore it: git checkout -- {shown}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        byte = error.object[error.start]
        raise refusal(f"{shown}:{line}: byte {byte:#04x} is not UTF-8.", fix="save it as UTF-8.") from error
    except OSError as error:
        raise refusal(
            f"{shown} cannot be read: {error.strerror}.", fix="make it a file that this user can read."
        ) from error


def parse_edited(text: str, shown: str, refusal: type[UsageError] = UsageError) -> Any:
    """Return what a YAML text describes; None where it describes nothing.

    Raises:
        UsageError: of the class `refusal`: it is not YAML, or too large by its aliases.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if beyond := beyond_bounds(root):
            line, column = position(beyond)
            raise refusal(
                f"{shown}:{line}:{column}: its aliases stand for more than {LARGEST:,} values, or for"
                " themselves.",
                fix="write it without aliases of aliases.",
            )
        return yaml.safe_load(text)
    except RecursionError as error:
        raise refusal(f"{shown} is nested too deeply.", fix="write it flatter.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{shown}:{mark.line + 1}:{mark.column + 1}" if mark else shown
        raise refusal(f"{place}: not YAML: {error.problem}.", fix="correct that place.") from error
    except yaml.YAMLError as error:
        raise refusal(f"{shown} is not YAML: {error}.", fix="correct it.") from error
