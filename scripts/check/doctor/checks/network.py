"""Checks of ports, names and ways out."""

from __future__ import annotations

from urllib.parse import urlsplit

from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import COMPOSE, EMBEDDED, Check, Verdict, failed, ok, skipped, warning
from scripts.check.doctor.sources.containers import Containers
from scripts.check.doctor.sources.inside import Insides
from scripts.check.doctor.sources.ports import Ports
from scripts.check.doctor.sources.server import PublicUrl, Server
from scripts.check.doctor.sources.stack import Running, Stack
from scripts.docker.policy import INTERNAL_NETWORKS, LOOPBACK, PROXY_VARIABLES, PUBLISHED


def _ports(facts: Facts) -> Verdict:
    taken = facts.of(Ports).taken
    if taken:
        return failed("; ".join(taken))
    return ok("the ports of this stack are its own, or free")


def _exposed(facts: Facts) -> Verdict:
    containers = facts.of(Containers).by_name.values()
    wrong = [
        f"{one.service} port {port.inside} at {port.address}:{port.port}"
        for one in containers
        for port in one.ports
        if (one.service, port.inside) not in PUBLISHED
    ]
    if wrong:
        return failed(f"published, and should not be: {', '.join(wrong)}")
    return ok("nothing but web, media and the proxy is published")


def _plain_http(facts: Facts) -> Verdict:
    stack = facts.of(Stack)
    if stack.values["LANGFUSE_BIND_ADDRESS"] in LOOPBACK:
        return ok("plain HTTP is for this machine only")
    return warning(
        f"port {stack.values['LANGFUSE_PORT']} takes logins and keys over plain HTTP from other machines"
    )


def _public_url(facts: Facts) -> Verdict:
    server, public = facts.of(Server).answering(), facts.of(PublicUrl)
    if public.problem:
        return failed(f"NEXTAUTH_URL, {public.url}, {public.problem}")
    if public.version != server.version:
        return failed(f"at NEXTAUTH_URL, {public.url}, another server answers (version {public.version})")
    return ok(f"{public.url} leads to this stack")


def _names(facts: Facts) -> Verdict:
    insides = facts.of(Insides).by_name
    lost = [
        f"{service} does not find {name}"
        for service, inside in sorted(insides.items())
        for name, found in inside.resolved.items()
        if not found
    ]
    if lost:
        return failed("; ".join(lost))
    asked = sum(len(inside.resolved) for inside in insides.values())
    return (
        ok(f"{asked} names resolve in containers")
        if asked
        else skipped("neither web nor worker could be asked")
    )


def _isolated(facts: Facts) -> Verdict:
    internal = facts.of(Containers).internal
    open_ones = sorted(name for name in INTERNAL_NETWORKS if internal.get(name) is False)
    if open_ones:
        return failed(f"has a way out to other networks: {', '.join(open_ones)}")
    if not internal:
        raise NotGathered("no network of this stack is there")
    return ok("the networks of the stores have no way out")


def _proxy(facts: Facts) -> Verdict:
    proxy = facts.of(Ports).proxy_for_localhost
    if proxy:
        return warning(f"programs on this machine send calls to localhost to the proxy {proxy}")
    return ok("calls to this machine bypass the proxy")


def _telemetry(facts: Facts) -> Verdict:
    if facts.of(Stack).values.get("TELEMETRY_ENABLED") == "true":
        return warning("the server reports its use to Langfuse (TELEMETRY_ENABLED=true)")
    return ok("the server reports nothing")


def _outbound(facts: Facts) -> Verdict:
    if facts.of(Stack).values["OUTBOUND_CALLS"] == "true":
        return skipped(
            "OUTBOUND_CALLS is true: containers may call other machines (docs/reference/outbound.md)"
        )
    containers = facts.of(Containers)
    if not containers.internal:
        raise NotGathered("no network of this stack is there")
    ways_out = sorted(
        name
        for name, internal in containers.internal.items()
        if not internal and name not in containers.hidden
    )
    if ways_out:
        return failed(f"OUTBOUND_CALLS is false, but containers still get out through {', '.join(ways_out)}")
    return ok("no container gets an answer from another machine")


def _address(facts: Facts) -> Verdict:
    stack, url = facts.of(Stack), facts.of(Running).url
    if not url:
        raise NotGathered("the engine does not run")
    port = urlsplit(url).port
    if str(port) != stack.values["LANGFUSE_PORT"]:
        return failed(f"the engine answers at {url}, the settings say port {stack.values['LANGFUSE_PORT']}")
    return ok(f"the engine answers at {url}, as set")


def _container_proxy(facts: Facts) -> Verdict:
    values = facts.of(Stack).values
    chosen = {value for name in ("OUTBOUND_HTTPS_PROXY", "OUTBOUND_NO_PROXY") if (value := values.get(name))}
    found = sorted(
        f"{one.name} has {name}"
        for one in facts.of(Containers).by_name.values()
        for name, value in one.environment.items()
        if name in PROXY_VARIABLES and value and value not in chosen
    )
    if found:
        return failed("; ".join(found))
    return ok("calls between containers go through no proxy")


CHECKS = (
    Check(
        id="network.ports",
        looks_at="The ports of this stack are held by it, or free for it.",
        fix="stop what holds the port, or choose another one in .env, then make up",
        page="how-to/troubleshoot.md",
        judge=_ports,
    ),
    Check(
        id="network.address",
        looks_at="The engine listens where the settings say.",
        fix="make down, then make up",
        page="how-to/troubleshoot.md",
        judge=_address,
        engines=EMBEDDED,
    ),
    Check(
        id="network.exposed",
        looks_at="No store publishes a port; only web, media and the proxy do.",
        fix="take its `ports` out of compose.override.yaml, then make up",
        page="reference/compose.md#parts",
        judge=_exposed,
        engines=COMPOSE,
    ),
    Check(
        id="network.plain_http",
        looks_at="Other machines do not reach web over plain HTTP.",
        fix="set LANGFUSE_BIND_ADDRESS=127.0.0.1 and add tls to STACK_PROFILES in .env, then make up",
        page="reference/compose.md#media-and-exports",
        judge=_plain_http,
    ),
    Check(
        id="network.public_url",
        looks_at="NEXTAUTH_URL leads to this server: logins and links depend on it.",
        fix="set NEXTAUTH_URL to the URL that browsers use, without a path, then make up",
        page="how-to/troubleshoot.md",
        judge=_public_url,
    ),
    Check(
        id="network.names",
        looks_at="Web and worker find the stores by name, asked inside their containers.",
        fix="make down, then make up, which makes the networks anew",
        page="reference/compose.md#parts",
        judge=_names,
        engines=COMPOSE,
    ),
    Check(
        id="network.isolated",
        looks_at="The networks of the stores have no way out.",
        fix="take `internal: false` out of compose.override.yaml; make down, then make up",
        page="reference/compose.md#parts",
        judge=_isolated,
        engines=COMPOSE,
    ),
    Check(
        id="network.proxy",
        looks_at="HTTP_PROXY does not catch calls to this machine.",
        fix="add localhost,127.0.0.1 to NO_PROXY",
        page="how-to/troubleshoot.md",
        judge=_proxy,
    ),
    Check(
        id="network.container_proxy",
        looks_at="No container has a proxy of the Docker client: it would catch calls between services.",
        fix="take it out of compose.override.yaml, then make up (models: OUTBOUND_HTTPS_PROXY)",
        page="how-to/corporate-proxy.md#proxies-of-the-docker-client",
        judge=_container_proxy,
        engines=COMPOSE,
    ),
    Check(
        id="network.telemetry",
        looks_at="The server does not report its use.",
        fix="set TELEMETRY_ENABLED=false in .env, then make up",
        page="reference/environment.md",
        judge=_telemetry,
        engines=COMPOSE,
    ),
    Check(
        id="network.outbound",
        looks_at="With OUTBOUND_CALLS=false no network of the stack leads to other machines.",
        fix="make down, then make up: a network keeps the options that it was made with",
        page="reference/outbound.md",
        judge=_outbound,
        engines=COMPOSE,
    ),
)
