"""`trust` and `reload-tls`: the root certificate of the stack's own authority, and your new files."""

from __future__ import annotations

from scripts.core.errors import UsageError
from scripts.engines.base import EngineName
from scripts.engines.context import Context
from scripts.settings.profiles import split_list
from scripts.settings.values import Settings

# Where Caddy keeps its authority: https://caddyserver.com/docs/conventions#data-directory
ROOT_IN_CADDY = "/data/caddy/pki/authorities/local/root.crt"
ROOT_NAME = "root.crt"


def trust(context: Context) -> int:
    """Write the root certificate of Caddy's own authority; say how clients trust it.

    Raises:
        UsageError: the stack has no authority of its own.
        CommandFailed: Caddy does not run.
    """
    settings = _settings(context)
    if settings["TLS_ISSUER"] != "internal":
        raise UsageError(
            f"TLS_ISSUER is {settings['TLS_ISSUER']}: its certificates are not signed by this stack.",
            fix="trust the authority that signed them.",
        )
    argv = ("exec", "--no-TTY", "caddy", "cat", ROOT_IN_CADDY)
    certificate = context.compose(settings).checked(*argv, fix="start it: make up")
    path = context.layout.stack_dir / ROOT_NAME
    path.write_text(certificate, encoding="utf-8")
    context.console.note(f"Wrote {context.layout.shown(path)}. Python applications trust it with:")
    # httpx in the SDK reads the first, requests in its exporter of spans the second.
    context.console.print(f"SSL_CERT_FILE={path}")
    context.console.print(f"REQUESTS_CA_BUNDLE={path}")
    return 0


def reload_tls(context: Context) -> int:
    """Let Caddy read its configuration and your certificate files again; no connection is cut.

    Raises:
        CommandFailed: Caddy does not run.
    """
    settings = _settings(context)
    context.compose(settings).checked("kill", "--signal", "SIGUSR1", "caddy", fix="start it: make up")
    context.console.print("Caddy reads its certificates again; make logs SERVICE=caddy shows a refusal.")
    return 0


def _settings(context: Context) -> Settings:
    settings = context.settings()
    name = context.current_engine(settings).name
    if name is not EngineName.COMPOSE or "tls" not in split_list(settings.get("STACK_PROFILES")):
        raise UsageError(
            "This stack does not serve HTTPS.",
            fix="add tls to STACK_PROFILES in .env, with the compose engine, then make up.",
        )
    return settings
