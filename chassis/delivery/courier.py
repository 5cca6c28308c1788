"""Sends what waits to be sent, of the service whose writer this is; each try and its outcome is an event there.

What is to be sent, and when again, stands in the store (`services/<name>/outgoing.py`), so a courier remembers little:
who is sent nothing for a while, and what it has sent and could not note.  One that dies between sending and noting it
sends the same again, under the same id.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Protocol

import structlog

from chassis.access.company import CompanySettings
from chassis.delivery.port import Carrier, NotSent, Outgoing
from chassis.foundation import metrics
from chassis.foundation.health import Pulse
from chassis.foundation.rate_limits import RateLimit
from chassis.foundation.transient import is_transient
from chassis.model.middleware import Offload, at_once
from chassis.model.principal import SYSTEM
from chassis.store.event_store import EventStore
from chassis.writer.request import Request
from chassis.writer.writer import Writer

log = structlog.get_logger()

LOOK_SECONDS = 1.0
ANSWER_SECONDS = 60.0
AT_ONCE = 50
"""So many are sent between two looks at what waits."""
TURN_SECONDS = 60.0
"""So long, at most a try longer, is sent what was due when a turn began; then it is asked again who rests."""
LONGEST_REST = 600.0
"""After so many seconds it is asked again whether somebody rests: they may have said otherwise."""

AWAY = ("TIMEOUT", "CONNECTION")
"""The reasons that say that a whole way is away: the others are not to wait for it."""
AWAY_SECONDS = 60.0
"""So long nothing is sent by a way that is away, as the one that was tried is not."""

EVERYBODY = ""
"""Stands for whoever is sent something by a way."""

Held = Callable[[str, str], bool]
"""Whether a receiver is sent nothing by a way at this moment."""


@dataclass(frozen=True)
class Parcel:
    """What waits to be sent: by which way, to whom (their id), for the how manieth time; `key` names it.

    `outgoing` is None where there is nothing to send any more, and `lacks` says why.  Its receiver is sent nothing for
    `rests` seconds.
    """

    key: str
    way: str
    receiver: str
    attempt: int
    outgoing: Outgoing | None
    lacks: str = ""
    rests: float = 0.0


class Outbox(Protocol):
    """What a service lets be sent: its module `outgoing`."""

    def due(self, store: EventStore, now: datetime, is_held: Held) -> Iterable[Parcel]:
        """What is to be sent by now, the earliest first, one after the other as it is asked for.

        Of whoever is held nothing is read.  One that can't be read is left out: it holds up none of the others.
        """

    def tried(self, parcel: Parcel, reason: str, for_good: bool) -> Any:
        """The command that notes the outcome of a try; reason "": it was sent."""


class Courier:
    """A `chassis.foundation.health.Loop`.  `carriers` are the ways; `slowly` runs what waits for others' servers.

    `limit` says how much one receiver gets by a way, `of_ways` how much goes by some ways in sum.
    """

    def __init__(
        self,
        writer: Writer,
        company: CompanySettings,
        outbox: Outbox,
        carriers: Mapping[str, Carrier],
        limit: RateLimit,
        *,
        of_ways: Mapping[str, RateLimit] = MappingProxyType({}),
        slowly: Offload = at_once,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._company = company
        self._outbox = outbox
        self._carriers = carriers
        self._limit = limit
        self._of_ways = of_ways
        self._slowly = slowly
        self._clock = clock
        self._ticks = ticks
        self._pulse = Pulse(clock=ticks, patience=ANSWER_SECONDS * 4)
        self._held: dict[tuple[str, str], float] = {}  # until when a receiver is sent nothing, by way
        self._unnoted: dict[str, Any] = {}  # what was tried and is to be noted; None where that can't be

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            found = self.turn()
            if not found:
                stop.wait(LOOK_SECONDS)

    def problem(self) -> str | None:
        return self._pulse.problem()

    def turn(self) -> int:
        """Send what is due; returns how many were tried.

        What can't be noted is noted later, before anything else is sent: it is not sent again for that.
        """
        tried, ends = 0, self._ticks() + TURN_SECONDS
        try:
            for key in [*self._unnoted]:
                self._note(key)
            self._held = {who: until for who, until in self._held.items() if until > self._ticks()}
            for parcel in self._outbox.due(self._writer.store, self._clock(), self._is_held):
                tried += self._try(parcel)
                if tried == AT_ONCE or self._ticks() > ends:
                    break
        except Exception as error:
            log.warning("courier waits", service=self._writer.service.name, error=type(error).__name__)
            self._pulse.fails(error)
            return 0
        self._pulse.beat()
        return tried

    def _is_held(self, way: str, receiver: str) -> bool:
        return (way, receiver) in self._held or (way, EVERYBODY) in self._held

    def _try(self, parcel: Parcel) -> bool:
        if parcel.key in self._unnoted or self._must_wait(parcel):
            return False
        reason, for_good = self._outcome(parcel)
        self._unnoted[parcel.key] = self._outbox.tried(parcel, reason, for_good)
        metrics.of(metrics.DELIVERIES, parcel.way, "failed" if reason else "sent").inc()
        if reason:
            log.warning("not sent", way=parcel.way, delivery=parcel.key, attempt=parcel.attempt, reason=reason)
        if reason in AWAY:
            self._held[parcel.way, EVERYBODY] = self._ticks() + AWAY_SECONDS
        self._note(parcel.key)
        self._pulse.beat()
        return True

    def _must_wait(self, parcel: Parcel) -> bool:
        """Whether its receiver is to be sent nothing now, or too much has gone to them, or by its way.

        Then nothing more is read for them, or of that way.
        """
        rests = min(parcel.rests, LONGEST_REST)
        if not rests and parcel.outgoing:
            if of_way := self._exceeded(self._of_ways.get(parcel.way), parcel.way):
                self._held[parcel.way, EVERYBODY] = self._ticks() + of_way
                return True
            rests = self._exceeded(self._limit, f"{parcel.way}/{parcel.receiver}")
        if rests:
            self._held[parcel.way, parcel.receiver] = self._ticks() + rests
        return bool(rests)

    @staticmethod
    def _exceeded(limit: RateLimit | None, key: str) -> float:
        """For how many seconds there is no more room; 0.0 where there was, which is taken."""
        quota = limit.take(key) if limit else None
        return quota.reset if quota and quota.exceeded else 0.0

    def _outcome(self, parcel: Parcel) -> tuple[str, bool]:
        """Why it was not sent, and whether that is for good; "" where it was."""
        if parcel.outgoing is None:
            return parcel.lacks, True
        try:
            self._slowly(self._carriers[parcel.way].send, parcel.outgoing)
        except NotSent as not_sent:
            return not_sent.reason, not_sent.for_good
        except Exception as error:  # an adapter of ours failed; nothing that it says may tell of a person
            log.error("carrier failed", way=parcel.way, error=type(error).__name__)
            return "INTERNAL", False
        return "", False

    def _note(self, key: str) -> None:
        """Note what came of a try.  Where that fails for good it is not sent again as long as this process lives."""
        if (command := self._unnoted[key]) is None:
            return
        try:
            self._carry_out(command)
        except Exception as error:
            if is_transient(error):
                raise
            log.error("a try can't be noted", delivery=key, error=type(error).__name__)
            self._unnoted[key] = None
        else:
            del self._unnoted[key]

    def _carry_out(self, command: Any) -> None:
        now, company = self._clock(), self._company
        request = Request(
            command=command,
            context=SYSTEM.context(now, company.day_of(now), currency=company.currency),
            command_id=f"delivery/{now.isoformat()}",
        )
        self._writer.submit_all([request])
        request.future.result(timeout=ANSWER_SECONDS)
