"""One model call seen by LangChain's handler and by the OpenAI client of `langfuse.openai`."""

import langfuse.openai  # noqa: F401 - it wraps the client that LangChain uses, too
from langchain_openai import ChatOpenAI
from langfuse import get_client
from langfuse.langchain import CallbackHandler
from support import MODEL, tell

client = get_client()
with client.start_as_current_observation(name="counted-twice") as root:
    ChatOpenAI(model=MODEL, max_retries=0).invoke(
        "Where is Athens?", config={"callbacks": [CallbackHandler()]}
    )
client.flush()
tell(trace_id=root.trace_id)
