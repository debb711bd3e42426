"""Read `config/alerts.yaml`; refuse what is not understood with line and column, all problems at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scripts.core.edited_file import parse_edited, read_edited
from scripts.core.errors import UsageError
from scripts.core.yaml_nodes import Step, find_node, position, repeated_keys

from .checks import check_alert, check_observed, unknown
from .expression import ExpressionError, parse_condition
from .model import (
    RUNBOOKS,
    Action,
    ActionType,
    Alert,
    AlertFile,
    NoData,
    Observed,
    Severity,
    Variable,
    Window,
)

SLUG = r"^[a-z][a-z0-9_]{1,62}$"
DURATION = r"^[1-9]\d*[smhdw]$"
WINDOW = r"^([1-9]\d*[smhdw]|day|month)$"
FILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"

Slug = Annotated[str, Field(pattern=SLUG)]
Duration = Annotated[str, Field(pattern=DURATION)]
WindowText = Annotated[str, Field(pattern=WINDOW)]
SecretFile = Annotated[str, Field(pattern=FILE_NAME)]
Texts = str | list[str]
_DIMENSION = Literal["model", "trace_name", "user", "environment", "tag", "agent", "release"]
GROUPING = r"^(model|trace_name|user|environment|agent|release|tag(:.+)?)$"
_Grouping = Annotated[str, Field(pattern=GROUPING)]


class AlertFileError(UsageError):
    """`config/alerts.yaml` cannot be used."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Alert(_Strict):
    name: Slug
    metric: Annotated[str, Field(min_length=1)]
    condition: Annotated[str, Field(min_length=1)]
    window: WindowText
    action: Texts
    project: Texts = []
    filters: dict[_DIMENSION, Texts] = {}
    exclude: dict[_DIMENSION, Texts] = {}
    group_by: _Grouping | None = None
    severity: Severity = Severity.WARNING
    for_: Annotated[str, Field(alias="for", pattern=r"^(0s|[1-9]\d*[smhdw])$")] = "0s"
    min_samples: Annotated[int, Field(ge=0)] | None = None
    no_data: NoData = NoData.WENT_SILENT
    runbook: str = ""
    description: str = ""


class _Observed(_Strict):
    metric: Annotated[str, Field(min_length=1)]
    statistics: Annotated[list[str], Field(min_length=1)]
    window: WindowText
    group_by: _Grouping | None = None


class _Slack(_Strict):
    type: Literal["slack"]
    channel: str
    url_file: SecretFile


class _PagerDuty(_Strict):
    type: Literal["pagerduty"]
    routing_key_file: SecretFile


class _Email(_Strict):
    type: Literal["email"]
    to: str
    sender: str
    smarthost: Annotated[str, Field(pattern=r"^[^\s:]+:\d+$")]
    username: str = ""
    password_file: SecretFile | None = None


class _Webhook(_Strict):
    type: Literal["webhook"]
    url: Annotated[str, Field(pattern=r"^https?://")]
    token_file: SecretFile | None = None


class _PerProject(_Strict):
    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, float] = Field(init=False)
    default: float


class _File(_Strict):
    variables: dict[Slug, float | _PerProject] = {}
    actions: dict[Slug, Annotated[_Slack | _PagerDuty | _Email | _Webhook, Field(discriminator="type")]] = {}
    stack_alerts: dict[Literal["info", "warning", "critical", "watchdog"], Texts] = {}
    runbooks: Annotated[str, Field(pattern=r"^\S*/$")] = RUNBOOKS
    repeat_every: Duration = "4h"
    observe: list[_Observed] = []
    alerts: Annotated[list[_Alert], Field(min_length=1)]


_SECRETS = ("url_file", "routing_key_file", "password_file", "token_file")
_EXPLAINED = {
    SLUG: "use lower-case letters, digits and _",
    DURATION: "write 30s, 5m, 1h, 7d or 2w",
    r"^(0s|[1-9]\d*[smhdw])$": "write 30s, 5m, 1h, 7d or 2w",
    GROUPING: "write model, trace_name, user, environment, tag, tag:<prefix>, agent or release",
    WINDOW: "write 30s, 5m, 1h, 7d, 2w, day or month",
    FILE_NAME: "write the name of a file in the secrets directory, not a path or the secret itself",
    r"^https?://": "begin with http:// or https://",
    r"^\S*/$": "end with /",
    r"^[^\s:]+:\d+$": "write host:port",
}


def load_alerts(path: Path, shown: str) -> AlertFile:
    """Return the checked file; `shown` is what messages call it.

    Raises:
        AlertFileError: it is absent, not YAML, or says something not understood. All faults are named.
    """
    return parse_alerts(read_edited(path, shown, AlertFileError), shown)


def parse_alerts(text: str, shown: str) -> AlertFile:
    """Return the checked content of `text`. Raises AlertFileError, see load_alerts."""
    content = parse_edited(text, shown, AlertFileError)
    source = _Source(text)
    faults = [f"{place}: {key} is given twice; keep one" for place, key in source.repeated_keys()]
    document: _File | None = None
    try:
        document = _File.model_validate(content if content is not None else {})
    except ValidationError as error:
        faults += [_describe(source, fault) for fault in error.errors()]
    if document is None or faults:
        raise _refusal(shown, faults)
    return _Builder(document, source, shown).build()


class _Builder:
    """Turns the file's own form into the model; collects what does not fit together."""

    def __init__(self, document: _File, source: _Source, shown: str) -> None:
        self._document = document
        self._source = source
        self._shown = shown
        self._faults: list[str] = []

    def build(self) -> AlertFile:
        variables = {name: _variable(value) for name, value in self._document.variables.items()}
        self._find_duplicates()
        self._check_stack_actions()
        alerts = [alert for number in range(len(self._document.alerts)) for alert in self._alert(number)]
        for number, alert in alerts:
            for path, column, fault in check_alert(alert, set(variables), set(self._document.actions)):
                self._fault(("alerts", number, *path), fault, column)
        observed = tuple(self._observed(number) for number in range(len(self._document.observe)))
        if self._faults:
            raise _refusal(self._shown, self._faults)
        return AlertFile(
            alerts=tuple(alert for _, alert in alerts),
            observed=observed,
            actions={name: _action(name, action) for name, action in self._document.actions.items()},
            variables=variables,
            stack_actions={
                severity: _texts(self._document.stack_alerts[severity.value])
                for severity in Severity
                if severity.value in self._document.stack_alerts
            },
            watchdog=" ".join(_texts(self._document.stack_alerts.get("watchdog", []))),
            repeat_every=self._document.repeat_every,
            runbooks=self._document.runbooks,
        )

    def _alert(self, number: int) -> Iterator[tuple[int, Alert]]:
        raw = self._document.alerts[number]
        try:
            condition = parse_condition(raw.condition)
        except ExpressionError as error:
            self._fault(("alerts", number, "condition"), error.message, error.column)
            return
        yield (
            number,
            Alert(
                name=raw.name,
                metric=raw.metric,
                condition_text=" ".join(raw.condition.split()),
                condition=condition,
                window=Window(raw.window),
                actions=_texts(raw.action),
                projects=_texts(raw.project),
                filters=_selection(raw.filters),
                excluded=_selection(raw.exclude),
                group_by=raw.group_by or "",
                severity=raw.severity,
                hold=raw.for_,
                min_samples=1 if raw.min_samples is None else raw.min_samples,
                no_data=raw.no_data,
                runbook=raw.runbook or f"{self._document.runbooks}{raw.name}.md",
                description=raw.description,
            ),
        )

    def _observed(self, number: int) -> Observed:
        raw = self._document.observe[number]
        observed = Observed(raw.metric, tuple(raw.statistics), Window(raw.window), raw.group_by or "")
        for path, fault in check_observed(observed):
            self._fault(("observe", number, *path), fault)
        return observed

    def _find_duplicates(self) -> None:
        seen: set[str] = set()
        for number, alert in enumerate(self._document.alerts):
            if alert.name in seen:
                self._fault(("alerts", number, "name"), f"the name {alert.name} is used twice")
            seen.add(alert.name)

    def _check_stack_actions(self) -> None:
        for key, names in self._document.stack_alerts.items():
            path = ("stack_alerts", key)
            for name in _texts(names):
                if name not in self._document.actions:
                    self._fault(path, unknown("action", name, self._document.actions))
            if key == "watchdog" and len(_texts(names)) != 1:
                self._fault(path, "one action gets the watchdog")

    def _fault(self, path: Sequence[str | int], text: str, column: int = 0) -> None:
        place = self._source.place_within(path, column) if column else self._source.place(path)
        self._faults.append(f"{place}: {_dotted(path)}: {text}")


def _refusal(shown: str, faults: Sequence[str]) -> AlertFileError:
    count = "one problem" if len(faults) == 1 else f"{len(faults)} problems"
    return AlertFileError(
        f"{shown} has {count}; nothing was changed.", details=[f"{shown}:{fault}" for fault in faults]
    )


def _texts(value: Texts) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _selection(chosen: Mapping[_DIMENSION, Texts]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(sorted((key, _texts(value)) for key, value in chosen.items()))


def _variable(value: float | _PerProject) -> Variable:
    if isinstance(value, _PerProject):
        return Variable(value.default, dict(value.__pydantic_extra__ or {}))
    return Variable(value)


def _action(name: str, raw: _Slack | _PagerDuty | _Email | _Webhook) -> Action:
    values = raw.model_dump(exclude={"type"}, exclude_none=True)
    secret = next((str(values.pop(key)) for key in _SECRETS if key in values), "")
    return Action(name, ActionType(raw.type), secret, {key: str(value) for key, value in values.items()})


def _describe(source: _Source, fault: Any) -> str:
    """Return `line:column: what is wrong; what to write` for one fault that pydantic found."""
    # A discriminated union puts the type of the action into the path; the file has no such level.
    loc = tuple(part for part in fault["loc"] if part not in set(ActionType))
    kind, path = fault["type"], _dotted(loc)
    if kind == "extra_forbidden":
        return f"{source.place(loc, key=True)}: unknown key {path}{_near(loc)}"
    if kind == "missing":
        return f"{source.place(loc[:-1])}: {path} is missing; add it"
    shown = f" ({fault['input']!r})" if isinstance(fault["input"], str | int | float) else ""
    if loc and loc[-1] in _SECRETS:
        shown = ""  # what is in the place of a file's name may be the secret itself
    fix = _EXPLAINED.get(fault.get("ctx", {}).get("pattern", "")) or _lower(fault["msg"])
    return f"{source.place(loc)}: {path or 'the file'} cannot be used{shown}; {fix}"


def _near(loc: Sequence[str | int]) -> str:
    models: dict[str | int, type[BaseModel]] = {"alerts": _Alert, "observe": _Observed}
    model = _File if len(loc) == 1 else models.get(loc[0])
    if model is None:
        return ""
    known = [field.alias or name for name, field in model.model_fields.items()]
    near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(known)}"


def _dotted(loc: Iterable[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


class _Source:
    """The text of a YAML file, and the places of its parts. Raises yaml.YAMLError when it is not YAML."""

    def __init__(self, text: str) -> None:
        self._root = yaml.compose(text, Loader=yaml.SafeLoader)

    def place(self, path: Sequence[Step], *, key: bool = False) -> str:
        """Return `line:column` of a value (of its key with `key`), or of the nearest thing above it."""
        return _place(find_node(self._root, path, key=key))

    def place_within(self, path: Sequence[Step], column: int) -> str:
        """Return `line:column` of the `column`th character (from 1) of a text on one line."""
        node = find_node(self._root, path)
        if node is None:
            return "1:1"
        quoted = isinstance(node, yaml.ScalarNode) and node.style in ("'", '"')
        return f"{node.start_mark.line + 1}:{node.start_mark.column + column + quoted}"

    def repeated_keys(self) -> Iterator[tuple[str, str]]:
        """Yield the place and the name of every key that its mapping has already."""
        yield from ((_place(key), key.value) for key in repeated_keys(self._root))


def _place(node: yaml.Node | None) -> str:
    line, column = position(node)
    return f"{line}:{column}"
