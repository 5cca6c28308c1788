"""The door in the HTTP protocol: what the server answers to the very bytes of a client."""

import json
import re
import socket
from typing import Any, cast

import pytest
from eventlet import wsgi
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request

from chassis.foundation.config import Config
from chassis.http.concurrency_limit import ConcurrencyLimit
from chassis.http.messages import HttpRequest, HttpResponse
from chassis.http.nameko import Edge, _App
from chassis.http.problems import is_utf8, unknown_route
from chassis.http.protocol import UNREAD_BODY, Times, parse_head, protocol
from contracts.errors import Refused

LENGTH_5 = b"Content-Length: 5\r\n\r\nhello"


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]


def served(door: ConcurrencyLimit, sent: bytes, application: Any = app) -> bytes:
    """What a connection on which this was sent answers until it ends."""
    client, server = socket.socketpair()
    with client, server:
        client.settimeout(5)
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        wsgi_server = wsgi.Server(server, ("test", 0), application, log_output=False)
        protocol(Times(5, 5, 5), {}, door)([("test", 0), server, wsgi.STATE_IDLE], wsgi_server)
        server.close()
        return b"".join(iter(lambda: client.recv(65_536), b""))


def post(rest: bytes, line: bytes = b"POST /orders HTTP/1.1") -> bytes:
    return line + b"\r\nHost: x\r\nX-Correlation-ID: Abc-1\r\n" + rest


CLOSED = ConcurrencyLimit(0, 1.0)


def test_a_refusal_is_a_problem_and_keeps_the_connection() -> None:
    answer = served(CLOSED, post(LENGTH_5) * 2 + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.count(b"HTTP/1.1 503") == 2
    assert answer.count(b"HTTP/1.1 200") == 1
    assert answer.count(b"Retry-After: 1\r\n") == 2
    assert answer.count(b"Content-Type: application/problem+json\r\n") == 2
    assert answer.count(b'"code":"OVERLOADED"') == answer.count(b'"correlation_id":"Abc-1"') == 2


@pytest.mark.parametrize(
    "sent",
    [
        post(b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        post(b"Content-Length: %d\r\n\r\n" % (UNREAD_BODY + 1)),
        post(b"Expect: 100-continue\r\n" + LENGTH_5),
        post(b"Connection: close\r\n" + LENGTH_5),
        post(LENGTH_5, b"POST /orders HTTP/1.0"),
    ],
)
def test_what_a_refused_request_would_still_send_is_not_waited_for(sent: bytes) -> None:
    answer = served(CLOSED, sent + post(LENGTH_5))
    assert answer.count(b"HTTP/1.1 ") == answer.count(b"Connection: close\r\n") == 1
    assert answer.startswith(b"HTTP/1.1 503")


def test_who_has_been_answered_or_gone_takes_up_no_room() -> None:
    door = ConcurrencyLimit(2, 1.0)
    for _ in range(3):
        assert served(door, post(LENGTH_5)).startswith(b"HTTP/1.1 200")
        assert served(door, post(b"Content-Length: -5\r\n\r\n")).startswith(b"HTTP/1.1 400")


def test_who_sends_a_body_slowly_takes_up_no_room_meanwhile() -> None:
    door = ConcurrencyLimit(1, 1.0)
    found = []

    def slow(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        found.append(has_room(door))
        with environ["salestream.outside"]():
            found.append(has_room(door))
        found.append(has_room(door))
        return app(environ, start_response)

    assert served(door, post(LENGTH_5), slow).startswith(b"HTTP/1.1 200")
    assert found == [False, True, False]
    assert has_room(door)


def has_room(door: ConcurrencyLimit) -> bool:
    try:
        return door.counts("POST", "/orders")
    except Refused:
        return False


def query(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("X-Target", str(environ["RAW_PATH_INFO"]) + "?" + environ["QUERY_STRING"])])
    return [json.dumps(Request(environ).args.to_dict()).encode()]


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ("手机".encode(), "手机"),
        (b"%E6%89%8B%E6%9C%BA", "手机"),
        ("手%E6%9C%BA".encode(), "手机"),
        ("Café+テスト".encode(), "Café テスト"),
        (b"a+b", "a b"),
        (b"a%20b", "a b"),
        (b"a%2Bb", "a+b"),
        ("𠮷👩‍👧".encode(), "𠮷👩‍👧"),
    ],
)
def test_an_address_is_read_as_utf_8_encoded_or_as_it_is(sent: bytes, wanted: str) -> None:
    """curl sends the octets that somebody types."""
    raw = b"GET /products?q=" + sent + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = served(ConcurrencyLimit(2, 1.0), raw, query)
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(json.dumps({"q": wanted}).encode()), answer
    assert b"X-Target: /products?q=" in answer and answer.isascii(), "what is passed on is as strict as ever"


@pytest.mark.parametrize(
    "sent", ["手机".encode("gbk"), "手机".encode("shift_jis"), b"Caf\xe9", b"%ff", b"\xff", b"\xed\xa0\x80"]
)
def test_what_is_not_utf_8_is_none_however_it_comes(sent: bytes) -> None:
    _, target, *_ = parse_head(b"GET /products?q=" + sent + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert not is_utf8(target)


@pytest.mark.parametrize("sent", [b"/products?q=desk lamp", b"/products?q=desk  lamp", b"/desk lamp"])
def test_a_blank_in_an_address_is_told_as_that(sent: bytes) -> None:
    answer = served(ConcurrencyLimit(2, 1.0), b"GET " + sent + b" HTTP/1.1\r\nHost: x\r\n\r\n", query)
    assert answer.startswith(b"HTTP/1.1 400") and b"%20" in answer, answer


@pytest.mark.parametrize("line", ["GÉT /x HTTP/1.1", "GET /x HTTP/1.1é", "GET é/x HTTP/1.1", "é GET /x HTTP/1.1"])
def test_elsewhere_in_the_line_of_a_request_there_are_no_such_letters(line: str) -> None:
    assert served(ConcurrencyLimit(2, 1.0), line.encode() + b"\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 400")


class OneRoute:
    """What nameko's web server is to the application: it knows one route, and serves it without a worker."""

    def __init__(self, response: HttpResponse) -> None:
        self.response = response
        nowhere = cast(Any, None)  # nobody listens here
        self.edge = Edge.of(Config(), unknown_route([]), ConcurrencyLimit(5, 1.0), nowhere)

    def answer(self, _: HttpRequest) -> HttpResponse:
        return self.response

    def make_url_map(self) -> Map:
        return Map([Rule("/things", endpoint=self, methods=["GET"])])


@pytest.mark.parametrize("status", [200, 404])
def test_the_head_of_an_answer_is_the_same_without_it(status: int) -> None:
    """HEAD answers what GET does, its length too, and nothing after the empty line."""
    app = _App(cast(Any, OneRoute(HttpResponse(status, b'{"items":[]}', {"ETag": '"3"'}))))
    door = ConcurrencyLimit(5, 1.0)
    gotten, headed = (
        served(door, f"{method} /things HTTP/1.1\r\nHost: x\r\n\r\n".encode(), app) for method in ("GET", "HEAD")
    )
    head, _, body = gotten.partition(b"\r\n\r\n")
    assert body == b'{"items":[]}' and b"Content-Length: 12\r\n" in head
    assert without_date(headed) == without_date(head + b"\r\n\r\n")


def without_date(answer: bytes) -> bytes:
    return re.sub(rb"Date: [^\r]*", b"", answer)
