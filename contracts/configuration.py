"""How a company sets up what is declared: its dictionaries (CFG-08, CFG-09).

Aggregates: dictionary.
"""

from contracts.declare import KEPT, command, event
from contracts.dictionaries import DictionaryEntry, DictionaryName, EntryCode, EntryLabel
from contracts.people import SALESTREAM, Person
from contracts.types import Flag, Name, Whole


@command("POST /dictionaries/{dictionary}/entries", permission="settings")
class AddDictionaryEntry:
    """Add an entry to a dictionary, at the top or below another one (CFG-08, CFG-09).

    `entry` is its code.  One language is enough: it stands in for the others.
    """

    dictionary: DictionaryName
    entry: EntryCode
    zh: EntryLabel = ""
    ja: EntryLabel = ""
    en: EntryLabel = ""
    parent: EntryCode | None = None
    position: Whole = 0


@command("PUT /dictionaries/{dictionary}/entries/{entry}", permission="settings")
class EditDictionaryEntry:
    """Rename an entry, move it with all below it, switch it off or on; a field left out keeps its value (CFG-09).

    `parent` null: to the top.  Records that have an entry which is switched off keep it; no other gets it.
    """

    dictionary: DictionaryName
    entry: EntryCode
    zh: EntryLabel = KEPT
    ja: EntryLabel = KEPT
    en: EntryLabel = KEPT
    parent: EntryCode | None = KEPT
    position: Whole = KEPT
    active: Flag = KEPT


@command("DELETE /dictionaries/{dictionary}/entries/{entry}", permission="settings")
class DeleteDictionaryEntry:
    """Take away an entry that no record has and none is below; others are switched off instead (CFG-08, CUS-09)."""

    dictionary: DictionaryName
    entry: EntryCode


@event("salestream.configuration.dictionary-entry-set.v1", key="dictionary")
class DictionaryEntrySet:
    """An entry was added to a dictionary or changed: all of it.  `revision` is that of the dictionary."""

    dictionary: Name
    entry: DictionaryEntry
    by: Person = SALESTREAM
    revision: Whole


@event("salestream.configuration.dictionary-entry-deleted.v1", key="dictionary")
class DictionaryEntryDeleted:
    """An entry was taken away from a dictionary: what it was."""

    dictionary: Name
    entry: DictionaryEntry
    by: Person = SALESTREAM
    revision: Whole
