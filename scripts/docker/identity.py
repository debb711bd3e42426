"""Know whose a compose stack is: only the checkout that made containers and volumes acts on them.

A name says too little: the default is the same in every checkout, and two jobs of a CI server meet on one
Docker host. So each stack has an id in its directory, and its volumes carry that id and the path of their
checkout as labels; containers carry the path that Compose gives them.
"""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.core.errors import StackError, UsageError
from scripts.core.layout import Layout, write_private
from scripts.core.runner import Runner

from .client import Client
from .containers import PROJECT_LABEL

ID_LABEL = "langfuse-stack.id"
CHECKOUT_LABEL = "langfuse-stack.checkout"
VOLUME_LABEL = "com.docker.compose.volume"
WORKING_DIR_LABEL = "com.docker.compose.project.working_dir"
MOST_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Identity:
    """What a stack knows of itself, in its directory.

    Attributes:
        id: of this stack; its volumes carry it.
        checkout: where the repository was when the stack was started last.
        stack_dir: where its directory was then.
        projects: names that it was started under, the last one at the end.
        former: paths of checkouts whose containers it has taken over.
    """

    id: str
    checkout: str
    stack_dir: str
    projects: tuple[str, ...] = ()
    former: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose the containers and volumes of a name are, where they are not those of this checkout.

    Attributes:
        path: of the other checkout, or empty when nothing says it.
        id: of the other stack, or empty.
        things: what was found, by name.
    """

    path: str
    id: str
    things: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A container or volume of a project, with what its labels say."""

    kind: str
    name: str
    path: str
    id: str = ""

    @property
    def text(self) -> str:
        """What it is, in two words."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Remains:
    """What Docker has of a project."""

    containers: tuple[Found, ...] = ()
    volumes: tuple[Found, ...] = ()
    unreachable: bool = field(default=False, compare=False)

    @property
    def all(self) -> tuple[Found, ...]:
        """Both."""
        return (*self.containers, *self.volumes)


def read_identity(path: Path) -> Identity | None:
    """Return what the file says; None without one, or where it cannot be understood."""
    try:
        row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        lists = {name: tuple(map(str, row.get(name) or ())) for name in ("projects", "former")}
        return Identity(str(row["id"]), str(row["checkout"]), str(row["stack_dir"]), **lists)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        return None


def keep_identity(layout: Layout, project: str) -> Identity:
    """Note that this stack is started under that name, from where it is now; return what is noted."""
    known = read_identity(layout.identity_file)
    here, directory = str(layout.root), str(layout.stack_dir)
    # A copy of another stack's directory becomes a stack by itself.
    kept = known if known and not _copied_from(layout, known) else None
    noted = kept or Identity(secrets.token_hex(8), here, directory)
    former = (*noted.former, noted.checkout) if noted.checkout != here else noted.former
    noted = replace(
        noted,
        checkout=here,
        stack_dir=directory,
        projects=(*(name for name in noted.projects if name != project), project),
        former=tuple(path for path in dict.fromkeys(former) if path != here),
    )
    if noted != known:
        write_identity(layout, noted)
    return noted


def last_name(layout: Layout) -> str:
    """Return the name that this stack was started under last; empty before that, and in a copy of it."""
    known = read_identity(layout.identity_file)
    return known.projects[-1] if known and known.projects and not _copied_from(layout, known) else ""


def write_identity(layout: Layout, identity: Identity) -> None:
    """Write the file."""
    write_private(layout.identity_file, json.dumps(asdict(identity), indent=2) + "\n")


def remains_of(runner: Runner, project: str, environment: Mapping[str, str] | None = None) -> Remains:
    """Return what Docker has of that name; nothing where it does not answer, which others will say."""
    label = ("--filter", f"label={PROJECT_LABEL}={project}", "--format")
    texts = []
    for arguments in (
        ("ps", "--all", *label, _columns(".Names", WORKING_DIR_LABEL)),
        ("volume", "ls", *label, _columns(".Name", CHECKOUT_LABEL, ID_LABEL)),
    ):
        try:
            done = Client(runner, environment).run(*arguments)
        except StackError:
            return Remains(unreachable=True)
        if done.returncode != 0:
            return Remains(unreachable=True)
        texts.append(done.stdout)
    containers, volumes = texts
    return Remains(
        # Compose gives the path to each of its containers: one without it was made by something else.
        tuple(Found("container", name, path) for name, path, _ in _rows(containers) if path),
        tuple(Found("volume", *row) for row in _rows(volumes)),
    )


def other_owner(layout: Layout, project: str, remains: Remains) -> Owner | None:
    """Return whose the remains of that name are; None when there are none, or they are this stack's."""
    known = read_identity(layout.identity_file)
    foreign = [one for one in remains.containers if not _is_ours(layout, known, one.path)]
    marked = [one for one in remains.volumes if one.id]
    foreign += [one for one in marked if not known or one.id != known.id]
    copied = _copied_from(layout, known) if known and not foreign else ""
    if copied and known:
        return Owner(copied, known.id, tuple(one.text for one in remains.all)) if remains.all else None
    if not foreign and (unmarked := [one for one in remains.volumes if not one.id]):
        # Made before volumes carried labels, or by hand.
        by_us = any(_is_ours(layout, known, one.path) for one in remains.containers)
        if not by_us and not _has_run(layout, known, project):
            foreign = unmarked
    if not foreign:
        return None
    paths = [one.path for one in foreign if one.path]
    ids = [one.id for one in foreign if one.id]
    return Owner(paths[0] if paths else "", ids[0] if ids else "", tuple(one.text for one in foreign))


def require_own(
    runner: Runner, layout: Layout, project: str, environment: Mapping[str, str] | None = None
) -> None:
    """Return when what Docker has under that name is this stack's, or nothing.

    Raises:
        UsageError: it is another's; nothing was changed.
    """
    owner = other_owner(layout, project, remains_of(runner, project, environment))
    if owner:
        raise refusal(layout, project, owner)


def refusal(layout: Layout, project: str, owner: Owner) -> UsageError:
    """Return the error that names both places and the ways out."""
    where = owner.path or "not known: its volumes carry no mark"
    if owner.path == str(layout.root):
        where += " (the same path; another machine or container, or .stack was deleted since)"
    more = len(owner.things) - MOST_SHOWN
    shown = ", ".join(owner.things[:MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
    name = _other_name(layout, project)
    path = shlex.quote(layout.shown(layout.env_file))
    return UsageError(
        f"The containers and volumes called {project} in Docker are not those of this checkout; "
        "nothing was changed.",
        details=[f"this checkout: {layout.root}", f"the other one: {where}", f"found: {shown}"],
        fix=f"give this stack another name and other ports (echo COMPOSE_PROJECT_NAME={name} >> {path}; "
        "LANGFUSE_PORT, S3_PORT likewise). If the other checkout was moved here or is gone: make adopt.",
    )


def take_over(layout: Layout, project: str, remains: Remains) -> None:
    """Note that what Docker has under that name is this stack's from now on.

    The mark of a volume cannot be changed, so that this stack takes the id of the volumes. Raises UsageError
    when they carry several.
    """
    ids = sorted({one.id for one in remains.volumes if one.id})
    if len(ids) > 1:
        raise UsageError(
            f"The volumes called {project} belong to {len(ids)} stacks; nothing was taken over.",
            fix=f"docker volume ls --filter label={PROJECT_LABEL}={project} lists them: remove foreign ones.",
        )
    noted = keep_identity(layout, project)
    former = (*noted.former, *(one.path for one in remains.all if one.path and one.path != str(layout.root)))
    write_identity(
        layout, replace(noted, id=ids[0] if ids else noted.id, former=tuple(dict.fromkeys(former)))
    )


def claim_volumes(runner: Runner, layout: Layout, project: str, model: Mapping[str, Any]) -> None:
    """Make the volumes that the services of `model` (`docker compose config`) need, marked as this stack's.

    Whoever makes a volume first has it, so that of two checkouts that start at once only one goes on.

    Raises:
        UsageError: another has made one in the meantime.
        CommandFailed: Docker refuses.
    """
    identity, client = keep_identity(layout, project), Client(runner)
    there = {one.name for one in remains_of(runner, project).volumes}
    for key, volume in sorted(_volumes_to_make(model).items()):
        name = str(volume.get("name") or f"{project}_{key}")
        if name in there:
            continue
        labels = ["--label", f"{PROJECT_LABEL}={project}"]
        labels += ["--label", f"{VOLUME_LABEL}={key}", "--label", f"{ID_LABEL}={identity.id}"]
        labels += ["--label", f"{CHECKOUT_LABEL}={layout.root}"]
        client.text("volume", "create", *labels, *_driver_options(volume), name)
        mark = f'{{{{index .Labels "{ID_LABEL}"}}}}'
        owner = client.run("volume", "inspect", "--format", mark, name).stdout.strip()
        if owner not in ("", identity.id):
            require_own(runner, layout, project)


def volumes_of_others(runner: Runner, layout: Layout, project: str) -> set[str]:
    """Return the names of the volumes of that project that carry another stack's mark."""
    known = read_identity(layout.identity_file)
    ours = known.id if known else ""
    return {one.name for one in remains_of(runner, project).volumes if one.id and one.id != ours}


def _volumes_to_make(model: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    declared: Mapping[str, Any] = model.get("volumes") or {}
    used = {
        str(mount.get("source"))
        for service in model["services"].values()
        for mount in service.get("volumes") or ()
        if mount.get("type") == "volume"
    }
    volumes = {key: declared[key] or {} for key in used if key in declared}
    return {key: volume for key, volume in volumes.items() if not volume.get("external")}


def _driver_options(volume: Mapping[str, Any]) -> list[str]:
    driver = ["--driver", str(volume["driver"])] if volume.get("driver") else []
    options = volume.get("driver_opts") or {}
    labels = volume.get("labels") or {}
    return [
        *driver,
        *(word for name, value in options.items() for word in ("--opt", f"{name}={value}")),
        *(word for name, value in labels.items() for word in ("--label", f"{name}={value}")),
    ]


def _columns(name: str, *labels: str) -> str:
    return "\t".join((f"{{{{{name}}}}}", *(f'{{{{.Label "{label}"}}}}' for label in labels)))


def _rows(text: str) -> list[tuple[str, str, str]]:
    rows = []
    for line in text.splitlines():
        name, path, mark = (*line.split("\t"), "", "")[:3]
        if name:
            rows.append((name, path, mark))
    return rows


def _is_ours(layout: Layout, known: Identity | None, path: str) -> bool:
    """Return whether a container of that working directory is this stack's."""
    if _is_same(layout.root, path):
        # A stack that never ran made none: there, the same path is that of another machine or container.
        return known is not None or _has_started(layout)
    if known is None:
        return False
    return path in known.former or path == known.checkout


def _has_run(layout: Layout, known: Identity | None, project: str) -> bool:
    return project in known.projects if known else _has_started(layout)


def _has_started(layout: Layout) -> bool:
    """Return whether this stack was started on Docker by a version that kept no identity."""
    return layout.langfuse_version_file.exists()


def _copied_from(layout: Layout, known: Identity) -> str:
    """Return where the stack is that this directory is a copy of; empty when it is none, or was moved."""
    if _is_same(layout.stack_dir, known.stack_dir):
        return ""
    try:
        original = read_identity(Path(known.stack_dir) / layout.identity_file.name)
    except OSError:
        # It cannot be looked at, so that it may be there.
        return known.checkout
    return known.checkout if original and original.id == known.id else ""


def _is_same(path: Path, other: str) -> bool:
    if str(path) == other:
        return True
    try:
        return bool(other) and path.samefile(other)
    except OSError:
        return False


def _other_name(layout: Layout, project: str) -> str:
    """Return a name to propose: that of the directory, where it is another."""
    letters = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in layout.root.name)
    name = letters.lower().strip("-")
    return name if name and name != project else f"{project}-2"
