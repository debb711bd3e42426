"""OpenLLMetry (Traceloop) for `openai`, exported over OTLP."""

import openai
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from support import MODEL, provider_to_langfuse, tell

provider = provider_to_langfuse("openllmetry-app")
OpenAIInstrumentor().instrument(tracer_provider=provider)
with provider.get_tracer("app").start_as_current_span("root") as root:
    trace_id = format(root.get_span_context().trace_id, "032x")
    question = [{"role": "user", "content": "Where is Athens?"}]
    openai.OpenAI().chat.completions.create(model=MODEL, messages=question, temperature=0.5)
provider.shutdown()
tell(trace_id=trace_id)
