"""Records that nobody works on go back to their pool, at N days and by the rules of then (LED-06, CUS-16, CUS-17)."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.documents.samples import sample
from chassis.model import recycling
from chassis.model.pools import Places, places_id
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.testing.keys import holding
from chassis.testing.people import ADMIN, SALES, user
from chassis.testing.records import enter_in, new_record
from chassis.testing.services import InMemoryService
from contracts.configuration import DictionaryEntrySet
from contracts.customers import CUSTOMER, RecycleCustomers
from contracts.declare import REGISTRY
from contracts.dictionaries import DictionaryEntry
from contracts.leads import Lead, RecycleLeads, RecyclingRule
from contracts.orders import OrderCancelled, OrderCreated
from contracts.people import NOBODY, SALESTREAM
from contracts.records import Kind, kind_of
from contracts.sales import CustomerSnapshot
from contracts.schedules import SCHEDULES
from contracts.schemas import load
from contracts.subjects import FollowUpsChanged
from contracts.types import MAX_QUANTITY
from services.customers.application import SERVICE as CUSTOMERS
from services.leads.application import SERVICE as LEADS

RULE = kind_of(RecyclingRule)
LEAD = kind_of(Lead)
N = 30
ZHOU = user("zhou", "SAL")


class Shop:
    """A service whose records go back, and its replicas, which hear of everything at once."""

    def __init__(self, kind: Kind, run: type, target: str) -> None:
        self.kind, self.run, self.target = kind, run, target
        self.kit = InMemoryService(LEADS if kind is LEAD else CUSTOMERS)
        self.kit.known(SALES)

    def hears(self) -> None:
        self.kit.learn(*[fact for fact in self.kit.new_facts() if type(fact).__module__.startswith("contracts.")])

    def enter(self, **more: Any) -> UUID:
        id = uuid4()
        body = {**new_record(self.kind, enter_in(self.kit)), self.kind.key: str(id), **more}
        self.kit.do(load(self.kind.create, body), SALES)
        self.hears()
        return id

    def named(self, command: Any, id: UUID, **more: Any) -> None:
        self.kit.do(command(**{self.kind.key: id}, **more), ADMIN)
        self.hears()

    def rule(self, id: UUID | None = None, **more: Any) -> UUID:
        """A rule is there, entered or changed: elsewhere, for who keeps customers."""
        fact = RULE.edited if id else RULE.created
        about = {"changed": ("idle_days",)} if id else {}
        id = id or uuid4()
        told = {"name": "三十天未跟进", "target": self.target, "idle_days": N, **more}
        self.kit.learn(fact(recycling_rule_id=id, data=RecyclingRule(**told), **about))
        return id

    def followed_up(self, id: UUID, day: date | None, kind: str = "") -> None:
        """There was contact about a record on a day; None: what was told of it was taken away."""
        told = FollowUpsChanged(subject_kind=kind or self.kind.code, subject_id=id, followed_up_on=day, planned_on=None)
        self.kit.learn(told)

    def pass_days(self, days: int) -> None:
        self.kit.pass_time(days=days)

    def recycle(self, **more: Any) -> int:
        """How many went back, in how many parts ever."""
        number = 0
        while True:
            answer = self.kit.do(self.run(**more), ADMIN).body
            self.hears()
            number += answer["done"]
            if not answer["goes_on"]:
                return int(number)

    def reminded(self) -> list[tuple[UUID, UUID, date, str]]:
        """Of which records whom, of which day and rule."""
        facts: list[Any] = [fact for fact in self.kit.facts() if type(fact) is self.kind.recycling_near]
        return [(getattr(fact, self.kind.key), fact.owner.user_id, fact.due_on, fact.reason) for fact in facts]

    def waits(self, id: UUID) -> bool:
        told = [fact for fact in self.kit.stream(id) if hasattr(fact, "owner")]
        return bool(told[-1].owner == NOBODY)


@pytest.fixture(
    params=[(LEAD, RecycleLeads, "LEADS"), (CUSTOMER, RecycleCustomers, "CUSTOMERS")], ids=["lead", "customer"]
)
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(*request.param)


def test_acc_28_cus_17_at_exactly_n_days_a_record_goes_back_and_a_day_before_it_does_not(shop: Shop) -> None:
    id = shop.enter()
    shop.rule()
    shop.pass_days(N - 1)
    assert shop.recycle() == 0 and not shop.waits(id)
    shop.pass_days(1)
    assert shop.recycle() == 1 and shop.waits(id)
    told = shop.kit.stream(id)[-1]
    assert (told.came_by, told.before.user_id, told.by) == ("RECYCLED", SALES.user_id, told.by)
    assert (told.reason, told.owner_since) == ("三十天未跟进", shop.kit.today)
    assert shop.recycle() == 0, "once"
    assert SALES.user_id is not None
    places = shop.kit.store.load(Places, places_id(shop.kind, SALES.user_id))
    assert places is not None and places.owned == 0


def test_cus_17_it_is_done_every_night_in_the_company_s_zone_and_not_while_it_is_switched_off(shop: Shop) -> None:
    id = shop.enter()
    shop.rule()
    shop.kit.keep_schedules()
    shop.kit.do(SCHEDULES[shop.run].switch(active=False))
    shop.pass_days(N + 1)
    shop.kit.keep_schedules()
    shop.hears()
    assert not shop.waits(id)
    shop.kit.do(SCHEDULES[shop.run].switch(active=True))
    shop.kit.keep_schedules()
    shop.pass_days(1)
    for _ in range(3):
        shop.kit.keep_schedules()
    assert shop.waits(id)
    assert shop.kit.stream(id)[-1].by == SALESTREAM


def test_cus_16_without_a_rule_nothing_goes_back_and_the_newest_rule_holds_for_all(shop: Shop) -> None:
    id = shop.enter()
    shop.pass_days(2 * N)
    assert shop.recycle() == 0
    rule = shop.rule(idle_days=3 * N)
    assert shop.recycle() == 0
    shop.rule(rule, idle_days=N, active=False)
    assert shop.recycle() == 0
    shop.rule(rule, idle_days=N, target="CUSTOMERS" if shop.kind is LEAD else "LEADS")
    assert shop.recycle() == 0
    shop.kit.learn(RULE.deleted(recycling_rule_id=rule))
    shop.rule(rule, idle_days=N)
    assert shop.recycle() == 0, "what was deleted holds no more, also where news of it come late"
    shop.kit.learn(RULE.restored(recycling_rule_id=rule))
    shop.rule(rule, idle_days=N, target="BOTH")
    assert shop.recycle() == 1 and shop.waits(id)


def test_cus_17_the_days_are_counted_from_the_latest_claim_or_assignment(shop: Shop) -> None:
    id = shop.enter()
    shop.rule()
    shop.pass_days(N - 1)
    shop.named(shop.kind.give_back, id, reason="why not")
    shop.named(shop.kind.claim, id)
    shop.pass_days(N - 1)
    assert shop.recycle() == 0
    shop.pass_days(1)
    assert shop.recycle() == 1


def test_cus_17_a_run_by_hand_is_as_of_the_day_it_is_told(shop: Shop) -> None:
    id = shop.enter()
    shop.rule()
    shop.pass_days(N)
    assert shop.recycle(day=shop.kit.today - timedelta(days=1)) == 0
    assert shop.recycle(day=shop.kit.today) == 1 and shop.waits(id)


def test_cus_17_a_dry_run_tells_what_would_go_back_and_why_and_does_nothing(shop: Shop) -> None:
    due = shop.enter()
    shop.pass_days(1)
    shop.enter()
    shop.rule()
    shop.pass_days(N - 1)
    for _ in range(2):
        before = shop.kit.store.last_position()
        told = shop.kit.do(shop.run(dry=True), ADMIN).body
        event = REGISTRY.event_of(shop.kind.assigned).name
        assert told["would"] == [{"id": str(due), "event": event, "reason": "三十天未跟进"}]
        assert (told["done"], told["goes_on"], shop.kit.store.last_position()) == (0, False, before)
    assert SALES.user_id is not None
    places = shop.kit.store.load(Places, places_id(shop.kind, SALES.user_id))
    assert places is not None and places.owned == 2
    assert shop.recycle() == 1 and shop.waits(due)
    assert "would" not in shop.kit.do(shop.run(), ADMIN).body


def test_acc_28_cus_17_of_a_day_to_come_a_dry_run_tells_and_no_other_there_is(shop: Shop) -> None:
    id, today = shop.enter(), shop.kit.today
    shop.rule()

    def would(day: date) -> list[str]:
        return [one["id"] for one in shop.kit.do(shop.run(day=day, dry=True), ADMIN).body["would"]]

    for day, told in (
        (today + timedelta(days=N - 1), []),
        (today + timedelta(days=N), [str(id)]),
        (date.max, [str(id)]),
    ):
        assert would(day) == told
        shop.kit.assert_refused("VALIDATION", shop.run(day=day), by=ADMIN, field="day")
    assert not shop.waits(id)


def test_cus_17_what_nobody_has_or_is_gone_is_left_alone(shop: Shop) -> None:
    pooled, deleted = shop.enter(owner_id=None), shop.enter()
    shop.named(shop.kind.delete, deleted)
    shop.rule()
    if shop.kind is LEAD:
        shop.named(shop.kind.set_status, shop.enter(), status="INVALID", reason="why not")
    shop.pass_days(2 * N)
    before = shop.kit.stream(pooled), shop.kit.stream(deleted)
    assert shop.recycle() == 0
    assert (shop.kit.stream(pooled), shop.kit.stream(deleted)) == before
    shop.named(shop.kind.restore, deleted)
    assert shop.recycle() == 1


def test_led_06_many_go_back_in_parts_and_each_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recycling, "AT_ONCE", 2)
    ids = [shop.enter() for _ in range(5)]
    shop.rule()
    shop.pass_days(N)
    assert shop.recycle() == 5 and all(map(shop.waits, ids))
    moved = [fact for id in ids for fact in shop.kit.stream(id) if getattr(fact, "came_by", "") == "RECYCLED"]
    assert len(moved) == 5


K = 7
"""Days before a record goes back of which its owner is reminded."""


def test_cus_17_whose_a_record_is_is_reminded_k_days_before_once_and_not_a_day_earlier(shop: Shop) -> None:
    id, due_on = shop.enter(), shop.kit.today + timedelta(days=N)
    version = shop.kit.stream(id)
    shop.rule(remind_days=K)
    shop.pass_days(N - K - 1)
    assert shop.recycle() == 0 and shop.reminded() == []
    shop.pass_days(1)
    told = [(id, SALES.user_id, due_on, "三十天未跟进")]
    assert shop.recycle() == 1 and shop.reminded() == told
    assert shop.kit.stream(id) == version, "nobody who changes it meanwhile is too late by that"
    for _ in range(K - 1):
        assert shop.recycle() == 0
        shop.pass_days(1)
    assert shop.recycle() == 0 and shop.reminded() == told
    shop.pass_days(1)
    assert shop.recycle() == 1 and shop.waits(id) and shop.reminded() == told


def test_cus_17_com_01_after_contact_whose_a_record_is_is_reminded_of_the_new_day_in_time(shop: Shop) -> None:
    """Also where the day of before, of which they were reminded, is not over yet."""
    id = shop.enter()
    shop.rule(remind_days=N)
    shop.pass_days(1)
    shop.recycle()
    assert [told for told, *_ in shop.reminded()] == [id]
    shop.followed_up(id, shop.kit.today)
    shop.hears()
    shop.pass_days(1)
    shop.recycle()
    assert [(told, day) for told, _, day, _ in shop.reminded()][1:] == [(id, shop.kit.today + timedelta(days=N - 1))]


def test_cus_17_nights_that_were_missed_are_made_up_for_while_there_is_time(shop: Shop) -> None:
    late, too_late = shop.enter(), shop.enter()
    shop.rule(remind_days=K)
    shop.pass_days(N - 1)
    shop.named(shop.kind.delete, too_late)
    assert shop.recycle() == 1 and [id for id, *_ in shop.reminded()] == [late]
    shop.pass_days(1)
    shop.named(shop.kind.restore, too_late)
    assert shop.recycle() == 2 and len(shop.reminded()) == 1


def test_cus_17_who_has_a_record_anew_is_reminded_anew_and_so_is_who_has_another_day(shop: Shop) -> None:
    shop.kit.known(ZHOU)
    id, today = shop.enter(), shop.kit.today
    rule = shop.rule(remind_days=N)
    assert shop.recycle() == 1
    shop.named(shop.kind.assign, id, owner_id=ZHOU.user_id)
    assert shop.recycle() == 1 and shop.recycle() == 0
    shop.rule(rule, remind_days=N, idle_days=N - 1)
    assert shop.recycle() == 1 and shop.recycle() == 0
    days = [(user, day) for _, user, day, _ in shop.reminded()]
    at_n, before = today + timedelta(days=N), today + timedelta(days=N - 1)
    assert days == [(SALES.user_id, at_n), (ZHOU.user_id, at_n), (ZHOU.user_id, before)]


def test_cus_16_without_days_of_notice_and_of_what_does_not_go_back_nobody_is_reminded(shop: Shop) -> None:
    shop.enter(owner_id=None)
    deleted = shop.enter()
    shop.named(shop.kind.delete, deleted)
    shop.rule(remind_days=K, active=False)
    if shop.kind is LEAD:
        shop.named(shop.kind.set_status, shop.enter(), status="INVALID", reason="why not")
    shop.rule(name="x", remind_days=K)
    shop.rule(name="y")
    shop.pass_days(N - 1)
    assert shop.recycle() == 0 and shop.reminded() == []


def test_cus_16_of_several_rules_the_one_that_is_met_first_is_told_and_holds(shop: Shop) -> None:
    id, due_on = shop.enter(), shop.kit.today + timedelta(days=N)
    shop.rule(name="later", idle_days=N + 2, remind_days=K)
    shop.rule(name="first")
    shop.pass_days(N + 2 - K)
    assert shop.recycle() == 1 and shop.reminded() == [(id, SALES.user_id, due_on, "first")]
    shop.pass_days(K)
    assert shop.recycle() == 1 and shop.kit.stream(id)[-1].reason == "first"


def test_cus_17_a_dry_run_tells_of_whom_would_be_reminded_by_the_record(shop: Shop) -> None:
    id = shop.enter()
    shop.rule(remind_days=K)
    shop.pass_days(N - K)
    told = shop.kit.do(shop.run(dry=True), ADMIN).body
    event = REGISTRY.event_of(shop.kind.recycling_near).name
    assert told["would"] == [{"id": str(id), "event": event, "reason": "三十天未跟进"}]
    assert shop.reminded() == []
    assert shop.recycle() == 1 and len(shop.reminded()) == 1


def test_cus_17_many_are_reminded_of_in_parts_and_of_each_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recycling, "AT_ONCE", 2)
    ids = {shop.enter() for _ in range(5)}
    shop.rule(remind_days=K)
    shop.pass_days(N - K)
    assert shop.recycle() == 5 and {id for id, *_ in shop.reminded()} == ids and len(shop.reminded()) == 5


def test_cus_17_every_night_whose_records_soon_go_back_is_reminded(shop: Shop) -> None:
    shop.enter()
    shop.rule(remind_days=K)
    shop.kit.keep_schedules()
    for _ in range(N):
        shop.pass_days(1)
        shop.kit.keep_schedules()
        shop.hears()
    assert len(shop.reminded()) == 1


def test_cpl_01_of_a_record_of_who_was_erased_nobody_is_reminded(shop: Shop) -> None:
    kept = MemoryKeys()
    keys = KeyRing(lambda: kept)
    with holding(keys):
        erased, other = shop.enter(), shop.enter()
        shop.rule(remind_days=K)
        shop.pass_days(N - K)
        assert keys.destroy(erased)
        assert shop.recycle() == 1 and [id for id, *_ in shop.reminded()] == [other]


def test_cus_16_a_rule_of_as_many_days_as_can_be_given_stops_no_run(shop: Shop) -> None:
    """That day is beyond the calendar."""
    shop.enter()
    shop.rule(idle_days=MAX_QUANTITY, remind_days=MAX_QUANTITY)
    shop.rule(name="other", idle_days=N)
    assert shop.recycle() == 1, "the reminder"
    shop.pass_days(N)
    assert shop.recycle() == 1


def test_cus_16_notice_is_given_at_most_as_many_days_before_as_there_are() -> None:
    kit = InMemoryService(LEADS)
    id = uuid4()
    kit.assert_refused(
        "VALIDATION", RULE.create(name="x", target="BOTH", idle_days=3, remind_days=4), field="remind_days"
    )
    kit.do(RULE.create(recycling_rule_id=id, name="x", target="BOTH", idle_days=3, remind_days=3))
    kit.assert_refused("VALIDATION", RULE.edit(recycling_rule_id=id, idle_days=2), field="idle_days")
    kit.do(RULE.edit(recycling_rule_id=id, idle_days=2, remind_days=None))
    assert kit.stream(id)[-1].data.remind_days is None


def test_cus_16_a_rule_may_be_for_customers_of_one_importance() -> None:
    shop = Shop(CUSTOMER, RecycleCustomers, "CUSTOMERS")
    high, low = shop.enter(importance="HIGH"), shop.enter(importance="LOW")
    shop.rule(importance="LOW")
    shop.pass_days(N)
    assert shop.recycle() == 1
    assert (shop.waits(high), shop.waits(low)) == (False, True)


def test_cus_16_a_rule_finds_an_importance_as_lists_do() -> None:
    """So also by the label that was typed before there was the entry, and by an entry below; also every night."""
    shop = Shop(CUSTOMER, RecycleCustomers, "CUSTOMERS")
    typed, high, none = (shop.enter(importance=importance) for importance in ("极低", "HIGH", ""))
    below = DictionaryEntry(code="LOWEST", zh="极低", ja="極低", en="Lowest", parent="LOW")
    shop.kit.directory.tell([DictionaryEntrySet(dictionary="importance", entry=below, revision=1)])
    lowest, low = shop.enter(importance="LOWEST"), shop.enter(importance="LOW")
    shop.rule(importance="LOW")
    shop.kit.keep_schedules()
    shop.pass_days(N + 1)
    for _ in range(3):
        shop.kit.keep_schedules()
    assert [shop.waits(id) for id in (typed, lowest, low, high, none)] == [True, True, True, False, False]


def test_led_06_a_record_of_who_was_erased_does_not_keep_the_others_from_going_back(shop: Shop) -> None:
    """Nothing can be told of it any more, and so not by which rule it went."""
    kept = MemoryKeys()
    keys = KeyRing(lambda: kept)
    with holding(keys):
        erased, other = shop.enter(), shop.enter()
        shop.rule()
        shop.pass_days(N)
        assert keys.destroy(erased)
        assert shop.recycle() == 1
        assert (shop.waits(erased), shop.waits(other)) == (False, True)


def test_cus_17_a_customer_with_an_open_order_is_spared() -> None:
    shop = Shop(CUSTOMER, RecycleCustomers, "CUSTOMERS")
    id, order = shop.enter(), uuid4()
    shop.rule(remind_days=K)
    written: Any = load(OrderCreated, {**sample(OrderCreated), "order_id": str(order)})
    shop.kit.learn(replace(written, customer=CustomerSnapshot(customer_id=id, name="Li")))
    shop.pass_days(N - 1)
    assert shop.recycle() == 0 and shop.reminded() == []
    shop.pass_days(1)
    assert shop.recycle() == 0
    cancelled: Any = load(OrderCancelled, {**sample(OrderCancelled), "order_id": str(order)})
    shop.kit.learn(cancelled)
    assert shop.recycle() == 1 and shop.waits(id)


def test_cus_17_what_went_into_a_customer_counts_for_it() -> None:
    """An open order, and contact, of a merged one; that one itself goes nowhere (ADR 0066)."""
    shop = Shop(CUSTOMER, RecycleCustomers, "CUSTOMERS")
    survivor, middle, duplicate, order = shop.enter(), shop.enter(), shop.enter(), uuid4()
    shop.rule()
    shop.named(CUSTOMER.merge, middle, duplicate_id=duplicate)
    shop.named(CUSTOMER.merge, survivor, duplicate_id=middle)
    written: Any = load(OrderCreated, {**sample(OrderCreated), "order_id": str(order)})
    shop.kit.learn(replace(written, customer=CustomerSnapshot(customer_id=duplicate, name="Li")))
    shop.pass_days(N)
    assert shop.recycle() == 0
    shop.followed_up(duplicate, shop.kit.today)
    shop.kit.learn(load(OrderCancelled, {**sample(OrderCancelled), "order_id": str(order)}))
    shop.pass_days(N - 1)
    assert shop.recycle() == 0
    shop.pass_days(1)
    assert shop.recycle() == 1 and shop.waits(survivor)
    assert not shop.waits(middle) and not shop.waits(duplicate)


def test_cus_16_a_rule_counts_whole_days_of_which_there_is_one_at_least() -> None:
    kit = InMemoryService(LEADS)
    with pytest.raises(Exception, match="idle_days"):
        load(RULE.create, {"name": "x", "target": "LEADS", "idle_days": 0})
    kit.do(RULE.create(name="x", target="LEADS", idle_days=1))
    kit.assert_refused("DUPLICATE", RULE.create(name="X", target="BOTH", idle_days=2), field="name")


def test_com_01_cus_17_contact_begins_the_days_anew_and_what_was_taken_away_does_not(shop: Shop) -> None:
    followed, other, both = shop.enter(), shop.enter(), shop.enter()
    shop.rule()
    shop.pass_days(N - 1)
    day = shop.kit.today
    shop.followed_up(followed, day)
    shop.followed_up(both, day)
    shop.followed_up(both, None)
    shop.followed_up(other, day, kind="survey")
    shop.pass_days(1)
    told = shop.kit.do(shop.run(dry=True), ADMIN).body["would"]
    assert {one["id"] for one in told} == {str(other), str(both)}
    assert shop.recycle() == 2 and not shop.waits(followed)
    shop.pass_days(N - 2)
    assert shop.recycle() == 0
    shop.pass_days(1)
    assert shop.recycle() == 1 and shop.waits(followed)


def test_com_01_cus_17_contact_before_it_changed_hands_does_not_count_for_whoever_has_it_now(shop: Shop) -> None:
    id = shop.enter()
    shop.rule()
    shop.followed_up(id, shop.kit.today)
    shop.pass_days(N - 1)
    shop.named(shop.kind.give_back, id, reason="why not")
    shop.named(shop.kind.claim, id)
    shop.pass_days(N - 1)
    assert shop.recycle() == 0
    shop.pass_days(1)
    assert shop.recycle() == 1


def looked_at(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The records that runs from now on load, in their order."""
    found: list[UUID] = []
    act = recycling.Recycling._act

    def look(self: recycling.Recycling, id: UUID, *rest: Any) -> Any:
        found.append(id)
        return act(self, id, *rest)

    monkeypatch.setattr(recycling.Recycling, "_act", look)
    return found


def test_led_06_a_lead_that_was_closed_is_not_looked_at_and_one_taken_up_again_has_all_its_days(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = Shop(LEAD, RecycleLeads, "LEADS")
    looked = looked_at(shop, monkeypatch)
    invalid, converted = shop.enter(), shop.enter()
    shop.named(LEAD.set_status, invalid, status="INVALID", reason="why not")
    shop.kit.learn(LEAD.status_set(lead_id=converted, before="OWNED", status="CONVERTED"))
    shop.rule()
    shop.pass_days(2 * N)
    assert shop.recycle() == 0 and looked == []
    shop.named(LEAD.set_status, invalid, status="OWNED", reason="they called")
    assert shop.kit.stream(invalid)[-1].owner_since == shop.kit.today
    shop.pass_days(N - 1)
    assert shop.recycle() == 0 and looked == []
    shop.pass_days(1)
    assert shop.recycle() == 1 and shop.waits(invalid) and looked == [invalid]


def test_led_06_of_very_many_records_each_part_reads_some_and_none_of_those_before(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it reads and what it loads are bounded, also where nothing is to be done with it."""
    monkeypatch.setattr(recycling, "ROWS_AT_ONCE", 3)
    store, read = shop.kit.store, list[list[str]]()
    rows, rows_after = store.rows, store.rows_after

    def reading(replica: str, key: str, limit: int) -> list[tuple[str, bytes]]:
        found = rows_after(replica, key, limit)
        read.append([place for place, _ in found])
        return found

    monkeypatch.setattr(store, "rows_after", reading)
    monkeypatch.setattr(store, "rows", lambda name: pytest.fail(name) if "held" in name else rows(name))
    ids = {shop.enter() for _ in range(5)}
    shop.pass_days(1)
    ids |= {shop.enter() for _ in range(5)}
    shop.rule()
    shop.pass_days(N - 1)
    shop.kit.keep_schedules()
    shop.pass_days(1)
    shop.kit.keep_schedules()
    assert [len(part) for part in read] == [3, 3, 3, 1] and {UUID(one) for part in read for one in part} == ids
    shop.hears()
    assert all(map(shop.waits, ids))
    told = [fact for fact in shop.kit.facts() if type(fact) is SCHEDULES[shop.run].ran]
    assert [fact.goes_on for fact in told] == [True, True, True, False] and told[-1].done == len(ids)


def test_cus_17_what_no_rule_is_for_is_loaded_in_parts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule of one importance says nothing of the others, which have lain as long."""
    monkeypatch.setattr(recycling, "AT_ONCE", 2)
    shop = Shop(CUSTOMER, RecycleCustomers, "CUSTOMERS")
    looked = looked_at(shop, monkeypatch)
    ids = {shop.enter(importance="HIGH") for _ in range(5)}
    shop.rule(importance="LOW")
    shop.pass_days(N)
    parts = 0
    while shop.kit.do(shop.run(), ADMIN).body["goes_on"]:
        parts += 1
        assert len(looked) == 2 * parts
    assert {*looked} == ids and len(looked) == len(ids), "each once"
    assert parts == 2


def test_cus_17_a_dry_run_tells_of_what_comes_in_later_parts_and_leaves_none_behind(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recycling, "ROWS_AT_ONCE", 2)
    ids = {shop.enter() for _ in range(5)}
    shop.rule()
    shop.pass_days(N)
    told = shop.kit.do(shop.run(dry=True), ADMIN).body
    assert {UUID(one["id"]) for one in told["would"]} == ids and not told["goes_on"]
    assert shop.recycle() == 5


def test_cus_17_a_run_by_hand_goes_on_for_its_day_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recycling, "ROWS_AT_ONCE", 2)
    ids = {shop.enter() for _ in range(5)}
    shop.rule()
    shop.pass_days(N)
    day = shop.kit.today
    assert shop.kit.do(shop.run(day=day - timedelta(days=1)), ADMIN).body["goes_on"]
    assert shop.recycle(day=day) == 5 and all(map(shop.waits, ids)), "from the beginning"
