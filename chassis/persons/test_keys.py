"""The keys of persons: made once, kept before what is sealed with them, destroyed for good."""

import threading
from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

import pytest

from chassis.persons.keys import KEY_BYTES, KEYS_KEPT, LOOKED_UP_EVERY, TEXTS_KEPT, KeyRing
from chassis.persons.stores import MemoryKeys
from contracts.personal import SEALED, Damaged, Destroyed, KeyTaken, OfAnother

HANA = UUID("01900000-0000-7000-8000-000000000001")
TEXTS = ("佐藤花子", "a", "x" * 10_000, "é\U0001f600", "sealed:1:not", "\n")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def rings(number: int = 2) -> tuple[Clock, list[KeyRing]]:
    """Rings of several processes over one store, and their clock."""
    clock, store = Clock(), MemoryKeys()
    return clock, [KeyRing(lambda: store, clock) for _ in range(number)]


@pytest.mark.parametrize("text", TEXTS)
def test_what_one_process_seals_another_one_opens(text: str) -> None:
    _, (one, other) = rings()
    sealed = one.sealing(HANA).seal(text, "name")
    assert sealed.startswith(SEALED) and (len(text) < 4 or text not in sealed.removeprefix(SEALED))
    one.settle()
    cipher = other.opening(HANA)
    assert cipher and cipher.open(sealed, "name") == text


def test_a_text_opens_only_with_the_key_of_its_person_under_the_name_of_its_field() -> None:
    _, (ring, _) = rings()
    sealed, other = ring.sealing(HANA).seal("Hana", "name"), uuid4()
    ring.sealing(other)
    for person, name, text in ((HANA, "address", sealed), (other, "name", sealed), (HANA, "name", sealed[:-2])):
        cipher = ring.opening(person)
        with pytest.raises(Damaged):
            assert cipher and cipher.open(text, name)
    for nonsense in ("", "!", "AAAA", "é", "A" * 1_000):
        cipher = ring.opening(HANA)
        with pytest.raises(Damaged):
            assert cipher and cipher.open(SEALED + nonsense, "name")


def test_a_destroyed_key_opens_and_seals_nothing_any_more_and_no_new_one_is_made() -> None:
    clock, (one, other) = rings()
    sealed = one.sealing(HANA).seal("Hana", "name")
    one.settle()
    cipher = other.opening(HANA)
    assert cipher and cipher.open(sealed, "name") == "Hana"
    assert one.destroy(HANA)
    assert not one.destroy(HANA), "it is gone already"
    assert one.opening(HANA) is None
    with pytest.raises(Destroyed):
        one.sealing(HANA)
    clock.now += LOOKED_UP_EVERY
    assert other.opening(HANA) is None, "another process asks again after so long"
    assert one.exported(HANA) is None


def test_a_customer_is_not_sealed_with_the_key_of_a_user_of_the_same_id() -> None:
    """Else who erases one erases the other (CPL-01)."""
    _, (one, other) = rings()
    sealed = one.sealing(HANA, "user").seal("Hana", "phone")
    with pytest.raises(OfAnother):
        one.sealing(HANA, "customer")
    one.settle()
    with pytest.raises(OfAnother):
        other.sealing(HANA, "customer")
    assert other.sealing(HANA, "user").open(sealed, "phone") == "Hana"
    assert other.sealing(HANA).open(sealed, "phone") == "Hana", "who knows no sort takes the one that there is"
    key = other.exported(HANA)
    assert key and len(key) == KEY_BYTES


def test_a_key_of_before_sorts_were_told_is_of_any() -> None:
    store = MemoryKeys()
    store.add({HANA: b"k" * KEY_BYTES})
    ring = KeyRing(lambda: store)
    assert ring.sealing(HANA, "user") is ring.sealing(HANA, "customer")


def test_of_whom_nothing_was_ever_known_nothing_is_kept_when_they_are_erased() -> None:
    """Whoever mistypes an id leaves nothing behind."""
    _, (ring, _) = rings()
    assert not ring.is_known(HANA)
    assert not ring.destroy(HANA)
    assert not ring.is_known(HANA)
    ring.sealing(HANA)


def test_a_person_of_whom_there_never_was_a_key_is_told_from_one_who_was_erased() -> None:
    """Else who opens the keys of another system would read nothing of anybody, and keep that."""
    _, (ring, _) = rings()
    with pytest.raises(Damaged):
        ring.opening(HANA)


def test_of_two_processes_that_make_a_key_for_one_person_the_second_seals_again() -> None:
    _, (one, other) = rings()
    sealed = [ring.sealing(HANA).seal("Hana", "name") for ring in (one, other)]
    one.settle()
    with pytest.raises(KeyTaken):
        other.settle()
    other.settle()
    again = other.sealing(HANA).seal("Hana", "name")
    cipher = one.opening(HANA)
    assert cipher and cipher.open(again, "name") == cipher.open(sealed[0], "name") == "Hana"
    with pytest.raises(Damaged):
        cipher.open(sealed[1], "name")


class Away(MemoryKeys):
    """Keys that can't be reached now and then."""

    is_away = True

    def add(self, keys: Mapping[UUID, bytes]) -> Mapping[UUID, bytes | None]:
        if self.is_away:
            raise ConnectionError("away")
        return super().add(keys)


def test_keys_that_could_not_be_kept_are_kept_the_next_time() -> None:
    store = Away()
    ring = KeyRing(lambda: store)
    sealed = ring.sealing(HANA).seal("Hana", "name")
    with pytest.raises(ConnectionError):
        ring.settle()
    with pytest.raises(Damaged):
        ring.exported(HANA)
    store.is_away = False
    ring.settle()
    cipher = KeyRing(lambda: store).opening(HANA)
    assert cipher and cipher.open(sealed, "name") == "Hana"


class Meanwhile(MemoryKeys):
    """Keys that take a while to keep: another one of the process stores something meanwhile."""

    ring: KeyRing | None = None

    def add(self, keys: Mapping[UUID, bytes]) -> Mapping[UUID, bytes | None]:
        if ring := self.ring:
            self.ring = None
            ring.settle()
            assert self.find(list(keys)) == keys, "what the other stores is sealed with a key that is kept"
        return super().add(keys)


def test_whoever_stores_while_a_key_is_being_kept_keeps_it_too() -> None:
    store = Meanwhile()
    store.ring = ring = KeyRing(lambda: store)
    ring.sealing(HANA)
    ring.settle()
    assert ring.exported(HANA)


class Counting(MemoryKeys):
    asked = 0

    def find(self, persons: Sequence[UUID]) -> Mapping[UUID, bytes | None]:
        self.asked += 1
        return super().find(persons)


def test_a_process_holds_so_many_keys_and_asks_for_one_it_holds_once_in_a_while() -> None:
    store, clock = Counting(), Clock()
    ring = KeyRing(lambda: store, clock)
    people = [uuid4() for _ in range(KEYS_KEPT + 10)]
    for person in people:
        ring.sealing(person)
    ring.settle()
    store.asked = 0
    for _ in range(3):
        ring.sealing(people[-1])
    assert store.asked == 0
    ring.sealing(people[0])
    ring.sealing(people[0])
    assert store.asked <= 1
    clock.now += LOOKED_UP_EVERY
    ring.sealing(people[-1])
    assert store.asked <= 2
    ring.sealing(uuid4())
    assert len(ring._known) <= KEYS_KEPT + 1


def test_the_same_text_is_sealed_alike_for_a_while_and_what_is_remembered_is_bounded() -> None:
    _, (ring, _) = rings()
    cipher = ring.sealing(HANA)
    assert cipher.seal("Hana", "name") == cipher.seal("Hana", "name") != cipher.seal("Hana", "contact_person")
    for number in range(10 * TEXTS_KEPT):
        cipher.open(cipher.seal(str(number), "name"), "name")
    assert max(len(cipher._sealed), len(cipher._opened)) <= TEXTS_KEPT


def test_threads_that_meet_a_person_together_make_one_key() -> None:
    _, (ring, other) = rings()
    found: list[str] = []
    together = threading.Barrier(8)

    def seal() -> None:
        together.wait()
        found.append(ring.sealing(HANA).seal("Hana", "name"))

    threads = [threading.Thread(target=seal) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ring.settle()
    cipher = other.opening(HANA)
    assert cipher and {cipher.open(text, "name") for text in found} == {"Hana"}
