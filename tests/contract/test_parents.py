"""Records that belong to others: those are there, are told by name, and don't go while something belongs to them.

Asked of every kind with such a field (`data(record=...)`), so also of those that are declared later (ADR 0047):
campaigns within campaigns (MKT-01) and surveys of a campaign (MKT-05) are such.
"""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.catalogue import Catalogue
from chassis.metadata.everything import Company, metadata
from chassis.model.children import Children, children_id
from chassis.model.principal import Principal
from chassis.model.service import MOST_LEVELS
from chassis.model.wording import Wording
from chassis.testing.people import ADMIN
from chassis.testing.records import enter_in, heard_of, new_record
from chassis.testing.services import InMemoryService
from contracts.declare import REGISTRY
from contracts.permissions import RIGHTS, first_scope
from contracts.records import KINDS, Field, Kind, kind_called
from contracts.schemas import load

REGISTRY.load()
SERVICES = {service.name: service for service in Catalogue.read().services()}
VIEWS = {view.kind: view for view in Catalogue.read().views() if view.kind}


@dataclass
class Family:
    """A kind of record, and a field of it that names the record to which one belongs."""

    kind: Kind
    field: Field

    def __post_init__(self) -> None:
        self.kit = InMemoryService(SERVICES[self.kind.service])
        self.parent = kind_called(self.field.rules.record)
        self.is_own = self.parent.service == self.kind.service

    @property
    def waits(self) -> bool:
        """Whether the parent's deletion waits for that of its children."""
        return not self.field.rules.outlives

    def a_parent(self) -> UUID:
        return UUID(enter_in(self.kit)(self.parent))

    def child(self, parent: UUID | None, id: UUID | None = None, by: Principal = ADMIN) -> Any:
        body = {**new_record(self.kind, enter_in(self.kit, by)), self.kind.key: str(id or uuid4())}
        return load(self.kind.create, {**body, self.field.name: parent and str(parent)})

    def enter(self, parent: UUID | None) -> UUID:
        id = uuid4()
        self.kit.do(self.child(parent, id))
        return id

    def move(self, id: UUID, parent: UUID | None) -> Any:
        return self.kind.edit(**{self.kind.key: id, self.field.name: parent})

    def delete_parent(self, id: UUID) -> None:
        """It is deleted here, or news come that it was elsewhere."""
        if self.is_own:
            self.kit.do(self.parent.delete(**{self.parent.key: id}))
        else:
            self.kit.learn(self.parent.deleted(**{self.parent.key: id}))

    def count(self, parent: UUID) -> int:
        counted = Children(id=children_id(parent))
        for fact in self.kit.stream(counted.id):
            counted.apply(fact)
        return counted.counts.get(self.kind.what, 0)


FAMILIES = [(kind, field) for kind in KINDS.values() for field in kind.parents.values()]


@pytest.fixture(params=FAMILIES, ids=lambda one: f"{one[0].what} of {one[1].rules.record}")
def family(request: pytest.FixtureRequest) -> Family:
    return Family(*request.param)


def test_there_are_such_kinds() -> None:
    assert {(kind.what, field.rules.record) for kind, field in FAMILIES} >= {
        ("campaign", "campaign"), ("survey", "campaign")
    }  # fmt: skip


def test_mkt_01_a_record_belongs_to_one_that_there_is(family: Family) -> None:
    parent = family.a_parent()
    child = family.enter(parent)
    assert getattr(family.kit.stream(child)[0].data, family.field.name) == parent
    for unknown in (uuid4(), child if family.parent != family.kind else uuid4()):
        family.kit.assert_refused("NOT_FOUND", family.child(unknown), field=family.field.name)
        family.kit.assert_refused("NOT_FOUND", family.move(child, unknown), field=family.field.name)


def test_mkt_01_it_belongs_to_none_that_was_deleted(family: Family) -> None:
    parent, other = family.a_parent(), family.a_parent()
    family.delete_parent(parent)
    family.kit.assert_refused("NOT_FOUND", family.child(parent), field=family.field.name)
    child = family.enter(other)
    family.kit.assert_refused("NOT_FOUND", family.move(child, parent), field=family.field.name)


def test_mkt_01_it_belongs_to_none_that_its_writer_does_not_see(family: Family) -> None:
    """Also not by a guess: what is told is what is told of none that there is."""
    right = REGISTRY.command_of(family.kind.create).permission
    writers = [role for role in RIGHTS[right] if family.parent.view in (right,) or role in RIGHTS[family.parent.view]]
    few = next((role for role in sorted(writers) if first_scope(role, family.parent.view) not in ("ALL",)), None)
    if not family.parent.owned or few is None:
        pytest.skip("whoever writes such records sees all that they may belong to")
    by = Principal(uuid4(), "Wang", frozenset({few}))
    refusal = family.kit.assert_refused(
        "NOT_FOUND", family.child(family.a_parent(), by=by), by=by, field=family.field.name
    )
    unknown = family.kit.assert_refused("NOT_FOUND", family.child(uuid4(), by=by), by=by, field=family.field.name)
    assert str(refusal) == str(unknown)


def test_mkt_01_a_parent_with_children_is_deleted_after_them(family: Family) -> None:
    if not family.is_own:
        family.kit.learn(heard_of(family.parent, uuid4()))
        assert family.field.rules.outlives, "its service does not know"
        return
    parent, other = family.a_parent(), family.a_parent()
    first, second = family.enter(parent), family.enter(parent)
    delete = family.parent.delete(**{family.parent.key: parent})
    if not family.waits:
        family.kit.do(delete)
        assert getattr(family.kit.stream(first)[-1].data, family.field.name) == parent
        family.kit.do(family.kind.delete(**{family.kind.key: first}))
        family.kit.do(family.kind.restore(**{family.kind.key: first}))
        return
    refusal = family.kit.assert_refused("INVALID_STATE", delete, field=family.parent.key)
    assert (refusal.state, refusal.why.params["count"], refusal.why.params["child"]) == ("IN_USE", 2, family.kind.what)
    family.kit.do(family.move(first, other))
    assert (family.count(parent), family.count(other)) == (1, 1)
    family.kit.assert_refused("INVALID_STATE", delete, field=family.parent.key)
    family.kit.do(family.kind.delete(**{family.kind.key: second}))
    family.kit.do(delete)
    assert family.count(parent) == 0


def test_mkt_01_what_comes_back_needs_what_it_belonged_to(family: Family) -> None:
    if not (family.is_own and family.waits):
        return
    parent = family.a_parent()
    child = family.enter(parent)
    restore = family.kind.restore(**{family.kind.key: child})
    family.kit.do(family.kind.delete(**{family.kind.key: child}))
    family.delete_parent(parent)
    family.kit.assert_refused("NOT_FOUND", restore, field=family.field.name)
    family.kit.do(family.parent.restore(**{family.parent.key: parent}))
    family.kit.do(restore)
    assert family.count(parent) == 1


def test_mkt_01_an_earlier_parent_is_put_back_and_counted(family: Family) -> None:
    one, other = family.a_parent(), family.a_parent()
    child = family.enter(one)
    family.kit.do(family.move(child, other))
    family.kit.do(family.kind.revert(**{family.kind.key: child}, version=1, fields=(family.field.name,)))
    assert getattr(family.kit.stream(child)[-1].data, family.field.name) == one
    if family.is_own and family.waits:
        assert (family.count(one), family.count(other)) == (1, 0)


def test_mkt_01_what_is_put_back_names_no_record_that_is_gone_and_the_answer_tells_it(family: Family) -> None:
    """As with all that can't be given any more; where the field is named, that it can't is the answer."""
    gone, there = family.a_parent(), family.a_parent()
    child = family.enter(gone)
    family.kit.do(family.move(child, there))
    family.delete_parent(gone)
    revert = family.kind.revert(**{family.kind.key: child}, version=1)
    family.kit.assert_refused("NOT_FOUND", replace(revert, fields=(family.field.name,)), field=family.field.name)
    assert family.field.name in family.kit.do(revert).body["kept"]
    assert getattr(family.kit.stream(child)[-1].data, family.field.name) == there


def test_mkt_01_nothing_is_above_itself(family: Family) -> None:
    if family.parent != family.kind:
        return
    top = family.enter(None)
    middle = family.enter(top)
    bottom = family.enter(middle)
    for below in (top, middle, bottom):
        refusal = family.kit.assert_refused("VALIDATION", family.move(top, below), field=family.field.name)
        assert refusal.why.reason == "records.above_itself"
    family.kit.do(family.move(bottom, None))
    family.kit.do(family.move(top, bottom))
    assert family.kit.assert_refused("VALIDATION", family.move(bottom, middle)).why.reason == "records.above_itself"


def test_mkt_01_a_tree_has_an_end(family: Family) -> None:
    if family.parent != family.kind:
        return
    above: UUID | None = None
    for _ in range(MOST_LEVELS):
        above = family.enter(above)
    family.kit.assert_refused("TOO_LARGE", family.child(above), field=family.field.name)


def test_mkt_01_its_list_is_narrowed_by_it_and_tells_it(family: Family) -> None:
    view, name = VIEWS[family.kind.code], family.field.name
    assert name in view.filters and view.parents[name] == family.parent.code
    assert (name in view.personal) is family.parent.fields[family.parent.called].is_personal
    assert VIEWS[family.parent.code].called in family.parent.fields
    found = metadata(Wording("zh"), lambda _: True, Company())
    [column] = [one for told in found.views if told.name == view.name for one in told.columns if one.name == name]
    command = next(one for one in found.commands if one.name == family.kind.create.__name__)
    [field] = [one for one in command.fields if one.name == name]
    assert column.named_in == field.named_in == family.parent.path
