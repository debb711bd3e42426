"""The headers of every API answer: origins, what an answer varies by, and its tag (`ETag`)."""

from __future__ import annotations

import re
import zlib
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

_ORIGIN = "Origin"
# By whether any origin may read the answer, and whether it is empty.
_VARY = {
    (True, False): b"Origin, Accept-Encoding",
    (True, True): b"Origin",
    (False, False): b"Accept-Encoding",
    (False, True): b"",
}
_METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE"
_JSON = b"application/json"
_WORDS = 2**64 - 1
_OFFSET, _PRIME = 0xCBF29CE484222325, 0x100000001B3
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
# Longer answers are tagged by a faster digest: clients compare tags, and read nothing in them.
_EXACT_LENGTH = 1024
# Those to exports and other writes are few, and the same again and again.
_SHORT = 64
_LONGEST = 65_536
_TAG = re.compile(r'(?:W/)?("[^"]*"|[^,\s"]+)')


def deliver(request: Request, response: Response, *, any_origin: bool = True) -> Response:
    """Add the headers to an API answer; return the empty one (304) where the client has it already.

    Any origin may read an answer, as on the server: the API relies on keys, not on cookies; only the admin's
    routes (not `any_origin`) say nothing of origins. Answers without a
    content type, and pages, are those of the server's framework and get none of the headers.
    """
    if request.method == "OPTIONS":
        return _preflight(request, response)
    # By the bytes, not through `headers`, which looks at all of them for each: this is for every answer.
    headers = response.raw_headers
    is_json = dict(headers).get(b"content-type", b"").startswith(_JSON)
    is_empty = response.status_code == 204
    if not is_empty and not is_json:
        return response
    headers.append((b"vary", _VARY[any_origin, is_empty]))
    asked = dict(request.scope["headers"])
    if any_origin and (origin := asked.get(b"origin")):
        headers.append((b"access-control-allow-origin", origin))
    if not is_json:
        return response
    # What is refused is short, and its tag is the same on every server.
    tag = etag(bytes(response.body), exact=response.status_code != 200)
    headers.append((b"etag", tag.encode()))
    if b"if-none-match" in asked and _has_it(request, tag):
        kept = {name: value for name, value in response.headers.items() if name != "content-length"}
        return Response(status_code=304, headers=kept)
    return response


def etag(body: bytes, *, exact: bool = False) -> str:
    """Return the tag of an answer: FNV-1a over its UTF-16 units, folded to 52 bits, and their number.

    That takes long for long answers: these have it only where it is to be `exact`.
    """
    if len(body) > (_LONGEST if exact else _EXACT_LENGTH):
        # It works on the bytes as they are, and lets other threads go on meanwhile.
        return f'"{zlib.crc32(body):x}-{len(body):x}"'
    return _remembered(body) if len(body) <= _SHORT else _exact(body)


def _exact(body: bytes) -> str:
    units = body.decode("utf-8", "replace").encode("utf-16-le", "surrogatepass")
    value = _OFFSET
    for unit in memoryview(units).cast("H"):
        value = (value ^ unit) * _PRIME & _WORDS
    folded = (value >> 48 & 15) << 48 | value & 0xFFFFFFFF0000 | (value & 0xFFFF) ^ (value >> 52)
    return f'"{_base36(folded)}{_base36(len(units) // 2)}"'


_remembered = lru_cache(maxsize=64)(_exact)


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def _has_it(request: Request, tag: str) -> bool:
    known = request.headers.get("if-none-match")
    if not known or "no-cache" in request.headers.get("cache-control", ""):
        return False
    return known.strip() == "*" or tag in _TAG.findall(known)


def _preflight(request: Request, response: Response) -> Response:
    asked = request.headers.get("access-control-request-headers")
    response.headers["vary"] = f"{_ORIGIN}, Access-Control-Request-Headers"
    response.headers["access-control-allow-methods"] = _METHODS
    if origin := request.headers.get("origin"):
        response.headers["access-control-allow-origin"] = origin
    if asked:
        response.headers["access-control-allow-headers"] = asked
    return response
