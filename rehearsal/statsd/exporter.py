"""DogStatsD in, Prometheus out, by the mappings of `config/prometheus/statsd.yaml`.

It understands what the stack's file uses: glob and regex matches, labels, scale, ttl and drop, for counters
and gauges. A stand-in, as no package has the real program. Its rules are those of statsd_exporter: globs
before regular expressions and `ttl: 0s` for the default (pkg/mapper/mapper.go), one kind of metric for a name
(pkg/registry/registry.go), no counter that goes down (pkg/exporter/exporter.go).
"""

from __future__ import annotations

import argparse
import re
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import yaml

_LINE = re.compile(
    r"(?P<name>[^:|#]+):(?P<value>[-+0-9.eE]+)\|(?P<kind>[cg])(?:\|[^#]*)?(?:\|#(?P<tags>.*))?"
)
_KEYS = {"match", "match_type", "match_metric_type", "name", "labels", "ttl", "scale", "action"}
_NAME = re.compile(r"([a-zA-Z_]|\$\{?\d+\}?)([a-zA-Z0-9_]|\$\{?\d+\}?)*")
_PART = r"[a-zA-Z_](-?[a-zA-Z0-9_])*"
_GLOB = re.compile(rf"(\*\.|{_PART}\.)*(\*|{_PART})")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}

Labels = tuple[tuple[str, str], ...]


class BadMapping(Exception):
    """A file that the original would refuse, too."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a metric becomes. `ttl` is in seconds, 0 for ever."""

    name: str
    labels: Labels
    scale: float
    ttl: float


class Mappings:
    """The rules of a file: globs first, then regular expressions, of each the first match.

    Raises:
        BadMapping: the original would not start with this file.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._ttl = _seconds(document.get("defaults", {}).get("ttl", "0s"))
        if unknown := document.keys() - {"defaults", "mappings"}:
            raise BadMapping(f"not known: {', '.join(sorted(unknown))}")
        for rule in document["mappings"]:
            _check(rule)
        ordered = sorted(document["mappings"], key=lambda rule: rule.get("match_type", "glob") == "regex")
        self._rules = [(_pattern(rule), rule) for rule in ordered]

    def of(self, name: str) -> Mapped | None:
        """Return what a metric becomes, or None when it is dropped."""
        for pattern, rule in self._rules:
            if found := pattern.search(name):
                if rule.get("action") == "drop":
                    return None
                labels = {label: _filled(text, found) for label, text in rule.get("labels", {}).items()}
                return Mapped(
                    _filled(rule["name"], found),
                    tuple(sorted(labels.items())),
                    float(rule.get("scale", 1)),
                    _seconds(rule.get("ttl", "0s")) or self._ttl,
                )
        return Mapped(re.sub(r"[^a-zA-Z0-9_]", "_", name), (), 1.0, self._ttl)


class Registry:
    """The series there are; a gauge or counter that is not renewed within its time vanishes."""

    def __init__(self, mappings: Mappings, clock: Callable[[], float] = time.monotonic) -> None:
        self._mappings = mappings
        self._clock = clock
        self._lock = threading.Lock()
        self._series: dict[tuple[str, Labels], tuple[float, float]] = {}
        self._kinds: dict[str, str] = {}

    def take(self, line: str) -> None:
        """Count one line of DogStatsD; what is none is ignored."""
        found = _LINE.fullmatch(line.strip())
        mapped = self._mappings.of(found["name"]) if found else None
        if found is None or mapped is None:
            return
        tags = [tag.partition(":") for tag in (found["tags"] or "").split(",") if tag]
        labels = tuple(sorted({**{name: value for name, _, value in tags}, **dict(mapped.labels)}.items()))
        value = float(found["value"]) * mapped.scale
        kind = "counter" if found["kind"] == "c" else "gauge"
        if kind == "counter" and value < 0:
            return
        until = self._clock() + mapped.ttl if mapped.ttl else float("inf")
        with self._lock:
            self._expire()
            if self._kinds.setdefault(mapped.name, kind) != kind:
                return
            if kind == "counter":
                value += self._series.get((mapped.name, labels), (0.0, 0.0))[0]
            self._series[mapped.name, labels] = (value, until)

    def text(self) -> str:
        """Return all series in Prometheus' text format."""
        with self._lock:
            self._expire()
            rows = sorted(self._series.items())
        lines: list[str] = []
        for (name, labels), (value, _) in rows:
            if (header := f"# TYPE {name} {self._kinds[name]}") not in lines:
                lines.append(header)
            shown = ",".join(f'{label}="{text}"' for label, text in labels)
            lines.append(f"{name}{{{shown}}} {value:g}")
        return "".join(f"{line}\n" for line in lines)

    def _expire(self) -> None:
        self._series = {key: one for key, one in self._series.items() if one[1] > self._clock()}


class Web(ThreadingHTTPServer):
    """`/metrics`, and `/-/ready` for the health check."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], registry: Registry) -> None:
        super().__init__(address, WebHandler)
        self.registry = registry


class WebHandler(BaseHTTPRequestHandler):
    """One request."""

    server: Web

    def do_GET(self) -> None:
        """Answer with the series, or that this is ready."""
        body = self.server.registry.text().encode() if self.path == "/metrics" else b"ready\n"
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4; charset=UTF-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing about scrapes."""


class Datagrams(socketserver.UDPServer):
    """Where the worker sends to."""

    def __init__(self, address: tuple[str, int], registry: Registry) -> None:
        super().__init__(address, DatagramHandler)
        self.registry = registry


class DatagramHandler(socketserver.BaseRequestHandler):
    """One datagram: lines of DogStatsD."""

    def handle(self) -> None:
        """Count its lines."""
        registry = cast(Datagrams, self.server).registry
        for line in self.request[0].decode(errors="replace").splitlines():
            registry.take(line)


def main(argv: Sequence[str]) -> int:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="statsd_exporter")
    parser.add_argument("--statsd.mapping-config", dest="mappings", type=Path, required=True)
    parser.add_argument("--statsd.listen-udp", dest="udp", default=":9125")
    parser.add_argument("--statsd.listen-tcp", dest="tcp", default="", choices=[""])
    parser.add_argument("--web.listen-address", dest="web", default=":9102")
    options = parser.parse_args(argv)
    registry = Registry(Mappings(yaml.safe_load(options.mappings.read_text("utf-8"))))
    datagrams = Datagrams(_address(options.udp), registry)
    threading.Thread(target=datagrams.serve_forever, daemon=True).start()
    Web(_address(options.web), registry).serve_forever()
    return 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host or "0.0.0.0", int(port)  # noqa: S104 - inside a container


def _check(rule: Mapping[str, Any]) -> None:
    if unknown := rule.keys() - _KEYS:
        raise BadMapping(f"{rule.get('match')}: not known: {', '.join(sorted(unknown))}")
    if not _NAME.fullmatch(str(rule.get("name", ""))):
        raise BadMapping(f"{rule.get('match')}: metric name {rule.get('name')!r}")
    is_glob = rule.get("match_type", "glob") == "glob"
    if is_glob and not _GLOB.fullmatch(str(rule.get("match", ""))):
        raise BadMapping(f"invalid match: {rule.get('match')}")


def _pattern(rule: Mapping[str, Any]) -> re.Pattern[str]:
    if rule.get("match_type", "glob") == "regex":
        return re.compile(rule["match"])
    parts = (re.escape(part) for part in rule["match"].split("*"))
    return re.compile(f"^{'([^.]*)'.join(parts)}$")


def _filled(text: str, found: re.Match[str]) -> str:
    return re.sub(r"\$\{?(\d+)\}?", lambda number: found[int(number[1])], text)


def _seconds(text: str) -> float:
    return float(text[:-1]) * _SECONDS[text[-1]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
