"""Organizations, projects, keys and members: what has to be created, rotated or revoked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from scripts.core.api import Api
from scripts.core.context import Context
from scripts.core.credentials import Credentials, CredentialsStore
from scripts.core.engines.base import Engine, EngineName, KnownTenancy, WantedMember, WantedProject
from scripts.core.errors import ProvisioningError, UsageError
from scripts.core.settings.values import Settings

from .loading import load_stack
from .resources import Action as ContentAction
from .resources import Change, Difference, differences
from .stack import Project, Stack

_SHORTEST_PASSWORD = 8  # as the server demands


class Action(StrEnum):
    """What a plan does about one key."""

    KEEP = "keep"
    """The server knows the key."""
    CREATE = "create"
    """The server has never had this key."""
    RESTORE = "restore"
    """The server had this key once and refuses it now: its data was deleted or replaced."""


@dataclass(frozen=True, slots=True)
class Step:
    """One key of a plan. The project is created with its first key."""

    project: Project
    credentials: Credentials
    action: Action
    replaces: str = ""
    """The public key that works beside it until the next run."""

    @property
    def first(self) -> bool:
        """Whether it is the key that the project is created with."""
        return self.credentials.stem == self.project.id


@dataclass(frozen=True, slots=True)
class TenancyPlan:
    """What has to be done about projects, keys and members.

    Attributes:
        steps: all wanted keys.
        retired: keys to revoke: they were replaced in an earlier run.
        members: to create or to change.
        projects: those whose name or metadata has to be set.
        shown: changes of members and projects in words, also those that this engine cannot make.
    """

    steps: tuple[Step, ...]
    retired: tuple[Credentials, ...] = ()
    members: tuple[WantedMember, ...] = ()
    projects: tuple[Project, ...] = ()
    shown: tuple[Change, ...] = ()

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that create something."""
        return tuple(step for step in self.steps if step.action is not Action.KEEP)

    @property
    def count(self) -> int:
        """How many things change."""
        return len(self.changes) + len(self.retired) + len(self.shown)

    def of_project(self, project: Project) -> tuple[Change, ...]:
        """Return the changes of one project, for showing."""
        shown: list[Change] = []
        for step in self.changes:
            if step.project.id != project.id:
                continue
            note = {Action.RESTORE: "it was there once"}.get(step.action, "")
            if step.replaces:
                note = f"replaces {step.replaces}, which the next run revokes"
            elif step.first:
                shown.append(Change(ContentAction.CREATE, "project", project.id, note=note))
            shown.append(Change(ContentAction.CREATE, "API key", step.credentials.public_key, note=note))
        shown += [one for one in self.shown if one.kind == "project" and one.key == project.id]
        shown += [
            Change(ContentAction.DELETE, "API key", one.public_key, note="it was replaced in an earlier run")
            for one in self.retired
            if one.project_id == project.id
        ]
        return tuple(shown)

    def of_organization(self) -> tuple[Change, ...]:
        """Return the changes of members, for showing."""
        return tuple(one for one in self.shown if one.kind == "member")


def plan_keys(
    stack: Stack,
    credentials: Sequence[Credentials],
    known: Mapping[str, bool | None],
    replaced: Mapping[str, str] | None = None,
) -> tuple[Step, ...]:
    """Return the steps of all keys. Pure.

    Args:
        stack: the desired state.
        credentials: of all keys, in the order of projects and keys.
        known: by the stem of a key, whether the server accepts it; None: it was not asked.
        replaced: by stem, the public key that a new one replaces.
    """
    actions = {True: Action.KEEP, False: Action.RESTORE, None: Action.CREATE}
    projects = [project for project in stack.projects for _ in project.all_keys]
    return tuple(
        Step(project, keys, actions[known[keys.stem]], (replaced or {}).get(keys.stem, ""))
        for project, keys in zip(projects, credentials, strict=True)
    )


def wanted_project(stack: Stack, settings: Settings, project: Project, keys: Credentials) -> WantedProject:
    """Return what an engine has to create for a key of a project."""
    organization = stack.organization_of(project)
    return WantedProject(
        organization_id=organization.id,
        organization_name=organization.name,
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
    retired: tuple[Credentials, ...]
    secrets: Mapping[str, str]

    @classmethod
    def load(cls, context: Context, settings: Settings) -> Bootstrap:
        """Read `config/stack.yaml` and the keys there are; write nothing. Raises UsageError."""
        layout = context.layout
        stack = load_stack(layout.stack_file, layout.shown(layout.stack_file))
        store = CredentialsStore(layout.credentials_dir)
        base_url, secrets = settings["NEXTAUTH_URL"], context.secrets()
        credentials = tuple(
            store.load(project, base_url, secrets, key)
            for project in stack.projects
            for key in project.all_keys
        )
        return cls(stack, settings, store, credentials, tuple(store.retiring()), secrets)

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

    def plan(self, engine: Engine, api: Api, *, first_was_created: bool) -> TenancyPlan:
        """Compare with the server.

        Only keys that it should know are shown to it: a key that was refused once stays refused for five
        minutes. `first_was_created` says that the server has just started with `init_variables`.

        Raises:
            EngineError: the server does not answer as expected.
            ProvisioningError: a key belongs to another project there.
            UsageError: a member's password is not set.
        """
        known: dict[str, bool | None] = {}
        for number, keys in enumerate(self.credentials):
            asked = keys.verified or (number == 0 and first_was_created)
            known[keys.stem] = accepts(api, keys) if asked else None
        replaced = {
            keys.stem: old.public_key
            for keys in self.credentials
            if not keys.verified and (old := self.store.working(keys)) and old.public_key != keys.public_key
        }
        steps = plan_keys(self.stack, self.credentials, known, replaced)
        wanted = {keys.public_key for keys in self.credentials}
        retired = tuple(one for one in self.retired if one.public_key not in wanted)
        tenancy = engine.tenancy()
        if tenancy is None:
            return TenancyPlan(steps, retired, shown=self._beyond_the_engine())
        members, shown_members = self._members(tenancy)
        projects, shown_projects = self._projects(tenancy)
        return TenancyPlan(steps, retired, members, projects, (*shown_members, *shown_projects))

    def _members(self, known: KnownTenancy) -> tuple[tuple[WantedMember, ...], tuple[Change, ...]]:
        """Return the members to create or to change, and the same in words."""
        members, shown = [], []
        for member in self.stack.members:
            organization = self.stack.organization_of(member)
            role = known.members.get((organization.id, member.email.lower()))
            if role == member.role:
                continue
            password = self.secrets.get(member.password_from, "")
            if role is None and len(password) < _SHORTEST_PASSWORD:
                raise UsageError(
                    f"The member {member.email} takes the first password from {member.password_from}, "
                    f"which is not set or shorter than {_SHORTEST_PASSWORD} characters.",
                    fix=f"set {member.password_from} in the environment or in .env.",
                )
            members.append(
                WantedMember(
                    organization.id, organization.name, member.email, member.name, member.role, password
                )
            )
            action = ContentAction.CREATE if role is None else ContentAction.UPDATE
            change = (Difference("role", role, member.role),) if role else ()
            shown.append(Change(action, "member", member.email, change))
        return tuple(members), tuple(shown)

    def _projects(self, known: KnownTenancy) -> tuple[tuple[Project, ...], tuple[Change, ...]]:
        """Return the projects whose name or metadata has to be set, and the same in words."""
        projects, shown = [], []
        for project in self.stack.projects:
            name, metadata = known.projects.get(project.id, (project.name, {}))
            found = differences(
                {"name": name, "metadata": dict(metadata)},
                {"name": project.name, "metadata": project.metadata},
            )
            if found:
                projects.append(project)
            if found and project.id in known.projects:
                shown.append(Change(ContentAction.UPDATE, "project", project.id, found))
        return tuple(projects), tuple(shown)

    def _beyond_the_engine(self) -> tuple[Change, ...]:
        note = "without a licence only the user interface can do this on the compose engine"
        blocked = [
            Change(ContentAction.BLOCKED, "member", member.email, note=note) for member in self.stack.members
        ]
        blocked += [
            Change(ContentAction.BLOCKED, "project", project.id, note=f"metadata: {note}")
            for project in self.stack.projects
            if project.metadata
        ]
        return tuple(blocked)

    def apply(self, engine: Engine, api: Api, plan: TenancyPlan) -> int:
        """Carry out the plan, check every new key, write the credentials; return how many files changed.

        Raises:
            StackError: something could not be created, or a key does not work afterwards.
        """
        if plan.retired:
            engine.revoke([one.public_key for one in plan.retired])
        for one in self.retired:
            self.store.forget_retired(one)
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
        if plan.members:
            engine.set_members(plan.members)
        for project in plan.projects:
            engine.set_project(project.id, project.name, project.metadata)
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
