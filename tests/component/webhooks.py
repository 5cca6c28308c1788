"""Real HTTP servers that take what robots and text messages are sent to, and check the signatures by themselves."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SECRET = "SEC-of-tests"
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Taken:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}

    @property
    def said(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        """By which a repeat is known."""
        return self.headers["idempotency-key"]


def is_from_us_at_dingtalk(taken: Taken) -> bool:
    """https://open.dingtalk.com/document/robots/customize-robot-security-settings"""
    moment, sign = taken.query.get("timestamp", "0"), taken.query.get("sign", "")
    wanted = hmac.new(SECRET.encode(), f"{moment}\n{SECRET}".encode(), hashlib.sha256).digest()
    is_now = abs(time.time() * 1_000 - int(moment)) < HOUR_MS
    return is_now and base64.b64encode(wanted).decode() == sign and taken.query.get("access_token") == "robot"


def is_from_us_at_wecom(taken: Taken) -> bool:
    return taken.query.get("key") == "robot"


def is_from_us_at_provider(taken: Taken) -> bool:
    signed = taken.headers.get("x-salestream-timestamp", "").encode() + b"." + taken.body
    wanted = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    return wanted == taken.headers.get("x-salestream-signature")


@dataclass
class Receiver:
    """What a server has taken, and how it answers.  What is not signed it does not take."""

    is_from_us: Any
    taken: list[Taken] = field(default_factory=list)
    refused: list[Taken] = field(default_factory=list)
    status: int = 200
    answer: bytes = b'{"errcode":0,"errmsg":"ok"}'
    hangs_up: bool = False

    def take(self, request: Taken) -> tuple[int, bytes]:
        if not self.is_from_us(request):
            self.refused.append(request)
            return 200, b'{"errcode":310000,"errmsg":"sign not match"}'
        if self.status == 200 and b'"errcode":0' in self.answer:
            self.taken.append(request)
        return self.status, self.answer


@contextmanager
def serving(receiver: Receiver, port: int = 0) -> Iterator[int]:
    """The port of a server."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = receiver.take(Taken(self.path, headers, body))
            if receiver.hangs_up:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def answering(first: bytes, drop: bytes = b"", every: float = 0.0) -> Iterator[int]:
    """The port of a server that answers one request with bytes, and with one drop after the other until it is ended."""
    over = threading.Event()

    def answer() -> None:
        try:
            connection, _ = server.accept()
        except TimeoutError:
            return  # nobody came: the test tells why
        with connection, suppress(OSError):  # who asked hangs up
            while b"\r\n\r\n" not in connection.recv(65_536):
                pass
            connection.sendall(first)
            while drop and not over.wait(every):
                connection.sendall(drop)
            over.wait(60)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            thread.join()
