"""The saga's commands do nothing when they come after their results were forgotten (ADR 0032)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.store.event_store import EventStore
from chassis.store.memory import MemoryRecorder
from chassis.testing.people import SYSTEM, user
from chassis.testing.services import InMemoryService
from contracts.approvals import (
    Approve,
    CallOffApproval,
    Reject,
    RequestApproval,
    Subject,
    case_id_for,
    case_id_of,
)
from contracts.collaboration import TASK, RegisterFile, RemindOfTask
from contracts.customers import CreateCustomer
from contracts.deciders import Decider, Node
from contracts.declare import REGISTRY
from contracts.inventory import AddProduct, Prices, ReceiveStock
from contracts.notices import (
    FollowPushRule,
    NoteAttempt,
    OccasionWays,
    PushRule,
    Receiver,
    SendAgain,
    SetNoticeWays,
    TellPeople,
    notice_id,
    telling_id,
)
from contracts.orders import (
    CancelOrder,
    ChangeOrder,
    CreateOrder,
    LineRequest,
    RetryOrder,
    SetSalesProcess,
    SubmitOrder,
    WithdrawOrder,
)
from contracts.people import Person
from contracts.records import kind_of
from contracts.shipping import Deliver, HandOver
from contracts.types import Money
from services.approvals.application import SERVICE as APPROVALS
from services.collaboration.application import SERVICE as COLLABORATION
from services.conversion.saga import SAGA as CONVERSION
from services.fulfilment.saga import SAGA
from services.notices.application import SERVICE as NOTICES
from services.notices.domain.deliveries import delivery_id

from .company import Company

ADMIN = user("admin", "ADM")
SELLER = user("li", "SAL", superior=user("boss", "SUP"))


class Shop:
    """A company with one product, of which there are `stock`; each command of the saga that was done comes again and
    again, after whatever happens."""

    def __init__(self, *, stock: int, threshold: int = 10_000) -> None:
        self.company = Company(lambda name: EventStore(name, MemoryRecorder()), lambda fact: None)
        self.product, self.customer, self.order = uuid4(), uuid4(), uuid4()
        self.came_late: set[type] = set()
        price = Money(amount=Decimal(10), currency="CNY")
        self.do(
            AddProduct(
                product_id=self.product, name="p", model="m", brand="b", opening_stock=stock,
                prices=Prices(purchase=price, sale=price),
            ),
            by=ADMIN,
        )  # fmt: skip
        self.do(CreateCustomer(customer_id=self.customer, name="c", mobile="13800000000", industry="i"))
        process = SetSalesProcess(threshold=Decimal(threshold), route=("FINANCE",), shipping="WAREHOUSE")
        self.do(process, by=ADMIN)
        line = LineRequest(product_id=self.product, quantity=1)
        self.do(CreateOrder(order_id=self.order, customer_id=self.customer, lines=(line,)))
        self.do(SubmitOrder(order_id=self.order))

    def do(self, command: Any, by: Any = SELLER) -> None:
        self.company.do(command, by, str(uuid4()), keyed=True)
        self._nothing_happens()
        while waiting := self.company.waiting():
            self.company.deliver(waiting[0])
            self._nothing_happens()

    def case(self, round: int = 1) -> UUID:
        return case_id_of(self.order, round)

    def _nothing_happens(self) -> None:
        before = self.company.last_positions()
        for sent in self.company.carried_out:
            self.came_late.add(type(self.company.deliver_forgotten(sent)))
            assert self.company.last_positions() == before, f"{sent.command} was done twice"


def delivered() -> Shop:
    shop = Shop(stock=5, threshold=0)
    shop.do(Approve(case_id=shop.case()), by=ADMIN)
    shop.do(HandOver(order_id=shop.order), by=ADMIN)
    shop.do(Deliver(order_id=shop.order), by=ADMIN)
    return shop


def rejected_and_submitted_again() -> Shop:
    shop = Shop(stock=5, threshold=0)
    shop.do(Reject(case_id=shop.case(), reason="dear"), by=ADMIN)
    line = LineRequest(product_id=shop.product, quantity=2)
    shop.do(ChangeOrder(order_id=shop.order, customer_id=shop.customer, lines=(line,)))
    shop.do(SubmitOrder(order_id=shop.order))
    shop.do(Approve(case_id=shop.case(2)), by=ADMIN)
    shop.do(HandOver(order_id=shop.order), by=ADMIN)
    return shop


def withdrawn_and_submitted_again() -> Shop:
    shop = Shop(stock=5, threshold=0)
    for _ in range(2):
        shop.do(WithdrawOrder(order_id=shop.order))
        shop.do(SubmitOrder(order_id=shop.order))
    shop.do(Approve(case_id=shop.case(3)), by=ADMIN)
    return shop


def held_and_tried_again() -> Shop:
    shop = Shop(stock=0)
    shop.do(RetryOrder(order_id=shop.order), by=ADMIN)
    shop.do(ReceiveStock(product_id=shop.product, quantity=3, reason="r"), by=ADMIN)
    shop.do(RetryOrder(order_id=shop.order), by=ADMIN)
    shop.do(CancelOrder(order_id=shop.order, reason="r"), by=ADMIN)
    return shop


def cancelled_in_the_warehouse() -> Shop:
    shop = Shop(stock=5)
    shop.do(CancelOrder(order_id=shop.order, reason="r"), by=ADMIN)
    return shop


JOURNEYS = (
    delivered,
    rejected_and_submitted_again,
    withdrawn_and_submitted_again,
    held_and_tried_again,
    cancelled_in_the_warehouse,
)


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.__name__)
def test_what_comes_late_does_nothing(journey: Callable[[], Shop]) -> None:
    assert journey().came_late


# -- approvals of other subjects than orders, asked for by whatever waits for them (ADR 0044)

ERRAND, CASE = UUID(int=7), case_id_for("errand", UUID(int=7), 1)
REQUEST = RequestApproval(
    case_id=CASE,
    subject=Subject(kind="errand", id=ERRAND, title="errand"),
    nodes=tuple(Node(key=key, deciders=(Decider(kind="ROLE", role="FIN"),)) for key in ("first", "second")),
    submitter=Person(user_id=SELLER.user_id, name=SELLER.name),
)
CALL_OFF = CallOffApproval(case_id=CASE, reason="WITHDRAWN", undecided=True)
FIRST, SECOND = user("chen", "FIN"), user("sun", "FIN")
ENDS: dict[str, list[tuple[Any, Any]]] = {
    "approved": [(REQUEST, SYSTEM), (Approve(case_id=CASE), FIRST), (Approve(case_id=CASE), SECOND)],
    "rejected": [(REQUEST, SYSTEM), (Approve(case_id=CASE), FIRST), (Reject(case_id=CASE, reason="r"), SECOND)],
    "called off": [(REQUEST, SYSTEM), (Approve(case_id=CASE), FIRST), (CALL_OFF, SYSTEM)],
    "decided too late": [(REQUEST, SYSTEM), (Reject(case_id=CASE, reason="r"), FIRST), (CALL_OFF, SYSTEM)],
    "called off first": [(CALL_OFF, SYSTEM), (REQUEST, SYSTEM)],
}


@pytest.mark.parametrize("steps", ENDS.values(), ids=ENDS)
def test_what_comes_late_of_any_subject_does_nothing(steps: list[tuple[Any, Any]]) -> None:
    kit, sent = InMemoryService(APPROVALS), list[Any]()
    for command, by in steps:
        kit.do(command, by)
        sent += [command] if by is SYSTEM else []
        before = kit.store.last_position()
        for late in sent:
            kit.do(late, SYSTEM)
            assert kit.store.last_position() == before, f"{late} was done twice"


def test_a_file_that_is_registered_late_is_registered_once() -> None:
    """Its only sender is the way by which files come, which waits for it; so it never should."""
    kit = InMemoryService(COLLABORATION)
    command = RegisterFile(file_id=uuid4(), size=1, sha256="00", media_type="text/plain")
    kit.do(command, by=SELLER)
    before = kit.store.last_position()
    for by in (SELLER, ADMIN, SYSTEM):
        kit.do(replace(command, size=2), by=by)
    assert kit.store.last_position() == before


def test_a_task_is_reminded_of_once_however_late_its_moment_is_told_again() -> None:
    """Its only sender is the keeper of the service; it may find again what was not heard of yet."""
    kit, id = InMemoryService(COLLABORATION), uuid4()
    at = kit.now
    kit.do(TASK.create(task_id=id, title="x", due_at=at + timedelta(hours=1), remind_minutes=60), by=SELLER)
    command = RemindOfTask(task_id=id, at=at)
    kit.do(command, by=SYSTEM)
    for after in (TASK.edit(task_id=id, title="y"), TASK.set_status(task_id=id, status="DONE", reason="x"),
                  TASK.set_status(task_id=id, status="OPEN"), TASK.delete(task_id=id)):  # fmt: skip
        kit.do(after, by=SELLER)
        before = kit.store.last_position()
        kit.do(command, by=SYSTEM)
        assert kit.store.last_position() == before


def test_what_people_are_told_late_they_are_told_once() -> None:
    """Also when it comes after what was made of it was sent, or has failed."""
    kit = InMemoryService(NOTICES)
    kit.directory.introduce(ADMIN)
    kit.do(SetNoticeWays(ways=(OccasionWays(occasion="STOCK_LOW", ways=("MAIL",)),)), by=ADMIN)
    system = replace(SYSTEM, organisation=kit.directory)
    receivers = (Receiver(kind="USER", user_id=ADMIN.user_id),)
    tell = TellPeople(telling_id=telling_id("x"), occasion="STOCK_LOW", receivers=receivers, happened_at=kit.now)
    kit.do(tell, by=system)
    assert ADMIN.user_id
    delivery = delivery_id(notice_id(tell.telling_id, ADMIN.user_id), "MAIL")
    first = NoteAttempt(delivery_id=delivery, attempt=1, reason="RECIPIENT_550", for_good=True)
    second = NoteAttempt(delivery_id=delivery, attempt=2)
    for command in (first, SendAgain(delivery_id=delivery), second):
        kit.do(command, by=ADMIN if isinstance(command, SendAgain) else system)
        before = kit.store.last_position()
        for late in (tell, first):
            kit.do(late, by=system)
        assert kit.store.last_position() == before
    kit.do(second, by=system)
    assert kit.store.last_position() == before


def test_a_rule_that_is_told_late_is_followed_once() -> None:
    """Also when the rule was changed, or taken away, since."""
    kit = InMemoryService(NOTICES)
    kit.directory.introduce(ADMIN)
    system, rule, id = replace(SYSTEM, organisation=kit.directory), kind_of(PushRule), uuid4()
    said = {"name": "new leads", "record_kind": "lead", "event": "CREATED", "to_users": (ADMIN.user_id,)}
    kit.do(rule.create(push_rule_id=id, **said), by=ADMIN)
    follow = FollowPushRule(
        run_id=uuid4(), push_rule_id=id, met=True, record_kind="lead", record_id=uuid4(), happened_at=kit.now
    )
    kit.do(follow, by=system)
    for after in (rule.edit(push_rule_id=id, event="DELETED"), rule.delete(push_rule_id=id)):
        before = kit.store.last_position()
        kit.do(follow, by=system)
        assert kit.store.last_position() == before
        kit.do(after, by=ADMIN)
    before = kit.store.last_position()
    kit.do(follow, by=system)
    assert kit.store.last_position() == before


def test_each_command_of_the_inboxes_came_late() -> None:
    """Whoever adds one that is not of the order saga: show here too that it is harmless when it comes late.

    Of those of conversions tests/contract/test_conversion.py shows it.
    """
    came_late = set[type]().union(*(journey().came_late for journey in JOURNEYS))
    assert came_late == SAGA.sends()
    of_any_subject = {type(command) for steps in ENDS.values() for command, by in steps if by is SYSTEM}
    shown_above = {
        FollowPushRule,
        RegisterFile,
        RemindOfTask,
        TellPeople,
        NoteAttempt,
        *of_any_subject,
        *CONVERSION.sends(),
    }
    assert came_late | shown_above == {spec.cls for spec in REGISTRY.commands.values() if not spec.is_public}
