"""Rebuilding a view from event one, beside the live one (blue/green): build, catch up, compare at one moment, switch.

The live collection serves queries until the switch, which is one update of the view's state document.  A running
projector notices (its next write is fenced), loads the new state and goes on from there.
"""

import io
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TextIO
from uuid import uuid4

import structlog
from pymongo.database import Database
from pymongo.errors import PyMongoError

from chassis.catalogue import projector_group
from chassis.foundation.config import Config
from chassis.messaging.consumer import Fenced
from chassis.messaging.dead_letters import Origin, origin_of
from chassis.messaging.kafka import dead_letter_topic
from chassis.messaging.partitions import PartitionReader
from chassis.messaging.progress import Progress, require_all_read, require_beginnings, with_fate
from chassis.messaging.records import Incoming
from chassis.model.views import View
from chassis.projections.collections import STATES, make_indexes
from chassis.projections.projector import Projection, commit
from chassis.projections.state import ViewState, drop_view, live_id, open_state, state_of
from contracts.declare import REGISTRY
from contracts.operations import RebuildPhase

Document = dict[str, Any]
BATCH = 1_000
"""Records in a transaction.  The more, the more changes of one document are joined; but MongoDB, with a cache of 512 MB
after much load, said of 5,000 with all the indexes of a list for two minutes that they conflict with another operation.
"""
SHOWN = 20
LONGEST_DIFFERENCE = 500
NOTES = {"_event", "_event_at"}
TELL_EVERY_SECONDS = 3.0
COMPARED_AT_ONCE = 1_000

Watch = Callable[[RebuildPhase, int, int], None]
"""Is told how far a rebuild is: records while building, documents while comparing.  Ends it by raising."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Figures:
    """How a rebuild went: events read, seconds, documents in the new collection, and how many differ from the live."""

    events: int
    seconds: float
    documents: int
    differences: int | None


@dataclass(frozen=True)
class Outcome:
    """How a rebuild ended: whether the new view has taken over and, if not, why; what differs, of the first some."""

    switched: bool
    reason: str
    events: int
    documents: int
    differences: int | None
    differing: Sequence[str]


def nobody_watches(phase: RebuildPhase, done: int, total: int) -> None:
    """What is told while a rebuild goes on interests nobody."""


def new_names(view: View, suffix: str) -> tuple[str, str]:
    """The names of the collection and the state document of a view that is built beside the live one."""
    return f"{view.name}__{suffix}", f"{view.name}#{suffix}"


class Rebuild:
    """Rebuilds one view; `suffix` tells what it makes from what others make."""

    def __init__(
        self,
        config: Config,
        database: "Database[Document]",
        view: View,
        out: TextIO = sys.stderr,
        *,
        suffix: str = "",
        watch: Watch = nobody_watches,
    ) -> None:
        self._config = config
        self._database = database
        self._view = view
        self._out = out
        self._suffix = suffix or uuid4().hex[:8]
        self._watch = watch
        self._live_id = live_id(view)
        self._skipped: list[str] = []
        self._foreign: set[Origin] = set()
        self.figures: Figures | None = None
        self.outcome: Outcome | None = None

    def run(self, *, switch: bool = True, force: bool = False) -> bool:
        """Build, compare and (unless told not to) switch; returns whether old and new were equal.

        It does not switch, and keeps the old, when documents differ although the view's edition is the one that built
        them: the same events must give the same documents.  `force` switches all the same.
        Raises TopicsDamaged, forced or not, where a topic lacks what the live view has read: the new one would lack it.
        """
        live = open_state(self._database, self._view, self._live_id)
        self._live, self._skipped, self._foreign = state_of(self._database, self._view, live), [], set()
        collection, new_id = new_names(self._view, self._suffix)
        reader = PartitionReader(
            self._config,
            f"rebuild-{self._view.name}",
            sorted(self._view.topics),
            {REGISTRY.event_of(fact).name: fact for fact in self._view.handlers},
        )
        try:
            require_all_read(reader, self._live.progress)
            open_state(self._database, self._view, new_id, collection)
            started = time.monotonic()
            state, events = self._build(reader, self._state(new_id))
            make_indexes(self._database, self._view, collection)
            seconds = time.monotonic() - started
            require_beginnings(state.progress, self._live.progress)
            differences = self._compared(reader, state)
        except BaseException:
            self._try_to_drop(collection, new_id)
            raise
        finally:
            reader.close()
        if self._skipped:
            some = ", ".join(self._skipped[:SHOWN]) + (", ..." if len(self._skipped) > SHOWN else "")
            print(f"left out {len(self._skipped)} records: {some}", file=self._out)
        documents = self._database[collection].estimated_document_count()
        self.figures = Figures(events, seconds, documents, None if differences is None else len(differences))
        rate = events / seconds if seconds else 0
        print(
            f"{self._view.name}: {events} events in {seconds:.1f} s ({rate:.0f}/s), {documents} documents",
            file=self._out,
        )
        reason = self._tell(differences)
        switched = switch and (force or not reason)
        if switched:
            self._watch("COMPARING", documents, documents)  # the last chance to end it
            self._switch(new_id)
            print(f"switched to {collection}", file=self._out)
        else:
            self._drop(collection, new_id)
            if switch:
                print("NOT switched, the old view is kept: --force switches all the same", file=self._out)
        if switched and reason:
            reason = f"forced, although {reason}"
        elif not switch and not reason:
            reason = "only compared, as asked"
        differing = differences or ()
        self.outcome = Outcome(
            switched, reason, events, documents, self.figures.differences, [_cut(told) for told in differing[:SHOWN]]
        )
        return not differences if differences is not None else not self._live.progress.offsets

    def _tell(self, differences: Sequence[str] | None) -> str:
        """Say how the new view compares with the live one; returns the reason not to switch, "" when there is none."""
        if not self._live.progress.offsets:
            print("there was no view to compare with", file=self._out)
            return ""
        if differences is None:
            reason = "the live view set records aside, or gave some up, meanwhile: run it again"
            print(reason, file=self._out)
            return reason
        print(f"compared with the live view: {len(differences)} documents differ", file=self._out)
        for told in differences[:SHOWN]:
            print(f"  {told}", file=self._out)
        if len(differences) > SHOWN:
            print(f"  ... and {len(differences) - SHOWN} more", file=self._out)
        if differences and self._live.edition != self._view.edition:
            now, before = self._view.edition, self._live.edition
            print(f"as expected: edition {before} of the view had built it, this is edition {now}", file=self._out)
            return ""
        return f"{len(differences)} documents differ from the live view" if differences else ""

    def _build(self, reader: PartitionReader, state: ViewState) -> tuple[ViewState, int]:
        """Take in what the live view has taken in, from where `state` stands; all there is when there is no such."""
        ends = reader.end_offsets()
        reached = self._live.progress.offsets
        # Where the live view is to begin anew, because the topic was made anew, its offsets tell nothing.
        anew = {source for source in self._live.progress.positions if not reached.get(source)}
        goals = {
            source: min(end, reached.get(source, 0)) if reached and source not in anew else end
            for source, end in ends.items()
        }
        goals = {source: goal for source, goal in goals.items() if goal}
        reader.seek(state.progress.offsets)
        progress, events = state.progress.branch(), 0
        letters = f"{dead_letter_topic(projector_group())}:0"
        progress.offsets[letters] = reached.get(letters, 0)  # what comes later is yet to be read
        told_at = time.monotonic()
        with ThreadPoolExecutor(1, "rebuild") as writing:  # while MongoDB takes a batch, the next one is read
            written: Future[None] | None = None
            while any(progress.offsets.get(source, 0) < goal for source, goal in goals.items()):
                projection = Projection(state, progress.branch())
                count, own = self._gather(reader, projection, goals)
                events += own
                if written:
                    written.result()
                written = writing.submit(commit, self._database, [projection])
                progress = projection.progress
                self._watch("BUILDING", *_how_far(progress, goals))
                if time.monotonic() - told_at > TELL_EVERY_SECONDS:
                    told_at = time.monotonic()
                    self._progress_line(progress, goals)
                if not count and not reader.is_behind(goals):
                    break  # the last records of a partition are gone
            if written:
                written.result()
        return state, events

    def _compared(self, reader: PartitionReader, new: ViewState) -> list[str] | None:
        """What differs from the live view, at one moment up to which the new one is brought; None: not comparable."""
        with self._database.client.start_session(snapshot=True) as session:
            found = self._database[STATES].find_one({"_id": self._live_id}, session=session)
            assert found is not None
            if found["generation"] != self._live.generation:
                raise Fenced("another rebuild of the view has switched it meanwhile")
            self._live = replace(state_of(self._database, self._view, found, session), edition=self._live.edition)
            if not self._live.progress.offsets:
                return None
            self._build(reader, new)
            progress = [state.progress for state in (self._live, new)]
            if progress[0].aside.keys() != progress[1].aside.keys():
                return None
            if progress[0].dropped.keys() != progress[1].dropped.keys() - self._foreign:
                return None
            pairs = _side_by_side(
                self._database[self._live.collection].find(session=session).sort("_id"),
                self._database[new.collection].find().sort("_id"),
            )
            told: list[str] = []
            total = self._database[new.collection].estimated_document_count()
            for number, (one, other) in enumerate(pairs):
                if number % COMPARED_AT_ONCE == 0:
                    self._watch("COMPARING", number, max(total, number))
                if content(one) != content(other):
                    told.append(_difference(one, other))
            return told

    def _gather(self, reader: PartitionReader, projection: Projection, goals: Mapping[str, int]) -> tuple[int, int]:
        """Read a batch into a projection, up to the goals; returns how many records, and events of the view, it has."""
        events = count = 0
        while count < BATCH and (polled := reader.poll(500, BATCH - count)):
            records = [record for record in polled if record.offset < goals.get(record.source, 0)]
            count += len(polled)
            events += sum(1 for record in records if record.fact is not None)
            for record in records:
                projection.apply(self._judged(record, projection.progress))
            if all(projection.progress.offsets.get(source, 0) >= goal for source, goal in goals.items()):
                break
        return count, events

    def _judged(self, record: Incoming, progress: Progress) -> Incoming:
        """The record with the fate it has in the live view, which is noted."""
        judged = with_fate(record, self._live.progress, progress)
        if judged.fate:
            origin = origin_of(judged)
            how = {"waits": "set aside", "dropped": "dropped"}[judged.fate]
            if judged.fate == "dropped" and origin not in self._live.progress.dropped:
                self._foreign.add(origin)
                how = f"not ours: {record.poison}"
            self._skipped.append(f"{record.source}@{record.offset} ({how})")
        return judged

    def _progress_line(self, progress: Progress, goals: Mapping[str, int]) -> None:
        done, total = _how_far(progress, goals)
        print(f"{self._view.name}: {done:,} of {total:,} records ({done * 100 // total} %)", file=self._out, flush=True)

    def _state(self, id: str) -> ViewState:
        document = self._database[STATES].find_one({"_id": id})
        assert document is not None
        return state_of(self._database, self._view, document)

    def _switch(self, new_id: str) -> None:
        """Let the new view take over from the one it was compared with, which no other rebuild may have replaced."""
        document = self._database[STATES].find_one({"_id": new_id})
        assert document is not None
        document = {**document, "_id": self._live_id, "generation": self._live.generation + 1}
        was = {"_id": self._live_id, "generation": self._live.generation}
        if not self._database[STATES].replace_one(was, document).matched_count:
            self._drop(document["collection"], new_id)
            raise Fenced("another rebuild of the view has switched it meanwhile")
        self._drop(self._live.collection, new_id)

    def _try_to_drop(self, collection: str, state_id: str) -> None:
        """Leave nothing of a rebuild that failed: whoever tries again builds another collection."""
        try:
            self._drop(collection, state_id)
        except PyMongoError as error:
            log.warning("what was built can't be deleted", collection=collection, error=repr(error))

    def _drop(self, collection: str, state_id: str) -> None:
        self._database[STATES].delete_one({"_id": state_id})
        drop_view(self._database, collection)


def content(document: Document | None) -> Document | None:
    """What a document says, without the note of its last event: several sources interleave differently each time."""
    if document is None:
        return None
    return {name: value for name, value in document.items() if name not in NOTES}


def _difference(live: Document | None, new: Document | None) -> str:
    """A document that is not the same in both: its key and what differs."""
    document = live or new
    assert document is not None, "one of them is there"
    if live is None or new is None:
        return f"{document['_id']}: {'the live view lacks it' if live is None else 'only the live view has it'}"
    names = sorted(name for name in {*live, *new} - NOTES if live.get(name) != new.get(name))
    told = "; ".join(f"{name} is {_short(live.get(name))}, now {_short(new.get(name))}" for name in names)
    return f"{document['_id']}: {told}"


def _how_far(progress: Progress, goals: Mapping[str, int]) -> tuple[int, int]:
    """How many records of how many are taken in."""
    return sum(min(progress.offsets.get(source, 0), goal) for source, goal in goals.items()), sum(goals.values())


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_DIFFERENCE else f"{text[: LONGEST_DIFFERENCE - 3]}..."


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def rebuild_outdated(config: Config, database: "Database[Document]", views: Sequence[View]) -> bool:
    """Rebuild the views that another edition of theirs has built: what it wrote does not fit what is written now.

    Returns whether there were any.
    """
    found = False
    for view in views:
        state = ViewState.of(view, open_state(database, view, live_id(view)))
        if state.edition != view.edition:
            log.warning("view is rebuilt", view=view.name, built_by_edition=state.edition, edition=view.edition)
            out = io.StringIO()
            Rebuild(config, database, view, out).run(force=True)
            log.info("view rebuilt", view=view.name, told=out.getvalue().splitlines())
            found = True
    return found


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
            edition = state.get("edition", 1)
            outdated = f", built by edition {edition} of {view.edition}: rebuild it" if edition != view.edition else ""
            offsets = sum(int(item["offset"]) for item in state["sources"].values())
            lines.append(
                f"{view.name}: collection {state['collection']}, generation {state['generation']}, "
                f"{offsets} records applied, as of {state.get('last_at')}{outdated}"
            )
    return lines
