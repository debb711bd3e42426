"""What a row of the settings table is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from .kinds import TEXT, Kind


class SetBy(StrEnum):
    """Who gives a setting its value."""

    OPERATOR = "operator"
    """A person, in `.env` or in the environment; the default stands otherwise."""
    GENERATED = "generated"
    """`make up`, once, at random; never changed afterwards."""
    ENVIRONMENT = "environment"
    """A person, but in the environment only: it is needed before `.env` is read."""
    FILE = "file"
    """A person, but in `.env` only: applications on the same host have variables of that name for
    themselves, and nobody wants a Langfuse in their application's database."""
    DERIVED = "derived"
    """Computed from other settings or `config/stack.yaml` at each start; not to be set."""


class Reader(StrEnum):
    """Who reads a setting."""

    COMPOSE = "compose"
    EMBEDDED = "embedded"
    SCRIPTS = "scripts"


@dataclass(frozen=True, slots=True)
class Computed:
    """A default that follows from other settings.

    Attributes:
        shown: how the reference page writes it, with `${NAME}` for other settings.
        compute: returns the value, given all settings further up in the table.
    """

    shown: str
    compute: Callable[[Mapping[str, str]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        name: the environment variable.
        description: one or two sentences for `.env.example` and the reference page.
        kind: what values are right.
        unit: of a number, such as `ms`.
        default: used while nobody sets it; empty means unset.
        generate: makes the value of a generated setting.
        set_by: who gives the value.
        secret: whether the value must never be shown.
        used_by: who reads it.
        since: the first server version that reads it; empty where all supported ones do.
    """

    name: str
    description: str
    kind: Kind = TEXT
    unit: str = ""
    default: str | Computed = ""
    generate: Callable[[], str] | None = None
    set_by: SetBy = SetBy.OPERATOR
    secret: bool = False
    used_by: tuple[Reader, ...] = (Reader.COMPOSE,)
    since: str = ""

    @property
    def in_env_file(self) -> bool:
        """Whether it can be set in `.env`."""
        return self.set_by in {SetBy.OPERATOR, SetBy.FILE, SetBy.GENERATED}

    def default_text(self) -> str:
        """Return the default as documents show it."""
        return self.default.shown if isinstance(self.default, Computed) else self.default


@dataclass(frozen=True, slots=True)
class Group:
    """Settings that belong together, with the heading that documents give them."""

    title: str
    settings: tuple[Setting, ...]
