"""A real SMTP server that keeps what it takes, for tests of mail."""

from __future__ import annotations

import email
import re
import socket
from asyncio import WriteTransport
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Relay:
    """What the server has taken, and how it answers."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.recipient = self.data = "250 OK"
        self.signed_in: list[str] = []
        self.hangs_up = False

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.hangs_up:
            assert isinstance(server.transport, WriteTransport)
            server.transport.abort()
        elif self.data.startswith("250"):
            self.envelopes.append(envelope)
        return self.data

    def mail(self) -> EmailMessage:
        [envelope] = self.envelopes
        return _read(envelope)

    def codes(self, address: str) -> list[str]:
        """The codes that were sent to an address, oldest first."""
        mails = [_read(envelope) for envelope in self.envelopes if envelope.rcpt_tos == [address]]
        return [str(re.findall("[0-9]{6}", mail.get_content())[0]) for mail in mails]

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        right = (given.login, given.password) == (b"salestream", b"secret")
        self.signed_in += [given.login.decode()] if right else []
        return AuthResult(success=right, handled=False)


def _read(envelope: Envelope) -> EmailMessage:
    assert isinstance(envelope.content, bytes)
    found = email.message_from_bytes(envelope.content, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextmanager
def serving(relay: Relay, port: int = 0, **more: Any) -> Iterator[int]:
    """The port of a server."""
    port = port or free_port()
    controller = Controller(relay, hostname="127.0.0.1", port=port, **more)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()
