"""Mail by SMTP to a relay, which signs it (DKIM) and brings it on.

A mail is the same at each try: its Message-ID is made of the delivery's id, its date is that of the notice.  Whoever
gets it twice, because a relay took it and its answer was lost, can tell that it is one.
"""

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from chassis.delivery.port import NotSent, Outgoing
from chassis.foundation.config import Config
from contracts.text import NO_LINE

TIMEOUT_SECONDS = 20.0
"""For the connection, and for each answer of the relay."""
LONGEST_SUBJECT = 200
_NO_LINE = re.compile(f"[{NO_LINE}]+")
PERMANENT = 500
"""SMTP replies from here on say that it will never be taken (RFC 5321, 4.2.1)."""


class SmtpCarrier:
    """Sends mail by the relay of the settings SMTP_*."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._host, _, self._port = config.smtp_address.rpartition(":")

    def send(self, outgoing: Outgoing) -> None:
        mail = self._mail(outgoing)
        try:
            with self._relay() as relay:
                relay.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            [(code, _)] = error.recipients.values()
            raise _refused("RECIPIENT", code) from error
        except smtplib.SMTPDataError as error:
            raise _refused("CONTENT", error.smtp_code) from error
        except smtplib.SMTPAuthenticationError as error:
            raise NotSent("SIGN_IN") from error
        except smtplib.SMTPResponseException as error:  # of us, as its sender: for the operator to put right
            raise NotSent(f"RELAY_{error.smtp_code}") from error
        except (ssl.SSLError, smtplib.SMTPNotSupportedError) as error:
            raise NotSent("TLS") from error
        except (OSError, smtplib.SMTPException) as error:
            took_too_long = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
            raise NotSent("TIMEOUT" if took_too_long else "CONNECTION") from error

    def _mail(self, outgoing: Outgoing) -> EmailMessage:
        """Raises NotSent for an address that is none."""
        sender = Address(addr_spec=self._config.mail_from, display_name="Salestream")
        mail = EmailMessage(policy=SMTP)
        try:
            mail["To"] = address(outgoing.to)
        except ValueError as error:
            raise NotSent("ADDRESS", for_good=True) from error
        mail["From"] = sender
        mail["Subject"] = _NO_LINE.sub(" ", outgoing.subject)[:LONGEST_SUBJECT]
        mail["Date"] = format_datetime(outgoing.written_at)
        mail["Message-ID"] = f"<{outgoing.id}@{sender.domain}>"
        mail["Auto-Submitted"] = "auto-generated"  # nobody's absence notice answers it (RFC 3834)
        mail.set_content(outgoing.text, cte="base64")
        mail["Content-Language"] = outgoing.language  # what is set before the content goes with it
        return mail

    @contextmanager
    def _relay(self) -> Iterator[smtplib.SMTP]:
        """A connection, encrypted and signed in as the settings say; never less than they say."""
        config, port = self._config, int(self._port)
        if config.smtp_security == "tls":
            relay: smtplib.SMTP = smtplib.SMTP_SSL(self._host, port, timeout=TIMEOUT_SECONDS, context=self._tls())
        else:
            relay = smtplib.SMTP(self._host, port, timeout=TIMEOUT_SECONDS)
        try:
            if config.smtp_security == "starttls":
                relay.starttls(context=self._tls())
            if config.smtp_username:
                self._sign_in(relay)
            yield relay
        finally:
            with suppress(OSError, smtplib.SMTPException):  # what is taken is taken, whatever it says to the farewell
                relay.quit()
            relay.close()

    def _sign_in(self, relay: smtplib.SMTP) -> None:
        try:
            relay.login(self._config.smtp_username, self._config.smtp_password)
        except (smtplib.SMTPNotSupportedError, UnicodeError) as error:  # it lets nobody sign in, or not with such signs
            raise NotSent("SIGN_IN") from error

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._config.smtp_ca_file or None)
        except OSError as error:  # the file is not there, or is none of certificates
            raise NotSent("TLS") from error


def address(text: str) -> Address:
    """What mail is sent to or from.  Raises ValueError for what is none, or needs a relay that takes other letters."""
    try:
        found = Address(addr_spec=text)
    except (MessageError, IndexError) as error:  # what the parser makes of what is no address
        raise ValueError("no address") from error
    if not text.isascii() or not found.username or not found.domain:
        raise ValueError("no address")
    return found


def _refused(what: str, code: int) -> NotSent:
    return NotSent(f"{what}_{code}", for_good=code >= PERMANENT)
