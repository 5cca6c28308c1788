"""Operations over HTTP that are neither a command of a service nor a query of a view: routes and documents follow.

They work on what Salestream is made of and not on what the company does, so no service stores them as events.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from contracts.declare import value

RebuildStatus = Literal["WAITING", "RUNNING", "SWITCHED", "NOT_SWITCHED", "CALLED_OFF", "FAILED"]
RebuildPhase = Literal["BUILDING", "COMPARING"]


@value
class RebuildView:
    """How a view is built again.

    Without `force` the new one takes over only when no document differs from the old one; with `compare_only` never.
    """

    force: bool = False
    compare_only: bool = False


@value
class CallOffRebuild:
    """Nothing needs to be said."""


@value
class UndoRun:
    """Nothing needs to be said."""


@dataclass
class RebuildRow:
    """A rebuild of a view: who asked for it, how far it is and how it ended.

    `status`: WAITING for a worker, RUNNING, SWITCHED to the new view, NOT_SWITCHED (`reason` says why; the old one is
    kept), CALLED_OFF, FAILED.  `done` of `total` are records while BUILDING, documents while COMPARING.  `differences`
    is how many documents differ from the old view, null when they could not be compared; `differing` names the first.
    """

    id: str
    view: str
    status: RebuildStatus
    force: bool
    compare_only: bool
    by: str
    by_id: str
    asked_at: datetime
    started_at: datetime
    ended_at: datetime
    attempts: int
    phase: RebuildPhase
    done: int
    total: int
    events: int
    documents: int
    differences: int
    differing: list[str]
    reason: str
    called_off_by: str


@dataclass
class PersonKeyRow:
    """The key with which what tells of a person is sealed in events: 32 bytes in base64url without padding.

    `key` is null once it was destroyed: the person was erased, and what was copied of them is to be deleted.
    """

    person_id: UUID
    key: str | None


HAND_OVER_RECORDS = "hand_over_records"
"""The route by which all that belongs to somebody is given to somebody else, by the commands of its kinds (SEC-14)."""


@value
class HandOverRecords:
    """Give everything that one person has, of every kind of record that belongs to people, to another (SEC-14)."""

    user_id: UUID
    to_id: UUID


@dataclass(frozen=True)
class Operation:
    """One operation: its route, the right it needs, what it is told (`body`) and what it answers (`answer`).

    `many`: it answers a list, {"items": [...]}; `text` is what the documents say.
    """

    name: str
    method: Literal["GET", "POST"]
    path: str
    permission: str
    text: str
    answer: type
    service: str = "reports"
    body: type | None = None
    many: bool = False
    status: int = 200


PLATFORM_OPERATIONS = (
    Operation(
        "rebuild_view",
        "POST",
        "/views/{view}/rebuilds",
        "platform",
        "Build a view again from event one, beside the live one, which serves until the new one takes over. The worker "
        "does it, also when it was stopped in between; one at a time for each view.",
        RebuildRow,
        body=RebuildView,
        status=202,
    ),
    Operation(
        "rebuilds",
        "GET",
        "/rebuilds",
        "platform",
        "The newest rebuilds of views, newest first, with their progress.",
        RebuildRow,
        many=True,
    ),
    Operation("rebuild", "GET", "/rebuilds/{rebuild_id}", "platform", "One rebuild with its progress.", RebuildRow),
    Operation(
        "call_off_rebuild",
        "POST",
        "/rebuilds/{rebuild_id}/cancel",
        "platform",
        "Call a rebuild off: one that waits ends at once, one that runs a moment later; the old view is kept.",
        RebuildRow,
        body=CallOffRebuild,
    ),
    Operation(
        "person_key",
        "GET",
        "/persons/{person_id}/key",
        "persons.keys",
        "The key of a person, for programs that read persons from the event topics. Keep it in memory only, and ask "
        "again at least once a day: a key that was destroyed is null. Who was given which key is in the audit log.",
        PersonKeyRow,
    ),
)
