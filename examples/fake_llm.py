"""A small stand-in for an OpenAI-compatible server: the same question gets the same answer, at no cost.

It serves `POST /v1/chat/completions` (streaming too, with tool calls), `POST /v1/embeddings` and
`GET /v1/models`. What it answers follows from the request alone:

- the reply repeats the last user message: `You said: ...`;
- where a system message ends in a part `Context:`, the reply is its line that shares most words with the last
  user message, or `I do not know.`;
- a request that offers tools, and has no tool result yet, is answered with a call of the tool whose name and
  description share most words with the last user message (the first of several), each of its required
  parameters filled with a value of its type;
- a request for JSON (`response_format`) is answered as a judge would: `score` is the share of the words of
  the line `Answer: ...` that stand in the line `Reference: ...`, and `reason` says how many;
- texts with the same words have near embeddings;
- a last user message of `fail with 429` (or another status from 400 to 599) is answered with that error;
- one token is a word.

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
from collections.abc import Iterator
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


def tool_call(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a call of a tool with a value for each required parameter."""
    function = tool["function"]
    parameters = function.get("parameters") or {}
    properties = parameters.get("properties") or {}
    arguments = {name: sample(properties.get(name) or {}) for name in parameters.get("required") or ()}
    name = str(function["name"])
    call = {"name": name, "arguments": json.dumps(arguments)}
    return {"id": f"call_{fingerprint(name)}", "type": "function", "function": call}


def sample(schema: dict[str, Any]) -> Any:
    """Return a value that fits a JSON schema of one type."""
    if schema.get("enum"):
        return schema["enum"][0]
    return SAMPLES.get(str(schema.get("type")), "Athens")


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


def judgement_of(text: str) -> str:
    """Return, as JSON, the share of the words of `Answer: ...` that stand in `Reference: ...`."""
    lines = dict(re.findall(r"^(Reference|Answer): *(.*)$", text, re.MULTILINE))
    said, known = set(words_of(lines.get("Answer", ""))), set(words_of(lines.get("Reference", "")))
    score = len(said & known) / len(said) if said else 0.0
    reason = f"{len(said & known)} of {len(said)} words of the answer are in the reference"
    return json.dumps({"score": round(score, 4), "reason": reason})


def reply_to(request: dict[str, Any]) -> str:
    """Return the text that answers a chat request."""
    messages = request["messages"]
    question = last_user_text(messages)
    if (request.get("response_format") or {}).get("type") in {"json_object", "json_schema"}:
        return judgement_of(question)
    if lines := context_of(messages):
        best, shared = most_alike(lines, question)
        return lines[best] if shared else UNKNOWN
    return f"You said: {question}"


def chosen_tool(tools: list[dict[str, Any]], question: str) -> dict[str, Any]:
    """Return the tool whose name and description share most words with the question."""
    texts = [f"{tool['function']['name']} {tool['function'].get('description', '')}" for tool in tools]
    return tools[most_alike(texts, question)[0]]


def fingerprint(text: str) -> str:
    """Return a short id that follows from a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def answer_to(request: dict[str, Any]) -> dict[str, Any]:
    """Return the completion that answers a chat request."""
    messages = request["messages"]
    tools = request.get("tools") or []
    called = any(message.get("role") == "tool" for message in messages)
    if tools and not called:
        calls = [tool_call(chosen_tool(tools, last_user_text(messages)))]
        message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": calls}
        finish, produced = "tool_calls", calls[0]["function"]["arguments"]
    else:
        produced = reply_to(request)
        message, finish = {"role": "assistant", "content": produced}, "stop"
    read, written = sum(count_tokens(text_of(one)) for one in messages), count_tokens(produced)
    return {
        "id": f"chatcmpl-{fingerprint(json.dumps(messages))}",
        "object": "chat.completion",
        "created": CREATED,
        "model": request["model"],
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
    yield piece({}, choice["finish_reason"])
    if with_usage:
        yield {**head, "choices": [], "usage": usage}


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


class Handler(BaseHTTPRequestHandler):
    """One request to the stand-in."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """List the models: any name works."""
        if self.path != "/v1/models":
            self._refuse(404, f"There is no {self.path} here")
            return
        model = {"id": "gpt-4o-mini", "object": "model", "created": CREATED, "owned_by": "fake"}
        self._send({"object": "list", "data": [model]})

    def do_POST(self) -> None:
        """Complete a chat or embed texts."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            request = json.loads(body)
            if self.path == "/v1/chat/completions":
                self._chat(request)
            elif self.path == "/v1/embeddings":
                self._send(embeddings_of(request))
            else:
                self._refuse(404, f"There is no {self.path} here")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._refuse(400, f"The request cannot be read: {error!r}")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Say nothing of single requests."""

    def _chat(self, request: dict[str, Any]) -> None:
        failure = FAILURE.fullmatch(last_user_text(request["messages"]))
        if failure:
            self._refuse(int(failure[1]), "This error was asked for")
            return
        completion = answer_to(request)
        if not request.get("stream"):
            self._send(completion)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        options = request.get("stream_options") or {}
        for chunk in chunks_of(completion, with_usage=bool(options.get("include_usage"))):
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _refuse(self, status: int, message: str) -> None:
        self._send({"error": {"message": message, "type": "fake_error", "param": None, "code": None}}, status)

    def _send(self, document: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(port: int) -> ThreadingHTTPServer:
    """Return a server on a port of this machine (0: a free one); run it with `serve_forever`."""
    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


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
