"""A kind of record whose personal fields tell of somebody else than the record itself (CPL-01)."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.model.records import aggregate_of
from chassis.model.service import Service
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.testing.services import InMemoryService
from contracts.declare import REGISTRY
from contracts.permissions import FIELD_RIGHTS
from contracts.personal import Personal, use
from contracts.records import KINDS, Kind, data, record
from contracts.types import Text

REGISTRY.load()  # what others declare stays when the kind is forgotten
MODULE = "contracts.cards"
HAN, LI = uuid4(), uuid4()


@dataclass
class Cards:
    """A service with cards, each of a customer: the number of a card is unique, and so is its code, which tells of
    nobody."""

    kit: InMemoryService
    kind: Kind

    def card(self, customer: UUID, number: str, code: str) -> Any:
        return self.kind.create(customer_id=customer, number=number, code=code)


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cards]:
    """What is declared for it is forgotten afterwards."""
    for name in ("events", "commands", "_event_of", "_command_of"):
        monkeypatch.setattr(REGISTRY, name, dict(getattr(REGISTRY, name)))
    monkeypatch.setitem(sys.modules, MODULE, ModuleType(MODULE))
    kinds, rights = dict(KINDS), dict(FIELD_RIGHTS)

    class Card:
        """A card of a customer."""

        about_person = "customer_id"

        customer_id: UUID
        number: Personal[Text] = data(default="", unique=True)
        code: Text = data(default="", unique=True)

    Card.__module__ = MODULE
    made: Any = record("/cards", view="campaigns", edit="campaigns")(Card)
    try:
        kit = InMemoryService(Service("cards", records=[aggregate_of(made)]))
        monkeypatch.setattr(kit, "check_published", lambda: None)  # no schema of it is published
        yield Cards(kit, KINDS[made])
    finally:
        for held, before in ((KINDS, kinds), (FIELD_RIGHTS, rights)):
            held.clear()
            held.update(before)  # type: ignore[arg-type]


def test_cpl_01_what_was_unique_of_who_was_erased_is_free_for_somebody_else(cards: Cards) -> None:
    ring = KeyRing(MemoryKeys)
    use(ring)
    cards.kit.do(cards.card(HAN, "6222", "a"))
    cards.kit.assert_refused("DUPLICATE", cards.card(LI, "6222", "b"), field="number")
    assert ring.destroy(HAN)
    cards.kit.do(cards.card(LI, "6222", "b"))
    cards.kit.assert_refused("DUPLICATE", cards.card(LI, "6222", "c"), field="number")


def test_cpl_01_what_tells_of_nobody_stays_taken_as_long_as_the_record_has_it(cards: Cards) -> None:
    ring = KeyRing(MemoryKeys)
    use(ring)
    cards.kit.do(cards.card(HAN, "6222", "a"))
    assert ring.destroy(HAN)
    cards.kit.assert_refused("DUPLICATE", cards.card(LI, "6222", "a"), field="code")
