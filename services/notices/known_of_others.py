"""What the notices service knows of others: what products are called, and where people are reached."""

from dataclasses import dataclass
from typing import Any

from chassis.model.service import Replica
from contracts.access import USER_EVENTS
from contracts.inventory import ProductAdded, ProductDeleted, ProductEdited
from contracts.personal import Personal
from contracts.types import Mail

REACHED = frozenset({"ACTIVE", "DEFAULT_PASSWORD"})
"""Whose account is in use: nothing is sent to others."""


@dataclass(frozen=True)
class Product:
    """What people call a product."""

    name: str
    model: str


def product_saved(_: Product | None, fact: ProductAdded | ProductEdited) -> Product:
    return Product(fact.attributes.name, fact.attributes.model)


def product_deleted(_row: Product | None, _fact: ProductDeleted) -> None:
    """Nothing more is told of it."""


PRODUCTS = Replica(
    "products",
    Product,
    feeds={ProductAdded: product_saved, ProductEdited: product_saved, ProductDeleted: product_deleted},
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
