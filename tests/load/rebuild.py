"""Rebuilding a view from event one, beside reading the same topic without MongoDB."""

import io
import time

from chassis.catalogue import Catalogue
from chassis.messaging.partitions import PartitionReader
from chassis.model.views import View
from chassis.projections.building import BATCH
from chassis.projections.collections import connect
from chassis.projections.rebuild import Rebuild
from contracts.declare import REGISTRY

from .report import Bar, Broken, Figure, Report, Stopwatch, ratios
from .system import Bench

VIEW = "orders"


def measure(report: Report, bench: Bench, repetitions: int) -> None:
    """Rebuild the list of orders beside the live one and compare; nothing is switched."""
    config = bench.config()
    database = connect(config)
    view = next(view for view in Catalogue.read().views("projector") if view.name == VIEW)
    rebuilt: list[float] = []
    consumed: list[float] = []
    events = 0
    alone: list[float] = []
    cpu: dict[str, list[float]] = {"consume": [], "rebuild": []}
    for _ in range(repetitions):
        with Stopwatch() as watch:
            read, rate = _consume(bench, view)
        consumed.append(rate)
        cpu["consume"].append(watch.of(read).cpu_us)
        for processes, rates in ((1, alone), (0, rebuilt)):
            rebuild = Rebuild(config, database, view, out=io.StringIO(), processes=processes)
            with Stopwatch() as watch:
                rebuild.run(switch=False)
            figures = rebuild.figures
            if figures is None or figures.differences or figures.events != read:
                raise Broken(f"the rebuilt view is not the live one: {figures}, {read} events on Kafka")
            differences = "not compared" if figures.differences is None else str(figures.differences)
            report.about["rebuild_differences"] = differences
            rates.append(figures.events / figures.seconds)
            if processes == 1:
                cpu["rebuild"].append(watch.of(read).cpu_us)
            events = figures.events
    report.add(
        Figure("consume_events_per_s", consumed),
        Figure("rebuild_one_process_events_per_s", alone, "consume_events_per_s", ratios(alone, consumed)),
        Figure("rebuild_events_per_s", rebuilt, "consume_events_per_s", ratios(rebuilt, consumed), Bar(10_000, 25_000)),
        *(Figure(f"{name}_event_cpu_us", values) for name, values in cpu.items()),
        Figure("rebuild_events", [events]),
    )


def _consume(bench: Bench, view: View) -> tuple[int, float]:
    """How many of a view's events the reader brings, and how many a second: read and decoded, nothing done."""
    reader = PartitionReader(
        bench.config(),
        "bench-consume",
        sorted({REGISTRY.event_of(fact).topic for fact in view.handlers}),
        {REGISTRY.event_of(fact).name: fact for fact in view.handlers},
    )
    try:
        reader.seek({})
        ends = {source: end for source, end in reader.end_offsets().items() if end}
        seen: dict[str, int] = {}
        events = 0
        started = time.perf_counter()
        while any(seen.get(source, 0) < end for source, end in ends.items()):
            for record in reader.poll(500, BATCH):
                seen[record.source] = record.offset + 1
                events += record.fact is not None
        return events, events / (time.perf_counter() - started)
    finally:
        reader.close()
