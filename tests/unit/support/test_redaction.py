"""Redaction: every way to write a secret, and what stays readable."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.check.support.command import refuse_leaks
from scripts.check.support.redaction import Redactor, base64_forms
from scripts.check.support.secret_values import is_secret, parts_of_url
from scripts.core.errors import StackError

AWKWARD = 'p&"ß\\w/o+r d=1?'


def written(value: str) -> dict[str, str]:
    """Return ways in which programs write a value, made without the code under test."""
    return {
        "plain": value,
        "in a DSN": f"postgresql://langfuse:{quote(value, safe='')}@postgres:5432/langfuse",
        "lower-case escapes": quote(value, safe="").lower(),
        "as a form": f"a=1&password={quote_plus(value)}&b=2",
        "escaped twice": quote(quote(value, safe=""), safe=""),
        "in JSON": json.dumps({"key": value}),
        "in JSON with letters": json.dumps({"key": value}, ensure_ascii=False),
        "in JSON in JSON": json.dumps({"message": json.dumps({"key": value})}),
        "in HTML": html.escape(value),
        "base64": base64.b64encode(value.encode()).decode(),
        "base64 for URLs": base64.urlsafe_b64encode(value.encode()).decode(),
        "as Basic": base64.b64encode(f"pk-lf-test:{value}".encode()).decode(),
        "as Basic of another length": base64.b64encode(f"zeus:{value}".encode()).decode(),
        "as Basic with something behind": base64.b64encode(f"a{value}\nmore".encode()).decode(),
        "hexadecimal": value.encode().hex(),
    }


def reveals(text: str, value: str) -> bool:
    """Return whether a text has the value, also within base64 (all four offsets of its tokens)."""
    if value in text:
        return True
    for token in text.replace("-", "+").replace("_", "/").split():
        for begin in range(4):
            part = token[begin:].strip('",:{}')
            part = part[: len(part) // 4 * 4]
            try:
                if value.encode() in base64.b64decode(part + "=" * (-len(part) % 4), validate=False):
                    return True
            except ValueError:
                continue
    return False


@pytest.mark.parametrize("value", ["0123abcd" * 8, AWKWARD, "short1", "sk-lf-test-0123456789"])
def test_every_way_to_write_a_secret_is_taken_out(value: str) -> None:
    redactor = Redactor.of({"ZEUS": value})
    for way, text in written(value).items():
        if way.startswith("as Basic") and len(value) < 9:
            continue  # too few characters of it are sure to stay the same
        redacted = redactor.redact(f"before {text} behind")
        assert not reveals(redacted, value), (way, redacted)
        assert redactor.leaks(redacted) == [], way
        assert redacted.startswith("before "), way


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=9, max_size=40),
    st.binary(max_size=5),
)
def test_base64_is_found_wherever_the_secret_stands_in_it(value: str, before: bytes) -> None:
    whole = base64.b64encode(before + value.encode() + b"tail").decode()
    assert any(form in whole for form in base64_forms(value.encode()))


def test_a_redacted_text_says_whose_value_stood_there() -> None:
    redactor = Redactor.of({"REDIS_AUTH": "0123abcd" * 8})
    assert redactor.redact(f"NOAUTH {'0123abcd' * 8}!") == "NOAUTH <redacted REDIS_AUTH>!"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("amqp://zeus:unknown-word@mq:5672/", "amqp://zeus:<redacted>@mq:5672/"),
        ("Authorization: Bearer abcdefgh12345678", "Authorization: Bearer <redacted>"),
        ("authorization: basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "authorization: basic <redacted>"),
        ("key sk-lf-0d1c2b3a-9999", "key sk-lf-<redacted>"),
        ("GET /a?X-Amz-Signature=0d1c2b&x=1", "GET /a?X-Amz-Signature=<redacted>&x=1"),
        ('{"MY_TOKEN": "abcdef12"}', '{"MY_TOKEN": "<redacted>"}'),
        ("smtp_password=hunter22", "smtp_password=<redacted>"),
        ("by zeus.a@acme.example", "by <somebody>@acme.example"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out_too(text: str, redacted: str) -> None:
    assert Redactor.of({}).redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "LANGFUSE_PORT=3000",
        "SELECT timezone()",
        "http://127.0.0.1:3000/api/public/health answers 200",
        "image: docker.io/valkey/valkey:8.1.10",
        "password: null",
        "pk-lf-0123",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor.of({"A": "0123abcd" * 8}).redact(text) == text


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("SALT", True),
        ("AUTH_CUSTOM_CLIENT_SECRET", True),
        ("ACME_GATEWAY_KEY", True),
        ("MY_TOKEN", True),
        ("LANGFUSE_PORT", False),
        ("LANGFUSE_PUBLIC_KEY", True),
        ("AUTH_DISABLE_SIGNUP", False),
        ("SSH_AUTH_SOCK", False),
    ],
)
def test_which_variables_are_secret(name: str, secret: bool) -> None:
    assert is_secret(name) is secret


def test_a_password_within_a_url_is_a_secret_of_its_own() -> None:
    parts = dict(parts_of_url("postgresql://zeus:p%40ss%2Fword@db.acme.example:5432/langfuse"))
    assert parts == {"password": "p%40ss%2Fword", "decoded password": "p@ss/word"}
    assert list(parts_of_url("http://langfuse.acme.example")) == []


def test_a_bundle_with_a_secret_is_refused_by_name() -> None:
    redactor = Redactor.of({"ZEUS": "0123abcd" * 8})
    with pytest.raises(StackError, match="it was not written") as caught:
        refuse_leaks({"logs/a.txt": f"x {'0123abcd' * 8}", "b": "fine"}, redactor)
    assert caught.value.details == ("logs/a.txt: ZEUS",)
    assert "0123abcd" not in str(caught.value)
