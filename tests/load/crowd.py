"""Many people claim one record at the same moment: one has it, and how long the others wait to hear so (LED-03)."""

import time
from concurrent.futures import Future
from pathlib import Path
from statistics import quantiles
from typing import Any
from uuid import UUID, uuid4

from chassis.foundation.config import Config
from chassis.model.principal import Principal
from chassis.persons.opening import use_keys
from chassis.store.opening import open_store
from chassis.testing.people import ADMIN
from chassis.writer.writer import Writer
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.leads import Lead
from contracts.records import kind_of
from services.leads.application import SERVICE

from .data import Data
from .report import Broken, Figure, Report

PEOPLE = 200
ANSWER_SECONDS = 60.0


def measure(report: Report, folder: Path, data: Data, repetitions: int, records: int) -> None:
    """`records` leads, each claimed by 200 people at once; the figure is of all answers of a repetition."""
    REGISTRY.load()
    config, kind = Config(data_dir=str(folder / "crowd")), kind_of(Lead)
    use_keys(config).open_now()
    store = open_store(SERVICE.name, config)
    writer = Writer(SERVICE, store)
    writer.start()
    crowd = [Principal(uuid4(), f"seller {number}", frozenset({"SAL"})) for number in range(PEOPLE)]
    waits: list[float] = []
    try:
        for _ in range(repetitions):
            found: list[float] = []
            for _ in range(records):
                id = UUID(str(data.id()))
                entered: Any = kind.create(lead_id=id, name="Lead", owner_id=None)
                writer.submit(data.request(entered, ADMIN)).result(ANSWER_SECONDS)
                found += _claimed(writer, [data.request(kind.claim(lead_id=id), by) for by in crowd])
            waits.append(quantiles(found, n=100)[98] * 1e3)
    finally:
        writer.stop()
        store.close()
    report.add(Figure("crowd_of_200_claim_ms_p99", waits))


def _claimed(writer: Writer, requests: list[Any]) -> list[float]:
    """How many seconds each waited.  Raises Broken unless exactly one has the record."""
    started, ended = time.perf_counter(), list[float]()

    def note(_: "Future[Any]") -> None:
        ended.append(time.perf_counter() - started)

    for request in requests:
        request.future.add_done_callback(note)
    writer.submit_all(requests)
    failures = [request.future.exception(ANSWER_SECONDS) for request in requests]
    codes = [error.code if isinstance(error, Refused) else repr(error) for error in failures if error]
    if codes != ["ALREADY_CLAIMED"] * (PEOPLE - 1):
        raise Broken(f"{PEOPLE - len(codes)} of {PEOPLE} have claimed one lead; the others: {sorted(set(codes))}")
    return ended
