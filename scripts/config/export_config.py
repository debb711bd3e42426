"""`export-config`: write what a project has as files in the format of `config/`."""

from __future__ import annotations

from pathlib import Path

from scripts.core.errors import EngineError, UsageError
from scripts.engines.context import Context
from scripts.provision.credentials import CredentialsStore
from scripts.provision.export import files_of, read_everything, write_files
from scripts.provision.faults import looks_secret
from scripts.provision.server import Server


def export_config(context: Context, *, into: Path, project: str, base_url: str) -> int:
    """The command. Another server takes its key from LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY."""
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UsageError(f"{into} exists already.", fix="name a new or empty directory with INTO=.")
    with _server(context, project, base_url) as server, context.console.working("Reading"):
        files = files_of(read_everything(server))
        for line in server.unreadable:
            context.console.warn(line)
    write_files(files, into)
    for file in files:
        context.console.print(str(into / file.path))
        if looks_secret(file.text):
            context.console.warn(
                f"{into / file.path} contains what looks like a secret: make validate says where, and "
                "refuses it."
            )
    context.console.print(
        f"{len(files)} files. Name the directory in content: of a project in config/stack.yaml."
        if files
        else "The project is empty."
    )
    return 0


def _server(context: Context, project: str, base_url: str) -> Server:
    if base_url:
        public, secret = (context.secrets().get(f"LANGFUSE_{name}_KEY", "") for name in ("PUBLIC", "SECRET"))
        if not public or not secret:
            raise UsageError(
                f"The key for {base_url} is not set.",
                fix="set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY in the environment.",
            )
        return Server(base_url, public, secret)
    store = CredentialsStore(context.layout.credentials_dir)
    known = store.projects()
    name = project or (known[0] if len(known) == 1 else "")
    kept = store.kept(name, name) if name else None
    if kept is None:
        shown = ", ".join(known) or "none"
        raise UsageError("Which project?", fix=f"choose one with PROJECT=; there are: {shown}.")
    engine = context.current_engine(context.settings())
    if not engine.state().running:
        raise EngineError(f"The {engine.name} engine does not run.", fix="start it: make up")
    return Server(engine.local_url, kept.public_key, kept.secret_key)
