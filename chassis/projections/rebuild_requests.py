"""Rebuilds of views that somebody asked for over HTTP: a document each in MongoDB, carried out by a worker (ADR 0024).

A worker claims a document for some seconds and claims it anew whenever it tells its progress.  One that was killed
stops doing so, and the next one begins again: each attempt builds a collection of its own, and what earlier ones left
is swept away.  Times are MongoDB's, so clocks that differ between processes do no harm.
"""

import io
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import structlog
from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from chassis.foundation.config import Config
from chassis.foundation.health import Pulse
from chassis.foundation.transient import is_transient
from chassis.model.views import View
from chassis.projections.collections import STATES
from chassis.projections.rebuild import Outcome, Rebuild, Stopped, new_names
from chassis.projections.state import drop_view, live_id
from chassis.writer.writer import key_reused
from contracts.errors import Refused, not_found
from contracts.operations import RebuildPhase, RebuildView

log = structlog.get_logger()
Document = dict[str, Any]

REBUILDS = "_rebuilds"
NEWEST = 100
LEASE_SECONDS = 30
TELL_EVERY_SECONDS = 1.0
LOOK_EVERY_SECONDS = 2.0
LONGEST_REASON = 500
MOST_BROKEN_OFF = 5
"""A rebuild that ends its worker each time is not begun for ever."""


class CalledOff(Exception):
    """Somebody has called the rebuild off."""


class Lost(Exception):
    """Another worker has taken the rebuild over."""


@dataclass(frozen=True)
class Lease:
    """A rebuild that a worker has taken: its document, and the mark by which the claim is known."""

    document: Document
    mark: str

    @property
    def id(self) -> str:
        return str(self.document["_id"])

    @property
    def attempt(self) -> int:
        return int(self.document["attempts"])

    @property
    def begin(self) -> str:
        """What the suffixes of all attempts begin with."""
        return self.id[:8]

    @property
    def suffix(self) -> str:
        """What the names of this attempt's collection and state end with."""
        return f"{self.begin}{self.attempt:02}"


class RebuildRequests:
    """The documents."""

    def __init__(self, database: "Database[Document]", *, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self._lease_seconds = lease_seconds
        self._indexed = False

    # -- for who asks

    def ask(self, id: str, view: str, asked: RebuildView, by: tuple[str, str], at: datetime) -> Document:
        """Ask for a rebuild; `by` is id and name of who does.  The same again, under the same id, changes nothing.

        Raises Refused INVALID_STATE while one of the same view is under way, KEY_REUSED for an id used otherwise.
        """
        self._index()
        if self._all.find_one({"called_off_as": id}):
            raise key_reused()
        fresh: Document = {
            "_id": id,
            "view": view,
            "status": "WAITING",
            "active": True,
            "force": asked.force,
            "compare_only": asked.compare_only,
            "by_id": by[0],
            "by": by[1],
            "asked_at": at,
            "attempts": 0,
            "broken_off": 0,
        }
        try:
            self._all.insert_one(fresh)
        except DuplicateKeyError:
            same: Document | None = self._all.find_one({"_id": id})
            if same is None:
                raise self._busy(view) from None
            if any(same[name] != fresh[name] for name in ("view", "force", "compare_only", "by_id")):
                raise key_reused() from None
            return same
        return self.one(id)

    def _busy(self, view: str) -> Refused:
        other = self._all.find_one({"view": view, "active": True})
        if other is None:  # it has ended this very moment
            return Refused("system.rebuild_ended")
        state = str(other["status"])
        return Refused("system.rebuild_under_way", view=view, rebuild=other["_id"], by=other["by"], state=state)

    def call_off(self, id: str, by: str, request: str | None = None) -> Document:
        """Call a rebuild off; the same again, under the same id of the request, is answered with what came of it.

        Raises Refused NOT_FOUND, INVALID_STATE for one that has ended, KEY_REUSED for an id used otherwise.
        """
        self.one(id)
        told = {"called_off_by": by}
        noted: Document = {} if request is None else {"$addToSet": {"called_off_as": request}}
        elsewhere = {"_id": {"$ne": id}, "$or": [{"_id": request}, {"called_off_as": request}]}
        if request is not None and self._all.find_one(elsewhere):
            raise key_reused()
        ended = {"status": "CALLED_OFF", "active": False, "reason": f"{by} called it off before it began."}
        waiting = {"_id": id, "active": True, "status": "WAITING", "attempts": 0}
        ends: Document = {"$set": told | ended, "$currentDate": {"ended_at": True}, **noted}
        if self._all.update_one(waiting, ends).matched_count:
            return self.one(id)
        if self._all.update_one({"_id": id, "active": True}, {"$set": told, **noted}).matched_count:
            return self.one(id)
        found = self.one(id)
        if found["status"] == "CALLED_OFF" or request in found.get("called_off_as", ()):
            return found
        raise Refused("system.rebuild_over", state=str(found["status"]))

    def one(self, id: str) -> Document:
        """Raises Refused NOT_FOUND."""
        found: Document | None = self._all.find_one({"_id": id})
        if found is None:
            raise not_found("rebuild", "rebuild_id")
        return found

    def newest(self) -> list[Document]:
        return list(self._all.find().sort([("asked_at", DESCENDING), ("_id", ASCENDING)]).limit(NEWEST))

    # -- for the worker

    def claim(self, views: Sequence[str]) -> Lease | None:
        """Take the oldest rebuild of these views that nobody works on."""
        mark = uuid4().hex
        idle = {"$or": [{"status": "WAITING"}, {"$expr": {"$lt": ["$lease_until", "$$NOW"]}}]}
        taken = {
            "status": "RUNNING",
            "claim": mark,
            "attempts": {"$add": ["$attempts", 1]},
            "broken_off": {"$add": ["$broken_off", {"$cond": [{"$eq": ["$status", "RUNNING"]}, 1, 0]}]},
            "started_at": {"$ifNull": ["$started_at", "$$NOW"]},
            "lease_until": self._lease(),
        }
        found = self._all.find_one_and_update(
            {"view": {"$in": list(views)}, "active": True, **idle},
            [{"$set": taken}],
            sort=[("asked_at", ASCENDING)],
            return_document=True,
        )
        return None if found is None else Lease(found, mark)

    def note(self, claim: Lease, **told: Any) -> None:
        """Hold the claim and tell something.  Raises CalledOff, or Lost when another worker has taken it over."""
        literal = {name: {"$literal": value} for name, value in told.items()}
        found = self._all.find_one_and_update(
            {"_id": claim.id, "claim": claim.mark, "active": True},
            [{"$set": {**literal, "lease_until": self._lease()}}],
            return_document=True,
        )
        if found is None:
            raise Lost(claim.id)
        if "called_off_by" in found:
            raise CalledOff(found["called_off_by"])

    def release(self, claim: Lease, reason: str) -> None:
        """Give the claim up; the rebuild waits for the next attempt."""
        self._all.update_one(
            {"_id": claim.id, "claim": claim.mark}, {"$set": {"status": "WAITING", "reason": reason}, "$unset": _CLAIM}
        )

    def end(self, claim: Lease, status: str, **told: Any) -> None:
        """Say how it ended, unless another worker has taken it over."""
        self._all.update_one(
            {"_id": claim.id, "claim": claim.mark},
            {
                "$set": {**told, "status": status, "active": False},
                "$currentDate": {"ended_at": True},
                "$unset": _CLAIM,
            },
        )

    def _lease(self) -> Document:
        milliseconds = int(self._lease_seconds * 1000)
        return {"$dateAdd": {"startDate": "$$NOW", "unit": "millisecond", "amount": milliseconds}}

    @property
    def _all(self) -> Any:
        return self._database[REBUILDS]

    def _index(self) -> None:
        """One rebuild at a time for each view is kept by an index, whoever asks at once."""
        if not self._indexed:
            self._all.create_index("view", unique=True, partialFilterExpression={"active": True}, name="one_a_view")
            self._all.create_index([("asked_at", DESCENDING), ("_id", ASCENDING)], name="newest")
            self._indexed = True


_CLAIM = {"claim": "", "lease_until": ""}


class RebuildWorker:
    """Carries out what was asked for (a `chassis.foundation.health.Loop`)."""

    def __init__(
        self,
        config: Config,
        database: "Database[Document]",
        views: Sequence[View],
        *,
        lease_seconds: float = LEASE_SECONDS,
        tell_every: float = TELL_EVERY_SECONDS,
        rebuild: Callable[..., Rebuild] = Rebuild,
    ) -> None:
        self._config = config
        self._database = database
        self._views: Mapping[str, View] = {view.name: view for view in views}
        self._requests = RebuildRequests(database, lease_seconds=lease_seconds)
        self._tell_every = tell_every
        self._rebuild = rebuild
        self._pulse = Pulse()

    def problem(self) -> str | None:
        return self._pulse.problem()

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            found = False
            try:
                found = self.step(stop)
                self._pulse.beat()
            except Exception as error:  # MongoDB is away: looked for again, and /readyz tells if it stays so
                self._pulse.fails(error)
                log.warning("rebuilds can't be looked for", error=repr(error))
            if not found:
                stop.wait(LOOK_EVERY_SECONDS)

    def step(self, stop: threading.Event) -> bool:
        """Take up one rebuild; False when there is none, or it had better wait a little."""
        claim = self._requests.claim(list(self._views))
        if claim is None:
            return False
        view = self._views[claim.document["view"]]
        log.info("view is rebuilt", by=claim.document["by"], attempt=claim.attempt, view=view.name, rebuild=claim.id)
        try:
            self._finish(view, claim, stop)
        except Lost:
            log.warning("rebuild taken over by another worker", view=view.name, rebuild=claim.id)
        except CalledOff as by:
            self._sweep(view, claim)
            self._end(claim, "CALLED_OFF", reason=f"{by} called it off.")
        except Stopped:
            self._sweep(view, claim)
            self._requests.release(claim, "Its worker was stopped; the next one begins again.")
        except Exception as error:
            log.warning("rebuild failed", view=view.name, rebuild=claim.id, error=repr(error))
            if is_transient(error):
                self._requests.release(claim, f"It is tried again: {error!r}"[:LONGEST_REASON])
                return False
            self._sweep(view, claim)
            self._end(claim, "FAILED", reason=f"{type(error).__name__}: {error}"[:LONGEST_REASON])
        return True

    def _finish(self, view: View, claim: Lease, stop: threading.Event) -> None:
        """Bring it to an end, unless an earlier attempt has, or has failed too often."""
        if self._sweep(view, claim):
            self._end(claim, "SWITCHED", reason="Its worker was stopped just after the switch.")
        elif claim.document["broken_off"] >= MOST_BROKEN_OFF:
            text = f"Given up: {MOST_BROKEN_OFF} attempts were broken off. The log of the worker says why."
            self._end(claim, "FAILED", reason=text)
        else:
            outcome = self._carry_out(view, claim, stop)
            self._end(
                claim,
                "SWITCHED" if outcome.switched else "NOT_SWITCHED",
                reason=outcome.reason,
                events=outcome.events,
                documents=outcome.documents,
                differences=outcome.differences,
                differing=list(outcome.differing),
            )

    def _end(self, claim: Lease, status: str, **told: Any) -> None:
        self._requests.end(claim, status, **told)
        log.info("rebuild ended", view=claim.document["view"], rebuild=claim.id, status=status, **told)

    def _carry_out(self, view: View, claim: Lease, stop: threading.Event) -> Outcome:
        pace = _Pace(self._tell_every)

        def watch(phase: RebuildPhase, done: int, total: int) -> None:
            self._pulse.beat()
            if stop.is_set():
                raise Stopped
            if pace.is_due(phase, at_its_end=done >= total):
                self._requests.note(claim, phase=phase, done=done, total=total)

        asked = claim.document
        self._requests.note(claim, replaces=self._live_collection(view), reason="")
        out = io.StringIO()
        rebuild = self._rebuild(self._config, self._database, view, out, suffix=claim.suffix, watch=watch)
        rebuild.run(switch=not asked["compare_only"], force=asked["force"])
        assert rebuild.outcome is not None
        return rebuild.outcome

    def _live_collection(self, view: View) -> str:
        state = self._database[STATES].find_one({"_id": live_id(view)})
        return str(state["collection"]) if state else ""

    def _sweep(self, view: View, claim: Lease) -> bool:
        """Delete what attempts at this rebuild have left; whether one of them is the live view by now."""
        live, switched = self._live_collection(view), False
        collection, state = (re.escape(name) for name in new_names(view, claim.begin))
        self._database[STATES].delete_many({"_id": {"$regex": f"^{state}"}})
        for name in self._database.list_collection_names(filter={"name": {"$regex": f"^{collection}"}}):
            if name != live:
                drop_view(self._database, name)
                continue
            switched = True
            if (before := claim.document.get("replaces")) and before != live:
                drop_view(self._database, before)
        return switched


class _Pace:
    """When there is something to tell: now and then, and at once of each new phase and of its end."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._phase = ""
        self._at = 0.0

    def is_due(self, phase: str, *, at_its_end: bool) -> bool:
        now = time.monotonic()
        if phase == self._phase and not at_its_end and now - self._at < self._every:
            return False
        self._phase, self._at = phase, now
        return True
