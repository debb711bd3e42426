"""From a cause to a message in Slack's form: real Prometheus, Alertmanager, exporter and engine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.watch.alerts.document import parse_alerts
from scripts.watch.alerts.routing import actions_without_secret, alertmanager_file
from scripts.watch.alerts.rules import SILENCE_HOLD, rule_file
from tests.waiting import wait_for

from .alerting import Monitoring, Receiver
from .exporting import RunningExporter
from .harness import DEFAULT_KEYS, REPOSITORY, RunningEngine
from .spans import send, span, trace_id

pytestmark = pytest.mark.slow

ALERTS = """
runbooks: https://acme.example/runbooks/
variables: {daily_budget: 5}
actions:
  slack_notify: {type: slack, channel: "#llm-alerts", url_file: slack_url}
stack_alerts: {critical: slack_notify}
alerts:
  - {name: confidence_drop, metric: attribution_confidence, condition: avg < 0.7, window: 1h,
     no_data: ignore, action: slack_notify}
  - {name: daily_budget_exceeded, metric: llm_cost, condition: sum > daily_budget * 1.2, window: day,
     no_data: ignore, severity: critical, action: slack_notify}
  - {name: feedback_low, metric: user-feedback, condition: avg < 0, window: 5s, action: slack_notify}
"""
# The alert that always fires goes where no message arrives.
TWO_RECEIVERS = """
actions:
  slack_notify: {type: slack, channel: "#llm-alerts", url_file: slack_url}
  other: {type: slack, channel: "#other", url_file: other_url}
  third: {type: pagerduty, routing_key_file: third_key}
stack_alerts: {warning: slack_notify, watchdog: other}
alerts:
  - {name: feedback_low, metric: user-feedback, condition: avg < 0, window: 5s, action: third}
"""
PROJECT = DEFAULT_KEYS.project_id


@dataclass
class Setup:
    """Everything that runs."""

    engine: RunningEngine
    exporter: RunningExporter
    receiver: Receiver
    monitoring: Monitoring

    def score(self, name: str, value: float, times: int = 1) -> None:
        """Create scores, each on a trace of its own."""
        for _ in range(times):
            body = {"traceId": trace_id(), "name": name, "value": value, "dataType": "NUMERIC"}
            assert self.engine.client.post("/api/public/scores", json=body).status_code == 200

    def restart_engine(self, **environment: str) -> None:
        """Start the engine anew on its port, with other settings."""
        self.engine = RunningEngine(
            self.engine.data_dir, environment, port=int(self.engine.base_url.rsplit(":", 1)[1])
        ).start()


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    """Engine, exporter, Prometheus, Alertmanager, receiver."""
    receiver = Receiver()
    (tmp_path / "slack_url").write_text(receiver.url)
    file = parse_alerts(ALERTS, "alerts.yaml")
    engine = RunningEngine(tmp_path / "engine").start()
    exporter = RunningExporter(tmp_path / "exporter", engine.base_url, [DEFAULT_KEYS], ALERTS).start()
    monitoring = Monitoring(
        tmp_path / "monitoring",
        exporter.url,
        # Data must be absent for ten minutes; the test need not wait that long to see the rule work.
        {
            "alerts.yaml": rule_file(file).replace(f"for: {SILENCE_HOLD}", "for: 1s"),
            "stack.yaml": (REPOSITORY / "config" / "prometheus" / "rules" / "stack.yaml").read_text(),
        },
        alertmanager_file(file, secrets_dir=str(tmp_path), group_wait="1s", group_interval="1s"),
    )
    running = Setup(engine, exporter, receiver, monitoring)
    try:
        monitoring.start()
        yield running
    finally:
        monitoring.stop()
        exporter.stop()
        running.engine.stop()
        receiver.close()


def test_a_message_comes_for_every_cause_and_another_when_it_is_over(
    setup: Setup, capsys: pytest.CaptureFixture[str]
) -> None:
    times: dict[str, float] = {}
    wait_for(lambda: setup.monitoring.query("langfuse_canary_up") != [], "the first canary is scraped")

    start = time.monotonic()
    setup.score("attribution_confidence", 0.4, times=5)
    times["low confidence -> message"], message = setup.receiver.wait(
        "[FIRING", "confidence_drop", since=start
    )
    assert message["color"] == "danger"
    assert f"Project: {PROJECT}" in message["text"]
    assert "Value: 0.4\n" in message["text"]
    assert "Threshold: 0.7\n" in message["text"]
    assert "Runbook: https://acme.example/runbooks/confidence_drop.md" in message["text"]

    start = time.monotonic()
    setup.score("attribution_confidence", 0.95, times=30)
    times["good confidence -> resolved"], message = setup.receiver.wait(
        "[RESOLVED]", "confidence_drop", since=start
    )
    assert message["color"] == "good"

    start = time.monotonic()
    cost = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.cost_details": json.dumps({"total": 7.5}),
    }
    send(setup.engine.client, span(trace_id(), "answer", attributes=cost))
    times["spent budget -> message"], message = setup.receiver.wait(
        "[FIRING", "daily_budget_exceeded", since=start
    )
    assert "Value: 7.5 USD\n" in message["text"]
    assert "Threshold: 6 USD\n" in message["text"]

    setup.score("user-feedback", 1)
    wait_for(
        lambda: any(
            value > 0 for _, value in setup.monitoring.query('langfuse_score{score="user-feedback"}')
        ),
        "the feedback is scraped",
    )
    start = time.monotonic()
    times["no more data -> message"], message = setup.receiver.wait(
        "[FIRING", "feedback_low_no_data", since=start
    )
    assert "Value: no data\n" in message["text"]

    setup.engine.stop()
    start = time.monotonic()
    times["stopped engine -> message"], message = setup.receiver.wait("[FIRING", "CanaryFailing", since=start)
    assert "Runbook: https://acme.example/runbooks/CanaryFailing.md" in message["text"]

    setup.restart_engine(EMBEDDED_FAULTS="none")
    start = time.monotonic()
    times["started engine -> resolved"], _ = setup.receiver.wait("[RESOLVED]", "CanaryFailing", since=start)

    # Writes are acknowledged, nothing can be read: what a worker that hangs looks like from outside.
    start = time.monotonic()
    unreadable = {"faults": "503:1.0@/api/public/v2/observations"}
    setup.engine.client.put("/api/embedded/faults", json=unreadable).raise_for_status()
    times["acknowledged but unreadable -> message"], _ = setup.receiver.wait(
        "[FIRING", "CanaryFailing", since=start
    )
    wait_for(lambda: setup.exporter.value("langfuse_canary_failing", result="unreadable") == 1, "unreadable")
    with capsys.disabled():
        print("\nseconds from cause to message (scrape, evaluation and exporter every second):")
        for what, seconds in times.items():
            print(f"  {what:<40} {seconds:5.1f}")


def test_quality_alerts_are_silent_while_the_stack_is_down(setup: Setup) -> None:
    setup.score("attribution_confidence", 0.9, times=3)
    wait_for(
        lambda: bool(setup.monitoring.query('langfuse_score{score="attribution_confidence"}')),
        "the scores are scraped",
    )
    setup.engine.kill()
    setup.receiver.wait("[FIRING", "CanaryFailing", since=0)
    wait_for(lambda: not setup.monitoring.query("langfuse_score"), "the old values are gone")
    titles = [
        attachment["title"] for _, message in setup.receiver.messages for attachment in message["attachments"]
    ]
    assert not [title for title in titles if "confidence_drop" in title]


def test_a_receiver_without_its_secret_is_heard_of_from_another(tmp_path: Path) -> None:
    receiver = Receiver()
    (tmp_path / "slack_url").write_text(receiver.url)
    (tmp_path / "third_key").write_text("\n")
    file = parse_alerts(TWO_RECEIVERS, "alerts.yaml")
    assert [(action.name, reason) for action, reason in actions_without_secret(file, tmp_path)] == [
        ("other", "missing"),
        ("third", "empty"),
    ]
    monitoring = Monitoring(
        tmp_path / "monitoring",
        "http://127.0.0.1:9",
        {"stack.yaml": (REPOSITORY / "config" / "prometheus" / "rules" / "stack.yaml").read_text()},
        alertmanager_file(file, secrets_dir=str(tmp_path), group_wait="1s", group_interval="1s"),
    )
    try:
        monitoring.start()
        _, message = receiver.wait("[FIRING", "NotificationsFailing", since=0, timeout_s=150)
        assert "cannot send by slack" in message["text"]
    finally:
        monitoring.stop()
        receiver.close()
