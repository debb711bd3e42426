"""Compile actions to Alertmanager's configuration: receivers, routes, grouping, inhibition, repetition."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .model import RUNBOOKS, Action, ActionType, AlertFile, Severity
from .rules import HEADER

SECRETS_DIR = "/etc/alertmanager/secrets"
"""Where the service of the monitoring profile finds the files with secrets."""

_TITLE = (
    '{{ if eq .Status "firing" }}[FIRING:{{ .Alerts.Firing | len }}]{{ else }}[RESOLVED]{{ end }} '
    "{{ .CommonLabels.alertname }} {{ .CommonLabels.project }}"
)
_TEXT = (
    "{{ range .Alerts }}"
    "*{{ .Annotations.summary }}*\n"
    "{{ .Annotations.description }}\n"
    "{{ with .Labels.project }}Project: {{ . }}\n{{ end }}"
    "{{ with .Labels.group }}Group: {{ . }}\n{{ end }}"
    "{{ with .Annotations.value }}Value: {{ . }}\n{{ end }}"
    "{{ with .Annotations.threshold }}Threshold: {{ . }}\n{{ end }}"
    "Runbook: {{ RUNBOOK }}\n"
    "{{ end }}"
)
# Names of models, users and tasks are in labels: `<!channel>` in one would call everybody.
_FOR_SLACK = 'reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;"'
_VALUE = re.compile(r"\{\{ (\.(?:Annotations|Labels|CommonLabels)\.\w+) \}\}|\{\{ \. \}\}")
_COLOR = '{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}'

_STACK_DOWN = 'alertname=~"CanaryFailing|ServerUnreachable|ExporterDown"'


def alertmanager_file(
    file: AlertFile,
    *,
    secrets_dir: str = SECRETS_DIR,
    group_wait: str = "10s",
    group_interval: str = "1m",
) -> str:
    """Return the YAML of Alertmanager's configuration.

    The alerts of one group wait `group_wait` for each other; news of a group comes every `group_interval`.
    """
    templates = _Templates(file.runbooks)
    document = {
        "global": {"resolve_timeout": "5m"},
        "route": {
            "receiver": "nobody",
            "group_by": ["alertname", "project"],
            "group_wait": group_wait,
            "group_interval": group_interval,
            "repeat_interval": file.repeat_every,
            "routes": _routes(file),
        },
        "inhibit_rules": _inhibitions(),
        "receivers": [
            {"name": "nobody"},
            *(_receiver(action, secrets_dir, templates) for action in file.actions.values()),
        ],
    }
    return HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)


def actions_without_secret(file: AlertFile, directory: Path) -> Iterator[tuple[Action, str]]:
    """Yield the actions whose secret is not in its file in `directory`, and what is wrong: missing or empty.

    Alertmanager starts without these files, and fails at each message.
    """
    for action in file.actions.values():
        if action.secret and (reason := _missing_or_empty(directory / action.secret)):
            yield action, reason


def _missing_or_empty(path: Path) -> str:
    try:
        return "" if path.read_text(encoding="utf-8").strip() else "empty"
    except FileNotFoundError:
        return "missing"
    except PermissionError:
        # It is for Alertmanager's user alone. The mounts are checked for that user.
        return "" if not path.parent.exists() or path.stat().st_size else "empty"


def _routes(file: AlertFile) -> list[Mapping[str, Any]]:
    watchdog = {"receiver": file.watchdog or "nobody", "matchers": ['alertname="Watchdog"']}
    if file.watchdog:  # whoever receives it alarms when it stops coming
        watchdog |= {"group_interval": "1m", "repeat_interval": "5m"}
    named = [_route(name, f'actions=~".*,{name},.*"') for name in file.actions]
    stack = [
        _route(name, 'scope="stack"', f'severity="{severity}"')
        for severity in Severity
        for name in file.stack_actions.get(severity, ())
    ]
    return [watchdog, *named, *stack]


def _route(receiver: str, *matchers: str) -> Mapping[str, Any]:
    return {"receiver": receiver, "matchers": list(matchers), "continue": True}


def _inhibitions() -> list[Mapping[str, Any]]:
    return [
        # Nothing can be measured while the stack is down: one message about that is enough.
        {"source_matchers": [_STACK_DOWN], "target_matchers": ['scope="quality"']},
        {
            "source_matchers": ['severity="critical"'],
            "target_matchers": ['severity=~"warning|info"'],
            "equal": ["alertname", "project", "group"],
        },
        {
            "source_matchers": ['alertname=~"daily_budget_exceeded|monthly_budget_exceeded"'],
            "target_matchers": ['alertname=~"daily_budget_projected|monthly_budget_projected"'],
            "equal": ["project"],
        },
    ]


@dataclass(frozen=True, slots=True)
class _Templates:
    """Pieces of messages; `runbooks` is where the pages are."""

    runbooks: str

    def link(self, annotations: str) -> str:
        """Return the expression of a link to the runbook.

        Rules about the stack name a path in this repository, whose base the alerts file may replace.
        """
        if self.runbooks == RUNBOOKS:
            return f"{annotations}.runbook_url"
        return f'reReplaceAll "^{RUNBOOKS}" "{self.runbooks}" {annotations}.runbook_url'

    def text(self) -> str:
        """Return the body of a message."""
        return _TEXT.replace("RUNBOOK", self.link(".Annotations"))


def _receiver(action: Action, secrets_dir: str, templates: _Templates) -> Mapping[str, Any]:
    build = {
        ActionType.SLACK: _slack,
        ActionType.PAGERDUTY: _pagerduty,
        ActionType.EMAIL: _email,
        ActionType.WEBHOOK: _webhook,
    }[action.type]
    kind, configuration = build(action, f"{secrets_dir}/{action.secret}" if action.secret else "", templates)
    return {"name": action.name, kind: [{"send_resolved": True, **configuration}]}


def _slack(action: Action, secret: str, templates: _Templates) -> tuple[str, dict[str, Any]]:
    return "slack_configs", {
        "api_url_file": secret,
        "channel": action.options["channel"],
        "color": _COLOR,
        "title": _for_slack(_TITLE),
        "title_link": f"{{{{ {templates.link('(index .Alerts 0).Annotations')} }}}}",
        "text": _for_slack(templates.text()),
    }


def _for_slack(template: str) -> str:
    """Return a template in which no value can be markup of Slack."""
    return _VALUE.sub(lambda found: f"{{{{ {found[1] or '.'} | {_FOR_SLACK} }}}}", template)


def _pagerduty(_action: Action, secret: str, templates: _Templates) -> tuple[str, dict[str, Any]]:
    return "pagerduty_configs", {
        "routing_key_file": secret,
        "description": _TITLE,
        "severity": "{{ .CommonLabels.severity }}",
        "details": {
            "project": "{{ .CommonLabels.project }}",
            "value": "{{ .CommonAnnotations.value }}",
            "threshold": "{{ .CommonAnnotations.threshold }}",
            "runbook": f"{{{{ {templates.link('.CommonAnnotations')} }}}}",
        },
    }


def _email(action: Action, secret: str, templates: _Templates) -> tuple[str, dict[str, Any]]:
    login = {"auth_username": action.options["username"]} if action.options.get("username") else {}
    password = {"auth_password_file": secret} if secret else {}
    return "email_configs", {
        "to": action.options["to"],
        "from": action.options["sender"],
        "smarthost": action.options["smarthost"],
        **login,
        **password,
        "headers": {"Subject": _TITLE},
        "html": "",
        "text": templates.text(),
    }


def _webhook(action: Action, secret: str, _templates: _Templates) -> tuple[str, dict[str, Any]]:
    token = {"http_config": {"authorization": {"credentials_file": secret}}} if secret else {}
    return "webhook_configs", {"url": action.options["url"], **token}
