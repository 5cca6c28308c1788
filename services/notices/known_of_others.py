"""What the notices service knows of others: what products and records of pools are called, where people are reached."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

from chassis.model.known_records import place_of
from chassis.model.service import Replica
from contracts.access import USER_EVENTS
from contracts.declare import REGISTRY
from contracts.inventory import ProductAdded, ProductDeleted, ProductEdited, ProductRestored
from contracts.personal import Personal
from contracts.records import KINDS, Kind
from contracts.types import Mail, Text

REACHED = frozenset({"ACTIVE", "DEFAULT_PASSWORD"})
"""Whose account is in use: nothing is sent to others."""


@dataclass(frozen=True)
class Product:
    """What people call a product.  Of one that was deleted nothing is told until it is restored."""

    name: str
    model: str
    deleted: bool = False


def product_saved(_: Product | None, fact: Any) -> Product:
    return Product(fact.attributes.name, fact.attributes.model)


def product_deleted(row: Product | None, _: Any) -> Product | None:
    return row and replace(row, deleted=True)


def product_restored(row: Product | None, _: Any) -> Product | None:
    return row and replace(row, deleted=False)


PRODUCTS = Replica(
    "products",
    Product,
    feeds={
        ProductAdded: product_saved,
        ProductEdited: product_saved,
        ProductDeleted: product_deleted,
        ProductRestored: product_restored,
    },
)


@dataclass(frozen=True)
class Contact:
    """Where a user is reached; nowhere whose account is not in use.  It is of the person under whose id it stands."""

    revision: int
    email: Personal[Mail] = ""


def user_told(row: Contact | None, fact: Any) -> Contact:
    state = fact.user
    if row is not None and row.revision >= state.revision:
        return row
    return Contact(state.revision, state.email if state.status in REACHED else "")


CONTACTS = Replica("contacts", Contact, feeds=dict.fromkeys(USER_EVENTS, user_told))

REGISTRY.load()  # all kinds of records are declared then
POOLED = tuple(kind for kind in KINDS.values() if kind.pool)
"""The kinds of records that have a pool."""


@dataclass(frozen=True)
class PooledRecord:
    """What people call a record of a kind with a pool, and of whom that tells."""

    about_person = "person_id"

    person_id: UUID | None
    name: Personal[Text]


def _record_told(kind: Kind, _: PooledRecord | None, fact: Any) -> PooledRecord:
    data = kind.layout.read(fact)
    return PooledRecord(kind.person_of(getattr(fact, kind.key), data), getattr(data, kind.called))


_KIND_OF = {fact: kind for kind in POOLED for fact in (kind.created, kind.edited)}


def _place_told(fact: Any) -> str:
    kind = _KIND_OF[type(fact)]
    return place_of(kind.code, getattr(fact, kind.key))


RECORDS = Replica(
    "pooled-records",
    PooledRecord,
    feeds={fact: partial(_record_told, kind) for fact, kind in _KIND_OF.items()},
    key=_place_told,
)
