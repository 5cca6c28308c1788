"""All services of the catalogue on simulated machines: the chassis' own classes, only their outermost edge replaced."""

import logging
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import structlog

from chassis.access.company import CompanySettings
from chassis.access.directory import Directory
from chassis.catalogue import Catalogue, known_everywhere, projector_group
from chassis.foundation.config import Config
from chassis.foundation.health import Pulse
from chassis.messaging.consumer import Consumer
from chassis.messaging.inbox import Inbox
from chassis.messaging.kafka import command_topics, dead_letter_topic, event_topics
from chassis.messaging.relay import POSITION, Relay
from chassis.model.principal import Principal
from chassis.model.schedules import timetable_id, timetable_of
from chassis.model.service import Service
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.projections.collections import STATES
from chassis.projections.projector import Projector
from chassis.projections.state import live_id
from chassis.sagas.runner import WAITING, SagaRunner
from chassis.schedules.bell import Rings
from chassis.schedules.keeper import Keeper
from chassis.store.event_store import EventStore
from chassis.writer.request import Request
from chassis.writer.writer import Writer
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.personal import use
from contracts.schedules import SCHEDULES

from .kernel.kafka import Bus, Producer
from .kernel.mongo import Database
from .kernel.scheduler import Process, Scheduler, Stop
from .kernel.store import Bell, Disk, Lock
from .strangers import Stranger

GROUP = projector_group()

CATALOGUE = Catalogue.read()
SERVICES = {service.name: service for service in CATALOGUE.services()}
SAGAS = CATALOGUE.sagas()
VIEWS = CATALOGUE.views()
CONFIG = Config(topic_partitions=3)
SAGA_SECONDS = 10.0
ANSWER_SECONDS = 30.0


class ActorWriter(Writer):
    """A writer whose thread is an actor, so who asks it waits without holding up the simulation."""

    def __init__(
        self, service: Service, store: EventStore, process: Process, rings: Rings, company: CompanySettings
    ) -> None:
        super().__init__(service, store, listener=rings)
        self.process = process
        self.company = company
        self.waiting: deque[Request] = deque()

    def submit_all(self, requests: Sequence[Request]) -> None:
        """Queue commands, and wait until they are answered or the process is dead."""
        if self.process.stopping:
            raise Refused("system.stopping")
        self.waiting.extend(requests)
        self.process.scheduler.wait(
            ANSWER_SECONDS,
            lambda: not self.process.alive or all(request.future.done() for request in requests),
        )
        if not all(request.future.done() for request in requests):
            raise TimeoutError("no answer")

    def work(self) -> None:
        """What the writer's thread does: take what is there, as far as it has come, and carry it out."""
        scheduler = self.process.scheduler
        while not self.process.stopping or self.waiting:
            scheduler.wait(ready=lambda: bool(self.waiting) or self.process.stopping)
            size = scheduler.random.randint(1, max(1, len(self.waiting)))
            batch = [self.waiting.popleft() for _ in range(min(size, len(self.waiting)))]
            if batch:
                scheduler.note(f"executes {[f'{request.name} {request.command_id}' for request in batch]}")
                self.execute(batch)


class KeeperBell:
    """What a keeper of schedules waits for (`chassis.schedules.bell.Bell`); it may wake late."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._rung = False

    def wait(self, timeout: float | None = None) -> bool:
        scheduler = self._process.scheduler
        lateness = scheduler.random.choice((1, 1, 5))
        scheduler.wait((timeout or 0.0) * lateness, lambda: self._rung or self._process.stopping)
        return self._rung

    def clear(self) -> None:
        self._rung = False

    def set(self) -> None:
        self._rung = True


class Cluster:
    """The machines, their stores, Kafka and MongoDB.  `replicas`: of some roles there may be two by mistake.

    `zone` is what TIME_ZONE says.  `at_rest` tells how long each log was when all had settled for the first time.
    """

    def __init__(self, scheduler: Scheduler, zone: ZoneInfo) -> None:
        use(KeyRing(MemoryKeys))
        self.scheduler = scheduler
        self.zone = zone
        self.at_rest: Mapping[str, int] = {}
        groups = [dead_letter_topic(group) for group in CATALOGUE.groups()]
        topics = {topic: CONFIG.topic_partitions for topic in (*event_topics(), *command_topics())}
        self.bus = Bus(scheduler, {**topics, **dict.fromkeys(groups, 1)})
        self.stranger = Stranger(self.bus)
        self.database = Database(scheduler)
        self.disks = {name: Disk(name, scheduler) for name in CATALOGUE.with_role("relay")}
        self.internal_errors: list[str] = []
        self.clerks: list[Principal] = []  # whom services know, because they do for them what was asked for before
        self._rings: dict[str, Rings] = {}  # by process
        self._consumers: dict[tuple[str, str], Consumer] = {}  # those that run now, by process and what they do
        self.writers: dict[str, dict[str, ActorWriter]] = {name: {} for name in SERVICES}
        random = scheduler.random
        two = random.choice((0.0, 0.0, 0.5))  # in some runs there are two of some, as while a version is rolled out
        self._skew = random.choice((0.0, 0.0, 60.0))  # and clocks that are wrong
        for name in SERVICES:
            self._machines(f"{name} api", partial(self._run_api, name), two)
        for name in self.disks:
            self._machines(f"{name} relay", partial(self._run_relay, name), two)
        for name, saga in SAGAS:
            self._machines(f"{saga.name} saga", partial(self._run_saga, name, saga), two)
        self._machines("projector", self._run_projector, two)
        self.leap = timedelta(0)
        scheduler.actor("calendar", self._turn_pages)

    def _turn_pages(self) -> None:
        """Some days pass at once for whoever keeps schedules, as if all had slept and wake; or a clock is set back."""
        random = self.scheduler.random
        for _ in range(random.randint(1, 5)):
            self.scheduler.wait(random.uniform(1, 20))
            self.leap += timedelta(days=random.choice((1, 1, 3, -1)))
            self.scheduler.note(f"the calendar is {self.leap} ahead")
            for rings in self._rings.values():
                rings.ring()

    def calendar_of(self, process: Process) -> datetime:
        """The time of day as whoever keeps schedules on this machine has it."""
        return process.now() + self.leap

    def _machines(self, name: str, start: Callable[[Process], None], two: float) -> None:
        random = self.scheduler.random
        for number in range(2 if random.random() < two else 1):
            self.scheduler.process(f"{name} {number + 1}", start, skew=random.uniform(-self._skew, self._skew))

    def store(self, name: str) -> EventStore:
        return EventStore(name, self.disks[name])

    # -- what the processes run

    def _run_api(self, name: str, process: Process) -> None:
        directory = Directory(known_everywhere(), clock=process.now, company=CompanySettings(self.zone))
        rings = self._rings[process.name] = Rings(directory, lambda: KeeperBell(process))
        writer = ActorWriter(SERVICES[name], self.store(name), process, rings, directory.company)
        for clerk in self.clerks:
            directory.introduce(clerk)
        directory.load(writer.store)
        directory.catch_up(writer.store)
        self.writers[name][process.name] = writer
        inbox = Inbox(
            writer,
            directory.company,
            organisation=directory,
            dictionaries=directory.dictionaries,
            clock=process.now,
        )
        self.scheduler.actor(f"{process.name} writer", writer.work, process)
        if inbox.topics():
            self._consume("inbox", inbox, process)
        if writer.service.is_kept:
            clock, pulse = partial(self.calendar_of, process), Pulse(clock=process.monotonic)
            keeper: Any = Keeper(writer, directory, rings.bell(), clock=clock, pulse=pulse)
            self._loop("keeper", keeper.run, process)

    def _run_relay(self, name: str, process: Process) -> None:
        disk = self.disks[name]
        store = EventStore(name, disk, Bell(disk, process), Lock(disk, process))
        producers: Any = partial(self.bus.producer, process)
        relay = Relay(store, producers, config=CONFIG, clock=process.monotonic)
        self._loop("relay", relay.run, process)

    def _run_saga(self, name: str, saga: Any, process: Process) -> None:
        timeout = timedelta(seconds=SAGA_SECONDS)
        self._consume("saga", SagaRunner(saga, self.store(name), timeout=timeout, clock=process.now), process)

    def _run_projector(self, process: Process) -> None:
        database: Any = self.database
        self._consume("views", Projector(database, VIEWS, clock=process.now, ticks=process.monotonic), process)

    def _consume(self, what: str, handler: Any, process: Process) -> None:
        producers: list[Producer] = []

        def producer() -> Any:
            if not producers:
                producers.append(self.bus.producer(process))
            return producers[0]

        consumer = self._consumers[process.name, what] = Consumer(CONFIG, handler, producer, clock=process.monotonic)
        self._loop(what, consumer.run, process)

    def _loop(self, what: str, run: Callable[[Any], None], process: Process) -> None:
        self.scheduler.actor(f"{process.name} {what}", lambda: run(Stop(process)), process)

    # -- whether all is done

    def is_at_rest(self) -> bool:
        """Whether everything that was recorded has been published, and all that was published has been processed.

        By whoever does: one that sleeps after a failure has not heard yet of what another one of its service has.
        """
        return (
            all(process.alive and not process.stopping for process in self.scheduler.processes)
            and not any(writer.waiting for writers in self.writers.values() for writer in writers.values())
            and self.bus.is_quiet()
            and all(consumer._reader is not None for consumer in self._consumers.values())
            and all(disk.max_tracking_id(POSITION) == disk.max_notification_id() for disk in self.disks.values())
            and self._commands_and_replicas_are_done()
            and self._sagas_are_done()
            and self._schedules_are_done()
            and self._views_are_done()
        )

    def note_rest(self) -> None:
        """Everything has settled: by now everybody has heard of everything that was told before."""
        self.at_rest = self.at_rest or {name: disk.max_notification_id() or 0 for name, disk in self.disks.items()}

    def _commands_and_replicas_are_done(self) -> bool:
        for name, service in SERVICES.items():
            topics = [*service.consumed_topics(), dead_letter_topic(name)]
            if not self._is_consumed(topics, self.disks[name].max_tracking_id):
                return False
        return True

    def _sagas_are_done(self) -> bool:
        for name, saga in SAGAS:
            disk = self.disks[name]
            topics = [*SAGA_TOPICS[saga.name], dead_letter_topic(saga.group)]
            if disk.rows_of(WAITING) or not self._is_consumed(topics, disk.max_tracking_id):
                return False
        return True

    def _schedules_are_done(self) -> bool:
        """Whether nothing is due by any machine's clock, and it is planned when something will be."""
        for name, service in SERVICES.items():
            now = max(self.calendar_of(writer.process) for writer in self.writers[name].values())
            for run in service.schedules:
                timetable = self.store(name).load(timetable_of(run), timetable_id(SCHEDULES[run]))
                if timetable is None or (timetable.active and (timetable.due is None or timetable.due <= now)):
                    return False
        return True

    def _views_are_done(self) -> bool:
        states = self.database.documents(STATES)
        for view in VIEWS:
            state = states.get(live_id(view))
            if state is None:
                return False
            offsets = {f"offset:{item['source']}": item["offset"] for item in state["sources"].values()}
            topics = [*view.topics, dead_letter_topic(GROUP)]
            if not self._is_consumed(topics, offsets.get):
                return False
        return True

    def _is_consumed(self, topics: Sequence[str], offset: Callable[[str], int | None]) -> bool:
        return all(
            (offset(f"offset:{topic}:{partition}") or 0) == len(log)
            for topic in topics
            for partition, log in self.bus.topic(topic).items()
        )


SAGA_TOPICS = {saga.name: sorted({REGISTRY.event_of(fact).topic for fact in saga.facts()}) for _, saga in SAGAS}


@contextmanager
def replaced_edge(cluster: Cluster) -> Iterator[None]:
    """The chassis talks to the cluster's bus wherever it would open a Kafka consumer, and logs to the trace."""
    before = structlog.get_config()
    structlog.configure(
        processors=[partial(_log, cluster)], wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING)
    )
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("chassis.") and hasattr(module, "new_reader"):
                stack.enter_context(mock.patch.object(module, "new_reader", cluster.bus.reader))
        try:
            yield
        finally:
            structlog.configure(**before)


def _log(cluster: Cluster, _: Any, method: str, event: Any) -> Any:
    error = event.pop("exc_info", None)
    text = " ".join(f"{name}={value}" for name, value in event.items())
    cluster.scheduler.note(f"{method}: {text}")
    if error:
        cluster.internal_errors.append(text)
    raise structlog.DropEvent
