"""What can be picked?  The entries of every dictionary, also those that are switched off (CFG-08, CFG-09)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from chassis.model.changes import Change, EventMetadata, Set
from chassis.model.views import Exact, View, Words
from contracts.configuration import DictionaryEntryDeleted, DictionaryEntrySet
from contracts.dictionaries import PREPARED, DictionaryEntry, DictionaryName
from contracts.permissions import COLLEAGUE


@dataclass
class EntryRow:
    """One entry of a dictionary; `version` is that of the dictionary when it was told of."""

    id: str
    dictionary: DictionaryName
    code: str
    zh: str
    ja: str
    en: str
    parent: str
    position: int
    active: bool
    deleted: bool
    changed_at: datetime | None
    changed_by: str
    version: int


def _shown(dictionary: str, entry: DictionaryEntry) -> dict[str, object]:
    return {"dictionary": dictionary, **{name: getattr(entry, name) for name in entry.__dataclass_fields__}}


def _key(dictionary: str, code: str) -> str:
    return f"{dictionary}.{code}"


def entry_set(event: DictionaryEntrySet, metadata: EventMetadata) -> Iterable[Change]:
    yield _told(event.dictionary, event.entry, event.by.name, metadata, deleted=False)


def entry_deleted(event: DictionaryEntryDeleted, metadata: EventMetadata) -> Iterable[Change]:
    yield _told(event.dictionary, event.entry, event.by.name, metadata, deleted=True)


def _told(dictionary: str, entry: DictionaryEntry, by: str, metadata: EventMetadata, *, deleted: bool) -> Change:
    return Set(
        _key(dictionary, entry.code),
        **_shown(dictionary, entry),
        deleted=deleted,
        changed_at=metadata.at,
        changed_by=by,
        version=metadata.version,
    )


VIEW = View(
    name="dictionary_entries",
    route="GET /dictionary-entries",
    detail="entry_key",
    row=EntryRow,
    permission=COLLEAGUE,
    what="dictionary entry",
    handlers={DictionaryEntrySet: entry_set, DictionaryEntryDeleted: entry_deleted},
    filters={
        "dictionary": Exact(),
        "code": Exact(),
        "parent": Exact(),
        "active": Exact(),
        "deleted": Exact(),
        "q": Words("code", "zh", "ja", "en"),
    },
    sorts=("position", "changed_at"),
    default_sort="position",
    aside="deleted",
    defaults={
        _key(name, entry.code): {
            **_shown(name, entry), "deleted": False, "changed_at": None, "changed_by": "", "version": 0,
        }
        for name, entries in PREPARED.items()
        for entry in entries.values()
    },
)  # fmt: skip
