"""Every consumer of the catalogue meets every record that none of ours writes: it sets it aside and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from chassis.access.company import CompanySettings
from chassis.catalogue import Catalogue
from chassis.foundation.config import Config
from chassis.messaging.consumer import Consumer, RecordHandler
from chassis.messaging.dead_letters import DeadLetter, DeadLetters
from chassis.messaging.inbox import Inbox
from chassis.messaging.kafka import dead_letter_topic
from chassis.projections.collections import connect
from chassis.projections.projector import Projector
from chassis.run.main import main
from chassis.run.worker_process import LANES
from chassis.sagas.runner import SagaRunner
from chassis.store.opening import open_store
from chassis.writer.writer import Writer
from component.hostile import LETTERS, Sent, Strangers, genuine_command, genuine_event, hostile_records
from component.support import KafkaBench, until
from contracts.declare import REGISTRY

CATALOGUE = Catalogue.read()
PARTITIONS = 2
GROUPS = CATALOGUE.groups()


@pytest.fixture
def strangers(kafka: KafkaBench) -> Iterator[Strangers]:
    with Strangers(kafka.config) as strangers:
        yield strangers


class Bench:
    """One consumer of the catalogue as its process has it, on stores of its own."""

    def __init__(self, group: str, config: Config, kafka: KafkaBench) -> None:
        self.group, self.kafka = group, kafka
        self.config = config
        self._closing: list[Any] = []
        self.handler = self._handler()
        self.consumer = Consumer(config, self.handler, lambda: kafka.producer)

    def _handler(self) -> RecordHandler:
        for service in CATALOGUE.services():
            if service.name == self.group:
                writer = Writer(service, open_store(service.name, self.config))
                writer.start()
                self._closing.append(writer.stop)
                return Inbox(writer, CompanySettings(self.config.zone))
        for name, saga in CATALOGUE.sagas():
            if saga.group == self.group:
                return SagaRunner(saga, open_store(name, self.config))
        database = connect(self.config)
        self._closing += [lambda: database.client.drop_database(database.name), database.client.close]
        return Projector(database, CATALOGUE.views("projector"), group=self.group, lanes=LANES)

    def close(self) -> None:
        self.consumer.close()
        for close in self._closing:
            close()

    def catch_up(self) -> None:
        """Step until everything that Kafka holds is processed, its own letters too."""
        self.consumer.open()
        reader = self.kafka.reader([*self.handler.topics(), dead_letter_topic(self.group)])

        def up_to_date() -> bool:
            self.consumer.step()
            offsets = self.handler.offsets(reader.sources)
            return all(offsets.get(source, 0) >= end for source, end in reader.end_offsets().items())

        try:
            until(up_to_date)
        finally:
            reader.close()
            self.consumer.close()

    def waiting(self) -> dict[str, DeadLetter]:
        """The letters that wait, by the place where their record first came."""
        letters = DeadLetters(self.config, self.group).waiting()
        assert len({letter.origin for letter in letters}) == len(letters), "a record was set aside twice"
        return {letter.origin: letter for letter in letters}


@pytest.fixture
def bench(request: pytest.FixtureRequest, kafka: KafkaBench, mongodb_uri: str, tmp_path: Path) -> Iterator[Bench]:
    config = replace(
        kafka.config,
        mongodb_uri=mongodb_uri,
        mongodb_database=f"test_{uuid4().hex}",
        event_store="sqlite",
        data_dir=str(tmp_path),
    )
    bench = Bench(request.param, config, kafka)
    yield bench
    bench.close()


def genuine(handler: RecordHandler, topic: str) -> list[tuple[Sent, bool]]:
    """One genuine record of each type that the consumer takes on a topic, and whether it is an event.

    A command that no saga sends is taken from nobody.
    """
    senders = {REGISTRY.command_of(cls).name: name for name, saga in CATALOGUE.sagas() for cls in saga.sends()}
    found = []
    for number, name in enumerate(sorted(handler.wanted()), start=100):
        if (event := REGISTRY.events.get(name)) and event.topic == topic:
            found.append((genuine_event(event, number, PARTITIONS), True))
        elif (command := REGISTRY.commands.get(name)) and command.topic == topic and name in senders:
            found.append((genuine_command(command, senders[name], number, PARTITIONS), False))
    return found


def sent_by_nobody(handler: RecordHandler, topic: str) -> Sent:
    """A command that the consumer handles on a topic to which nobody sends any."""
    name = next(name for name in sorted(handler.wanted()) if REGISTRY.commands[name].topic == topic)
    return genuine_command(REGISTRY.commands[name], "nobody", 1, PARTITIONS)


@pytest.mark.parametrize("bench", GROUPS, indirect=True)
def test_every_consumer_sets_every_foreign_record_aside_and_goes_on(
    bench: Bench,
    strangers: Strangers,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hostile: dict[str, str] = {}
    real: dict[str, Sent] = {}
    for topic in bench.handler.topics():
        records = genuine(bench.handler, topic)
        # another one: what follows on its key waits
        one, is_event = genuine(bench.handler, topic)[0] if records else (sent_by_nobody(bench.handler, topic), False)
        for name, record in hostile_records(one, PARTITIONS, is_event=is_event):
            hostile[strangers.send(topic, record)] = f"{topic}: {name}"
        for one, _ in records:
            real[strangers.send(topic, one)] = one
    letters = dead_letter_topic(bench.group)
    any_record = next(iter(real.values()), Sent(b"k", b"{}", {}))
    for name, headers in LETTERS.items():
        own = any_record.with_headers(**headers, ce_id=str(uuid4()).encode())
        hostile[strangers.send(letters, own, partition=0)] = f"letters: {name}"

    bench.catch_up()

    found = bench.waiting()
    refused = {place for place, letter in found.items() if place in real and " refused: " in letter.reason}
    others = {place: letter.reason for place, letter in found.items() if place not in hostile | dict.fromkeys(refused)}
    assert others == {}
    assert {hostile[place] for place in found.keys() - refused} == set(hostile.values())
    assert all(letter.reason for letter in found.values())
    read_up_to = bench.handler.progress(letters)
    for place, record in real.items():
        source = place.partition("@")[0]
        assert place in refused or all(
            one.positions.get(source, 0) >= int(record.headers["ce_position"] or b"")
            for one in read_up_to
            if source in one.offsets
        ), f"{record.headers['ce_type']!r} was not taken in"
    _the_tools_cope_with_all_of_them(bench, monkeypatch, capsys)


def _the_tools_cope_with_all_of_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """List, show, replay and drop, as an operator does."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bench.config.kafka_bootstrap_servers)
    monkeypatch.setenv("TOPIC_PARTITIONS", str(PARTITIONS))
    before = bench.waiting()
    for action in ("list", "show"):
        assert main(["dlq", action, bench.group]) == 0
        shown = capsys.readouterr().out
        assert all(letter.origin in shown for letter in before.values())
        assert all(character.isprintable() or character == "\n" for character in shown)
    assert main(["dlq", "replay", bench.group]) == 0
    bench.catch_up()
    assert bench.waiting().keys() == before.keys()  # what is foreign stays foreign, and has one letter
    assert main(["dlq", "drop", bench.group]) == 0
    bench.catch_up()
    assert bench.waiting() == {}
    assert not any(one.aside for one in bench.handler.progress(dead_letter_topic(bench.group)))
