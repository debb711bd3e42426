"""The desired state as a whole: the models of organizations, members, projects and keys."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from .content import Content
from .model_base import DisplayName, Email, Identifier, JsonObject, ProjectId, Strict, Variable, refuse

KeyName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,30}$")]
Role = Literal["OWNER", "ADMIN", "MEMBER", "VIEWER", "NONE"]
DEFAULT_KEY = "default"


class Organization(Strict):
    """An organization, to which projects and members belong."""

    id: Identifier
    name: DisplayName


class Admin(Strict):
    """The first login."""

    email: Email
    name: DisplayName = "Admin"


class Member(Strict):
    """A further login. `password_from` names the variable with the first password."""

    email: Email
    name: DisplayName
    role: Role
    password_from: Variable
    organization: Identifier | None = None
    """The first organization where nothing is given."""


class FixedKey(Strict):
    """An API key that is chosen instead of generated; its secret part is never in the file."""

    public: Annotated[str, Field(pattern=r"^pk-lf-[A-Za-z0-9_-]{4,100}$")]
    secret_from: Variable


class NamedKey(Strict):
    """One of several keys of a project: generated, or fixed by `public` and `secret_from`.

    A higher `rotation` replaces a generated key; a fixed one is replaced by another `public`.
    """

    name: KeyName = DEFAULT_KEY
    public: Annotated[str, Field(pattern=r"^pk-lf-[A-Za-z0-9_-]{4,100}$")] | None = None
    secret_from: Variable | None = None
    rotation: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _is_fixed_or_generated(self) -> Self:
        if (self.public is None) != (self.secret_from is None):
            raise refuse("a fixed key needs both public and secret_from", "give both, or none to generate it")
        if self.public and self.rotation:
            raise refuse("rotation is for generated keys", "replace a fixed key by another public and secret")
        return self

    @property
    def fixed(self) -> FixedKey | None:
        """Return the chosen key, or None for a generated one."""
        if self.public is None or self.secret_from is None:
            return None
        return FixedKey(public=self.public, secret_from=self.secret_from)


class Project(Content):
    """A project with its keys; its content is here, or in the files and folders of `content`."""

    id: ProjectId
    name: DisplayName
    organization: Identifier | None = None
    """The first organization where nothing is given."""
    metadata: JsonObject = {}
    key: FixedKey | None = None
    keys: list[NamedKey] = []
    content: list[Annotated[str, Field(min_length=1)]] = []
    """Files and folders, relative to the file that names them."""

    @model_validator(mode="after")
    def _keys_stand_in_one_place(self) -> Self:
        if self.key and self.keys:
            raise refuse("key and keys are both given", "write all keys below keys")
        names = [key.name for key in self.keys]
        if len(set(names)) != len(names):
            raise refuse("two keys have the same name", "give each key another name")
        return self

    @property
    def all_keys(self) -> list[NamedKey]:
        """Return the keys, of which there is always one: the first is in `<project>.env`."""
        if self.key:
            return [NamedKey(public=self.key.public, secret_from=self.key.secret_from)]
        return self.keys or [NamedKey()]


class Part(Strict):
    """A file that another one includes: further organizations, members and projects."""

    organizations: list[Organization] = []
    members: list[Member] = []
    projects: list[Project] = []
    include: list[Annotated[str, Field(min_length=1)]] = []
    """Files and folders, relative to the file that names them."""


class Stack(Part):
    """`config/stack.yaml` with everything that it includes."""

    organization: Organization
    admin: Admin

    def organization_of(self, wanted: Project | Member) -> Organization:
        """Return the organization that a project or member belongs to."""
        every = [self.organization, *self.organizations]
        return next(one for one in every if wanted.organization in (None, one.id))
