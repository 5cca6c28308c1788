"""Filling a view that is built anew: taking in, from event one, what the live view has taken in.

In this process, or in several that read partitions of their own: no field of a view depends on the order between
partitions (ADR 0021).  They write one at a time, since two transactions that change the same document would keep making
each other begin again; reading and working out what to write is two thirds of the work.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from pymongo.database import Database

from chassis.catalogue import Catalogue, know_everything
from chassis.foundation.config import Config
from chassis.foundation.processes import Beside, Workers
from chassis.messaging.consumer import WAITS
from chassis.messaging.dead_letters import Origin, origin_of
from chassis.messaging.partitions import PartitionReader
from chassis.messaging.progress import Progress, with_fate
from chassis.messaging.records import Incoming, PoisonRecord
from chassis.model.views import View
from chassis.persons.opening import use_keys
from chassis.projections.collections import STATES, connect
from chassis.projections.projector import Projection, commit
from chassis.projections.state import ViewState, open_state, state_of
from contracts.declare import REGISTRY

Document = dict[str, Any]
BATCH = 1_000
"""Records in a transaction.  The more, the more changes of one document are joined; but MongoDB, with a cache of 512 MB
after much load, said of 5,000 with all the indexes of a list for two minutes that they conflict with another operation.
"""
WORTH_PROCESSES = 80_000  # records: at 42,000 two were no faster than one, since each takes a second or two to start
MOST_PROCESSES = 3
"""MongoDB needs about half as long for what one process has worked out, and takes it from one at a time."""

Passed = Callable[[int], object]
"""Is told how many more records were passed.  Ends the work by raising."""


@dataclass
class Built:
    """What was met while a view was filled: how many events, and the records that were left out.

    Of these, those that are not ours, and those that the live view has taken: they can't be read any more (`held`), or
    wait behind such a one.
    """

    events: int = 0
    skipped: list[str] = field(default_factory=list)
    foreign: set[Origin] = field(default_factory=set)
    held: set[Origin] = field(default_factory=set)

    def add(self, other: "Built") -> None:
        self.events += other.events
        self.skipped += other.skipped
        self.foreign |= other.foreign
        self.held |= other.held


@dataclass(frozen=True)
class Part:
    """What is to be filled: some partitions of a view up to `goals` (offsets by source), by one process.

    `before` tells what the live view has left out.  The offsets of `letters` count as read.  The state document tells
    how far it is.
    """

    view: str
    collection: str
    state_id: str
    before: Progress
    goals: Mapping[str, int]
    letters: Mapping[str, int]

    def split(self, number: int) -> "list[Part]":
        """In so many parts at most, with about as many records each and state documents of their own."""
        shares: list[dict[str, int]] = [{} for _ in range(number)]
        for source, goal in sorted(self.goals.items(), key=lambda item: -item[1]):
            min(shares, key=lambda share: sum(share.values()))[source] = goal
        return [
            replace(self, state_id=f"{self.state_id}.{at}", goals=share) for at, share in enumerate(shares) if share
        ]


@dataclass
class Build:
    """Fills a part.  `alone` is held while a batch is written."""

    database: "Database[Document]"
    part: Part
    passed: Passed
    alone: AbstractContextManager[Any] = field(default_factory=nullcontext)
    built: Built = field(default_factory=Built)

    def run(self, reader: PartitionReader, state: ViewState) -> Built:
        goals = self.part.goals
        reader.seek(state.progress.offsets)
        progress = state.progress.branch()
        progress.offsets |= self.part.letters
        with ThreadPoolExecutor(1, "rebuild") as writing:  # while MongoDB takes a batch, the next one is read
            written: Future[None] | None = None
            while any(progress.offsets.get(source, 0) < goal for source, goal in goals.items()):
                projection = Projection(state, progress.branch())
                count = self._gather(reader, projection)
                if written:
                    written.result()
                written = writing.submit(self._commit, projection)
                before, progress = progress, projection.progress
                self.passed(how_far(progress, goals) - how_far(before, goals))
                if not count and not reader.is_behind(goals):
                    break  # the last records of a partition are gone
            if written:
                written.result()
        return self.built

    def _commit(self, projection: Projection) -> None:
        with self.alone:
            commit(self.database, [projection])

    def _gather(self, reader: PartitionReader, projection: Projection) -> int:
        """Read a batch into a projection, up to the goals; returns how many records it has."""
        count, goals = 0, self.part.goals
        while count < BATCH and (polled := reader.poll(500, BATCH - count)):
            records = [record for record in polled if record.offset < goals.get(record.source, 0)]
            count += len(polled)
            self.built.events += sum(1 for record in records if record.fact is not None)
            for record in records:
                projection.apply(self._judged(record, projection.progress))
            if all(projection.progress.offsets.get(source, 0) >= goal for source, goal in goals.items()):
                break
        return count

    def _judged(self, record: Incoming, progress: Progress) -> Incoming:
        """The record with the fate it has in the live view, which is noted.

        One of ours that the live view has taken and nobody can read now is set aside, as a projector would do.
        """
        try:
            judged = with_fate(record, self.part.before, progress)
        except PoisonRecord:
            judged = replace(record, fate="waits")
        if judged.fate:
            origin = origin_of(judged)
            how = {"waits": "set aside", "dropped": "dropped"}[judged.fate]
            if judged.fate == "dropped" and origin not in self.part.before.dropped:
                self.built.foreign.add(origin)
                how = f"not ours: {record.poison}"
            if judged.fate == "waits" and origin not in self.part.before.aside:
                self.built.held.add(origin)
                how = f"the live view has it: {record.poison or WAITS}"
            self.built.skipped.append(f"{record.source}@{record.offset} ({how})")
        return judged


def how_far(progress: Progress, goals: Mapping[str, int]) -> int:
    """How many records are taken in of those before the goals."""
    return sum(min(progress.offsets.get(source, 0), goal) for source, goal in goals.items())


def reader_for(config: Config, view: View, only: Sequence[str] | None = None) -> PartitionReader:
    """What reads a view's events, of all partitions or `only` of some.  Raises TopicsDamaged."""
    wanted = {REGISTRY.event_of(fact).name: fact for fact in view.handlers}
    return PartitionReader(config, f"rebuild-{view.name}", sorted(view.topics), wanted, only=only)


# -- side by side


def processes_for(records: int) -> int:
    """How many processes are worth while."""
    return min(os.cpu_count() or 1, MOST_PROCESSES) if records >= WORTH_PROCESSES else 1


def build_side_by_side(config: Config, parts: Sequence[Part], passed: Passed) -> Built:
    """Fill a view by a process for each part.  What `passed` raises calls them off."""
    built = Built()
    with Workers(len(parts), know_everything) as workers:
        work = [workers.submit(_fill, config, part) for part in parts]
        for found in workers.results(work, passed):
            built.add(found)
    return built


def join_states(database: "Database[Document]", state_id: str, parts: Sequence[Part]) -> None:
    """Let a view's state tell what the parts have taken in, and end theirs."""
    states = database[STATES]
    found = list(states.find({"_id": {"$in": [part.state_id for part in parts]}}))
    sources = {f"sources.{key}": told for state in found for key, told in state["sources"].items()}
    last = [state["last_at"] for state in found if "last_at" in state]
    states.update_one({"_id": state_id}, {"$set": {**sources, **({"last_at": max(last)} if last else {})}})
    states.delete_many({"_id": {"$in": [part.state_id for part in parts]}})


def _fill(beside: Beside, config: Config, part: Part) -> Built:
    view = next(view for view in Catalogue.read().views("projector") if view.name == part.view)
    use_keys(config)
    database = connect(config)
    with closing(database.client), closing(reader_for(config, view, list(part.goals))) as reader:
        state = state_of(database, view, open_state(database, view, part.state_id, part.collection))
        return Build(database, part, beside.count, beside.alone).run(reader, state)
