"""What every consumer of Kafka does alike: read from stored positions, skip repeats, set poison aside, go on.

A consumer (projector, saga, replicas, commands) supplies `process`, which stores what it derives together with the
positions in one transaction.  What is known to pass (`chassis.foundation.transient`) is retried in place with a growing
pause, so nothing is skipped; whatever else fails is tried once more alone, then goes to the dead-letter topic, and what
follows on its key waits there too.  Topics that lack what was not yet read stop it: see `TopicsDamaged`.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import structlog

from chassis.foundation import metrics
from chassis.foundation.config import Config
from chassis.foundation.health import Pulse
from chassis.foundation.transient import is_transient
from chassis.kafka.port import Producer, Reader
from chassis.messaging.dead_letters import (
    Gone,
    Letters,
    Origin,
    as_known,
    origin_of,
    read_whole_topic,
    set_aside,
    tell_lost,
)
from chassis.messaging.kafka import dead_letter_topic
from chassis.messaging.partitions import PartitionReader, TopicsDamaged
from chassis.messaging.progress import Progress
from chassis.messaging.provenance import RESOLVES
from chassis.messaging.records import Incoming, PoisonRecord

log = structlog.get_logger()

LAG_EVERY_SECONDS = 1.0
LONGEST_POLL_MS = 1_000  # a record that arrives ends it at once
CHECK_EVERY_SECONDS = 15.0
WAITS = "an earlier record of this key is set aside"
LETTER_WAS_LOST = "it was set aside before; the letter that said why was lost"
RECORD_WAS_LOST = "it was set aside before; its letter and the record itself are gone from Kafka"


class Fenced(Exception):
    """Another process of the same consumer was first: read the stored positions again and go on from there."""


class RecordHandler(Protocol):
    """What a consumer does with records."""

    group: str

    def topics(self) -> Sequence[str]: ...

    def wanted(self) -> Mapping[str, type]:
        """The record types it handles, with their classes."""

    def offsets(self, sources: Sequence[str]) -> Mapping[str, int]:
        """Per source, the next offset to read, as stored."""

    def progress(self, topic: str) -> Sequence["Progress"]:
        """How far each of those has got who take note of a topic, as stored."""

    def process(self, records: Sequence[Incoming]) -> None:
        """Store what these records mean, and the positions after them, in one transaction.

        Raises Fenced, what is known to pass (`chassis.foundation.transient`), or anything else when one of the records
        is at fault: it is then called again with each of them alone.
        """

    def forget(self) -> None:
        """Something may have changed what is stored: read it again when `offsets` is asked for."""

    def is_current(self) -> bool:
        """Whether nobody else has changed what is stored since it was read."""

    def idle(self) -> None:
        """A poll brought nothing: all there is has been processed."""


class Consumer:
    """Drives a handler.  `step()` processes what one poll brings; `run()` goes on until `stop` is set."""

    def __init__(
        self,
        config: Config,
        handler: RecordHandler,
        producer: Callable[[], Producer],
        *,
        prepare: Callable[[], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
        readers: Callable[[str], Reader] | None = None,
    ) -> None:
        """`prepare` is done whenever reading begins; it returns whether it has changed anything of what is stored.

        It reads by what `readers` makes (`PartitionReader`).
        """
        self._config = config
        self._clock = clock
        self._readers = readers
        self._prepare = prepare or (lambda: False)
        self._prepares = prepare is not None
        self._handler = handler
        self._producer = producer
        self._dead_topic = dead_letter_topic(handler.group)
        self._letters = Letters()
        self._reader: PartitionReader | None = None
        self._stored: Mapping[str, int] = {}
        self._lag_at = self._checked_at = -math.inf
        self._damage: str | None = None
        self._fails = False
        self._pulse = Pulse(clock=clock)

    def problem(self) -> str | None:
        """Why it stands (`chassis.foundation.health`)."""
        return self._damage or self._pulse.problem() or ("it prepares" if self._prepares else None)

    def open(self) -> None:
        """Connect and continue at the stored positions.  Raises TopicsDamaged."""
        handler = self._handler
        handler.forget()
        reader = PartitionReader(
            self._config,
            handler.group,
            [*handler.topics(), self._dead_topic],
            handler.wanted(),
            readers=self._readers,
        )
        try:
            self._stored = self._prepared(reader.sources)
            reader.require_whole(self._stored)
            self._require_the_same(reader)
            self._letters = Letters()
            for record in read_whole_topic(self._config, self._dead_topic):
                self._letters.observe(record)
            self._write_lost_letters(reader)
            reader.seek(self._stored)
        except Exception:
            self._tell_lag(reader)
            reader.close()
            raise
        self._reader = reader
        self._checked_at = self._clock()

    def _prepared(self, sources: Sequence[str]) -> Mapping[str, int]:
        """The stored offsets, when all is prepared for what comes after them.

        Asked after they were read: where another release changes it later, nothing more can be stored on them.
        """
        stored = self._handler.offsets(sources)
        while self._prepare():
            self._handler.forget()
            stored = self._handler.offsets(sources)
        self._prepares = False
        return stored

    def _require_the_same(self, reader: PartitionReader) -> None:
        """Raises TopicsDamaged when a partition is another one than was read, and has grown beyond the offset again."""
        missed: set[str] = set()
        for record in reader.just_before(self._stored):
            missed.update(*(one.told_of_missed([record]) for one in self._handler.progress(record.topic)))
        if missed:
            raise TopicsDamaged(f"{'; '.join(sorted(missed))}. Run `salestream topics check`")

    def _write_lost_letters(self, reader: PartitionReader) -> None:
        """Write a letter anew for what is set aside and has none, as after the dead-letter topic was lost.

        Nobody could hand the record in again or give it up otherwise, and what follows on its key would wait for ever.
        A record that is gone too gets a letter without it, and one with it when it is there again (`_judge`).
        """
        progress = [one for topic in self._handler.topics() for one in self._handler.progress(topic)]
        aside = {origin: found for one in progress for origin, found in one.aside.items()}
        lost = aside.keys() - self._letters.known - self._letters.dropped
        sources = {origin.source for origin in lost}
        if not lost:
            return
        ends = reader.end_offsets()
        reader.seek({source: 0 if source in sources else end for source, end in ends.items()})
        while lost and reader.is_behind(ends):
            for record in (as_known(found, lost) for found in reader.poll(500)):
                if (origin := origin_of(record)) in lost:
                    lost.discard(origin)
                    self._renew_letter(record)
        gone = [Gone(origin, aside[origin].key, aside[origin].offset) for origin in lost - self._letters.waiting.keys()]
        for one in sorted(gone, key=lambda one: (one.origin.source, one.offset)):
            number = tell_lost(self._producer(), self._handler.group, one, RECORD_WAS_LOST)
            self._letters.waiting[one.origin] = number
            self._letters.lost.add(one.origin)

    def _renew_letter(self, record: Incoming) -> None:
        """Write a letter of what was set aside before, with its record."""
        origin = origin_of(record)
        self._letters.waiting[origin] = set_aside(self._producer(), self._handler.group, record, LETTER_WAS_LOST)
        self._letters.lost.discard(origin)

    def step(self, timeout_ms: int = 100) -> int:
        """Process one poll's records; returns how many there were."""
        assert self._reader is not None, "open() first"
        records = self._reader.poll(timeout_ms)
        if records:
            self._process(records)
            metrics.of(metrics.CONSUMED, self._handler.group).inc(len(records))
        else:
            self._handler.idle()
        self._look_around()
        return len(records)

    def run(self, stop: threading.Event) -> None:
        pause = 0.1
        while not stop.is_set():
            try:
                if self._reader is None:
                    self.open()
                found = self.step(LONGEST_POLL_MS)
                self._gets_on(found)
                pause = 0.1
            except Fenced as other:
                log.warning("consumer fenced", group=self._handler.group, by=str(other))
                self.close()
            except Exception as error:  # nothing was stored, so try again
                self._stands(error)
                log.warning("consumer waits", group=self._handler.group, error=repr(error), pause=pause)
                self._tell_lag(self._reader)
                self.close()
                stop.wait(pause)
                pause = min(pause * 2, 5.0)
        self.close()

    def close(self) -> None:
        reader, self._reader = self._reader, None
        try:
            if reader is not None:
                reader.close()
        except Exception as error:  # it holds nothing that would be lost
            log.warning("reader can't be closed", group=self._handler.group, error=repr(error))

    # -- what others see of it

    def _stands(self, error: Exception) -> None:
        """A step failed and will be tried again."""
        self._fails = True
        self._pulse.fails(error)
        self._damage = str(error) if isinstance(error, TopicsDamaged) else None
        metrics.of(metrics.CONSUMER_STANDS, self._handler.group).set(1)

    def _gets_on(self, records: int) -> None:
        """A step is done.  After one that failed, a look that brought nothing is no progress while something waits."""
        assert self._reader is not None, "open() first"
        if self._fails and not records and self._reader.is_behind(self._reader.end_offsets()):
            return
        self._fails, self._damage = False, None
        self._pulse.beat()
        metrics.of(metrics.CONSUMER_STANDS, self._handler.group).set(0)

    def _look_around(self) -> None:
        """Now and then tell the lag, and make sure that the topics still hold what was not read.

        Raises TopicsDamaged, and Fenced where somebody has changed the offsets (`salestream topics reset`): who stores
        nothing would not be told.
        """
        assert self._reader is not None, "open() first"
        now = self._clock()
        if now - self._lag_at > LAG_EVERY_SECONDS:
            self._lag_at = now
            self._stored = self._handler.offsets(self._reader.sources)
            metrics.of(metrics.CONSUMER_LAG, self._handler.group).set(self._reader.lag(self._stored))
        if now - self._checked_at > CHECK_EVERY_SECONDS:
            self._checked_at = now
            if not self._handler.is_current():
                raise Fenced("somebody who has changed its offsets")
            self._reader.require_whole(self._stored)

    def _tell_lag(self, reader: PartitionReader | None) -> None:
        """Tell the lag although nothing gets on: what lies on Kafka beyond what is stored."""
        if reader is None:
            return
        try:
            ends = reader.end_offsets()
        except Exception as error:  # Kafka is away: nobody knows how much there is
            log.info("lag not known", group=self._handler.group, error=repr(error))
            return
        lag = sum(max(0, end - self._stored.get(source, 0)) for source, end in ends.items())
        metrics.of(metrics.CONSUMER_LAG, self._handler.group).set(lag)

    # -- one poll

    def _process(self, records: Sequence[Incoming]) -> None:
        try:
            self._handler.process(self._judged(records))
        except Exception as error:
            _raise_if_it_may_pass(error)
            for record in records:
                self._process_one(record)

    def _process_one(self, record: Incoming) -> None:
        assert self._reader is not None, "open() first"
        self._handler.offsets(self._reader.sources)  # a failure may have made it forget them
        [judged] = self._judged([record])
        try:
            self._handler.process([judged])
        except Exception as error:
            _raise_if_it_may_pass(error)
            log.warning("record fails", group=self._handler.group, source=record.source, error=repr(error))
            self._handler.offsets(self._reader.sources)
            reason = str(error) if isinstance(error, PoisonRecord) else f"{type(error).__name__}: {error}"
            self._handler.process([self._set_aside(record, reason)])

    def _judged(self, records: Sequence[Incoming]) -> Sequence[Incoming]:
        """The records with their fate: those that must wait are set aside, those that were given up are skipped."""
        progress = {topic: self._handler.progress(topic) for topic in {record.topic for record in records}}
        if self._dead_topic not in progress and not any(r.poison for r in records) and not self._skips(progress):
            return records
        branches = {id(one): one.branch() for found in progress.values() for one in found}
        judged = []
        for record in records:
            concerned = [branches[id(one)] for one in progress[record.topic]]
            found = self._judge(record, concerned)
            for one in concerned:
                one.accept(found)
            judged.append(found)
        return judged

    def _skips(self, progress: Mapping[str, Sequence["Progress"]]) -> bool:
        """Whether somebody waits for a dead letter, or has yet to come past one that was dropped."""
        if self._letters.dropped_unread or any(one.aside for found in progress.values() for one in found):
            return True
        return any(
            not one.has_passed(Origin(source, str(place)))
            for source, place in self._letters.last_dropped.items()
            for one in progress.get(source.rpartition(":")[0], ())
        )

    def _judge(self, record: Incoming, progress: Sequence["Progress"]) -> Incoming:
        if record.topic == self._dead_topic:
            self._letters.observe(record)
        record = as_known(record, self._letters.dropped, *(one.aside for one in progress))
        news = [one for one in progress if one.is_news(record)]
        if not news:
            if origin_of(record) in self._letters.lost and record.topic != self._dead_topic:  # it is there again
                self._renew_letter(record)
            return record
        if RESOLVES not in record.headers and origin_of(record) in self._letters.dropped:
            return replace(record, fate="dropped")
        if record.poison is not None:
            return self._set_aside(record, record.poison)
        if any(one.must_wait(record) for one in news):
            return self._set_aside(record, WAITS)
        return record

    def _set_aside(self, record: Incoming, reason: str) -> Incoming:
        """Write a letter, unless one was written just before a crash: one origin has one letter that waits."""
        origin = origin_of(record)
        if origin not in self._letters.waiting:
            self._letters.waiting[origin] = set_aside(self._producer(), self._handler.group, record, reason)
        return replace(record, fate="waits")


def _raise_if_it_may_pass(error: Exception) -> None:
    """Raise again what is worth waiting for."""
    if isinstance(error, Fenced) or is_transient(error):
        raise error
