"""What the notices service knows of others: what products are called, and where people are reached."""

from dataclasses import dataclass, replace
from typing import Any

from chassis.model.service import Replica
from contracts.access import USER_EVENTS
from contracts.inventory import ProductAdded, ProductDeleted, ProductEdited, ProductRestored
from contracts.personal import Personal
from contracts.types import Mail

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
