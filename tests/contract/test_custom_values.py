"""Values of the fields that a company adds (CFG-01, CFG-02): every type of field on every kind of record."""

from dataclasses import replace
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID, uuid4

import pytest

from chassis.catalogue import Catalogue
from chassis.model.custom_columns import extended
from chassis.model.principal import Principal
from chassis.model.record_views import record_view
from chassis.model.views import View
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.testing.custom_fields import FIELDS, HELD, NOT_TAKEN, VALUES, known
from chassis.testing.people import ADMIN, FINANCE, SALES, SUPERVISOR, WAREHOUSE
from chassis.testing.records import enter_in, new_record
from chassis.testing.services import InMemoryService
from chassis.testing.views import documents
from contracts.access import UserDeleted, UserState
from contracts.collaboration import AttachmentDeleted, FileAttached
from contracts.custom_fields import CustomField, CustomType, Label
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.personal import use
from contracts.records import KINDS, Kind, kind_of
from contracts.schemas import load

SERVICES = {service.name: service for service in Catalogue.read().services()}
VIEWS: dict[str, View] = {view.kind: view for view in Catalogue.read().views() if view.kind}
EDITORS = (SUPERVISOR, WAREHOUSE)
"""Who edits records and lacks some rights; kinds that administrators alone edit are as all others."""
EVERY_KIND = pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS.values() if any(one.may(REGISTRY.command_of(kind.edit).permission) for one in EDITORS)],
    ids=lambda kind: kind.code,
)
OF_PERSONS = [kind for kind in KINDS.values() if kind.has_personal]
TYPES = {one.key: one for one in FIELDS}


class Kept:
    """Records of a kind to which fields were added."""

    def __init__(self, kind: Kind, *fields: CustomField) -> None:
        self.kind, self.id = kind, uuid4()
        self.kit = InMemoryService(SERVICES[kind.service])
        self.kit.known(SALES)
        self.kit.known(FINANCE)
        edits = REGISTRY.command_of(kind.edit).permission
        self.editor = next(one for one in EDITORS if one.may(edits))
        self.define(*fields)

    def define(self, *fields: CustomField, revision: int = 1) -> None:
        for row in known(self.kind.code, *fields, revision=revision):
            self.kit.directory.company.custom_fields.take(row)

    def command(self, cls: type, id: UUID | None = None, **given: Any) -> Any:
        return load(cls, {**given, self.kind.key: str(id or self.id)})

    def create(self, id: UUID | None = None, **own: Any) -> None:
        self.kit.do(self.command(self.kind.create, id, **new_record(self.kind, enter_in(self.kit)) | {"own": own}))

    def edit(self, **own: Any) -> None:
        self.kit.do(self.command(self.kind.edit, own=own))

    def row(self) -> dict[str, Any]:
        return documents(VIEWS[self.kind.code], self.kit.stream(self.id))[str(self.id)]

    @property
    def own(self) -> dict[str, Any]:
        return {key: value if isinstance(value, list) else str(value) for key, value in self.row()["own"].items()}

    def leaves(self, person: Principal, heir: Principal) -> None:
        """Somebody leaves, and another one takes over."""
        state = UserState(login="x", name=person.name, status="DELETED", revision=9, successor_id=heir.user_id)
        assert person.user_id
        self.kit.directory.tell([UserDeleted(user_id=person.user_id, user=state)])

    def create_as_editor(self, **own: Any) -> None:
        """A record of who may edit such, and does not hold the right `payments`; an administrator gives the values."""
        record = new_record(self.kind, enter_in(self.kit, self.editor))
        if "administrators" in self.kind.fields:  # who looks after one pool enters none
            self.kit.known(self.editor)
            record["administrators"] = [str(self.editor.user_id)]
        command = self.command(self.kind.create, **record)
        self.kit.do(command, ADMIN if "administrators" in record else self.editor)
        self.edit(**own)

    def refused_by(self, kind: Kind, field: str, **own: Any) -> Refused:
        before = self.kit.store.last_position()
        with pytest.raises(Refused) as refused:
            self.kit.do(self.command(kind.edit, own=own), self.editor)
        assert refused.value.field == field
        assert self.kit.store.last_position() == before
        return refused.value

    def refused(self, cls: type, field: str, **own: Any) -> Refused:
        given = new_record(self.kind, enter_in(self.kit)) if cls is self.kind.create else {}
        before = self.kit.store.last_position()
        id = uuid4() if cls is self.kind.create else self.id
        with pytest.raises(Refused) as refused:
            self.kit.do(self.command(cls, id, **given | {"own": own}))
        assert refused.value.field == field
        assert self.kit.store.last_position() == before
        return refused.value


@EVERY_KIND
def test_cfg_01_a_value_of_every_type_is_given_shown_changed_and_taken_away(kind: Kind) -> None:
    kept = Kept(kind, *FIELDS)
    kept.create(**VALUES)
    assert kept.own == HELD
    for key, value in VALUES.items():
        before = kept.kit.store.last_position()
        kept.edit(**{key: value})
        assert kept.kit.store.last_position() == before, f"{key} was that already"
        kept.edit(**{key: None})
        assert kept.own == {one: held for one, held in HELD.items() if one != key}
        assert kept.kit.stream(kept.id)[-1].changed == (f"own.{key}",)
        kept.edit(**{key: value})
    kept.edit()
    assert kept.own == HELD
    kept.kit.do(kept.command(kind.edit, own=None))
    assert kept.own == {}


@EVERY_KIND
@pytest.mark.parametrize("key", NOT_TAKEN)
def test_cfg_01_what_a_field_does_not_take_is_refused_by_its_name(kind: Kind, key: str) -> None:
    kept = Kept(kind, *FIELDS)
    kept.create()
    for value in NOT_TAKEN[key]:
        for cls in (kind.create, kind.edit):
            refusal = kept.refused(cls, f"own.{key}", **{key: value})
            assert refusal.code == ("NOT_FOUND" if key in ("guide", "scan") and "-" in str(value) else "VALIDATION")


@EVERY_KIND
def test_cfg_01_a_kind_without_such_fields_has_no_values(kind: Kind) -> None:
    kept = Kept(kind)
    kept.create()
    assert kind.layout.read(kept.kit.stream(kept.id)[-1]).own == ""
    assert kept.own == {}
    kept.refused(kind.edit, "own.note", note="x")
    kept.refused(kind.create, "own.note", note="x")


@EVERY_KIND
def test_cfg_01_what_must_be_given_is_and_what_is_not_given_has_its_default(kind: Kind) -> None:
    needed = CustomField(key="needed", type="text", label=Label(zh="必"), required=True)
    usual = CustomField(key="usual", type="number", label=Label(zh="常"), default=("3",))
    kept = Kept(kind, usual)
    kept.create()
    kept.define(needed)
    kept.edit(usual=4)  # what became required later is in nobody's way
    assert kept.own == {"usual": "4"}
    kept.refused(kind.create, "own.needed")
    kept.refused(kind.create, "own.needed", needed="  ")
    kept.edit(needed="x")
    kept.refused(kind.edit, "own.needed", needed=None)
    kept.id = uuid4()
    kept.create(needed="y", usual=None)
    assert kept.own == {"needed": "y"}


@EVERY_KIND
def test_cfg_02_a_retired_field_keeps_its_values_and_takes_no_more(kind: Kind) -> None:
    kept = Kept(kind, *FIELDS)
    kept.create(**VALUES)
    retired = CustomField(key="note", type="text", label=Label(en="Old"), retired=True)
    kept.define(retired, revision=2)
    kept.edit(note=VALUES["note"], seats=1)  # what a query showed may be sent back
    assert kept.own == {**HELD, "seats": "1"}
    assert kept.refused(kind.edit, "own.note", note="other").code == "INVALID_STATE"
    assert kept.refused(kind.create, "own.note", note="other").code == "INVALID_STATE"
    kept.edit(note=None)
    assert kept.own == {key: value for key, value in {**HELD, "seats": "1"}.items() if key != "note"}, (
        "it may be removed"
    )
    kept.kit.do(kept.command(kind.edit, own=None))
    assert kept.own == {}
    kept.define(replace(retired, retired=False), revision=3)
    kept.edit(note=VALUES["note"])
    kept.define(replace(retired, required=True), revision=4)
    kept.kit.do(kept.command(kind.edit, own=None))
    assert kept.own == {}, "a retired field need not be filled"


@EVERY_KIND
def test_cfg_02_a_choice_that_was_taken_away_stays_where_it_is(kind: Kind) -> None:
    kept = Kept(kind, *FIELDS)
    kept.create(grade="b")
    first, second = TYPES["grade"].choices
    kept.define(replace(TYPES["grade"], choices=(first, replace(second, retired=True))), revision=2)
    kept.edit(grade="b", note="x")
    assert kept.own == {"grade": "b", "note": "x"}
    kept.edit(grade="a")
    kept.refused(kind.edit, "own.grade", grade="b")


@EVERY_KIND
def test_cfg_01_an_earlier_version_is_put_back_with_its_values(kind: Kind) -> None:
    kept = Kept(kind, *FIELDS)
    kept.create(**VALUES)
    kept.edit(note="later", seats=None)
    kept.define(CustomField(key="since", type="day", label=Label(zh="x"), retired=True), revision=2)
    kept.kit.do(kept.command(kind.revert, version=1, fields=["own"]))
    assert kept.own == HELD
    kept.kit.do(kept.command(kind.revert, version=2))
    assert kept.own == {key: value for key, value in {**HELD, "note": "later"}.items() if key != "seats"}


@EVERY_KIND
def test_cfg_01_values_tell_of_the_person_of_whom_the_record_tells(kind: Kind) -> None:
    kept = Kept(kind, *FIELDS)
    kept.create(note="苏州")
    stored = [one.data for one in kept.kit.store.notifications(0, 10)]
    assert any("苏州".encode() in data for data in stored) is not kind.has_personal
    assert ("own" in VIEWS[kind.code].personal) is kind.has_personal


@EVERY_KIND
def test_cfg_01_a_default_that_can_not_be_given_is_in_no_records_way(kind: Kind) -> None:
    """Whoever has taken over stands there in place of whom it names; a choice that is gone is left out."""
    guide = CustomField(key="guide", type="person", label=Label(zh="x"), default=(str(SALES.user_id),))
    grade = CustomField(key="grade", type="choice", label=Label(zh="x"), choices=(), default=("a",))
    kept = Kept(kind, guide, grade)
    kept.leaves(SALES, FINANCE)
    kept.create()
    assert kept.own == {"guide": str(FINANCE.user_id)}


ALL_OR_NAMED: tuple[dict[str, Any], ...] = ({}, {"fields": ["own"]})
"""What a revert tells that puts all fields back, and one that names those of the company."""


@EVERY_KIND
def test_cfg_01_what_can_not_be_put_back_stays_and_is_told(kind: Kind) -> None:
    kept = Kept(kind, *FIELDS)
    kept.create(**VALUES)
    kept.edit(grade="a", guide=str(FINANCE.user_id), note="later")
    first, second = TYPES["grade"].choices
    kept.define(replace(TYPES["grade"], choices=(first, replace(second, retired=True))), revision=2)
    kept.leaves(SALES, FINANCE)
    for named in ALL_OR_NAMED:
        answer = kept.kit.do(kept.command(kind.revert, version=1, **named))
        assert answer.body["kept"] == ["own.grade", "own.guide"]
        assert kept.own == {**HELD, "grade": "a", "guide": str(FINANCE.user_id)}
    assert "kept" not in kept.kit.do(kept.command(kind.edit, own={"note": "x"})).body


@EVERY_KIND
def test_cfg_01_numbers_and_days_are_taken_as_keyboards_write_them(kind: Kind) -> None:
    kept = Kept(kind, *FIELDS)
    kept.create(seats="－１２．５０", since="２０２６－０３－０１")
    assert kept.own == {"seats": "-12.5", "since": "2026-03-01"}


@EVERY_KIND
def test_cfg_01_a_number_of_json_is_one_however_it_is_written(kind: Kind) -> None:
    """1.5e2 is what some programs write for 150: as an amount of money it was taken, as an own number it was not."""
    kept = Kept(kind, *FIELDS)
    kept.create()
    for number in ("1.5e2", "1E-8", "-2.50", "1e12"):
        kept.edit(seats=Decimal(number))
        assert Decimal(kept.own["seats"]) == Decimal(number)
    for absurd in ("1e13", "1e-9", "1e400", "1e-400", "1e-999999999"):
        kept.refused(kind.edit, "own.seats", seats=Decimal(absurd))


@EVERY_KIND
def test_cfg_01_a_refusal_names_its_field_once_and_tells_the_way_out(kind: Kind) -> None:
    kept = Kept(kind, *FIELDS, CustomField(key="must", type="text", label=Label(zh="必"), required=True))
    kept.create(must="x")
    for key, value in (("grade", "c"), ("seats", []), ("must", None), ("uses", "a"), ("since", []), ("must", "")):
        refusal = kept.refused(kind.edit, f"own.{key}", **{key: value})
        assert refusal.message.count(f"own.{key}") == 1, refusal.message
    assert "leave it out" in kept.refused(kind.edit, "own.must", must=None).message


def attached(kind: Kind, record: UUID, comment: UUID | None = None) -> FileAttached:
    """A file that was put on a record, or on a comment there."""
    return FileAttached(
        attachment_id=uuid4(),
        file_id=uuid4(),
        subject_kind=kind.code,
        subject_id=record,
        person_id=None,
        name="合同.pdf",
        size=3,
        sha256="0" * 64,
        media_type="application/pdf",
        comment_id=comment,
    )


def taken_away(file: FileAttached) -> AttachmentDeleted:
    of = {"subject_kind": file.subject_kind, "subject_id": file.subject_id}
    return AttachmentDeleted(attachment_id=file.attachment_id, file_id=file.file_id, **of)  # type: ignore[arg-type]


@EVERY_KIND
def test_cfg_01_a_file_on_the_record_is_a_value_and_no_other_file_is(kind: Kind) -> None:
    kept = Kept(kind, *FIELDS)
    kept.create(note="x")
    own, foreign, said = attached(kind, kept.id), attached(kind, uuid4()), attached(kind, kept.id, uuid4())
    other_kind = replace(attached(kind, kept.id), subject_kind="order")
    kept.kit.learn(own, foreign, said, other_kind)
    for file in (foreign, said, other_kind):
        assert kept.refused(kind.edit, "own.scan", scan=str(file.attachment_id)).code == "NOT_FOUND"
    kept.edit(scan=str(own.attachment_id))
    assert kept.own == {"note": "x", "scan": str(own.attachment_id)}
    assert kept.kit.stream(kept.id)[-1].changed == ("own.scan",)
    kept.kit.learn(taken_away(own))
    kept.edit(note="y", scan=str(own.attachment_id))  # what a query showed may be sent back
    kept.edit(scan=None)
    assert kept.own == {"note": "y"}
    assert kept.refused(kind.edit, "own.scan", scan=str(own.attachment_id)).code == "NOT_FOUND"


@EVERY_KIND
def test_cfg_01_a_file_that_is_gone_is_not_put_back_and_one_that_is_there_is(kind: Kind) -> None:
    kept = Kept(kind, *FIELDS)
    kept.create(note="x")
    first, second = attached(kind, kept.id), attached(kind, kept.id)
    kept.kit.learn(first, second)
    kept.edit(scan=str(first.attachment_id))
    kept.edit(scan=str(second.attachment_id), note="y")
    assert "kept" not in kept.kit.do(kept.command(kind.revert, version=2, fields=["own"])).body
    assert kept.own == {"note": "x", "scan": str(first.attachment_id)}
    kept.kit.learn(taken_away(second))
    for named in ALL_OR_NAMED:
        answer = kept.kit.do(kept.command(kind.revert, version=3, **named))
        assert answer.body["kept"] == ["own.scan"]
        assert kept.own == {"note": "y", "scan": str(first.attachment_id)}


ONCE = CustomField(key="tax", type="text", label=Label(zh="税号"), unique=True)


@EVERY_KIND
@pytest.mark.parametrize(
    ("type", "first", "same", "other"),
    [
        ("text", "Ａ-1", " a\u200b-1", "b"), ("number", "12.50", "１２.5", "3"),
        ("day", "2026-03-01", "2026-03-01", "2026-03-02"),
    ],
)  # fmt: skip
def test_cfg_01_no_two_records_have_the_same_of_a_unique_field(
    kind: Kind, type: Any, first: str, same: str, other: str
) -> None:
    kept = Kept(kind, replace(ONCE, type=type))
    kept.create(tax=first)
    one = kept.id
    refusal = kept.refused(kind.create, "own.tax", tax=same)
    assert refusal.code == "DUPLICATE" and str(one) in refusal.message
    kept.id = uuid4()
    kept.create(tax=other)
    assert kept.refused(kind.edit, "own.tax", tax=same).code == "DUPLICATE"
    kept.kit.do(kept.command(kind.delete, one))
    kept.edit(tax=same)
    with pytest.raises(Refused) as refused:
        kept.kit.do(kept.command(kind.restore, one))
    assert (refused.value.code, refused.value.field) == ("DUPLICATE", "own.tax")
    kept.edit(tax=None)
    kept.kit.do(kept.command(kind.restore, one))
    assert kept.refused(kind.edit, "own.tax", tax=first).code == "DUPLICATE"


@EVERY_KIND
def test_cfg_01_what_records_had_before_a_field_was_unique_counts(kind: Kind) -> None:
    kept = Kept(kind, replace(ONCE, unique=False))
    kept.create(tax="a")
    first = kept.id
    kept.id = uuid4()
    kept.create(tax="b")
    kept.define(replace(ONCE, unique_since=2), revision=2)
    assert kept.refused(kind.create, "own.tax", tax="A").code == "DUPLICATE"
    assert kept.refused(kind.edit, "own.tax", tax="a").code == "DUPLICATE"
    kept.edit(tax="b")  # it is that already
    kept.kit.do(kept.command(kind.edit, first, own={"tax": "c"}))
    kept.edit(tax="a")
    assert kept.refused(kind.create, "own.tax", tax="c").code == "DUPLICATE"


@pytest.mark.parametrize("kind", OF_PERSONS, ids=lambda kind: kind.code)
def test_cpl_01_what_who_was_erased_had_before_a_field_was_unique_is_free(kind: Kind) -> None:
    """Also while the writer still has the record in memory as it was."""
    ring = KeyRing(MemoryKeys)
    use(ring)
    kept = Kept(kind, replace(ONCE, unique=False))
    kept.create(tax="a")
    erased, kept.id = kept.id, uuid4()
    kept.create(tax="b")
    kept.define(replace(ONCE, unique_since=2), revision=2)
    assert kept.refused(kind.edit, "own.tax", tax="a").code == "DUPLICATE"
    assert ring.destroy(erased)
    kept.edit(tax="a")
    assert kept.refused(kind.create, "own.tax", tax="a").code == "DUPLICATE"


@EVERY_KIND
def test_cfg_01_a_retired_unique_field_is_in_nobodys_way_and_counts_again_when_it_is_back(kind: Kind) -> None:
    kept = Kept(kind, ONCE)
    kept.create(tax="a")
    first = kept.id
    kept.define(replace(ONCE, retired=True), revision=2)
    kept.kit.do(kept.command(kind.edit, first, own={"tax": None}))
    kept.define(replace(ONCE, unique_since=3), revision=3)
    kept.id = uuid4()
    kept.create(tax="a")  # the first one has it no longer, though its index was never freed
    assert kept.refused(kind.create, "own.tax", tax="a").code == "DUPLICATE"


@EVERY_KIND
def test_cpl_01_what_is_kept_of_a_refusal_tells_of_no_person(kind: Kind) -> None:
    """Neither what the command gives, nor what stands in a record that it only names: both are told to whoever gave it,
    and would be in the audit log for ever, whoever was erased."""
    secret = "CN-91320594MA1"
    kept = Kept(kind, ONCE)
    kept.create(tax=secret)
    one = kept.id
    assert secret in kept.refused(kind.create, "own.tax", tax=secret).message
    kept.kit.do(kept.command(kind.delete, one))
    kept.id = uuid4()
    kept.create(tax=secret)
    with pytest.raises(Refused) as refused:
        kept.kit.do(kept.command(kind.restore, one))
    assert secret in refused.value.message
    kept.edit(tax=None)
    kept.create(uuid4(), tax=secret)
    with pytest.raises(Refused) as refused:
        kept.kit.do(kept.command(kind.revert, version=1))
    assert secret in refused.value.message
    told = [entry for record in kept.kit.store.audit_after(0, 1_000) for entry in record.entries() if entry.detail]
    assert [entry.result for entry in told] == ["DUPLICATE"] * 3
    assert all((secret in entry.detail) is not kind.has_personal for entry in told)


HIDDEN = CustomField(key="note", type="text", label=Label(zh="密"), view_right="payments")


@EVERY_KIND
def test_cfg_01_a_field_that_needs_a_right_is_there_for_who_holds_it_alone(kind: Kind) -> None:
    kept = Kept(kind, HIDDEN, replace(ONCE, key="open", unique=False))
    kept.create_as_editor(note="secret", open="x")
    told = kept.refused_by(kind, "own.note", note="x")
    assert told.message == kept.refused_by(kind, "own.note", **{"note": None}).message
    assert told.why.reason == "forms.invalid" and told.code == "VALIDATION", "it is told of as of one there is not"
    unknown = kept.refused_by(kind, "own.nota", nota="x").message
    assert told.message.replace("own.note", "") == unknown.replace("own.nota", "")
    kept.kit.do(kept.command(kind.edit, own=None), kept.editor)
    assert kept.own == {"note": "secret"}, "whoever does not see it takes nothing of it away"
    kept.edit(note="changed")
    kept.kit.do(kept.command(kind.revert, version=2), kept.editor)
    assert kept.own == {"note": "changed", "open": "x"}, "nor puts anything back"


@EVERY_KIND
def test_cfg_01_whoever_sees_a_field_may_send_it_back_and_not_change_it(kind: Kind) -> None:
    kept = Kept(kind, replace(HIDDEN, view_right="", edit_right="payments"))
    kept.create_as_editor(note="x")
    kept.kit.do(kept.command(kind.edit, own={"note": "x"}), kept.editor)
    refusal = kept.refused_by(kind, "own.note", note="y")
    assert refusal.code == "FORBIDDEN" and "payments" in refusal.message
    assert kept.own == {"note": "x"}


def test_cfg_01_every_kind_has_them() -> None:
    assert {kind.code for kind in KINDS.values()} == VIEWS.keys()
    for cls, kind in KINDS.items():
        assert kind_of(cls) is kind
        assert "own" in {*record_view(cls).types}
    assert {one.type for one in FIELDS} == set(get_args(CustomType))


@EVERY_KIND
def test_cfg_01_a_number_of_the_company_s_is_in_no_currency(kind: Kind) -> None:
    """Also where a column of the list tells that of the record's prices."""
    assert extended(VIEWS[kind.code], FIELDS).currencies_of("own.seats") == ()
