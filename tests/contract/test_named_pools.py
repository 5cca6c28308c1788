"""Several pools of a kind of record, with members, administrators, limits and rules of their own (LED-01, CUS-12).

Asked of every kind of record that has a pool, so also of those that are declared later (ADR 0065).
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.access.known import KnownParameter
from chassis.catalogue import Catalogue
from chassis.http.actions import actions_on
from chassis.model import recycling
from chassis.model.actions import Page
from chassis.model.deciding import Caller
from chassis.model.named_pools import pool_of, pools_seen
from chassis.model.place_counts import counts_places
from chassis.model.pools import Places, places_id
from chassis.model.principal import Principal
from chassis.model.record_views import pool_view, record_view
from chassis.testing.people import ADMIN, SALES, SUPERVISOR, user
from chassis.testing.records import enter_in, new_record
from chassis.testing.services import InMemoryService
from chassis.testing.views import documents, matches
from contracts.access import DepartmentAdded, UserEdited, UserState
from contracts.declare import KEPT, REGISTRY
from contracts.parameters import PoolLimit, limit_of
from contracts.records import KINDS, Kind, kind_pooled_in
from contracts.schedules import SCHEDULES
from contracts.schemas import load
from contracts.subjects import FollowUpsChanged

REGISTRY.load()
SERVICES = {service.name: service for service in Catalogue.read().services()}
POOLED = [kind for kind in KINDS.values() if kind.pool]
ZHOU = user("zhou", "SAL")
CHIEF = user("chief", "SUP")
WEST, CITY = uuid4(), uuid4()
"""A department and one that is part of it."""
N = 30


class Shop:
    """The service of a kind, with a supervisor's salesperson, another one, and two pools: `mine` of SALES, looked after
    by SUPERVISOR, and `other`, of ZHOU and looked after by CHIEF."""

    def __init__(self, kind: Kind) -> None:
        assert kind.pools
        self.kind, self.pools, self.kit, self.revision = kind, kind.pools, InMemoryService(SERVICES[kind.service]), 9
        for by in (ADMIN, SUPERVISOR, CHIEF, SALES, ZHOU):
            self.kit.known(by)
        self.kit.directory.tell([
            DepartmentAdded(department_id=WEST, name="West"),
            DepartmentAdded(department_id=CITY, name="City", parent_id=WEST),
        ])  # fmt: skip
        self.entered = list[UUID]()
        self.mine = self.pool(members=[SALES], administrators=[SUPERVISOR])
        self.other = self.pool(members=[ZHOU], administrators=[CHIEF])

    def pool(self, by: Principal = ADMIN, **more: Any) -> UUID:
        id = uuid4()
        told = {"name": f"pool {id}", **{name: ids(value) for name, value in more.items()}}
        self.kit.do(self.pools.create(**{self.pools.key: id}, **told), by)
        self.entered.append(id)
        self.hears()
        return id

    def change(self, pool: UUID, **more: Any) -> Any:
        return self.pools.edit(**{self.pools.key: pool}, **{name: ids(value) for name, value in more.items()})

    def delete(self, pool: UUID) -> Any:
        return self.pools.delete(**{self.pools.key: pool})

    def enter(self, by: Principal | None = None, pool: UUID | None = None) -> UUID:
        """A record of somebody, or one that waits in a pool."""
        id = uuid4()
        body = {**new_record(self.kind, enter_in(self.kit)), self.kind.key: str(id)}
        body |= {} if by else {"owner_id": None}
        self.kit.do(load(self.kind.create, body), by or ADMIN)
        if pool:
            self.kit.do(self.move(id, pool))
        self.hears()
        return id

    def named(self, command: Any, id: UUID, **more: Any) -> Any:
        return command(**{self.kind.key: id}, **more)

    def move(self, id: UUID, pool: UUID | None) -> Any:
        return self.named(self.kind.move, id, pool_id=pool)

    def claim(self, id: UUID) -> Any:
        return self.named(self.kind.claim, id)

    def give_back(self, id: UUID, pool: Any = KEPT) -> Any:
        return self.named(self.kind.give_back, id, reason="why not", pool_id=pool)

    def assign(self, id: UUID, to: Principal) -> Any:
        return self.named(self.kind.assign, id, owner_id=to.user_id)

    def claimed(self, pool: UUID, by: Principal = SALES) -> UUID:
        id = self.enter(pool=pool)
        self.kit.do(self.claim(id), by)
        return id

    def limit(self, limit: PoolLimit, value: int) -> None:
        self.revision += 1
        known = KnownParameter(limit_of(self.kind.path, limit), str(value), self.revision)
        self.kit.directory.company.take(known)

    def place(self, by: Principal, **more: Any) -> None:
        """Move somebody in the company."""
        self.revision += 1
        told: dict[str, Any] = {"login": by.name, "name": by.name, "status": "ACTIVE", "roles": tuple(by.roles)}
        told |= {"superior_id": by.superior_id, **more}
        assert by.user_id
        self.kit.directory.tell([UserEdited(user_id=by.user_id, user=UserState(**told, revision=self.revision))])

    def row(self, id: UUID) -> dict[str, Any]:
        [row] = documents(record_view(self.kind.cls), self.kit.stream(id)).values()
        return row

    def waits_in(self, id: UUID) -> UUID | None:
        """The pool in whose list it is."""
        view = pool_view(self.kind.cls)
        [row] = documents(view, self.kit.stream(id)).values()
        assert matches(row, view.where)
        return row["pool_id"] and UUID(row["pool_id"])

    def pool_rows(self) -> dict[str, dict[str, Any]]:
        return documents(record_view(self.pools.cls), [fact for one in self.entered for fact in self.kit.stream(one)])

    def seen_by(self, by: Principal) -> set[UUID]:
        """The pools that their list shows to somebody: which are those that a command takes of them."""
        rows = self.pool_rows()
        condition = pools_seen(self.kind, Caller.of(self.kit.known(by)))
        shown = {UUID(id) for id, row in rows.items() if matches(row, condition)}
        context = self.kit.known(by).context(self.kit.now, self.kit.today)
        found = {id: self.kit.store.load(pool_of(self.kind), id) for id in map(UUID, rows)}
        assert shown == {id for id, one in found.items() if one and one.is_seen(context)}
        return shown

    def places(self, by: Principal, pool: UUID | None = None) -> int:
        assert by.user_id
        found = self.kit.store.load(Places, places_id(self.kind, by.user_id, pool))
        return found.owned if found else 0

    def assert_counted(self) -> None:
        """Every count is of what there is."""
        rule = counts_places(self.kind)
        state = rule.state()
        for fact in self.kit.facts():
            if type(fact) in rule.folds and rule.key(fact) is not None:
                rule.folds[type(fact)](state, fact)
        assert rule.at_rest(state) == ""

    def hears(self) -> None:
        """The service's replicas of its own records hear of them."""
        self.kit.learn(*[fact for fact in self.kit.new_facts() if REGISTRY.is_public_event(type(fact))])

    def recycle(self, **more: Any) -> dict[str, Any]:
        [run] = [run for run in SCHEDULES if SCHEDULES[run].service == self.kind.service]
        body = self.kit.do(run(**more), ADMIN).body
        self.hears()
        return dict(body)


def ids(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(one.user_id if isinstance(one, Principal) else one for one in value)
    return value


@pytest.fixture(params=POOLED, ids=lambda kind: kind.what)
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(request.param)


def test_every_kind_with_a_pool_has_pools_and_no_other() -> None:
    assert {kind.pools.what for kind in POOLED if kind.pools} >= {"lead pool", "customer pool"}
    assert all((kind.pools is None) == (kind.pool is None) == (kind.move is None) for kind in KINDS.values())
    assert all(kind_pooled_in(kind.pools) is kind for kind in POOLED if kind.pools)


def test_led_01_cus_12_what_is_entered_waits_in_the_pool_that_is_always_there(shop: Shop) -> None:
    id = shop.enter()
    assert shop.waits_in(id) is None
    shop.kit.do(shop.claim(id), ZHOU)
    assert shop.kit.stream(id)[-1].pool_id is None
    shop.kit.do(shop.give_back(id), ZHOU)
    assert shop.waits_in(id) is None


def test_led_02_cus_12_who_enters_a_record_may_name_a_pool_that_they_see(shop: Shop) -> None:
    def entered(pool: UUID, **more: Any) -> Any:
        body = {**new_record(shop.kind, enter_in(shop.kit)), shop.kind.key: str(uuid4()), "pool_id": str(pool), **more}
        return load(shop.kind.create, body)

    for pool in (shop.other, uuid4()):
        shop.kit.assert_refused("NOT_FOUND", entered(pool), by=SALES, field="pool_id")
    own, pooled = entered(shop.mine), entered(shop.mine, owner_id=None)
    for command in (own, pooled):
        shop.kit.do(command, SALES)
    assert shop.waits_in(getattr(pooled, shop.kind.key)) == shop.mine
    assert (shop.places(SALES, shop.mine), shop.places(SALES)) == (1, 1)
    assert shop.kit.assert_refused("INVALID_STATE", shop.delete(shop.mine)).why.params["count"] == 2
    shop.kit.do(shop.change(shop.mine, active=False))
    shop.kit.assert_refused("INVALID_STATE", entered(shop.mine), by=SALES, field="pool_id")
    shop.assert_counted()


def test_led_01_cus_12_somebody_sees_the_pools_of_which_they_are_a_member_or_administrator(shop: Shop) -> None:
    both = {shop.mine, shop.other}
    assert [shop.seen_by(by) for by in (SALES, ZHOU, SUPERVISOR, CHIEF, ADMIN)] == [
        {shop.mine}, {shop.other}, {shop.mine}, {shop.other}, both
    ]  # fmt: skip
    shop.kit.do(shop.change(shop.other, members=[SALES]), CHIEF)
    assert (shop.seen_by(SALES), shop.seen_by(ZHOU)) == (both, set())


def test_led_01_cus_12_the_members_of_a_department_are_those_of_its_parts_too(shop: Shop) -> None:
    shop.kit.do(shop.change(shop.mine, members=[WEST]))
    assert shop.seen_by(SALES) == set()
    shop.place(SALES, department_id=CITY)
    assert shop.seen_by(SALES) == {shop.mine}
    id = shop.enter(pool=shop.mine)
    shop.kit.do(shop.claim(id), SALES)
    shop.place(SALES, department_id=None)
    shop.kit.assert_refused("FORBIDDEN", shop.claim(shop.enter(pool=shop.mine)), by=SALES)


def test_sec_14_who_has_taken_the_place_of_somebody_sees_their_pools(shop: Shop) -> None:
    shop.place(SUPERVISOR, status="DELETED", successor_id=CHIEF.user_id)
    assert shop.seen_by(CHIEF) == {shop.mine, shop.other}
    shop.kit.do(shop.change(shop.mine, most_owned=3), CHIEF)


def test_led_03_cus_13_members_alone_claim_from_a_pool(shop: Shop) -> None:
    id = shop.enter(pool=shop.mine)
    assert shop.waits_in(id) == shop.mine
    for by in (ZHOU, SUPERVISOR, ADMIN):
        refusal = shop.kit.assert_refused("FORBIDDEN", shop.claim(id), by=by, field=shop.kind.key)
        assert refusal.why.reason == "pools.not_a_member"
    shop.kit.do(shop.claim(id), SALES)
    assert shop.kit.assert_refused("ALREADY_CLAIMED", shop.claim(id), by=ZHOU).state == "OWNED"
    assert shop.row(id)["pool_id"] == str(shop.mine)


def test_led_07_cus_13_what_is_given_back_goes_to_where_it_comes_from_or_to_the_pool_that_is_named(shop: Shop) -> None:
    id = shop.claimed(shop.mine)
    shop.kit.do(shop.give_back(id), SALES)
    assert shop.waits_in(id) == shop.mine
    shop.kit.do(shop.claim(id), SALES)
    shop.kit.assert_refused("NOT_FOUND", shop.give_back(id, shop.other), by=SALES, field="pool_id")
    shop.kit.assert_refused("NOT_FOUND", shop.give_back(id, uuid4()), by=SALES, field="pool_id")
    shop.kit.do(shop.give_back(id, None), SALES)
    assert shop.waits_in(id) is None
    shop.kit.do(shop.claim(id), ZHOU)
    shop.kit.do(shop.give_back(id, shop.other), ZHOU)
    assert shop.waits_in(id) == shop.other
    shop.assert_counted()


def test_led_04_cus_14_who_looks_after_a_pool_assigns_from_it_within_their_reach(shop: Shop) -> None:
    id = shop.enter(pool=shop.other)
    for command in (shop.assign(id, SALES), shop.named(shop.kind.assign_in_turn, id, among=(SALES.user_id,))):
        refusal = shop.kit.assert_refused("FORBIDDEN", command, by=SUPERVISOR, field=shop.kind.key)
        assert refusal.why.reason == "pools.not_looked_after"
    shop.kit.do(shop.move(id, shop.mine))
    shop.kit.assert_refused("FORBIDDEN", shop.assign(id, ZHOU), by=SUPERVISOR, field="owner_id")
    shop.kit.assert_refused("FORBIDDEN", shop.assign(id, SALES), by=SALES, field=shop.kind.key)
    shop.kit.do(shop.assign(id, SALES), SUPERVISOR)
    assert (shop.row(id)["owner_id"], shop.row(id)["pool_id"]) == (str(SALES.user_id), str(shop.mine))
    shop.kit.do(shop.assign(id, ZHOU), ADMIN)
    assert shop.places(ZHOU, shop.mine) == 1 and shop.places(SALES, shop.mine) == 0
    shop.assert_counted()


def test_led_01_cus_12_who_looks_after_a_pool_moves_records_out_of_it_to_others_that_they_see(shop: Shop) -> None:
    waits, owned = shop.enter(pool=shop.mine), shop.claimed(shop.mine)
    for by in (SALES, ZHOU, CHIEF):
        shop.kit.assert_refused("FORBIDDEN", shop.move(waits, shop.other), by=by)
    for to in (shop.other, uuid4()):
        shop.kit.assert_refused("NOT_FOUND", shop.move(waits, to), by=SUPERVISOR, field="pool_id")
    shop.kit.do(shop.change(shop.other, members=[ZHOU, SUPERVISOR]), CHIEF)
    for id in (waits, owned):
        shop.kit.do(shop.move(id, shop.other), SUPERVISOR)
        assert shop.kit.stream(id)[-1].before == shop.mine
        position = shop.kit.store.last_position()
        shop.kit.do(shop.move(id, shop.other), CHIEF)
        assert shop.kit.store.last_position() == position, "nothing happens where it is there"
    assert shop.waits_in(waits) == shop.other
    assert (shop.places(SALES, shop.mine), shop.places(SALES, shop.other), shop.places(SALES)) == (0, 1, 1)
    shop.kit.do(shop.move(waits, None), CHIEF)
    shop.kit.assert_refused("FORBIDDEN", shop.move(waits, shop.other), by=CHIEF, field=shop.kind.key)
    shop.kit.do(shop.move(waits, shop.other), ADMIN)
    shop.assert_counted()


def test_cus_16_a_pool_is_changed_by_who_looks_after_it_and_entered_by_who_looks_after_all(shop: Shop) -> None:
    change = shop.change(shop.mine, rule="OWN", idle_days=N)
    shop.kit.assert_refused("FORBIDDEN", change, by=CHIEF, field=shop.pools.key)
    shop.kit.assert_refused("FORBIDDEN", change, by=SALES)
    shop.kit.do(change, SUPERVISOR)
    for by in (SUPERVISOR, SALES):
        command = shop.pools.create(**{shop.pools.key: uuid4()}, name="new")
        shop.kit.assert_refused("FORBIDDEN", command, by=by)
    shop.kit.assert_refused("FORBIDDEN", shop.delete(shop.other), by=SUPERVISOR)
    shop.kit.do(shop.delete(shop.other), CHIEF)


@pytest.mark.parametrize(
    "more,code,field",
    [
        ({"members": [uuid4()]}, "NOT_FOUND", "members"),
        ({"administrators": [uuid4()]}, "NOT_FOUND", "administrators"),
        ({"administrators": [WEST]}, "NOT_FOUND", "administrators"),
        ({"administrators": [SALES]}, "VALIDATION", "administrators"),
        ({"rule": "OWN"}, "VALIDATION", "idle_days"),
        ({"rule": "OWN", "idle_days": 3, "remind_days": 4}, "VALIDATION", "remind_days"),
    ],
)
def test_cus_16_a_pool_names_people_that_there_are_and_a_rule_that_can_be_kept(
    shop: Shop, more: dict[str, Any], code: str, field: str
) -> None:
    shop.kit.assert_refused(code, shop.change(shop.mine, **more), field=field)
    shop.kit.assert_refused("DUPLICATE", shop.change(shop.mine, name=f"POOL {shop.other}"), field="name")


def test_led_05_a_pool_limits_how_many_of_it_somebody_has_besides_what_holds_for_all(shop: Shop) -> None:
    shop.kit.do(shop.change(shop.mine, most_owned=1))
    first, second = shop.claimed(shop.mine), shop.enter(pool=shop.mine)
    refusal = shop.kit.assert_refused("CLAIM_LIMIT", shop.claim(second), by=SALES, field=shop.kind.key)
    assert refusal.why.reason == "pools.most_owned_of_pool"
    in_turn = shop.named(shop.kind.assign_in_turn, second, among=(SALES.user_id,))
    assert shop.kit.assert_refused("CLAIM_LIMIT", in_turn).why.reason == "pools.nobody_free"
    shop.kit.do(shop.claim(shop.enter()), SALES)
    shop.kit.do(shop.named(shop.kind.delete, first))
    shop.kit.do(shop.claim(second), SALES)
    restore = shop.named(shop.kind.restore, first)
    assert shop.kit.assert_refused("FORBIDDEN", restore, by=ZHOU).field == shop.kind.key
    shop.kit.do(shop.change(shop.mine, most_owned=0))
    shop.limit("most_owned", 2)
    shop.kit.assert_refused("CLAIM_LIMIT", restore, by=SALES)
    third = shop.enter(pool=shop.mine)
    refusal = shop.kit.assert_refused("CLAIM_LIMIT", shop.claim(third), by=SALES)
    assert refusal.why.reason == "pools.most_owned", "no pool allows more than the company"
    shop.assert_counted()


def test_led_05_a_pool_limits_claims_of_a_day_and_how_soon_one_claims_again(shop: Shop) -> None:
    shop.kit.do(shop.change(shop.mine, most_claims_a_day=1, cool_down_days=2))
    shop.limit("cool_down_days", 1)
    id = shop.claimed(shop.mine)
    refusal = shop.kit.assert_refused("CLAIM_LIMIT", shop.claim(shop.enter(pool=shop.mine)), by=SALES)
    assert refusal.why.reason == "pools.most_claims_a_day_of_pool"
    shop.kit.do(shop.claim(shop.enter()), SALES)
    shop.kit.do(shop.give_back(id), SALES)
    for _ in range(2):
        shop.kit.assert_refused("CLAIM_LIMIT", shop.claim(id), by=SALES)
        shop.kit.pass_time(days=1)
    shop.kit.do(shop.claim(id), SALES)


def test_led_05_who_looks_after_a_pool_and_gives_themselves_of_it_claims_within_its_limits(shop: Shop) -> None:
    shop.kit.do(shop.change(shop.mine, most_claims_a_day=1, cool_down_days=2))
    shop.kit.do(shop.change(shop.other, members=[ZHOU, SUPERVISOR]))
    first, second, other = shop.enter(pool=shop.mine), shop.enter(pool=shop.mine), shop.enter(pool=shop.other)
    refusal = shop.kit.assert_refused("FORBIDDEN", shop.assign(other, SUPERVISOR), by=SUPERVISOR, field=shop.kind.key)
    assert refusal.why.reason == "pools.not_looked_after", "a member claims, and assigns nothing"
    shop.kit.do(shop.assign(first, SUPERVISOR), SUPERVISOR)
    assert (shop.places(SUPERVISOR, shop.mine), shop.places(SUPERVISOR)) == (1, 1)
    refusal = shop.kit.assert_refused("CLAIM_LIMIT", shop.assign(second, SUPERVISOR), by=SUPERVISOR)
    assert refusal.why.reason == "pools.most_claims_a_day_of_pool"
    in_turn = shop.named(shop.kind.assign_in_turn, second, among=(SUPERVISOR.user_id,))
    assert shop.kit.assert_refused("CLAIM_LIMIT", in_turn, by=SUPERVISOR).why.reason == "pools.nobody_free"
    shop.kit.do(shop.give_back(first), SUPERVISOR)
    shop.kit.pass_time(days=1)
    for command in (shop.assign(first, SUPERVISOR), shop.named(type(in_turn), first, among=in_turn.among)):
        shop.kit.assert_refused("CLAIM_LIMIT", command, by=SUPERVISOR)
    shop.kit.do(in_turn, SUPERVISOR)
    shop.assert_counted()


@pytest.mark.parametrize("kind", [kind for kind in POOLED if kind.merge], ids=lambda kind: kind.what)
def test_cus_22_what_went_into_another_record_is_of_no_pool_until_it_is_taken_out_again(kind: Kind) -> None:
    shop = Shop(kind)
    survivor, waits, owned = shop.enter(SALES), shop.enter(pool=shop.mine), shop.claimed(shop.mine)
    for id in (waits, owned):
        shop.kit.do(shop.named(kind.merge, survivor, duplicate_id=id))
    assert (shop.places(SALES), shop.places(SALES, shop.mine)) == (1, 0)
    shop.kit.do(shop.delete(shop.mine))
    shop.kit.assert_refused("NOT_FOUND", shop.named(kind.unmerge, owned), field="pool_id")
    shop.kit.do(shop.pools.restore(**{shop.pools.key: shop.mine}))
    for id in (waits, owned):
        shop.kit.do(shop.named(kind.unmerge, id))
    assert (shop.places(SALES), shop.places(SALES, shop.mine)) == (2, 1) and shop.waits_in(waits) == shop.mine
    refusal = shop.kit.assert_refused("INVALID_STATE", shop.delete(shop.mine), field=shop.pools.key)
    assert refusal.why.params["count"] == 2
    shop.assert_counted()


def test_led_01_cus_12_a_pool_with_records_is_not_deleted_and_tells_how_many(shop: Shop) -> None:
    waits, owned, gone = shop.enter(pool=shop.mine), shop.claimed(shop.mine), shop.enter(pool=shop.mine)
    shop.kit.do(shop.named(shop.kind.delete, gone))
    refusal = shop.kit.assert_refused("INVALID_STATE", shop.delete(shop.mine), field=shop.pools.key)
    assert (refusal.why.reason, refusal.why.params["count"], refusal.state) == ("pools.holds_records", 2, "IN_USE")
    for id in (waits, owned):
        shop.kit.do(shop.move(id, None))
    shop.kit.do(shop.delete(shop.mine))
    shop.kit.assert_refused("NOT_FOUND", shop.move(waits, shop.mine), field="pool_id")
    restore = shop.named(shop.kind.restore, gone)
    shop.kit.assert_refused("NOT_FOUND", restore, field="pool_id")
    shop.kit.do(shop.pools.restore(**{shop.pools.key: shop.mine}))
    shop.kit.do(restore)
    assert shop.waits_in(gone) == shop.mine


def test_led_01_cus_12_a_pool_that_is_switched_off_gives_and_takes_nothing(shop: Shop) -> None:
    waits, owned, other = shop.enter(pool=shop.mine), shop.claimed(shop.mine), shop.enter()
    shop.kit.do(shop.change(shop.mine, active=False), SUPERVISOR)
    assert shop.kit.assert_refused("INVALID_STATE", shop.claim(waits), by=SALES).state == "OFF"
    refusal = shop.kit.assert_refused("INVALID_STATE", shop.give_back(owned), by=SALES, field="pool_id")
    assert refusal.why.reason == "pools.takes_nothing"
    shop.kit.assert_refused("INVALID_STATE", shop.move(other, shop.mine), field="pool_id")
    shop.kit.do(shop.give_back(owned, None), SALES)
    shop.kit.do(shop.assign(waits, SALES), SUPERVISOR)
    shop.assert_counted()


def test_cus_16_cus_17_what_comes_from_a_pool_goes_back_to_it_by_its_own_rule(shop: Shop) -> None:
    shop.kit.do(shop.change(shop.mine, rule="OWN", idle_days=3, remind_days=1), SUPERVISOR)
    id, of_all = shop.claimed(shop.mine), shop.enter(SALES)
    shop.hears()
    shop.kit.pass_time(days=2)
    assert shop.recycle()["done"] == 1
    told = [fact for fact in shop.kit.facts() if type(fact) is shop.kind.recycling_near]
    assert [(getattr(fact, shop.kind.key), fact.pool_id) for fact in told] == [(id, shop.mine)]
    shop.kit.pass_time(days=1)
    would = shop.recycle(dry=True)["would"]
    assert [(one["id"], one["pool_id"], one["reason"]) for one in would] == [
        (str(id), str(shop.mine), f"pool {shop.mine}")
    ]
    assert shop.recycle()["done"] == 1 and shop.waits_in(id) == shop.mine
    assert shop.row(of_all)["owner_id"] == str(SALES.user_id)
    shop.assert_counted()


def test_cus_16_cus_17_a_pool_goes_by_the_company_s_rules_or_by_none(shop: Shop) -> None:
    rule = next(kind for kind in KINDS.values() if kind.what == "recycling rule")
    told = rule.cls(name="三十天未跟进", target="BOTH", idle_days=N)
    shop.kit.learn(rule.created(recycling_rule_id=uuid4(), data=told))
    shop.kit.do(shop.change(shop.other, rule="NEVER"))
    general, never, moved = shop.claimed(shop.mine), shop.claimed(shop.other, ZHOU), shop.claimed(shop.mine)
    shop.kit.do(shop.move(moved, shop.other))
    shop.hears()
    shop.kit.pass_time(days=N)
    assert shop.recycle()["done"] == 1 and shop.waits_in(general) == shop.mine
    assert shop.row(never)["owner_id"] == str(ZHOU.user_id)
    shop.kit.do(shop.change(shop.other, rule="GENERAL"))
    shop.kit.do(shop.change(shop.mine, active=False))
    again = shop.enter(SALES)
    shop.kit.do(shop.change(shop.mine, active=True))
    shop.kit.do(shop.move(again, shop.mine))
    shop.kit.do(shop.change(shop.mine, active=False))
    shop.hears()
    shop.kit.pass_time(days=N)
    assert shop.recycle()["done"] == 2, "what is off takes nothing"
    assert shop.waits_in(never) == shop.waits_in(moved) == shop.other
    assert shop.row(again)["owner_id"] == str(SALES.user_id)


def test_cus_16_cus_17_a_pool_s_own_rule_holds_in_every_part_of_a_run_also_where_there_is_no_general_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recycling, "ROWS_AT_ONCE", 2)
    shop.kit.do(shop.change(shop.mine, rule="OWN", idle_days=3))
    of_mine, of_all = list[UUID](), list[UUID]()
    for _ in range(3):
        of_all.append(shop.enter(SALES))
        of_mine.append(shop.claimed(shop.mine))
    shop.hears()
    shop.kit.pass_time(days=3)
    parts = 1
    while shop.recycle()["goes_on"]:
        parts += 1
    assert parts > 1
    assert {shop.waits_in(id) for id in of_mine} == {shop.mine}
    assert {shop.row(id)["owner_id"] for id in of_all} == {str(SALES.user_id)}
    shop.assert_counted()


def test_com_01_contact_begins_the_days_of_a_pool_s_rule_anew(shop: Shop) -> None:
    shop.kit.do(shop.change(shop.mine, rule="OWN", idle_days=3))
    id = shop.claimed(shop.mine)
    shop.hears()
    shop.kit.pass_time(days=2)
    day = shop.kit.today
    told = FollowUpsChanged(subject_kind=shop.kind.code, subject_id=id, followed_up_on=day, planned_on=None)
    shop.kit.learn(told)
    shop.kit.pass_time(days=2)
    assert shop.recycle()["done"] == 0
    assert shop.recycle(day=day + timedelta(days=2))["done"] == 0
    shop.kit.pass_time(days=1)
    assert shop.recycle()["done"] == 1 and shop.waits_in(id) == shop.mine


def test_uix_08_the_page_of_a_record_tells_what_its_pool_allows(shop: Shop) -> None:
    id = shop.enter(pool=shop.mine)
    page = Page.of(shop.kind.service, f"{shop.kind.path}/{{{shop.kind.key}}}", _aggregate(shop))
    [pool] = [{**row, "id": key} for key, row in shop.pool_rows().items() if key == str(shop.mine)]

    def allowed(by: Principal, names: Collection[type]) -> list[bool]:
        told = actions_on(
            page, {**shop.row(id), "id": str(id)}, shop.kit.known(by), shop.kit.now, shop.kit.directory.company,
            children={}, pool=pool,
        )  # fmt: skip
        found = {one.command: one.allowed for one in told}
        return [found[name.__name__] for name in names]

    asked = (shop.kind.claim, shop.kind.move, shop.kind.assign_in_turn)
    assert allowed(SALES, asked) == [True, False, False]
    assert allowed(SUPERVISOR, asked) == [False, True, True]
    assert allowed(CHIEF, asked) == [False, False, False]
    assert allowed(ADMIN, asked) == [False, True, True]


def _aggregate(shop: Shop) -> Any:
    return SERVICES[shop.kind.service].pages[f"{shop.kind.path}/{{{shop.kind.key}}}"]
