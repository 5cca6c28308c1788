"""What another process answers is passed back as it is, however long, without being held in memory whole."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chassis.foundation.config import Config
from chassis.http.forwarding import IN_MEMORY, Forwarder
from chassis.http.messages import HttpRequest
from contracts.errors import Refused

PIECE = bytes(range(256)) * 256


class Elsewhere(BaseHTTPRequestHandler):
    """Answers with as many bytes as it is asked for, and `less` fewer than it says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        size, _, less = self.path.removeprefix("/").partition("/")
        body = (PIECE * (int(size) // len(PIECE) + 1))[: int(size)]
        self.send_response(200)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(body) + int(less or 0)))
        self.send_header("Salestream-Export-Rows", "7")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = bool(less)

    def log_message(self, *_arguments: object) -> None: ...


@pytest.fixture
def forwarder() -> Iterator[Forwarder]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Forwarder(replace(Config(), service_address=f"http://127.0.0.1:{server.server_address[1]}"))
        finally:
            server.shutdown()
            thread.join()


def asked(size: str) -> HttpRequest:
    return HttpRequest({}, {}, {}, lambda: b"", "127.0.0.1", "GET", f"/{size}")


@pytest.mark.parametrize("size", [0, 1, IN_MEMORY, IN_MEMORY + 1, 5 * IN_MEMORY])
def test_an_answer_of_any_length_comes_back_as_it_is(forwarder: Forwarder, size: int) -> None:
    answer = forwarder.to("reports")(asked(str(size)))
    assert (answer.file is not None) == (size > IN_MEMORY), "a long one is not held in memory"
    assert (answer.status, answer.content_type, answer.length) == (200, "text/csv", size)
    assert answer.headers["Salestream-Export-Rows"] == "7"
    assert b"".join(answer.file or [answer.body]) == (PIECE * (size // len(PIECE) + 1))[:size]


@pytest.mark.parametrize("size", [10, 2 * IN_MEMORY])
def test_an_answer_that_breaks_off_is_no_answer(forwarder: Forwarder, size: int) -> None:
    with pytest.raises(Refused) as refused:
        forwarder.to("reports")(asked(f"{size}/9"))
    assert (refused.value.code, refused.value.state) == ("UNAVAILABLE", "reports")
