"""Read `config/stack.yaml` and all that it includes; refuse what is not understood, with place and fix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from scripts.core.edited_file import read_edited
from scripts.core.errors import StackFileError

from .content import Content, Dataset, DatasetItem, Prompt
from .faults import faults_of, secrets_in
from .item_files import ItemFileError, read_items
from .source import Loc, NotYaml, Source, read_yaml
from .stack import Part, Project, Stack

M = TypeVar("M", bound=BaseModel)
YAML_SUFFIXES = frozenset({".yaml", ".yml"})
PROMPT_SUFFIXES = frozenset({".md", ".txt"})
DATA_SUFFIXES = frozenset({".jsonl", ".csv"})
# What people and tools put beside such files.
_PASSED_OVER = frozenset({"README.md", "LICENSE"})


@dataclass(slots=True)
class Places:
    """Where each object of the configuration stands."""

    _places: dict[int, tuple[object, Source, tuple[str | int, ...]]] = field(default_factory=dict)

    def add(self, thing: BaseModel, source: Source, loc: Loc = ()) -> None:
        """Remember where an object stands."""
        # The object itself is kept, so that its id is not given to another.
        self._places[id(thing)] = (thing, source, tuple(loc))

    def of(self, thing: BaseModel, *loc: str | int) -> str:
        """Return `file:line:column` of an object, or of something inside it."""
        _, source, base = self._places[id(thing)]
        return source.place((*base, *loc))

    def move(self, thing: BaseModel, copy: BaseModel) -> None:
        """Let a changed copy stand where the original stands."""
        _, source, base = self._places[id(thing)]
        self.add(copy, source, base)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The desired state, and where each of its objects stands."""

    stack: Stack
    places: Places


class _Reader:
    """Reads files, and gathers faults instead of stopping at the first."""

    def __init__(self, root: Path, shown_root: str) -> None:
        self._root = root
        self._shown_root = shown_root
        self.faults: list[str] = []
        self.places = Places()
        self._used_data: set[Path] = set()

    def shown(self, path: Path) -> str:
        """Return what messages call a file: its path as the stack file's own is shown."""
        base = Path(self._shown_root).parent
        try:
            return str(base / path.relative_to(self._root))
        except ValueError:
            return str(path)

    def yaml(self, text: str, path: Path, lines_before: int = 0) -> Source | None:
        """Return a YAML text with positions; a fault and None when it is not YAML."""
        try:
            source = read_yaml(text, path, self.shown(path), lines_before)
        except NotYaml as error:
            self.faults.append(
                f"{self.shown(path)}:{error.line}:{error.column}: this is not YAML: {error.problem}; "
                "correct that place"
            )
            return None
        self.faults += source.repeated
        self.faults += secrets_in(source)
        return source

    def model(self, kind: type[M], source: Source, data: Any = None) -> M | None:
        """Return a model of what a source says; faults and None when it does not fit."""
        try:
            return kind.model_validate(
                data if data is not None else source.data if source.data is not None else {}
            )
        except ValidationError as error:
            self.faults += faults_of(error, kind, source)
            return None

    def text(self, path: Path, place: str) -> str | None:
        """Return the text of a file; a fault at `place` and None when it cannot be read."""
        try:
            return path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            self.faults.append(f"{self.shown(path)}:1:1: this is not UTF-8; save it as UTF-8")
        except OSError as error:
            self.faults.append(
                f"{place}: {self.shown(path)} cannot be read ({error.strerror}); correct the path"
            )
        return None

    def part(self, part: Part, source: Source, open_files: tuple[Path, ...]) -> Part:
        """Return a part with everything that it includes."""
        organizations, members = list(part.organizations), list(part.members)
        for name in ("organizations", "members"):
            for number, thing in enumerate(getattr(part, name)):
                self.places.add(thing, source, (name, number))
        projects = [self.project(one, source, ("projects", n)) for n, one in enumerate(part.projects)]
        for number, name in enumerate(part.include):
            place = source.place(("include", number))
            for path in self.files(source.path.parent / name, place):
                if path in open_files:
                    self.faults.append(f"{place}: {self.shown(path)} includes itself; remove it here")
                    continue
                if path.suffix not in YAML_SUFFIXES:
                    self.faults.append(f"{place}: {self.shown(path)} is not YAML; name a .yaml file")
                    continue
                text = self.text(path, place)
                inner = self.yaml(text, path) if text is not None else None
                found = self.model(Part, inner) if inner else None
                if inner and found:
                    found = self.part(found, inner, (*open_files, path))
                    organizations += found.organizations
                    members += found.members
                    projects += found.projects
        return part.model_copy(
            update={"organizations": organizations, "members": members, "projects": projects}
        )

    def project(self, project: Project, source: Source, loc: Loc) -> Project:
        """Return a project with the content of its files."""
        gathered = self.content(project, source, loc)
        for number, name in enumerate(project.content):
            place = source.place((*loc, "content", number))
            base = (source.path.parent / name).resolve()
            unused: list[Path] = []
            for path in self.files(base, place):
                if path.suffix in DATA_SUFFIXES:
                    unused.append(path)
                elif found := self.content_file(path, base, place):
                    gathered = _joined(gathered, found)
            self.faults += [
                f"{self.shown(path)}:1:1: no dataset names this file; name it in items_from, or move it"
                for path in unused
                if path not in self._used_data
            ]
        whole = project.model_copy(update=gathered)
        self.places.add(whole, source, loc)
        for number, key in enumerate(project.keys):
            self.places.add(key, source, (*loc, "keys", number))
        return whole

    def files(self, path: Path, place: str) -> list[Path]:
        """Return a file, or the files of a folder in the order of their names; a fault when it is absent."""
        path = path.resolve()
        if path.is_dir():
            found = [
                one
                for one in sorted(path.rglob("*"))
                if one.is_file()
                and one.name not in _PASSED_OVER
                and not any(part.startswith((".", "_")) for part in one.relative_to(path).parts)
            ]
            if not found:
                self.faults.append(f"{place}: the folder {self.shown(path)} is empty; remove it here")
            return found
        if not path.is_file():
            self.faults.append(f"{place}: {self.shown(path)} does not exist; correct the path")
            return []
        return [path]

    def content_file(self, path: Path, base: Path, place: str) -> dict[str, list[Any]] | None:
        """Return what a file of a project's content adds."""
        if path.suffix not in YAML_SUFFIXES | PROMPT_SUFFIXES:
            self.faults.append(
                f"{place}: {self.shown(path)} is neither content (.yaml), a prompt (.md, .txt) nor items "
                "(.jsonl, .csv); move it elsewhere"
            )
            return None
        text = self.text(path, place)
        if text is None:
            return None
        if path.suffix in PROMPT_SUFFIXES:
            prompt = self.prompt_file(text, path, base)
            return {"prompts": [prompt]} if prompt else None
        source = self.yaml(text, path)
        content = self.model(Content, source) if source else None
        return self.content(content, source, ()) if source and content else None

    def prompt_file(self, text: str, path: Path, base: Path) -> Prompt | None:
        """Return the prompt of a text file: front matter between lines of `---`, then its text."""
        head, body, lines = "", text, 0
        if text.startswith("---\n"):
            head, mark, body = text[4:].partition("\n---\n")
            lines = 1
            if not mark:
                self.faults.append(
                    f"{self.shown(path)}:1:1: the front matter does not end; close it with a line ---"
                )
                return None
        source = self.yaml(head, path, lines)
        if source is None:
            return None
        front = source.data or {}
        if not isinstance(front, dict):
            self.faults.append(f"{source.place()}: the front matter is not a mapping; write name: value")
            return None
        self.faults += secrets_in(Source(path, source.shown, body))
        data = {"name": _prompt_name(path, base), "prompt": body.strip("\n"), **front}
        prompt = self.model(Prompt, source, data)
        if prompt:
            self.places.add(prompt, source)
        return prompt

    def content(self, content: Content, source: Source, loc: Loc) -> dict[str, list[Any]]:
        """Return the objects of a content, their places noted and the items of datasets read."""
        found: dict[str, list[Any]] = {name: list(getattr(content, name)) for name in Content.model_fields}
        for name, things in found.items():
            for number, thing in enumerate(things):
                self.places.add(thing, source, (*loc, name, number))
                if isinstance(thing, Prompt):
                    for at, version in enumerate(thing.versions):
                        self.places.add(version, source, (*loc, name, number, "versions", at))
                if isinstance(thing, Dataset):
                    things[number] = self.dataset(thing, source, (*loc, name, number))
        return found

    def dataset(self, dataset: Dataset, source: Source, loc: Loc) -> Dataset:
        """Return a dataset with the items of its file."""
        for number, item in enumerate(dataset.items):
            self.places.add(item, source, (*loc, "items", number))
        if dataset.items_from is None:
            return dataset
        place = source.place((*loc, "items_from"))
        path = (source.path.parent / dataset.items_from).resolve()
        self._used_data.add(path)
        text = self.text(path, place)
        items: list[DatasetItem] = []
        try:
            for line, row in read_items(text or "", path.suffix):
                row_source = Source(path, self.shown(path), row, None, line)
                self.faults += secrets_in(row_source)
                found = self.model(DatasetItem, row_source, row)
                if found:
                    self.places.add(found, row_source)
                    items.append(found)
        except ItemFileError as error:
            self.faults.append(f"{self.shown(path)}:{error.line}:1: {error.reason}; {error.fix}")
        whole = dataset.model_copy(update={"items": items, "items_from": None})
        self.places.move(dataset, whole)
        return whole


def load_stack(path: Path, shown: str) -> Stack:
    """Return the desired state; `shown` is what messages call the file.

    Raises:
        StackFileError: it is absent, not YAML, or says something not understood. All faults are named.
    """
    return load(path, shown).stack


def load(path: Path, shown: str) -> Loaded:
    """Return the desired state with places. Raises StackFileError, see load_stack."""
    return _load(read_edited(path, shown, StackFileError), path.resolve(), shown)


def parse_stack(text: str, shown: str) -> Stack:
    """Return the desired state that `text` describes. Raises StackFileError, see load_stack."""
    return _load(text, Path(shown).resolve(), shown).stack


def _load(text: str, path: Path, shown: str) -> Loaded:
    from .checks import check

    reader = _Reader(path.parent, shown)
    source = reader.yaml(text, path)
    stack = reader.model(Stack, source) if source else None
    if source and stack:
        reader.places.add(stack, source)
        if not stack.projects and not stack.include:
            reader.faults.append(f"{source.place(('projects',))}: there is no project; give at least one")
        whole = reader.part(stack, source, (path,))
        assert isinstance(whole, Stack)  # noqa: S101 - a copy has the type of its original
        reader.places.move(stack, whole)
        stack = whole
        reader.faults += check(stack, reader.places)
    if stack is None or reader.faults:
        faults = sorted(dict.fromkeys(reader.faults), key=_by_place)
        count = "one problem" if len(faults) == 1 else f"{len(faults)} problems"
        raise StackFileError(f"{shown} has {count}; nothing was changed.", details=faults)
    return Loaded(stack, reader.places)


def _by_place(fault: str) -> tuple[str, int, int]:
    file, line, column, *_ = fault.split(":")
    return (file, int(line), int(column)) if line.isdigit() and column.isdigit() else (fault, 0, 0)


def _joined(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> dict[str, list[Any]]:
    names: Iterable[str] = Content.model_fields
    return {name: [*one.get(name, []), *other.get(name, [])] for name in names}


def _prompt_name(path: Path, base: Path) -> str:
    """Return the name of a prompt file: its path below the nearest folder `prompts`, without suffix."""
    relative = path.relative_to(base if base.is_dir() else base.parent).with_suffix("")
    parts = relative.parts
    if "prompts" in parts[:-1]:
        parts = parts[len(parts) - 1 - parts[::-1].index("prompts") + 1 :]
    return "/".join(parts)
