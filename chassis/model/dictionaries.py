"""Dictionaries as a process knows them, and which of their entries a record may have (CFG-08, CFG-09, ADR 0045)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec

from contracts.dictionaries import PREPARED, DictionaryEntry
from contracts.errors import Refused
from contracts.languages import Language
from contracts.records import Field
from contracts.text import key


class KnownEntry(msgspec.Struct, frozen=True):
    """An entry as it was told of; of one that was deleted what it was, for records that have it all the same."""

    dictionary: str
    entry: DictionaryEntry
    revision: int
    deleted: bool = False


class Tree:
    """The entries of one dictionary at one moment; `gone` are those that were deleted."""

    def __init__(
        self, entries: Mapping[str, DictionaryEntry], gone: Mapping[str, DictionaryEntry] | None = None
    ) -> None:
        self.entries = entries
        self._gone = gone or {}

    @cached_property
    def _by_code(self) -> Mapping[str, DictionaryEntry]:
        return {key(code): entry for code, entry in self.entries.items()}

    @cached_property
    def _by_label(self) -> Mapping[str, DictionaryEntry | None]:
        """The entry of each label; None where several bear it."""
        found: dict[str, DictionaryEntry | None] = {}
        for entry in self.entries.values():
            for label in labels_of(entry):
                found[label] = entry if found.get(label, entry) is entry else None
        return found

    @cached_property
    def _below(self) -> Mapping[str, list[DictionaryEntry]]:
        found: dict[str, list[DictionaryEntry]] = defaultdict(list)
        for entry in self.entries.values():
            found[self.parent(entry)].append(entry)
        return {parent: sorted(some, key=lambda one: (one.position, one.code)) for parent, some in found.items()}

    def parent(self, entry: DictionaryEntry) -> str:
        """The entry it is below.  One whose parent is gone, or by a later release below itself, is at the top."""
        return entry.parent if entry.parent in self.entries and entry not in self.above(entry.code) else ""

    def find(self, code: str) -> DictionaryEntry | None:
        """The entry with this code, in whatever letter case and width."""
        return self._by_code.get(key(code))

    def meant(self, text: str) -> DictionaryEntry | None:
        """The entry that a text means: by its code, or by what it alone is called in some language."""
        return self.find(text) or self._by_label.get(key(text))

    def children(self, code: str) -> list[DictionaryEntry]:
        """The entries right below one, or of the top (""), in their order."""
        return self._below.get(code, [])

    def branch(self, code: str) -> Iterator[DictionaryEntry]:
        """An entry and all below it, each before those below it; all there are for ""."""
        if code:
            yield self.entries[code]
        for child in self.children(code):
            yield from self.branch(child.code)

    def above(self, code: str) -> list[DictionaryEntry]:
        """The entries above one, the nearest first."""
        found: list[DictionaryEntry] = []
        parent = self.entries[code].parent
        while (entry := self.entries.get(parent)) is not None and entry not in found:
            found.append(entry)
            parent = entry.parent
        return found

    def is_active(self, entry: DictionaryEntry) -> bool:
        """Whether it can be picked: neither it nor one above it is switched off."""
        return all(one.active for one in (entry, *self.above(entry.code)))

    def texts_of(self, text: str) -> list[str]:
        """The texts by which records of an entry's branch are found: codes, and labels typed before there were codes.

        What is no entry stands for itself.
        """
        entry = self.meant(text)
        if entry is None:
            return [text]
        branch = list(self.branch(entry.code))
        labels = (label for one in branch for label in (one.zh, one.ja, one.en) if label and self.meant(label) is one)
        return list(dict.fromkeys((*(one.code for one in branch), *labels)))

    def label(self, text: str, language: Language) -> str:
        """What a value is called: the label of the entry it means, also of one that is gone, else the text itself."""
        entry = self.meant(text) or self._gone.get(text)
        return entry.label(language) if entry else text


def labels_of(entry: DictionaryEntry) -> set[str]:
    """What an entry is called in any language, as such texts are compared."""
    return {key(label) for label in (entry.zh, entry.ja, entry.en) if label}


class Dictionaries:
    """All dictionaries, with what a company has made of them; newer news replace older ones in whatever order."""

    def __init__(self) -> None:
        self._rows: dict[str, KnownEntry] = {}
        self._trees: dict[str, Tree] = {}

    def take(self, row: KnownEntry) -> None:
        """What was heard of an entry."""
        held = self._rows.get(place_of(row.dictionary, row.entry.code))
        if held is None or held.revision <= row.revision:
            self._rows[place_of(row.dictionary, row.entry.code)] = row
            self._trees.pop(row.dictionary, None)

    def known(self, place: str) -> KnownEntry | None:
        """The row of a place (`place_of`)."""
        return self._rows.get(place)

    def of(self, name: str) -> Tree:
        """A dictionary as it is now."""
        found = self._trees.get(name)
        if found is None:
            rows = [row for row in list(self._rows.values()) if row.dictionary == name]
            entries = dict(PREPARED.get(name, {})) | {row.entry.code: row.entry for row in rows}
            gone = {row.entry.code for row in rows if row.deleted}
            found = self._trees[name] = Tree(
                {code: entry for code, entry in entries.items() if code not in gone},
                {code: entries[code] for code in gone},
            )
        return found

    def all(self) -> tuple[tuple[str, Tree], ...]:
        """Every dictionary by its name; the same trees as long as nothing changes."""
        return tuple((name, self.of(name)) for name in PREPARED)


AS_PREPARED = Dictionaries()
"""Before anybody has changed one.  Nothing is told to it."""


def place_of(dictionary: str, code: str) -> str:
    """What names an entry among those of all dictionaries."""
    return f"{dictionary}/{code}"


def values_in(field: Field, data: Any) -> list[str]:
    """The values of a field in a record."""
    held = getattr(data, field.name)
    return [one for one in (held if isinstance(held, tuple) else (held,)) if one]


def is_among(text: str, others: Iterable[str], tree: Tree) -> bool:
    """Whether a text is one of some others: the same text, or what means the same entry."""
    entry = tree.meant(text)
    return any(key(text) == key(other) or (entry is not None and tree.meant(other) is entry) for other in others)


def listed(
    fields: Mapping[str, Field], given: Mapping[str, Any], before: Any, dictionaries: Dictionaries
) -> dict[str, Any]:
    """What is given for the fields of a record, each value of a dictionary by its code; `before`: what it was, or None.

    Raises Refused, naming the field, for what is no entry, or one that is switched off, unless it stands there already.
    """
    found = dict(given)
    for name, value in given.items():
        field = fields.get(name)
        if field and field.rules.dictionary and value:
            held = values_in(field, before) if before is not None else []
            tree = dictionaries.of(field.rules.dictionary)
            if isinstance(value, tuple):
                found[name] = tuple(dict.fromkeys(_code(one, field, held, tree) for one in value))
            else:
                found[name] = _code(value, field, held, tree)
    return found


def _code(text: str, field: Field, held: Iterable[str], tree: Tree) -> str:
    rules = field.rules
    if text in held:
        return text
    entry = tree.meant(text) if rules.free else tree.find(text)
    if entry is None:
        if rules.free:
            return text
        raise Refused("records.no_such_entry", value=text, dictionary=rules.dictionary, field=field.name)
    if entry.code not in held and not tree.is_active(entry):
        raise Refused("records.entry_is_off", value=text, dictionary=rules.dictionary, field=field.name)
    return text if rules.free else entry.code
