"""Dictionaries and trees of categories, by way of the service's commands (CFG-08, CFG-09, CUS-09)."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from chassis.documents.samples import sample
from chassis.testing.services import InMemoryService
from contracts.collaboration import CommunicationDeleted, CommunicationLogged
from contracts.configuration import (
    AddDictionaryEntry,
    DeleteDictionaryEntry,
    DictionaryEntryDeleted,
    DictionaryEntrySet,
    EditDictionaryEntry,
)
from contracts.customers import CustomerCreated, CustomerData, CustomerEdited
from contracts.dictionaries import MOST_ENTRIES, MOST_LEVELS, PREPARED, DictionaryEntry, DictionaryName
from contracts.errors import Refused
from contracts.people import NOBODY
from contracts.schemas import load
from services.configuration import dictionaries
from services.configuration.application import SERVICE
from services.configuration.known import ENTRIES, entry_told

INDUSTRIES: DictionaryName = "industries"


@pytest.fixture
def kit() -> InMemoryService:
    return InMemoryService(SERVICE)


def add(kit: InMemoryService, code: str, **more: Any) -> None:
    kit.do(AddDictionaryEntry(**{"dictionary": INDUSTRIES, "entry": code, "en": code, **more}))


def edit(code: str, **more: Any) -> EditDictionaryEntry:
    return EditDictionaryEntry(**{"dictionary": INDUSTRIES, "entry": code, **more})


def delete(code: str) -> DeleteDictionaryEntry:
    return DeleteDictionaryEntry(dictionary=INDUSTRIES, entry=code)


def codes(kit: InMemoryService) -> list[str]:
    """As every process knows them, in their order."""
    return [entry.code for entry in kit.directory.dictionaries.of(INDUSTRIES).branch("")]


@pytest.mark.parametrize("name", PREPARED)
def test_cfg_08_what_is_prepared_could_have_been_entered(name: DictionaryName) -> None:
    kit = InMemoryService(SERVICE)
    entered: dict[str, DictionaryEntry] = {}
    for entry in PREPARED[name].values():
        assert entry.zh and entry.ja and entry.en, "on a fresh system everybody reads them"
        assert entry.parent == "" or entry.parent in entered
        load(AddDictionaryEntry, {"dictionary": name, "entry": entry.code, "zh": entry.zh, "position": entry.position})
        entered[entry.code] = entry
    kit.do(AddDictionaryEntry(dictionary=name, entry="new-one", en="One that was not there"))


def test_cus_08_a_fresh_system_has_the_tags_of_the_specification() -> None:
    assert [entry.zh for entry in PREPARED["customer_tags"].values()] == ["潜在客户", "意向客户", "成交客户"]


def test_cfg_08_one_language_stands_in_for_the_others(kit: InMemoryService) -> None:
    add(kit, "AI", en="", zh="人工智能")
    tree = kit.directory.dictionaries.of(INDUSTRIES)
    assert [tree.label("ai", language) for language in ("zh", "ja", "en")] == ["人工智能"] * 3
    kit.do(edit("AI", en="Artificial intelligence"))
    tree = kit.directory.dictionaries.of(INDUSTRIES)
    assert [tree.label("AI", language) for language in ("ja", "en")] == ["人工智能", "Artificial intelligence"]


def test_cfg_08_the_events_tell_all_of_an_entry_and_a_repeat_tells_nothing(kit: InMemoryService) -> None:
    add(kit, "AI", parent="it", position=3)
    kit.do(edit("ai", parent="IT", position=3))
    kit.do(edit("AI", active=False))
    added, changed = kit.facts()
    assert added.entry == DictionaryEntry(code="AI", en="AI", parent="IT", position=3)
    assert (changed.entry.active, changed.entry.parent) == (False, "IT")
    assert [type(fact) for fact in (added, changed)] == [DictionaryEntrySet] * 2
    assert [fact.revision for fact in (added, changed)] == [1, 2]


@pytest.mark.parametrize("code", ["IT", "it", "It"])
def test_cfg_08_a_code_is_there_once_in_whatever_case(kit: InMemoryService, code: str) -> None:
    command = AddDictionaryEntry(dictionary=INDUSTRIES, entry=code, en="Something else")
    kit.assert_refused("DUPLICATE", command, field="entry")


@pytest.mark.parametrize("code", ["", " ", "1A", "A B", "A/B", "..", "行业", "a" * 41, "A\n", "A\u200b B"])
def test_cfg_08_a_code_has_a_form(code: str) -> None:
    with pytest.raises(Refused) as refused:
        load(AddDictionaryEntry, {"dictionary": INDUSTRIES, "entry": code, "en": "x"})
    assert refused.value.field == "entry"


@pytest.mark.parametrize(("language", "label"), [("zh", "零售"), ("en", "retail"), ("en", " Ｒetail"), ("ja", "小売")])
def test_cfg_08_two_beside_each_other_are_not_called_the_same(kit: InMemoryService, language: str, label: str) -> None:
    given = {"dictionary": INDUSTRIES, "entry": "SHOPS", "en": "Shops", language: label}
    refusal = kit.assert_refused("DUPLICATE", load(AddDictionaryEntry, given), field=language)
    assert "RETAIL" in refusal.message
    kit.do(load(AddDictionaryEntry, {**given, "parent": "TRADE"}))
    kit.assert_refused("DUPLICATE", edit("SHOPS", parent=None), field=language)


def test_cfg_08_an_entry_has_a_name(kit: InMemoryService) -> None:
    command = AddDictionaryEntry(dictionary=INDUSTRIES, entry="NEW", en=" ")
    kit.assert_refused("VALIDATION", command, field="zh")
    kit.assert_refused("VALIDATION", edit("IT", zh="", ja="", en=""), field="zh")


def test_cfg_09_an_entry_moves_with_all_below_it_and_never_below_itself(kit: InMemoryService) -> None:
    kit.do(edit("MANUFACTURING", parent="SERVICES"))
    assert codes(kit)[-4:] == ["SERVICES", "MANUFACTURING", "MACHINERY", "ELECTRONICS"]
    for parent in ("MANUFACTURING", "MACHINERY"):
        kit.assert_refused("VALIDATION", edit("MANUFACTURING", parent=parent), field="parent")
    kit.assert_refused("VALIDATION", edit("SERVICES", parent="ELECTRONICS"), field="parent")
    kit.assert_refused("NOT_FOUND", edit("IT", parent="nowhere"), field="parent")
    kit.do(edit("MANUFACTURING", parent=None))
    assert codes(kit)[:1] == ["MANUFACTURING"]


def test_cfg_09_a_tree_is_no_deeper_than_may_be_also_by_what_is_moved_into_it(kit: InMemoryService) -> None:
    for level in range(2, MOST_LEVELS + 1):
        add(kit, f"L{level}", parent=f"L{level - 1}" if level > 2 else "IT")
    deeper = AddDictionaryEntry(dictionary=INDUSTRIES, entry="L6", en="x", parent=f"L{MOST_LEVELS}")
    kit.assert_refused("VALIDATION", deeper, field="parent")
    kit.assert_refused("VALIDATION", edit("MANUFACTURING", parent=f"L{MOST_LEVELS - 1}"), field="parent")
    kit.assert_refused("VALIDATION", edit("IT", parent="TRADE"), field="parent")
    kit.do(edit("MANUFACTURING", parent=f"L{MOST_LEVELS - 2}"))


def test_cfg_08_a_dictionary_has_so_many_entries(kit: InMemoryService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionaries, "MOST_ENTRIES", len(PREPARED[INDUSTRIES]) + 1)
    add(kit, "ONE")
    command = AddDictionaryEntry(dictionary=INDUSTRIES, entry="TWO", en="Two")
    kit.assert_refused("TOO_LARGE", command, field="dictionary")
    kit.do(delete("ONE"))
    kit.do(command)
    assert MOST_ENTRIES == 1_000


def test_cus_09_an_entry_that_records_have_is_switched_off_and_never_deleted(kit: InMemoryService) -> None:
    one, other, gone = uuid4(), uuid4(), uuid4()
    kit.learn(
        CustomerCreated(customer_id=one, data=CustomerData(industry="retail"), owner=NOBODY),
        CustomerCreated(customer_id=other, data=CustomerData(industry="零售", region="RETAIL"), owner=NOBODY),
        CustomerCreated(customer_id=gone, data=CustomerData(industry="RETAIL"), owner=NOBODY),
        CustomerEdited(customer_id=gone, data=CustomerData(industry="IT")),
    )
    refusal = kit.assert_refused("INVALID_STATE", delete("RETAIL"), field="entry")
    assert "2 records" in refusal.message and refusal.state == "IN_USE"
    kit.do(edit("RETAIL", active=False))
    kit.learn(*(CustomerEdited(customer_id=id, data=CustomerData()) for id in (one, other)))
    kit.do(delete("RETAIL"))
    assert isinstance(kit.facts()[-1], DictionaryEntryDeleted)
    assert "RETAIL" not in codes(kit)
    kit.assert_refused("NOT_FOUND", delete("RETAIL"), field="entry")
    kit.assert_refused("NOT_FOUND", edit("RETAIL", active=True), field="entry")
    assert kit.directory.dictionaries.of(INDUSTRIES).label("RETAIL", "zh") == "零售", "who has it all the same reads it"


def test_cfg_09_one_with_others_below_it_is_not_deleted(kit: InMemoryService) -> None:
    kit.assert_refused("INVALID_STATE", delete("MANUFACTURING"), field="entry")
    kit.do(delete("MACHINERY"))
    kit.do(delete("ELECTRONICS"))
    kit.do(delete("MANUFACTURING"))
    kit.do(AddDictionaryEntry(dictionary=INDUSTRIES, entry="manufacturing", en="Manufacturing again"))


def test_cfg_08_news_of_an_entry_come_in_whatever_order() -> None:
    older, newer = (
        DictionaryEntrySet(dictionary=INDUSTRIES, entry=DictionaryEntry(code="IT", en=name), revision=revision)
        for revision, name in enumerate(("old", "new"), 1)
    )
    gone = DictionaryEntryDeleted(dictionary=INDUSTRIES, entry=newer.entry, revision=3)
    row = entry_told(entry_told(None, newer), older)
    assert (row.entry.en, row.deleted) == ("new", False)
    assert entry_told(entry_told(row, gone), newer).deleted
    assert ENTRIES.keys_of(gone) == ["industries/IT"]


def test_cfg_08_a_code_is_not_what_another_entry_is_called(kit: InMemoryService) -> None:
    """Texts that people typed, and which mean that entry by its name, would mean the new one."""
    add(kit, "A1", zh="B1", en="")
    command = AddDictionaryEntry(dictionary=INDUSTRIES, entry="b1", en="New")
    assert "A1" in kit.assert_refused("DUPLICATE", command, field="entry").message
    kit.do(edit("A1", zh="甲"))
    kit.do(command)


@pytest.mark.parametrize("label", ["😀", "👩\u200d💻", "❤\ufe0f", "𠮷野", "がｶﾞ"])
def test_cfg_08_an_entry_is_called_whatever_people_write(kit: InMemoryService, label: str) -> None:
    kit.do(load(AddDictionaryEntry, {"dictionary": INDUSTRIES, "entry": "NEW", "ja": label}))
    tree = kit.directory.dictionaries.of(INDUSTRIES)
    assert tree.label("new", "zh") == label and tree.meant(label) is tree.find("NEW")
    again = load(AddDictionaryEntry, {"dictionary": INDUSTRIES, "entry": "OTHER", "en": f" {label}"})
    kit.assert_refused("DUPLICATE", again, field="en")


@pytest.mark.parametrize(
    "label", ["x" * 1_000_000, "😀" * 101, "a\u202eb", "a\nb"], ids=["1 MB", "101", "turned", "lines"]
)
def test_cfg_08_what_is_no_label_is_refused_at_the_edge(label: str) -> None:
    with pytest.raises(Refused) as refused:
        load(AddDictionaryEntry, {"dictionary": INDUSTRIES, "entry": "NEW", "ja": label})
    assert refused.value.field == "ja"


def test_com_07_a_way_of_communication_is_deleted_when_no_contact_has_it(kit: InMemoryService) -> None:
    logged: Any = load(CommunicationLogged, sample(CommunicationLogged))
    kit.learn(replace(logged, data=replace(logged.data, way="SMS")))
    delete = DeleteDictionaryEntry(dictionary="communication_ways", entry="SMS")
    assert kit.assert_refused("INVALID_STATE", delete, field="entry").state == "IN_USE"
    kit.do(DeleteDictionaryEntry(dictionary="communication_ways", entry="CHAT"))
    gone: Any = load(CommunicationDeleted, sample(CommunicationDeleted))
    kit.learn(replace(gone, communication_id=logged.communication_id))
    kit.do(delete)
