"""LangChain and LangGraph with the callback handler of Langfuse: a chain, and an agent with a tool."""

from langchain.agents import create_agent
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langfuse import get_client, propagate_attributes
from langfuse.langchain import CallbackHandler
from support import MODEL, tell


@tool
def find_city(name: str) -> str:
    """Find where a city lies."""
    return f"{name} lies in Greece"


langfuse = get_client()
model = ChatOpenAI(model=MODEL, max_retries=0)
config = {"callbacks": [CallbackHandler()]}
with (
    langfuse.start_as_current_observation(name="chain-app") as chain_root,
    propagate_attributes(user_id="zeus"),
):
    prompt = ChatPromptTemplate.from_messages([("user", "Where is {city}?")])
    answer = (prompt | model).invoke({"city": "Athens"}, config=config)
with langfuse.start_as_current_observation(name="agent-app") as agent_root:
    agent = create_agent(model, [find_city])
    final = agent.invoke({"messages": [("user", "Where is Athens?")]}, config=config)
langfuse.flush()
tell(
    chain=chain_root.trace_id,
    agent=agent_root.trace_id,
    answer=answer.content,
    final=final["messages"][-1].content,
)
