"""Records that are shared with people and departments: who may, with whom, and what follows at once (COL-07, ADR 0046).

Asked of every kind of record that is owned, so also of those that are declared later.
"""

from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.catalogue import Catalogue
from chassis.model.context import AccessScope
from chassis.model.principal import Principal
from chassis.testing.people import user
from chassis.testing.records import enter_in, new_record
from chassis.testing.services import InMemoryService
from chassis.testing.views import documents
from contracts.access import (
    DepartmentAdded,
    DepartmentRenamed,
    Grant,
    RightGranted,
    RoleState,
    UserDeleted,
    UserEdited,
    UserState,
)
from contracts.people import Person
from contracts.permissions import DataScope
from contracts.records import KINDS, Kind
from contracts.schemas import load
from contracts.sharing import MOST_SHARES, Access, Share

CATALOGUE = Catalogue.read()
SERVICES = {service.name: service for service in CATALOGUE.services()}
VIEWS = {view.path: view for view in CATALOGUE.views()}
OWNED = [kind for kind in KINDS.values() if kind.owned]
SCOPES: tuple[DataScope, ...] = ("OWN", "SUBORDINATES", "ALL")
OWNER = user("owner", "OWN")
FRIEND = user("friend", "OWN")
STRANGER = user("stranger", "OWN")
HEAD = user("head", "ALL")
WEST, CITY = uuid4(), uuid4()
"""A department and one that is part of it."""


class Shop:
    """The service of a kind, with people who have a role for each scope, and departments."""

    def __init__(self, kind: Kind) -> None:
        self.kind, self.kit = kind, InMemoryService(SERVICES[kind.service])
        self.right = next(spec.permission for spec in self.kit.writer.service.specs() if spec.cls is kind.share)
        for scope in SCOPES:
            assigns = [kind.pool.assign] if kind.pool else []
            rights = dict.fromkeys((self.right, kind.view, *assigns))
            state = RoleState(
                title=scope, revision=1, grants=tuple(Grant(right=right, scope=scope) for right in rights)
            )
            self.kit.directory.tell([RightGranted(role=scope, right=self.right, scope=scope, state=state)])
        self.kit.directory.tell([
            DepartmentAdded(department_id=WEST, name="West"),
            DepartmentAdded(department_id=CITY, name="City", parent_id=WEST),
        ])  # fmt: skip
        for by in (OWNER, FRIEND, STRANGER, HEAD):
            self.kit.known(by)
        self.id = self.create(OWNER)
        self.revisions = count(10)

    def create(self, by: Principal) -> UUID:
        id = uuid4()
        self.kit.do(load(self.kind.create, {**new_record(self.kind, enter_in(self.kit)), self.kind.key: str(id)}), by)
        return id

    def share(self, with_id: Any, **more: Any) -> Any:
        return self.kind.share(**{self.kind.key: self.id, "with_id": with_id, **more})

    def unshare(self, with_id: Any) -> Any:
        return self.kind.unshare(**{self.kind.key: self.id, "with_id": with_id})

    def named(self, command: Any, **more: Any) -> Any:
        return command(**{self.kind.key: self.id, **more})

    def edit(self) -> Any:
        return self.named(self.kind.edit)

    def place(self, by: Principal, department: UUID | None) -> None:
        """Move somebody to a department."""
        state = UserState(
            login=by.name, name=by.name, status="ACTIVE", roles=("OWN",), department_id=department,
            revision=next(self.revisions),
        )  # fmt: skip
        self.kit.directory.tell([UserEdited(user_id=by.user_id, user=state)])  # type: ignore[arg-type]

    def may_edit(self, by: Principal) -> bool:
        return self.kit.directory.admit(by).reach(self.right).reaches(*self._of_record("EDIT"))

    def may_read(self, by: Principal) -> bool:
        return self.kit.directory.admit(by).reach(self.right).reaches(*self._of_record())

    def _of_record(self, access: Access = "READ") -> tuple[UUID | None, tuple[Share, ...], date, Access]:
        row = self.row()
        shares = tuple(load(Share, one) for one in self.told())
        return UUID(row["owner_id"]) if row["owner_id"] else None, shares, self.kit.today, access

    def told(self) -> list[dict[str, Any]]:
        return [dict(one) for one in self.row()["shares"]]

    def row(self) -> dict[str, Any]:
        [row] = documents(VIEWS[self.kind.path], self.kit.stream(self.id)).values()
        return row


@pytest.fixture(params=OWNED, ids=lambda kind: kind.what)
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(request.param)


def test_there_are_such_kinds_and_no_other_can_be_shared() -> None:
    assert "customer" in {kind.what for kind in OWNED}
    assert all(kind.share is kind.unshare is kind.shared is None for kind in KINDS.values() if not kind.owned)


def test_col_07_who_owns_a_record_lets_another_read_or_edit_it_until_it_is_revoked(shop: Shop) -> None:
    shop.kit.assert_refused("FORBIDDEN", shop.edit(), by=FRIEND, field=shop.kind.key)
    shop.kit.do(shop.share(FRIEND.user_id), OWNER)
    assert shop.may_read(FRIEND) and not shop.may_edit(FRIEND)
    shop.kit.assert_refused("FORBIDDEN", shop.edit(), by=FRIEND, field=shop.kind.key)
    shop.kit.do(shop.share(FRIEND.user_id, access="EDIT"), OWNER)
    shop.kit.do(shop.edit(), FRIEND)
    shop.kit.assert_refused("FORBIDDEN", shop.edit(), by=STRANGER, field=shop.kind.key)
    shop.kit.do(shop.unshare(FRIEND.user_id), OWNER)
    assert not shop.may_read(FRIEND)
    shop.kit.assert_refused("FORBIDDEN", shop.edit(), by=FRIEND, field=shop.kind.key)


def test_col_07_the_event_tells_all_who_have_it_and_a_repeat_tells_nothing(shop: Shop) -> None:
    shop.kit.new_facts()
    until = shop.kit.today + timedelta(days=3)
    for _ in range(2):
        shop.kit.do(shop.share(FRIEND.user_id), OWNER)
    shop.kit.do(shop.share(WEST, access="EDIT", until=until), HEAD)
    answer = shop.kit.do(shop.unshare(FRIEND.user_id), OWNER)
    shop.kit.assert_refused("NOT_FOUND", shop.unshare(FRIEND.user_id), by=OWNER, field="with_id")
    friend, west = (
        Share(with_id=FRIEND.user_id, kind="USER", name=FRIEND.name),  # type: ignore[arg-type]
        Share(with_id=WEST, kind="DEPARTMENT", name="West", access="EDIT", until=until),
    )
    first, second, third = shop.kit.new_facts()
    assert [fact.shares for fact in (first, second, third)] == [(friend,), (friend, west), (west,)]
    assert second.by == Person(user_id=HEAD.user_id, name=HEAD.name)
    row = shop.row()
    assert (row["shared_with"], row["version"], answer.body["version"]) == ([str(WEST)], 4, 4)
    assert shop.kind.shared in VIEWS[shop.kind.path].history, "who shared it when can be asked (ADR 0038)"


def test_col_07_a_department_is_all_who_are_in_it_or_below_it_now(shop: Shop) -> None:
    shop.kit.do(shop.share(WEST, access="EDIT"), OWNER)
    assert not shop.may_read(FRIEND)
    for department, may in ((WEST, True), (CITY, True), (uuid4(), False), (None, False), (CITY, True)):
        shop.place(FRIEND, department)
        assert (shop.may_read(FRIEND), shop.may_edit(FRIEND)) == (may, may)
    shop.kit.do(shop.share(CITY), OWNER)
    shop.kit.do(shop.unshare(WEST), OWNER)
    shop.place(FRIEND, WEST)
    assert not shop.may_read(FRIEND), "what is shared with a part is not shared with the whole"


def test_col_07_a_share_ends_when_its_last_day_is_over(shop: Shop) -> None:
    shop.kit.do(shop.share(FRIEND.user_id, access="EDIT", until=shop.kit.today), OWNER)
    shop.kit.do(shop.edit(), FRIEND)
    shop.kit.pass_time(days=1)
    assert not shop.may_read(FRIEND)
    shop.kit.assert_refused("FORBIDDEN", shop.edit(), by=FRIEND, field=shop.kind.key)
    yesterday = shop.share(FRIEND.user_id, until=shop.kit.today - timedelta(days=1))
    shop.kit.assert_refused("VALIDATION", yesterday, by=OWNER, field="until")


def test_col_07_whoever_it_is_shared_with_changes_it_and_disposes_of_nothing(shop: Shop) -> None:
    shop.kit.do(shop.share(FRIEND.user_id, access="EDIT"), OWNER)
    kind = shop.kind
    for command in (
        shop.named(kind.delete),
        shop.named(kind.restore),
        shop.named(kind.assign, owner_id=FRIEND.user_id),
        shop.share(STRANGER.user_id),
        shop.unshare(WEST),
    ):
        refusal = shop.kit.assert_refused("FORBIDDEN", command, by=FRIEND, field=kind.key)
        assert refusal.why.reason == "records.only_shared"
    shop.kit.do(shop.named(kind.revert, version=1), FRIEND)


@pytest.mark.parametrize("access", ["READ", "EDIT"])
def test_col_07_whoever_it_is_shared_with_ends_that_and_nothing_else(shop: Shop, access: str) -> None:
    shop.kit.do(shop.share(FRIEND.user_id, access=access), OWNER)
    shop.kit.do(shop.share(WEST, access=access), OWNER)
    shop.place(STRANGER, CITY)
    for by, with_id in ((FRIEND, WEST), (STRANGER, WEST), (STRANGER, FRIEND.user_id)):
        refusal = shop.kit.assert_refused("FORBIDDEN", shop.unshare(with_id), by=by, field=shop.kind.key)
        assert refusal.why.reason == "records.only_shared"
    shop.kit.do(shop.unshare(FRIEND.user_id), FRIEND)
    assert shop.row()["shared_with"] == [str(WEST)] and not shop.may_read(FRIEND)
    shop.kit.assert_refused("FORBIDDEN", shop.unshare(FRIEND.user_id), by=FRIEND, field=shop.kind.key)


def test_col_07_with_whom_it_would_be_of_no_use_it_is_not_shared(shop: Shop) -> None:
    """A share lends no right: who gives one hears at once that it would change nothing."""
    reader, nobody = user("reader", "READER"), user("nobody", "NOTHING")
    grants = (Grant(right=shop.kind.view, scope="OWN"),)
    state = RoleState(title="READER", revision=1, grants=grants)
    shop.kit.directory.tell([RightGranted(role="READER", right=shop.kind.view, scope="OWN", state=state)])
    for by in (reader, nobody):
        shop.kit.known(by)
    refused = [(nobody, "READ", shop.kind.view), (reader, "EDIT", shop.right)]
    for by, access, right in refused if shop.right != shop.kind.view else refused[:1]:
        refusal = shop.kit.assert_refused(
            "INVALID_STATE", shop.share(by.user_id, access=access), by=OWNER, field="with_id"
        )
        assert dict(refusal.why.params)["right"] == right
    shop.kit.do(shop.share(reader.user_id), OWNER)
    assert shop.row()["shared_with"] == [str(reader.user_id)]


def test_col_07_a_share_that_is_over_takes_no_room(shop: Shop) -> None:
    teams = [uuid4() for _ in range(MOST_SHARES)]
    shop.kit.directory.tell([DepartmentAdded(department_id=id, name="Team") for id in teams])
    for id in teams:
        shop.kit.do(shop.share(id, until=shop.kit.today), OWNER)
    shop.kit.assert_refused("TOO_LARGE", shop.share(FRIEND.user_id), by=OWNER, field="with_id")
    shop.kit.pass_time(seconds=24 * 3600)
    shop.kit.do(shop.share(FRIEND.user_id), OWNER)
    assert shop.row()["shared_with"] == [str(FRIEND.user_id)]


def test_sec_18_what_one_may_not_see_one_does_not_change(shop: Shop) -> None:
    if shop.right == shop.kind.view:
        return
    blind = user("blind", "BLIND")
    state = RoleState(title="BLIND", revision=1, grants=(Grant(right=shop.right, scope="ALL"),))
    shop.kit.directory.tell([RightGranted(role="BLIND", right=shop.right, scope="ALL", state=state)])
    shop.kit.known(blind)
    refusal = shop.kit.assert_refused("FORBIDDEN", shop.edit(), by=blind)
    assert shop.kind.view in str(refusal.why.told()["params"])
    grants = (Grant(right=shop.right, scope="ALL"), Grant(right=shop.kind.view, scope="OWN"))
    state = RoleState(title="BLIND", revision=2, grants=grants)
    shop.kit.directory.tell([RightGranted(role="BLIND", right=shop.kind.view, scope="OWN", state=state)])
    shop.kit.assert_refused("FORBIDDEN", shop.edit(), by=blind, field=shop.kind.key)
    assert len(shop.kit.stream(shop.id)) == 1


def test_col_07_who_gets_the_record_decides_anew_with_whom_it_is_shared(shop: Shop) -> None:
    shop.kit.do(shop.share(FRIEND.user_id, access="EDIT"), OWNER)
    shop.kit.do(shop.named(shop.kind.assign, owner_id=STRANGER.user_id), HEAD)
    row = shop.row()
    assert (row["shares"], row["shared_with"]) == ([], [])
    shop.kit.assert_refused("FORBIDDEN", shop.edit(), by=FRIEND, field=shop.kind.key)


def test_col_07_a_deleted_record_is_shared_no_further_and_comes_back_as_it_was(shop: Shop) -> None:
    shop.kit.do(shop.share(FRIEND.user_id, access="EDIT"), OWNER)
    shop.kit.do(shop.named(shop.kind.delete), OWNER)
    for command in (shop.share(STRANGER.user_id), shop.unshare(FRIEND.user_id)):
        shop.kit.assert_refused("NOT_FOUND", command, by=OWNER, field=shop.kind.key)
    shop.kit.assert_refused("NOT_FOUND", shop.edit(), by=FRIEND, field=shop.kind.key)
    shop.kit.do(shop.named(shop.kind.restore), OWNER)
    shop.kit.do(shop.edit(), FRIEND)


def test_col_07_with_whom_it_cant_be_shared_is_refused_by_name_of_the_field(shop: Shop) -> None:
    shop.kit.assert_refused("NOT_FOUND", shop.share(uuid4()), by=OWNER, field="with_id")
    shop.kit.assert_refused("VALIDATION", shop.share(OWNER.user_id), by=OWNER, field="with_id")
    state = UserState(login="x", name=STRANGER.name, status="DELETED", revision=9, successor_id=FRIEND.user_id)
    shop.kit.do(shop.share(STRANGER.user_id, access="EDIT"), OWNER)
    shop.kit.directory.tell([UserDeleted(user_id=STRANGER.user_id, user=state)])  # type: ignore[arg-type]
    shop.kit.assert_refused("INVALID_STATE", shop.share(STRANGER.user_id), by=OWNER, field="with_id")
    assert not shop.may_read(FRIEND), "who takes over has the leaver's records, not what others shared with the leaver"
    shop.kit.do(shop.unshare(STRANGER.user_id), OWNER)


def test_col_07_a_record_is_shared_with_so_many_at_most(shop: Shop) -> None:
    ids = [uuid4() for _ in range(MOST_SHARES + 1)]
    shop.kit.directory.tell([DepartmentAdded(department_id=id, name="Team") for id in ids])
    for id in ids[:-1]:
        shop.kit.do(shop.share(id), OWNER)
    shop.kit.assert_refused("TOO_LARGE", shop.share(ids[-1]), by=OWNER, field="with_id")
    shop.kit.do(shop.share(ids[0], access="EDIT"), OWNER)


def test_col_07_a_department_is_called_as_it_was_when_it_was_shared_with(shop: Shop) -> None:
    shop.kit.directory.tell([DepartmentRenamed(department_id=WEST, name="Wild west")])
    shop.kit.do(shop.share(WEST), OWNER)
    assert [one["name"] for one in shop.told()] == ["Wild west"]


def test_col_07_who_reaches_the_owner_reaches_it_whoever_it_is_shared_with() -> None:
    owner, other, today = uuid4(), uuid4(), InMemoryService(SERVICES["customers"]).today
    share = Share(with_id=other, kind="USER", name="x", access="READ")
    reads = AccessScope(shared=frozenset({other}))
    assert AccessScope(people=frozenset({owner})).reaches(owner, (share,), today, "EDIT")
    assert reads.reaches(owner, (share,), today) and not reads.reaches(owner, (share,), today, "EDIT")
    assert reads.reaches(owner, (replace(share, access="EDIT"),), today, "EDIT")
    assert not AccessScope().reaches(None, (share,), today)
