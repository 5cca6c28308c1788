"""What tells a repeat of a command from another command under the same Idempotency-Key."""

import hmac
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import msgspec

from chassis.model.principal import Principal
from chassis.writer.request import Answer, print_of
from chassis.writer.writer import Writer
from contracts.declare import CommandSpec
from contracts.errors import Refused
from contracts.ids import canonical

PRINT_KEY_BYTES = 32
_IN_PATH = re.compile(r"{(\w+)}")
_KEY = re.compile(r"^[\x21-\x7e]{1,200}$")


def keyed_print(key: bytes, spec: CommandSpec, data: Mapping[str, Any]) -> str:
    """A mark of a command with secrets: without the key nobody finds a password by trying."""
    body = msgspec.json.encode(_canonical(spec, data), order="deterministic")
    return hmac.new(key, spec.name.encode() + b"\n" + body, sha256).hexdigest()


def _canonical(spec: CommandSpec, data: Mapping[str, Any]) -> dict[str, Any]:
    """What was sent, with the ids of the path in the one form that they have."""
    in_path = data.keys() & set(_IN_PATH.findall(str(spec.path)))
    return {**data, **{name: canonical(data[name]) for name in in_path if isinstance(data[name], str)}}


class Sent(NamedTuple):
    """What is known of a command as it was sent: its Idempotency-Key, and with one its marks (`writer.Request`)."""

    key: str | None
    mark: str
    secret_mark: str = ""


def sent_print(spec: CommandSpec, data: Mapping[str, Any]) -> str:
    """The mark of a command as a caller has written it.

    The order of members and blanks don't count, nor how an id in the path is written; what is filled in (the company's
    currency, defaults, those of a later release too) is no part of it.
    """
    return print_of(spec.name, json.dumps(_canonical(spec, data), sort_keys=True, default=str).encode())


def done_before(writer: Writer, principal: Principal, sent: Sent) -> Answer | None:
    """The answer to a command that was carried out under its key already.

    It is asked for before a command is refused for what it holds: that may have been right when it was sent first, in
    the company's former currency or by the rules of the release before.
    """
    if sent.key is None or not _KEY.match(sent.key):
        return None
    with suppress(Refused):  # another command: what is wrong with this one tells more
        return writer.remembered(command_id_of(principal, sent.key, sent.secret_mark), sent.secret_mark or sent.mark)
    return None


def command_id_of(principal: Principal, key: str, secret_print: str = "") -> str:
    """The id of a command sent with an Idempotency-Key; keys of different users never meet.

    Of two who have not signed in nobody knows whether they are one: what they send (`secret_print`) tells them apart.
    """
    if not _KEY.match(key):
        raise Refused("requests.key", field="Idempotency-Key")
    whose = principal.user_id or f"nobody:{secret_print}"
    return str(uuid5(NAMESPACE_URL, f"salestream:idempotency:{whose}:{key}"))
