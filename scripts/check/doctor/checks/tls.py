"""Checks of HTTPS."""

from __future__ import annotations

from datetime import UTC, datetime

from scripts.check.doctor.facts import Facts, NotGathered
from scripts.check.doctor.model import COMPOSE, Check, Verdict, failed, ok, skipped, warning
from scripts.check.doctor.sources.certificates import Certificate, Certificates

from . import limits


def _answers(facts: Facts) -> Verdict:
    hosts = facts.of(Certificates).of_hosts
    silent = [f"{one.host} ({one.problem})" for one in hosts if one.problem]
    if silent:
        return failed(f"no HTTPS from {', '.join(silent)}")
    return ok(f"HTTPS answers for {', '.join(one.host for one in hosts)}")


def _trusted(facts: Facts) -> Verdict:
    refused = [
        f"{one.host}: {one.refused}" for one in _found(facts) if one.refused and not _names_differ(one)
    ]
    if refused:
        return failed(f"clients refuse the certificate of {'; '.join(refused)}")
    return ok("this machine trusts the certificates")


def _names(facts: Facts) -> Verdict:
    wrong = [f"{one.host}: {one.refused}" for one in _found(facts) if _names_differ(one)]
    return failed("; ".join(wrong)) if wrong else ok("the certificates are for the names that clients use")


def _ends(facts: Facts) -> Verdict:
    now = datetime.now(UTC)
    lives = [(one.host, one.begins, one.ends) for one in _found(facts) if one.begins and one.ends]
    if not lives:
        raise NotGathered("no certificate could be read")
    near = [
        f"{host} ends {ends:%Y-%m-%d %H:%M} UTC"
        for host, begins, ends in lives
        if ends - now < (ends - begins) * limits.CERTIFICATE_SHARE
    ]
    if near:
        return warning(f"not renewed in time: {', '.join(near)}")
    first = min(ends for _, _, ends in lives)
    return ok(f"the first one ends {first:%Y-%m-%d %H:%M} UTC")


def _protocol(facts: Facts) -> Verdict:
    old = [one.host for one in _found(facts) if one.old_protocol]
    return warning(f"{', '.join(old)} takes TLS 1.1") if old else ok("nothing below TLS 1.2 is taken")


def _hsts(facts: Facts) -> Verdict:
    known = [one for one in _found(facts) if one.ends]
    if not known:
        raise NotGathered("no certificate could be read")
    without = [one.host for one in known if "max-age=" not in one.hsts]
    if without:
        return warning(f"no Strict-Transport-Security from {', '.join(without)}")
    return ok("browsers are told to stay with HTTPS")


def _redirect(facts: Facts) -> Verdict:
    redirect = facts.of(Certificates).redirect
    if not redirect:
        return skipped("the proxy is not ours")
    if redirect.startswith("30") and "https://" in redirect:
        return ok(f"plain HTTP is sent on: {redirect}")
    return warning(f"plain HTTP is not sent on to HTTPS: {redirect}")


def _found(facts: Facts) -> list[Certificate]:
    found = [one for one in facts.of(Certificates).of_hosts if not one.problem]
    if not found:
        raise NotGathered("nothing answers HTTPS")
    return found


def _names_differ(certificate: Certificate) -> bool:
    text = certificate.refused.lower()
    return "hostname mismatch" in text or "ip address mismatch" in text


CHECKS = (
    Check(
        id="tls.answers",
        looks_at="HTTPS answers for every host name.",
        fix="make logs SERVICE=caddy; behind your own proxy, start that",
        page="runbooks/CertificateInvalid.md",
        judge=_answers,
    ),
    Check(
        id="tls.trusted",
        looks_at="This machine trusts the chain of the certificate, and it has not ended.",
        fix="install the root certificate of your authority on this machine, or renew the certificate",
        page="runbooks/CertificateInvalid.md",
        judge=_trusted,
    ),
    Check(
        id="tls.names",
        looks_at="The certificate is for the host name that clients use.",
        fix="set TLS_DOMAIN, S3_DOMAIN and NEXTAUTH_URL to the names in the certificate, or have it made "
        "anew for these",
        page="runbooks/CertificateInvalid.md",
        judge=_names,
    ),
    Check(
        id="tls.ends",
        looks_at="More than a fifth of the certificate's life is left: it is renewed at a third.",
        fix="see why it is not renewed: make logs SERVICE=caddy",
        page="runbooks/CertificateExpiring.md",
        judge=_ends,
    ),
    Check(
        id="tls.protocol",
        looks_at="The server takes TLS 1.2 or later only.",
        fix="switch TLS 1.0 and 1.1 off in your proxy; Caddy's default is right",
        page="reference/compose.md#parts",
        judge=_protocol,
    ),
    Check(
        id="tls.hsts",
        looks_at="Browsers are told to stay with HTTPS (Strict-Transport-Security).",
        fix="let your proxy add Strict-Transport-Security: max-age=31536000; config/caddy/Caddyfile does",
        page="reference/compose.md#parts",
        judge=_hsts,
    ),
    Check(
        id="tls.redirect",
        looks_at="Plain HTTP is sent on to HTTPS.",
        fix="put config/caddy/Caddyfile back as it was, then make up",
        page="reference/compose.md#parts",
        judge=_redirect,
        engines=COMPOSE,
    ),
)
