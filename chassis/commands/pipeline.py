"""The way of every command: check, prepare, run, tell.  The edge, its bulk form, the command line and tests go it.

    checked = check(writer, spec, data, caller, sent, currency=...)   # a valid command, or the answer it once got
    ready = prepare(writer.service, request, surroundings)            # what middleware does before the writer
    answer = writer.submit(ready.request).result()                    # the writer runs it, and notes it
    body = ready.told(answer)                                         # what middleware tells the caller

Until the writer has a request, a refusal is noted in the audit log by who prepares it; from then on the writer notes
what comes of it, in the transaction of the command.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from chassis.commands.idempotency import Sent, command_id_of, done_before
from chassis.commands.loading import load_command
from chassis.model.middleware import Middleware, Surroundings
from chassis.model.principal import Principal
from chassis.model.service import Service
from chassis.writer.request import Answer, Request
from chassis.writer.writer import Writer
from contracts.declare import CommandSpec
from contracts.errors import Refused
from contracts.ids import parse_id
from contracts.schemas import can_be


@dataclass(frozen=True)
class Repeat:
    """A command that was carried out under its key already, and its answer."""

    answer: Answer
    middleware: Middleware | None
    service: Service

    def told(self) -> dict[str, Any]:
        """What the caller is told: the answer, or how it ended where that held secrets, which are told once.

        Raises the refusal that the first was told.
        """
        if self.middleware is None:
            return self.service.told(self.answer.body)
        if refusal := self.middleware.refuses(self.answer.body):
            raise refusal
        return {"id": self.answer.body["id"], "version": self.answer.body["version"], "repeated": True}


@dataclass(frozen=True)
class Ready:
    """A command that is ready for the writer: its request, and what its answer is told with."""

    request: Request
    middleware: Middleware | None
    surroundings: Surroundings
    service: Service

    def told(self, answer: Answer) -> dict[str, Any]:
        """What the caller is told.  Raises the refusal that a stored outcome means."""
        if self.middleware is None:
            return self.service.told(answer.body)
        if self.request.is_repeat:  # both came at once
            return Repeat(answer, self.middleware, self.service).told()
        if refusal := self.middleware.refuses(answer.body):
            raise refusal
        return self.middleware.after(dict(answer.body), self.request.prepared, self.surroundings)


def check(
    writer: Writer, spec: CommandSpec, data: Mapping[str, Any], caller: Principal, sent: Sent, *, currency: str
) -> Any:
    """The valid command that a caller's data make; a `Repeat` where it was carried out already.  Raises Refused.

    `currency` is the company's: that of money which names none, but in a change of a record that has its own.  What has
    middleware is not prepared again to find out that it is a repeat: the writer tells that of all others.
    """
    middleware = writer.service.middleware.get(spec.cls)
    try:
        known = _currency_of(writer, spec, data) or currency
        command = load_command(spec, data, caller, sent.key, sent.secret_mark, currency=known)
    except Refused:
        if (earlier := done_before(writer, caller, sent)) is None:
            raise
        return Repeat(earlier, middleware, writer.service)
    if middleware is not None and sent.key is not None:
        command_id = command_id_of(caller, sent.key, sent.secret_mark)
        if (earlier := writer.remembered(command_id, sent.secret_mark)) is not None:
            return Repeat(earlier, middleware, writer.service)
    return command


def _currency_of(writer: Writer, spec: CommandSpec, data: Mapping[str, Any]) -> str:
    """That of the record which a command changes; "" where it has none."""
    found = writer.service.currency_of.get(spec.cls)
    if found is None or not can_be(spec.cls, spec.key, data.get(spec.key)):
        return ""
    return found(writer.store, parse_id(data[spec.key]))


def prepare(service: Service, request: Request, surroundings: Surroundings) -> Ready:
    """Do what middleware does before the writer: it gets the command without its secrets.  Raises Refused."""
    middleware = service.middleware.get(type(request.command))
    if middleware is None:
        return Ready(request, None, surroundings, service)
    prepared = middleware.before(request.command, surroundings)
    given = replace(request, command=prepared.command, prepared=prepared.facts, person=prepared.person)
    return Ready(given, middleware, surroundings, service)
