"""The few calls of Langfuse's public API that starting and provisioning need."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from scripts.core.errors import EngineError

if TYPE_CHECKING:
    from httpx import Response

TIMEOUT_S = 5.0


class Api:
    """Talks to the server at `base_url` (no slash at the end). Close it, or use it in a `with`."""

    def __init__(self, base_url: str, timeout_s: float = TIMEOUT_S) -> None:
        import httpx  # 0.1-0.3 s: `make help` and failing preflights do without

        self.base_url = base_url
        # A proxy of the environment must not see calls to this machine.
        self._http = httpx.Client(base_url=base_url, timeout=timeout_s, trust_env=False)
        self._unreachable = httpx.HTTPError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def ready(self) -> str:
        """Return an empty string when the server takes requests, else what it does instead."""
        try:
            answer = self._http.get("/api/public/ready")
        except self._unreachable as error:
            return f"no answer ({type(error).__name__})"
        if answer.status_code == 200:
            return ""
        said = _status_of(answer)
        return f"/api/public/ready answers {answer.status_code}{f': {said}' if said else ''}"

    def version(self) -> str:
        """Return the version of the server, or an empty string when it does not say."""
        try:
            answer = self._http.get("/api/public/health")
            version = answer.json().get("version", "") if answer.status_code == 200 else ""
        except (self._unreachable, ValueError, AttributeError):
            return ""
        return str(version)

    def project_of(self, public_key: str, secret_key: str) -> str | None:
        """Return the id of the project that the key belongs to, or None when the server refuses the key.

        A refusal is remembered by a real server for five minutes: ask only for keys that should exist.

        Raises:
            EngineError: the server does not answer, or not as a Langfuse server does.
        """
        found = self._project(public_key, secret_key)
        return found and found[0]

    def organization_name(self, public_key: str, secret_key: str) -> str:
        """Return how the server calls the organization of a key's project; empty where it does not say.

        Raises:
            EngineError: the server does not answer, or not as a Langfuse server does.
        """
        found = self._project(public_key, secret_key)
        return found[1] if found else ""

    def _project(self, public_key: str, secret_key: str) -> tuple[str, str] | None:
        """Return the project's id and the name of its organization; None when the key is refused."""
        try:
            answer = self._http.get("/api/public/projects", auth=(public_key, secret_key))
            if answer.status_code == 401:
                return None
            project = answer.raise_for_status().json()["data"][0]
            return str(project["id"]), str((project.get("organization") or {}).get("name") or "")
        except (self._unreachable, ValueError, KeyError, IndexError, TypeError) as error:
            raise EngineError(
                f"{self.base_url}/api/public/projects does not answer as Langfuse does "
                f"({type(error).__name__}: {error}).",
                fix="look at `make logs`.",
            ) from error

    def forget_rejected_keys(self, admin_api_key: str) -> None:
        """Empty the server's cache of API keys, so that a key it refused before is looked up anew."""
        try:
            self._http.post(
                "/api/admin/api-keys",
                json={"action": "invalidate-all"},
                headers={"Authorization": f"Bearer {admin_api_key}"},
            ).raise_for_status()
        except self._unreachable as error:
            raise EngineError(
                f"The key cache of {self.base_url} could not be emptied ({error}).",
                fix="wait five minutes, then run make bootstrap.",
            ) from error


def _status_of(answer: Response) -> str:
    """Return what the answer to a health check says is wrong; empty when it does not."""
    try:
        said = answer.json()["status"]
    except (ValueError, KeyError, TypeError):
        return ""
    return said if isinstance(said, str) else ""
