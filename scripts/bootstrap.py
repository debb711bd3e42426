"""`bootstrap`: create what `config/stack.yaml` asks for and the server lacks; a second run does nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .core.api import Api
from .core.context import Context
from .core.credentials import Credentials, CredentialsStore
from .core.engines.base import Engine, EngineName, WantedProject
from .core.errors import EngineError, ProvisioningError
from .core.layout import only_one_verb
from .core.settings.values import Settings
from .provision.loading import load_stack
from .provision.stack import Project, Stack


class Action(StrEnum):
    """What a plan does about one project."""

    KEEP = "keep"
    """The server knows the project and its key."""
    CREATE = "create"
    """The server has never had this key."""
    RESTORE = "restore"
    """The server had this key once and refuses it now: its data was deleted or replaced."""


@dataclass(frozen=True, slots=True)
class Step:
    """One project of a plan."""

    project: Project
    credentials: Credentials
    action: Action


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be done so that the server contains what is wanted."""

    steps: tuple[Step, ...]

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that do something."""
        return tuple(step for step in self.steps if step.action is not Action.KEEP)

    def lines(self) -> list[str]:
        """Return the plan for people."""
        sign = {
            Action.KEEP: "  {} is there",
            Action.CREATE: "+ {}",
            Action.RESTORE: "+ {} (it was there once)",
        }
        return [sign[step.action].format(f"project {step.project.id}") for step in self.steps]


def plan_bootstrap(
    stack: Stack, credentials: Sequence[Credentials], known: Mapping[str, bool | None]
) -> Plan:
    """Return the plan. `known` says of each project whether the server accepts its key; None: not asked."""
    actions = {True: Action.KEEP, False: Action.RESTORE, None: Action.CREATE}
    return Plan(
        tuple(
            Step(project, keys, actions[known[project.id]])
            for project, keys in zip(stack.projects, credentials, strict=True)
        )
    )


def wanted_project(stack: Stack, settings: Settings, project: Project, keys: Credentials) -> WantedProject:
    """Return what an engine has to create for a project."""
    return WantedProject(
        organization_id=stack.organization.id,
        organization_name=stack.organization.name,
        project_id=project.id,
        project_name=project.name,
        public_key=keys.public_key,
        secret_key=keys.secret_key,
        user_email=stack.admin.email,
        user_name=stack.admin.name,
        user_password=settings["LANGFUSE_INIT_USER_PASSWORD"],
    )


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The desired state with its keys, ready to be compared with a server."""

    stack: Stack
    settings: Settings
    store: CredentialsStore
    credentials: tuple[Credentials, ...]

    @classmethod
    def load(cls, context: Context, settings: Settings) -> Bootstrap:
        """Read `config/stack.yaml` and the keys there are; write nothing. Raises UsageError."""
        layout = context.layout
        stack = load_stack(layout.stack_file, layout.shown(layout.stack_file))
        store = CredentialsStore(layout.credentials_dir)
        base_url, secrets = settings["NEXTAUTH_URL"], context.secrets()
        credentials = tuple(store.load(project, base_url, secrets) for project in stack.projects)
        return cls(stack, settings, store, credentials)

    def keep_new_keys(self) -> None:
        """Write the keys that no server has accepted yet, so that an interrupted run goes on with them."""
        for keys in self.credentials:
            if not keys.verified:
                self.store.keep_pending(keys)

    def init_variables(self) -> dict[str, str]:
        """Return what a server creates when it starts: the first project."""
        return wanted_project(
            self.stack, self.settings, self.stack.projects[0], self.credentials[0]
        ).init_variables()

    def plan(self, api: Api, *, first_was_created: bool) -> Plan:
        """Compare with the server.

        Only keys that it should know are shown to it: a key that was refused once stays refused for five
        minutes. `first_was_created` says that the server has just started with `init_variables`.

        Raises:
            EngineError: the server does not answer as expected.
            ProvisioningError: a key belongs to another project there.
        """
        known: dict[str, bool | None] = {}
        for number, keys in enumerate(self.credentials):
            asked = keys.verified or (number == 0 and first_was_created)
            known[keys.project_id] = accepts(api, keys) if asked else None
        return plan_bootstrap(self.stack, self.credentials, known)

    def apply(self, engine: Engine, api: Api, plan: Plan) -> int:
        """Carry out the plan, check every new key, write the credentials; return how many files changed.

        Raises:
            StackError: something could not be created, or a key does not work afterwards.
        """
        if plan.changes:
            engine.provision(
                [wanted_project(self.stack, self.settings, s.project, s.credentials) for s in plan.changes]
            )
        refused = any(step.action is Action.RESTORE for step in plan.changes)
        if refused and engine.name is EngineName.COMPOSE:
            api.forget_rejected_keys(self.settings["ADMIN_API_KEY"])
        for step in plan.changes:
            if not accepts(api, step.credentials):
                raise ProvisioningError(
                    f"The server refuses the key {step.credentials.public_key} of project {step.project.id}, "
                    "although it was created.",
                    fix="if the secret of an existing public key was changed: the server ignores that, "
                    "so choose a new public key in config/stack.yaml.",
                )
        return sum(self.store.keep_verified(keys) for keys in self.credentials)


def accepts(api: Api, keys: Credentials) -> bool:
    """Return whether the server knows the key. Raises ProvisioningError for a key of another project."""
    found = api.project_of(keys.public_key, keys.secret_key)
    if found is not None and found != keys.project_id:
        raise ProvisioningError(
            f"The key {keys.public_key} of project {keys.project_id} belongs to project {found} there.",
            fix="give the project a key of its own in config/stack.yaml.",
        )
    return found is not None


def run(context: Context, *, dry_run: bool) -> int:
    """The verb: plan, show, apply."""
    settings = context.settings()
    bootstrap = Bootstrap.load(context, settings)
    engine = context.current_engine(settings)
    if not engine.state().running:
        raise EngineError(f"The {engine.name} engine does not run.", fix="start it: make up")
    with only_one_verb(context.layout), Api(engine.local_url) as api:
        plan = bootstrap.plan(api, first_was_created=False)
        for line in plan.lines():
            context.console.print(line)
        if dry_run:
            return 0
        bootstrap.keep_new_keys()
        written = bootstrap.apply(engine, api, plan)
    if not plan.changes and not written:
        context.console.print("Nothing to change.")
    else:
        context.console.print(f"{len(plan.changes)} created, {written} credentials files written.")
    return 0
