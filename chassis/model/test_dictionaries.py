"""Which values a record may have of a dictionary, and what is found and told by one (CFG-08, CFG-09, CUS-09)."""

from dataclasses import dataclass
from typing import Any

import pytest

from chassis.model.dictionaries import Dictionaries, KnownEntry, Tree, listed
from contracts.dictionaries import PREPARED, DictionaryEntry
from contracts.errors import Refused
from contracts.records import Field, FieldRules
from contracts.types import Text


@dataclass(frozen=True)
class Held:
    """What a record has."""

    one: str = ""
    several: tuple[str, ...] = ()


FIELDS = {
    name: Field(name, kind, required=False, rules=FieldRules(dictionary="industries"))
    for name, kind in {"one": Text, "several": tuple[Text, ...]}.items()
}
FREE = {"one": Field("one", Text, required=False, rules=FieldRules(dictionary="industries", free=True))}


def changed(*entries: DictionaryEntry, deleted: bool = False) -> Dictionaries:
    found = Dictionaries()
    for revision, entry in enumerate(entries, 1):
        found.take(KnownEntry("industries", entry, revision, deleted))
    return found


OFF = changed(DictionaryEntry(code="RETAIL", en="Retail", active=False))


@pytest.mark.parametrize("code", ["RETAIL", "retail", " Ｒetail "])
def test_cfg_08_the_code_is_stored_however_it_was_written(code: str) -> None:
    assert listed(FIELDS, {"one": code}, None, Dictionaries()) == {"one": "RETAIL"}
    assert listed(FIELDS, {"several": ("it", code, "RETAIL")}, None, Dictionaries()) == {"several": ("IT", "RETAIL")}


@pytest.mark.parametrize(("name", "value"), [("one", "零售"), ("one", "nothing"), ("several", ("IT", "nothing"))])
def test_cfg_08_what_is_no_entry_is_refused_with_the_way_out(name: str, value: Any) -> None:
    with pytest.raises(Refused) as refused:
        listed(FIELDS, {name: value}, None, Dictionaries())
    assert (refused.value.code, refused.value.field) == ("VALIDATION", name)
    assert "GET /dictionary-entries?dictionary=industries" in refused.value.message


def test_cfg_08_one_that_is_switched_off_is_kept_and_not_given() -> None:
    for name, value, held in (
        ("one", "RETAIL", Held(one="RETAIL")),
        ("several", ("RETAIL", "IT"), Held("", ("RETAIL",))),
    ):
        with pytest.raises(Refused) as refused:
            listed(FIELDS, {name: value}, Held(), OFF)
        assert (refused.value.code, refused.value.field) == ("INVALID_STATE", name)
        assert listed(FIELDS, {name: value}, held, OFF) == {name: value}


def test_cfg_09_with_a_branch_all_below_it_is_switched_off() -> None:
    off = changed(DictionaryEntry(code="MANUFACTURING", en="Manufacturing", active=False))
    with pytest.raises(Refused):
        listed(FIELDS, {"one": "MACHINERY"}, None, off)


@pytest.mark.parametrize("value", ["", (), None])
def test_cfg_08_nothing_is_taken_for_nothing(value: Any) -> None:
    assert listed(FIELDS, {"one": value}, None, Dictionaries()) == {"one": value}


def test_cus_09_a_free_field_takes_what_it_took_and_refuses_only_what_was_switched_off() -> None:
    for text in ("mining", "零售", "retail"):
        assert listed(FREE, {"one": text}, None, Dictionaries()) == {"one": text}
    for text in ("retail", "Retail"):
        with pytest.raises(Refused):
            listed(FREE, {"one": text}, None, OFF)
        assert listed(FREE, {"one": text}, Held(one=text), OFF) == {"one": text}


def test_cfg_09_who_asks_for_an_entry_asks_for_its_branch_and_for_what_was_typed_before() -> None:
    tree = Dictionaries().of("industries")
    assert {"MANUFACTURING", "MACHINERY", "ELECTRONICS", "机械设备", "Machinery"} <= set(tree.texts_of("制造业"))
    assert tree.texts_of("mining") == ["mining"]


def test_cfg_08_a_label_that_two_bear_means_neither() -> None:
    tree = Tree(
        {code: DictionaryEntry(code=code, en="Other", parent=parent) for code, parent in (("A", ""), ("B", "A"))}
    )
    assert tree.meant("other") is None and tree.meant("b") is tree.entries["B"]
    assert tree.texts_of("A") == ["A", "B"]


def test_cfg_09_what_a_later_release_puts_below_itself_is_found_all_the_same() -> None:
    """A company has moved an entry below one that a release then puts below that."""
    tree = Tree({code: DictionaryEntry(code=code, en=code, parent=parent) for code, parent in (("A", "B"), ("B", "A"))})
    assert {entry.code for entry in tree.branch("")} == {"A", "B"}
    assert len(list(tree.branch("A"))) == 1 and tree.is_active(tree.entries["A"])


def test_cfg_08_entries_of_a_later_release_come_beside_those_of_the_company() -> None:
    own = changed(DictionaryEntry(code="IT", en="Computers"), DictionaryEntry(code="AI", en="AI", parent="IT"))
    tree = own.of("industries")
    assert set(tree.entries) == {*PREPARED["industries"], "AI"}
    assert (tree.label("it", "en"), tree.label("AI", "zh")) == ("Computers", "AI")
    assert "IT" not in changed(DictionaryEntry(code="IT", en="IT"), deleted=True).of("industries").entries


def test_cfg_08_what_is_told_changes_with_each_entry_and_only_then() -> None:
    known = Dictionaries()
    before = known.all()
    assert known.all() == before
    known.take(KnownEntry("regions", DictionaryEntry(code="EAST", en="East"), 1))
    after = known.all()
    assert after != before and dict(after)["industries"] is dict(before)["industries"]
