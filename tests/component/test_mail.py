"""Mail to a real SMTP server: what it looks like, encryption and sign-in, and a server that is away, slow, refuses or
hangs up (NTF-03)."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from chassis.delivery import smtp
from chassis.delivery.opening import carriers
from chassis.delivery.port import NotSent, Outgoing
from chassis.delivery.smtp import SmtpCarrier
from chassis.foundation.config import Config, ConfigError
from component.mail import Relay, free_port, serving
from deploy.devstack.security import Security

NOTICE = Outgoing(
    id=UUID(int=7),
    to="wang@example.com",
    subject="库存预警 / 在庫アラート 😀",
    text="Kettle の在庫が 9 になりました。\n\nhttps://crm.example/notices/1\n",
    language="ja",
    written_at=datetime(2026, 3, 2, 1, 0, tzinfo=UTC),
)


@contextmanager
def running(relay: Relay, port: int = 0, **more: Any) -> Iterator[Config]:
    """A server, and the settings of who sends to it."""
    with serving(relay, port, **more) as served:
        yield config(served)


def config(port: int, **more: Any) -> Config:
    return Config(smtp_address=f"127.0.0.1:{port}", smtp_security="none", mail_from="crm@example.com", **more)


def not_sent(carrier: SmtpCarrier, outgoing: Outgoing = NOTICE) -> tuple[str, bool]:
    with pytest.raises(NotSent) as caught:
        carrier.send(outgoing)
    return caught.value.reason, caught.value.for_good


@pytest.fixture
def security(tmp_path: Path) -> Security:
    found = Security(tmp_path)
    found.prepare()
    return found


def server_tls(security: Security) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(security.pair)
    return context


def test_ntf_03_a_mail_says_what_the_notice_says_in_any_language() -> None:
    relay = Relay()
    with running(relay) as settings:
        SmtpCarrier(settings).send(NOTICE)
    mail = relay.mail()
    assert mail["Subject"] == NOTICE.subject and mail["To"] == NOTICE.to
    assert mail.get_content().replace("\r\n", "\n") == NOTICE.text
    assert mail["Message-ID"] == f"<{NOTICE.id}@example.com>"
    assert mail["From"] == "Salestream <crm@example.com>"
    assert mail["Date"].datetime == NOTICE.written_at
    assert (mail["Auto-Submitted"], mail["Content-Language"]) == ("auto-generated", "ja")
    assert relay.envelopes[0].mail_from == "crm@example.com" and relay.envelopes[0].rcpt_tos == [NOTICE.to]


def test_ntf_03_it_is_the_same_to_the_octet_at_each_try() -> None:
    relay = Relay()
    with running(relay) as settings:
        for _ in range(2):
            SmtpCarrier(settings).send(NOTICE)
    assert relay.envelopes[0].content == relay.envelopes[1].content


@pytest.mark.parametrize("subject", ["a\r\nBcc: eve@example.com", "a\nb", "a\u2028b\x00c", "长" * 5_000])
def test_no_text_becomes_a_header(subject: str) -> None:
    relay = Relay()
    with running(relay) as settings:
        SmtpCarrier(settings).send(replace(NOTICE, subject=subject, text=".\r\n.\r\nQUIT\r\n" + subject))
    mail = relay.mail()
    assert mail["Bcc"] is None and len(mail["Subject"]) <= 200 and "\n" not in mail["Subject"]
    assert relay.envelopes[0].rcpt_tos == [NOTICE.to]


@pytest.mark.parametrize(
    "to",
    ["", "wang", "a@b@c", "wang@example.com\r\nRCPT TO:<eve@x.com>", "<>", "a b@c.com", "客@example.com", "wang@例.jp"],
)
def test_what_is_no_address_is_never_tried_again(to: str) -> None:
    relay = Relay()
    with running(relay) as settings:
        assert not_sent(SmtpCarrier(settings), replace(NOTICE, to=to)) == ("ADDRESS", True)
    assert not relay.envelopes


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"recipient": "550 No such user"}, ("RECIPIENT_550", True)),
        ({"recipient": "450 Mailbox busy"}, ("RECIPIENT_450", False)),
        ({"data": "554 Spam"}, ("CONTENT_554", True)),
        ({"data": "451 Later"}, ("CONTENT_451", False)),
        ({"hangs_up": True}, ("CONNECTION", False)),
    ],
)
def test_what_a_relay_refuses_for_now_is_tried_again_and_for_good_is_not(
    answers: dict[str, Any], expected: tuple[str, bool]
) -> None:
    relay = Relay()
    with running(relay) as settings:
        vars(relay).update(answers)
        assert not_sent(SmtpCarrier(settings)) == expected
        vars(relay).update(vars(Relay()))
        SmtpCarrier(settings).send(NOTICE)
    assert len(relay.envelopes) == 1


def test_a_relay_that_is_away_is_waited_for() -> None:
    port, relay = free_port(), Relay()
    carrier = SmtpCarrier(config(port))
    assert not_sent(carrier) == ("CONNECTION", False)
    with running(relay, port):
        carrier.send(NOTICE)
    assert not_sent(carrier) == ("CONNECTION", False)
    assert len(relay.envelopes) == 1


def test_a_relay_that_says_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert not_sent(SmtpCarrier(config(mute.getsockname()[1]))) == ("TIMEOUT", False)


def test_a_relay_that_takes_a_mail_and_fails_at_the_farewell_has_taken_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: smtplib.SMTP) -> Any:
        raise smtplib.SMTPServerDisconnected("gone")

    monkeypatch.setattr(smtplib.SMTP, "quit", gone)
    relay = Relay()
    with running(relay) as settings:
        SmtpCarrier(settings).send(NOTICE)
    assert len(relay.envelopes) == 1


def test_with_tls_and_a_password(security: Security) -> None:
    relay = Relay()
    more: dict[str, Any] = {
        "tls_context": server_tls(security),
        "authenticator": relay.authenticate,
        "auth_require_tls": True,
    }
    with running(relay, **more) as settings:
        port = int(settings.smtp_address.rpartition(":")[2])
        about: dict[str, Any] = {"smtp_username": "salestream", "smtp_ca_file": str(security.ca)}
        known = Config(smtp_address=f"localhost:{port}", mail_from="crm@example.com", smtp_password="secret", **about)
        SmtpCarrier(known).send(NOTICE)
        assert relay.signed_in == ["salestream"]
        wrong = Config(smtp_address=f"localhost:{port}", mail_from="crm@example.com", smtp_password="no", **about)
        assert not_sent(SmtpCarrier(wrong)) == ("SIGN_IN", False)
        stranger = Config(smtp_address=f"localhost:{port}", mail_from="crm@example.com")
        assert not_sent(SmtpCarrier(stranger)) == ("TLS", False), "its certificate is signed by nobody we know"
        mislaid = replace(known, smtp_ca_file=str(security.ca.with_name("mislaid.pem")))
        assert not_sent(SmtpCarrier(mislaid)) == ("TLS", False)


def test_a_relay_at_which_nobody_can_sign_in_is_told_as_that_and_not_as_one_without_encryption() -> None:
    """It offers no sign-in; or the password has signs that the protocol does not know."""
    relay = Relay()
    with running(relay) as settings:
        signing_in = replace(settings, smtp_username="salestream", smtp_password="secret")
        assert not_sent(SmtpCarrier(signing_in)) == ("SIGN_IN", False)
    with running(relay, authenticator=relay.authenticate, auth_require_tls=False) as settings:
        signing_in = replace(settings, smtp_username="salestream", smtp_password="密码")
        assert not_sent(SmtpCarrier(signing_in)) == ("SIGN_IN", False)
    assert not relay.envelopes


def test_what_is_to_be_encrypted_never_goes_in_plain() -> None:
    """Neither to a relay that does not offer it, nor to one that stands where an encrypted one should."""
    relay = Relay()
    with running(relay) as settings:
        for security in ("starttls", "tls"):
            asked: Any = Config(smtp_address=settings.smtp_address, smtp_security=security, mail_from="crm@example.com")
            assert not_sent(SmtpCarrier(asked))[0] == "TLS"
    assert not relay.envelopes


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"SMTP_ADDRESS": "relay:25"}, "MAIL_FROM"),
        ({"SMTP_ADDRESS": "relay:25", "MAIL_FROM": "crm"}, "MAIL_FROM"),
        ({"SMTP_ADDRESS": "relay:25", "MAIL_FROM": "crm@"}, "MAIL_FROM"),
        ({"SMTP_ADDRESS": "relay:25", "MAIL_FROM": "Salestream <crm@example.com>"}, "MAIL_FROM"),
        ({"SMTP_ADDRESS": "relay:25", "MAIL_FROM": "客@example.com"}, "MAIL_FROM"),
        ({"SMTP_ADDRESS": "relay"}, "SMTP_ADDRESS"),
        ({"SMTP_SECURITY": "ssl"}, "SMTP_SECURITY"),
        ({"SMTP_SECURITY": "none", "SMTP_USERNAME": "x"}, "SMTP_USERNAME"),
        ({"MAIL_RATE": "many"}, "MAIL_RATE"),
    ],
)
def test_settings_that_can_not_be_used_are_named(settings: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        carriers(Config.from_env(settings))
