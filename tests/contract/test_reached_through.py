"""Records that are reached through what they belong to: whoever reaches that reaches them, at once (SEC-18, ADR 0054).

Asked of every kind that says so (`reached_through`), so also of those that are declared later: contacts of a customer
(CUS-18) are such.
"""

from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.catalogue import Catalogue
from chassis.model.known_records import KnownRecord, feeds_of, place_of
from chassis.model.principal import Principal
from chassis.testing.people import user
from chassis.testing.records import enter_in, heard_of, new_record
from chassis.testing.services import InMemoryService
from contracts.access import Grant, RightGranted, RoleState
from contracts.declare import REGISTRY, ContractError
from contracts.people import NOBODY, Person
from contracts.permissions import DataScope
from contracts.records import KINDS, Kind, data, kind_called, kind_pooled_in, record
from contracts.schemas import load
from contracts.sharing import Access, Share
from contracts.types import Name

REGISTRY.load()
SERVICES = {service.name: service for service in Catalogue.read().services()}
VIEWS = {view.kind: view for view in Catalogue.read().views() if view.kind}
REACHED = [kind for kind in KINDS.values() if kind.reached_through]
LEADER = user("leader", "SUBORDINATES")
OWNER = user("owner", "OWN", superior=LEADER)
FRIEND = user("friend", "OWN")
STRANGER = user("stranger", "OWN")
HEAD = user("head", "ALL")
EVERYBODY = (LEADER, OWNER, FRIEND, STRANGER, HEAD)


class Shop:
    """The service of a kind, people with a role for each scope, and a record of one of them with one that belongs to
    it."""

    def __init__(self, kind: Kind) -> None:
        self.kind, self.root = kind, [*kind.way][-1]
        self.through = kind.reached_through
        self.kit = InMemoryService(SERVICES[kind.service])
        self.edit_right = REGISTRY.command_of(kind.edit).permission
        for scope in ("OWN", "SUBORDINATES", "ALL"):
            pool = {self.root.pool.assign} if self.root.pool and scope == "ALL" else set()
            self.let(scope, dict.fromkeys(self.rights | pool, scope))
        for by in EVERYBODY:
            self.kit.known(by)
        self.parent = self.enter_parent(OWNER)
        self.id = self.enter(self.parent, OWNER)

    @property
    def rights(self) -> set[str]:
        """All that seeing and changing what is on the way needs."""
        changing = {REGISTRY.command_of(kind.edit).permission for kind in self.kind.way}
        return changing | {kind.view for kind in self.kind.way}

    def let(self, role: str, rights: dict[str, DataScope]) -> None:
        grants = tuple(Grant(right=right, scope=scope) for right, scope in sorted(rights.items()))
        state = RoleState(title=role, revision=1, grants=grants)
        self.kit.directory.tell([RightGranted(role=role, right=grants[0].right, scope=grants[0].scope, state=state)])

    def enter_parent(self, by: Principal) -> UUID:
        return UUID(enter_in(self.kit, by)(kind_called(self.kind.fields[self.through].rules.record)))

    def created(self, parent: UUID, id: UUID | None = None) -> Any:
        others = {name: None for name in self.kind.parents if name != self.through}
        body = {**new_record(self.kind, lambda _: str(parent)), **others, self.through: str(parent)}
        return load(self.kind.create, {**body, self.kind.key: str(id or uuid4())})

    def enter(self, parent: UUID, by: Principal) -> UUID:
        id = uuid4()
        self.kit.do(self.created(parent, id), by)
        return id

    def named(self, command: type, **more: Any) -> Any:
        return command(**{self.kind.key: self.id, **more})

    def root_id(self) -> UUID:
        """The record whose owner says who reaches those here."""
        id = self.parent
        for above in [*self.kind.way][1:-1]:
            id = getattr(self.kit.stream(id)[-1].data, above.reached_through)
        return id

    def give(self, to: Principal | None) -> None:
        """Its root changes hands."""
        owner = Person(user_id=to.user_id, name=to.name) if to else NOBODY
        named: dict[str, Any] = {self.root.key: self.root_id()}
        if self.root.service == self.kind.service and self.root.pool and to is None:
            self.kit.do(self.root.give_back(**named, reason="why not"), HEAD)
        elif self.root.service == self.kind.service:
            self.kit.do(self.root.assign(**named, owner_id=owner.user_id), HEAD)
        else:
            self.kit.learn(self.root.assigned(**named, owner=owner, before=NOBODY))

    def share(self, access: Access | None) -> None:
        """Its root is shared with the friend, or no longer."""
        named: dict[str, Any] = {self.root.key: self.root_id()}
        if self.root.service == self.kind.service:
            how = {"access": access} if access else {}
            command = self.root.share if access else self.root.unshare
            self.kit.do(command(**named, with_id=FRIEND.user_id, **how), HEAD)
        else:
            assert FRIEND.user_id is not None
            share = Share(with_id=FRIEND.user_id, kind="USER", name=FRIEND.name, access=access or "READ")
            self.kit.learn(self.root.shared(**named, shares=(share,) if access else ()))

    def commands(self) -> list[Any]:
        """One of each that changes the record and leaves it there, as it can be repeated."""
        found = [self.named(self.kind.edit), self.named(self.kind.revert, version=1, fields=(self.kind.called,))]
        return found + ([self.named(self.kind.tag)] if self.kind.tag else [])

    def assert_reached(self, by: Principal) -> None:
        for command in self.commands():
            self.kit.do(command, by)

    def assert_not_reached(self, by: Principal) -> None:
        more = [self.named(self.kind.delete), self.named(self.kind.restore)]
        for command in (*self.commands(), *more):
            self.kit.assert_refused("FORBIDDEN", command, by=by, field=self.kind.key)


@pytest.fixture(params=REACHED, ids=lambda kind: kind.what)
def shop(request: pytest.FixtureRequest) -> Shop:
    return Shop(request.param)


def test_there_are_such_kinds_and_their_lists_say_so() -> None:
    assert "contact" in {kind.what for kind in REACHED}
    for kind in KINDS.values():
        assert VIEWS[kind.code].reached_through == kind.reached_through
        assert (VIEWS[kind.code].scope is not None) is (kind.owned or kind_pooled_in(kind) is not None)


def test_sec_18_cus_18_who_reaches_the_owner_of_what_it_belongs_to_changes_it(shop: Shop) -> None:
    for by in (OWNER, LEADER, HEAD):
        shop.assert_reached(by)
    for by in (STRANGER, FRIEND):
        shop.assert_not_reached(by)


def test_sec_18_cus_18_when_that_changes_hands_so_does_all_that_belongs_to_it_at_once(shop: Shop) -> None:
    shop.give(STRANGER)
    shop.assert_reached(STRANGER)
    for by in (OWNER, LEADER):
        shop.assert_not_reached(by)
    shop.give(None)
    for by in (OWNER, LEADER, STRANGER):
        shop.assert_not_reached(by)
    shop.assert_reached(HEAD)
    assert len(shop.kit.stream(shop.id)) == 1, "nothing of it is stored with the record"


def test_col_07_cus_18_with_whom_that_is_shared_reads_or_changes_all_that_belongs_to_it(shop: Shop) -> None:
    shop.share("READ")
    shop.assert_not_reached(FRIEND)
    refused = shop.kit.assert_refused("FORBIDDEN", shop.created(shop.parent), by=FRIEND, field=shop.through)
    assert refused.why.reason == "records.out_of_reach", "they see the record, so they are told that it is there"
    shop.share("EDIT")
    shop.assert_reached(FRIEND)
    shop.kit.do(shop.named(shop.kind.delete), FRIEND)
    shop.kit.do(shop.named(shop.kind.restore), FRIEND)
    shop.enter(shop.parent, FRIEND)
    shop.share(None)
    shop.assert_not_reached(FRIEND)


def test_sec_18_cus_18_one_enters_it_for_none_that_one_does_not_see(shop: Shop) -> None:
    """What is told is what is told of none that there is."""
    unknown = shop.kit.assert_refused("NOT_FOUND", shop.created(uuid4()), by=STRANGER, field=shop.through)
    refused = shop.kit.assert_refused("NOT_FOUND", shop.created(shop.parent), by=STRANGER, field=shop.through)
    assert str(refused) == str(unknown)


def test_sec_18_cus_18_it_is_moved_from_what_one_reaches_to_what_one_reaches(shop: Shop) -> None:
    theirs = shop.enter_parent(STRANGER)
    move = shop.named(shop.kind.edit, **{shop.through: theirs})
    shop.kit.assert_refused("NOT_FOUND", move, by=OWNER, field=shop.through)
    shop.kit.assert_refused("FORBIDDEN", move, by=STRANGER, field=shop.kind.key)
    shop.kit.do(move, HEAD)
    shop.assert_reached(STRANGER)
    shop.assert_not_reached(OWNER)
    back = shop.named(shop.kind.revert, version=1, fields=(shop.through,))
    shop.kit.assert_refused("NOT_FOUND", back, by=STRANGER, field=shop.through)
    shop.kit.do(back, HEAD)
    shop.assert_reached(OWNER)


def test_sec_18_cus_18_it_takes_the_rights_to_see_all_that_it_is_reached_through(shop: Shop) -> None:
    """Whoever may change such records of everybody's, and sees their own customers only, changes those of theirs."""
    narrow: dict[str, DataScope] = {**dict.fromkeys(shop.rights, "ALL"), shop.root.view: "OWN"}
    narrow = {right: "ALL" if right == shop.edit_right != shop.root.view else scope for right, scope in narrow.items()}
    shop.let("NARROW", narrow)
    shop.let("BLIND", {shop.edit_right: "ALL"})
    narrow_one, blind = user("narrow", "NARROW"), user("blind", "BLIND")
    for by in (narrow_one, blind):
        shop.kit.known(by)
    shop.assert_not_reached(narrow_one)
    if shop.edit_right not in {kind.view for kind in shop.kind.way}:
        shop.kit.assert_refused("FORBIDDEN", shop.named(shop.kind.edit), by=blind)
    shop.give(narrow_one)
    shop.assert_reached(narrow_one)


def test_sec_18_a_deleted_one_comes_back_to_whom_it_is_reached_by_then(shop: Shop) -> None:
    shop.kit.do(shop.named(shop.kind.delete), OWNER)
    shop.give(STRANGER)
    restore = shop.named(shop.kind.restore)
    shop.kit.assert_refused("FORBIDDEN", restore, by=OWNER, field=shop.kind.key)
    shop.kit.do(restore, STRANGER)


def test_sec_18_other_services_ask_the_row_of_what_it_belongs_to(shop: Shop) -> None:
    """As comments and views of records do, in whatever order the news of both come."""
    parent = kind_called(shop.kind.fields[shop.through].rules.record)
    rows: dict[str, KnownRecord] = {}

    def hear(kind: Kind, id: UUID, fact: Any) -> None:
        place = place_of(kind.code, id)
        found = feeds_of(kind)[type(fact)](rows.get(place), fact)
        assert found is not None
        rows[place] = found

    def sees(by: Principal) -> bool:
        row, known = rows[place_of(shop.kind.code, shop.id)], shop.kit.known(by)
        return row.is_seen(known.reach, shop.kit.today, rows.get)

    hear(shop.kind, shop.id, shop.kit.stream(shop.id)[0])
    assert [sees(by) for by in (OWNER, STRANGER, HEAD)] == [False, False, True], "whose it is, is not known yet"
    if parent.owned:
        hear(parent, shop.parent, heard_of(parent, shop.parent, OWNER))
        assert [sees(by) for by in (OWNER, LEADER, STRANGER, HEAD)] == [True, True, False, True]
        to: Any = {"owner": Person(user_id=STRANGER.user_id, name="x"), "before": NOBODY}
        hear(parent, shop.parent, parent.assigned(**{parent.key: shop.parent}, **to))
        assert [sees(by) for by in (OWNER, LEADER, STRANGER, HEAD)] == [False, False, True, True]
    hear(shop.kind, shop.id, shop.kind.deleted(**{shop.kind.key: shop.id}))
    assert not sees(HEAD)


@pytest.mark.parametrize(
    ("owned", "field", "through"),
    [(True, data(record="customer"), "of_id"), (False, data(record="customer", default=None), "of_id"),
     (False, data(), "of_id"), (False, data(record="customer"), "no_id")],
)  # fmt: skip
def test_a_kind_that_is_reached_through_nothing_is_refused(owned: bool, field: Any, through: str) -> None:
    before = set(KINDS), set(REGISTRY.commands), set(REGISTRY.events)
    about: dict[str, Any] = {"__doc__": "A thing.", "__module__": __name__, "of_id": field}
    hint: Any = UUID if field.default is not None else UUID | None
    made = type("Thing", (), {**about, "__annotations__": {"name": Name, "of_id": hint}})
    with pytest.raises(ContractError, match="Thing is reached through"):
        record("/things", view="campaigns", edit="campaigns", owned=owned, reached_through=through)(made)
    assert (set(KINDS), set(REGISTRY.commands), set(REGISTRY.events)) == before
