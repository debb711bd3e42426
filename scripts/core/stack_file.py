"""Read `config/stack.yaml`, the desired state, and refuse what is not understood with line and column."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .errors import StackFileError

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
# A project's id is the name of its credentials file, also on file systems that ignore case.
ProjectId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Name = Annotated[str, Field(min_length=3, max_length=60)]  # as the server's forms allow

_EXPLAINED = {
    "string_pattern_mismatch": "use letters, digits, - and _ only, beginning with a letter or digit "
    "(project ids in lower case)",
    "string_too_short": "use 3 to 60 characters",
    "string_too_long": "use 3 to 60 characters",
    "string_type": "write text here (a number needs quotes)",
    "too_short": "give at least one",
    "missing": "add it",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Organization(_Strict):
    """The organization that all projects belong to."""

    id: Identifier
    name: Name


class Admin(_Strict):
    """The first login."""

    email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
    name: Name = "Admin"


class FixedKey(_Strict):
    """An API key that is chosen instead of generated; its secret part never stands in the file."""

    public: Annotated[str, Field(pattern=r"^pk-lf-[A-Za-z0-9_-]{4,100}$")]
    secret_from: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]


class Project(_Strict):
    """A project and its key."""

    id: ProjectId
    name: Name
    key: FixedKey | None = None


class Stack(_Strict):
    """The desired state."""

    organization: Organization
    admin: Admin
    projects: Annotated[tuple[Project, ...], Field(min_length=1)]

    @field_validator("projects", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


_SPECIAL_FIXES = {
    "email": "write it as name@example.com",
    "public": "begin with pk-lf- and use letters, digits, - and _",
    "secret_from": "give the NAME of an environment variable, not the secret",
}


def load_stack(path: Path, shown: str) -> Stack:
    """Return the desired state; `shown` is what messages call the file.

    Raises:
        StackFileError: it is absent, not YAML, or says something not understood. All faults are named.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StackFileError(
            f"{shown} cannot be read: {error}.", fix=f"restore it: git checkout -- {shown}"
        ) from error
    return parse_stack(text, shown)


def parse_stack(text: str, shown: str) -> Stack:
    """Return the desired state that `text` describes. Raises StackFileError, see load_stack."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        repeated = list(_repeated_keys(node)) if node else []
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StackFileError(
            f"{shown} is not YAML: {_one_line(error)}.", fix="correct that place."
        ) from error
    faults = [f"{shown}:{_position(key)}: {key.value} is given twice; keep one" for key in repeated]
    stack: Stack | None = None
    try:
        stack = Stack.model_validate(content if content is not None else {})
    except ValidationError as error:
        faults += [f"{shown}:{_describe(node, fault)}" for fault in error.errors()]
    if stack:
        faults += [f"{shown}:{fault}" for fault in _duplicates(node, stack)]
    if stack is None or faults:
        count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise StackFileError(f"{shown} has {count}; nothing was changed.", details=faults)
    return stack


def _describe(root: yaml.Node | None, fault: Any) -> str:
    """Return `line:column: what is wrong; what to write` for one fault that pydantic found."""
    loc: Sequence[str | int] = fault["loc"]
    path = _dotted(loc)
    kind = fault["type"]
    if kind == "extra_forbidden":
        known = _known_keys(loc[:-1])
        near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
        fix = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        return f"{_position(_find(root, loc, key=True))}: unknown key {path}; {fix}"
    if kind == "missing":
        return f"{_position(_find(root, loc[:-1]))}: {path} is missing; add it"
    special = _SPECIAL_FIXES.get(str(loc[-1])) if loc and kind == "string_pattern_mismatch" else None
    fix = special or _EXPLAINED.get(kind) or fault["msg"][0].lower() + fault["msg"][1:]
    # What stands in the place of a variable's name may be a secret.
    hidden = bool(loc) and loc[-1] == "secret_from"
    shown = "" if hidden or not isinstance(fault["input"], str | int | float) else f" ({fault['input']!r})"
    return f"{_position(_find(root, loc))}: {path or 'the file'} cannot be used{shown}; {fix}"


def _known_keys(loc: Sequence[str | int]) -> list[str]:
    model: type[BaseModel] = Stack
    children: dict[str, type[BaseModel]] = {
        "organization": Organization,
        "admin": Admin,
        "projects": Project,
        "key": FixedKey,
    }
    for part in loc:
        if isinstance(part, str):
            model = children[part]
    return list(model.model_fields)


def _duplicates(root: yaml.Node | None, stack: Stack) -> Iterable[str]:
    for field in ("id", "name"):
        seen: set[str] = set()
        for number, project in enumerate(stack.projects):
            value = getattr(project, field)
            if value in seen:
                place = _position(_find(root, ("projects", number, field)))
                yield f"{place}: projects[{number}].{field} {value!r} is used twice"
            seen.add(value)
    keys: set[str] = set()
    for number, project in enumerate(stack.projects):
        if project.key and project.key.public in keys:
            place = _position(_find(root, ("projects", number, "key", "public")))
            yield f"{place}: the key {project.key.public!r} is used twice"
        if project.key:
            keys.add(project.key.public)


def _find(node: yaml.Node | None, loc: Sequence[str | int], *, key: bool = False) -> yaml.Node | None:
    """Return the node at `loc` (its key instead of its value with `key`), or the nearest one above it."""
    for depth, part in enumerate(loc):
        if isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == part), None)
            if pair is None:
                return node
            node = pair[0] if key and depth == len(loc) - 1 else pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
    return node


def _repeated_keys(node: yaml.Node) -> Iterable[yaml.ScalarNode]:
    children: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[object] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key
            seen.add(key.value)
            children.append(value)
    elif isinstance(node, yaml.SequenceNode):
        children = node.value
    for child in children:
        yield from _repeated_keys(child)


def _position(node: yaml.Node | None) -> str:
    mark = node.start_mark if node else None
    return f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"


def _dotted(loc: Sequence[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".")


def _one_line(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())
