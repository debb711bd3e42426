"""HTTPS with the stack's Caddyfile and a real Caddy, in front of the embedded engine and small services."""

from __future__ import annotations

import base64
import hashlib
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import certifi
import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.waiting import wait_for

from .browsing import browser_and_driver
from .harness import RunningEngine
from .https_proxy import S3, STATUS, WEB, Proxy, find_caddy, make_certificate
from .viewer_client import EMAIL, PASSWORD

pytestmark = pytest.mark.slow

MEGABYTE = 1_000_000
# The parts of web's own policy that matter here: web/next.config.mjs:35 at v4.16.0.
WEB_POLICY = (
    "default-src 'self' https://*.langfuse.com; object-src 'none'; frame-ancestors 'none'; "
    "connect-src 'self' http://localhost:* https://*.langfuse.com https://*.amazonaws.com; "
    "media-src 'self' https:;"
)


class _Service(BaseHTTPRequestHandler):
    """Plays S3 and the status pages: says which path and host it was asked for, and streams slowly."""

    protocol_version = "HTTP/1.1"
    go_on = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/stream":
            self._stream()
            return
        if self.path == "/sign-in":
            self._answer("<title>Langfuse</title>", policy=WEB_POLICY)
            return
        self._answer(f"{self.headers['Host']} {self.path}")

    def do_PUT(self) -> None:
        size, left = 0, int(self.headers["Content-Length"])
        while left and (part := self.rfile.read(min(left, MEGABYTE))):
            size, left = size + len(part), left - len(part)
        self._answer(str(size))

    def _answer(self, text: str, policy: str = "") -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        if policy:
            self.send_header("Content-Security-Policy", policy)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"6\r\nfirst\n\r\n")
        self.wfile.flush()
        self.go_on.wait(20)
        self.wfile.write(b"5\r\nlast\n\r\n0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the interface's name
        """Stay quiet."""


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """The address of a small service."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def proxy(service: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Caddy with its own authority; the small service plays everything behind it."""
    everything = ("langfuse-web:3000", "seaweedfs:8333", "prometheus:9090", "alertmanager:9093")
    hashed = subprocess.run(
        [find_caddy(), "hash-password"], input=b"status-test\n", capture_output=True, check=True
    ).stdout.decode()
    environment = {"STATUS_PAGES": "on", "STATUS_PASSWORD_HASH": hashed.strip()}
    running = Proxy(tmp_path_factory.mktemp("proxy"), dict.fromkeys(everything, service), environment)
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def own(service: str, tmp_path: Path) -> Iterator[Proxy]:
    """Caddy with certificate files, in front of the small service."""
    services = dict.fromkeys(("langfuse-web:3000", "seaweedfs:8333"), service)
    running = Proxy(tmp_path, services, {"TLS_ISSUER": "own"})
    running.certificates.mkdir()
    make_certificate(running.certificates, "first")
    try:
        yield running.start()
    finally:
        running.stop()


def test_clients_that_trust_the_root_certificate_connect_and_others_refuse(proxy: Proxy) -> None:
    with proxy.client() as client:
        assert client.get(f"https://{WEB}/x").text == f"{WEB} /x"
    with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get (local )?issuer certificate"):
        proxy.peer(WEB, Path(certifi.where()))


def test_a_name_that_is_not_ours_gets_no_certificate(proxy: Proxy) -> None:
    with pytest.raises(ssl.SSLError):
        proxy.peer("zeus.acme.example", proxy.root)


def test_old_versions_of_tls_are_refused(proxy: Proxy) -> None:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{proxy.https_port}", "-servername", WEB, "-tls1_1",
         "-cipher", "DEFAULT:@SECLEVEL=0"],
        input=b"", capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert b"alert protocol version" in done.stderr


@pytest.mark.parametrize("name", [WEB, S3, STATUS])
def test_plain_http_leads_to_https_with_its_port_and_keeps_the_method(proxy: Proxy, name: str) -> None:
    answer = httpx.post(f"http://127.0.0.1:{proxy.http_port}/api?a=1", headers={"Host": name})
    assert answer.status_code == 308
    assert answer.headers["Location"] == f"https://{name}:{proxy.https_port}/api?a=1"


def test_answers_carry_the_headers_of_security_and_no_name_of_a_server(proxy: Proxy) -> None:
    with proxy.client() as client:
        for name in (WEB, S3):
            headers = client.get(f"https://{name}/").headers
            assert headers["Strict-Transport-Security"] == "max-age=31536000"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
            assert {"Server", "Via", "Alt-Svc"} & set(headers) == set()


def test_a_page_among_the_media_runs_no_script(proxy: Proxy) -> None:
    with proxy.client() as client:
        assert (
            client.get(f"https://{S3}/langfuse-media/page.html")
            .headers["Content-Security-Policy"]
            .endswith("sandbox")
        )
        assert "Content-Security-Policy" not in client.get(f"https://{WEB}/").headers


def test_exports_of_32_mb_pass_larger_ones_are_refused_and_media_have_no_limit(proxy: Proxy) -> None:
    with proxy.client() as client:
        assert client.put(f"https://{WEB}/", content=bytes(31 * MEGABYTE)).text == str(31 * MEGABYTE)
        # 413 or 502, as the body breaks off on the way to the service.
        assert client.put(f"https://{WEB}/", content=bytes(33 * MEGABYTE)).status_code in {413, 502}
    # What was left of that body may still be in its connection, and be read as the next request.
    with proxy.client() as client:
        assert client.put(f"https://{S3}/media", content=bytes(64 * MEGABYTE)).text == str(64 * MEGABYTE)


def test_streamed_answers_arrive_as_they_are_written(proxy: Proxy) -> None:
    _Service.go_on.clear()
    with proxy.client() as client, client.stream("GET", f"https://{WEB}/stream") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "first"
        _Service.go_on.set()
        assert next(lines) == "last"


def test_status_pages_ask_for_a_password(proxy: Proxy) -> None:
    with proxy.client() as client:
        assert client.get(f"https://{STATUS}/prometheus/graph").status_code == 401
        assert client.get(f"https://{STATUS}/prometheus/", auth=("admin", "wrong")).status_code == 401
        right = ("admin", "status-test")
        assert client.get(f"https://{STATUS}/prometheus/graph", auth=right).text == f"{STATUS} /graph"
        assert client.get(f"https://{STATUS}/alertmanager/", auth=right).text == f"{STATUS} /"


def test_the_log_holds_no_signature_of_a_url(proxy: Proxy) -> None:
    with proxy.client() as client:
        client.get(f"https://{S3}/langfuse-media/x?X-Amz-Signature=5161f2&X-Amz-Expires=60")
    wait_for(lambda: "X-Amz-Expires=60" in proxy.log(), "the line of the request")
    assert "X-Amz-Signature=REDACTED" in proxy.log()
    assert "5161f2" not in proxy.log()


def test_a_new_certificate_file_is_shown_after_a_reload_without_a_restart(own: Proxy) -> None:
    certificate = own.certificates / "tls.crt"
    assert own.peer(WEB, certificate)["subject"] == (((("commonName"), "first"),),)
    make_certificate(own.certificates, "second", days=9)
    with pytest.raises(ssl.SSLCertVerificationError):
        own.peer(WEB, certificate)
    own.reload()

    def shown() -> dict[str, object]:
        try:
            return own.peer(WEB, certificate)
        # A connection that the old listener had not accepted yet is reset while the new one takes over.
        except (ssl.SSLCertVerificationError, ConnectionResetError):
            return {}

    assert wait_for(shown, own.log)["subject"] == ((("commonName", "second"),),)


def test_without_its_certificate_file_caddy_says_which_one_is_missing(service: str, tmp_path: Path) -> None:
    proxy = Proxy(tmp_path, {"langfuse-web:3000": service}, {"TLS_ISSUER": "own"})
    with pytest.raises(AssertionError, match=r"certificates/tls\.crt: no such file"):
        proxy.start()


def test_the_policy_of_web_lets_a_browser_send_files_to_s3_and_is_else_as_it_was(proxy: Proxy) -> None:
    with proxy.client() as client:
        policy = client.get(f"https://{WEB}/sign-in").headers["Content-Security-Policy"]
    s3 = f" https://{S3}:{proxy.https_port}"
    assert policy.replace(s3, "", 1) == WEB_POLICY
    assert f"connect-src 'self'{s3} " in policy


def test_a_browser_reaches_s3_from_a_page_of_web_and_no_other_host(proxy: Proxy, tmp_path: Path) -> None:
    fetch = (
        "const done = arguments[1]; fetch(arguments[0], {mode: 'no-cors'})"
        ".then(() => done('sent'), error => done(String(error)))"
    )
    with chromium(proxy, tmp_path) as chrome:
        chrome.get(f"https://{WEB}:{proxy.https_port}/sign-in")
        assert chrome.title == "Langfuse"
        to = {name: f"https://{name}:{proxy.https_port}/x" for name in (S3, STATUS)}
        assert chrome.execute_async_script(fetch, to[S3]) == "sent"
        assert "Failed to fetch" in chrome.execute_async_script(fetch, to[STATUS])
        log = " ".join(entry["message"] for entry in chrome.get_log("browser"))
        assert f"{STATUS}:{proxy.https_port}/x' violates the following Content Security Policy" in log


@pytest.fixture
def signed_in_over_https(tmp_path: Path) -> Iterator[tuple[Proxy, RunningEngine]]:
    """The embedded engine, which knows its public URL, behind Caddy."""
    proxy = Proxy(tmp_path, {})
    engine = RunningEngine(
        tmp_path / "data",
        {
            "NEXTAUTH_URL": f"https://{WEB}:{proxy.https_port}",
            "LANGFUSE_INIT_USER_EMAIL": EMAIL,
            "LANGFUSE_INIT_USER_PASSWORD": PASSWORD,
        },
    ).start()
    proxy.services = {"langfuse-web:3000": engine.base_url.removeprefix("http://")}
    try:
        yield proxy.start(), engine
    finally:
        proxy.stop()
        engine.stop()


def fingerprint(proxy: Proxy) -> str:
    """Return the SHA-256 of the key that signs the certificates, in the form that Chromium takes."""
    key = subprocess.run(
        ["openssl", "x509", "-in", str(proxy.root.with_name("intermediate.crt")), "-pubkey", "-noout"],
        check=True,
        capture_output=True,
    ).stdout
    der = base64.b64decode(b"".join(key.splitlines()[1:-1]))
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


@contextmanager
def chromium(proxy: Proxy, directory: Path) -> Iterator[webdriver.Chrome]:
    """Yield a browser that finds every name at Caddy, and trusts its authority and no other."""
    browser, driver = browser_and_driver()
    options = Options()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", f"--user-data-dir={directory / 'profile'}",
        "--host-resolver-rules=MAP *.acme.example 127.0.0.1",
        # What an operator does with the file of `make trust`.
        f"--ignore-certificate-errors-spki-list={fingerprint(proxy)}",
    ):  # fmt: skip
        options.add_argument(flag)
    with webdriver.Chrome(options=options, service=Service(driver)) as chrome:
        yield chrome


def test_a_browser_signs_in_over_https_and_gets_a_cookie_for_https_only(
    signed_in_over_https: tuple[Proxy, RunningEngine], tmp_path: Path
) -> None:
    proxy, _ = signed_in_over_https
    with chromium(proxy, tmp_path) as chrome:
        origin = f"https://{WEB}:{proxy.https_port}"
        chrome.get(f"{origin}/auth/sign-in")
        chrome.find_element(By.NAME, "email").send_keys(EMAIL)
        chrome.find_element(By.NAME, "password").send_keys(PASSWORD)
        chrome.find_element(By.CSS_SELECTOR, "form.sign-in button").click()
        wait_for(lambda: "sign-in" not in chrome.current_url, "the page after signing in")
        assert chrome.current_url.startswith(f"{origin}/")
        cookies = chrome.get_cookies()
        assert [cookie["secure"] for cookie in cookies] == [True]
        assert [cookie["httpOnly"] for cookie in cookies] == [True]
        assert chrome.execute_script("return window.isSecureContext") is True


def test_spans_sent_over_https_are_readable_over_https(
    signed_in_over_https: tuple[Proxy, RunningEngine],
) -> None:
    proxy, engine = signed_in_over_https
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    now = time.time_ns()
    span = {
        "traceId": trace_id, "spanId": span_id, "name": "over-https", "kind": 1,
        "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 1000),
    }  # fmt: skip
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "t"}, "spans": [span]}]}]}
    with proxy.client(auth=engine.keys.auth) as client:
        assert client.post(f"https://{WEB}/api/public/otel/v1/traces", json=body).status_code == 200
        rows = client.get(f"https://{WEB}/api/public/v2/observations", params={"traceId": trace_id}).json()[
            "data"
        ]
    assert [(row["id"], row["name"]) for row in rows] == [(span_id, "over-https")]
