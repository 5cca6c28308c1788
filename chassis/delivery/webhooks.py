"""What goes out by HTTP: messages of robots into a group of DingTalk or WeCom, and text messages by a provider.

A try is a POST whose body and Idempotency-Key, the delivery's id, are the same each time, so whoever gets it twice can
tell.  Who is signed for may read it: DingTalk by its own scheme, the provider of text messages by an HMAC of moment and
body.  The address of a robot is its password, so neither it nor what a server said is ever told.
"""

import base64
import hashlib
import hmac
import io
import json
import time
from collections.abc import Callable, Mapping
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError, TimeoutError

from chassis.delivery.port import NotSent, Outgoing

TIMEOUT_SECONDS = 20.0
"""For all of a try: the connection and the whole answer, however small the parts in which that comes."""
LONGEST_ANSWER = 65_536
HERE = ("127.0.0.1", "localhost", "::1")
REFUSED_FOR_GOOD = (400, 422)
"""Of what is sent the provider of text messages says that it will never be taken."""
NOT_LET_IN = (401, 403)

Clock = Callable[[], float]


def is_safe(url: str) -> bool:
    """Whether something may be sent there: encrypted, or to this machine."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        bool(parts.hostname)
        and port != 0
        and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in HERE))
    )


class DingTalk:
    """A robot in a group of DingTalk, which takes what is signed with its secret."""

    def __init__(self, url: str, secret: str, clock: Clock = time.time) -> None:
        self._url = url
        self._secret = secret
        self._clock = clock

    def send(self, outgoing: Outgoing) -> None:
        text = {"content": _in_group(outgoing, f"@{outgoing.to}")}
        body = {"msgtype": "text", "text": text, "at": {"atMobiles": [outgoing.to], "isAtAll": False}}
        moment = round(self._clock() * 1_000)
        signed = hmac.digest(self._secret.encode(), f"{moment}\n{self._secret}".encode(), hashlib.sha256)
        query = urlencode({"timestamp": moment, "sign": base64.b64encode(signed).decode()})
        joined = "&" if urlsplit(self._url).query else "?"
        _require_taken(_post(f"{self._url}{joined}{query}", _as_json(body), outgoing))


class WeCom:
    """A robot in a group of WeCom, whose key stands in its address."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, outgoing: Outgoing) -> None:
        text = {"content": _in_group(outgoing), "mentioned_mobile_list": [outgoing.to]}
        _require_taken(_post(self._url, _as_json({"msgtype": "text", "text": text}), outgoing))


class TextMessages:
    """A provider of text messages, or what stands before one, that takes `{"id", "to", "text"}` signed with a secret.

    X-Salestream-Signature is the HMAC with SHA-256, in hexadecimal digits, of X-Salestream-Timestamp, a full stop and
    the body.
    """

    def __init__(self, url: str, secret: str, clock: Clock = time.time) -> None:
        self._url = url
        self._secret = secret
        self._clock = clock

    def send(self, outgoing: Outgoing) -> None:
        body = _as_json({"id": str(outgoing.id), "to": outgoing.to, "text": outgoing.text})
        moment = str(int(self._clock()))
        signed = hmac.new(self._secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
        headers = {"X-Salestream-Timestamp": moment, "X-Salestream-Signature": signed.hexdigest()}
        _post(self._url, body, outgoing, headers)


def _in_group(outgoing: Outgoing, *more: str) -> str:
    return "\n".join(part for part in (outgoing.subject, outgoing.text.strip(), *more) if part)


def _as_json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _post(url: str, body: bytes, outgoing: Outgoing, more: Mapping[str, str] | None = None) -> bytes:
    """What was answered.  Raises NotSent."""
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Idempotency-Key": str(outgoing.id),
        **(more or {}),
    }
    timeout = urllib3.Timeout(total=TIMEOUT_SECONDS)
    try:
        with urllib3.PoolManager(retries=False, timeout=timeout) as pool:
            pool.pool_classes_by_scheme = POOLS
            response = pool.request("POST", url, body=body, headers=headers, redirect=False, preload_content=False)
            try:
                status, answer = response.status, response.read(LONGEST_ANSWER)
            finally:
                response.close()
    except SSLError as error:
        raise NotSent("TLS") from error
    except (HTTPError, OSError) as error:  # that nobody listens there counts among what takes too long
        took_too_long = isinstance(error, TimeoutError) and not isinstance(error, NewConnectionError)
        raise NotSent("TIMEOUT" if took_too_long else "CONNECTION") from error
    if status in NOT_LET_IN:
        raise NotSent("SIGN_IN")
    if not 200 <= status < 300:
        raise NotSent(f"STATUS_{status}", for_good=status in REFUSED_FOR_GOOD)
    return answer


class _UntilThen(io.RawIOBase):
    """What comes from a socket within the time that it has when this begins: by itself each part may take as long."""

    def __init__(self, parts: io.RawIOBase, socket: Any) -> None:
        self._parts = parts
        self._socket = socket
        self._ends = time.monotonic() + socket.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._parts.readinto(buffer)

    def close(self) -> None:
        self._parts.close()
        super().close()


class _Answer(HTTPResponse):
    def __init__(self, sock: Any, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp = io.BufferedReader(_UntilThen(self.fp.detach(), sock))


class _Plain(HTTPConnection):
    response_class = _Answer


class _Encrypted(HTTPSConnection):
    response_class = _Answer


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _EncryptedPool(HTTPSConnectionPool):
    ConnectionCls = _Encrypted


POOLS = {"http": _PlainPool, "https": _EncryptedPool}
"""Their connections have the whole answer read in time; urllib3 gives each part of it the time anew."""


def _require_taken(answer: bytes) -> None:
    """Robots answer with a code, 0 where they took it.  Raises NotSent."""
    try:
        code = int(json.loads(answer)["errcode"])
    except (ValueError, TypeError, KeyError) as error:
        raise NotSent("ANSWER") from error
    if code:
        raise NotSent(f"ROBOT_{code}")
