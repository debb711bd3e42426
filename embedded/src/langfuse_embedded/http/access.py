"""Who may call an operation, and how it words what it refuses."""

from __future__ import annotations

from enum import Enum


class Access(Enum):
    """Who may call an operation."""

    PUBLIC = "no key"
    PROJECT = "project key"
    OWN_PROJECT = "project key, to which the public key alone is not enough"
    SCORES = "project key, or the public key alone as Bearer"
    PROJECT_OR_ADMIN = "project key, or the admin key with a project header"
    ORGANIZATION = "organization key with a licence"
    ADMIN = "admin key"


class ErrorStyle(Enum):
    """How an operation words what it refuses: the server has six habits."""

    MESSAGE = "message only"
    NAMED = "message and error class"
    UNSTABLE = "message, code and details"
    ERROR = "the message as error"
    SCIM = "an error of SCIM"
    CLASS_FIRST = "error class and message, as the legacy batch has them"
