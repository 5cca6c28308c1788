"""The one entry at real processes: sessions in cookies, limits, origins, and services that run elsewhere (PLT-01).

The tests of the HTTP edge and of the access service pass the gateway too: it is in their process.  Here it is also a
process of its own, which has nothing but the address of another one.
"""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from component.gateway import GatewayProcess, gateway
from component.people import DEFAULT, PASSWORD, Caller, accept, first_administrator, issue
from component.support import Company, add_product, eventually, problem_of, unique

from chassis.http.compression import SHORTEST
from deploy.devstack.ports import free_ports
from deploy.devstack.server import HOST
from deploy.local.system import LocalSystem

ASKING = {"Salestream-Session": "cookie", "X-Requested-With": "test"}


@pytest.fixture(scope="module")
def admin(system: LocalSystem, company: Company) -> Caller:
    return first_administrator(system, company)


@pytest.fixture(scope="module")
def front(system: LocalSystem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that hosts no service; the system behind it has all of them."""
    with gateway(system.api.own_address, system, tmp_path_factory.mktemp("front")) as process:
        yield process


@pytest.fixture(params=["in the process of the services", "in a process of its own"])
def entry(request: pytest.FixtureRequest, system: LocalSystem) -> str:
    """The address of an entry."""
    if request.param == "in the process of the services":
        return system.api.own_address
    process: GatewayProcess = request.getfixturevalue("front")
    return process.own_address


def signed_in(entry: str, login: str, password: str = PASSWORD) -> httpx.Client:
    """A browser whose cookies hold a sign-in."""
    browser = httpx.Client(base_url=entry, headers=ASKING, timeout=60)
    answer = browser.post("/sessions", json={"name": login, "password": password})
    assert answer.status_code == 201, answer.text
    assert not {"access_token", "refresh_token"} & set(answer.json())
    return browser


def worker(company: Company, admin: Caller, *roles: str) -> str:
    """A user with a password of their own; returns the login."""
    login = issue(admin, *roles)
    accept(company, login, DEFAULT)
    return login


# -- sessions


def test_plt_01_a_browser_signs_in_works_and_signs_out_without_seeing_a_token(
    entry: str, company: Company, admin: Caller
) -> None:
    browser = signed_in(entry, worker(company, admin, "SAL"))
    assert {cookie.name for cookie in browser.cookies.jar} == {"access", "refresh"}
    assert all(cookie.has_nonstandard_attr("HttpOnly") for cookie in browser.cookies.jar)
    me = browser.get("/me").json()
    assert me["roles"] == ["SAL"]
    held = dict(browser.cookies)
    session = held["refresh"].partition(".")[0]
    assert browser.delete(f"/sessions/{session}").status_code == 200
    assert not browser.cookies
    gone = httpx.get(f"{entry}/me", headers={"Cookie": "; ".join(f"{name}={value}" for name, value in held.items())})
    problem_of(gone, "UNAUTHENTICATED")


def test_uix_01_a_browser_learns_what_to_show_once_and_signs_out_without_an_id(
    entry: str, company: Company, admin: Caller
) -> None:
    browser = signed_in(entry, worker(company, admin, "SAL"))
    first = browser.get("/metadata", params={"language": "ja"})
    assert first.headers["content-encoding"] == "gzip" and first.headers["cache-control"] == "private, no-cache"
    views = {view["name"]: view for view in first.json()["views"]}
    assert views["orders"]["label"] == "受注" and "audit" not in views
    held = {"If-None-Match": first.headers["etag"]}
    again = browser.get("/metadata", params={"language": "ja"}, headers=held)
    assert (again.status_code, again.content) == (304, b"")
    assert "content-length" not in again.headers
    assert browser.get("/me", headers={"Accept-Language": "ja"}).json()["language"] == "ja", "the connection goes on"
    assert browser.get("/metadata", params={"language": "en"}, headers=held).status_code == 200
    colleagues = browser.get("/colleagues", params={"limit": "200"})
    assert (colleagues.headers.get("content-encoding") == "gzip") == (len(colleagues.content) >= SHORTEST)
    assert browser.delete("/sessions/current").status_code == 200
    assert not browser.cookies


def test_sec_19_rights_taken_away_are_gone_at_the_next_request(
    company: Company, admin: Caller, system: LocalSystem
) -> None:
    login = worker(company, admin, "SAL", "WHS")
    browser = signed_in(system.api.own_address, login)
    user_id = browser.get("/me").json()["id"]
    assert browser.get("/shipments").status_code == 200
    admin.do("DELETE", f"/roles/WHS/members/{user_id}")
    refused = browser.post(f"/shipments/{user_id}/hand-over", json={})
    assert problem_of(refused, "FORBIDDEN")["state"] == "shipping"
    assert browser.get("/me").json()["roles"] == ["SAL"]
    admin.do("PUT", f"/roles/WHS/members/{user_id}")
    assert browser.get("/me").json()["roles"] == ["SAL", "WHS"], "ACC-52: a member has the rights at once"


def test_a_session_is_renewed_on_the_way_and_outlives_a_crowd_with_the_old_token(
    entry: str, company: Company, admin: Caller
) -> None:
    """Without the access cookie, as a browser is once it has run out: eight tabs at once."""
    browser = signed_in(entry, worker(company, admin, "SAL"))
    old = browser.cookies["refresh"]
    all_there = threading.Barrier(8)

    def tab(_: int) -> httpx.Response:
        all_there.wait()
        return httpx.get(f"{entry}/me", headers={"Cookie": f"refresh={old}"}, timeout=60)

    with ThreadPoolExecutor(8) as tabs:
        answers = list(tabs.map(tab, range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    fresh = {answer.cookies["refresh"] for answer in answers}
    assert len(fresh) == 1 and old not in fresh
    late = httpx.get(f"{entry}/me", headers={"Cookie": f"refresh={old}"})
    assert late.status_code == 200 and late.cookies["refresh"] in fresh
    again = httpx.get(f"{entry}/me", headers={"Cookie": f"refresh={fresh.pop()}"})
    assert again.status_code == 200, "the session lives"


def test_a_stolen_refresh_token_used_elsewhere_ends_the_session(entry: str, company: Company, admin: Caller) -> None:
    """The thief exchanges it as a program would; the browser's own exchange then looks like the second one it is."""
    browser = signed_in(entry, worker(company, admin, "SAL"))
    session, _, token = browser.cookies["refresh"].partition(".")
    thief = Caller(company)
    told = thief.do("POST", f"/sessions/{session}/refresh", {"refresh_token": token})
    browser.cookies.delete("access")
    problem_of(browser.get("/me"), "UNAUTHENTICATED")
    assert not browser.cookies, "cookies that are worth nothing are taken away"
    thief.token = told["access_token"]
    eventually(lambda: thief.refused("UNAUTHENTICATED", "GET", "/me"))


def test_plt_01_a_foreign_page_changes_nothing_with_the_users_cookies(
    entry: str, company: Company, admin: Caller
) -> None:
    browser = signed_in(entry, worker(company, admin, "SAL"))
    del browser.headers["X-Requested-With"], browser.headers["Salestream-Session"]
    body = {"name": unique("Acme"), "mobile": f"138{uuid.uuid4().int % 10**8:08d}", "industry": "IT"}
    for headers in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        refused = browser.post("/customers", json=body, headers=headers)
        assert problem_of(refused, "FORBIDDEN")["state"] == "CROSS_SITE"
    assert browser.get("/customers").json()["items"] == []
    assert browser.post("/customers", json=body, headers={"Origin": entry}).status_code == 201


# -- services elsewhere


def test_plt_01_a_gateway_alone_passes_commands_and_queries_on(front: GatewayProcess, company: Company) -> None:
    behind = Company(company.config, front.own_address)
    product = add_product(behind.wang, name="灯 & lamp")
    found = behind.wang.get(f"/products/{product}")
    assert (found["id"], found["name"]) == (product, "灯 & lamp")
    answer = behind.wang.send("GET", "/products", params={"brand": "灯 &", "limit": 1})
    assert answer.status_code == 200 and answer.headers["salestream-consistency"]
    version = behind.wang.send("GET", f"/products/{product}").headers["etag"]
    stale = behind.wang.send("PATCH", f"/products/{product}", {"alert_quantity": 3}, match='"77"')
    assert problem_of(stale, "VERSION_CONFLICT")
    assert behind.wang.send("PATCH", f"/products/{product}", {"alert_quantity": 3}, match=version).status_code == 200
    export = behind.wang.send("GET", "/products", params={"format": "csv"})
    assert (
        export.headers["content-type"].startswith("text/csv") and "attachment" in export.headers["content-disposition"]
    )
    assert "transfer-encoding" not in export.headers and "server" not in export.headers
    behind.wang.assert_refused("NOT_FOUND", "GET", "/nowhere")
    behind.li.assert_refused("FORBIDDEN", "POST", "/products", {})
    assert behind.admin.get("/me")["roles"] and behind.admin.get("/roles")["items"]
    behind.close()


class _Elsewhere(BaseHTTPRequestHandler):
    """A service that tells what it was asked, or is as slow or broken as the path says."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        told = {"headers": dict(self.headers.items()), "body": self.rfile.read(length).decode(), "path": self.path}
        status = 502 if "bad-gateway" in self.headers.get("X-Correlation-Id", "") else 200
        body = json.dumps(told).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "X-Hop",
            "X-Hop": "secret",
            "X-Kept": "told",
            "Set-Cookie": "a=b",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""


def test_plt_01_headers_of_one_connection_are_not_passed_on(
    system: LocalSystem, company: Company, tmp_path: Path
) -> None:
    server = ThreadingHTTPServer((HOST, 0), _Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    order = "00000000-0000-4000-8000-000000000001"
    sent = {
        "Authorization": f"Bearer {company.li.token}",
        "Connection": "keep-alive, X-Mine",
        "X-Mine": "hop",
        "X-Forwarded-For": "198.51.100.1",
        "Proxy-Authorization": "Basic x",
        "Cookie": "theme=dark",
        "Idempotency-Key": "k-1",
        "Te": "trailers",
    }
    try:
        with gateway(f"http://{HOST}:{server.server_port}", system, tmp_path) as process:
            answer = httpx.post(f"{process.own_address}/orders/{order}/submit?a=%20b", json={}, headers=sent)
            told = answer.json()
            got = {name.lower(): value for name, value in told["headers"].items()}
            assert (told["path"], told["body"]) == (f"/orders/{order}/submit?a=%20b", "{}")
            assert got["idempotency-key"] == "k-1" and got["authorization"].startswith("Bearer ")
            assert got["x-forwarded-for"] == HOST, "what a stranger wrote there is not passed on"
            assert not {"x-mine", "te", "proxy-authorization", "cookie"} & set(got)
            assert answer.headers["x-kept"] == "told"
            assert not {"x-hop", "set-cookie", "server"} & set(answer.headers)
            assert answer.headers["x-content-type-options"] == "nosniff"
            broken = httpx.post(
                f"{process.own_address}/orders/{order}/submit", headers={**sent, "X-Correlation-Id": "bad-gateway"}
            )
            assert (broken.status_code, broken.json()["code"]) == (503, "UNAVAILABLE")
    finally:
        server.shutdown()
        server.server_close()


def test_plt_01_a_service_that_is_away_is_a_problem_and_the_gateway_lives_on(
    system: LocalSystem, company: Company, tmp_path: Path
) -> None:
    with gateway(f"http://{HOST}:{free_ports(1)[0]}", system, tmp_path) as process:
        headers = {"Authorization": f"Bearer {company.li.token}"}
        answer = httpx.get(f"{process.own_address}/orders", headers=headers)
        assert (answer.status_code, answer.json()["code"], answer.json()["state"]) == (503, "UNAVAILABLE", "reports")
        assert answer.headers["retry-after"]
        assert httpx.get(f"{process.own_address}/readyz").status_code == 200
        problem_of(httpx.get(f"{process.own_address}/orders"), "UNAUTHENTICATED")


# -- limits and documents


def test_plt_01_limits_origins_and_slow_clients_at_a_real_process(
    system: LocalSystem, company: Company, tmp_path: Path
) -> None:
    settings = {
        "RATE_LIMIT_USER": "5/minute",
        "RATE_LIMIT_SIGN_IN": "3/minute",
        "ALLOWED_ORIGINS": "https://crm.example",
        "PLAIN_HTTP": "0",
        "TRUSTED_PROXIES": "127.0.0.1",
        "METRICS_NETWORKS": "10.0.0.0/8",
        "MAX_HEAD_SECONDS": "1",
        "MAX_BODY_SECONDS": "1",
    }
    with gateway(system.api.own_address, system, tmp_path, **settings) as process:
        at = process.own_address
        headers = {"Authorization": f"Bearer {company.li.token}"}
        asked = [httpx.get(f"{at}/orders", headers=headers) for _ in range(6)]
        assert [answer.status_code for answer in asked] == [200] * 5 + [429]
        assert asked[5].json()["code"] == "RATE_LIMITED" and int(asked[5].headers["retry-after"]) <= 60
        assert asked[5].headers["strict-transport-security"].startswith("max-age=")

        def guess(client: str) -> int:
            body = {"name": "nobody", "password": "wrong"}
            return httpx.post(f"{at}/sessions", json=body, headers={"X-Forwarded-For": client}).status_code

        assert [guess("198.51.100.7") == 429 for _ in range(4)] == [False, False, False, True]
        assert guess("198.51.100.8") != 429, "the client's address counts, not the proxy's"
        preflight = httpx.options(
            f"{at}/orders", headers={"Origin": "https://crm.example", "Access-Control-Request-Method": "POST"}
        )
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "https://crm.example"
        assert "content-length" not in preflight.headers
        problem_of(httpx.get(f"{at}/metrics"), "UNAUTHENTICATED")
        problem_of(httpx.get(f"{at}/metrics", headers={"X-Forwarded-For": "10.1.2.3"}), "UNAUTHENTICATED")
        for start in (
            b"GET /livez HTTP/1.1\r\nHost: x\r\n",
            b"POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
        ):
            assert seconds_until_cut(process.port, start) < 8


def seconds_until_cut(port: int, start: bytes) -> float:
    """How long a client is listened to that sends a byte now and then."""
    begun = time.monotonic()
    with socket.create_connection((HOST, port), timeout=0.3) as slow:
        slow.sendall(start)
        while time.monotonic() < begun + 30:
            try:
                if not slow.recv(65536):
                    break
            except TimeoutError:
                try:
                    slow.sendall(b" " if b"{" in start else b"X")
                except OSError:
                    break
            except OSError:
                break
    return time.monotonic() - begun


class _Page(HTMLParser):
    """What a page loads, runs and links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.anchors: set[str] = set()
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "srcset") or (tag == "link" and name == "href"):
                self.loads.append(str(value))
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")
            if name == "id":
                self.ids.add(str(value))
            if tag == "a" and name == "href" and str(value).startswith("#"):
                self.anchors.add(str(value)[1:])
        if tag in ("script", "style", "iframe"):
            self.inline.append(tag)


def test_plt_01_documents_and_pages_are_served_without_scripts(entry: str) -> None:
    operations = httpx.get(f"{entry}/openapi.json")
    assert operations.headers["content-type"] == "application/json"
    committed = yaml.safe_load((Path(__file__).parents[2] / "contracts" / "openapi.yaml").read_text())
    assert operations.json() == committed
    messages = yaml.safe_load(httpx.get(f"{entry}/asyncapi.yaml").text)
    assert messages == yaml.safe_load((Path(__file__).parents[2] / "contracts" / "asyncapi.yaml").read_text())
    for path, wanted in (
        ("/docs", {"SubmitOrder", "BulkSubmitOrder", "orders", "me"}),
        ("/events", {"OrderSubmitted"}),
    ):
        answer = httpx.get(entry + path)
        policy = answer.headers["content-security-policy"]
        assert "script" not in policy and "unsafe" not in policy and policy.startswith("default-src 'none'")
        page = _Page(answer.text)
        assert (page.loads, page.inline) == (["/docs/style.css"], [])
        assert wanted <= page.ids and page.anchors <= page.ids
    assert httpx.get(f"{entry}/docs/style.css").headers["content-type"].startswith("text/css")


def test_a_gateway_that_ends_answers_busy_clients_and_sends_them_away(system: LocalSystem, tmp_path: Path) -> None:
    """Each of them has one connection, on which it never stops asking: the next answer says that it ends."""
    told: list[int] = []

    def ask_on(port: int) -> None:
        connection = HTTPConnection(HOST, port)
        number = 0
        while True:
            number += 1
            try:
                connection.request("GET", "/products")
                answer = connection.getresponse()
            except ConnectionError:  # it asked nothing for a moment, in which the gateway ended
                return
            answer.read()
            asked.set()
            if answer.getheader("Connection") == "close":
                told.append(number)
                return

    with gateway(f"http://{HOST}:{free_ports(1)[0]}", system, tmp_path) as process, ThreadPoolExecutor(4) as clients:
        asked = threading.Event()
        busy = [clients.submit(ask_on, process.port) for _ in range(4)]
        asked.wait()
        process.stop()
        for one in busy:
            one.result()
        assert '"api stopped"' in process.log.read_text()
    assert told, "nobody was sent away"
