"""What a judgement leaves in the store: scores of the observation, and a trace of the judgement itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langfuse_embedded.javascript.values import dumps
from langfuse_embedded.otlp.event import Event
from langfuse_embedded.store.evaluators import Evaluator
from langfuse_embedded.store.score_rows import Score

from .calls import Answer, Target
from .failures import CallFailed
from .filters import JUDGE_ENVIRONMENT
from .identity import execution_span_id, execution_trace_id, score_id
from .jobs import Job

_SCOPE = "langfuse-internal-llm-completion"


@dataclass(frozen=True, slots=True)
class Judged:
    """A judgement that was tried: by whom, with which question, from when to when (Unix milliseconds)."""

    job: Job
    evaluator: Evaluator
    target: Target
    messages: Sequence[Mapping[str, str]]
    started: int
    ended: int

    @property
    def metadata(self) -> dict[str, str]:
        """What scores and trace say of it, in the server's order."""
        job = self.job
        return {
            "job_execution_id": job.id,
            "job_configuration_id": job.rule_id,
            "evaluation_rule_id": job.rule_id,
            "evaluation_rule_assignment_id": job.assignment_id,
            "evaluator_id": job.evaluator_id,
            "evaluator_version_id": self.evaluator.version.id,
            "target_trace_id": job.trace_id,
            "target_observation_id": job.span_id,
        }


def scores_of(judged: Judged, answer: Answer, environment: str) -> list[Score]:
    """Return the scores: one, or of several categories one each."""
    score = answer.parsed["score"]
    kind = judged.evaluator.version.definition["output"]["dataType"]
    values: list[tuple[float | None, str | None]]
    if kind == "NUMERIC":
        values = [(score, None)]
    elif kind == "BOOLEAN":
        values = [(int(score), str(score))]
    else:
        values = [(None, one) for one in (score if isinstance(score, list) else [score])]
    return [
        {
            "id": score_id(judged.job.id, judged.evaluator.name, number),
            "timestamp": judged.ended,
            "name": judged.evaluator.name,
            "environment": environment,
            "source": "EVAL",
            "data_type": kind,
            "value": value,
            "string_value": text,
            "trace_id": judged.job.trace_id,
            "observation_id": judged.job.span_id,
            "session_id": None,
            "experiment_id": None,
            "comment": answer.parsed["reasoning"],
            "metadata": judged.metadata,
            "config_id": None,
            "author_user_id": None,
            "queue_id": None,
            "nulls": [],
        }
        for number, (value, text) in enumerate(values)
    ]


def trace_of(judged: Judged, outcome: Answer | CallFailed) -> list[Event]:
    """Return the trace: a span with the question and the result, and below it the call of the model."""
    failed = outcome if isinstance(outcome, CallFailed) else None
    # An answer that does not fit is an error of the judgement, not of the model.
    call_failed = failed is not None and failed.text is None
    text = outcome.text
    call = _generation(judged, outcome, text)
    root = _event(judged, "root", f"Execute evaluator: {judged.evaluator.name}", "SPAN")
    if failed is None:
        root.output = dumps(outcome.parsed)  # type: ignore[union-attr]
    else:
        root.level, root.status_message = "ERROR", _root_message(failed)
        if call_failed:
            call.level, call.status_message = "ERROR", str(failed)
            call.metadata.append(("attributes.error.type", "AI_APICallError"))
    return [root, call]


def _root_message(failed: CallFailed) -> str:
    if failed.attempts == 1:
        return str(failed)
    return f"Failed after {failed.attempts} attempts. Last error: AI_APICallError: {failed}"


def _generation(judged: Judged, outcome: Answer | CallFailed, text: str | None) -> Event:
    model, usage = judged.target.model, outcome.usage
    call = _event(judged, "call", f"chat {model}", "GENERATION")
    call.parent_span_id = execution_span_id(judged.job.id, judged.job.attempt, "root")
    call.model_name, call.usage = model, dict(usage)
    if text is not None:
        call.output = dumps([{"role": "assistant", "content": [{"type": "text", "text": text}]}])
    provider = "openai.chat" if judged.target.adapter == "openai" else "anthropic.messages"
    call.metadata += [
        ("attributes.gen_ai.request.model", model),
        ("attributes.gen_ai.provider.name", provider),
        ("attributes.gen_ai.operation.name", "chat"),
    ]
    if isinstance(outcome, Answer):
        call.metadata += [
            ("attributes.gen_ai.response.id", outcome.response_id),
            ("attributes.gen_ai.response.finish_reasons", dumps([outcome.finish_reason])),
        ]
        kinds = (
            ("input_tokens", "input"),
            ("output_tokens", "output"),
            ("cache_read.input_tokens", "input_cached_tokens"),
        )
        call.metadata += [
            (f"attributes.gen_ai.usage.{name}", str(usage[kind])) for name, kind in kinds if kind in usage
        ]
    return call


def _event(judged: Judged, part: str, name: str, kind: str) -> Event:
    trace_name = f"Execute evaluator: {judged.evaluator.name}"
    return Event(
        trace_id=execution_trace_id(judged.job.id),
        span_id=execution_span_id(judged.job.id, judged.job.attempt, part),
        parent_span_id=None,
        name=name,
        type=kind,
        start_time=judged.started,
        end_time=judged.ended,
        environment=JUDGE_ENVIRONMENT,
        trace_name=trace_name,
        input=dumps([dict(message) for message in judged.messages]),
        metadata=[
            *judged.metadata.items(),
            ("scope.name", _SCOPE),
            ("resourceAttributes.langfuse.environment", JUDGE_ENVIRONMENT),
            ("attributes.langfuse.environment", JUDGE_ENVIRONMENT),
            ("attributes.langfuse.trace.name", trace_name),
        ],
    )


def event_fields(event: Event) -> dict[str, Any]:
    """Return an event as it is sent to the writer."""
    names = (
        *("trace_id", "span_id", "parent_span_id", "name", "type", "start_time", "end_time", "environment"),
        *("level", "status_message", "trace_name", "model_name", "usage", "input", "output", "metadata"),
    )
    return {name: getattr(event, name) for name in names}
