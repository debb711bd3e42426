"""The clock: is it kept right, and how far is it from a time server (SNTP, RFC 4330)."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass

from scripts.check.doctor.facts import Facts, Surroundings
from scripts.core.errors import StackError

NTP_PORT = 123
TIMEOUT_S = 2.0
# Seconds between 1900, where NTP begins to count, and 1970.
_EPOCH = 2_208_988_800
_CLIENT_REQUEST = b"\x23" + 47 * b"\0"  # version 4, mode 3
_PACKET = struct.Struct("!4B3I4Q")


@dataclass(frozen=True, slots=True)
class Clock:
    """What is known of the clock.

    Attributes:
        server: the time server that was asked; empty where none is set.
        offset_s: how far this clock is behind (positive) or ahead; None without an answer.
        problem: why there was no answer.
        synchronized: whether the system says that something keeps its clock right; None: it does not say.
    """

    server: str
    offset_s: float | None
    problem: str
    synchronized: bool | None


def gather_clock(surroundings: Surroundings, _facts: Facts) -> Clock:
    """Return what is known of the clock."""
    server = surroundings.settings.get("TIME_SERVER")
    offset, problem = None, ""
    if server:
        try:
            offset = ask(server)
        except (OSError, ValueError) as error:
            problem = str(error) or type(error).__name__
    return Clock(server, offset, problem, _synchronized(surroundings))


def ask(server: str) -> float:
    """Return how many seconds this clock is behind the server, `host` or `host:port`.

    Raises:
        OSError: no answer.
        ValueError: what answers does not know the time.
    """
    host, _, port = server.partition(":")
    family, _, _, _, address = socket.getaddrinfo(host, int(port or NTP_PORT), type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as link:
        link.settimeout(TIMEOUT_S)
        sent = time.time()
        link.sendto(_CLIENT_REQUEST, address)
        answer = link.recvfrom(_PACKET.size)[0]
        received = time.time()
    if len(answer) < _PACKET.size:
        raise ValueError(f"{server} does not answer as a time server")
    fields = _PACKET.unpack(answer)
    stratum, arrived, left = fields[1], _seconds(fields[9]), _seconds(fields[10])
    if not 0 < stratum < 16:
        raise ValueError(f"{server} does not know the time itself")
    return ((arrived - sent) + (left - received)) / 2


def _seconds(fixed_point: int) -> float:
    return fixed_point / 2**32 - _EPOCH


def _synchronized(surroundings: Surroundings) -> bool | None:
    argv = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        done = surroundings.context.runner.run(argv, timeout_s=TIMEOUT_S)
    except StackError:
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip())
