"""Tags are added and taken away, whatever others there are (CUS-08, ACC-18).

Asked of every kind of record that has tags, so also of those that are declared later.
"""

from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.catalogue import Catalogue
from chassis.model.dictionaries import KnownEntry
from chassis.testing.people import ADMIN
from chassis.testing.records import enter_in, new_record
from chassis.testing.services import InMemoryService
from contracts.configuration import DictionaryEntrySet
from contracts.dictionaries import DictionaryEntry
from contracts.records import KINDS, TAGS, Kind
from contracts.schemas import load
from contracts.types import MAX_LINES

SERVICES = {service.name: service for service in Catalogue.read().services()}
TAGGED = [kind for kind in KINDS.values() if TAGS in kind.fields]
CODES = ("BLUE", "GREEN", "RED")


class Shop:
    """The service of a kind with tags of three colours, and one record without any."""

    def __init__(self, kind: Kind) -> None:
        self.kind, self.kit, self.id = kind, InMemoryService(SERVICES[kind.service]), uuid4()
        self.dictionary = kind.fields[TAGS].rules.dictionary
        for revision, code in enumerate(CODES, 1):
            self.set(DictionaryEntry(code=code, zh=f"{code} 色"), revision)
        self.kit.do(load(kind.create, {**new_record(kind, enter_in(self.kit)), kind.key: str(self.id), TAGS: []}))

    def set(self, entry: DictionaryEntry, revision: int) -> None:
        row = KnownEntry(self.dictionary, entry, revision)
        told = DictionaryEntrySet(dictionary=row.dictionary, entry=row.entry, revision=row.revision)
        self.kit.directory.tell([told])

    def tag(self, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Any:
        return self.kind.tag(**{self.kind.key: self.id}, add=add, remove=remove)

    @property
    def tags(self) -> tuple[str, ...]:
        fact = self.kit.stream(self.id)[-1]
        found: tuple[str, ...] = self.kind.layout.read(fact).tags
        return found


@pytest.fixture(params=TAGGED, ids=lambda kind: kind.what)
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(request.param)


def test_there_are_such_kinds_and_no_other_has_the_command() -> None:
    assert "customer" in {kind.what for kind in TAGGED}
    assert all(kind.tag is None for kind in KINDS.values() if kind not in TAGGED)


def test_cus_08_two_who_tag_at_once_undo_nothing_of_each_other(shop: Shop) -> None:
    shop.kit.do(shop.tag(add=("BLUE",)))
    shop.kit.do(shop.tag(add=("RED", "GREEN")))
    shop.kit.do(shop.tag(remove=("BLUE",)))
    assert shop.tags == ("RED", "GREEN")
    edited = shop.kit.stream(shop.id)[-1]
    assert (type(edited), edited.changed) == (shop.kind.edited, (TAGS,))


def test_cus_08_acc_18_one_tag_takes_the_place_of_another_in_one_step(shop: Shop) -> None:
    shop.kit.do(shop.tag(add=("BLUE",)))
    shop.kit.do(shop.tag(add=("RED",), remove=("BLUE",)))
    assert shop.tags == ("RED",)


def test_cus_08_what_is_so_already_is_no_event(shop: Shop) -> None:
    shop.kit.do(shop.tag(add=("BLUE",)))
    for command in (shop.tag(), shop.tag(add=("BLUE",)), shop.tag(add=("blue", "BLUE 色")), shop.tag(remove=("RED",))):
        before = shop.kit.store.last_position()
        if "BLUE 色" not in command.add or shop.kind.fields[TAGS].rules.free:
            shop.kit.do(command)
        assert shop.kit.store.last_position() == before
    shop.kit.do(shop.tag(remove=("blue",)))
    assert shop.tags == ()


def test_cus_08_a_tag_that_was_switched_off_is_kept_taken_away_and_not_added(shop: Shop) -> None:
    shop.kit.do(shop.tag(add=("BLUE",)))
    for revision, code in enumerate(("BLUE", "RED"), 10):
        shop.set(DictionaryEntry(code=code, zh=f"{code} 色", active=False), revision)
    shop.kit.assert_refused("INVALID_STATE", shop.tag(add=("GREEN", "RED")), field="add")
    shop.kit.do(shop.tag(add=("GREEN", "BLUE")))
    assert shop.tags == ("BLUE", "GREEN")
    shop.kit.do(shop.tag(remove=("BLUE",)))
    shop.kit.assert_refused("INVALID_STATE", shop.tag(add=("BLUE",)), field="add")


def test_cus_08_what_makes_no_sense_is_refused_by_name(shop: Shop) -> None:
    shop.kit.assert_refused("VALIDATION", shop.tag(add=("BLUE",), remove=("blue",)), field="remove")
    if not shop.kind.fields[TAGS].rules.free:
        shop.kit.assert_refused("VALIDATION", shop.tag(add=("nothing",)), field="add")
    else:
        texts = tuple(f"tag {number}" for number in range(MAX_LINES))
        shop.kit.do(shop.tag(add=texts))
        shop.kit.assert_refused("TOO_LARGE", shop.tag(add=("one more",)), field="add")
    shop.kit.do(shop.kind.delete(**{shop.kind.key: shop.id}))
    shop.kit.assert_refused("NOT_FOUND", shop.tag(add=("BLUE",)), field=shop.kind.key)
    shop.kit.assert_refused("NOT_FOUND", shop.kind.tag(**{shop.kind.key: UUID(int=7)}), by=ADMIN, field=shop.kind.key)
