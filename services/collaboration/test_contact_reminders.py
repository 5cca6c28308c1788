"""Who has planned contact for a day is reminded of it on that day (COM-01, NTF-04)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest

from chassis.documents.samples import sample
from chassis.model.principal import Principal
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.testing.keys import holding
from chassis.testing.people import ADMIN, SALES, SUPERVISOR, user
from chassis.testing.services import InMemoryService
from contracts.collaboration import (
    DeleteCommunication,
    EditCommunication,
    LogCommunication,
    NextContactDue,
    RemindOfContact,
)
from contracts.customers import CUSTOMER, Contact
from contracts.orders import OrderChanged, OrderCreated
from contracts.people import NOBODY, Person
from contracts.records import kind_of
from contracts.schemas import load
from services.collaboration import application
from services.collaboration.application import SERVICE

OTHER = user("wu", "SAL", superior=SUPERVISOR)
CONTACT = kind_of(Contact)
by_hand: Any = RemindOfContact
DAY = date(2026, 3, 5)
"""Three days after the tests begin."""


class Desk:
    """The service; it hears at once of what it tells itself."""

    def __init__(self) -> None:
        self.kit = InMemoryService(SERVICE)
        for one in (ADMIN, SALES, SUPERVISOR, OTHER):
            self.kit.known(one)
        self.keep()

    def do(self, command: Any, by: Principal = SALES) -> None:
        self.kit.do(command, by)
        self.hears()

    def hears(self) -> None:
        self.kit.learn(*[fact for fact in self.kit.new_facts() if type(fact).__module__.startswith("contracts.")])

    def keep(self) -> None:
        self.kit.keep_schedules()
        self.hears()

    def customer(self, **more: Any) -> UUID:
        id = uuid4()
        self.kit.learn(fact(CUSTOMER.created, customer_id=id, owner=person(SALES), **more))
        return id

    def contact_at(self, customer: UUID) -> UUID:
        id, made = uuid4(), fact(CONTACT.created)
        self.kit.learn(replace(made, contact_id=id, data=replace(made.data, customer_id=customer)))
        return id

    def log(self, id: UUID, by: Principal = SALES, kind: str = "customer", day: date | None = DAY, **more: Any) -> UUID:
        about: dict[str, Any] = {"subject_kind": kind, "subject_id": id, "way": "PHONE", "text": "x", "next_plan": "y"}
        command = LogCommunication(communication_id=uuid4(), next_contact_on=day, **about, **more)
        self.do(command, by)
        return command.communication_id

    def morning(self, day: date) -> None:
        """It is nine o'clock of a day in Shanghai, and what is due is done."""
        self.kit.now = datetime(day.year, day.month, day.day, 1, tzinfo=UTC)
        self.keep()

    def reminded(self) -> list[tuple[UUID, date, str]]:
        """Of what, of which day, whom."""
        facts = [fact for fact in self.kit.facts() if isinstance(fact, NextContactDue)]
        return [(fact.communication_id, fact.day, fact.to.name) for fact in facts]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def person(of: Principal) -> Person:
    return Person(user_id=of.user_id, name=of.name)


def fact(cls: type, **given: Any) -> Any:
    return replace(load(cls, sample(cls)), **given)


def days(number: int) -> timedelta:
    return timedelta(days=number)


def test_ntf_04_who_planned_contact_is_reminded_on_that_day_once(desk: Desk) -> None:
    id = desk.log(desk.customer())
    desk.morning(DAY - days(1))
    assert desk.reminded() == []
    desk.morning(DAY)
    desk.do(by_hand(), ADMIN)
    desk.morning(DAY + days(1))
    assert desk.reminded() == [(id, DAY, "li")]
    [told] = [fact for fact in desk.kit.facts() if isinstance(fact, NextContactDue)]
    assert told.next_plan == "y"


def test_ntf_04_contact_that_was_taken_away_is_not_reminded_of_nor_before_it_is_time(desk: Desk) -> None:
    gone, moved = (desk.customer() for _ in range(2))
    taken, other = desk.log(gone), desk.log(moved)
    desk.do(DeleteCommunication(communication_id=taken))
    desk.do(EditCommunication(communication_id=other, next_contact_on=DAY + days(1)))
    desk.morning(DAY)
    assert desk.reminded() == []
    desk.morning(DAY + days(1))
    assert desk.reminded() == [(other, DAY + days(1), "li")], "of the day to which it was moved"


def test_ntf_04_contact_on_the_day_itself_ends_the_plan(desk: Desk) -> None:
    customer = desk.customer()
    desk.log(customer)
    desk.kit.now = datetime(2026, 3, 4, 23, tzinfo=UTC)  # seven o'clock on the day
    desk.log(customer, day=None)
    desk.morning(DAY)
    assert desk.reminded() == []


def test_ntf_04_of_a_contact_and_its_customer_it_is_one_reminder(desk: Desk) -> None:
    id = desk.log(desk.contact_at(desk.customer()), kind="contact")
    desk.morning(DAY)
    assert desk.reminded() == [(id, DAY, "li")]


def test_ntf_04_who_sees_the_record_no_more_is_not_reminded_and_whose_it_is_now_is(desk: Desk) -> None:
    customer, pooled = desk.customer(), desk.customer()
    id = desk.log(customer)
    desk.log(pooled)
    hands = {"before": person(SALES)}
    desk.kit.learn(fact(CUSTOMER.assigned, customer_id=customer, owner=person(OTHER), **hands))
    desk.kit.learn(fact(CUSTOMER.assigned, customer_id=pooled, owner=NOBODY, **hands))
    desk.morning(DAY)
    assert desk.reminded() == [(id, DAY, "wu")]


def test_ntf_04_of_a_record_that_was_deleted_nobody_is_reminded(desk: Desk) -> None:
    customer = desk.customer()
    desk.log(customer)
    desk.kit.learn(CUSTOMER.deleted(customer_id=customer))
    desk.morning(DAY)
    assert desk.reminded() == []


def test_ntf_04_days_that_were_missed_are_made_up_for_once_and_old_ones_are_not(desk: Desk) -> None:
    id = desk.log(desk.customer())
    desk.morning(DAY + days(3))
    assert desk.reminded() == [(id, DAY, "li")]
    desk.log(desk.customer(), day=DAY + days(4))
    desk.morning(DAY + days(12))
    assert len(desk.reminded()) == 1


def test_ntf_04_a_clock_that_jumps_over_midnight_and_back_reminds_once(desk: Desk) -> None:
    desk.log(desk.customer())
    for day in (DAY + days(1), DAY - days(1), DAY, DAY + days(1)):
        desk.morning(day)
    assert len(desk.reminded()) == 1


def test_ntf_04_many_are_reminded_in_parts(desk: Desk) -> None:
    ids = {desk.log(desk.customer()) for _ in range(5)}
    with mock.patch.object(application, "REMINDED_AT_ONCE", 2):
        desk.morning(DAY)
    assert {id for id, *_ in desk.reminded()} == ids and len(desk.reminded()) == 5


def test_cpl_01_a_plan_is_sealed_with_the_key_of_whom_it_tells_of(desk: Desk) -> None:
    """An order whose customer was changed since tells of another person."""
    order, before, after = uuid4(), desk.customer(), desk.customer()
    made = fact(OrderCreated, order_id=order, owner=person(SALES))
    desk.kit.learn(replace(made, customer=replace(made.customer, customer_id=before)))
    desk.log(order, kind="order")
    changed = fact(OrderChanged, order_id=order)
    desk.kit.learn(replace(changed, customer=replace(changed.customer, customer_id=after)))
    desk.morning(DAY)
    [told] = [one for one in desk.kit.facts() if isinstance(one, NextContactDue)]
    assert told.person_id == before


def test_cpl_01_of_who_was_erased_nobody_is_reminded(desk: Desk) -> None:
    kept = MemoryKeys()
    ring = KeyRing(lambda: kept)
    with holding(ring):
        erased, customer = desk.customer(), desk.customer()
        desk.log(erased)
        id = desk.log(customer)
        ring.destroy(erased)
        desk.morning(DAY)
        assert desk.reminded() == [(id, DAY, "li")]
