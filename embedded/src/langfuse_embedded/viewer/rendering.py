"""Templates, the stylesheet and the script, with the headers that keep a page to itself."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from langfuse_embedded.clock import iso_or_none

from . import formats, urls
from .content import preview

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "media-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SECURITY_HEADERS = {
    "content-security-policy": _POLICY,
    # "same-origin", not "no-referrer": with that one browsers send `Origin: null` along with forms.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_ASSETS = (("style", "css", "text/css"), ("script", "js", "text/javascript"))


class Renderer:
    """Turns templates into answers."""

    def __init__(self) -> None:
        self.assets = {path: (content, kind) for path, content, kind in map(_asset, _ASSETS)}
        style_path, script_path = self.assets
        self._environment = templates()
        self._environment.globals |= {"style_path": style_path, "script_path": script_path}

    def page(self, template: str, values: dict[str, Any], status: int = 200) -> Response:
        """Return a page."""
        html = self._environment.get_template(template).render(values)
        # JSON may hold halves of surrogate pairs, which no encoding has.
        return self.protected(
            Response(html.encode("utf-8", "replace"), status, media_type="text/html; charset=utf-8")
        )

    def protected(self, response: Response) -> Response:
        """Add the headers of everything that only one person may see."""
        response.headers.update(_SECURITY_HEADERS)
        response.headers["cache-control"] = "private, no-store"
        return response

    def asset(self, path: str) -> Response:
        """Return the stylesheet or the script. Its address changes with it, so it may be kept forever."""
        content, media_type = self.assets[path]
        headers = {
            "cache-control": "public, max-age=31536000, immutable",
            "x-content-type-options": "nosniff",
        }
        return Response(content, media_type=f"{media_type}; charset=utf-8", headers=headers)


def templates() -> Environment:
    """Return the templates: every value is escaped; a name that is missing is an error."""
    environment = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "project_url": urls.project_url,
        "trace_url": urls.trace_url,
        "sign_out": urls.SIGN_OUT,
    }
    environment.filters |= {
        "duration": formats.duration,
        "moment": formats.moment,
        "iso": iso_or_none,
        "count": formats.count,
        "usd": formats.usd,
        "one_line": formats.one_line,
        "ago": formats.ago,
        "preview": preview,
    }
    return environment


def _asset(asset: tuple[str, str, str]) -> tuple[str, bytes, str]:
    name, extension, media_type = asset
    content = resources.files(__package__).joinpath(f"{name}.{extension}").read_bytes()
    return f"/viewer/{name}-{hashlib.sha256(content).hexdigest()[:16]}.{extension}", content, media_type
