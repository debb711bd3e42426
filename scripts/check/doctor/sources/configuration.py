"""What an operator edits: `.env`, `config/`, and the files that are compiled from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scripts.check.doctor.facts import Facts, Surroundings
from scripts.core.errors import StackError
from scripts.engines.context import Context
from scripts.provision.loading import load_stack
from scripts.settings.envfile import EnvFile
from scripts.settings.model import Computed
from scripts.settings.table import SETTINGS
from scripts.watch.alerts.compiled import stale_files
from scripts.watch.alerts.document import load_alerts
from scripts.watch.alerts.paths import alerts_file, secrets_dir
from scripts.watch.alerts.routing import actions_without_secret

# Set by people for Compose itself, see its documentation.
FOREIGN_PREFIXES = ("COMPOSE_", "DOCKER_", "BUILDKIT_")


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration as it is.

    Attributes:
        problems: what is wrong in `.env` and the environment, a line each; no secret is among them.
        env_exists: whether there is a `.env`.
        env_fault: why it cannot be read, or empty.
        unknown: names in `.env` that nothing reads.
        stack_fault: why config/stack.yaml cannot be used, or empty.
        projects: ids of the projects that config/stack.yaml describes.
        alerts_fault: why config/alerts.yaml cannot be used, or empty.
        stale: compiled files that differ from what config/alerts.yaml says.
        mute: actions of config/alerts.yaml whose secret is missing or empty, a text each.
        secrets: values of `.env` and the environment by name, of the settings that are secret.
    """

    problems: tuple[str, ...]
    env_exists: bool
    env_fault: str
    unknown: tuple[str, ...]
    stack_fault: str
    projects: tuple[str, ...]
    alerts_fault: str
    stale: tuple[str, ...]
    mute: tuple[str, ...]
    secrets: Mapping[str, str] = field(repr=False)


def gather_configuration(surroundings: Surroundings, _facts: Facts) -> Configuration:
    """Return the configuration and its faults."""
    context = surroundings.context
    stack_fault = ""
    projects: tuple[str, ...] = ()
    try:
        stack = load_stack(context.layout.stack_file, context.layout.shown(context.layout.stack_file))
        projects = tuple(project.id for project in stack.projects)
    except StackError as error:
        stack_fault = _text(error)
    alerts_fault, stale, mute = _alerts(context)
    # A value that follows from others is not a secret besides them.
    given = {*context.environment, *(surroundings.env_file or EnvFile()).values()}
    return Configuration(
        problems=() if surroundings.env_fault else _problems(context),
        env_exists=surroundings.env_file is not None or bool(surroundings.env_fault),
        env_fault=surroundings.env_fault,
        unknown=unknown_names(surroundings.env_file or EnvFile(), _wanted_elsewhere(context)),
        stack_fault=stack_fault,
        projects=projects,
        alerts_fault=alerts_fault,
        stale=stale,
        mute=mute,
        secrets={
            setting.name: surroundings.settings.get(setting.name)
            for setting in SETTINGS
            if setting.secret
            and surroundings.settings.get(setting.name)
            and (setting.name in given or not isinstance(setting.default, Computed))
        },
    )


def unknown_names(env_file: EnvFile, wanted_elsewhere: str) -> tuple[str, ...]:
    """Return the names in `.env` that neither a setting nor `config/` nor Compose has, often misspelt."""
    known = {setting.name for setting in SETTINGS}
    return tuple(
        name
        for name in env_file.values()
        if name not in known and not name.startswith(FOREIGN_PREFIXES) and name not in wanted_elsewhere
    )


def stale_rules(context: Context) -> dict[str, str]:
    """Return the compiled files of the alerts that are out of date, path -> right text.

    Raises:
        StackError: config/alerts.yaml has faults.
    """
    file = load_alerts(*context.layout.edited("alerts.yaml"))
    return {str(target): text for target, text in stale_files(context.layout, file).items()}


def _alerts(context: Context) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    path = alerts_file(context)
    if not path.exists():
        return "", (), ()
    try:
        file = load_alerts(path, context.layout.shown(path))
        directory = secrets_dir(context)
        mute = [
            f"{action.name}: {context.layout.shown(directory / action.secret)} is {reason}"
            for action, reason in actions_without_secret(file, directory)
        ]
        return "", tuple(sorted(stale_rules(context))), tuple(mute)
    except StackError as error:
        return _text(error), (), ()


def _problems(context: Context) -> tuple[str, ...]:
    try:
        context.settings()
    except StackError as error:
        return error.details or (error.message,)
    return ()


def _wanted_elsewhere(context: Context) -> str:
    """Return the text of config/, whose keys and connections name variables of their own."""
    directory = context.layout.root / "config"
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in directory.rglob("*.yaml")]
    compose = [path.read_text(encoding="utf-8") for path in context.layout.root.glob("compose*.yaml")]
    return "\n".join([*texts, *compose])


def _text(error: StackError) -> str:
    return "; ".join([error.message, *error.details])
