"""The event: what one OpenTelemetry span becomes, and what the store keeps of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Event:
    """One observation as the mapper delivers it, before prices, prompt lookup and the store.

    Times are Unix milliseconds (the public API has no finer grain). Optional texts that were not sent are
    ``None``; the store writes them as the server does, mostly as empty text. ``input`` and ``output`` are raw
    text: JSON documents stay encoded. ``metadata`` holds dotted paths and raw values in the order in which
    the server stores them; a name may stand twice, and then the first one wins on reading.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    type: str
    start_time: int
    end_time: int | None
    environment: str = "default"
    level: str = "DEFAULT"
    status_message: str | None = None
    version: str | None = None
    release: str | None = None
    completion_start_time: int | None = None
    user_id: str | None = None
    session_id: str | None = None
    trace_name: str | None = None
    tags: list[str] = field(default_factory=list)
    public: bool = False
    is_app_root: bool = False
    as_root: bool = False
    """The sender marks it as the root of its trace, although it has a parent."""
    prompt_name: str | None = None
    prompt_version: int | None = None
    model_name: str | None = None
    model_parameters: str = "{}"
    """A JSON object, encoded."""
    usage: dict[str, int] = field(default_factory=dict)
    """Units by kind as the client gave them, `total` filled in."""
    cost: dict[str, float] = field(default_factory=dict)
    """USD by kind as the client gave it; when empty the price list decides."""
    input: str | None = None
    output: str | None = None
    metadata: list[tuple[str, str]] = field(default_factory=list)
    sent_metadata: dict[str, str] | None = None
    """The metadata of the legacy batch by its first names, which the legacy API shows as they were sent."""
    tool_definitions: dict[str, str] = field(default_factory=dict)
    tool_calls: list[str] = field(default_factory=list)
    tool_call_names: list[str] = field(default_factory=list)
    experiment: Experiment | None = None
    trace: TraceAttributes | None = None
    service_name: str | None = None
    service_version: str | None = None
    scope_name: str | None = None
    scope_version: str | None = None
    telemetry_sdk_language: str | None = None
    telemetry_sdk_name: str | None = None
    telemetry_sdk_version: str | None = None


@dataclass(slots=True)
class TraceAttributes:
    """What an observation says of its whole trace; the legacy API shows a trace by it."""

    input: str | None
    output: str | None
    metadata_names: list[str]
    """Names in the observation's metadata that are the trace's, with all dotted paths below them."""
    shared_names: list[str]
    """Those of them that are the observation's too."""


@dataclass(slots=True)
class Experiment:
    """The experiment run that an observation belongs to (`langfuse.experiment.*` attributes)."""

    id: str
    """Empty when the span has other experiment attributes but no id."""
    name: str | None = None
    description: str | None = None
    dataset_id: str | None = None
    metadata: list[tuple[str, str]] = field(default_factory=list)
    item_id: str | None = None
    item_version: int | None = None
    """Unix milliseconds."""
    item_root_span_id: str | None = None
    item_expected_output: str | None = None
    item_metadata: list[tuple[str, str]] = field(default_factory=list)
