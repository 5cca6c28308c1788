"""Where a system keeps what tells of persons, and its command line, by which one is erased."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition

from chassis.foundation.compression import Damaged, unpacked
from chassis.foundation.config import Config
from chassis.foundation.connections import kafka_arguments
from chassis.projections.collections import connect
from component.support import config_of
from deploy.devstack.server import REPOSITORY_ROOT
from deploy.local.system import LocalSystem


def octets(system: LocalSystem) -> Iterator[tuple[str, bytes]]:
    """All that the stores and the topics hold, unpacked, with where it is."""
    config = config_of(system)
    for path in Path(config.data_dir).glob("*.sqlite"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                for row in db.execute(f"SELECT * FROM {table}"):
                    for value in row:
                        yield f"{path.name} {table}", legible(value)
    consumer = KafkaConsumer(**kafka_arguments(config), consumer_timeout_ms=2_000, auto_offset_reset="earliest")
    topics = sorted(consumer.topics())
    consumer.assign([TopicPartition(topic, n) for topic in topics for n in consumer.partitions_for_topic(topic) or ()])
    for record in consumer:
        yield record.topic, record.value or b""
        yield from ((record.topic, value or b"") for _, value in record.headers)
    consumer.close()


def legible(value: object) -> bytes:
    try:
        return unpacked(value)
    except Damaged:
        return str(value).encode()


def documents(config: Config) -> Iterator[tuple[str, bytes]]:
    """All that MongoDB holds."""
    database = connect(config)
    for name in database.list_collection_names():
        yield from ((name, str(found).encode()) for found in database[name].find())
    database.client.close()


def salestream(system: LocalSystem, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chassis.run.main", *words]
    return subprocess.run(
        command, env=system.settings(), cwd=REPOSITORY_ROOT, capture_output=True, text=True, timeout=300, check=False
    )
