"""An application that traces one answer: URL and keys are in its environment."""

from __future__ import annotations

from langfuse import Langfuse

langfuse = Langfuse()
with langfuse.start_as_current_observation(name="answer", as_type="generation", model="gpt-4o") as answer:
    answer.update(input="Where is my order?", output="On its way.", usage_details={"input": 5, "output": 4})
langfuse.flush()
print(answer.trace_id)
