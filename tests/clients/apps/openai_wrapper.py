"""`langfuse.openai` in place of `openai`: plain, streamed, with a tool, failing, and embeddings."""

from langfuse import get_client
from langfuse.openai import openai
from support import MODEL, tell

TOOL = {
    "type": "function",
    "function": {
        "name": "find_city",
        "description": "Find a city",
        "parameters": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
}

client = openai.OpenAI(max_retries=0)
langfuse = get_client()
with langfuse.start_as_current_observation(name="openai-app") as root:
    question = [{"role": "user", "content": "Where is Athens?"}]
    client.chat.completions.create(name="plain", model=MODEL, messages=question, temperature=0.5)
    stream = client.chat.completions.create(
        name="streamed", model=MODEL, messages=question, stream=True, stream_options={"include_usage": True}
    )
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    client.chat.completions.create(name="with-tool", model=MODEL, messages=question, tools=[TOOL])
    client.embeddings.create(name="embedded", model="text-embedding-3-small", input="Athens")
    try:
        failing = [{"role": "user", "content": "fail with 429"}]
        client.chat.completions.create(name="failed", model=MODEL, messages=failing)
    except openai.RateLimitError as error:
        status = error.status_code
langfuse.flush()
tell(trace_id=root.trace_id, streamed=streamed, status=status)
