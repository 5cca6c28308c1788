"""TLS in front of a PostgreSQL that was built without: answers the protocol's SSLRequest, then passes bytes on.

A client that does not ask for TLS is turned away, so whatever comes through was encrypted.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SSL_REQUEST = bytes.fromhex("0000000804d2162f")


@contextmanager
def tls_front(server_port: int, pair: Path) -> Iterator[int]:
    """The port of a front with the certificate and key in `pair`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, context, server_port), daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, context: ssl.SSLContext, server_port: int) -> None:
    with suppress(OSError):  # the listener was closed
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, context, server_port), daemon=True).start()


def _serve(client: socket.socket, context: ssl.SSLContext, server_port: int) -> None:
    with client, suppress(OSError):  # whoever ends a connection ends both of its halves
        if client.recv(len(SSL_REQUEST), socket.MSG_WAITALL) != SSL_REQUEST:
            return
        client.sendall(b"S")
        with (
            context.wrap_socket(client, server_side=True) as encrypted,
            socket.create_connection(("127.0.0.1", server_port)) as server,
        ):
            back = threading.Thread(target=_copy, args=(server, encrypted), daemon=True)
            back.start()
            _copy(encrypted, server)
            server.shutdown(socket.SHUT_RDWR)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):  # as above
        while block := source.recv(65_536):
            target.sendall(block)
