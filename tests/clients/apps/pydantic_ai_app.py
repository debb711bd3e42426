"""An agent of pydantic-ai with a tool, exported over OTLP by its own instrumentation."""

import os

from pydantic_ai import Agent
from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from support import MODEL, provider_to_langfuse, tell

provider = provider_to_langfuse("pydantic-ai-app")
model = OpenAIChatModel(
    MODEL,
    provider=OpenAIProvider(base_url=os.environ["OPENAI_BASE_URL"], api_key=os.environ["OPENAI_API_KEY"]),
)
instrumentation = Instrumentation(settings=InstrumentationSettings(tracer_provider=provider))
agent = Agent(model, name="geographer", capabilities=[instrumentation])


@agent.tool_plain
def find_city(name: str) -> str:
    """Find where a city lies."""
    return f"{name} lies in Greece"


with provider.get_tracer("app").start_as_current_span("root") as root:
    trace_id = format(root.get_span_context().trace_id, "032x")
    result = agent.run_sync("Where is Athens?")
provider.shutdown()
tell(trace_id=trace_id, output=result.output)
