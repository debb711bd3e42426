"""`sbom`: list every pinned package and image of the stack as a CycloneDX 1.6 document."""

from __future__ import annotations

import json
import re
import tomllib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from scripts.core.errors import EXIT_OK
from scripts.docker.images_lock import read_lock
from scripts.engines.context import Context

from .lock_files import lock_files

# The packages that a stack runs with; those of other lock files test or build it.
RUNTIME = frozenset({"requirements/runtime.lock", "requirements/exporter.lock", "embedded/requirements.lock"})
_PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE | re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{([A-Z_]+):-([^}]*)\}")
_BUILT_HERE = "langfuse-stack-"

Component = dict[str, Any]


def sbom(context: Context, *, output: Path) -> int:
    """The command. Raises SettingsError for settings from which the images do not follow."""
    root = context.layout.root
    settings = context.settings()
    components = [
        *packages(lock_files(root), root),
        *images((root / "compose.yaml").read_text(encoding="utf-8"), settings.values, _digests(context)),
    ]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    document = as_document(components, project["version"], datetime.now(UTC))
    output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    kinds = [component["type"] for component in components]
    count = f"{kinds.count('library')} packages and {kinds.count('container')} images"
    context.console.print(f"Wrote {output}: {count}, CycloneDX 1.6.")
    return EXIT_OK


def packages(locks: Iterable[Path], root: Path) -> Iterator[Component]:
    """Yield a component for each package and version of the lock files.

    `scope` is `required` for what a stack runs with, else `excluded`; the property names the lock files.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for lock in locks:
        for name, version in _PIN.findall(lock.read_text(encoding="utf-8")):
            found.setdefault((name.lower(), version), []).append(lock.relative_to(root).as_posix())
    for (name, version), files in sorted(found.items()):
        purl = f"pkg:pypi/{name}@{quote(version)}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            "scope": "required" if RUNTIME.intersection(files) else "excluded",
            "properties": [{"name": "langfuse-stack:lock", "value": file} for file in sorted(files)],
        }


def images(compose: str, settings: Mapping[str, str], digests: Mapping[str, str]) -> Iterator[Component]:
    """Yield a component for each image of a compose file; with its digest where images.lock has one."""
    services = yaml.safe_load(compose)["services"].values()
    references = {
        _VARIABLE.sub(lambda match: settings.get(match[1]) or match[2], service["image"])
        for service in services
    }
    for reference in sorted(references):
        repository, _, tag = reference.rpartition(":")
        if repository.startswith(_BUILT_HERE) or "/" not in repository:
            continue  # made from this repository: its packages are listed
        registry, _, path = repository.partition("/")
        digest = digests.get(reference, "")
        version = quote(digest, safe="") if digest else tag
        name = path.rpartition("/")[2]
        purl = f"pkg:oci/{name}@{version}?repository_url={quote(f'{registry}/{path}')}&tag={tag}"
        component: Component = {
            "type": "container",
            "bom-ref": purl,
            "name": repository,
            "version": tag,
            "purl": purl,
            "scope": "required",
        }
        if digest:
            component["hashes"] = [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}]
        yield component


def as_document(components: Iterable[Component], version: str, moment: datetime) -> dict[str, Any]:
    """Return the document (https://cyclonedx.org/docs/1.6/json/); its number follows from the content."""
    listed = list(components)
    content = json.dumps(listed, sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {
            "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": "langfuse-stack",
                "name": "langfuse-stack",
                "version": version,
                "licenses": [{"license": {"id": "MIT"}}],
            },
        },
        "components": listed,
    }


def _digests(context: Context) -> dict[str, str]:
    return {name: one.digest for name, one in read_lock(context.layout.images_lock).items()}
