"""The conversion of a lead, told fact by fact (LED-09)."""

from uuid import UUID, uuid5

import pytest

from chassis.testing.people import SALES
from chassis.testing.sagas import SagaScenario
from contracts.customers import LeadTakenOver, LeadTurnedDown, TakeOverLead
from contracts.leads import CloseLead, LeadConversionBegun, LeadConversionRefused, LeadConverted, ReopenLead
from contracts.people import Person
from contracts.sales import FutureContact, FutureCustomer
from services.conversion.saga import SAGA

LEAD = UUID("a3c1f0de-0000-4000-8000-000000000009")
CUSTOMER, CONTACT = (uuid5(LEAD, what) for what in ("customer", "contact"))
LI = Person(user_id=SALES.user_id, name="li")
DATA = FutureCustomer(name="李雷", mobile="13800000001", own='{"seats":"2"}')
SPEAKS = FutureContact(name="李雷", mobile="13800000001")


def begun(round: int = 1) -> LeadConversionBegun:
    return LeadConversionBegun(
        lead_id=LEAD, round=round, customer_id=CUSTOMER, contact_id=CONTACT, owner=LI, customer=DATA, contact=SPEAKS,
        by=LI,
    )  # fmt: skip


def take_over(round: int = 1) -> TakeOverLead:
    return TakeOverLead(
        lead_id=LEAD, round=round, customer_id=CUSTOMER, contact_id=CONTACT, owner=LI, customer=DATA, contact=SPEAKS,
        by=LI,
    )  # fmt: skip


def close(round: int = 1) -> CloseLead:
    return CloseLead(lead_id=LEAD, round=round, customer_id=CUSTOMER, contact_id=CONTACT, by=LI)


def taken_over(round: int = 1) -> LeadTakenOver:
    return LeadTakenOver(lead_id=LEAD, round=round, customer_id=CUSTOMER, contact_id=CONTACT)


def converted(round: int = 1) -> LeadConverted:
    return LeadConverted(lead_id=LEAD, round=round, customer_id=CUSTOMER, contact_id=CONTACT, by=LI)


WHY = {"code": "DUPLICATE", "refused_for": "records.taken", "params": "{}"}
TURNED_DOWN = LeadTurnedDown(lead_id=LEAD, round=1, **WHY)
REFUSED = LeadConversionRefused(lead_id=LEAD, round=1, **WHY, by=LI)
REOPEN = ReopenLead(lead_id=LEAD, round=1, **WHY, by=LI)


def test_led_09_the_customer_is_entered_and_then_the_lead_is_closed() -> None:
    (
        SagaScenario(SAGA)
        .on(begun())
        .expects(take_over())
        .restarted()
        .on(taken_over())
        .expects(close())
        .restarted()
        .on(converted())
        .expects_nothing()
        .has_ended()
    )


def test_led_09_a_customer_that_can_t_be_entered_gives_the_lead_back() -> None:
    (
        SagaScenario(SAGA)
        .on(begun())
        .on(TURNED_DOWN)
        .expects(REOPEN)
        .is_at("take over", "FAILED")
        .on(TURNED_DOWN)
        .expects_nothing()
        .on(REFUSED)
        .expects_nothing()
        .has_ended()
    )


def test_led_09_a_lead_that_was_given_back_is_converted_again_and_hears_of_no_earlier_round() -> None:
    (
        SagaScenario(SAGA)
        .on(begun())
        .on(TURNED_DOWN)
        .on(REFUSED)
        .on(begun(2))
        .expects(take_over(2))
        .on(TURNED_DOWN)
        .expects_nothing()
        .on(begun(1))
        .expects_nothing()
        .on(taken_over(2))
        .expects(close(2))
        .on(converted(2))
        .has_ended()
    )


@pytest.mark.parametrize("facts", [[begun()], [begun(), taken_over()]], ids=["before", "after"])
def test_led_09_what_is_sent_again_is_the_same_command(facts: list[object]) -> None:
    told = SagaScenario(SAGA)
    for fact in facts:
        told.on(fact)
    first = told.command_ids
    assert first and told.times_out().command_ids == first
    assert told.on(facts[-1]).expects_nothing()
