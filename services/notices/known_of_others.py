"""What the notices service knows of others: records of which people are told, and where people are reached."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, make_dataclass, replace
from functools import partial
from typing import Any, get_args
from uuid import UUID

from chassis.model.service import Replica
from contracts.access import USER_EVENTS
from contracts.collaboration import TASK
from contracts.declare import REGISTRY
from contracts.notices import RuleKind
from contracts.people import NOBODY, Person
from contracts.personal import Personal
from contracts.records import KINDS, Kind, kind_called
from contracts.sharing import Share
from contracts.statuses import STATUS
from contracts.types import Mail, Text

REACHED = frozenset({"ACTIVE", "DEFAULT_PASSWORD"})
"""Whose account is in use: nothing is sent to others."""


@dataclass(frozen=True)
class Contact:
    """Where a user is reached; nowhere whose account is not in use.  It is of the person under whose id it stands."""

    revision: int
    email: Personal[Mail] = ""
    phone: Personal[Text] = ""


def user_told(row: Contact | None, fact: Any) -> Contact:
    state = fact.user
    if row is not None and row.revision >= state.revision:
        return row
    is_reached = state.status in REACHED
    return Contact(state.revision, state.email, state.phone) if is_reached else Contact(state.revision)


CONTACTS = Replica("contacts", Contact, feeds=dict.fromkeys(USER_EVENTS, user_told))

REGISTRY.load()  # all kinds of records are declared then
POOLED = tuple(kind for kind in KINDS.values() if kind.pool)
"""The kinds of records that have a pool."""
TOLD_OF = tuple(kind_called(code) for code in get_args(RuleKind))
"""The kinds of records of which people are told."""


@dataclass(frozen=True)
class KnownHere:
    """A record of which people are told: what it is, whose, its status, with whom it is shared, and the one into which
    it went (ADR 0066)."""

    id: UUID
    data: Any
    owner: Person = NOBODY
    status: Text = ""
    shares: tuple[Share, ...] = ()
    deleted: bool = False
    merged_into: UUID | None = None


def _row_of(kind: Kind) -> type[KnownHere]:
    """The row of a record of a kind; what tells of a person is sealed with the key of whom the record tells."""
    about = {"about_person": "id"} if kind.has_personal else {}
    return make_dataclass(
        f"Known{kind.name}", [("data", kind.cls)], bases=(KnownHere,), frozen=True, kw_only=True, namespace=about
    )


def _entered(kind: Kind, row: type[KnownHere], _: KnownHere | None, fact: Any) -> KnownHere:
    return row(
        id=getattr(fact, kind.key),
        data=kind.layout.read(fact),
        owner=fact.owner if kind.owned else NOBODY,
        status=fact.status if kind.statuses else "",
    )


def _edited(kind: Kind, row: KnownHere | None, fact: Any) -> KnownHere | None:
    return row and replace(row, data=kind.layout.read(fact))


def _deleted(_: Kind, row: KnownHere | None, fact: Any) -> KnownHere | None:
    return row and replace(row, deleted=True)


def _restored(_: Kind, row: KnownHere | None, fact: Any) -> KnownHere | None:
    return row and replace(row, deleted=False)


def _assigned(kind: Kind, row: KnownHere | None, fact: Any) -> KnownHere | None:
    return row and replace(row, owner=fact.owner, shares=(), status=getattr(fact, STATUS, row.status))


def _shared(_: Kind, row: KnownHere | None, fact: Any) -> KnownHere | None:
    return row and replace(row, shares=fact.shares)


def _status_set(_: Kind, row: KnownHere | None, fact: Any) -> KnownHere | None:
    return row and replace(row, status=fact.status)


def _merged(_: Kind, row: KnownHere | None, fact: Any) -> KnownHere | None:
    return row and replace(row, merged_into=fact.merged_into)


def _unmerged(_: Kind, row: KnownHere | None, fact: Any) -> KnownHere | None:
    return row and replace(row, merged_into=None)


def _records_of(kind: Kind) -> Replica[Any]:
    row = _row_of(kind)
    feeds: dict[Any, Callable[..., KnownHere | None]] = {
        kind.edited: _edited,
        kind.deleted: _deleted,
        kind.restored: _restored,
        kind.assigned: _assigned,
        kind.shared: _shared,
        kind.status_set: _status_set,
        kind.merged: _merged,
        kind.unmerged: _unmerged,
    }
    told = {fact: partial(feed, kind) for fact, feed in feeds.items() if fact}
    return Replica(f"{kind.code}s-told-of", row, feeds={kind.created: partial(_entered, kind, row), **told})


RECORDS: Mapping[str, Replica[Any]] = {kind.code: _records_of(kind) for kind in (*TOLD_OF, TASK)}
"""What is known of the records of each kind, by its code: of those that rules may be about, and of tasks."""
