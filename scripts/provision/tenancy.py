"""Organizations, projects, keys and members: what has to be created, rotated or revoked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from scripts.api.client import Api
from scripts.core.errors import ProvisioningError, UsageError
from scripts.engines.base import Engine, EngineName, KnownTenancy, WantedMember, WantedProject
from scripts.engines.context import Context
from scripts.settings.values import Settings

from .content import has_content
from .credentials import Credentials, CredentialsStore, generated_key, key_in
from .loading import load_stack
from .plan import Desired, Left, ProjectPlan, desired_state
from .resources import Action as ContentAction
from .resources import Change, Difference, differences
from .stack import Member, NamedKey, Organization, Project, Stack

_KEY, _MEMBER, _ORGANIZATION, _PROJECT = "API key", "member", "organization", "project"
_BEYOND = "without a licence only the user interface can do this here"
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
    key: NamedKey
    credentials: Credentials
    action: Action
    replaces: str = ""
    """The public key that works beside it until the next run."""

    @property
    def first(self) -> bool:
        """Whether it is the key that the project is created with."""
        return self.credentials.stem == self.project.id

    def shown(self) -> tuple[Change, ...]:
        """Return what it creates. The public part of a generated key is only known once it is made."""
        if self.action is Action.KEEP:
            return ()
        again = "it was there once" if self.action is Action.RESTORE else ""
        replaces = f"replaces {self.replaces}, which the next run revokes" if self.replaces else ""
        note = "; ".join(part for part in (self.key.public or "", again, replaces) if part)
        key = Change(ContentAction.CREATE, _KEY, self.key.name, note=note)
        if self.replaces or not self.first:
            return (key,)
        return Change(ContentAction.CREATE, _PROJECT, self.project.id, note=again), key


@dataclass(frozen=True, slots=True)
class TenancyPlan:
    """What has to be done about organizations, projects, keys and members.

    Attributes:
        steps: all wanted keys.
        retired: keys to revoke: they were replaced in an earlier run.
        pruned: keys to revoke and to forget: they stand in no file.
        left: the same keys where they are left alone.
        members: to create or to change.
        projects: those whose name or metadata has to be set.
        renamed: these projects in words, also those that this engine cannot change.
        organizations: what happens to organizations and members, in words, and the projects and members that
            are left alone.
        other_names: organizations that have to be renamed.
    """

    steps: tuple[Step, ...]
    retired: tuple[Credentials, ...] = ()
    pruned: tuple[Credentials, ...] = ()
    left: tuple[Credentials, ...] = ()
    members: tuple[WantedMember, ...] = ()
    projects: tuple[Project, ...] = ()
    renamed: tuple[Change, ...] = ()
    organizations: tuple[ProjectPlan, ...] = ()
    other_names: tuple[Organization, ...] = ()

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that create something."""
        return tuple(step for step in self.steps if step.action is not Action.KEEP)

    def of_project(self, project: Project) -> ProjectPlan:
        """Return what happens to a project and its keys."""
        steps = [step for step in self.steps if step.project.id == project.id]
        deletions = (("it was replaced in an earlier run", self.retired), ("not in config/", self.pruned))
        changes = (
            *(change for step in steps for change in step.shown()),
            *(one for one in self.renamed if one.key == project.id),
            *(
                Change(ContentAction.DELETE, _KEY, one.public_key, note=why)
                for why, keys in deletions
                for one in keys
                if one.project_id == project.id
            ),
        )
        left = tuple(Left(_KEY, key_in(one.stem)) for one in self.left if one.project_id == project.id)
        kept = sum(step.action is Action.KEEP for step in steps)
        return ProjectPlan(project.id, changes, left, kept)


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
    wanted = [(project, key) for project in stack.projects for key in project.all_keys]
    return tuple(
        Step(project, key, keys, actions[known[keys.stem]], (replaced or {}).get(keys.stem, ""))
        for (project, key), keys in zip(wanted, credentials, strict=True)
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
    """The desired state with its keys, ready to be compared with a server.

    Attributes:
        desired: by project id, the content that the files describe; projects without any are left out.
        credentials: of all keys, in the order of projects and keys.
        retired: keys that others have replaced.
        unnamed: keys of described projects that stand in no file any more.
    """

    stack: Stack
    settings: Settings
    store: CredentialsStore
    secrets: Mapping[str, str]
    desired: Mapping[str, Desired]
    credentials: tuple[Credentials, ...] = ()
    retired: tuple[Credentials, ...] = ()
    unnamed: tuple[Credentials, ...] = ()

    @classmethod
    def load(cls, context: Context, settings: Settings) -> Bootstrap:
        """Read `config/stack.yaml` and the keys there are; write nothing.

        Raises:
            StackFileError: the files are not usable.
            UsageError: the secret of a fixed key or of an LLM connection is not set.
        """
        layout, secrets = context.layout, context.secrets()
        stack = load_stack(layout.stack_file, layout.shown(layout.stack_file))
        desired = {one.id: desired_state(one, secrets) for one in stack.projects if has_content(one)}
        store = CredentialsStore(layout.credentials_dir)
        return cls(stack, settings, store, secrets, desired).with_current_keys()

    def with_current_keys(self) -> Bootstrap:
        """Return the same with the keys that there are now: another command may have made some meanwhile."""
        base_url = self.settings["NEXTAUTH_URL"]
        credentials = tuple(
            self.store.load(project, base_url, self.secrets, key)
            for project in self.stack.projects
            for key in project.all_keys
        )
        described = {project.id for project in self.stack.projects}
        others = self.store.others({keys.stem for keys in credentials})
        return replace(
            self,
            credentials=credentials,
            retired=tuple(self.store.retiring()),
            unnamed=tuple(one for one in others if one.project_id in described),
        )

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

    def plan(self, engine: Engine, api: Api, *, first_was_created: bool, prune: bool = False) -> TenancyPlan:
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
        # A run that ended while it put a new key in place left the old one in both files: still in use.
        in_use = {keys.public_key for keys in self.credentials} | set(replaced.values())
        plan = TenancyPlan(
            plan_keys(self.stack, self.credentials, known, replaced),
            retired=tuple(one for one in self.retired if one.public_key not in in_use),
            pruned=self.unnamed if prune else (),
            left=() if prune else self.unnamed,
        )
        tenancy = engine.tenancy()
        if tenancy is None:
            beyond = (*self._names_beyond(api, known), *self._members_beyond())
            return replace(plan, renamed=self._metadata_beyond(), organizations=beyond)
        members, organizations = self._members(tenancy)
        plan = replace(
            plan, members=members, organizations=organizations, other_names=self._other_names(tenancy)
        )
        if tenancy.projects is None:
            return replace(plan, renamed=self._metadata_beyond())
        projects, renamed = self._projects(tenancy.projects)
        return replace(plan, projects=projects, renamed=renamed)

    def _members(self, known: KnownTenancy) -> tuple[tuple[WantedMember, ...], tuple[ProjectPlan, ...]]:
        """Return the members to create or to change, and the organizations in words."""
        members: list[WantedMember] = []
        shown: dict[str, list[Change]] = {}
        admin = self.stack.admin.email.lower()
        described: set[tuple[str, str]] = set()
        for member in self.stack.members:
            organization = self.stack.organization_of(member)
            described.add((organization.id, member.email.lower()))
            role = known.members.get((organization.id, member.email.lower()))
            if role == member.role:
                continue
            members.append(self._wanted_member(member, organization, is_new=role is None))
            action = ContentAction.CREATE if role is None else ContentAction.UPDATE
            change = (Difference("role", role, member.role),) if role else ()
            shown.setdefault(organization.id, []).append(Change(action, _MEMBER, member.email, change))
        for organization in self._other_names(known):
            name = Difference("name", known.organizations[organization.id], organization.name)
            renaming = Change(ContentAction.UPDATE, _ORGANIZATION, organization.id, (name,))
            shown.setdefault(organization.id, []).insert(0, renaming)
        left: dict[str, list[Left]] = {}
        for organization_id, email in known.members:
            if email != admin and (organization_id, email) not in described:
                left.setdefault(organization_id, []).append(Left(_MEMBER, email))
        projects = {project.id for project in self.stack.projects}
        strangers = [Left(_PROJECT, one) for one in known.projects or () if one not in projects]
        left.setdefault(self.stack.organization.id, []).extend(strangers)
        organizations = tuple(
            ProjectPlan(one, tuple(shown.get(one, ())), tuple(left.get(one, ())), scope="organization")
            for one in dict.fromkeys((*shown, *left))
            if one in shown or left[one]
        )
        return tuple(members), organizations

    def _other_names(self, known: KnownTenancy) -> tuple[Organization, ...]:
        """Return the organizations that the server knows by another name; it makes new ones as described."""
        return tuple(
            one
            for one in (self.stack.organization, *self.stack.organizations)
            if known.organizations.get(one.id, one.name) != one.name
        )

    def _wanted_member(self, member: Member, organization: Organization, *, is_new: bool) -> WantedMember:
        password = self.secrets.get(member.password_from, "")
        if is_new and len(password) < _SHORTEST_PASSWORD:
            raise UsageError(
                f"The member {member.email} takes the first password from {member.password_from}, "
                f"which is not set or shorter than {_SHORTEST_PASSWORD} characters.",
                fix=f"set {member.password_from} in the environment or in .env.",
            )
        return WantedMember(
            organization.id, organization.name, member.email, member.name, member.role, password
        )

    def _projects(
        self, known: Mapping[str, tuple[str, Mapping[str, object]]]
    ) -> tuple[tuple[Project, ...], tuple[Change, ...]]:
        """Return the projects whose name or metadata has to be set, and the same in words."""
        projects, shown = [], []
        for project in self.stack.projects:
            name, metadata = known.get(project.id, (project.name, {}))
            found = differences(
                {"name": name, "metadata": dict(metadata)},
                {"name": project.name, "metadata": project.metadata},
            )
            if found:
                projects.append(project)
            if found and project.id in known:
                shown.append(Change(ContentAction.UPDATE, _PROJECT, project.id, found))
        return tuple(projects), tuple(shown)

    def _metadata_beyond(self) -> tuple[Change, ...]:
        """Return the metadata that the engine cannot set."""
        return tuple(
            Change(ContentAction.BLOCKED, _PROJECT, project.id, note=f"metadata: {_BEYOND}")
            for project in self.stack.projects
            if project.metadata
        )

    def _names_beyond(self, api: Api, known: Mapping[str, bool | None]) -> tuple[ProjectPlan, ...]:
        """Return the first organization where the server has another name and the engine cannot change it."""
        keys, organization = self.credentials[0], self.stack.organization_of(self.stack.projects[0])
        name = api.organization_name((keys.public_key, keys.secret_key)) if known[keys.stem] else ""
        if name in ("", organization.name):
            return ()
        change = Change(ContentAction.BLOCKED, _ORGANIZATION, organization.id, note=f"name: {_BEYOND}")
        return (ProjectPlan(organization.id, (change,), scope="organization"),)

    def _members_beyond(self) -> tuple[ProjectPlan, ...]:
        """Return the members that the engine cannot make."""
        members: dict[str, list[Change]] = {}
        for member in self.stack.members:
            organization = self.stack.organization_of(member).id
            change = Change(ContentAction.BLOCKED, _MEMBER, member.email, note=_BEYOND)
            members.setdefault(organization, []).append(change)
        return tuple(
            ProjectPlan(one, tuple(changes), scope="organization") for one, changes in members.items()
        )

    def apply(self, engine: Engine, api: Api, plan: TenancyPlan) -> tuple[int, dict[str, Credentials]]:
        """Carry out the plan, check every new key, write the credentials.

        Returns how many files changed, and by stem the keys that were made in the place of dead ones.

        Raises:
            StackError: something could not be created, or a key does not work afterwards.
        """
        # Where the engine cannot do it someone did it by hand.
        revoked = [one for one in (*plan.retired, *plan.pruned) if accepts(api, one)]
        if revoked:
            engine.revoke([one.public_key for one in revoked])
        for one in self.retired:
            self.store.forget_retired(one)
        for one in plan.pruned:
            self.store.forget(one)
        if plan.changes:
            engine.provision(
                [wanted_project(self.stack, self.settings, s.project, s.credentials) for s in plan.changes]
            )
        refused = any(step.action is Action.RESTORE for step in plan.changes)
        if refused and engine.name is EngineName.COMPOSE:
            api.forget_rejected_keys(self.settings["ADMIN_API_KEY"])
        dead = [step for step in plan.changes if not accepts(api, step.credentials)]
        renewed = self._renewed(engine, api, dead)
        for organization in plan.other_names:
            engine.set_organization(organization.id, organization.name)
        if plan.members:
            engine.set_members(plan.members)
        for project in plan.projects:
            engine.set_project(project.id, project.name, project.metadata)
        changed = sum(self.store.keep_verified(renewed.get(keys.stem, keys)) for keys in self.credentials)
        return changed, renewed

    def _renewed(self, engine: Engine, api: Api, dead: Sequence[Step]) -> dict[str, Credentials]:
        """Make new keys in the place of dead ones that nobody was given yet; return them by stem.

        Such a key was made by a run that was interrupted: the server has its public part with another secret,
        since the data have changed meanwhile, and does not take the secret of a public key anew.

        Raises:
            ProvisioningError: a dead key is one that people use or that is in config/, or a new one is
                refused, too.
        """
        lost = [step for step in dead if step.key.fixed or step.credentials.verified]
        if lost:
            raise ProvisioningError(
                "The server knows the public key but refuses the secret of "
                + ", ".join(f"{one.credentials.public_key} (project {one.project.id})" for one in lost)
                + ".",
                fix=_way_out(lost),
            )
        fresh = {
            step.credentials.stem: generated_key(
                step.project.id,
                step.credentials.base_url,
                step.credentials.stem,
                step.credentials.rotation,
            )
            for step in dead
        }
        for keys in fresh.values():
            self.store.keep_pending(keys)
        if dead:
            engine.provision(
                [
                    wanted_project(self.stack, self.settings, step.project, fresh[step.credentials.stem])
                    for step in dead
                ]
            )
        for keys in fresh.values():
            if not accepts(api, keys):
                raise ProvisioningError(
                    f"The server refuses the key {keys.public_key} of project {keys.project_id}, although it "
                    "was made just now.",
                    fix="look for the reason in `make logs`, then run make bootstrap again.",
                )
        return fresh


def _way_out(lost: Sequence[Step]) -> str:
    """Return what helps against keys that the server does not take with their secret."""
    ways = []
    if any(not one.key.fixed for one in lost):
        ways.append(
            "put the files of these keys back into .stack/credentials from your copy or a backup, or raise "
            "`rotation` of the key in config/stack.yaml, which makes a new one"
        )
    if any(one.key.fixed for one in lost):
        ways.append(
            "if the secret of a key in config/stack.yaml was changed, choose a new public key there: the "
            "server keeps the secret of a public key that it knows"
        )
    return f"{'; '.join(ways)}."


def accepts(api: Api, keys: Credentials) -> bool:
    """Return whether the server knows the key. Raises ProvisioningError for a key of another project."""
    found = api.project_of((keys.public_key, keys.secret_key))
    if found is not None and found != keys.project_id:
        raise ProvisioningError(
            f"The key {keys.public_key} of project {keys.project_id} belongs to project {found} there.",
            fix="give the project another key in config/stack.yaml.",
        )
    return found is not None
