"""One fetch for all consumers of a process that have come to the end of what they read.

A service's inbox waits for records nearly all the time, and so do those of all other services beside it: with a client
each, a record that five of them want is fetched and unpacked five times, and thirteen of them wake up in turn to hear
that there is nothing.  Readers made here (`chassis.kafka.port.Reader`) read by a client of their own until it brings
nothing more, and then join the one fetch; whoever is moved, falls behind or meets an error goes on by its own client.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, Queue

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError

from chassis.foundation.config import Config
from chassis.kafka.clients import reader as client
from chassis.kafka.port import Reader, Record

log = structlog.get_logger()

Found = Mapping[TopicPartition, Sequence[Record]]

LONGEST_FETCH_MS = 1_000  # so long whoever joins may wait to be taken in
MOST_BEHIND = 5_000
"""So many records of a partition are read again for somebody who joins; whoever is further behind reads them alone."""
MOST_WAITING = 5_000
"""So many records may wait for a reader; it then goes on by itself, so that they do not fill the memory."""
MOST_AT_ONCE = 1_000


@dataclass(eq=False)
class _Member:
    """A reader that has joined: what it was handed and has not taken, and the next offset of each partition."""

    next: dict[TopicPartition, int]
    handed: "Queue[Found | None]" = field(default_factory=Queue)
    count_handed: int = 0
    count_taken: int = 0

    def hand(self, found: Found) -> None:
        """Hand on what of these records is news, in order."""
        news: dict[TopicPartition, Sequence[Record]] = {}
        for place in found.keys() & self.next.keys():
            records, at = found[place], self.next[place]
            if new := records if records[0].offset >= at else [one for one in records if one.offset >= at]:
                news[place] = new
                self.next[place] = new[-1].offset + 1
                self.count_handed += len(new)
        if news:
            self.handed.put(news)

    def dismiss(self) -> None:
        """Say that nothing more is handed on."""
        self.handed.put(None)


class SharedFetch:
    """Fetches for all readers that have joined, in a thread of its own."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._changed = threading.Condition()
        self._members: list[_Member] = []
        self._joining: list[_Member] = []
        self._client: Reader | None = None
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def reader(self, client_id: str) -> "SharedReader":
        """A reader that joins when it has read all there is."""
        return SharedReader(self, client(self._config, client_id))

    def join(self, places: Mapping[TopicPartition, int]) -> _Member:
        """Hand on what comes from these offsets on; who is too far behind, or comes after the end, is dismissed."""
        member = _Member(dict(places))
        with self._changed:
            if self._is_closed:
                member.dismiss()
                return member
            self._joining.append(member)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="shared-fetch", daemon=True)
                self._thread.start()
            self._changed.notify()
        return member

    def leave(self, member: _Member) -> None:
        """Hand nothing on any more; what was handed already is of no use."""
        with self._changed:
            for among in (self._members, self._joining):
                if member in among:
                    among.remove(member)

    def close(self) -> None:
        """End the thread and its client.  Readers that have joined are told."""
        with self._changed:
            self._is_closed = True
            thread = self._thread
            self._changed.notify()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while self._wait_for_members():
            try:
                self._take_in()
                if self._client is not None and self._assigned:
                    self._hand_out(self._client.poll(timeout_ms=LONGEST_FETCH_MS))
            except Exception as error:  # whom it concerns meets it again, reading alone
                log.info("shared fetch failed, readers go on alone", error=repr(error))
                self._dismiss_all()
        self._dismiss_all()

    def _wait_for_members(self) -> bool:
        with self._changed:
            while not (self._members or self._joining or self._is_closed):
                self._changed.wait()
            return not self._is_closed

    def _take_in(self) -> None:
        """Assign what is wanted now, at the lowest offset that somebody who joins still needs."""
        self._client = self._client or client(self._config, "shared-fetch")
        with self._changed:
            joining, self._joining = self._joining, []
            wanted = frozenset(place for one in (*self._members, *joining) for place in one.next)
            if not joining and wanted == self._assigned:
                return
            at = {place: self._client.position(place) for place in self._assigned & wanted}
            for member in joining:
                if any(at.get(place, 0) - offset > MOST_BEHIND for place, offset in member.next.items()):
                    member.dismiss()
                    continue
                at |= {place: min(offset, at.get(place, offset)) for place, offset in member.next.items()}
                self._members.append(member)
            self._client.assign(sorted(at))
            for place, offset in at.items():
                self._client.seek(place, offset)
            self._assigned = frozenset(at)

    def _hand_out(self, found: Found) -> None:
        with self._changed:
            for member in list(self._members) if found else ():
                member.hand(found)
                if member.count_handed - member.count_taken > MOST_WAITING:
                    self._members.remove(member)
                    member.dismiss()

    def _dismiss_all(self) -> None:
        with self._changed:
            for member in (*self._members, *self._joining):
                member.dismiss()
            self._members, self._joining, self._assigned = [], [], frozenset()
            ended, self._client = self._client, None
        try:
            if ended is not None:
                ended.close()
        except Exception as error:  # it holds nothing that would be lost, and others are still to join
            log.warning("shared fetch can't be closed", error=repr(error))


class SharedReader:
    """A `chassis.kafka.port.Reader` that reads by a client of its own, or has joined the fetch of its process."""

    def __init__(self, fetch: SharedFetch, own: Reader) -> None:
        self._fetch, self._own = fetch, own
        self._places: tuple[TopicPartition, ...] = ()
        self._member: _Member | None = None
        self._at: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}

    @property
    def has_joined(self) -> bool:
        return self._member is not None

    def poll(self, timeout_ms: int = 0, max_records: int | None = None) -> Found:
        if self._member is not None and max_records is not None:
            self._go_alone()
        if self._member is None:
            found = self._own.poll(timeout_ms=timeout_ms, max_records=max_records)
            if not found and max_records is None and self._places:
                self._join_at_the_end()
            return found
        found, is_over = _taken(self._member, timeout_ms / 1000)
        self._at |= {place: records[-1].offset + 1 for place, records in found.items()}
        if is_over:
            self._go_alone()
        return found

    def assign(self, places: Iterable[TopicPartition]) -> None:
        self._leave()
        self._places = tuple(places)
        self._own.assign(self._places)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._go_alone()
        self._own.seek(place, offset)

    def seek_to_beginning(self, *places: TopicPartition) -> None:
        self._go_alone()
        self._own.seek_to_beginning(*places)

    def position(self, place: TopicPartition) -> int:
        return self._own.position(place) if self._member is None else self._at[place]

    def highwater(self, place: TopicPartition) -> int | None:
        if self._member is None:
            return self._own.highwater(place)
        return max(self._at[place], self._member.next[place], self._ends[place])

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return self._own.partitions_for_topic(topic)

    def end_offsets(self, places: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return self._own.end_offsets(places)

    def beginning_offsets(self, places: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return self._own.beginning_offsets(places)

    def close(self) -> None:
        self._leave()
        self._own.close()

    def _join_at_the_end(self) -> None:
        """Join, unless it is known that there is more to read, or Kafka does not say where one is."""
        try:
            self._at = {place: self._own.position(place) for place in self._places}
        except KafkaError as error:
            log.info("reader does not join the shared fetch", error=repr(error))
            return
        self._ends = {place: self._own.highwater(place) or 0 for place in self._places}
        if any(self._at[place] < end for place, end in self._ends.items()):
            return
        self._own.assign(())
        self._member = self._fetch.join(self._at)

    def _leave(self) -> None:
        if self._member is not None:
            self._fetch.leave(self._member)
            self._member = None

    def _go_alone(self) -> None:
        """Read on by one's own client, from where one is."""
        if self._member is None:
            return
        self._leave()
        self._own.assign(self._places)
        for place, offset in self._at.items():
            self._own.seek(place, offset)


def _taken(member: _Member, seconds: float) -> tuple[Found, bool]:
    """What a member was handed, once there is some or the time is over; and whether nothing more will be."""
    found: defaultdict[TopicPartition, list[Record]] = defaultdict(list)
    count = 0
    while count < MOST_AT_ONCE:
        try:
            handed = member.handed.get(block=not found and seconds > 0, timeout=seconds)
        except Empty:
            break
        if handed is None:
            return found, True
        for place, records in handed.items():
            found[place].extend(records)
            count += len(records)
    member.count_taken += count
    return found, False
