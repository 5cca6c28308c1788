"""Values of own fields, whatever is given in whatever order, against a model of plain dictionaries (CFG-01)."""

from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.catalogue import Catalogue
from chassis.testing.custom_fields import known
from chassis.testing.records import enter_in, new_record
from chassis.testing.services import InMemoryService
from contracts.custom_fields import CustomField, Label, read
from contracts.errors import Refused
from contracts.formulas import parse, paths
from contracts.marketing import Survey
from contracts.records import kind_of
from contracts.schemas import load
from contracts.text import key

KIND = kind_of(Survey)
SERVICES = {service.name: service for service in Catalogue.read().services()}
TAX = CustomField(key="tax", type="text", label=Label(zh="x"))
VALUES = st.sampled_from(["a", "Ａ", "a ", "b", "B\u200b", "c", None])
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.just(0), VALUES),
        st.tuples(st.just("edit"), st.integers(0, 3), VALUES),
        st.tuples(st.sampled_from(["delete", "restore"]), st.integers(0, 3), st.none()),
        st.tuples(st.sampled_from(["unique", "retired", "plain"]), st.just(0), st.none()),
    ),
    min_size=4,
    max_size=14,
)


class Records:
    """Records of a kind with one field of the company's, and what each should have: its value, deleted or not."""

    def __init__(self) -> None:
        self.kit = InMemoryService(SERVICES[KIND.service])
        self.ids: list[UUID] = []
        self.wanted: dict[UUID, tuple[str | None, bool]] = {}
        self.field, self.revision = TAX, 0
        self.define(unique=True)

    def define(self, **how: Any) -> None:
        """The field from now on; it becomes unique only once no two records have the same, as `configuration` says."""
        after = replace(self.field, **how)
        if after.is_unique and not self.field.is_unique and self.revision:
            there = [key(value) for value, is_there in self.wanted.values() if value and is_there]
            if len(there) > len(set(there)):
                return
            after = replace(after, unique_since=self.revision + 1)
        self.field, self.revision = after, self.revision + 1
        for row in known(KIND.code, after, revision=self.revision):
            self.kit.directory.company.custom_fields.take(row)

    def may_have(self, id: UUID, value: str | None, *, is_there: bool = True) -> bool:
        others = [other for one, (other, there) in self.wanted.items() if one != id and there and other]
        return not (value and is_there and self.field.is_unique and key(value) in map(key, others))

    def do(self, act: str, at: int, value: str | None) -> None:
        if act in ("unique", "retired", "plain"):
            self.define(unique=act == "unique" or (self.field.unique and act == "retired"), retired=act == "retired")
            return
        if act != "create" and not self.ids:
            return
        id = uuid4() if act == "create" else self.ids[at % len(self.ids)]
        held, was_there = self.wanted.get(id, (None, False))
        given = {**new_record(KIND, enter_in(self.kit))} if act == "create" else {}
        own = {"own": {"tax": value}} if act in ("create", "edit") and not self.field.retired else {}
        command = {"create": KIND.create, "edit": KIND.edit, "delete": KIND.delete, "restore": KIND.restore}[act]
        after = value.strip() if own and value else None if own else held
        try:
            self.kit.do(load(command, {**given, **own, KIND.key: str(id)}))
        except Refused as refused:
            assert refused.code == "NOT_FOUND" or not self.may_have(id, after), (act, refused.message)
            return
        is_changed = after != held or not was_there
        assert act == "delete" or not is_changed or self.may_have(id, after), (act, self.wanted)
        if act == "create":
            self.ids.append(id)
        self.wanted[id] = after, act != "delete"

    def check(self) -> None:
        for id, (value, _) in self.wanted.items():
            told = [fact.data.own for fact in self.kit.stream(id) if type(fact) in (KIND.created, KIND.edited)]
            found = read(told[-1]).get("tax")
            assert (key(str(found.value)) if found else None) == (key(value) if value else None)


@settings(max_examples=40, deadline=None)
@given(ACTS)
def test_cfg_01_no_two_records_that_are_there_have_the_same_of_a_unique_field(acts: list[tuple[str, int, Any]]) -> None:
    records = Records()
    for act, at, value in acts:
        records.do(act, at, value)
    records.check()


PARTS = st.recursive(
    st.sampled_from(["1", "0.5", "own.a", "own.from", "turnover", "DAYS(own.b, own.c)"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda one: f"({one[0]} {one[1]} {one[2]})"),
        inner.map(lambda one: f"ROUND({one}, 2)"),
        st.tuples(inner, st.sampled_from(["<", ">=", "=="]), inner).map(
            lambda one: f"IF({one[0]} {one[1]} {one[2]}, 1, {one[0]})"
        ),
    ),
    max_leaves=6,
)


@given(PARTS)
def test_cfg_01_a_formula_is_read_or_told_to_be_none(text: str) -> None:
    try:
        found = set(paths(parse(text)))
    except ValueError:
        return  # more operations than may be
    assert found == {name for name in ("own.a", "own.from", "own.b", "own.c", "turnover") if name in text}


@given(st.text(max_size=60))
def test_cfg_01_what_is_no_formula_is_refused_and_breaks_nothing(text: str) -> None:
    with suppress(ValueError):
        parse(text)
