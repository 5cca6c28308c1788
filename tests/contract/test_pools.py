"""Records that wait in a pool: claimed, assigned, given back, and how many one may have (LED-01..07, CUS-12..14).

Asked of every kind of record that has a pool, so also of those that are declared later (ADR 0057).
"""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from chassis.access.known import KnownParameter
from chassis.catalogue import Catalogue
from chassis.model.pools import Places, places_id
from chassis.model.principal import Principal
from chassis.model.record_views import pool_view, record_view
from chassis.store.events import recorded
from chassis.store.transaction import Transaction
from chassis.testing.people import ADMIN, SALES, SUPERVISOR, WAREHOUSE, user
from chassis.testing.records import enter_in, new_record
from chassis.testing.services import InMemoryService
from chassis.testing.views import documents, matches
from contracts.access import UserEdited, UserState
from contracts.declare import REGISTRY, ContractError
from contracts.parameters import PoolLimit, limit_of
from contracts.people import NOBODY, Person
from contracts.pools import Pool
from contracts.records import KINDS, WITH_POOL, Kind, record
from contracts.schemas import load
from contracts.statuses import Statuses, Step
from contracts.types import Name

REGISTRY.load()
SERVICES = {service.name: service for service in Catalogue.read().services()}
POOLED = [kind for kind in KINDS.values() if kind.pool]
ZHOU = user("zhou", "SAL")
POOL = Pool("leads.claim", "leads.assign")
WHY = "对方不再需要"


def person(by: Principal) -> Person:
    return Person(user_id=by.user_id, name=by.name)


class Shop:
    """The service of a kind, whose people are a manager's salespeople, and others."""

    def __init__(self, kind: Kind) -> None:
        self.kind, self.kit, self.revision = kind, InMemoryService(SERVICES[kind.service]), 0
        for by in (ADMIN, SUPERVISOR, SALES, ZHOU):
            self.kit.known(by)

    def enter(self, by: Principal = ADMIN, **more: Any) -> UUID:
        id = uuid4()
        body = {**new_record(self.kind, enter_in(self.kit)), self.kind.key: str(id), **more}
        self.kit.do(load(self.kind.create, body), by)
        return id

    def pooled(self) -> UUID:
        """A record that waits in the pool."""
        return self.enter(owner_id=None)

    def named(self, command: type, id: UUID, **more: Any) -> Any:
        return command(**{self.kind.key: id}, **more)

    def claim(self, id: UUID) -> Any:
        return self.named(self.kind.claim, id)

    def give_back(self, id: UUID) -> Any:
        return self.named(self.kind.give_back, id, reason=WHY)

    def assign(self, id: UUID, to: Principal | None) -> Any:
        return self.named(self.kind.assign, id, owner_id=to and to.user_id)

    def in_turn(self, id: UUID, *among: Principal) -> Any:
        return self.named(self.kind.assign_in_turn, id, among=tuple(by.user_id for by in among))

    def given(self, *among: Principal) -> Principal:
        """Who is given a record of the pool in turn, as the answer tells."""
        id = self.pooled()
        answer = self.kit.do(self.in_turn(id, *among)).body
        assert answer["owner_id"] == self.row(id)["owner_id"] and not self.waits(id)
        return next(by for by in among if str(by.user_id) == answer["owner_id"] and by.name == answer["owner_name"])

    def limit(self, limit: PoolLimit, value: int) -> None:
        self.revision += 1
        known = KnownParameter(limit_of(self.kind.path, limit), str(value), self.revision)
        self.kit.directory.company.take(known)

    def row(self, id: UUID) -> dict[str, Any]:
        [row] = documents(record_view(self.kind.cls), self.kit.stream(id)).values()
        return row

    def waits(self, id: UUID) -> bool:
        """Whether the pool's list shows it."""
        view = pool_view(self.kind.cls)
        return any(matches(row, view.where) for row in documents(view, self.kit.stream(id)).values())

    def places(self, by: Principal) -> int:
        assert by.user_id is not None
        found = self.kit.store.load(Places, places_id(self.kind, by.user_id))
        return found.owned if found else 0


@pytest.fixture(params=POOLED, ids=lambda kind: kind.what)
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(request.param)


def test_there_are_such_kinds_and_no_other_has_the_commands() -> None:
    assert {"lead", "customer"} <= {kind.what for kind in POOLED}
    assert all(kind.claim is kind.give_back is None for kind in KINDS.values() if kind not in POOLED)


def test_acc_24_led_01_cus_12_a_record_without_owner_waits_in_the_pool_and_one_with_owner_does_not(shop: Shop) -> None:
    pooled, owned = shop.pooled(), shop.enter(SALES)
    assert (shop.waits(pooled), shop.waits(owned)) == (True, False)
    assert (shop.row(pooled)["owner_id"], shop.row(owned)["owner_id"]) == (None, str(SALES.user_id))


def test_acc_25_cus_15_what_somebody_enters_is_theirs(shop: Shop) -> None:
    assert shop.row(shop.enter(SALES))["owner_name"] == SALES.name


def test_acc_27_led_03_cus_13_the_first_claim_wins_and_the_second_is_told_so(shop: Shop) -> None:
    id = shop.pooled()
    shop.kit.do(shop.claim(id), SALES)
    refusal = shop.kit.assert_refused("ALREADY_CLAIMED", shop.claim(id), by=ZHOU, field=shop.kind.key)
    assert refusal.state == "OWNED" and SALES.name not in refusal.message
    version = shop.kit.store.last_position()
    shop.kit.do(shop.claim(id), SALES)
    assert shop.kit.store.last_position() == version, "one's own is claimed again without an event"
    told = shop.kit.stream(id)[-1]
    assert (told.owner, told.before, told.by) == (person(SALES), NOBODY, person(SALES))
    assert (told.came_by, told.owner_since) == ("CLAIMED", shop.kit.today)
    assert not shop.waits(id)


def test_led_03_claimed_is_what_is_there(shop: Shop) -> None:
    id = shop.pooled()
    shop.kit.assert_refused("NOT_FOUND", shop.claim(uuid4()), by=SALES, field=shop.kind.key)
    shop.kit.do(shop.named(shop.kind.delete, id))
    shop.kit.assert_refused("NOT_FOUND", shop.claim(id), by=SALES, field=shop.kind.key)
    assert not shop.waits(id)
    shop.kit.do(shop.named(shop.kind.restore, id))
    assert shop.waits(id)


def test_led_04_cus_14_who_leads_people_assigns_from_the_pool_and_a_salesperson_does_not(shop: Shop) -> None:
    id = shop.pooled()
    for to in (SALES, ZHOU):
        shop.kit.assert_refused("FORBIDDEN", shop.assign(id, to), by=SALES, field=shop.kind.key)
    shop.kit.assert_refused("FORBIDDEN", shop.assign(id, ZHOU), by=SUPERVISOR, field="owner_id")
    shop.kit.do(shop.assign(id, SALES), SUPERVISOR)
    assert shop.kit.stream(id)[-1].came_by == "ASSIGNED" and not shop.waits(id)
    shop.kit.assert_refused("FORBIDDEN", shop.assign(id, ZHOU), by=SALES, field="owner_id")
    shop.kit.do(shop.assign(id, ZHOU), ADMIN)
    shop.kit.assert_refused("FORBIDDEN", shop.assign(id, SALES), by=SUPERVISOR, field=shop.kind.key)
    row = shop.row(id)
    assert (row["owner_name"], row["former_owner"], row["came_by"]) == (ZHOU.name, SALES.name, "ASSIGNED")


MEI = user("mei", "SAL")


def test_led_04_records_are_given_in_turn_and_the_answer_tells_to_whom(shop: Shop) -> None:
    shop.kit.known(MEI)
    people = (SALES, ZHOU, MEI)
    assert [shop.given(*people) for _ in range(4)] == [SALES, ZHOU, MEI, SALES]
    assert shop.given(ZHOU, SALES, MEI) is ZHOU
    assert shop.given(ZHOU, SALES) is SALES, "who was given one longer ago, however they are named"
    assert shop.given(*people, *people) is MEI
    assert [shop.places(by) for by in people] == [3, 2, 2]
    told = [fact for fact in shop.kit.facts() if type(fact) is shop.kind.assigned]
    assert {fact.came_by for fact in told} == {"ASSIGNED"}


def test_led_04_in_turn_who_is_away_is_left_out(shop: Shop) -> None:
    """Whose account is not in use, and who has left: also where somebody has taken over from them."""
    shop.kit.known(MEI)
    assert ZHOU.user_id and MEI.user_id
    away = UserState(login="zhou", name="zhou", status="NOT_ACTIVATED", roles=("SAL",), revision=100)
    left = UserState(login="mei", name="mei", status="DELETED", successor_id=SALES.user_id, revision=100)
    shop.kit.directory.tell([UserEdited(user_id=ZHOU.user_id, user=away), UserEdited(user_id=MEI.user_id, user=left)])
    assert [shop.given(ZHOU, SALES, MEI) for _ in range(2)] == [SALES, SALES]
    refusal = shop.kit.assert_refused("CLAIM_LIMIT", shop.in_turn(shop.pooled(), ZHOU, MEI), field="among")
    assert refusal.why.reason == "pools.nobody_free"


def test_led_04_in_turn_who_may_not_work_on_such_records_is_left_out(shop: Shop) -> None:
    shop.kit.known(WAREHOUSE)
    assert [shop.given(WAREHOUSE, SALES) for _ in range(2)] == [SALES, SALES]


def test_led_04_led_05_in_turn_who_is_at_the_limit_is_left_out_until_there_is_room(shop: Shop) -> None:
    shop.limit("most_owned", 2)
    full = [shop.enter(SALES) for _ in range(2)]
    assert [shop.given(SALES, ZHOU) for _ in range(2)] == [ZHOU, ZHOU]
    shop.kit.assert_refused("CLAIM_LIMIT", shop.in_turn(shop.pooled(), SALES, ZHOU), field="among")
    shop.kit.do(shop.give_back(full[0]), SALES)
    assert shop.given(SALES, ZHOU) is SALES


def test_led_04_in_turn_a_refused_one_takes_nobody_s_turn(shop: Shop) -> None:
    id = shop.pooled()
    shop.kit.do(shop.claim(id), ZHOU)
    assert shop.kit.assert_refused("ALREADY_CLAIMED", shop.in_turn(id, SALES, ZHOU)).state == "OWNED"
    shop.kit.assert_refused("ALREADY_CLAIMED", shop.in_turn(id, SALES), by=SUPERVISOR)
    assert [shop.given(SALES, ZHOU) for _ in range(2)] == [SALES, ZHOU]


def test_led_04_in_turn_who_leads_people_gives_to_their_own_and_a_salesperson_to_nobody(shop: Shop) -> None:
    id = shop.pooled()
    shop.kit.assert_refused("FORBIDDEN", shop.in_turn(id, SALES), by=SALES)
    shop.kit.assert_refused("FORBIDDEN", shop.in_turn(id, SALES, ZHOU), by=SUPERVISOR, field="among")
    shop.kit.assert_refused("VALIDATION", shop.in_turn(id), field="among")
    shop.kit.assert_refused("NOT_FOUND", shop.named(shop.kind.assign_in_turn, id, among=(uuid4(),)), field="among")
    shop.kit.do(shop.in_turn(id, SALES), SUPERVISOR)
    assert shop.row(id)["owner_name"] == SALES.name


def test_led_07_who_gives_a_record_back_says_why_and_the_pool_has_it_again(shop: Shop) -> None:
    id = shop.enter(SALES)
    shop.kit.assert_refused("FORBIDDEN", shop.give_back(id), by=ZHOU, field=shop.kind.key)
    shop.kit.assert_refused("VALIDATION", shop.assign(id, None), by=SALES, field="owner_id")
    shop.kit.do(shop.give_back(id), SALES)
    told = shop.kit.stream(id)[-1]
    assert (told.owner, told.before, told.came_by, told.reason) == (NOBODY, person(SALES), "RETURNED", WHY)
    row = shop.row(id)
    assert (row["former_owner"], row["return_reason"], row["owner_id"]) == (SALES.name, WHY, None)
    assert shop.waits(id)
    shop.kit.assert_refused("FORBIDDEN", shop.give_back(id), by=SALES, field=shop.kind.key)
    assert shop.kit.assert_refused("INVALID_STATE", shop.give_back(id), field=shop.kind.key).state == "POOL"
    shop.kit.do(shop.claim(id), ZHOU)


@pytest.mark.parametrize("blank", ["", "  \u3000"])
def test_led_07_a_blank_reason_is_none(shop: Shop, blank: str) -> None:
    with pytest.raises(Exception, match="reason"):
        load(shop.kind.give_back, {shop.kind.key: str(uuid4()), "reason": blank})


def test_led_05_nobody_claims_more_than_they_may_have(shop: Shop) -> None:
    shop.limit("most_owned", 2)
    first, second, third = (shop.pooled() for _ in range(3))
    shop.kit.do(shop.claim(first), SALES)
    shop.kit.do(shop.claim(second), SALES)
    refusal = shop.kit.assert_refused("CLAIM_LIMIT", shop.claim(third), by=SALES, field=shop.kind.key)
    assert refusal.why.reason == "pools.most_owned" and shop.waits(third)
    shop.kit.do(shop.claim(third), ZHOU)
    shop.kit.do(shop.assign(third, SALES), ADMIN)
    assert shop.places(SALES) == 3, "what is assigned is not limited, and counts"
    for id in (first, second):
        shop.kit.do(shop.give_back(id), SALES)
    shop.kit.do(shop.claim(first), SALES)
    shop.kit.assert_refused("CLAIM_LIMIT", shop.claim(second), by=SALES)
    shop.kit.do(shop.named(shop.kind.delete, first), SALES)
    shop.kit.do(shop.claim(second), SALES)
    shop.limit("most_owned", 0)
    shop.kit.do(shop.named(shop.kind.restore, first), SALES)
    assert (shop.places(SALES), shop.places(ZHOU)) == (3, 0)


@pytest.mark.parametrize("limit", ["most_owned", "most_claims_a_day"])
def test_led_05_who_gives_themselves_a_record_of_the_pool_claims_it_and_is_limited_as_everybody(
    shop: Shop, limit: PoolLimit
) -> None:
    """To others it is not limited; and in turn it is the same."""
    shop.limit(limit, 1)
    first, second = shop.pooled(), shop.pooled()
    shop.kit.do(shop.assign(first, ADMIN))
    assert shop.kit.stream(first)[-1].came_by == "CLAIMED"
    for command in (shop.assign(second, ADMIN), shop.claim(second)):
        refusal = shop.kit.assert_refused("CLAIM_LIMIT", command, field=shop.kind.key)
        assert refusal.why.reason == f"pools.{limit}" and shop.waits(second)
    shop.kit.assert_refused("CLAIM_LIMIT", shop.in_turn(second, ADMIN), field="among")
    assert shop.given(ADMIN, SALES) is SALES
    shop.kit.do(shop.assign(second, SALES))
    assert (shop.places(ADMIN), shop.places(SALES)) == (1, 2)


def test_led_05_what_the_caller_is_given_in_turn_counts_as_a_claim_of_the_day(shop: Shop) -> None:
    shop.limit("most_claims_a_day", 1)
    assert shop.given(ADMIN) is ADMIN
    shop.kit.assert_refused("CLAIM_LIMIT", shop.claim(shop.pooled()), field=shop.kind.key)


def test_led_05_who_gave_a_record_back_does_not_give_it_to_themselves_before_its_days_are_over(shop: Shop) -> None:
    shop.limit("cool_down_days", 2)
    id = shop.enter()
    shop.kit.do(shop.give_back(id))
    refusal = shop.kit.assert_refused("CLAIM_LIMIT", shop.assign(id, ADMIN), field=shop.kind.key)
    assert refusal.why.reason == "pools.cooling_down"
    shop.kit.assert_refused("CLAIM_LIMIT", shop.in_turn(id, ADMIN), field="among")
    shop.kit.pass_time(days=2)
    shop.kit.do(shop.assign(id, ADMIN))


def test_led_05_who_deletes_a_record_to_claim_another_does_not_bring_it_back_above_the_limit(shop: Shop) -> None:
    shop.limit("most_owned", 1)
    first, second = shop.pooled(), shop.pooled()
    shop.kit.do(shop.claim(first), SALES)
    shop.kit.do(shop.named(shop.kind.delete, first), SALES)
    restore = shop.named(shop.kind.restore, first)
    shop.kit.do(restore, SALES)
    shop.kit.do(shop.named(shop.kind.delete, first), SALES)
    shop.kit.do(shop.claim(second), SALES)
    refusal = shop.kit.assert_refused("CLAIM_LIMIT", restore, by=SALES, field=shop.kind.key)
    assert refusal.why.reason == "pools.most_owned" and shop.places(SALES) == 1
    shop.kit.do(restore, ADMIN)
    assert shop.places(SALES) == 2, "who brings it back for somebody else gives it, which is not limited"


@pytest.mark.parametrize("kind", [kind for kind in POOLED if kind.merge], ids=lambda kind: kind.what)
def test_led_05_cus_22_who_merges_two_of_their_own_takes_them_apart_again_within_the_limit(kind: Kind) -> None:
    shop = Shop(kind)
    shop.limit("most_owned", 2)
    survivor, duplicate = shop.enter(), shop.enter()
    shop.kit.do(shop.named(kind.merge, survivor, duplicate_id=duplicate))
    shop.kit.do(shop.named(kind.unmerge, duplicate))
    assert shop.places(ADMIN) == 2
    shop.kit.do(shop.named(kind.merge, survivor, duplicate_id=duplicate))
    shop.enter()
    refusal = shop.kit.assert_refused("CLAIM_LIMIT", shop.named(kind.unmerge, duplicate), field=kind.key)
    assert refusal.why.reason == "pools.most_owned" and shop.places(ADMIN) == 2


def test_led_05_what_is_brought_back_is_no_claim_of_the_day(shop: Shop) -> None:
    shop.limit("most_claims_a_day", 1)
    id = shop.pooled()
    shop.kit.do(shop.claim(id), SALES)
    shop.kit.do(shop.named(shop.kind.delete, id), SALES)
    shop.kit.do(shop.named(shop.kind.restore, id), SALES)
    assert shop.places(SALES) == 1


def test_led_05_nobody_claims_more_in_a_day_of_the_company_than_they_may(shop: Shop) -> None:
    shop.limit("most_claims_a_day", 2)
    for _ in range(2):
        id = shop.pooled()
        shop.kit.do(shop.claim(id), SALES)
        shop.kit.do(shop.give_back(id), SALES)
    id = shop.pooled()
    refusal = shop.kit.assert_refused("CLAIM_LIMIT", shop.claim(id), by=SALES, field=shop.kind.key)
    assert refusal.why.reason == "pools.most_claims_a_day", "what was given back the same day counts"
    shop.kit.do(shop.claim(id), ZHOU)
    shop.kit.pass_time(hours=14, minutes=59)  # it is 23:59 in Shanghai
    again = shop.pooled()
    shop.kit.assert_refused("CLAIM_LIMIT", shop.claim(again), by=SALES)
    shop.kit.pass_time(minutes=1)
    shop.kit.do(shop.claim(again), SALES)


def test_led_05_the_claims_of_the_day_count_also_when_the_company_s_zone_makes_it_yesterday(shop: Shop) -> None:
    shop.limit("most_claims_a_day", 1)
    shop.kit.do(shop.claim(shop.pooled()), SALES)
    day, id = shop.kit.today, shop.pooled()
    company = shop.kit.directory.company
    company.known = msgspec.structs.replace(company.known, time_zone="America/Los_Angeles")
    assert shop.kit.today < day
    shop.kit.assert_refused("CLAIM_LIMIT", shop.claim(id), by=SALES)


def test_led_05_who_had_a_record_claims_it_again_only_after_some_days(shop: Shop) -> None:
    shop.limit("cool_down_days", 2)
    id = shop.enter(SALES)
    shop.kit.do(shop.give_back(id), SALES)
    for _ in range(2):
        refusal = shop.kit.assert_refused("CLAIM_LIMIT", shop.claim(id), by=SALES, field=shop.kind.key)
        assert refusal.why.reason == "pools.cooling_down"
        shop.kit.pass_time(days=1)
    shop.kit.do(shop.claim(id), SALES)
    shop.kit.do(shop.give_back(id), SALES)
    shop.kit.do(shop.claim(id), ZHOU)
    shop.kit.pass_time(days=1)
    shop.kit.do(shop.give_back(id), ZHOU)
    shop.kit.assert_refused("CLAIM_LIMIT", shop.claim(id), by=SALES)  # whoever else had it meanwhile
    shop.kit.pass_time(days=1)
    shop.kit.do(shop.claim(id), SALES)
    shop.kit.do(shop.give_back(id), SALES)
    shop.kit.assert_refused("CLAIM_LIMIT", shop.claim(id), by=ZHOU)


def test_led_05_a_refused_claim_takes_no_place_and_two_at_once_never_pass_the_limit(shop: Shop) -> None:
    shop.limit("most_owned", 1)
    ids = [shop.pooled() for _ in range(5)]
    requests = [shop.kit.request(shop.claim(id), SALES) for id in ids]
    shop.kit.writer.execute(requests)
    outcomes = [request.future.exception(timeout=0) for request in requests]
    assert [one is None for one in outcomes].count(True) == 1
    assert {getattr(one, "code", "") for one in outcomes if one} == {"CLAIM_LIMIT"}
    assert shop.places(SALES) == 1


def test_led_03_of_two_hundred_who_claim_at_once_one_has_it(shop: Shop) -> None:
    id, crowd = shop.pooled(), [user(f"seller {number}", "SAL") for number in range(200)]
    requests = [shop.kit.request(shop.claim(id), by) for by in crowd]
    shop.kit.writer.execute(requests)
    outcomes = [request.future.exception(timeout=0) for request in requests]
    assert [one is None for one in outcomes].count(True) == 1
    assert {getattr(one, "code", "") for one in outcomes if one} == {"ALREADY_CLAIMED"}
    assert sum(shop.places(by) for by in crowd) == 1


def test_led_05_what_somebody_had_before_there_was_the_pool_takes_no_place_until_it_changes_hands(shop: Shop) -> None:
    """No count could be below what is there, or take away a place that was never given."""
    [created] = shop.kit.stream(shop.enter(ZHOU))
    id = uuid4()
    before = replace(created, **{shop.kind.key: id}, owner=person(SALES), owner_since=None)
    meta = shop.kit.request(shop.claim(id), SALES).meta()
    shop.kit.store.commit(Transaction(events=[recorded(id, 1, before, meta)]))
    shop.kit.do(shop.give_back(id), SALES)
    assert shop.places(SALES) == 0
    shop.kit.do(shop.claim(id), SALES)
    assert shop.places(SALES) == 1


def test_led_01_the_pool_tells_of_a_person_no_more_than_the_name(shop: Shop) -> None:
    view, kind = pool_view(shop.kind.cls), shop.kind
    assert view.route == f"GET /pools{kind.path}" and kind.pool and view.permission == kind.pool.claim
    hidden = {name for name, one in kind.fields.items() if one.is_personal and name != kind.called}
    assert hidden and not hidden & (view.types.keys() | view.filters.keys() | {*view.sortable})
    assert "own" not in view.types and view.personal == (kind.called,)


def test_led_01_who_may_not_see_such_records_does_not_read_them_in_the_pool_either(shop: Shop) -> None:
    view, kind = pool_view(shop.kind.cls), shop.kind
    told = {name for name in view.types if name in kind.fields or name == "former_owner"}
    assert kind.called in told
    assert {view.hidden.get(name) for name in told} == {kind.view}


def test_led_14_the_status_of_a_record_follows_from_whose_it_is(shop: Shop) -> None:
    if shop.kind.statuses is None:
        return
    id = shop.pooled()
    to_closed = shop.named(shop.kind.set_status, id, status="INVALID", reason=WHY)
    assert shop.row(id)["status"] == "POOL"
    assert shop.kit.assert_refused("INVALID_STATE", to_closed, field="status").why.reason == "pools.claim_first"
    shop.kit.do(shop.claim(id), SALES)
    assert shop.row(id)["status"] == "OWNED"
    shop.kit.do(shop.give_back(id), SALES)
    assert (shop.row(id)["status"], shop.row(id)["status_reason"]) == ("POOL", WHY)
    shop.kit.do(shop.claim(id), SALES)
    shop.kit.assert_refused("INVALID_STATE", shop.named(shop.kind.set_status, id, status="POOL"), field="status")
    shop.kit.do(to_closed, SALES)
    assert shop.places(SALES) == 0, "what is closed takes no place"
    assert shop.kit.assert_refused("INVALID_STATE", shop.give_back(id), by=SALES).state == "INVALID"
    shop.kit.do(shop.assign(id, ZHOU))
    assert (shop.row(id)["status"], shop.places(ZHOU)) == ("INVALID", 0)
    again = shop.named(shop.kind.set_status, id, status="OWNED", reason=WHY)
    shop.kit.assert_refused("FORBIDDEN", again, by=ZHOU, field="status")
    shop.kit.pass_time(days=40)
    shop.kit.do(again)
    assert shop.places(ZHOU) == 1
    assert shop.row(id)["owner_since"] == str(shop.kit.today), "its days run anew (LED-05, LED-06)"


@pytest.mark.parametrize(
    "more,what",
    [
        ({"owned": False, "pool": POOL}, "belongs to somebody"),
        ({"owned": True, "pool": Pool("leads.grab", "leads.assign")}, "no right leads.grab"),
        ({"owned": True, "pool": POOL}, "no system parameter"),
        ({"owned": True, "statuses": Statuses("OPEN", pooled="POOL")}, "belongs to somebody"),
    ],
)
def test_a_pool_is_declared_rightly(more: dict[str, Any], what: str) -> None:
    with pytest.raises(ContractError, match=what):

        @record("/orphans", view="leads.view", edit="leads.edit", **more)
        class Orphan:
            """One that is declared wrongly."""

            name: Name


@pytest.mark.parametrize("name", sorted(WITH_POOL))
def test_a_field_that_every_record_with_a_pool_has_is_refused_by_name(name: str) -> None:
    made = type("Thing", (), {"__doc__": "One.", "__annotations__": {"name": Name, name: Name}, "__module__": __name__})
    with pytest.raises(ContractError, match=f"every record has {name} already"):
        record("/leads", view="leads.view", edit="leads.edit", owned=True, pool=POOL)(made)


def test_no_step_leads_to_the_pool() -> None:
    with pytest.raises(ContractError, match="no step leads to POOL"):
        Statuses("OPEN", Step("POOL", after=("OPEN",)), pooled="POOL")
