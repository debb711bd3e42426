"""An application in a container: sends a trace with the official SDK over HTTPS, prints the trace's id."""

from __future__ import annotations

from langfuse import Langfuse

client = Langfuse(timeout=20)
if not client.auth_check():
    raise SystemExit("the keys are refused")
with client.start_as_current_observation(name="over-https") as observation:
    trace_id = observation.trace_id
client.flush()
client.shutdown()
print(trace_id)
