"""Agent routing in LangGraph: a managed prompt chooses a specialist agent, and two versions of it compete.

One request is one trace:

    agent_routing          chain       input: the request, output: agent and answer
      LangGraph            chain       recorded by the callback handler of the SDK, as is all below
        route              chain       the node that asks the model for a tool call, one tool an agent
          ChatOpenAI       generation  linked to the version of the prompt that was used
        <agent>            chain       the node of the chosen agent
          <agent>          agent       the agent; its calls carry the metadata `agent`; score: task_success
            ChatOpenAI     generation
    score of the trace: routing-accuracy

Half of the users get the version of the prompt with the label `variant-a`, half the one with `variant-b`.
Requests and the agents that should take them come from a golden dataset. `--promote variant-b` then makes a
variant the version of production, and `--rollback VERSION` goes back.

    set -a; . .stack/credentials/<project>.env; set +a
    export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=none   # what `make fake-llm` serves
    .venv/bin/python examples/agents.py --requests 12
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import uuid
from typing import Any, TypedDict

from client import command_line, conclude, connect, packages, require_models, stop
from langfuse import Langfuse, propagate_attributes
from langfuse.api import NotFoundError

with packages("langchain", "langchain-openai", "langgraph"):
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_openai import ChatOpenAI
    from langfuse.langchain import CallbackHandler
    from langgraph.graph import END, START, StateGraph

VARIANTS = ("variant-a", "variant-b")
PRODUCTION = "production"
USERS = 8


class State(TypedDict, total=False):
    """What the nodes of the graph hand on; `observation` is the id of the agent's."""

    request: str
    agent: str
    answer: str
    observation: str


def fetch_prompt(langfuse: Langfuse, name: str, label: str) -> Any:
    """Return the version of the chat prompt that has the label; end the example where there is none."""
    try:
        return langfuse.get_prompt(name, label=label, type="chat", cache_ttl_seconds=60)
    except NotFoundError:
        stop(1, f"There is no prompt {name} with the label {label}: `make bootstrap` creates it")


def fetch_requests(langfuse: Langfuse, dataset: str, number: int) -> list[Any]:
    """Return items of the golden dataset, taken evenly; end the example where there is no such dataset."""
    try:
        items = sorted(langfuse.get_dataset(dataset).items, key=lambda item: item.id)
    except NotFoundError:
        stop(1, f"There is no dataset {dataset}: `make bootstrap` creates it")
    return [items[place * len(items) // number % len(items)] for place in range(number)]


def variant_of(user_id: str) -> str:
    """Return the variant of a user: always the same one, half of the users each."""
    return VARIANTS[hashlib.sha256(user_id.encode()).digest()[0] % len(VARIANTS)]


def build_graph(langfuse: Langfuse, prompt: Any) -> Any:
    """Return a graph that routes with one version of the prompt; the prompt's config names the agents."""
    agents: dict[str, str] = prompt.config["agents"]
    model = ChatOpenAI(model=prompt.config["model"], temperature=prompt.config["temperature"])
    tools = [
        {"type": "function", "function": {"name": name, "description": task}} for name, task in agents.items()
    ]
    template = ChatPromptTemplate.from_messages(prompt.get_langchain_prompt())
    # The callback handler links the generation to the prompt that it finds here.
    template.metadata = {"langfuse_prompt": prompt}
    router = template | model.bind_tools(tools, tool_choice="required")

    def route(state: State) -> State:
        call = router.invoke({"request": state["request"]})
        return {"agent": call.tool_calls[0]["name"]}

    def specialist(name: str) -> Any:
        def work(state: State) -> State:
            with (
                langfuse.start_as_current_observation(
                    name=name, as_type="agent", input=state["request"]
                ) as observation,
                # Inside: what is propagated is also set on the open span, which outside is the node's.
                propagate_attributes(metadata={"agent": name}),
            ):
                messages = [("system", f"You are the {name}. {agents[name]}"), ("user", state["request"])]
                # A handler of its own, so that the call hangs below the agent and not below the node.
                reply = model.invoke(messages, config={"callbacks": [CallbackHandler()]})
                observation.update(output=reply.content)
                return {"answer": str(reply.content), "observation": observation.id}

        return work

    graph = StateGraph(State)
    graph.add_node("route", route)
    graph.add_edge(START, "route")
    graph.add_conditional_edges("route", lambda state: state["agent"], list(agents))
    for name in agents:
        graph.add_node(name, specialist(name))
        graph.add_edge(name, END)
    return graph.compile()


def handle(langfuse: Langfuse, graph: Any, prompt: Any, item: Any, user: tuple[str, str]) -> dict[str, Any]:
    """Route one request, let the agent answer it and score both; return what the trace holds."""
    user_id, variant = user
    request = item.input["request"]
    with (
        propagate_attributes(
            trace_name="agent_routing",
            user_id=user_id,
            tags=["example", "agents", variant],
            version=str(prompt.version),
        ),
        langfuse.start_as_current_observation(name="agent_routing", as_type="chain", input=request) as root,
    ):
        state: State = graph.invoke({"request": request}, config={"callbacks": [CallbackHandler()]})
        root.update(output={"agent": state["agent"], "answer": state["answer"]})
        right = state["agent"] == item.expected_output
        comment = f"expected: {item.expected_output}"
        root.score_trace(name="routing-accuracy", value=right, data_type="BOOLEAN", comment=comment)
        langfuse.create_score(
            trace_id=root.trace_id,
            observation_id=state["observation"],
            name="task_success",
            value=right,
            data_type="BOOLEAN",
            comment=comment,
        )
        return {
            "trace_id": root.trace_id,
            "user_id": user_id,
            "variant": variant,
            "version": prompt.version,
            "request": request,
            "agent": state["agent"],
            "expected": item.expected_output,
            "right": right,
        }


def run(langfuse: Langfuse, options: argparse.Namespace) -> dict[str, Any]:
    """Handle all requests in one session; return the result that is printed."""
    prompts = {label: fetch_prompt(langfuse, options.prompt, label) for label in VARIANTS}
    graphs = {label: build_graph(langfuse, prompt) for label, prompt in prompts.items()}
    session_id = options.session or f"routing-{uuid.uuid4().hex[:8]}"
    requests = []
    with propagate_attributes(session_id=session_id):
        for number, item in enumerate(fetch_requests(langfuse, options.dataset, options.requests)):
            user_id = f"customer-{number % USERS + 1}"
            variant = variant_of(user_id)
            requests.append(handle(langfuse, graphs[variant], prompts[variant], item, (user_id, variant)))
    langfuse.flush()
    accuracy = {
        variant: statistics.fmean(one["right"] for one in requests if one["variant"] == variant)
        for variant in VARIANTS
        if any(one["variant"] == variant for one in requests)
    }
    return {"session_id": session_id, "requests": requests, "accuracy": accuracy}


def move_production(langfuse: Langfuse, name: str, version: int) -> dict[str, Any]:
    """Make one version of the prompt what everybody gets who asks for no label; return the move."""
    before = fetch_prompt(langfuse, name, PRODUCTION).version
    langfuse.update_prompt(name=name, version=version, new_labels=[PRODUCTION])
    return {"prompt": name, "from_version": before, "to_version": version}


def show(langfuse: Langfuse, result: dict[str, Any]) -> None:
    """Print the result for a person."""
    if "to_version" in result:
        print(
            f"{result['prompt']}: production moves from version {result['from_version']} to "
            f"{result['to_version']}"
        )
        return
    for one in result["requests"]:
        mark = "right" if one["right"] else f"wrong, expected {one['expected']}"
        print(f"{one['variant']}: {one['request']} -> {one['agent']} ({mark})")
        print(f"  {langfuse.get_trace_url(trace_id=one['trace_id'])}")
    rates = ", ".join(f"{variant} {rate:.0%}" for variant, rate in result["accuracy"].items())
    print(f"{len(result['requests'])} requests in session {result['session_id']}, routed right: {rates}")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_line(__doc__)
    parser.add_argument("--requests", type=int, default=12, help="requests to route (default 12)")
    parser.add_argument("--prompt", default="zeus-routing", help="name of the prompt (default zeus-routing)")
    parser.add_argument("--dataset", default="golden/routing", help="where requests come from")
    parser.add_argument("--session", help="session id (default: a new one)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--promote", choices=VARIANTS, help="route nothing: make this variant production")
    what.add_argument("--rollback", type=int, metavar="VERSION", help="route nothing: go back to a version")
    options = parser.parse_args(arguments)
    if options.requests < 1:
        parser.error("--requests must be at least 1")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the example; exit code 0 when done, 1 when the server refuses, 2 on wrong use."""
    options = parse(arguments)
    langfuse = connect()
    if options.promote or options.rollback:
        version = options.rollback or fetch_prompt(langfuse, options.prompt, options.promote).version
        result = move_production(langfuse, options.prompt, version)
    else:
        require_models()
        result = run(langfuse, options)
    return conclude(langfuse, result, show, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
