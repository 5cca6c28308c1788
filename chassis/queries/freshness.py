"""Which collection has a view's rows, now or at an earlier moment, and how current they are.

The view's state is asked, and waited for as far as a token promises more.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from bson import Timestamp
from pymongo.database import Database
from pymongo.errors import OperationFailure

from chassis.messaging.consistency import Token, service_of
from chassis.model.views import View
from chassis.projections.audit_collector import tells_of
from chassis.projections.collections import STATES, mongo_key
from chassis.projections.state import live_id
from contracts.errors import Refused

Document = dict[str, Any]
WAIT_SECONDS = 5.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.003, 0.010
LOOK_MS = 10_000
NO_SUCH_MOMENT, TOO_OLD, NOT_YET = 72, 239, 246
"""MongoDB: InvalidOptions, of a moment to come; SnapshotTooOld; SnapshotUnavailable, while an index or so is made."""


@dataclass(frozen=True)
class Freshness:
    """How current an answer is: everything up to `as_of` is in it, and every event up to `positions`."""

    as_of: datetime | None
    positions: Mapping[str, int]


class Seen(NamedTuple):
    """A view's state document, and the moment of MongoDB's history that it is of."""

    state: Document
    at: Timestamp | None


class States:
    """The states of one view."""

    def __init__(
        self,
        database: "Database[Document]",
        view: View,
        sleep: Callable[[float], None],
        records: Mapping[str, Callable[[], int]],
    ) -> None:
        """`records` tells the newest audit record of each service that is hosted here."""
        self._database, self._view, self._sleep, self._records = database, view, sleep, records
        self._seen = Seen({}, None)
        self._looked_at = 0.0

    def ready(self, token: Token | None) -> Seen:
        """The view's state, after waiting (bounded) until it has what the token promises."""
        deadline = time.monotonic() + WAIT_SECONDS
        pause = SHORTEST_PAUSE
        is_there = self._promised(token)
        seen = self.look()
        while not is_there(seen.state):
            if time.monotonic() > deadline:
                raise Refused("system.not_shown_yet")
            self._sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            # What another one who waits has just read serves all who wait.
            seen = self.look() if time.monotonic() - self._looked_at >= SHORTEST_PAUSE else self._seen
        return seen

    def _promised(self, token: Token | None) -> Callable[[Document], bool]:
        """Whether a state of the view has what the token promises."""
        if token is None:
            return lambda _: True
        if not self._view.collected:
            wanted = token.about(self._view.topics)
            return lambda state: wanted.reached_by(partial(_position, state))
        services = set(map(service_of, token.positions))
        records = {service: last() for service, last in self._records.items() if service in services}
        return partial(tells_of, token.positions, records)

    def look(self) -> Seen:
        """Read the view's state.  Raises Refused UNAVAILABLE while there is none."""
        self._looked_at = time.monotonic()
        deadline = self._looked_at + WAIT_SECONDS
        while True:
            try:
                answer = self._find_state(None)
                break
            except OperationFailure as error:
                if error.code != NOT_YET or time.monotonic() > deadline:
                    raise
                self._sleep(LONGEST_PAUSE)
        found = answer["cursor"]["firstBatch"]
        if not found:
            raise Refused("system.no_worker" if self._view.collected else "system.no_projector", view=self._view.name)
        self._seen = seen = Seen(found[0], answer["cursor"].get("atClusterTime"))
        return seen

    def at(self, at: Timestamp) -> Document | None:
        """The view's state at an earlier moment."""
        found: list[Document] = self._find_state(at)["cursor"]["firstBatch"]
        return found[0] if found else None

    def is_renewed_since(self, at: Timestamp) -> bool:
        """Whether another collection has taken the place of the one that there was at an earlier moment."""
        then = self.at(at)
        return then is None or then["collection"] != self.look().state["collection"]

    def _find_state(self, at: Timestamp | None) -> Document:
        answer: Document = self._database.command(
            "find",
            STATES,
            filter={"_id": live_id(self._view)},
            limit=1,
            readConcern=as_of(at),
            maxTimeMS=LOOK_MS,
            codec_options=self._database.codec_options,
        )
        return answer

    def of(self, at: Timestamp | None) -> Document | None:
        """The view's state at a moment, or now."""
        return self.at(at) if at else self.look().state


def as_of(at: Timestamp | None) -> Document:
    """The read concern of what is read as of a moment of MongoDB's history."""
    return {"level": "snapshot", **({"atClusterTime": at} if at else {})}


def _position(state: Document, source: str) -> int:
    return int(state.get("sources", {}).get(mongo_key(source), {}).get("position", 0))


def freshness_of(state: Document) -> Freshness:
    """How current what is read in this state is."""
    if collected := state.get("collected"):
        return Freshness(min(item["as_of"] for item in collected.values()), {})
    moments = [moment for name in ("last_at", "idle_at") if (moment := state.get(name))]
    positions = {item["source"]: int(item["position"]) for item in state.get("sources", {}).values()}
    return Freshness(max(moments) if moments else None, positions)


def together(found: Sequence[tuple[View, Freshness]]) -> Freshness:
    """How current an answer is that was read of several views: of each source as the one that has heard least of it.

    Of what no view is made of, such as letters that the projector wrote, nothing is told.
    """
    moments = [freshness.as_of for _, freshness in found if freshness.as_of]
    sources = {source for _, freshness in found for source in freshness.positions}
    heard = {
        source: [
            freshness.positions.get(source, 0)
            for view, freshness in found
            if f"{service_of(source)}.events" in view.topics
        ]
        for source in sources
    }
    return Freshness(min(moments, default=None), {source: min(told) for source, told in heard.items() if told})
