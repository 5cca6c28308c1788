"""Rebuilding a view from event one, beside the live one (blue/green): build, catch up, compare at one moment, switch.

The live collection serves queries until the switch, which is one update of the view's state document.  A running
projector notices (its next write is fenced), loads the new state and goes on from there.
"""

import io
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Any, TextIO
from uuid import uuid4

import structlog
from pymongo.database import Database
from pymongo.errors import PyMongoError

from chassis.catalogue import projector_group
from chassis.foundation.config import Config
from chassis.messaging.consumer import Fenced
from chassis.messaging.kafka import dead_letter_topic
from chassis.messaging.partitions import PartitionReader
from chassis.messaging.progress import require_all_read, require_beginnings
from chassis.model.views import View
from chassis.projections.building import (
    Build,
    Built,
    Part,
    build_side_by_side,
    how_far,
    join_states,
    processes_for,
    reader_for,
)
from chassis.projections.collections import STATES, make_indexes
from chassis.projections.differences import differing_fields
from chassis.projections.state import ViewState, drop_view, live_id, open_state, state_of
from chassis.projections.versions import collections_of
from contracts.operations import RebuildPhase

Document = dict[str, Any]
SHOWN = 20
LONGEST_DIFFERENCE = 500
NOTES = {"_event", "_event_at"}
TELL_EVERY_SECONDS = 3.0
COMPARED_AT_ONCE = 1_000


class Stopped(Exception):
    """The process that rebuilds is being stopped."""


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
        processes: int = 0,
    ) -> None:
        """`processes`: how many fill it; left out, as many as there are cores, once there is work for them."""
        self._config = config
        self._database = database
        self._view = view
        self._out = out
        self._suffix = suffix or uuid4().hex[:8]
        self._watch = watch
        self._live_id = live_id(view)
        self._processes = processes
        self._built = Built()
        self.figures: Figures | None = None
        self.outcome: Outcome | None = None

    def run(self, *, switch: bool = True, force: bool = False) -> bool:
        """Build, compare and (unless told not to) switch; returns whether old and new were equal.

        It does not switch, and keeps the old, when documents differ although the view's edition is the one that built
        them: the same events must give the same documents.  Nor when records that the live view has taken can't be
        read: those are set aside, with what follows on their keys.  `force` switches all the same.
        Raises TopicsDamaged, forced or not, where a topic lacks what the live view has read: the new one would lack it.
        """
        live = open_state(self._database, self._view, self._live_id)
        self._live, self._built = state_of(self._database, self._view, live), Built()
        collection, new_id = new_names(self._view, self._suffix)
        reader = reader_for(self._config, self._view)
        try:
            require_all_read(reader, self._live.progress)
            open_state(self._database, self._view, new_id, collection)
            started = time.monotonic()
            state = self._build(reader, self._state(new_id))
            make_indexes(self._database, self._view, collection)
            seconds, events = time.monotonic() - started, self._built.events
            require_beginnings(state.progress, self._live.progress)
            differences = self._compared(reader, state)
        except BaseException:
            self._try_to_drop(collection, new_id)
            raise
        finally:
            reader.close()
        if skipped := self._built.skipped:
            some = ", ".join(skipped[:SHOWN]) + (", ..." if len(skipped) > SHOWN else "")
            print(f"left out {len(skipped)} records: {some}", file=self._out)
        if held := len(self._built.held):
            log.error("records can't be read that the live view has taken", view=self._view.name, set_aside=held)
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
        if held and self._live.progress.offsets:
            return False
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
        if held := len(self._built.held):
            return f"{held} records that the live view has taken can't be read, or wait behind such a one"
        if differences and self._live.edition != self._view.edition:
            now, before = self._view.edition, self._live.edition
            print(f"as expected: edition {before} of the view had built it, this is edition {now}", file=self._out)
            return ""
        return f"{len(differences)} documents differ from the live view" if differences else ""

    def _build(self, reader: PartitionReader, state: ViewState) -> ViewState:
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
        total = sum(goals.values())
        done = how_far(state.progress, goals)
        passed = _Told(self._view.name, done, total, self._watch, self._out)
        letters = f"{dead_letter_topic(projector_group())}:0"
        work = Part(
            view=self._view.name,
            collection=state.collection,
            state_id=state.id,
            before=self._live.progress,
            goals=goals,
            letters={letters: reached.get(letters, 0)},  # what comes later is yet to be read
        )
        processes = self._processes or processes_for(total - done)
        parts = work.split(processes)
        if len(parts) < 2 or done:
            self._built.add(Build(self._database, work, passed).run(reader, state))
            return state
        try:
            self._built.add(build_side_by_side(self._config, parts, passed))
        except BrokenProcessPool:
            # Memory was short, or whoever stops this process stops those too; `watch` ends what is not wanted any more.
            log.warning("processes that fill a view were killed; one fills it alone", view=self._view.name)
            self._drop(state.collection, state.id)
            open_state(self._database, self._view, state.id, state.collection)
            self._processes = 1
            return self._build(reader, self._state(state.id))
        join_states(self._database, state.id, parts)
        return self._state(state.id)

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
            new = self._build(reader, new)
            progress = [state.progress for state in (self._live, new)]
            if progress[0].aside.keys() != progress[1].aside.keys() - self._built.held:
                return None
            if progress[0].dropped.keys() != progress[1].dropped.keys() - self._built.foreign:
                return None
            told: list[str] = []
            names = zip(*(collections_of(self._view, state.collection) for state in (self._live, new)), strict=True)
            for live, built in names:
                pairs = _side_by_side(
                    self._database[live].find(session=session, batch_size=COMPARED_AT_ONCE).sort("_id"),
                    self._database[built].find(batch_size=COMPARED_AT_ONCE).sort("_id"),
                )
                total = self._database[built].estimated_document_count()
                for number, (one, other) in enumerate(pairs):
                    if number % COMPARED_AT_ONCE == 0:
                        self._watch("COMPARING", number, max(total, number))
                    if content(one) != content(other):
                        told.append(_difference(self._view, one, other))
            return told

    def _state(self, id: str) -> ViewState:
        document = self._database[STATES].find_one({"_id": id})
        if document is None:
            raise Fenced("another rebuild of the view has switched it meanwhile")
        return state_of(self._database, self._view, document)

    def _switch(self, new_id: str) -> None:
        """Let the new view take over from the one it was compared with, which no other rebuild may have replaced."""
        document = self._database[STATES].find_one({"_id": new_id})
        if document is None:
            raise Fenced("another rebuild of the view has switched it meanwhile")
        document = {**document, "_id": self._live_id, "generation": self._live.generation + 1}
        was = {"_id": self._live_id, "generation": self._live.generation}
        if not self._database[STATES].replace_one(was, document).matched_count:
            self._drop(document["collection"], new_id)
            raise Fenced("another rebuild of the view has switched it meanwhile")
        self._drop_all_but(document["collection"])

    def _drop_all_but(self, live: str) -> None:
        """Leave nothing of the view but the live collection: what a killed rebuild left tells of who was erased since.

        One that goes on elsewhere is fenced off by the switch and can't take over any more.
        """
        self._database[STATES].delete_many({"_id": {"$regex": f"^{re.escape(new_names(self._view, '')[1])}"}})
        first, other = re.escape(self._view.name), re.escape(new_names(self._view, "")[0])
        ours = {"name": {"$regex": f"^({first}|{other}[^.]+)$"}}
        for name in self._database.list_collection_names(filter=ours):
            if name != live:
                drop_view(self._database, name)

    def _try_to_drop(self, collection: str, state_id: str) -> None:
        """Leave nothing of a rebuild that failed: whoever tries again builds another collection."""
        try:
            self._drop(collection, state_id)
        except PyMongoError as error:
            log.warning("what was built can't be deleted", collection=collection, error=repr(error))

    def _drop(self, collection: str, state_id: str) -> None:
        """Delete a collection that was built, its state, and those of the parts that processes have filled."""
        self._database[STATES].delete_many({"_id": {"$regex": f"^{re.escape(state_id)}"}})
        drop_view(self._database, collection)


def content(document: Document | None) -> Document | None:
    """What a document says, without the note of its last event: several sources interleave differently each time."""
    if document is None:
        return None
    return {name: value for name, value in document.items() if name not in NOTES}


def _difference(view: View, live: Document | None, new: Document | None) -> str:
    """A document that is not the same in both: its key and what differs."""
    document = live or new
    assert document is not None, "one of them is there"
    if live is None or new is None:
        return f"{document['_id']}: {'the live view lacks it' if live is None else 'only the live view has it'}"
    return f"{document['_id']}: {differing_fields(view, content(live) or {}, content(new) or {}, 'now')}"


class _Told:
    """Tells how far a rebuild is: whoever watches it of each batch, and those who read along now and then."""

    def __init__(self, name: str, done: int, total: int, watch: Watch, out: TextIO) -> None:
        self._name, self._done, self._total = name, done, total
        self._watch, self._out = watch, out
        self._told_at = time.monotonic()

    def __call__(self, number: int) -> None:
        self._done += number
        self._watch("BUILDING", self._done, self._total)
        if time.monotonic() - self._told_at > TELL_EVERY_SECONDS:
            self._told_at = time.monotonic()
            share = self._done * 100 // self._total
            text = f"{self._name}: {self._done:,} of {self._total:,} records ({share} %)"
            print(text, file=self._out, flush=True)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_DIFFERENCE else f"{text[: LONGEST_DIFFERENCE - 3]}..."


def rebuild_outdated(
    config: Config,
    database: "Database[Document]",
    views: Sequence[View],
    is_stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Rebuild the views that another edition of theirs has built: what it wrote does not fit what is written now.

    Returns whether there were any.  Raises Stopped.
    """

    def watch(*_: object) -> None:
        if is_stopped():
            raise Stopped

    found = False
    for view in views:
        state = ViewState.of(view, open_state(database, view, live_id(view)))
        if state.edition != view.edition:
            log.warning("view is rebuilt", view=view.name, built_by_edition=state.edition, edition=view.edition)
            out = io.StringIO()
            Rebuild(config, database, view, out, watch=watch).run(force=True)
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
