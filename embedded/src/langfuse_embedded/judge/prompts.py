"""Prompts of evaluators: their variables, what may fill them, and the text that a model gets.

The rules are the server's: `packages/shared/src/utils/stringChecks.ts`, `.../prompts.ts`,
`web/src/features/evals/server/unstable-public-api/validation.ts` and
`web/src/features/evals/utils/json-path-compatibility.ts` of langfuse/langfuse 6275144.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .jsonpath import MAX_LENGTH as MAX_PATH

_MUSTACHE = re.compile(r"{{([^{}]*)}}")
_PLACE = re.compile(r"{{\s*([A-Za-z0-9_.]+)\s*}}", re.ASCII)
_STRING = re.compile(r"""(['"`])(?:\\.|(?!\1).)*(?:\1|\Z)""", re.DOTALL)
_CLOSES = {"]": "[", ")": "("}

SOURCES = ("input", "output", "metadata", "tool_calls")
EXPERIMENT_SOURCES = (*SOURCES, "expected_output", "experiment_item_metadata")


_LONGEST = 10_000_000
"""Characters of a text with its values: more than any model reads."""


class TooLong(Exception):
    """A prompt repeats its variables so often that it would fill the memory."""


class MappingProblem(Exception):
    """A mapping does not fit its prompt; `code` and `details` are those of the API's answer."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code, self.details = code, details


def variables_of(messages: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names of the variables in a prompt, in order, each once.

    With blanks, dots or a digit at its start a name is not a variable, although `compiled` may fill it.
    """
    names = [name for message in messages for name in _MUSTACHE.findall(message["content"])]
    return list(dict.fromkeys(name for name in names if _is_variable(name)))


def _is_variable(name: str) -> bool:
    return name[:1].isalpha() and all(character == "_" or character.isalnum() for character in name)


def compiled(text: str, values: Mapping[str, str]) -> str:
    """Return a text with the values of its variables; names without a value stay as they are.

    Raises:
        TooLong: it would have more than 10,000,000 characters.
    """
    if len(text) + sum(len(values.get(found[1], "")) for found in _PLACE.finditer(text)) > _LONGEST:
        raise TooLong(
            f"The prompt with its variables has more than {_LONGEST} characters: name each variable once, or "
            "map a part of it by JSONPath"
        )
    return _PLACE.sub(lambda found: values.get(found[1], found[0]), text)


def check_mapping(
    mapping: Sequence[Mapping[str, str]],
    variables: Sequence[str],
    sources: Sequence[str],
    target: str,
) -> None:
    """Require that every variable is mapped once, from a source that the target has.

    Raises:
        MappingProblem: the first thing that is wrong.
    """
    mapped = set()
    for index, entry in enumerate(mapping):
        name, source = entry["variable"], entry["source"]
        if source not in sources:
            raise MappingProblem(
                "invalid_variable_mapping",
                f'Mapping source "{source}" is not supported for target "{target}"',
                field=f"mapping[{index}].source",
                variable=name,
                allowedValues=list(sources),
            )
        if name not in variables:
            raise MappingProblem(
                "invalid_variable_mapping",
                f'Mapping variable "{name}" is not present in the evaluator prompt',
                field=f"mapping[{index}].variable",
                variable=name,
            )
        if name in mapped:
            raise MappingProblem(
                "duplicate_variable_mapping",
                f'Mapping variable "{name}" can only be mapped once',
                field="mapping",
                variable=name,
            )
        mapped.add(name)
    missing = [name for name in variables if name not in mapped]
    if missing:
        raise MappingProblem(
            "missing_variable_mapping",
            f"Missing mappings for evaluator variables: {', '.join(missing)}",
            field="mapping",
            variables=missing,
        )
    for index, entry in enumerate(mapping):
        if "jsonPath" in entry:
            _check_path(entry["jsonPath"], entry["variable"], f"mapping[{index}].jsonPath")


def _check_path(path: str, variable: str, field: str) -> None:
    wrong = _fault_of(path)
    if wrong:
        raise MappingProblem(
            "invalid_json_path",
            f'Mapping for variable "{variable}" has an invalid jsonPath "{path}". {wrong}',
            field=field,
            variable=variable,
            value=path,
        )
    bare = _STRING.sub(" ", path)
    unsupported = None
    if re.search(r"\[\s*\?", bare):
        unsupported = "Filter expressions ([?...]) are not supported and will not be applied."
    elif re.search(r"\[\s*\(", bare):
        unsupported = (
            "Script expressions ([(...)]) are not supported. The evaluator will use the unfiltered value "
            "instead."
        )
    elif re.search(r"\[\s*-\d+\s*\]", bare):
        unsupported = (
            "Negative array indices (for example, [-1]) are not supported. Use a slice such as [-1:] instead."
        )
    if unsupported:
        raise MappingProblem("invalid_request", unsupported)


def _fault_of(path: str) -> str:
    if len(path) > MAX_PATH:
        return f"JSONPath expressions may have at most {MAX_PATH} characters."
    if not path.startswith("$"):
        return 'JSONPath expressions must start with "$".'
    quote, escaped, opened = "", False, []
    for character in path:
        if quote:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        elif character in "[(":
            opened.append(character)
        elif character in _CLOSES and (not opened or opened.pop() != _CLOSES[character]):
            return "JSONPath expressions must use balanced brackets and parentheses."
    if quote or opened:
        return "JSONPath expressions must use balanced quotes, brackets, and parentheses."
    return ""
