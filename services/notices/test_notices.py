"""People are told of what concerns them, each once, in their language; their notices are their own (NTF-01..07)."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.messaging.inbox import HeardHere
from chassis.model.principal import SYSTEM, Principal
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.testing.keys import holding
from chassis.testing.people import ADMIN, FINANCE, MANAGER, SALES, SUPERVISOR, WAREHOUSE
from chassis.testing.records import heard_of
from chassis.testing.services import InMemoryService
from chassis.writer import unit_of_work
from contracts.access import DepartmentAdded, UserEdited, UserState
from contracts.approvals import (
    CaseOpened,
    CaseOpenedV2,
    CaseRejected,
    CaseRejectedV2,
    CaseReminded,
    NodeApproved,
    NodeApprovedV2,
    Subject,
)
from contracts.collaboration import TASK, CommentEdited, CommentWritten, NextContactDue, Task, TaskReminded
from contracts.deciders import Decider, Node
from contracts.inventory import Attributes, Prices, ProductAdded, ProductDeleted, StockFellLow
from contracts.languages import Language
from contracts.notices import (
    Announce,
    Announced,
    NoticeForgotten,
    NoticeGiven,
    NoticeRead,
    ReadEarlierNotices,
    ReadNotice,
    Receiver,
    TellingGoesOn,
    TellPeople,
    telling_id,
)
from contracts.occasions import KIND, OCCASIONS, RULE_OCCASION, Filled, filled, places
from contracts.orders import OrderHeld
from contracts.people import NOBODY, SALESTREAM, Person, Preferences
from contracts.records import Kind
from contracts.texts import texts
from contracts.types import Money, ReasonField
from services.notices import application, sending
from services.notices.application import KEPT, SERVICE, UNREAD
from services.notices.domain.notices import KEPT_DAYS
from services.notices.known_of_others import POOLED

PEOPLE = (ADMIN, FINANCE, MANAGER, SALES, SUPERVISOR, WAREHOUSE)
PRODUCT, ORDER, CASE = uuid4(), uuid4(), uuid4()
DUE = datetime(2026, 3, 9, 1, tzinfo=UTC)
TEN = Money(amount=Decimal("10.00"), currency="CNY")
ADDED = ProductAdded(
    product_id=PRODUCT,
    attributes=Attributes(name="Kettle", model="K-1", brand="Pan"),
    prices=Prices(purchase=TEN, sale=TEN),
    alert_quantity=10,
)
LOW = StockFellLow(product_id=PRODUCT, balance=9, alert_quantity=10)


def id_of(of: Principal) -> UUID:
    assert of.user_id is not None
    return of.user_id


def person(of: Principal) -> Person:
    return Person(user_id=of.user_id, name=of.name)


HELD = OrderHeld(order_id=ORDER, round=1, attempt=1, reason="INSUFFICIENT_STOCK", number="SO-7", owner=person(SALES))
REJECTED: dict[str, Any] = {
    "case_id": CASE,
    "round": 1,
    "reason": "too dear",
    "by": person(SUPERVISOR),
    "title": "SO-7",
    "submitter": person(SALES),
}


@pytest.fixture
def kit() -> InMemoryService:
    """Everybody is there, and the product is known."""
    made = InMemoryService(SERVICE)
    for one in PEOPLE:
        made.directory.introduce(one)
    made.hear(ADDED)
    return made


def given(kit: InMemoryService) -> list[NoticeGiven]:
    """What people were told since this was last asked; the replicas of the service hear of it."""
    found = [fact for fact in kit.new_facts() if isinstance(fact, NoticeGiven)]
    kit.learn(*found)
    return found


def told(kit: InMemoryService) -> dict[str, str]:
    """Whom, by name, and what."""
    names = {one.user_id: one.name for one in PEOPLE}
    return {names.get(fact.receiver_id, str(fact.receiver_id)): fact.text for fact in given(kit)}


def announced(kit: InMemoryService, *to: Receiver, text: str = "at eight") -> dict[str, str]:
    kit.do(Announce(title="Update", text=text, receivers=to))
    return told(kit)


# -- of what people are told


def test_ntf_01_who_restocks_is_told_when_stock_falls_low(kit: InMemoryService) -> None:
    """ACC-16."""
    kit.hear(LOW)
    text = "Kettle K-1 的库存降至 9，低于预警数量 10，请及时补货。"
    assert told(kit) == {"wang": text, "admin": text}


def test_ntf_01_of_a_product_that_is_gone_nobody_is_told(kit: InMemoryService) -> None:
    kit.hear(ProductDeleted(product_id=PRODUCT), LOW)
    assert told(kit) == {}


def test_ord_14_owner_and_warehouse_are_told_of_an_order_on_hold(kit: InMemoryService) -> None:
    kit.hear(HELD)
    assert told(kit).keys() == {"li", "wang", "admin"}


@pytest.mark.parametrize("v2", [False, True])
def test_apr_09_who_asked_is_told_that_it_was_turned_down_and_why(kit: InMemoryService, v2: bool) -> None:
    fact: Any = (
        CaseRejectedV2(kind="quotation", subject_id=ORDER, node="FIRST", **REJECTED)
        if v2
        else CaseRejected(order_id=ORDER, node="SUPERVISOR", **REJECTED)
    )
    kit.hear(fact)
    [notice] = given(kit)
    assert (notice.receiver_id, notice.text) == (SALES.user_id, "SO-7 被 sato 驳回：too dear")
    assert (notice.record_kind, notice.record_id, notice.by) == ("approval case", CASE, person(SUPERVISOR))


def reminded(*awaited: Decider, decided: tuple[UUID, ...] = (), right: str = "") -> CaseReminded:
    return CaseReminded(
        case_id=CASE,
        kind="order",
        subject_id=ORDER,
        day=date(2026, 3, 2),
        title="SO-7",
        submitter=person(SALES),
        awaited=awaited,
        decided=decided,
        right=right,
    )


@pytest.mark.parametrize(
    ("decider", "names"),
    [
        (Decider(kind="SUPERIOR"), {"sato"}),
        (Decider(kind="ROLE", role="FIN"), {"chen"}),
        (Decider(kind="RIGHT", right="payments"), {"chen", "admin"}),
        (Decider(kind="RIGHT", right="orders.approve"), {"sato", "chen", "admin"}),
        (Decider(kind="USER", user_id=MANAGER.user_id), {"mei"}),
        (Decider(kind="SUPERIOR", user_id=SALES.user_id), {"sato"}),
    ],
)
def test_ntf_04_who_decides_is_reminded(kit: InMemoryService, decider: Decider, names: set[str]) -> None:
    kit.hear(reminded(decider))
    assert told(kit) == dict.fromkeys(names, "li 提交的 SO-7 等待您审批。")


def test_ntf_04_neither_who_asked_nor_who_has_decided_is_reminded(kit: InMemoryService) -> None:
    assert FINANCE.user_id
    everybody = Decider(kind="ROLE", role="FIN"), Decider(kind="ROLE", role="SAL"), Decider(kind="ROLE", role="WHS")
    kit.hear(reminded(*everybody, decided=(FINANCE.user_id,)))
    assert told(kit).keys() == {"wang"}


def test_ntf_04_where_nobody_is_left_who_leads_everybody_is_reminded(kit: InMemoryService) -> None:
    """They decide it then (APR-12)."""
    kit.hear(reminded(Decider(kind="ROLE", role="BRO")))
    assert told(kit).keys() == {"admin"}


def test_apr_12_whoever_may_not_decide_is_not_reminded_as_the_last_one_there(kit: InMemoryService) -> None:
    """They have decided another node, and nobody is left for this one."""
    kit.hear(reminded(Decider(kind="ROLE", role="BRO"), decided=(id_of(ADMIN),)))
    assert told(kit) == {}


def test_apr_12_who_took_over_from_who_asked_is_not_reminded(kit: InMemoryService) -> None:
    kit.directory.tell([user_told(SALES, status="DELETED", successor_id=MANAGER.user_id)])
    kit.hear(reminded(Decider(kind="ROLE", role="MGT"), Decider(kind="ROLE", role="WHS")))
    assert told(kit).keys() == {"wang"}


@pytest.mark.parametrize("kind", ["USER", "SUPERIOR"])
def test_apr_12_who_decides_in_the_place_of_one_who_may_not_is_reminded(kit: InMemoryService, kind: Any) -> None:
    """The next one above who holds what the case needs."""
    kit.directory.tell([
        user_told(WAREHOUSE, superior_id=SUPERVISOR.user_id, roles=("WHS",)),
        user_told(SUPERVISOR, superior_id=ADMIN.user_id, roles=("SUP",)),
    ])  # fmt: skip
    kit.hear(reminded(Decider(kind=kind, user_id=WAREHOUSE.user_id), right="contracts.approve"))
    assert told(kit).keys() == {"admin"}


def test_cpl_01_of_an_announcement_to_all_who_was_erased_is_left_out(
    kit: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their account is in use as far as is heard here."""
    monkeypatch.setattr(unit_of_work, "is_erased", lambda person: person == SALES.user_id)
    assert announced(kit, Receiver(kind="EVERYBODY")).keys() == {one.name for one in PEOPLE} - {"li"}


ASKED = "li 提交了 SO-7，请您审批。"
BY_DESK = Node(key="desk", deciders=(Decider(kind="ROLE", role="FIN"),))
BY_ALL = Node(key="all", deciders=(*BY_DESK.deciders, Decider(kind="USER", user_id=MANAGER.user_id)), all_of=True)


def opened(*nodes: Node, submitter: Principal = SALES) -> CaseOpenedV2:
    """A case of a quotation, of which the service hears."""
    subject = Subject(kind="quotation", id=ORDER, title="SO-7")
    return CaseOpenedV2(case_id=CASE, subject=subject, nodes=nodes, submitter=person(submitter))


def agreed(by: Principal, following: Node | None, *decided: Principal, **more: Any) -> NodeApprovedV2:
    """Somebody has approved a node of it, as others have before."""
    about: dict[str, Any] = {"case_id": CASE, "kind": "quotation", "subject_id": ORDER, "node": "x", "title": "SO-7"}
    ids = tuple(map(id_of, (*decided, by)))
    return NodeApprovedV2(**about, by=person(by), next=following, submitter=person(SALES), decided=ids, **more)


def test_apr_01_who_decides_first_is_told_at_once_that_a_case_waits_for_them(kit: InMemoryService) -> None:
    kit.hear(opened(BY_DESK, BY_ALL))
    [notice] = given(kit)
    assert (notice.receiver_id, notice.text, notice.occasion) == (FINANCE.user_id, ASKED, "APPROVAL_ASKED")
    assert (notice.record_kind, notice.record_id) == ("approval case", CASE)


def test_apr_02_who_decides_next_is_told_when_it_is_their_turn(kit: InMemoryService) -> None:
    """Those whom a node needs besides were told then, and nobody who has decided is told."""
    kit.hear(agreed(SUPERVISOR, BY_ALL))
    assert told(kit) == {"chen": ASKED, "mei": ASKED}
    kit.hear(agreed(FINANCE, BY_ALL, SUPERVISOR, awaited=(Decider(kind="USER", user_id=MANAGER.user_id),)))
    assert told(kit) == {}
    kit.hear(agreed(MANAGER, BY_DESK, SUPERVISOR, FINANCE), agreed(MANAGER, None, SUPERVISOR, FINANCE))
    assert told(kit).keys() == {"admin"}, "who leads everybody decides where nobody is left"


def test_apr_12_who_asked_is_not_told_that_a_case_waits_for_them(kit: InMemoryService) -> None:
    kit.hear(opened(BY_ALL, submitter=FINANCE))
    assert told(kit).keys() == {"mei"}


def test_apr_12_a_case_of_an_order_is_told_to_who_holds_what_deciding_it_needs(kit: InMemoryService) -> None:
    """Of the superior who lacks it the next one above, at either node; in the words of orders too."""
    kit.directory.tell([
        user_told(SALES, superior_id=WAREHOUSE.user_id, roles=("SAL",)),
        user_told(WAREHOUSE, superior_id=SUPERVISOR.user_id, roles=("WHS", "LEAD")),
        user_told(SUPERVISOR, superior_id=ADMIN.user_id, roles=("SUP",)),
    ])  # fmt: skip
    about: dict[str, Any] = {"case_id": CASE, "order_id": ORDER}
    asked: dict[str, Any] = {"number": "SO-7", "customer_name": "Acme", "total": TEN}
    kit.hear(CaseOpened(**about, **asked, route=("SUPERVISOR", "FINANCE"), round=1, submitter=person(SALES)))
    assert told(kit) == {"sato": ASKED}
    decided: dict[str, Any] = {"by": person(SUPERVISOR), "decided": (id_of(SUPERVISOR),)}
    named: dict[str, Any] = {"title": "SO-7", "submitter": person(SALES)}
    kit.hear(NodeApproved(**about, **decided, **named, node="SUPERVISOR", next="FINANCE"))
    assert told(kit) == {"chen": ASKED, "admin": ASKED}


@pytest.mark.parametrize(
    "older",
    [
        NodeApproved(case_id=CASE, order_id=ORDER, node="SUPERVISOR", by=person(SUPERVISOR), next="FINANCE"),
        OrderHeld(order_id=ORDER, round=1, attempt=1, reason="INSUFFICIENT_STOCK"),
        CaseReminded(case_id=CASE, kind="order", subject_id=ORDER, day=date(2026, 3, 2)),
        CaseRejected(**{name: REJECTED[name] for name in ("case_id", "round", "reason", "by")}, order_id=ORDER,
                     node="FINANCE"),
    ],
    ids=lambda fact: type(fact).__name__,
)  # fmt: skip
def test_an_older_event_that_does_not_say_whom_tells_nobody(kit: InMemoryService, older: Any) -> None:
    kit.hear(older)
    assert kit.new_facts() == []


# -- records that change hands


class Shelf:
    """Records of a kind with a pool, of which the service hears."""

    def __init__(self, kit: InMemoryService, kind: Kind) -> None:
        self.kit, self.kind = kit, kind

    def entered(self) -> tuple[UUID, str]:
        """A record that the service has heard of: its id, and what it is called."""
        fact = heard_of(self.kind, id := uuid4(), SALES)
        self.kit.hear(fact)
        return id, getattr(self.kind.layout.read(fact), self.kind.called)

    def told(self, id: UUID, owner: Person, before: Person, by: Person, **more: Any) -> dict[str, str]:
        """Whom, by name, and what, once the record has changed hands."""
        self.kit.hear(self.kind.assigned(**{self.kind.key: id}, owner=owner, before=before, by=by, **more))
        return told(self.kit)

    def called(self, language: Language) -> str:
        return texts("kinds")[self.kind.what].in_language(language)


@pytest.fixture(params=POOLED, ids=lambda kind: kind.what)
def shelf(kit: InMemoryService, request: pytest.FixtureRequest) -> Shelf:
    return Shelf(kit, request.param)


def test_led_04_cus_14_who_is_given_a_record_is_told_and_so_is_who_had_it(kit: InMemoryService, shelf: Shelf) -> None:
    kind, (id, name) = shelf.called("zh"), shelf.entered()
    text = f"sato 将{kind}“{name}”分配给 li。"
    assert shelf.told(id, person(SALES), NOBODY, person(SUPERVISOR)) == {"li": text}
    assert shelf.told(id, person(MANAGER), person(SALES), person(SUPERVISOR)) == {
        "mei": f"sato 将{kind}“{name}”分配给 mei。",
        "li": f"sato 将 li 的{kind}“{name}”转给 mei。",
    }
    assert shelf.told(id, person(SUPERVISOR), person(MANAGER), person(SUPERVISOR)).keys() == {"mei"}


def test_led_03_cus_13_who_claims_gives_back_or_hands_on_a_record_is_not_told(shelf: Shelf) -> None:
    id, _ = shelf.entered()
    li = person(SALES)
    assert shelf.told(id, li, NOBODY, li, came_by="CLAIMED") == {}
    assert shelf.told(id, NOBODY, li, li, came_by="RETURNED", reason="no need") == {}
    assert shelf.told(id, person(MANAGER), li, li).keys() == {"mei"}


def test_led_07_who_stands_in_for_who_had_a_record_is_not_told_what_they_did_with_it(
    kit: InMemoryService, shelf: Shelf
) -> None:
    """Nor twice, where it is given to them; and nobody else hears of it in their place."""
    id, _ = shelf.entered()
    kit.directory.tell([user_told(SALES, status="DELETED", successor_id=MANAGER.user_id)])
    li, mei = person(SALES), person(MANAGER)
    assert shelf.told(id, NOBODY, li, mei, came_by="RETURNED", reason="no need") == {}
    assert shelf.told(id, mei, li, person(SUPERVISOR)).keys() == {"mei"}
    assert shelf.told(id, person(SUPERVISOR), li, person(SUPERVISOR)).keys() == {"mei"}


def test_led_07_who_loses_a_record_that_somebody_else_returned_is_told_why(shelf: Shelf) -> None:
    id, name = shelf.entered()
    told = shelf.told(id, NOBODY, person(SALES), person(SUPERVISOR), came_by="RETURNED", reason="no need")
    assert told == {"li": f"sato 将 li 的{shelf.called('zh')}“{name}”退回公共池：no need"}


def test_cus_17_led_06_whose_record_soon_goes_back_is_told_when_and_by_which_rule(
    kit: InMemoryService, shelf: Shelf
) -> None:
    id, name = shelf.entered()
    about = {shelf.kind.key: id, "owner": person(SALES), "due_on": date(2026, 3, 9), "reason": "三十天未跟进"}
    kit.hear(shelf.kind.recycling_near(**about))
    kind = shelf.called("zh")
    text = f"li 的{kind}“{name}”若仍未跟进，将于 2026-03-09 按回收规则“三十天未跟进”退回公共池。"
    assert told(kit) == {"li": text}


def entered_task(owner: Person, by: Person) -> Any:
    data = Task(title="寄样品", priority="NORMAL")
    return TASK.created(task_id=ORDER, data=data, owner=owner, status="OPEN", by=by)


def test_tsk_01_who_is_given_a_task_by_somebody_else_is_told(kit: InMemoryService) -> None:
    li, sato, mei = person(SALES), person(SUPERVISOR), person(MANAGER)
    kit.hear(entered_task(li, li), entered_task(NOBODY, sato))
    assert told(kit) == {}
    kit.hear(entered_task(li, sato))
    assert told(kit) == {"li": "sato 给您分配了任务“寄样品”。"}
    kit.hear(TASK.assigned(task_id=ORDER, owner=mei, before=li, by=sato))
    kit.hear(TASK.assigned(task_id=ORDER, owner=sato, before=mei, by=sato))
    assert told(kit) == {"mei": "sato 给您分配了任务“寄样品”。"}


def due_task(owner: Person, *others: Principal) -> TaskReminded:
    about: dict[str, Any] = {"task_id": ORDER, "at": DUE, "due_at": DUE, "title": "寄样品"}
    return TaskReminded(**about, owner=owner, others=tuple(map(id_of, others)))


def test_ntf_04_whose_task_it_is_and_who_has_a_part_in_it_are_reminded_and_led_to_it(kit: InMemoryService) -> None:
    kit.hear(due_task(person(SALES), MANAGER), due_task(NOBODY))
    notices = given(kit)
    assert {one.receiver_id for one in notices} == {SALES.user_id, MANAGER.user_id}
    assert {one.text for one in notices} == {"任务“寄样品”到了提醒时间，请留意截止时间。"}
    assert {(one.record_kind, one.record_id, one.person_id) for one in notices} == {("task", ORDER, ORDER)}


def test_ntf_04_who_took_over_from_a_leaver_is_reminded_of_their_task(kit: InMemoryService) -> None:
    kit.directory.tell([user_told(SALES, status="DELETED", successor_id=MANAGER.user_id)])
    kit.hear(due_task(person(SALES)))
    assert told(kit).keys() == {"mei"}


def test_ntf_04_who_planned_contact_is_reminded_of_it_with_what_the_record_is_called(
    kit: InMemoryService, shelf: Shelf
) -> None:
    id, name = shelf.entered()
    about: dict[str, Any] = {"subject_kind": shelf.kind.code, "subject_id": id, "person_id": id, "next_plan": "寄样品"}
    kit.hear(NextContactDue(communication_id=CASE, day=DUE.date(), to=person(SALES), **about))
    assert told(kit) == {"li": f"{shelf.called('zh')}“{name}”计划于 2026-03-09 联系：寄样品"}


@pytest.mark.parametrize("by", [SALESTREAM, person(SALES)], ids=["by itself", "by hand"])
def test_cus_17_led_06_whose_record_was_recycled_is_told_by_which_rule(shelf: Shelf, by: Person) -> None:
    """Also who has had the rules carried out, of their own records."""
    id, name = shelf.entered()
    told = shelf.told(id, NOBODY, person(SALES), by, came_by="RECYCLED", reason="三十天未跟进")
    assert told == {"li": f"li 的{shelf.called('zh')}“{name}”已按回收规则“三十天未跟进”退回公共池。"}


def test_set_02_of_which_kind_a_record_is_one_reads_in_ones_language(kit: InMemoryService, shelf: Shelf) -> None:
    kit.directory.tell([
        user_told(SALES, preferences=Preferences(language="en")),
        user_told(MANAGER, preferences=Preferences(language="ja")),
    ])  # fmt: skip
    id, name = shelf.entered()
    assert shelf.told(id, person(MANAGER), person(SALES), person(SUPERVISOR)) == {
        "mei": f"sato さんが{shelf.called('ja')}「{name}」を mei さんに割り当てました。",
        "li": f"sato gave the {shelf.called('en')} {name} of li to mei.",
    }


def test_ntf_06_a_notice_of_a_record_leads_to_it_and_is_sealed_with_the_key_of_whom_it_tells(
    kit: InMemoryService, shelf: Shelf
) -> None:
    id, _ = shelf.entered()
    shelf.told(id, person(SALES), NOBODY, person(SUPERVISOR))
    [notice] = [fact for fact in kit.facts() if isinstance(fact, NoticeGiven)]
    assert (notice.record_kind, notice.record_id, notice.by) == (shelf.kind.what, id, person(SUPERVISOR))
    assert notice.person_id == (id if shelf.kind.has_personal else SALES.user_id)


def test_a_record_that_changed_its_name_is_told_of_by_the_new_one(kit: InMemoryService, shelf: Shelf) -> None:
    id, _ = shelf.entered()
    kind = shelf.kind
    created: Any = heard_of(kind, id, SALES)
    data = replace(kind.layout.read(created), **{kind.called: "Zhao Liu"})
    kit.hear(kind.edited(**{kind.key: id}, **kind.layout.told(data), changed=(kind.called,)))
    [text] = shelf.told(id, person(SALES), NOBODY, person(SUPERVISOR)).values()
    assert "Zhao Liu" in text


def test_cpl_01_of_whom_was_erased_nothing_is_told_but_that_there_was_something(shelf: Shelf) -> None:
    if not shelf.kind.has_personal:
        return
    kept = MemoryKeys()
    keys = KeyRing(lambda: kept)
    with holding(keys):
        id, name = shelf.entered()
        assert keys.destroy(id)
        [text] = shelf.told(id, person(SALES), NOBODY, person(SUPERVISOR)).values()
        assert name not in text and "sato" in text


# -- once


def test_ntf_02_what_comes_twice_is_told_once_and_to_nobody_new(kit: InMemoryService) -> None:
    kit.hear(LOW, id="product/3")
    assert told(kit).keys() == {"wang", "admin"}
    kit.directory.introduce(Principal(uuid4(), "new", frozenset({"WHS"})))
    kit.hear(LOW, id="product/3")
    assert kit.new_facts() == []
    kit.hear(LOW, id="product/9")
    assert len(given(kit)) == 3


def test_ntf_02_what_happened_long_ago_is_told_to_nobody(kit: InMemoryService) -> None:
    kit.hear(LOW, at=kit.now - timedelta(days=7, seconds=1))
    assert kit.new_facts() == []
    kit.hear(LOW, at=kit.now - timedelta(days=7))
    assert len(given(kit)) == 2


# -- to whom


@pytest.mark.parametrize(
    ("receiver", "names"),
    [
        (Receiver(kind="USER", user_id=SALES.user_id), {"li"}),
        (Receiver(kind="SUPERIOR", user_id=SALES.user_id), {"sato"}),
        (Receiver(kind="ROLE", role="MGT"), {"mei"}),
        (Receiver(kind="RIGHT", right="shipping"), {"wang", "admin"}),
        (Receiver(kind="RIGHT", right="orders.edit", user_id=SALES.user_id), {"li", "sato", "admin"}),
        (Receiver(kind="EVERYBODY"), {one.name for one in PEOPLE}),
    ],
    ids=lambda one: one.kind if isinstance(one, Receiver) else "",
)
def test_ntf_07_receivers_are_those_of_this_moment(kit: InMemoryService, receiver: Receiver, names: set[str]) -> None:
    assert announced(kit, receiver) == dict.fromkeys(names, "at eight")


def user_told(user: Principal, **state: Any) -> UserEdited:
    known: dict[str, Any] = {"login": user.name, "name": user.name, "status": "ACTIVE", "revision": 100, **state}
    return UserEdited(user_id=user.user_id, user=UserState(**known))  # type: ignore[arg-type]


def test_ntf_02_who_has_left_is_replaced_by_who_took_over(kit: InMemoryService) -> None:
    kit.directory.tell([user_told(SALES, status="DELETED", successor_id=MANAGER.user_id)])
    kit.hear(HELD)
    assert told(kit).keys() == {"mei", "wang", "admin"}


def test_ntf_02_a_department_is_all_below_it_too(kit: InMemoryService) -> None:
    above, below = uuid4(), uuid4()
    kit.directory.tell([
        DepartmentAdded(department_id=above, name="Sales", parent_id=None),
        DepartmentAdded(department_id=below, name="Suzhou", parent_id=above),
        user_told(SALES, department_id=below),
        user_told(MANAGER, department_id=above),
    ])  # fmt: skip
    assert announced(kit, Receiver(kind="DEPARTMENT", department_id=above)).keys() == {"li", "mei"}
    assert announced(kit, Receiver(kind="DEPARTMENT", department_id=below)).keys() == {"li"}


def test_set_02_everybody_is_told_in_their_own_language(kit: InMemoryService) -> None:
    kit.directory.tell([user_told(WAREHOUSE, roles=("WHS",), preferences=Preferences(language="ja"))])
    kit.hear(LOW)
    notices = {fact.receiver_id: fact for fact in given(kit)}
    assert (notices[id_of(WAREHOUSE)].language, notices[id_of(WAREHOUSE)].title) == ("ja", "在庫アラート")
    assert notices[id_of(ADMIN)].language == "zh"


@pytest.mark.parametrize(
    ("receiver", "code", "field"),
    [
        (Receiver(kind="USER"), "VALIDATION", "receivers.0.user_id"),
        (Receiver(kind="ROLE", role="FIN", right="payments"), "VALIDATION", "receivers.0.right"),
        (Receiver(kind="EVERYBODY", role="FIN"), "VALIDATION", "receivers.0.role"),
        (Receiver(kind="USER", user_id=UUID(int=7)), "NOT_FOUND", "receivers.0.user_id"),
        (Receiver(kind="DEPARTMENT", department_id=UUID(int=7)), "NOT_FOUND", "receivers.0.department_id"),
        (Receiver(kind="RIGHT", right="fly"), "VALIDATION", "receivers.0.right"),
        (Receiver(kind="ROLE", role="BRO"), "VALIDATION", "receivers"),
        (Receiver(kind="ROLE", role="SALL"), "NOT_FOUND", "receivers.0.role"),
    ],
    ids=str,
)
def test_ntf_07_who_is_not_there_is_refused_by_name(
    kit: InMemoryService, receiver: Receiver, code: str, field: str
) -> None:
    announcement = Announce(title="Update", text="at eight", receivers=(receiver,))
    kit.assert_refused(code, announcement, field=field)
    kit.assert_refused("VALIDATION", Announce(title="Update", text="x", receivers=()), field="receivers")


def crowd(kit: InMemoryService, number: int) -> set[UUID]:
    """So many people who work in the sea of people."""
    ids = [uuid4() for _ in range(number)]
    for id in ids:
        kit.directory.introduce(Principal(id, f"p{id}", frozenset({"SEA"})))
    return {*ids}


def going_on(kit: InMemoryService) -> list[TellingGoesOn]:
    """What the service has told itself, of which it hears as of others' events."""
    return [fact for fact in kit.facts() if isinstance(fact, TellingGoesOn)]


def in_parts(kit: InMemoryService) -> list[int]:
    """Have the rest told, each part twice as Kafka may bring it; how many notices each part has given."""
    found, heard = [len(given(kit))], 0
    while heard < len(further := going_on(kit)):
        [one] = further[heard:]
        kit.hear(one, one)
        found.append(len(given(kit)))
        heard += 1
    return found


@pytest.mark.parametrize("by", ["announcement", "event"])
def test_ntf_07_many_are_told_in_parts_each_once(
    kit: InMemoryService, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "AT_ONCE", 4)
    people, to = crowd(kit, 10), (Receiver(kind="ROLE", role="SEA"),)
    if by == "event":
        command = TellPeople(telling_id=telling_id("x"), occasion="STOCK_LOW", receivers=to, happened_at=kit.now)
        kit.do(command, replace(SYSTEM, organisation=kit.directory))
    else:
        kit.do(Announce(title="Update", text="x", receivers=to))
    assert in_parts(kit) == [4, 4, 2]
    notices = [fact for fact in kit.facts() if isinstance(fact, NoticeGiven)]
    assert {one.receiver_id for one in notices} == people and len(notices) == 10
    assert len({(one.title, one.text) for one in notices}) == 1
    if by == "announcement":
        assert (notices[0].title, notices[0].text) == ("Update", "x")
        [announced] = [fact for fact in kit.facts() if isinstance(fact, Announced)]
        assert announced.count == 10


def test_ntf_07_a_long_text_is_told_to_fewer_at_once(kit: InMemoryService) -> None:
    """All that one command records has a limit, and is in memory at once."""
    people = crowd(kit, 100)
    text = "字" * ReasonField.longest
    kit.do(Announce(title="Update", text=text, receivers=(Receiver(kind="ROLE", role="SEA"),)))
    parts = in_parts(kit)
    assert sum(parts) == len(people) and 1 < len(parts) <= 10


def test_ntf_07_who_came_meanwhile_and_who_left_is_asked_with_each_part(
    kit: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "AT_ONCE", 1)
    first, second = sorted(crowd(kit, 2))
    kit.do(Announce(title="Update", text="x", receivers=(Receiver(kind="ROLE", role="SEA"),)))
    assert [one.receiver_id for one in given(kit)] == [first]
    gone = UserState(login="x", name="x", status="DELETED", revision=100)
    kit.directory.tell([UserEdited(user_id=second, user=gone)])
    [rest] = going_on(kit)
    assert rest.after == first
    kit.hear(rest)
    assert given(kit) == [] and going_on(kit) == [rest], "nothing more follows"


# -- one's own


def test_ntf_06_one_reads_ones_own_notices_and_nobody_elses(kit: InMemoryService) -> None:
    kit.hear(HELD)
    mine = next(fact.notice_id for fact in given(kit) if fact.receiver_id == SALES.user_id)
    kit.assert_refused("NOT_FOUND", ReadNotice(notice_id=mine), by=ADMIN, field="notice_id")
    kit.assert_refused("NOT_FOUND", ReadEarlierNotices(notice_id=mine), by=WAREHOUSE, field="notice_id")
    kit.do(ReadNotice(notice_id=mine), by=SALES)
    assert kit.new_facts() == [NoticeRead(notice_id=mine, receiver_id=id_of(SALES))]
    kit.do(ReadNotice(notice_id=mine), by=SALES)
    assert kit.new_facts() == []


def test_ntf_06_all_that_was_given_before_is_read_at_once(kit: InMemoryService) -> None:
    ids = []
    for _ in range(4):
        kit.hear(HELD)
        kit.pass_time(seconds=1)
        ids.append(next(fact.notice_id for fact in given(kit) if fact.receiver_id == SALES.user_id))
    kit.do(ReadNotice(notice_id=ids[2]), by=SALES)
    kit.learn(*kit.new_facts())
    kit.do(ReadEarlierNotices(notice_id=ids[2]), by=SALES)
    facts = kit.new_facts()
    assert [fact.notice_id for fact in facts] == ids[:2], "the newest one was not seen, and the third read before"
    kit.learn(*facts)
    kit.do(ReadEarlierNotices(notice_id=ids[2]), by=SALES)
    assert kit.new_facts() == []


def test_ntf_06_a_notice_is_over_after_some_days(kit: InMemoryService) -> None:
    kit.keep_schedules()
    kit.hear(HELD)
    notices = given(kit)
    kit.pass_time(days=KEPT_DAYS)
    kit.keep_schedules()
    assert not [fact for fact in kit.new_facts() if isinstance(fact, NoticeForgotten)], "the last day"
    kit.pass_time(days=1)
    kit.keep_schedules()
    gone = [fact for fact in kit.new_facts() if isinstance(fact, NoticeForgotten)]
    assert sorted(fact.notice_id for fact in gone) == sorted(fact.notice_id for fact in notices)
    kit.learn(*gone)
    mine = next(fact.notice_id for fact in notices if fact.receiver_id == SALES.user_id)
    kit.assert_refused("NOT_FOUND", ReadNotice(notice_id=mine), by=SALES, field="notice_id")


def test_ntf_06_what_is_known_of_unread_notices_is_a_row_each(kit: InMemoryService) -> None:
    """One of somebody who reads none would be read and written whole with each that they are given."""
    sizes = []
    for _ in range(20):
        kit.hear(HELD)
        given(kit)
        sizes.append([max(map(len, kit.store.rows(name))) for name in (UNREAD.name, KEPT.name)])
    assert sizes[0] == sizes[-1] and len(kit.store.rows(UNREAD.name)) == 60


def test_ntf_06_of_many_unread_notices_the_oldest_are_read_first(
    kit: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever order they are found in, and page by page."""
    monkeypatch.setattr(application, "READ_AT_ONCE", 3)
    monkeypatch.setattr(application, "LOOKED_AT_ONCE", 2)
    ids = []
    for _ in range(7):
        kit.hear(HELD)
        kit.pass_time(seconds=1)
        ids.append(next(fact.notice_id for fact in given(kit) if fact.receiver_id == SALES.user_id))
    read: list[set[UUID]] = []
    for _ in range(2):
        kit.do(ReadEarlierNotices(notice_id=ids[5]), by=SALES)
        facts = [fact for fact in kit.new_facts() if isinstance(fact, NoticeRead)]
        kit.learn(*facts)
        read.append({fact.notice_id for fact in facts})
    assert read == [{*ids[:3], ids[5]}, {*ids[3:5]}]


def test_ntf_06_many_notices_that_are_over_are_taken_away_in_parts(
    kit: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the service has heard that the first of them are gone."""
    monkeypatch.setattr(application, "FORGOTTEN_AT_ONCE", 2)
    kit.keep_schedules()
    kit.hear(HELD, HELD)
    over = given(kit)
    kit.pass_time(days=1)
    kit.hear(HELD)
    given(kit)
    kit.pass_time(days=KEPT_DAYS)
    kit.keep_schedules()
    gone = [fact.notice_id for fact in kit.new_facts() if isinstance(fact, NoticeForgotten)]
    assert sorted(gone) == sorted(fact.notice_id for fact in over) and len(gone) == 6


# -- comments


def commented(*mentioned: Person) -> CommentWritten:
    return CommentWritten(
        comment_id=uuid4(),
        subject_kind="customer",
        subject_id=uuid4(),
        person_id=None,
        text="@li see here",
        mentioned=mentioned,
        by=person(MANAGER),
    )


def test_col_09_who_is_mentioned_is_told_once_and_who_writes_is_not(kit: InMemoryService) -> None:
    written = commented(person(SALES), person(MANAGER))
    kit.hear(written)
    names = {field.name: getattr(written, field.name) for field in fields(written)}
    kit.hear(CommentEdited(**names, newly_mentioned=()))
    [notice] = given(kit)
    assert (notice.receiver_id, notice.text) == (SALES.user_id, "mei 在客户的评论中提到了您。")
    assert (notice.record_kind, notice.record_id) == ("customer", written.subject_id)
    kit.hear(CommentEdited(**names, newly_mentioned=(person(SUPERVISOR),)))
    assert [one.receiver_id for one in given(kit)] == [SUPERVISOR.user_id], "who was told before is not told again"


# -- sentences


def test_a_value_is_never_read_as_a_sentence() -> None:
    values = (Filled(name="a", text="{b} {0.__class__}"), Filled(name="b", text="!"))
    assert filled("{a} {b} {c} {0} {a.__class__}", values) == "{b} {0.__class__} !   {a.__class__}"


def test_what_is_too_long_is_cut() -> None:
    told = filled("{a}", (Filled(name="a", text="货" * 4001),))
    assert len(told) == 4000 and told.endswith("货…")


@pytest.mark.parametrize("occasion", OCCASIONS)
def test_every_place_of_a_sentence_is_filled(kit: InMemoryService, occasion: str) -> None:
    """By what tells of it here; a new occasion is told of by an event of this list, or by a command."""
    events: dict[str, Any] = {
        "STOCK_LOW": LOW,
        "ORDER_ON_HOLD": HELD,
        "APPROVAL_ASKED": opened(BY_DESK),
        "APPROVAL_WAITS": reminded(Decider(kind="ROLE", role="FIN")),
        "APPROVAL_REJECTED": CaseRejected(order_id=ORDER, node="FINANCE", **REJECTED),
        "MENTIONED": commented(person(SALES)),
    }
    [kind, *_] = POOLED
    kit.hear(heard_of(kind, lead := uuid4()))
    sales, mei, sato = person(SALES), person(MANAGER), person(SUPERVISOR)
    hands: dict[str, dict[str, Any]] = {
        "RECORD_ASSIGNED": {"owner": sales, "before": NOBODY, "by": sato},
        "RECORD_TRANSFERRED": {"owner": mei, "before": sales, "by": mei},
        "RECORD_RETURNED": {"owner": NOBODY, "before": sales, "by": sato, "came_by": "RETURNED", "reason": "why"},
        "RECORD_RECYCLED": {"owner": NOBODY, "before": sales, "came_by": "RECYCLED", "reason": "rule"},
    }
    near = {"owner": sales, "due_on": date(2026, 3, 9), "reason": "rule"}
    events["RECYCLING_NEAR"] = kind.recycling_near(**{kind.key: lead}, **near)
    about: dict[str, Any] = {"subject_kind": kind.code, "subject_id": lead, "person_id": lead, "next_plan": "plan"}
    events["CONTACT_DUE"] = NextContactDue(communication_id=CASE, day=DUE.date(), to=sales, **about)
    events |= {"TASK_GIVEN": entered_task(sales, sato), "TASK_DUE": due_task(sales)}
    events |= {code: kind.assigned(**{kind.key: lead}, **told) for code, told in hands.items()}
    if occasion in events:
        fact = events[occasion]
        heard = HeardHere("x/1", kit.now, kit.store, kit.directory.company.zone)
        commands = list(SERVICE.reactions[type(fact)](fact, heard))
        [command] = [one for one in commands if one.occasion == occasion]
        assert {one.name for one in command.values if one.text} == places(command.occasion) - {KIND}
        assert command.record_kind or KIND not in places(command.occasion)
    else:
        assert occasion in ("ANNOUNCEMENT", RULE_OCCASION)


# -- personal data


def test_cpl_01_a_text_about_a_person_is_sealed_with_their_key(kit: InMemoryService) -> None:
    person_id = uuid4()
    command = TellPeople(
        telling_id=telling_id("x"),
        occasion="ORDER_ON_HOLD",
        receivers=(Receiver(kind="USER", user_id=SALES.user_id),),
        happened_at=kit.now,
        values=(Filled(name="number", text="Wang Wu"),),
        person_id=person_id,
    )
    kit.do(command, replace(SYSTEM, organisation=kit.directory))
    [stored] = [one for one in kit.store.notifications(0, 100) if "notice-given" in one.type]
    assert b"Wang Wu" not in stored.data and b"sealed:1:" in stored.data
    [notice] = given(kit)
    assert notice.person_id == person_id and "Wang Wu" in notice.text
