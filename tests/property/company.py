"""The order journey in one place without Kafka: messages wait in channels until somebody delivers them."""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from chassis.catalogue import Catalogue
from chassis.model.commands import CommandSent
from chassis.model.principal import Principal
from chassis.model.saga import Process
from chassis.store.event_store import EventStore
from chassis.store.events import fact_class
from chassis.testing.people import SYSTEM
from chassis.writer.request import Answer, Request
from chassis.writer.writer import Writer
from contracts.declare import REGISTRY
from contracts.schemas import decode
from services.fulfilment.saga import SAGA

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
SERVICES = {service.name: service for service in Catalogue.read().services()}


@dataclass(frozen=True)
class Message:
    """A fact on its way to the saga and the replicas, or a command of the saga on its way to a service."""

    fact: Any = None
    command: CommandSent | None = None


class Company:
    """All services on stores that `open_store` gives; `observe` is told every fact once, in the order of storing."""

    def __init__(self, open_store: Callable[[str], EventStore], observe: Callable[[Any], None]) -> None:
        self.stores = {name: open_store(name) for name in SERVICES}
        self.writers = {name: Writer(service, self.stores[name]) for name, service in SERVICES.items()}
        self.channels: dict[str, deque[Message]] = defaultdict(deque)
        self.processes: dict[UUID, Process] = {}
        self.carried_out: list[CommandSent] = []
        self._observe = observe
        self._told = dict.fromkeys(SERVICES, 0)
        self._learned = count(1)
        self._today = NOW.astimezone(ZoneInfo("Asia/Shanghai")).date()

    def request(self, command: Any, by: Principal, id: str, *, keyed: bool, version: int | None = None) -> Request:
        return Request(
            command=command,
            context=by.context(NOW, self._today),
            command_id=id,
            remember=keyed,
            expected_version=version,
        )

    def execute(self, *requests: Request) -> None:
        """Carry out commands of one service in one commit; what they answer is in their futures."""
        name = REGISTRY.command_of(type(requests[0].command)).service
        self.writers[name].execute(requests)
        for event in self.stores[name].notifications(self._told[name], 1_000):
            self._told[name] = event.position
            fact: Any = decode(fact_class(event.type), event.data)
            if event.key:
                self.channels[f"{name} facts"].append(Message(fact=fact))
                self._observe(fact)

    def do(self, command: Any, by: Principal, id: str, *, keyed: bool, version: int | None = None) -> Answer:
        """Carry out one command.  Raises Refused."""
        request = self.request(command, by, id, keyed=keyed, version=version)
        self.execute(request)
        return request.future.result(timeout=0)

    def last_positions(self) -> dict[str, int]:
        return {name: store.last_position() for name, store in self.stores.items()}

    # -- messages

    def waiting(self) -> list[str]:
        """The channels in which something waits."""
        return sorted(name for name, messages in self.channels.items() if messages)

    def deliver(self, channel: str, *, again: bool = False) -> None:
        """Deliver the oldest message of a channel; `again`: it will come once more."""
        message = self.channels[channel][0]
        if not again:
            self.channels[channel].popleft()
        if message.command is not None:
            sent = message.command
            command: Any = decode(REGISTRY.commands[sent.command].cls, sent.body)
            self.do(command, SYSTEM, sent.command_id, keyed=True)
            self.carried_out.append(sent)
            return
        for name, service in SERVICES.items():
            if any(type(message.fact) in replica.feeds for replica in service.replicas):
                self.writers[name].learn([message.fact], {"position:test:0": next(self._learned)})
        if type(message.fact) in SAGA.facts():
            self._react(message.fact)

    def deliver_forgotten(self, sent: CommandSent) -> Any:
        """Deliver a command of the saga that was carried out, and whose result is forgotten.  Raises Refused."""
        command: Any = decode(REGISTRY.commands[sent.command].cls, sent.body)
        self.do(command, SYSTEM, sent.command_id, keyed=False)
        return command

    def deliver_all(self) -> None:
        while waiting := self.waiting():
            self.deliver(waiting[0])

    def _react(self, fact: Any) -> None:
        id = SAGA.key_of(fact)
        process = self.processes.setdefault(id, Process(id=id))
        SAGA.react(process, fact)
        for sent in process.pending:
            if isinstance(sent, CommandSent):
                self.channels[f"{sent.service} commands"].append(Message(command=sent))
        process.pending.clear()

    def close(self) -> None:
        for store in self.stores.values():
            store.close()
