"""`.env` comes from a version that knew fewer secrets."""

from __future__ import annotations

import stat

import httpx

from tests.scenarios.report import Report
from tests.scenarios.stack import Stack, export, new_id, wait_readable

NEWER = ("ADMIN_API_KEY", "GRAFANA_ADMIN_PASSWORD")


def test_up_adds_what_is_missing_and_keeps_what_is_there(shared: Stack, report: Report) -> None:
    """Data and keys of before are good, and what was added works."""
    file, before = shared.context.layout.env_file, shared.env()
    trace_id, span_ids = new_id(16), {new_id(8)}
    with shared.client() as client:
        assert export(client, trace_id, sorted(span_ids)).status_code == 200
        assert wait_readable(client, trace_id, span_ids) == set()
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.lstrip("# ").startswith(NEWER)))

    shared.down()
    shared.up()

    after = shared.env()
    assert {name: after[name] for name in before if name not in NEWER} == {
        name: value for name, value in before.items() if name not in NEWER
    }
    assert all(len(after[name]) >= 16 and after[name] != before[name] for name in NEWER if name in before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with shared.client() as client:
        lost = wait_readable(client, trace_id, span_ids)
    report.add("old_env", "secrets lack in .env", acknowledged=len(span_ids), lost=len(lost))
    assert lost == set()
    for key, status in ((before["ADMIN_API_KEY"], 401), (after["ADMIN_API_KEY"], 200)):
        headers = {"authorization": f"Bearer {key}"}
        assert httpx.get(f"{shared.url}/api/admin/bullmq", headers=headers).status_code == status
