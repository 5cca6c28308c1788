"""Sends what waits to be sent, of the service whose writer this is; each try and its outcome is an event there.

What is to be sent, and when again, stands in the store (`services/<name>/outgoing.py`), so a courier remembers nothing
but how much each receiver got lately.  One that dies between sending and noting it sends the same again, under the same
id.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from chassis.access.company import CompanySettings
from chassis.delivery.port import Carrier, NotSent, Outgoing
from chassis.foundation import metrics
from chassis.foundation.health import Pulse
from chassis.foundation.rate_limits import RateLimit
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


@dataclass(frozen=True)
class Parcel:
    """What waits to be sent: by which way, to whom (their id), for the how manieth time; `key` names it.

    `outgoing` is None where there is nothing to send any more, and `lacks` says why.
    """

    key: str
    way: str
    receiver: str
    attempt: int
    outgoing: Outgoing | None
    lacks: str = ""


class Outbox(Protocol):
    """What a service lets be sent: its module `outgoing`."""

    def due(self, store: EventStore, now: datetime, most: int) -> Sequence[Parcel]:
        """What is to be sent by now, the earliest first."""

    def tried(self, parcel: Parcel, reason: str, for_good: bool) -> Any:
        """The command that notes the outcome of a try; reason "": it was sent."""


class Courier:
    """A `chassis.foundation.health.Loop`.  `carriers` are the ways; `slowly` runs what waits for others' servers."""

    def __init__(
        self,
        writer: Writer,
        company: CompanySettings,
        outbox: Outbox,
        carriers: Mapping[str, Carrier],
        limit: RateLimit,
        *,
        slowly: Offload = at_once,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._company = company
        self._outbox = outbox
        self._carriers = carriers
        self._limit = limit
        self._slowly = slowly
        self._clock = clock
        self._ticks = ticks
        self._pulse = Pulse(clock=ticks, patience=ANSWER_SECONDS * 4)
        self._later: dict[str, float] = {}  # what waits as its receiver got much lately, and until when

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            found = self.turn()
            if not found:
                stop.wait(LOOK_SECONDS)

    def problem(self) -> str | None:
        return self._pulse.problem()

    def turn(self) -> int:
        """Send what is due; returns how many were tried.  What can't be noted now is tried again."""
        try:
            self._later = {key: until for key, until in self._later.items() if until > self._ticks()}
            due = self._outbox.due(self._writer.store, self._clock(), AT_ONCE + len(self._later))
            tried = [self._try(parcel) for parcel in due if parcel.key not in self._later]
        except Exception as error:
            log.warning("courier waits", service=self._writer.service.name, error=type(error).__name__)
            self._pulse.fails(error)
            return 0
        self._pulse.beat()
        return sum(tried)

    def _try(self, parcel: Parcel) -> bool:
        quota = self._limit.take(f"{parcel.way}/{parcel.receiver}") if parcel.outgoing else None
        if quota and quota.exceeded:
            self._later[parcel.key] = self._ticks() + quota.reset
            return False
        reason, for_good = self._outcome(parcel)
        self._note(self._outbox.tried(parcel, reason, for_good))
        metrics.of(metrics.DELIVERIES, parcel.way, "failed" if reason else "sent").inc()
        if reason:
            log.warning("not sent", way=parcel.way, delivery=parcel.key, attempt=parcel.attempt, reason=reason)
        self._pulse.beat()
        return True

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

    def _note(self, command: Any) -> None:
        now, company = self._clock(), self._company
        request = Request(
            command=command,
            context=SYSTEM.context(now, company.day_of(now), currency=company.currency),
            command_id=f"delivery/{now.isoformat()}",
        )
        self._writer.submit_all([request])
        request.future.result(timeout=ANSWER_SECONDS)
