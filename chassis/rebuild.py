"""Rebuilding a view from event one, beside the live one (blue/green): build, catch up, compare, switch.

The live collection serves queries until the switch, which is one update of the view's state document.  A running
projector notices (its next write is fenced), loads the new state and goes on from there.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TextIO
from uuid import uuid4

from pymongo.database import Database

from chassis.config import Config
from chassis.consumer import Progress
from chassis.deadletters import origin_of
from chassis.kafka import Incoming, PartitionReader, PoisonRecord, dead_letter_topic
from chassis.projector import (
    GROUP,
    STATES,
    Projection,
    ViewState,
    commit,
    live_id,
    open_state,
)
from chassis.views import View
from contracts.declare import REGISTRY

Document = dict[str, Any]
BATCH = 5_000  # the larger, the more changes of one document are joined
SHOWN = 20


@dataclass(frozen=True)
class Figures:
    """How a rebuild went: events read, seconds, documents in the new collection, and how many differ from the live."""

    events: int
    seconds: float
    documents: int
    differences: int | None


class Rebuild:
    """Rebuilds one view."""

    def __init__(self, config: Config, database: "Database[Document]", view: View, out: TextIO = sys.stderr) -> None:
        self._config = config
        self._database = database
        self._view = view
        self._out = out
        self._live_id = live_id(view)
        self._skipped: list[str] = []
        self.figures: Figures | None = None

    def run(self, *, switch: bool = True) -> bool:
        """Build, compare and (unless told not to) switch; returns whether old and new were equal."""
        live = open_state(self._database, self._view, self._live_id)
        self._live, self._skipped = ViewState.of(self._view, live), []
        collection = f"{self._view.name}__{uuid4().hex[:8]}"
        new_id = f"{self._view.name}#{collection[-8:]}"
        open_state(self._database, self._view, new_id, collection)
        reader = PartitionReader(
            self._config,
            f"rebuild-{self._view.name}",
            sorted(self._view.topics),
            {REGISTRY.event_of(fact).name: fact for fact in self._view.handlers},
        )
        try:
            reader.seek({})
            started = time.monotonic()
            state, events = self._build(reader, new_id)
            seconds = time.monotonic() - started
        finally:
            reader.close()
        if self._skipped:
            some = ", ".join(self._skipped[:SHOWN]) + (", ..." if len(self._skipped) > SHOWN else "")
            print(f"left out {len(self._skipped)} records, as the live view did: {some}", file=self._out)
        same_point, differences = self._compare(live["collection"], state)
        documents = self._database[collection].estimated_document_count()
        self.figures = Figures(events, seconds, documents, differences)
        rate = events / seconds if seconds else 0
        print(
            f"{self._view.name}: {events} events in {seconds:.1f} s ({rate:.0f}/s), {documents} documents",
            file=self._out,
        )
        if same_point:
            print(f"compared with the live view: {differences} documents differ", file=self._out)
        else:
            print("the live view moved meanwhile: not compared document by document", file=self._out)
        if switch:
            self._switch(new_id)
            print(f"switched to {collection}", file=self._out)
        else:
            self._drop(collection, new_id)
        return differences in (0, None)

    def _build(self, reader: PartitionReader, id: str) -> tuple[ViewState, int]:
        state = self._state(id)
        ends = {source: end for source, end in reader.end_offsets().items() if end}
        progress, events = state.progress.branch(), 0
        letters = f"{dead_letter_topic(GROUP)}:0"
        progress.offsets[letters] = self._live.progress.offsets.get(letters, 0)  # what comes later is yet to be read
        with ThreadPoolExecutor(1, "rebuild") as writing:  # while MongoDB takes a batch, the next one is read
            written: Future[None] | None = None
            while reader.is_behind(ends):
                projection = Projection(state, progress.branch())
                events += self._gather(reader, projection)
                if written:
                    written.result()
                written = writing.submit(commit, self._database, [projection])
                progress = projection.progress
                self._progress_line(progress, ends)
            if written:
                written.result()
        return state, events

    def _gather(self, reader: PartitionReader, projection: Projection) -> int:
        """Read a batch into a projection; returns how many events of the view were among the records."""
        events = count = 0
        while count < BATCH and (records := reader.poll(500, BATCH - count)):
            count += len(records)
            events += sum(1 for record in records if record.fact is not None)
            for record in records:
                projection.apply(self._judged(record, projection.progress))
        return events

    def _judged(self, record: Incoming, progress: Progress) -> Incoming:
        """The record with the fate it has in the live view: set aside, dropped, or none."""
        live = self._live.progress
        if not (live.aside or live.dropped or record.poison) or not progress.is_news(record):
            return record
        origin = origin_of(record)
        if origin in live.dropped:
            self._skipped.append(f"{record.source}@{record.offset} (dropped)")
            return replace(record, fate="dropped")
        if origin in live.aside or progress.must_wait(record):
            self._skipped.append(f"{record.source}@{record.offset} (set aside)")
            return replace(record, fate="waits")
        if record.poison is not None:
            raise PoisonRecord(f"{record.source}@{record.offset}: {record.poison}; the live view has not set it aside")
        return record

    def _progress_line(self, progress: Progress, ends: Mapping[str, int]) -> None:
        if self._out.isatty():
            done = sum(min(progress.offsets.get(source, 0), end) for source, end in ends.items())
            print(f"\r{done * 100 // max(1, sum(ends.values()))} %", end="\r", file=self._out, flush=True)

    def _state(self, id: str) -> ViewState:
        document = self._database[STATES].find_one({"_id": id})
        assert document is not None
        return ViewState.of(self._view, document)

    def _compare(self, live_collection: str, new: ViewState) -> tuple[bool, int | None]:
        """Whether both are at the same point, and then how many documents differ."""
        live = self._state(self._live_id)
        skipped = [(state.progress.aside.keys(), state.progress.dropped) for state in (live, new)]
        if self._reached(live) != self._reached(new) or skipped[0] != skipped[1]:
            return False, None
        pairs = _side_by_side(
            self._database[live_collection].find().sort("_id"), self._database[new.collection].find().sort("_id")
        )
        return True, sum(1 for one, other in pairs if content(one) != content(other))

    def _reached(self, state: ViewState) -> dict[str, int]:
        """The positions of the topics the view reads: a state document from earlier may name others too."""
        positions = state.progress.positions.items()
        return {source: at for source, at in positions if at and source.rpartition(":")[0] in self._view.topics}

    def _switch(self, new_id: str) -> None:
        live = self._database[STATES].find_one({"_id": self._live_id})
        document = self._database[STATES].find_one({"_id": new_id})
        assert live is not None and document is not None
        document = {**document, "_id": self._live_id, "generation": live["generation"] + 1}
        self._database[STATES].replace_one({"_id": self._live_id}, document)
        self._drop(live["collection"], new_id)

    def _drop(self, collection: str, state_id: str) -> None:
        self._database[STATES].delete_one({"_id": state_id})
        self._database.drop_collection(collection)


def content(document: Document | None) -> Document | None:
    """What a document says, without the note of its last event: several sources interleave differently each time."""
    if document is None:
        return None
    return {name: value for name, value in document.items() if name not in ("_event", "_event_at")}


def _side_by_side(
    one: Iterator[Document], other: Iterator[Document]
) -> Iterator[tuple[Document | None, Document | None]]:
    """Documents of two sorted cursors, paired by _id."""
    left, right = next(one, None), next(other, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left["_id"] < right["_id"]):
            yield left, None
            left = next(one, None)
        elif left is None or right["_id"] < left["_id"]:
            yield None, right
            right = next(other, None)
        else:
            yield left, right
            left, right = next(one, None), next(other, None)


def view_states(database: "Database[Document]", views: Sequence[View]) -> list[str]:
    """A line for each view: name, collection, generation, events seen, as of."""
    lines = []
    for view in views:
        state = database[STATES].find_one({"_id": live_id(view)})
        if state is None:
            lines.append(f"{view.name}: not built yet")
        else:
            offsets = sum(int(item["offset"]) for item in state["sources"].values())
            lines.append(
                f"{view.name}: collection {state['collection']}, generation {state['generation']}, "
                f"{offsets} records applied, as of {state.get('last_at')}"
            )
    return lines
