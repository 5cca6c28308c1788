"""Runs roles: builds what a process hosts, starts it, answers health checks, and stops it cleanly on SIGTERM."""

import json
import signal
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any, Self

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.foundation.health import Loop, Serving, problems_of
from chassis.foundation.listening import Listener
from chassis.kafka.clients import producer
from chassis.kafka.port import Producer
from chassis.messaging.kafka import create_topics
from chassis.messaging.provenance import DEAD_LETTERS
from chassis.messaging.relay import has_published
from chassis.persons.opening import use_keys
from chassis.run.topics import writers
from chassis.store.event_store import EventStore
from chassis.store.opening import open_store
from chassis.store.sqlite import Waits, here

log = structlog.get_logger()

SWITCH_SECONDS = 0.000_5
"""How long a thread may keep the others of its process from running.  The default of 5 ms is paid at each of the
projector's round trips while a relay or the saga computes, and by a commit that has come back from the disk."""


class Host:
    """What one process shares: configuration, catalogue, stores and one Kafka producer, each made when first needed."""

    def __init__(self, config: Config, only: Collection[str] = (), *, waits: Waits = here) -> None:
        self.config = config
        self._waits = waits
        self.catalogue = Catalogue.read(only)
        self._stores: dict[str, EventStore] = {}
        self._producer_lock = threading.Lock()

    @classmethod
    def of_a_process(cls, config: Config, only: Collection[str] = (), *, waits: Waits = here) -> Self:
        """What a process hosts that runs by itself: it uses the keys of persons, and does not begin without them."""
        use_keys(config, waits).open_now()
        return cls(config, only, waits=waits)

    def store(self, name: str) -> EventStore:
        if name not in self._stores:
            self._stores[name] = open_store(name, self.config, self._waits)
        return self._stores[name]

    @cached_property
    def _made_producer(self) -> Producer:
        return producer(self.config)

    def producer(self) -> Producer:
        with self._producer_lock:
            return self._made_producer

    def prepare(self) -> None:
        """Create the topics that are missing.

        Those of events and commands only by who has the store that publishes on them, and not where it has done so
        before: such a topic was lost, and a new one would be taken for it (docs/runbooks/topic-lost.md).
        """
        created = create_topics(self.config, Catalogue.read().groups(), self._may_make)
        if created:
            log.info("topics created", topics=created)

    def _may_make(self, topic: str) -> bool:
        if topic.endswith(DEAD_LETTERS):
            return True
        stores = [self.store(name) for name in writers(self.catalogue, topic)]
        return bool(stores) and not any(has_published(store, topic) for store in stores)

    def close(self) -> None:
        if "_made_producer" in self.__dict__:
            self._made_producer.close(timeout=10)
        for store in self._stores.values():
            store.close()


class Failures:
    """What has failed for good in this process.  The first failure ends it, so that its supervisor starts it again."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.end: Callable[[], None] = lambda: None

    def note(self, name: str) -> None:
        self.names.append(name)
        self.end()


def on_signal(act: Callable[[], None]) -> threading.Event:
    """Do `act` once on SIGTERM or SIGINT."""
    seen = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if not seen.is_set():
            seen.set()
            act()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    return seen


def health_server(
    listener: Listener, threads: Sequence[Serving], loops: Mapping[str, Loop], failures: Failures
) -> ThreadingHTTPServer:
    """/livez, /readyz and /metrics of a worker: it lives while its threads do, it is ready while all of them get on."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
            elif self.path in ("/livez", "/readyz"):
                dead = problems_of({thread.name: thread for thread in threads})
                problems = dead | (problems_of(loops) if self.path == "/readyz" and not dead else {})
                body = {"status": "failed" if problems else "ok", "dead": list(dead), "problems": problems}
                self._answer(503 if problems else 200, json.dumps(body).encode(), "application/json")
            else:
                self._answer(404, b"{}", "application/json")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Health checks are not logged."""

    server = ThreadingHTTPServer(("", 0), Health, bind_and_activate=False)
    server.socket.close()
    server.socket = listener.listen()
    server.server_address = server.socket.getsockname()
    Serving("health", server.serve_forever, failures.note).start()
    return server
