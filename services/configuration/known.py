"""What every service knows of the configuration: the entries of dictionaries (CFG-08, CFG-09)."""

from chassis.access.known import Known
from chassis.model.dictionaries import KnownEntry, place_of
from chassis.model.service import Replica
from contracts.configuration import DictionaryEntryDeleted, DictionaryEntrySet


def entry_told(row: KnownEntry | None, fact: DictionaryEntrySet | DictionaryEntryDeleted) -> KnownEntry:
    """Older news change nothing."""
    if row is not None and row.revision > fact.revision:
        return row
    return KnownEntry(fact.dictionary, fact.entry, fact.revision, isinstance(fact, DictionaryEntryDeleted))


ENTRIES = Replica(
    "dictionary-entries",
    KnownEntry,
    feeds=dict.fromkeys((DictionaryEntrySet, DictionaryEntryDeleted), entry_told),
    key=lambda fact: place_of(fact.dictionary, fact.entry.code),
)

KNOWN = Known((ENTRIES,))
