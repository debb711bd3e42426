"""The table of clients names the versions that `make test-clients` installs."""

from __future__ import annotations

import json
import re

from .test_documents import ROOT

_LOCKED = {
    "Python SDK 5, OpenAI wrapper": ("clients", "langfuse"),
    "LangChain, with SDK 5": ("clients", "langchain"),
    "LangGraph, with SDK 5": ("clients", "langgraph"),
    "OpenTelemetry's exporter": ("clients", "opentelemetry-exporter-otlp-proto-http"),
    "OpenInference for OpenAI": ("clients", "openinference-instrumentation-openai"),
    "OpenLLMetry (Traceloop) for OpenAI": ("clients", "opentelemetry-instrumentation-openai"),
    "pydantic-ai": ("clients", "pydantic-ai-slim"),
    "Python SDK 2": ("sdk2", "langfuse"),
    "Python SDK 3": ("sdk3", "langfuse"),
}


def _locked(lock: str, package: str) -> str:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text("utf-8")
    found = re.search(rf"^{re.escape(package)}==(\S+)", text, re.MULTILINE)
    assert found, f"{package} is not in {lock}.lock"
    return found[1]


def test_the_table_of_clients_has_the_versions_of_the_lock_files() -> None:
    page = (ROOT / "docs" / "reference" / "conformance.md").read_text("utf-8").split("## Clients\n")[1]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in page.splitlines()]
    shown = {row[0]: row[1] for row in rows if len(row) == 5 and "tests/clients/" in row[4]}
    package = json.loads((ROOT / "tests" / "clients" / "js" / "package.json").read_text("utf-8"))
    expected = {client: _locked(*where) for client, where in _LOCKED.items()}
    assert shown == {**expected, "JavaScript SDK 5": package["dependencies"]["@langfuse/client"]}
