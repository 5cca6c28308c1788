"""What every service knows of the configuration: the entries of dictionaries (CFG-08, CFG-09), and the fields that the
company has added to kinds of records (CFG-01)."""

from typing import Any

from chassis.access.known import EarlierFormula, Known, KnownCustomField
from chassis.model.dictionaries import KnownEntry, place_of
from chassis.model.service import Replica
from contracts.configuration import CUSTOM_FIELD_EVENTS, DictionaryEntryDeleted, DictionaryEntrySet


def entry_told(row: KnownEntry | None, fact: DictionaryEntrySet | DictionaryEntryDeleted) -> KnownEntry:
    """Older news change nothing."""
    if row is not None and row.revision > fact.revision:
        return row
    return KnownEntry(fact.dictionary, fact.entry, fact.revision, isinstance(fact, DictionaryEntryDeleted))


def field_told(row: KnownCustomField | None, fact: Any) -> KnownCustomField:
    """Older news change nothing."""
    if row is not None and row.revision > fact.revision:
        return row
    earlier = row.earlier if row else ()
    if row is not None and row.field.formula != fact.field.formula:
        earlier = (*earlier, EarlierFormula(row.field.formula, fact.at))
    return KnownCustomField(fact.kind, fact.field, fact.revision, earlier)


ENTRIES = Replica(
    "dictionary-entries",
    KnownEntry,
    feeds=dict.fromkeys((DictionaryEntrySet, DictionaryEntryDeleted), entry_told),
    key=lambda fact: place_of(fact.dictionary, fact.entry.code),
)
CUSTOM_FIELDS = Replica(
    "configuration-custom-fields",
    KnownCustomField,
    feeds=dict.fromkeys(CUSTOM_FIELD_EVENTS, field_told),
    key=lambda fact: f"{fact.kind}.{fact.field.key}",
)

KNOWN = Known((ENTRIES, CUSTOM_FIELDS))
