"""Spans of the OpenTelemetry SDK with GenAI attributes, without any Langfuse package."""

from opentelemetry.trace import Status, StatusCode
from support import MODEL, provider_to_langfuse, tell

provider = provider_to_langfuse("plain-otel")
tracer = provider.get_tracer("kosmos", "1.2.3")
asked = {"session.id": "otel-session", "user.id": "zeus"}
with tracer.start_as_current_span("answer", attributes=asked) as root:
    trace_id = format(root.get_span_context().trace_id, "032x")
    chat = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": MODEL,
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.input.messages": '[{"role": "user", "content": "Where is Athens?"}]',
        "gen_ai.output.messages": '[{"role": "assistant", "content": "In Greece"}]',
    }
    with tracer.start_as_current_span("chat", attributes=chat):
        pass
    with tracer.start_as_current_span("lookup") as lookup:
        lookup.set_status(Status(StatusCode.ERROR, "no such city"))
provider.shutdown()
tell(trace_id=trace_id)
