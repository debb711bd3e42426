"""The plan of a rotation: what changes, what that does, in which order. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from scripts.core.errors import UsageError
from scripts.engines.base import EngineName
from scripts.settings.model import SetBy, Setting
from scripts.settings.table import SETTINGS

from .catalog import REFUSED, Place, Rotatable, find

_BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
SECRETS = frozenset(name for name, one in _BY_NAME.items() if one.secret and one.in_env_file)


class Step(StrEnum):
    """What is done; each can be repeated, so that an interrupted rotation goes on or back."""

    STORE = "change it where it is kept"
    ENV = "write it to .env"
    START = "start what reads it anew"
    VERIFY = "see that the new value works and the former does not"


@dataclass(frozen=True, slots=True)
class Change:
    """A setting with its former and its new value."""

    name: str
    old: str = field(repr=False)
    new: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """One rotation.

    Attributes:
        running: whether the engine runs; a stopped one is not started.
    """

    secret: Rotatable
    changes: tuple[Change, ...]
    engine: EngineName
    running: bool
    steps: tuple[Step, ...]

    @property
    def names(self) -> str:
        """The settings, for people."""
        return " and ".join(change.name for change in self.changes)

    def undone(self) -> Plan:
        """Return the plan that puts the former values back."""
        back = tuple(Change(change.name, change.new, change.old) for change in self.changes)
        return Plan(self.secret, back, self.engine, self.running, self.steps)


def make_plan(
    name: str,
    *,
    values: Mapping[str, str],
    environment: Mapping[str, str],
    engine: EngineName,
    running: bool,
    given: str,
) -> Plan:
    """Return the plan that gives a secret a new value.

    Args:
        values: the settings.
        environment: of this process, which wins over `.env`.
        given: the new value, where someone else makes it or the operator wants this one.

    Raises:
        UsageError: this cannot be rotated, or not so; nothing was changed.
    """
    secret = _rotatable(name)
    if engine not in secret.engines:
        raise UsageError(
            f"The {engine} engine does not use {name}.",
            fix="edit it in .env if you like; it counts once the compose engine is used.",
        )
    _refuse_environment(secret, environment)
    own_store = next((one for one in secret.own_store if values.get(one)), "")
    place = Place.ELSEWHERE if own_store else secret.place
    if place is Place.POSTGRES and not running:
        raise UsageError(
            f"{name} is kept in PostgreSQL, which does not run.", fix="start the stack first: make up"
        )
    changes = tuple(
        Change(one, values.get(one, ""), _new_value(one, place, given, alone=len(secret.names) == 1))
        for one in secret.names
    )
    return Plan(secret, changes, engine, running, _steps(place, engine, running=running))


def _rotatable(name: str) -> Rotatable:
    if name in REFUSED:
        raise UsageError(REFUSED[name].why, fix=f"{REFUSED[name].instead}.")
    secret = find(name, SECRETS)
    if secret is None:
        raise UsageError(
            f"There is no secret {name}." if name else "Say which secret.",
            fix="make rotate lists them; API keys of projects are rotated in config/stack.yaml.",
        )
    return secret


def _refuse_environment(secret: Rotatable, environment: Mapping[str, str]) -> None:
    outside = [
        name for name in secret.names if environment.get(name) and _BY_NAME[name].set_by is not SetBy.FILE
    ]
    if outside:
        raise UsageError(
            f"{', '.join(outside)} is set in the environment, which wins over .env.",
            fix="change it where the environment is made, or unset it there; then repeat.",
        )


def _new_value(name: str, place: Place, given: str, *, alone: bool) -> str:
    setting = _BY_NAME[name]
    if given and not alone:
        raise UsageError(
            f"{name} is one of two values that change together; NEW_VALUE is one.",
            fix="write both to .env, then make up.",
        )
    if given:
        flaw = setting.kind.check(given)
        if flaw:
            raise UsageError(f"NEW_VALUE {flaw.reason}.", fix=f"{flaw.fix}.")
        return given
    if place is Place.ELSEWHERE or setting.generate is None:
        raise UsageError(
            f"The new value of {name} comes from whoever issued the former one.",
            fix=f"NEW_VALUE=... make rotate SECRET={name}; on a terminal you are asked for it.",
        )
    return setting.generate()


def _steps(place: Place, engine: EngineName, *, running: bool) -> tuple[Step, ...]:
    steps = [Step.ENV]
    if place in (Place.POSTGRES, Place.USERS, Place.BACKUPS):
        steps.insert(0, Step.STORE)
    # A password of a user is read at the first start only, and no server knows that of the backups.
    if running and place not in (Place.USERS, Place.BACKUPS):
        steps.append(Step.START)
    if running or place is Place.BACKUPS or engine is EngineName.EMBEDDED:
        steps.append(Step.VERIFY)
    return tuple(steps)
