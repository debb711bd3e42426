"""Load what every command works with: layout, settings, desired state, engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scripts.core.console import Console
from scripts.core.layout import Layout
from scripts.core.runner import Runner
from scripts.docker.availability import find_engine, find_images
from scripts.docker.compose import Compose
from scripts.docker.identity import require_own
from scripts.settings.envfile import EnvFile, read_env
from scripts.settings.langfuse_file import decided_names, langfuse_file_problems
from scripts.settings.table import SETTINGS
from scripts.settings.values import Settings, compose_only, load_settings, load_settings_leniently

from .base import Engine, EngineName
from .choice import Choice, Probes, choose_engine
from .compose import ComposeEngine
from .embedded import EmbeddedEngine


@dataclass(frozen=True, slots=True)
class Context:
    """The surroundings of a command."""

    layout: Layout
    environment: Mapping[str, str]
    console: Console
    runner: Runner

    def env_file(self) -> EnvFile | None:
        """Return what is in `.env`, or None when there is none."""
        return read_env(self.layout.env_file) if self.layout.env_file.exists() else None

    def settings(self, generated: Mapping[str, str] | None = None) -> Settings:
        """Return the checked settings. Raises SettingsError."""
        env_file = self.env_file() or EnvFile()
        path = self.layout.langfuse_file
        if not path.exists():
            return load_settings(SETTINGS, env_file, self.environment, generated)
        further = read_env(path)
        names = {setting.name for setting in SETTINGS if setting.in_env_file}
        decided = decided_names(self.layout.root / "compose.yaml")
        return load_settings(
            SETTINGS,
            env_file,
            self.environment,
            generated,
            further,
            langfuse_file_problems(further, names, decided),
        )

    def lenient_settings(self) -> Settings:
        """Return the settings for commands that must also work with a damaged `.env`."""
        return load_settings_leniently(SETTINGS, self.env_file() or EnvFile(), self.environment)

    def secrets(self) -> Mapping[str, str]:
        """Return all variables of `.env` and the environment, where fixed keys find their secret part."""
        return {**(self.env_file() or EnvFile()).values(), **self.environment}

    def remembered_engine(self) -> str:
        """Return the engine that was started last, or an empty string."""
        try:
            name = self.layout.engine_file.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""
        return name if name in set(EngineName) else ""

    def choose(self, settings: Settings) -> Choice:
        """Return the engine that a start has to use. Raises UsageError."""
        probes = Probes(
            docker=lambda: find_engine(self.runner), images=lambda: find_images(self.compose(settings))
        )
        given = compose_only(SETTINGS, self.env_file() or EnvFile(), self.environment)
        return choose_engine(settings.get("ENGINE"), self.remembered_engine(), probes, given)

    def compose(self, settings: Settings) -> Compose:
        """Return the compose commands of the stack."""
        return Compose(self.layout, settings, self.environment, self.runner)

    def engine(self, name: EngineName, settings: Settings, *, looking: bool = False) -> Engine:
        """Return the engine of that name; with `looking` also to explain what is not this stack's.

        Raises:
            UsageError: what Docker has under the name of this stack belongs to another checkout.
        """
        if name is EngineName.COMPOSE and not looking:
            require_own(self.runner, self.layout, settings["COMPOSE_PROJECT_NAME"], self.environment)
        kind = ComposeEngine if name is EngineName.COMPOSE else EmbeddedEngine
        return kind(self.layout, settings, self.environment, self.runner, self.console)

    def current_engine(self, settings: Settings, *, looking: bool = False) -> Engine:
        """Return the engine to look at or to stop: as told, else the one started last. As `engine`."""
        name = settings.get("ENGINE") or self.remembered_engine() or EngineName.EMBEDDED
        return self.engine(EngineName(name), settings, looking=looking)
