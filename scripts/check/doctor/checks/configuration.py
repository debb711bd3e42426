"""Checks of what an operator edits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import COMPOSE, Check, Repair, Verdict, failed, ok, skipped, warning
from scripts.check.doctor.sources.compose_model import ComposeModel
from scripts.check.doctor.sources.configuration import Configuration, stale_rules
from scripts.check.doctor.sources.containers import Containers
from scripts.check.doctor.sources.stack import Stack
from scripts.docker.containers import Container
from scripts.engines.context import Context
from scripts.settings.login_rules import login_problems
from scripts.settings.server_variables import unknown_name_hint
from scripts.settings.table import SETTINGS
from scripts.watch.alerts.compiled import write_compiled


def _settings(facts: Facts) -> Verdict:
    problems = facts.of(Configuration).problems
    return failed("; ".join(problems)) if problems else ok("every setting is valid")


def _env_file(facts: Facts) -> Verdict:
    configuration = facts.of(Configuration)
    if configuration.env_fault:
        return failed(f".env cannot be read: {configuration.env_fault}", "put the .env of your backup back")
    if configuration.env_exists:
        return ok(".env is there")
    return failed("there is no .env, and so no secrets")


def _unknown(facts: Facts) -> Verdict:
    unknown = facts.of(Configuration).unknown
    if not unknown:
        return ok("every name in .env is known")
    names = {setting.name for setting in SETTINGS}
    hints = [f"{name} {unknown_name_hint(name, names) or 'is read by nothing'}" for name in unknown]
    return warning("; ".join(hints))


def _stack_file(facts: Facts) -> Verdict:
    configuration = facts.of(Configuration)
    if configuration.stack_fault:
        return failed(configuration.stack_fault)
    return ok(f"config/stack.yaml describes {len(configuration.projects)} projects")


def _alerts(facts: Facts) -> Verdict:
    fault = facts.of(Configuration).alerts_fault
    return failed(fault) if fault else ok("config/alerts.yaml is valid")


def _compiled(facts: Facts) -> Verdict:
    configuration = facts.of(Configuration)
    if configuration.alerts_fault:
        raise NotGathered("config/alerts.yaml has problems")
    if configuration.stale:
        names = ", ".join(Path(path).name for path in configuration.stale)
        return warning(f"out of date against config/alerts.yaml: {names}")
    return ok("Prometheus and Alertmanager have the rules of config/alerts.yaml")


def _receivers(facts: Facts) -> Verdict:
    if "monitoring" not in facts.of(Stack).profiles:
        return skipped("the profile monitoring is off, so no alert is sent")
    configuration = facts.of(Configuration)
    if configuration.alerts_fault:
        raise NotGathered("config/alerts.yaml has problems")
    if configuration.mute:
        return warning(f"actions of config/alerts.yaml cannot send: {'; '.join(configuration.mute)}")
    return ok("every action of config/alerts.yaml has its secret")


def _compose(facts: Facts) -> Verdict:
    problem = facts.of(ComposeModel).problem
    return failed(problem) if problem else ok("Compose accepts compose.yaml with these settings")


def _policy(facts: Facts) -> Verdict:
    model = _model(facts)
    if model.breaches:
        return warning("; ".join(model.breaches[:5]))
    return ok("every service is hardened, limited and in its networks")


def _applied(facts: Facts) -> Verdict:
    services = _model(facts).services
    running = [one for one in facts.of(Containers).by_name.values() if one.running]
    if not running:
        raise NotGathered("no container runs")
    known = [(one, services[one.service]) for one in running if one.service in services]
    old = {one.name: names for one, wanted in known if (names := former_settings(wanted, one))}
    if old:
        texts = [f"{service} ({', '.join(names[:4])})" for service, names in sorted(old.items())]
        return warning(f"still running with former settings: {', '.join(texts)}")
    return ok(f"{len(running)} containers run with the current settings")


def former_settings(wanted: Mapping[str, Any], container: Container) -> list[str]:
    """Return what a container has otherwise than Compose would make it now: variables, image, limit, command.

    What `make up` hands to web at its start (LANGFUSE_INIT_*) is left out.
    """
    # Compose writes a dollar twice, so that its output could be its input.
    variables = {
        name: str(value).replace("$$", "$")
        for name, value in (wanted.get("environment") or {}).items()
        if value is not None
    }
    command = [str(word).replace("$$", "$") for word in wanted.get("command") or ()]
    differing = [
        name
        for name, value in sorted(variables.items())
        if not name.startswith("LANGFUSE_INIT_") and container.environment.get(name) != value
    ]
    limits = wanted.get("deploy", {}).get("resources", {}).get("limits", {})
    if limits.get("memory") and int(limits["memory"]) != container.memory_limit:
        differing.append("memory limit")
    if wanted.get("image") != container.image:
        differing.append("image")
    if command and command != list(container.command):
        differing.append("command")
    return differing


def _mail(facts: Facts) -> Verdict:
    values = facts.of(Stack).values
    both = [name for name in ("EMAIL_FROM_ADDRESS", "SMTP_CONNECTION_URL") if values.get(name)]
    if len(both) == 1:
        return warning(f"{both[0]} alone sends no mail")
    if not both:
        return skipped("no mail is set up: there are no invitations and no password resets by mail")
    return ok("mail is set up")


def _login(facts: Facts) -> Verdict:
    stack = facts.of(Stack)
    found = list(login_problems({**stack.further, **stack.values}))
    if found:
        return failed("; ".join(reason for _, reason, _ in found), f"{found[0][2]}, then make up")
    return ok("there is a way to sign in")


def _model(facts: Facts) -> ComposeModel:
    model = facts.of(ComposeModel)
    if model.problem:
        raise NotGathered("Compose does not accept compose.yaml")
    return model


def _compile(context: Context) -> None:
    for path, text in stale_rules(context).items():
        write_compiled(Path(path), text)


CHECKS = (
    Check(
        id="configuration.env_file",
        looks_at="There is a `.env` with this stack's secrets.",
        fix="make up makes one; for data that exists already take .env from its backup",
        page="reference/environment.md",
        judge=_env_file,
    ),
    Check(
        id="configuration.settings",
        looks_at="Every value in `.env` and the environment is valid.",
        fix="correct it (docs/reference/environment.md explains every setting), then make up",
        page="reference/environment.md",
        judge=_settings,
    ),
    Check(
        id="configuration.unknown",
        looks_at="Every name in `.env` is read by something: others are often typing errors.",
        fix="correct the name; a variable of Langfuse that is not a setting here belongs in .env.langfuse",
        page="reference/environment.md",
        judge=_unknown,
    ),
    Check(
        id="configuration.stack_file",
        looks_at="`config/stack.yaml` and what it includes are valid.",
        fix="correct it; make validate shows all problems with their lines",
        page="how-to/provision.md",
        judge=_stack_file,
    ),
    Check(
        id="configuration.alerts",
        looks_at="`config/alerts.yaml` is valid.",
        fix="correct it; make alerts DRY_RUN=1 shows the problems with their lines",
        page="runbooks/AlertsFileInvalid.md",
        judge=_alerts,
    ),
    Check(
        id="configuration.compiled",
        looks_at="Rules and routes are up to date with `config/alerts.yaml`.",
        fix="make alerts",
        page="how-to/monitor.md",
        judge=_compiled,
        repair=Repair(what="compile config/alerts.yaml, as make alerts does", apply=_compile),
    ),
    Check(
        id="configuration.receivers",
        looks_at="Every action of `config/alerts.yaml` has its secret in `config/alertmanager/secrets`.",
        fix="write the secret to that file and give it to Alertmanager's user: sudo chown 65534 FILE; "
        "or take the action out of config/alerts.yaml, then make alerts",
        page="how-to/monitor.md#actions",
        judge=_receivers,
        engines=COMPOSE,
    ),
    Check(
        id="configuration.compose",
        looks_at="Compose accepts `compose.yaml` with the settings and overrides.",
        fix="correct the file that the message names (compose.override.yaml is the usual one)",
        page="reference/compose.md",
        judge=_compose,
        engines=COMPOSE,
    ),
    Check(
        id="configuration.policy",
        looks_at="No override loosens a rule of the stack: users, capabilities, limits, networks, ports.",
        fix="take that out of compose.override.yaml, or live with it knowingly",
        page="reference/compose.md#exceptions-from-the-rules",
        judge=_policy,
        engines=COMPOSE,
    ),
    Check(
        id="configuration.applied",
        looks_at="Containers run with the current settings, not with former ones.",
        fix="make up",
        page="reference/compose.md",
        judge=_applied,
        engines=COMPOSE,
    ),
    Check(
        id="configuration.mail",
        looks_at="Mail has both of its settings, or none.",
        fix="set both EMAIL_FROM_ADDRESS and SMTP_CONNECTION_URL, then make up",
        page="reference/environment.md",
        judge=_mail,
        engines=COMPOSE,
    ),
    Check(
        id="configuration.login",
        looks_at="Every login provider is complete, and there is a way to sign in.",
        fix="set the client secret beside the client id, then make up",
        page="how-to/sso.md",
        judge=_login,
    ),
)
