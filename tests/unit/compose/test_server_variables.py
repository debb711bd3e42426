"""Names, kinds and values that the stack gives to Langfuse, held against what Langfuse's own source reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from langfuse._client import environment_variables as sdk

from scripts.docker.policy import PROXY_VARIABLES
from scripts.settings.envfile import parse_env
from scripts.settings.server_variables import (
    nearest_name,
    server_variable,
    server_variables,
    unknown_name_hint,
)
from scripts.settings.table import SETTINGS
from tests import server_variables as generator

from .conftest import ROOT

PROCESSES = {"langfuse-web": "web", "langfuse-worker": "worker"}
SETTING_NAMES = {setting.name for setting in SETTINGS}
VALUES = re.compile(r"\$\{[A-Z0-9_]+:?-([^${}]*)\}|^([^${}]+)$")


def environments() -> Iterator[tuple[str, str, str]]:
    """Yield process, name and value of all that compose.yaml gives to web and worker."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    for service, process in PROCESSES.items():
        for name, value in services[service]["environment"].items():
            yield process, name, "" if value is None else str(value)


def test_the_table_describes_one_version_and_has_a_source_for_every_name() -> None:
    table = server_variables()
    head = (ROOT / "scripts/settings/server_variables.csv").read_text(encoding="utf-8")
    assert head.startswith("# What Langfuse 4.16.0 reads ")
    assert len(table) > 590
    assert [name for name, one in table.items() if not one.source] == []
    read_here = [one for one in table.values() if one.read_by and not one.source.startswith("https://")]
    assert all(re.fullmatch(r"[a-z][\w./-]+:\d+", one.source) for one in read_here)


def test_every_variable_of_web_and_worker_is_one_that_the_server_reads() -> None:
    # Emptied, so that nothing is inherited from the Docker client.
    emptied = {name for _, name, value in environments() if name in PROXY_VARIABLES and not value}
    unknown = {name for _, name, _ in environments() if server_variable(name) is None}
    assert sorted(unknown - emptied) == []


def test_what_only_one_of_the_two_gets_is_read_by_that_one() -> None:
    given = {
        process: {name for one, name, _ in environments() if one == process} for process in ("web", "worker")
    }
    for process, other in (("web", "worker"), ("worker", "web")):
        for name in sorted(given[process] - given[other]):
            known = server_variable(name)
            assert known is not None
            assert {"shared", process} & set(known.read_by), f"{name} is read by {known.read_by}"


def test_web_and_worker_get_all_that_they_do_not_start_without() -> None:
    required = {name for name, one in server_variables().items() if one.required}
    given: dict[str, set[str]] = {"web": set(), "worker": set()}
    for process, name, _value in environments():
        given[process].add(name)
    assert required - given["web"] == set()
    assert required - given["worker"] == {"NEXTAUTH_SECRET"}


def test_every_fixed_value_and_default_in_compose_yaml_is_one_that_the_server_takes() -> None:
    wrong = []
    for process, name, value in environments():
        found = VALUES.search(value)
        text = (found.group(1) or found.group(2) or "") if found else ""
        known = server_variable(name)
        if text and known and (flaw := known.check(text)):
            wrong.append(f"{process}: {name}={text}: {flaw.reason}")
    assert wrong == []


@pytest.mark.parametrize("size", ["ci", "small", "medium", "large"])
def test_every_value_of_a_size_is_one_that_the_server_takes(size: str) -> None:
    values = parse_env((ROOT / "config" / "sizes" / f"{size}.env").read_text(encoding="utf-8")).values()
    checked = {name: known.check(value) for name, value in values.items() if (known := server_variable(name))}
    assert len(checked) >= 6
    assert [f"{name}: {flaw}" for name, flaw in checked.items() if flaw] == []
    # A score waits that long before it is written; the server's own default is 15 s.
    assert int(values["LANGFUSE_INGESTION_QUEUE_DELAY_MS"]) <= 1000


def test_every_default_of_a_setting_that_is_also_the_servers_is_one_that_the_server_takes() -> None:
    wrong = []
    for setting in SETTINGS:
        known = server_variable(setting.name)
        if known and isinstance(setting.default, str) and setting.default and known.check(setting.default):
            wrong.append(setting.name)
    assert wrong == []


def test_a_setting_offers_only_choices_that_the_server_has() -> None:
    wrong = []
    for setting in SETTINGS:
        known = server_variable(setting.name)
        options = setting.kind.name.split(" \\| ")
        if known and known.values and len(options) > 1 and not set(options) <= set(known.values):
            wrong.append(f"{setting.name}: {options} are not all in {known.values}")
    assert wrong == []


# Names that pages and comments write, with these beginnings, are Langfuse's, its SDK's or settings of ours.
WRITTEN = re.compile(
    r"(?<![\w$.-])((?:LANGFUSE|AUTH|NEXTAUTH|CLICKHOUSE|REDIS|OTEL)_[A-Z0-9_]*[A-Z0-9])(?![\w*<.])"
)
OF_OTHERS = {
    "CLICKHOUSE_SKIP_USER_SETUP": "entrypoint of ClickHouse's image",
    "LANGFUSE_PRT": "an example of a misspelt name",
    "LANGFUSE_REFERENCE_DIR": "tests of this repository",
    "LANGFUSE_TEST_URL": "langfuse_testing",
    "LANGFUSE_TEST_STACK": "langfuse_testing",
    "LANGFUSE_TEST_PYTHON": "langfuse_testing",
    "LANGFUSE_STACK": "ci/gitlab.yml",
    "LANGFUSE_STACK_REF": "ci/gitlab.yml",
    "LANGFUSE_TEST_PUBLIC_KEY": "langfuse_testing",
    "LANGFUSE_TEST_SECRET_KEY": "langfuse_testing",
    "LANGFUSE_S3_MEDIA_UPLOAD_MAX_CONTENT_LENGTH": "chart langfuse 2.0.0, which misspells a name",
    "LANGFUSE_PROJECT_ID": "credentials files of this repository",
    "LANGFUSE_KEY_ROTATION": "credentials files of this repository",
    "LANGFUSE_HOST": "older SDKs",
    "LANGFUSE_E2E_READ_TIMEOUT_SECONDS": "tests of the official SDK",
    "LANGFUSE_E2E_READ_INTERVAL_SECONDS": "tests of the official SDK",
    "REDIS_ADDR": "redis_exporter",
    "REDIS_USER": "redis_exporter",
    "REDIS_PASSWORD": "redis_exporter",
    "REDIS_EXPORTER_CONFIG_COMMAND": "redis_exporter",
}


@pytest.mark.parametrize("place", ["docs", "config", "compose.yaml", "README.md", "deploy", "examples"])
def test_every_name_of_langfuse_that_is_written_down_exists(place: str) -> None:
    root = ROOT / place
    files = [root] if root.is_file() else [one for one in root.rglob("*") if one.is_file()]
    of_sdk = {name for name in vars(sdk) if name.isupper()}
    wrong = []
    for file in files:
        if file.suffix not in {".md", ".yaml", ".yml", ".env", ".xml", ".py", ".conf", ".sh", ""}:
            continue
        names = set(WRITTEN.findall(file.read_text(encoding="utf-8", errors="ignore")))
        names -= SETTING_NAMES | of_sdk | OF_OTHERS.keys()
        wrong += [f"{file.relative_to(ROOT)}: {name}" for name in names if server_variable(name) is None]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("LANGFUSE_S3_EVENT_KEY_MAX_SEGMENT_BYTES", "63", "out of range"),
        ("LANGFUSE_S3_EVENT_KEY_MAX_SEGMENT_BYTES", "64.5", "not a whole number"),
        ("LANGFUSE_INGESTION_CLICKHOUSE_MAX_ATTEMPTS", "0", "out of range"),
        ("LANGFUSE_INGESTION_CLICKHOUSE_MAX_ATTEMPTS", "many", "not a number"),
        ("LANGFUSE_INGESTION_CLICKHOUSE_MAX_ATTEMPTS", "inf", "not a number"),
        ("CLICKHOUSE_CLUSTER_ENABLED", "yes", "use true or false"),
        ("AUTH_GOOGLE_CLIENT_AUTH_METHOD", "basic", "client_secret_basic"),
        ("CLICKHOUSE_URL", "clickhouse:", "not a URL"),
        ("CLICKHOUSE_URL", "nothing", "not a URL"),
    ],
)
def test_a_value_that_the_server_refuses_is_explained(name: str, value: str, reason: str) -> None:
    known = server_variable(name)
    assert known is not None
    flaw = known.check(value)
    assert flaw is not None
    assert reason in f"{flaw.reason}; {flaw.fix}"


def test_a_variable_of_a_newer_server_is_known_with_its_source() -> None:
    known = server_variable("LANGFUSE_S3_MEDIA_UPLOAD_INTERNAL_ENDPOINT")
    assert known is not None
    assert known.since == "after 4.16.0"
    assert known.source.startswith("https://langfuse.com/self-hosting/")


def test_a_prefix_of_a_library_covers_its_variables_and_nothing_else() -> None:
    assert server_variable("DD_SITE") is not None
    assert server_variable("OTEL_EXPORTER_OTLP_HEADERS") is not None
    assert server_variable("OTEL_INGESTION_QUEUE_PROCESSING_CONCURRENCY") is None


def test_no_real_name_is_taken_for_another_one() -> None:
    names = server_variables().keys() | SETTING_NAMES
    assert [name for name in names if "*" not in name and nearest_name(name, names) != name] == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("LANGFUSE_PROT", "LANGFUSE_PORT"),
        (
            "OTEL_INGESTION_QUEUE_PROCESSING_CONCURRENCY",
            "LANGFUSE_OTEL_INGESTION_QUEUE_PROCESSING_CONCURRENCY",
        ),
        ("AUTH_GOGLE_CLIENT_ID", "AUTH_GOOGLE_CLIENT_ID"),
        ("AUTH_SIGNUP_DISABLE", "AUTH_DISABLE_SIGNUP"),
        ("ENCRYPTIONKEY", "ENCRYPTION_KEY"),
        ("langfuse-port", "LANGFUSE_PORT"),
        ("CLICKHOUSE_PASS", "CLICKHOUSE_PASSWORD"),
        ("AUTH_ACME_CLIENT_ID", ""),
        ("ACME_REGION", ""),
        ("PATH", ""),
    ],
)
def test_a_misspelt_name_leads_to_the_one_that_was_meant(written: str, meant: str) -> None:
    assert nearest_name(written, server_variables().keys() | SETTING_NAMES) == meant


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("AUTH_GOOGLE_ALLOW_ACCOUNT_LINKING", "is a variable of Langfuse that .env does not pass on"),
        ("LANGFUSE_PROT", "did you mean LANGFUSE_PORT?"),
        (
            "AUTH_GOOGLE_ALOW_ACCOUNT_LINKING",
            "did you mean AUTH_GOOGLE_ALLOW_ACCOUNT_LINKING? It is",
        ),
        ("ACME_REGION", ""),
    ],
)
def test_a_name_of_langfuse_in_the_env_file_is_told_where_it_belongs(name: str, hint: str) -> None:
    said = unknown_name_hint(name, SETTING_NAMES)
    assert hint in said if hint else said == ""


def test_no_variable_of_the_server_is_called_a_mistake() -> None:
    real = [name for name in server_variables() if "*" not in name and name not in SETTING_NAMES]
    assert len(real) > 450
    assert [name for name in real if "did you mean" in unknown_name_hint(name, SETTING_NAMES)] == []


SHARED = """
// TRAP: z.string(),
export const sizeSchema = z.coerce
  .number()
  .int()
  .min(64)
  .default(2048);
const EnvSchema = z.object({
  SIZE: sizeSchema, // one of "these"
  MODE: z.enum(["true", "false"]).default("false"),
  HOSTS: z
    .string()
    .optional()
    .transform((s) => (s ? s.split(",").map((s) => s.trim()) : [])),
  lower_case: z.string().optional(),
});
export const env = { NOT_ONE: z.string() };
"""
WEB = """
export const env = createEnv({
  server: {
    DATABASE_URL: z.url(),
    SECRET:
      process.env.NODE_ENV === "production"
        ? z.string().min(1)
        : z.string().min(1).optional(),
  },
  client: {
    NEXT_PUBLIC_A: z.enum(["x", "y"]).optional(),
  },
  runtimeEnv: { IGNORED: process.env.IGNORED },
});
"""
WORKER = "const EnvSchema = z.object({\n  TIMEOUT: z.coerce.number().positive().default(15 * 60_000),\n});\n"


def test_the_generator_reads_kinds_limits_and_defaults_from_a_source_tree(tmp_path: Path) -> None:
    for (_process, path), text in zip(generator.SCHEMAS, (SHARED, WEB, WORKER), strict=True):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    for path in ("web/entrypoint.sh", "worker/entrypoint.sh", "packages/shared/clickhouse/scripts/up.sh"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text('[ -z "$DIRECT_URL" ]\n', encoding="utf-8")
    found = generator.read(tmp_path)
    shown = {n: (v.kind, v.values, v.limits, v.default, v.required, v.read_by) for n, v in found.items()}
    assert shown == {
        "SIZE": ("number", (), "whole >=64", "2048", False, ["shared"]),
        "MODE": ("boolean", ("true", "false"), "", "false", False, ["shared"]),
        "HOSTS": ("list", (), "", "", False, ["shared"]),
        "lower_case": ("text", (), "", "", False, ["shared"]),
        "DATABASE_URL": ("url", (), "", "", True, ["web"]),
        "SECRET": ("text", (), "", "", True, ["web"]),
        "NEXT_PUBLIC_A": ("choice", ("x", "y"), "", "", False, ["web"]),
        "TIMEOUT": ("number", (), ">0", "900000", False, ["worker"]),
        "DIRECT_URL": ("text", (), "", "", False, ["web", "worker"]),
    }
    assert found["SIZE"].source == "packages/shared/src/env.ts:9"
