"""The HTTP client of the judge: one request to an address that was checked before."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from .failures import CallFailed

_CONNECT_SECONDS = 10.0
_MAX_ANSWER_BYTES = 4 * 2**20


class Transport:
    """Posts documents. No settings of this machine for other programs (proxies, .netrc), no redirects."""

    def __init__(self, timeout_seconds: float) -> None:
        timeout = httpx.Timeout(timeout_seconds, connect=_CONNECT_SECONDS)
        self._client = httpx.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=False)

    async def post(
        self, url: str, address: str, host: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        """Return status and body of the answer of the server of `host` at `address`.

        Raises:
            CallFailed: there is no answer, or it is too large.
        """
        target = httpx.URL(url)
        request = self._client.build_request(
            "POST",
            target.copy_with(host=address),
            headers={**headers, "host": target.netloc.decode("ascii")},
            content=body,
            extensions={"sni_hostname": host},
        )
        try:
            response = await self._client.send(request, stream=True)
            try:
                return response.status_code, await _body_of(response)
            finally:
                await response.aclose()
        except httpx.TimeoutException:
            raise CallFailed("Cannot connect to API: timed out", retryable=True) from None
        except httpx.TransportError as error:
            raise CallFailed(f"Cannot connect to API: {error}", retryable=True) from None

    async def close(self) -> None:
        """Close idle connections."""
        await self._client.aclose()


async def _body_of(response: httpx.Response) -> bytes:
    data = bytearray()
    async for chunk in response.aiter_bytes():
        data += chunk
        if len(data) > _MAX_ANSWER_BYTES:
            raise CallFailed(f"The answer has more than {_MAX_ANSWER_BYTES // 2**20} MB")
    return bytes(data)
