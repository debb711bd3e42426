"""A webhook receiver: prints the body of every request as a line, for `docker logs`."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    """One message."""

    def do_POST(self) -> None:
        """Print it and answer as Slack does: Alertmanager takes any other text for an error, and repeats."""
        print(self.rfile.read(int(self.headers["content-length"])).decode().replace("\n", " "), flush=True)
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """The body says it all."""


if __name__ == "__main__":
    HTTPServer(("0.0.0.0", 8080), Handler).serve_forever()  # noqa: S104 - inside a container
