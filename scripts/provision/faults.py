"""What is wrong with a configuration, in words: file, line, column, reason, and what to write instead."""

from __future__ import annotations

import difflib
import inspect
import re
import typing
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from .source import Loc, Source, dotted

_NAME_RULE = "use letters, digits, -, _ and . only, beginning with a letter or digit"
_TYPES = {
    "string_type": "write text here (a number needs quotes)",
    "float_type": "write a number here",
    "int_type": "write a whole number here",
    "bool_type": "write true or false",
    "list_type": "write a list here: one line for each, beginning with -",
    "dict_type": "write a mapping here: name: value",
    "model_type": "write a mapping here: name: value",
    "model_attributes_type": "write a mapping here: name: value",
    "too_short": "give at least one",
    "finite_number": "write a finite number",
}
_BY_FIELD = {
    "email": "write it as name@example.com",
    "public": "begin with pk-lf- and use letters, digits, - and _",
    "secret_from": "give the NAME of an environment variable, not the secret",
    "password_from": "give the NAME of an environment variable, not the password",
    "extra_headers_from": "give the NAME of an environment variable, not the value",
    "items_from": "name a .jsonl or .csv file",
    "base_url": "write an address such as https://llm.acme.example/v1, without user and password",
    "labels": "use lower case letters, digits, _, - and .",
    "start_date": "write a date such as 2026-01-31",
    "placeholder": "use letters, digits and _, beginning with a letter",
}
_BY_PLACE = {
    ("score_configs", "name"): "use up to 35 letters, digits, spaces and . ( ) _ -",
    ("prompts", "name"): "use folders with / inside, no |, < or >",
    ("datasets", "name"): "use folders with / inside, no |, < or >",
}

# Keys of the services that such files are about, and private keys; the example keys of documents have `...`.
_SECRET = re.compile(
    r"""sk-lf-[A-Za-z0-9_-]{8,} | sk-(?:ant-|proj-)?[A-Za-z0-9_-]{20,} | AKIA[0-9A-Z]{16}
    | gh[opsu]_[A-Za-z0-9]{30,} | xox[abpr]-[A-Za-z0-9-]{10,} | AIza[A-Za-z0-9_-]{30,} | hf_[A-Za-z0-9]{30,}
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----""",
    re.VERBOSE,
)
_SECRET_KEYS = re.compile(r"(?i)^(api_?key|secret(_?key)?|password|token|extra_headers)$")


def looks_secret(text: str) -> bool:
    """Return whether a text contains what looks like a key of a known service."""
    return _SECRET.search(text) is not None


def secrets_in(source: Source) -> Iterator[str]:
    """Yield a fault for each secret that is in a file; the secret is not repeated."""
    for text, place in source.scalars():
        if looks_secret(text):
            yield (
                f"{place}: this looks like a secret; keep it in .env or the environment and name the "
                "variable here"
            )


def faults_of(error: ValidationError, model: type[BaseModel], source: Source, base: Loc = ()) -> list[str]:
    """Return what pydantic found, in words. `base` is where in the source the model stands."""
    return [_describe(fault, model, source, tuple(base)) for fault in error.errors(include_url=False)]


def _describe(fault: Any, model: type[BaseModel], source: Source, base: tuple[str | int, ...]) -> str:
    loc: tuple[str | int, ...] = tuple(part for part in fault["loc"] if part != "[key]")
    path, where, kind = dotted((*base, *loc)) or "the file", (*base, *loc), fault["type"]
    if kind == "extra_forbidden":
        return f"{source.place(where, key=True)}: {_unknown_key(path, loc, model)}"
    if kind == "missing":
        return f"{source.place(where[:-1])}: {path} is missing; add it"
    if kind == "refused":
        context = fault["ctx"]
        return f"{source.place(where)}: {path}: {context['reason']}; {context['fix']}"
    value = fault["input"]
    # What replaces a variable's name may be a secret.
    hidden = bool({"secret_from", "password_from", "extra_headers_from"} & set(loc)) or (
        isinstance(value, str) and looks_secret(value)
    )
    shown = "" if hidden or not isinstance(value, str | int | float) else f" ({value!r})"
    return f"{source.place(where)}: {path} cannot be used{shown}; {_fix(fault, loc)}"


def _unknown_key(path: str, loc: tuple[str | int, ...], model: type[BaseModel]) -> str:
    known = _known_keys(model, loc[:-1])
    near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
    if _SECRET_KEYS.match(str(loc[-1])):
        names = [name for name in known if name.endswith("_from")]
        if names:
            return (
                f"{path} would be a secret in a file; name its environment variable in {' or '.join(names)}"
            )
    return f"unknown key {path}; " + (
        f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    )


def _fix(fault: Any, loc: Sequence[str | int]) -> str:
    kind: str = fault["type"]
    names = [part for part in loc if isinstance(part, str)]
    if kind == "string_pattern_mismatch":
        by_place = _BY_PLACE.get((names[-2], names[-1])) if len(names) > 1 else None
        by_field = next((_BY_FIELD[name] for name in reversed(names) if name in _BY_FIELD), None)
        return by_place or by_field or _NAME_RULE
    if kind in {"string_too_short", "string_too_long"}:
        context = fault["ctx"]
        if names[-1:] == ["name"] and (context.get("min_length") == 3 or context.get("max_length") == 60):
            return "use 3 to 60 characters"
        if "max_length" in context:
            return f"use at most {context['max_length']} characters"
        return "write something"
    if kind == "literal_error":
        expected = re.findall(r"'([^']*)'", fault["ctx"]["expected"])
        near = difflib.get_close_matches(str(fault["input"]).upper(), [one.upper() for one in expected], n=1)
        match = next((one for one in expected if near and one.upper() == near[0]), None)
        return f"did you mean {match}?" if match else f"use one of {', '.join(expected)}"
    message: str = fault["msg"]
    return _TYPES.get(kind) or message[0].lower() + message[1:]


def _known_keys(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    for part in loc:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that an annotation such as `list[Prompt]` or `Tile | None` is about."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    for part in typing.get_args(annotation):
        if found := _model_in(part):
            return found
    return None
