"""The error answers of the API, by the names and shapes that the server uses.

ApiError                       {"message": …, "error": <name>}
├── InvalidRequest        400  InvalidRequestError
│   └── InvalidData       400  {"message": "Invalid request data", "error": [issues]}
├── Unauthorized          401
├── Forbidden             403
├── NotFound              404  LangfuseNotFoundError
├── MethodNotAllowed      405
├── RequestTimeout        408
├── Conflict              409  LangfuseConflictError
├── FrameworkRefusal      400  the bare message
│   └── PayloadTooLarge   413
├── TooCostly             422
├── Unprocessable         422
├── NotImplementedHere    501
└── Unavailable           503
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

EVENTS_ONLY_MESSAGE = (
    "This endpoint is not available on deployments running in Langfuse v4 events_only mode. "
    "Learn more about Langfuse v4 at: https://langfuse.com/docs/v4"
)


class ApiError(Exception):
    """An answer other than success.

    `body` is what the client gets; routes that answer in another shape override it.
    """

    status: ClassVar[int] = 500
    name: ClassVar[str | None] = "InternalServerError"

    def __init__(self, message: str, *, named: bool = True, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.named = named
        self.headers = headers
        self.details: dict[str, Any] = {}
        """What only routes with `ErrorStyle.UNSTABLE` tell besides the message."""
        self.code = ""
        """Their name of the error, where the status alone does not say it."""

    def body(self) -> dict[str, Any]:
        """Return the JSON body: the message and, where the route names its errors, the class."""
        if self.named and self.name:
            return {"message": self.message, "error": self.name}
        return {"message": self.message}


class InvalidRequest(ApiError):
    """The request is well-formed but cannot be served as asked."""

    status = 400
    name = "InvalidRequestError"


class InvalidData(ApiError):
    """The query or the body (`part`) does not fit the schema; `issues` say where and why."""

    status = 400
    name = None

    def __init__(self, issues: list[dict[str, Any]]) -> None:
        super().__init__("Invalid request data")
        self.issues = issues
        self.part = "body"

    @property
    def text(self) -> str:
        """The issues as a text: what zod calls the message of its error."""
        return json.dumps(self.issues, indent=2, ensure_ascii=False)

    def body(self) -> dict[str, Any]:
        """Return the message and the list of issues."""
        return {"message": self.message, "error": self.issues}


class Unauthorized(ApiError):
    """No key, or a wrong one."""

    status = 401
    name = "UnauthorizedError"


class Forbidden(ApiError):
    """The key is right but may not do this."""

    status = 403
    name = "ForbiddenError"


class NotFound(ApiError):
    """The object does not exist in the project of the key."""

    status = 404
    name = "LangfuseNotFoundError"


class MethodNotAllowed(ApiError):
    """The path exists, the method does not."""

    status = 405
    name = "MethodNotAllowedError"

    def __init__(self, *, named: bool = True) -> None:
        super().__init__("Method not allowed", named=named)


class RequestTimeout(ApiError):
    """The body does not arrive."""

    status = 408
    name = None


class Conflict(ApiError):
    """Someone else changed the object at the same time, or it exists already."""

    status = 409
    name = "LangfuseConflictError"


class FrameworkRefusal(ApiError):
    """What the server's framework refuses before a route is reached: the answer is the bare message."""

    status = 400
    name = None


class PayloadTooLarge(FrameworkRefusal):
    """The body is larger than the route takes."""

    status = 413


class TooCostly(ApiError):
    """Answering takes more time or memory than one client may ask for."""

    status = 422
    name = "UnprocessableContentError"


class Unprocessable(ApiError):
    """The request is valid but too expensive or inconsistent with stored data."""

    status = 422
    name = "PayloadTooLargeError"


class NotImplementedHere(ApiError):
    """The server has this feature, the embedded engine openly has not; the message names the gap."""

    status = 501
    name = "NotImplementedError"


class Unavailable(ApiError):
    """The engine cannot serve the request now: the client may try again."""

    status = 503
    name = "ServiceUnavailableError"


_UNSTABLE_CODES = {
    400: "invalid_request",
    401: "authentication_failed",
    403: "access_denied",
    404: "resource_not_found",
    405: "method_not_allowed",
    409: "conflict",
    422: "unprocessable_content",
}


def scim_body(error: ApiError) -> dict[str, Any]:
    """Return the body of an error in the form of SCIM (RFC 7644)."""
    return {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "detail": error.message,
        "status": error.status,
    }


def unstable_body(error: ApiError) -> dict[str, Any]:
    """Return the body of an error in the words of the routes below `/unstable`."""
    if isinstance(error, InvalidData):
        what = "query parameters" if error.part == "query" else "request body"
        return {
            "message": f"Invalid {what}",
            "code": f"invalid_{error.part}",
            "details": {"issues": error.issues},
        }
    default = "internal_error" if error.status >= 500 else "invalid_request"
    code = error.code or _UNSTABLE_CODES.get(error.status, default)
    return {"message": error.message, "code": code, **({"details": error.details} if error.details else {})}
