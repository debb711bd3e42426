"""A small stand-in for an OpenAI-compatible server: the same question gets the same answer, at no cost.

It serves `POST /v1/chat/completions` (streaming too, with tool calls), `POST /v1/embeddings` and
`GET /v1/models`. What it answers follows from the request alone:

- the reply repeats the last user message: `You said: ...`;
- a request that offers tools, and has no tool result yet, is answered with a call of the first tool, each of
  its required parameters filled with a value of its type;
- a last user message of `fail with 429` (or another status from 400 to 599) is answered with that error;
- one token is a word.

    python examples/fake_llm.py --port 8080
    OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=none python your_app.py
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CREATED = 1_700_000_000
DIMENSIONS = 8
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


def fingerprint(text: str) -> str:
    """Return a short id that follows from a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def answer_to(request: dict[str, Any]) -> dict[str, Any]:
    """Return the completion that answers a chat request."""
    messages = request["messages"]
    tools = request.get("tools") or []
    called = any(message.get("role") == "tool" for message in messages)
    if tools and not called:
        calls = [tool_call(tools[0])]
        message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": calls}
        finish, produced = "tool_calls", calls[0]["function"]["arguments"]
    else:
        produced = f"You said: {last_user_text(messages)}"
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
    """Return a vector for each input, from the hash of its text."""
    inputs = request["input"] if isinstance(request["input"], list) else [request["input"]]
    data = []
    for place, text in enumerate(inputs):
        digest = hashlib.sha256(str(text).encode()).digest()
        vector = [round(byte / 255 - 0.5, 6) for byte in digest[:DIMENSIONS]]
        data.append({"object": "embedding", "index": place, "embedding": vector})
    tokens = sum(count_tokens(str(text)) for text in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": request["model"], "data": data, "usage": usage}


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
    print(f"listening on http://127.0.0.1:{server.server_port}/v1", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return 0
    finally:
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
