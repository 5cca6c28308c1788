"""Requests that two servers might read differently are refused, and slow clients are cut off (PLT-01, SEC-31)."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from component.support import Company


@contextmanager
def connected(company: Company) -> Iterator[socket.socket]:
    url = company.http.base_url
    with socket.create_connection((url.host, url.port), timeout=30) as connection:
        yield connection


def all_of(connection: socket.socket) -> bytes:
    """What the server sends until it closes."""
    found = b""
    while piece := connection.recv(65536):
        found += piece
    return found


def refused(company: Company, raw: bytes) -> bytes:
    """The answer to bytes that must end the connection after one answer."""
    with connected(company) as connection:
        connection.sendall(raw)
        answer = all_of(connection)
    assert len(re.findall(rb"HTTP/1\.1 \d\d\d ", answer)) == 1, answer
    return answer


SMUGGLED = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        b"POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 2, 2\r\n\r\n{}",
        b"POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}",
        b"POST /sessions HTTP/1.1\r\nHost: x\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST /sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /sessions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /sessions HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /livez HTTP/1.1\nHost: x\n\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET http://elsewhere/livez HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"GET /livez HTTP/2.0\r\nHost: x\r\n\r\n",
        b"BREW /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=lambda head: repr(head.split(b"\r\n\r\n")[0][-60:]),
)
def test_plt_01_a_request_that_can_be_read_in_two_ways_is_refused(company: Company, head: bytes) -> None:
    """Nothing after it is taken for a request: the connection ends with the one refusal."""
    answer = refused(company, head + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer
    assert b'"code":"VALIDATION"' in answer
    assert b"\r\nX-Content-Type-Options: nosniff\r\n" in answer
    assert b"\r\nServer:" not in answer


@pytest.mark.parametrize(
    "chunks", [b"0x2\r\n{}\r\n0\r\n\r\n", b"+2\r\n{}\r\n0\r\n\r\n", b"2\r\n{}x\r\n0\r\n\r\n", b"1_0\r\n"]
)
def test_plt_01_chunks_that_can_be_told_apart_in_two_ways_are_refused(company: Company, chunks: bytes) -> None:
    head = b"POST /sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = refused(company, head + chunks + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 200 + b"\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["many fields", "a long field", "a long address"],
)
def test_plt_01_a_head_has_bounds(company: Company, head: bytes) -> None:
    with connected(company) as connection:
        connection.sendall(head)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 "), answer
    assert b'"code":"TOO_LARGE"' in answer


def test_sec_31_every_answer_carries_the_security_headers(company: Company) -> None:
    url = str(company.http.base_url)
    for method, path in [
        ("GET", "/livez"),
        ("GET", "/me"),
        ("GET", "/nowhere"),
        ("PUT", "/livez"),
        ("POST", "/sessions"),
    ]:
        answer = httpx.request(method, url + path)
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers


def test_head_answers_as_get_without_the_body(company: Company) -> None:
    url = str(company.http.base_url)
    answer = httpx.head(url + "/livez")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(httpx.get(url + "/livez").content))


def test_a_connection_serves_one_request_after_the_other(company: Company) -> None:
    with connected(company) as connection:
        connection.sendall(SMUGGLED * 3)
        found = b""
        while found.count(b'{"status":"ok"}') < 3:
            found += connection.recv(65536)
    assert found.count(b"HTTP/1.1 200 OK") == 3
