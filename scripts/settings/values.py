"""The values of all settings: merged from the environment, `.env` and defaults, and checked at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.core.errors import SettingsError

from .envfile import EnvFile
from .model import Computed, Reader, SetBy, Setting
from .problem import Problem
from .rules import broken_rules


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked values by name. A setting without value and default is absent."""

    values: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    def get(self, name: str) -> str:
        """Return the value, or an empty string."""
        return self.values.get(name, "")

    def integer(self, name: str) -> int:
        """Return the value of a numeric setting."""
        return int(self.values[name])


def load_settings(
    settings: Sequence[Setting],
    env_file: EnvFile,
    environment: Mapping[str, str],
    generated: Mapping[str, str] | None = None,
    further: EnvFile | None = None,
    elsewhere: Sequence[Problem] = (),
) -> Settings:
    """Return the values of `settings`; the environment wins over `.env`, that over `generated` and defaults.

    Args:
        settings: the table.
        env_file: `.env`.
        environment: of the process.
        generated: secrets that are made now.
        further: `.env.langfuse`, whose variables count where settings have to fit together.
        elsewhere: what is wrong in that file.

    Raises:
        SettingsError: one or more values are wrong; the message names all of them.
    """
    unreadable = [
        Problem("a line", f".env:{number}", "is not NAME=value in UTF-8", "comment it out with #")
        for number in env_file.unreadable
    ]
    values, flaws, places = _merge(settings, env_file, environment, generated or {})
    problems = [*unreadable, *_repeated(env_file), *flaws, *elsewhere]
    if not problems:
        problems += broken_rules(values, places, further.values() if further else None)
    if problems:
        count = "One setting is" if len(problems) == 1 else f"{len(problems)} settings are"
        raise SettingsError(
            f"{count} wrong; nothing was started.",
            details=[str(problem) for problem in problems],
            fix="correct that (every setting is explained in docs/reference/environment.md), then repeat.",
        )
    return Settings(values)


def load_settings_leniently(
    settings: Sequence[Setting], env_file: EnvFile, environment: Mapping[str, str]
) -> Settings:
    """Return the values, defaults in place of wrong ones: for commands that look at a stack or stop it."""
    values, _, _ = _merge(settings, env_file, environment, {})
    return Settings(values)


# Names, ports and the size are given by CI jobs as well, which take the engine that there is.
_OF_NO_ENGINE = frozenset({"COMPOSE_PROJECT_NAME", "LANGFUSE_VERSION", "S3_PORT", "STACK_SIZE"})


def compose_only(
    settings: Sequence[Setting], env_file: EnvFile, environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the settings that a person has changed and that only the compose engine has, in their order."""
    in_file = env_file.values()
    found = []
    for setting in settings:
        shell = environment.get(setting.name, "") if setting.set_by is SetBy.OPERATOR else ""
        value = shell or in_file.get(setting.name, "")
        theirs = Reader.COMPOSE in setting.used_by and Reader.EMBEDDED not in setting.used_by
        by_person = setting.set_by in {SetBy.OPERATOR, SetBy.FILE} and setting.name not in _OF_NO_ENGINE
        if value and theirs and by_person and value != setting.default_text():
            found.append(setting.name)
    return tuple(found)


def _merge(
    settings: Sequence[Setting],
    env_file: EnvFile,
    environment: Mapping[str, str],
    generated: Mapping[str, str],
) -> tuple[dict[str, str], list[Problem], dict[str, str]]:
    """Return the right values (a default replaces a wrong one), what is wrong, and where given ones stand."""
    given = {one.name: one for one in env_file.assignments if one.value}
    lines = {name: one.line for name, one in given.items()}
    in_file = env_file.values()
    values: dict[str, str] = {}
    problems: list[Problem] = []
    places: dict[str, str] = {}
    for setting in settings:
        if not setting.in_env_file:
            problems += _without_effect(setting, in_file, lines)
        if setting.set_by is SetBy.DERIVED:
            continue
        value, place = environment.get(setting.name, ""), "environment"
        if setting.set_by is SetBy.FILE:
            value = ""
        if not value and setting.in_env_file:
            value, place = in_file.get(setting.name, ""), f".env:{lines.get(setting.name, 0)}"
        literal = place.startswith(".env") and setting.name in given and given[setting.name].literal
        flaws = _flaws(setting, value, place, literal=literal) if value else []
        if flaws or not value:
            value = generated.get(setting.name, "") or _default(setting, values)
        else:
            places[setting.name] = place
        if value:
            values[setting.name] = value
        problems += flaws
    return values, problems, places


def _default(setting: Setting, values: Mapping[str, str]) -> str:
    if isinstance(setting.default, Computed):
        return setting.default.compute(values)
    return setting.default


def _repeated(env_file: EnvFile) -> list[Problem]:
    """Return the names with two values; an empty line counts as unset, so it repeats nothing."""
    first: dict[str, int] = {}
    problems = []
    for assignment in env_file.assignments:
        if not assignment.value:
            continue
        if assignment.name in first:
            problems.append(
                Problem(
                    assignment.name,
                    f".env:{assignment.line}",
                    f"is set in line {first[assignment.name]} already",
                    "keep one of the two",
                )
            )
        first.setdefault(assignment.name, assignment.line)
    return problems


def _without_effect(setting: Setting, in_file: Mapping[str, str], lines: Mapping[str, int]) -> list[Problem]:
    if not in_file.get(setting.name):
        return []
    place = f".env:{lines[setting.name]}"
    if setting.set_by is SetBy.ENVIRONMENT:
        return [Problem(setting.name, place, "is not read from this file", "set it in the environment")]
    reason = "is computed at each start and has no effect here"
    fix = "remove the line (organization, projects and admin are in config/stack.yaml)"
    return [Problem(setting.name, place, reason, fix)]


def _flaws(setting: Setting, value: str, place: str, *, literal: bool) -> list[Problem]:
    if not literal and (value[0] in "\"'" or value[-1] in "\"'"):
        reason, fix = "is wrapped in quotes, which would become part of the value", "remove the quotes"
        return [Problem(setting.name, place, reason, fix)]
    if "$" in value and place.startswith(".env") and not literal:
        reason, fix = "contains $, which Docker Compose replaces", "put the value in single quotes"
        return [Problem(setting.name, place, reason, fix)]
    flaw = setting.kind.check(value)
    return [Problem(setting.name, place, flaw.reason, flaw.fix)] if flaw else []
