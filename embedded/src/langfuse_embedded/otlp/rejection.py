"""The whole-batch rejection: what is unusable in an export, and the answer that says so.

One unusable span rejects the export as a unit, because the usual cause (a logs export sent to the traces
endpoint, a hand-written exporter) spoils every span alike. The texts are the reference server's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_SCOPE_NAMES = 5

_ID_HINT = "traceId and spanId are required on every span, and each must be a string or a byte array."
_ARRAY_HINT = (
    "scopeSpans, spans, attributes and events must all be arrays \u2014 OTLP attributes are a list of "
    "{key, value} entries, not a JSON object."
)
_LOGS_HINT = (
    "This endpoint accepts OpenTelemetry traces only \u2014 if you are exporting OpenTelemetry logs, "
    "point your log exporter elsewhere."
)


@dataclass(slots=True)
class Findings:
    """What was found while walking through an export; `reasons` are `<field>:<reason>`."""

    spans: int = 0
    bad_spans: int = 0
    bad_collections: int = 0
    reasons: dict[str, None] = field(default_factory=dict)
    scope_names: dict[str, None] = field(default_factory=dict)

    def reject_collection(self, reason: str, scope_name: str | None = None) -> None:
        """Note a field above the spans that must be a list and is none."""
        self.bad_collections += 1
        self._note([reason], scope_name)

    def reject_span(self, reasons: list[str], scope_name: str | None) -> None:
        """Note a span that cannot be mapped."""
        self.bad_spans += 1
        self._note(reasons, scope_name)

    def _note(self, reasons: list[str], scope_name: str | None) -> None:
        self.reasons.update(dict.fromkeys(reasons))
        if scope_name and len(self.scope_names) < MAX_SCOPE_NAMES:
            self.scope_names[scope_name] = None

    def message(self) -> str | None:
        """Return the text of the answer, or ``None`` when the export can be taken."""
        if not self.reasons:
            return None
        problems = []
        if self.bad_spans:
            problems.append(f"{self.bad_spans} of {self.spans} span(s) cannot be processed")
        if self.bad_collections:
            problems.append(
                f"{self.bad_collections} resource- or scope-level field(s) are present but not arrays"
            )
        hints = []
        if any(reason.endswith((":absent", ":not_an_id")) for reason in self.reasons):
            hints.append(_ID_HINT)
        if any(reason.endswith(":not_an_array") for reason in self.reasons):
            hints.append(_ARRAY_HINT)
        return (
            f"Invalid OTLP trace export: {'; '.join(problems)} ({', '.join(self.reasons)}). "
            f"{' '.join(hints)} "
            "The entire export was rejected and no spans were ingested. "
            f"Instrumentation scopes: {', '.join(self.scope_names) or 'unknown'}. {_LOGS_HINT}"
        )
