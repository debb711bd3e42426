"""A small stand-in for an OpenAI-compatible server: the same question gets the same answer, at no cost.

It serves `POST /v1/chat/completions`, `POST /v1/responses` and `POST /v1/completions` (all three streaming
too, the first two with tool calls), `POST /v1/messages` (Anthropic's, for a tool that must be called),
`POST /v1/embeddings` and `GET /v1/models`. What it answers follows from the request alone:

- the reply repeats the last user message: `You said: ...`, or `You said 2 times: ...`, so that whoever asks
  again until the answer is longer comes to an end;
- a sum such as `1 + 1 =` is answered with its result (`+`, `-` or `*` of two whole numbers);
- where a system message ends in a part `Context:`, the reply is its line that shares most words with the last
  user message, or `I do not know.`;
- a request that offers tools, and has no tool result since the last user message, is answered with a call of
  the tool that it names or, of several, whose name and description share most words with the last user
  message. Each required parameter has a value of its type, texts the last user message;
- a request for JSON (`response_format`, `text.format`) is answered as a judge would, by the share of the
  words of the line `Answer: ...` that are in the line `Reference: ...`. With a schema the answer fits it:
  numbers are that share between their bounds, booleans whether it is a half or more, of an enumeration the
  first value then, else the last, and texts say how many words. Without one: `score` and `reason`;
- texts with the same words have near embeddings;
- a last user message of `fail with 429` (or another status from 400 to 599) is answered with that error;
- a model whose name is of no known family (`gpt-`, `o3`, `claude-`, ...) does not exist: 404. Models with
  `instruct` in their name complete prompts, and do not chat;
- one token is a word.

A test may set rules before that, with `PUT /rules` and a list of objects; `GET /rules` returns them and
how many questions came. The first rule that fits answers a question to a chat model. It fits by `model`
(its name), `contains` (in the last user message) and `key` (the API key), as far as it has them. It answers
with `status` and `message` (an error), `content` (a text as it is), or `answer` (an object, merged over the
JSON that the question asks for), after `seconds`:

    curl -X PUT localhost:8080/rules -d '[{"contains": "Paris", "answer": {"score": 0}}]'

    .venv/bin/python examples/fake_llm.py --port 8080
    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=none python your_app.py
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import math
import re
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CREATED = 1_700_000_000
DIMENSIONS = 256
UNKNOWN = "I do not know."
# Words that say nothing about what a text is about.
STOP_WORDS = frozenset(
    (
        *("a", "all", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "has"),
        *("have", "how", "i", "in", "is", "it", "its", "not", "of", "on", "or", "that", "the", "this", "to"),
        *("was", "what", "when", "which", "who", "with", "you", "your"),
    )
)
FAILURE = re.compile(r"fail with ([45]\d\d)")
CALCULATION = re.compile(r"\s*(-?\d{1,9})\s*([-+*])\s*(-?\d{1,9})\s*=\s*")
FAMILIES = re.compile(
    r"(?:[\w-]+/)?(gpt-|chatgpt-|o[1-9]\b|text-embedding-|davinci|babbage|claude-|gemini-|mistral|mixtral|llama"
    r"|deepseek-|qwen|grok-|command|fake)"
)
SAMPLES: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}


def text_of(message: dict[str, Any]) -> str:
    """Return the text of a message, whose content may be a list of parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))


def last_user_text(messages: list[dict[str, Any]]) -> str:
    """Return what the user said last."""
    return next((text_of(message) for message in reversed(messages) if message.get("role") == "user"), "")


def count_tokens(text: str) -> int:
    """Return the tokens of a text: its words."""
    return len(text.split())


def function_call(function: dict[str, Any], question: str) -> dict[str, str]:
    """Return a call of a function with a value for each required parameter, or for all if none is."""
    parameters = function.get("parameters") or {}
    properties = parameters.get("properties") or {}
    arguments = {
        name: sample(properties.get(name) or {}, question)
        for name in parameters.get("required") or properties
    }
    return {"name": str(function["name"]), "arguments": json.dumps(arguments)}


def sample(schema: dict[str, Any], text: str) -> Any:
    """Return a value that fits a JSON schema of one type; `text` where that is a text."""
    if schema.get("enum"):
        return schema["enum"][0]
    return SAMPLES.get(str(schema.get("type")), text)


def fitting(schema: Any, judgement: Judgement, root: dict[str, Any]) -> Any:
    """Return a value that fits a JSON schema and says what a judgement says; `root` is what `$ref` names."""
    schema = schema if isinstance(schema, dict) else {}
    if "$ref" in schema:
        target: Any = root
        for part in str(schema["$ref"]).removeprefix("#").strip("/").split("/"):
            target = target[part] if part else target
        return fitting(target, judgement, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0 if judgement.passes else -1]
    for several in ("anyOf", "oneOf", "allOf"):
        if schema.get(several):
            return fitting(schema[several][0], judgement, root)
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties") or {}
        return {name: fitting(part, judgement, root) for name, part in properties.items()}
    if kind == "array":
        count = schema.get("minItems", 1)
        return [fitting(schema.get("items"), judgement, root) for _ in range(count)]
    if kind in ("number", "integer"):
        low, high = schema.get("minimum", 0), schema.get("maximum", 1)
        value = low + judgement.share * (max(low, high) - low)
        return round(value) if kind == "integer" else round(value, 4)
    return {"boolean": judgement.passes, "null": None}.get(str(kind), judgement.reason)


def words_of(text: str) -> list[str]:
    """Return the words of a text that carry meaning, in lower case and without the s of a plural."""
    found = [word.removesuffix("s") for word in re.findall(r"[a-z0-9]+", text.lower())]
    return [word for word in found if word not in STOP_WORDS]


def most_alike(texts: list[str], question: str) -> tuple[int, int]:
    """Return which text shares most words with the question (the first of several), and how many."""
    asked = set(words_of(question))
    shared = [len(asked & set(words_of(text))) for text in texts]
    best = max(range(len(texts)), key=lambda place: (shared[place], -place))
    return best, shared[best]


def context_of(messages: list[dict[str, Any]]) -> list[str]:
    """Return the lines below `Context:` in the system messages."""
    texts = [text_of(message) for message in messages if message.get("role") == "system"]
    parts = [text.split("Context:\n", 1)[1] for text in texts if "Context:\n" in text]
    return [line.strip("- ") for part in parts for line in part.splitlines() if line.strip("- ")]


@dataclass(frozen=True)
class Judgement:
    """How much of an answer is in its reference (0 to 1), and why."""

    share: float
    reason: str

    @property
    def passes(self) -> bool:
        """Whether it is a half or more."""
        return self.share >= 0.5


def judgement_of(text: str) -> Judgement:
    """Return the share of the words of `Answer: ...` that are in `Reference: ...`."""
    lines = dict(re.findall(r"^(Reference|Answer): *(.*)$", text, re.MULTILINE))
    said, known = set(words_of(lines.get("Answer", ""))), set(words_of(lines.get("Reference", "")))
    share = len(said & known) / len(said) if said else 0.0
    return Judgement(share, f"{len(said & known)} of {len(said)} words of the answer are in the reference")


def json_for(form: dict[str, Any], question: str) -> str:
    """Return the JSON that a request for a form of JSON is answered with."""
    judgement = judgement_of(question)
    # The chat API has the schema in an object of its own, the responses API beside the type.
    schema = (form.get("json_schema") or form).get("schema")
    if schema is None:
        return json.dumps({"score": round(judgement.share, 4), "reason": judgement.reason})
    return json.dumps(fitting(schema, judgement, schema))


def calculated(one: str, operator: str, other: str) -> int:
    """Return the result of a calculation with two whole numbers."""
    first, second = int(one), int(other)
    return {"+": first + second, "-": first - second, "*": first * second}[operator]


def reply_to(request: dict[str, Any]) -> str:
    """Return the text that answers a chat request."""
    messages = request["messages"]
    question = last_user_text(messages)
    form = request.get("response_format") or {}
    if form.get("type") in {"json_object", "json_schema"}:
        return json_for(form, question)
    if lines := context_of(messages):
        best, shared = most_alike(lines, question)
        return lines[best] if shared else UNKNOWN
    if calculation := CALCULATION.fullmatch(question):
        return str(calculated(*calculation.groups()))
    said = [text_of(message) for message in messages if message.get("role") == "user"].count(question)
    return f"You said {said} times: {question}" if said > 1 else f"You said: {question}"


def called_function(request: dict[str, Any]) -> dict[str, str] | None:
    """Return the call of a function that answers a chat request, or none.

    Once there is a result the answer is a text, so that loops of agents end.
    """
    messages = request["messages"]
    functions = [tool["function"] for tool in request.get("tools") or () if "function" in tool]
    functions += request.get("functions") or []
    choice = request.get("tool_choice") or request.get("function_call")
    places = [place for place, message in enumerate(messages) if message.get("role") == "user"]
    since = messages[places[-1] :] if places else messages
    if not functions or choice == "none" or any(one.get("role") in ("tool", "function") for one in since):
        return None
    question = last_user_text(messages)
    named = choice.get("function", choice).get("name") if isinstance(choice, dict) else None
    functions = [one for one in functions if one["name"] == named] or functions
    texts = [f"{function['name']} {function.get('description', '')}" for function in functions]
    return function_call(functions[most_alike(texts, question)[0]], question)


def fingerprint(text: str) -> str:
    """Return a short id that follows from a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def call_id(call: dict[str, str]) -> str:
    """Return the id of a call."""
    return f"call_{fingerprint(call['name'])}"


def answer_to(request: dict[str, Any]) -> dict[str, Any]:
    """Return the completion that answers a chat request."""
    messages = request["messages"]
    call = called_function(request)
    message: dict[str, Any] = {"role": "assistant", "content": None}
    if call is None:
        finish = "stop"
        produced = message["content"] = reply_to(request)
    elif request.get("functions"):
        message["function_call"] = call
        finish, produced = "function_call", call["arguments"]
    else:
        message["tool_calls"] = [{"id": call_id(call), "type": "function", "function": call}]
        finish, produced = "tool_calls", call["arguments"]
    read, written = sum(count_tokens(text_of(one)) for one in messages), count_tokens(produced)
    return {
        "id": f"chatcmpl-{fingerprint(json.dumps(messages))}",
        "object": "chat.completion",
        "created": CREATED,
        "model": request["model"],
        "service_tier": "default",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def chunks_of(completion: dict[str, Any], *, with_usage: bool) -> Iterator[dict[str, Any]]:
    """Yield a completion in the pieces of a stream: role, words or the tool call, end, usage if asked for."""
    choice = completion["choices"][0]
    message = choice["message"]
    head = {**completion, "object": "chat.completion.chunk"}
    usage = head.pop("usage")

    def piece(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}

    yield piece({"role": "assistant", "content": ""})
    for word in re.findall(r"\S+\s*", message["content"] or ""):
        yield piece({"content": word})
    for place, call in enumerate(message.get("tool_calls") or ()):
        yield piece({"tool_calls": [{"index": place, **call}]})
    if "function_call" in message:
        yield piece({"function_call": message["function_call"]})
    yield piece({}, choice["finish_reason"])
    if with_usage:
        yield {**head, "choices": [], "usage": usage}


def completed(request: dict[str, Any]) -> dict[str, Any]:
    """Return the completion of a prompt, or of each of several."""
    prompts = request["prompt"] if isinstance(request["prompt"], list) else [request["prompt"]]
    texts = [f"You said: {prompt}" for prompt in prompts]
    read, written = (sum(count_tokens(str(text)) for text in some) for some in (prompts, texts))
    return {
        "id": f"cmpl-{fingerprint(json.dumps(prompts))}",
        "object": "text_completion",
        "created": CREATED,
        "model": request["model"],
        "choices": [
            {"index": place, "text": text, "logprobs": None, "finish_reason": "stop"}
            for place, text in enumerate(texts)
        ],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }


def pieces_of(completion: dict[str, Any], *, with_usage: bool) -> Iterator[dict[str, Any]]:
    """Yield the completion of prompts in the pieces of a stream."""
    head = {**completion}
    usage = head.pop("usage")
    for choice in completion["choices"]:
        words = re.findall(r"\S+\s*", choice["text"])
        for place, word in enumerate(words):
            finish = "stop" if place == len(words) - 1 else None
            yield {**head, "choices": [{**choice, "text": word, "finish_reason": finish}]}
    if with_usage:
        yield {**head, "choices": [], "usage": usage}


def as_chat(request: dict[str, Any]) -> dict[str, Any]:
    """Return a request to the responses API as one to the chat API."""
    given = request["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    messages = [{"role": "system", "content": request["instructions"]}] if request.get("instructions") else []
    for item in items:
        if item.get("type") == "function_call_output":
            messages.append({"role": "tool", "content": item.get("output")})
        elif "role" in item:
            messages.append({"role": item["role"], "content": item.get("content")})
    tools = [{"function": tool} for tool in request.get("tools") or () if tool.get("type") == "function"]
    form = (request.get("text") or {}).get("format")
    return {**request, "messages": messages, "tools": tools, "response_format": form}


def response_to(request: dict[str, Any]) -> dict[str, Any]:
    """Return what the responses API answers."""
    completion = answer_to(as_chat(request))
    message = completion["choices"][0]["message"]
    number = completion["id"].removeprefix("chatcmpl-")
    if calls := message.get("tool_calls"):
        item = {"type": "function_call", "id": f"fc_{number}", "call_id": calls[0]["id"]}
        item |= {**calls[0]["function"], "status": "completed"}
    else:
        part = {"type": "output_text", "text": message["content"], "annotations": [], "logprobs": []}
        item = {"type": "message", "id": f"msg_{number}", "status": "completed", "role": "assistant"}
        item |= {"content": [part]}
    usage = completion["usage"]
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": CREATED,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "metadata": request.get("metadata") or {},
        "model": request["model"],
        "output": [item],
        "parallel_tool_calls": True,
        "temperature": request.get("temperature"),
        "tool_choice": request.get("tool_choice") or "auto",
        "tools": request.get("tools") or [],
        "top_p": request.get("top_p"),
        "usage": {
            "input_tokens": usage["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": usage["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage["total_tokens"],
        },
    }


def events_of(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a response in the events of a stream."""
    [item] = response["output"]
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    place: dict[str, Any] = {"item_id": item["id"], "output_index": 0}
    begun_item = {**item, "status": "in_progress"}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    if item["type"] == "function_call":
        arguments = item["arguments"]
        added = {**begun_item, "arguments": ""}
        yield {"type": "response.output_item.added", "output_index": 0, "item": added}
        yield {"type": "response.function_call_arguments.delta", **place, "delta": arguments}
        yield {"type": "response.function_call_arguments.done", **place, "arguments": arguments}
    else:
        [part] = item["content"]
        added = {**begun_item, "content": []}
        yield {"type": "response.output_item.added", "output_index": 0, "item": added}
        place |= {"content_index": 0}
        yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
        for word in re.findall(r"\S+\s*", part["text"]):
            yield {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
        yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": "response.completed", "response": response}


def wants_usage(request: dict[str, Any]) -> bool:
    """Tell whether a stream is to end with the usage."""
    return bool((request.get("stream_options") or {}).get("include_usage"))


def embeddings_of(request: dict[str, Any]) -> dict[str, Any]:
    """Return a vector of length 1 for each input."""
    inputs = request["input"] if isinstance(request["input"], list) else [request["input"]]
    data = [
        {"object": "embedding", "index": place, "embedding": vector_of(str(text), request)}
        for place, text in enumerate(inputs)
    ]
    tokens = sum(count_tokens(str(text)) for text in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": request["model"], "data": data, "usage": usage}


def vector_of(text: str, request: dict[str, Any]) -> list[float] | str:
    """Return how often each word occurs, each at the place of its hash; packed where `base64` is asked."""
    vector = [0.0] * DIMENSIONS
    for word in words_of(text) or [text]:
        vector[int(fingerprint(word), 16) % DIMENSIONS] += 1
    length = math.sqrt(sum(value * value for value in vector))
    vector = [value / length for value in vector]
    if request.get("encoding_format") == "base64":  # what the official client asks for
        return base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *vector)).decode()
    return vector


def fits(rule: dict[str, Any], model: str, text: str, key: str) -> bool:
    """Tell whether a rule is for a question."""
    return (
        rule.get("model", model) == model and rule.get("contains", "") in text and rule.get("key", key) == key
    )


def ruled(content: str | None, rule: dict[str, Any]) -> str | None:
    """Return a text as a rule changes it."""
    if "content" in rule:
        return str(rule["content"])
    if "answer" in rule:
        return json.dumps({**json.loads(content or "{}"), **rule["answer"]})
    return content


def message_to(request: dict[str, Any], rule: dict[str, Any]) -> dict[str, Any]:
    """Return what the messages API answers: the call of the tool that has to be called."""
    name = request["tool_choice"]["name"]
    schema = next(tool["input_schema"] for tool in request["tools"] if tool["name"] == name)
    question = last_user_text(request["messages"])
    content = ruled(json_for({"type": "json_schema", "schema": schema}, question), rule)
    called = json.loads(str(content))
    return {
        "id": f"msg_{fingerprint(json.dumps(request['messages']))}",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [{"type": "tool_use", "id": f"toolu_{fingerprint(name)}", "name": name, "input": called}],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": count_tokens(question), "output_tokens": count_tokens(str(content))},
    }


class Server(ThreadingHTTPServer):
    """The stand-in, with the rules that a test has set and the number of questions so far."""

    request_queue_size = 128

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.rules: list[dict[str, Any]] = []
        self.questions = 0
        self.lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One request to the stand-in."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """List a model: others of the known families work as well. Or tell the rules."""
        if self.path == "/rules":
            self._send({"rules": self.server.rules, "questions": self.server.questions})
            return
        if self.path != "/v1/models":
            self._refuse(404, f"There is no {self.path} here")
            return
        model = {"id": "gpt-4o-mini", "object": "model", "created": CREATED, "owned_by": "fake"}
        self._send({"object": "list", "data": [model]})

    def do_PUT(self) -> None:
        """Set the rules."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        rules = json.loads(body) if self.path == "/rules" else None
        if not isinstance(rules, list):
            self._refuse(400, "PUT /rules takes a list of rules")
            return
        self.server.rules = rules
        self._send({"rules": rules, "questions": self.server.questions})

    def do_POST(self) -> None:
        """Answer a request for a model."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        answers: dict[str, Callable[[dict[str, Any]], None]] = {
            "/v1/chat/completions": self._chat,
            "/v1/completions": self._complete,
            "/v1/responses": self._respond,
            "/v1/messages": self._message,
            "/v1/embeddings": lambda request: self._send(embeddings_of(request)),
        }
        answer = answers.get(self.path)
        if answer is None:
            self._refuse(404, f"There is no {self.path} here")
            return
        try:
            request = json.loads(body)
            if self._rule(request) or self._knows(str(request["model"])):
                answer(request)
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            self._refuse(400, f"The request cannot be read: {error!r}")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Say nothing of single requests."""

    def _knows(self, model: str) -> bool:
        """Tell whether there is such a model here; refuse the request otherwise."""
        completes = "instruct" in model
        if not FAMILIES.match(model):
            text = f"The model `{model}` does not exist or you do not have access to it."
            self._refuse(404, text, "model_not_found")
        elif completes and self.path != "/v1/completions":
            self._refuse(404, f"{model} does not chat: ask it with v1/completions")
        else:
            return True
        return False

    def _rule(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the rule for a question; empty where there is none."""
        if "messages" not in request:
            return {}
        key = self.headers.get("x-api-key") or self.headers.get("authorization", "").removeprefix("Bearer ")
        text = last_user_text(request["messages"])
        rules = self.server.rules
        return next((one for one in rules if fits(one, str(request["model"]), text, key)), {})

    def _follows(self, rule: dict[str, Any]) -> bool:
        """Count a question and wait as its rule says; answer with its error and tell whether it has one."""
        with self.server.lock:
            self.server.questions += 1
        time.sleep(rule.get("seconds", 0))
        if "status" in rule:
            self._refuse(rule["status"], rule.get("message", "This error was asked for"), rule.get("code"))
        return "status" in rule

    def _message(self, request: dict[str, Any]) -> None:
        rule = self._rule(request)
        if not self._follows(rule):
            self._send(message_to(request, rule))

    def _fails(self, text: str) -> bool:
        """Answer with the error that a text asks for; tell whether it does."""
        failure = FAILURE.fullmatch(text)
        if failure:
            self._refuse(int(failure[1]), "This error was asked for")
        return failure is not None

    def _chat(self, request: dict[str, Any]) -> None:
        rule = self._rule(request)
        if self._follows(rule) or self._fails(last_user_text(request["messages"])):
            return
        completion = answer_to(request)
        message = completion["choices"][0]["message"]
        message["content"] = ruled(message["content"], rule)
        if request.get("stream"):
            self._stream(chunks_of(completion, with_usage=wants_usage(request)))
        else:
            self._send(completion)

    def _complete(self, request: dict[str, Any]) -> None:
        if self._fails(str(request["prompt"])):
            return
        completion = completed(request)
        if request.get("stream"):
            self._stream(pieces_of(completion, with_usage=wants_usage(request)))
        else:
            self._send(completion)

    def _respond(self, request: dict[str, Any]) -> None:
        if self._fails(last_user_text(as_chat(request)["messages"])):
            return
        response = response_to(request)
        if request.get("stream"):
            self._stream(events_of(response))
        else:
            self._send(response)

    def _stream(self, parts: Iterator[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        # The events of the responses API have names and numbers; other streams have a last word.
        has_events = self.path == "/v1/responses"
        for number, part in enumerate(parts):
            head = f"event: {part['type']}\n" if has_events else ""
            data = {**part, "sequence_number": number} if has_events else part
            self.wfile.write(f"{head}data: {json.dumps(data)}\n\n".encode())
        if not has_events:
            self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _refuse(self, status: int, message: str, code: str | None = None) -> None:
        error = {"message": message, "type": "fake_error", "param": None, "code": code}
        self._send({"error": error}, status)

    def _send(self, document: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(port: int) -> Server:
    """Return a server on a port of this machine (0: a free one); run it with `serve_forever`."""
    return Server(port)


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (default 8080)")
    server = serve(parser.parse_args(arguments).port)
    url = f"http://127.0.0.1:{server.server_port}/v1"
    print(f"listening on {url}", flush=True)
    print(f"export OPENAI_BASE_URL={url} OPENAI_API_KEY=none", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    finally:
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
