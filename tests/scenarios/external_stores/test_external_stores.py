"""All four stores are run by somebody else: the stack starts web and worker only."""

from __future__ import annotations

from pathlib import Path

import docker

from tests.scenarios.load import container
from tests.scenarios.report import Report
from tests.scenarios.stack import Stack, export, new_id, wait_readable, with_environment

NETWORK = Path(__file__).parent / "compose.yaml"


def settings_of(company: Stack) -> str:
    """Return the lines of `.env` that lead to the stores of another stack."""
    env = company.env()
    password = env["POSTGRES_PASSWORD"]
    values = {
        "DATABASE_URL": f"postgresql://langfuse:{password}@{company.name}-postgres-1:5432/langfuse",
        "CLICKHOUSE_URL": f"http://{company.name}-clickhouse-1:8123",
        "CLICKHOUSE_MIGRATION_URL": f"clickhouse://{company.name}-clickhouse-1:9000",
        "CLICKHOUSE_PASSWORD": env["CLICKHOUSE_PASSWORD"],
        "REDIS_HOST": f"{company.name}-valkey-1",
        "REDIS_AUTH": env["REDIS_AUTH"],
        "S3_ENDPOINT": f"http://{company.name}-seaweedfs-1:8333",
        "S3_PUBLIC_ENDPOINT": f"http://localhost:{company.context.environment['S3_PORT']}",
        "S3_ACCESS_KEY_ID": env["S3_ACCESS_KEY_ID"],
        "S3_SECRET_ACCESS_KEY": env["S3_SECRET_ACCESS_KEY"],
        # Keys and secrets in these stores were made with the first one's.
        "SALT": env["SALT"],
        "ENCRYPTION_KEY": env["ENCRYPTION_KEY"],
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def test_web_and_worker_work_on_stores_of_ones_own_and_no_bundled_one_starts(
    shared: Stack, stack: Stack, engine: docker.DockerClient, report: Report
) -> None:
    """The stores of another stack, whose own web and worker are stopped, stand for those of a company."""
    stack.context.layout.env_file.write_text(settings_of(shared))
    stack.context.layout.env_file.chmod(0o600)
    tenant = with_environment(stack, COMPANY_NETWORK=f"{shared.name}_stores").with_files(NETWORK)
    replaced = [container(engine, shared, service) for service in ("langfuse-web", "langfuse-worker")]
    for one in replaced:
        one.stop(timeout=5)
    try:
        tenant.up()

        assert {part.name for part in tenant.state().parts} == {"langfuse-web", "langfuse-worker"}
        assert tenant.state().healthy
        assert "volumes" not in tenant.leftovers()
        trace_id, span_ids = new_id(16), {new_id(8) for _ in range(5)}
        with tenant.client() as client:
            assert export(client, trace_id, sorted(span_ids)).status_code == 200
            lost = wait_readable(client, trace_id, span_ids)
        report.add("external_stores", "no store of its own", acknowledged=len(span_ids), lost=len(lost))
        assert lost == set()
    finally:
        # Before the network that it uses.
        tenant.destroy()
        for one in replaced:
            one.start()
