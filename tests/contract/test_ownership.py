"""Records that belong to people: whose one is, who may give it to whom, and what follows at once (SEC-18, ADR 0040).

Asked of every kind of record that is owned, so also of those that are declared later.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.catalogue import Catalogue
from chassis.model.principal import Principal
from chassis.testing.people import user
from chassis.testing.records import enter_in, new_record
from chassis.testing.services import InMemoryService
from chassis.testing.views import documents
from contracts.access import Grant, RightGranted, RoleState, UserDeleted, UserState
from contracts.declare import KEPT
from contracts.errors import Refused
from contracts.people import NOBODY, Person
from contracts.permissions import DataScope
from contracts.records import KINDS, Kind
from contracts.schemas import load

CATALOGUE = Catalogue.read()
SERVICES = {service.name: service for service in CATALOGUE.services()}
VIEWS = {view.path: view for view in CATALOGUE.views()}
OWNED = [kind for kind in KINDS.values() if kind.owned]
SCOPES: tuple[DataScope, ...] = ("OWN", "SUBORDINATES", "ALL")
LEADER = user("leader", "SUBORDINATES")
LED = user("led", "OWN", superior=LEADER)
STRANGER = user("stranger", "OWN")
HEAD = user("head", "ALL")
EVERYBODY = (LEADER, LED, STRANGER, HEAD)
REACHED = {"OWN": {LED.name}, "SUBORDINATES": {LEADER.name, LED.name}, "ALL": {by.name for by in EVERYBODY}}
CALLERS = {"OWN": LED, "SUBORDINATES": LEADER, "ALL": HEAD}


def person(by: Principal) -> Person:
    return Person(user_id=by.user_id, name=by.name)


@dataclass
class Shop:
    """The service of a kind, whose people have a role for each scope."""

    kind: Kind
    kit: InMemoryService

    def create(self, by: Principal, **more: Any) -> UUID:
        id = uuid4()
        self.kit.do(
            load(self.kind.create, {**new_record(self.kind, enter_in(self.kit)), self.kind.key: str(id), **more}), by
        )
        return id

    def assign(self, id: UUID, owner: Any) -> Any:
        return self.kind.assign(**{self.kind.key: id, "owner_id": owner})

    def let_go(self, id: UUID) -> Any:
        """Leave it to nobody; to a pool with a reason (`test_pools`)."""
        if self.kind.pool:
            return self.kind.give_back(**{self.kind.key: id}, reason="why not")
        return self.assign(id, None)

    def edit(self, id: UUID) -> Any:
        return self.kind.edit(**{self.kind.key: id})

    def owner_of(self, id: UUID) -> tuple[str | None, str]:
        """As its list shows it."""
        [row] = documents(VIEWS[self.kind.path], self.kit.stream(id)).values()
        return row["owner_id"], row["owner_name"]


@pytest.fixture(params=OWNED, ids=lambda kind: kind.what)
def shop(request: pytest.FixtureRequest) -> Shop:
    kind: Kind = request.param
    kit = InMemoryService(SERVICES[kind.service])
    permission = next(spec.permission for spec in kit.writer.service.specs() if spec.cls is kind.assign)
    for scope in SCOPES:
        assigns = [kind.pool.assign] if kind.pool else []
        rights = dict.fromkeys((permission, kind.view, *assigns))
        grants = tuple(Grant(right=right, scope=scope) for right in rights)
        state = RoleState(title=scope, revision=1, grants=grants)
        kit.directory.tell([RightGranted(role=scope, right=permission, scope=scope, state=state)])
    for by in EVERYBODY:
        kit.known(by)
    return Shop(kind, kit)


def test_there_are_such_kinds() -> None:
    assert "customer" in {kind.what for kind in OWNED}
    assert all(kind.assign is kind.assigned is None for kind in KINDS.values() if not kind.owned)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("how", ["create", "assign"])
def test_sec_18_cus_14_one_gives_a_record_to_whom_the_own_right_reaches_or_to_nobody(
    shop: Shop, how: str, scope: DataScope
) -> None:
    caller = CALLERS[scope]
    for to in EVERYBODY:
        given = {"owner_id": str(to.user_id)}
        if to.name not in REACHED[scope]:
            command: Any = load(shop.kind.create, {**new_record(shop.kind, enter_in(shop.kit)), **given})
            if how == "assign":
                command = shop.assign(shop.create(caller), to.user_id)
            refusal = shop.kit.assert_refused("FORBIDDEN", command, by=caller, field="owner_id")
            assert to.name not in refusal.message
        elif how == "create":
            assert shop.owner_of(shop.create(caller, **given)) == (str(to.user_id), to.name)
        else:
            id = shop.create(caller)
            shop.kit.do(shop.assign(id, to.user_id), caller)
            assert shop.owner_of(id) == (str(to.user_id), to.name)
    id = shop.create(caller, **({"owner_id": None} if how == "create" else {}))
    if how == "assign":
        shop.kit.do(shop.let_go(id), caller)
    assert shop.owner_of(id) == (None, "")


def test_cus_15_who_names_no_owner_owns_what_they_enter(shop: Shop) -> None:
    assert shop.owner_of(shop.create(LED)) == (str(LED.user_id), LED.name)


def test_cus_12_a_record_of_nobody_is_reached_by_those_who_reach_everybody(shop: Shop) -> None:
    id = shop.create(LED, owner_id=None)
    for by in (LED, LEADER, STRANGER):
        gives = [] if shop.kind.pool and by is LEADER else [shop.assign(id, by.user_id)]  # who leads people: LED-04
        for command in (shop.edit(id), *gives):
            shop.kit.assert_refused("FORBIDDEN", command, by=by, field=shop.kind.key)
    shop.kit.do(shop.assign(id, STRANGER.user_id), HEAD)
    shop.kit.do(shop.edit(id), STRANGER)
    assert shop.kit.stream(id)[-1].before == NOBODY


def test_cus_14_the_event_tells_owner_before_and_by_and_a_repeat_does_nothing(shop: Shop) -> None:
    id = shop.create(LED)
    for owner in (STRANGER.user_id, STRANGER.user_id, KEPT):
        answer = shop.kit.do(shop.assign(id, owner), HEAD)
    _, assigned = shop.kit.stream(id)
    wanted: Any = {"owner": person(STRANGER), "before": person(LED), "by": person(HEAD)}
    wanted |= {"owner_since": shop.kit.today} if shop.kind.pool else {}
    assert assigned == shop.kind.assigned(**{shop.kind.key: id}, **wanted)
    assert answer.body["version"] == 2
    [row] = documents(VIEWS[shop.kind.path], shop.kit.stream(id)).values()
    assert (row["version"], row["changed_by"], row["created_by"]) == (2, HEAD.name, LED.name)
    assert shop.kind.assigned in VIEWS[shop.kind.path].history, "who had it when can be asked (ADR 0038)"


def test_sec_18_who_has_given_a_record_away_reaches_it_no_more_and_who_got_it_does(shop: Shop) -> None:
    id = shop.create(LED)
    shop.kit.do(shop.assign(id, STRANGER.user_id), HEAD)
    shop.kit.assert_refused("FORBIDDEN", shop.edit(id), by=LED, field=shop.kind.key)
    shop.kit.assert_refused("FORBIDDEN", shop.assign(id, LED.user_id), by=LED, field=shop.kind.key)
    shop.kit.do(shop.edit(id), STRANGER)


def test_cus_14_an_owner_who_is_unknown_or_has_left_is_refused_by_name_of_the_field(shop: Shop) -> None:
    id = shop.create(HEAD)
    shop.kit.assert_refused("NOT_FOUND", shop.assign(id, uuid4()), by=HEAD, field="owner_id")
    assert STRANGER.user_id is not None
    state = UserState(login="x", name=STRANGER.name, status="DELETED", revision=9, successor_id=LED.user_id)
    shop.kit.directory.tell([UserDeleted(user_id=STRANGER.user_id, user=state)])
    refusal = shop.kit.assert_refused("INVALID_STATE", shop.assign(id, STRANGER.user_id), by=HEAD, field="owner_id")
    assert str(LED.user_id) in refusal.message and refusal.state == "DELETED"
    gone: Any = load(shop.kind.create, {**new_record(shop.kind, enter_in(shop.kit)), "owner_id": str(STRANGER.user_id)})
    shop.kit.assert_refused("INVALID_STATE", gone, by=HEAD, field="owner_id")
    shop.kit.assert_refused("FORBIDDEN", shop.assign(shop.create(LED), uuid4()), by=LED, field="owner_id")


def test_cus_04_what_is_deleted_changes_hands_no_more_and_comes_back_to_its_owner(shop: Shop) -> None:
    id = shop.create(LED)
    shop.kit.do(shop.kind.delete(**{shop.kind.key: id}), LED)
    shop.kit.assert_refused("NOT_FOUND", shop.assign(id, HEAD.user_id), by=HEAD, field=shop.kind.key)
    shop.kit.do(shop.kind.restore(**{shop.kind.key: id}), LED)
    assert shop.owner_of(id) == (str(LED.user_id), LED.name)


def test_cus_14_two_who_take_a_record_at_once_agree_on_who_has_it(shop: Shop) -> None:
    """Both have seen version 1: the second is told so."""
    id = shop.create(HEAD)
    shop.kit.do(shop.assign(id, LED.user_id), HEAD, version=1)
    with pytest.raises(Refused) as refused:
        shop.kit.do(shop.assign(id, STRANGER.user_id), HEAD, version=1)
    assert refused.value.code == "VERSION_CONFLICT"
    assert shop.owner_of(id) == (str(LED.user_id), LED.name)
