"""Dictionaries: what may become of their entries (CFG-08, CFG-09, CUS-09)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from chassis.model.aggregates import Aggregate, applies
from chassis.model.context import Context
from chassis.model.dictionaries import Tree, labels_of
from contracts.configuration import (
    AddDictionaryEntry,
    DeleteDictionaryEntry,
    DictionaryEntryDeleted,
    DictionaryEntrySet,
    EditDictionaryEntry,
)
from contracts.declare import KEPT
from contracts.dictionaries import MOST_ENTRIES, MOST_LEVELS, PREPARED, DictionaryEntry
from contracts.errors import Refused, not_found
from contracts.languages import LANGUAGES
from contracts.text import is_blank, key

ENTRY = "dictionary entry"


@dataclass
class Dictionary(Aggregate):
    """One dictionary: what a company has made of the entries that were prepared; None where it has deleted one."""

    named_by = "dictionary"

    told: dict[str, DictionaryEntry | None] = field(default_factory=dict)

    @classmethod
    def on_page(cls, row: Mapping[str, Any]) -> Self:
        """A page shows one entry: of the others nothing is known there."""
        dictionary = super().on_page(row)
        entry = DictionaryEntry(**{name: row[name] for name in DictionaryEntry.__dataclass_fields__})
        dictionary.told = {entry.code: None if row["deleted"] else entry}
        return dictionary

    def can_change_by(self, command: type) -> bool:
        """What was deleted is neither changed nor deleted; another one takes its place."""
        return command is AddDictionaryEntry or any(self.told.values())

    def tree(self, name: str) -> Tree:
        """The entries of the dictionary, whose name its id doesn't tell."""
        entries: Mapping[str, DictionaryEntry | None] = {**PREPARED[name], **self.told}
        return Tree({code: entry for code, entry in entries.items() if entry is not None})

    # -- commands

    def add(self, command: AddDictionaryEntry, context: Context) -> None:
        """Add an entry.  Raises Refused naming the field."""
        tree = self.tree(command.dictionary)
        if taken := tree.find(command.entry):
            raise Refused("configuration.code_taken", code=taken.code, field="entry")
        if called := tree.meant(command.entry):
            raise Refused("configuration.code_is_label", label=command.entry, code=called.code, field="entry")
        if len(tree.entries) >= MOST_ENTRIES:
            raise Refused("configuration.most_entries", most=MOST_ENTRIES, field="dictionary")
        parent = _named(tree, command.parent, "parent").code if command.parent else ""
        entry = DictionaryEntry(
            code=command.entry,
            zh=command.zh,
            ja=command.ja,
            en=command.en,
            parent=parent,
            position=command.position,
        )
        self._set(command.dictionary, entry, context)

    def edit(self, command: EditDictionaryEntry, context: Context) -> None:
        """Change an entry; nothing happens when that is how it is already.  Raises Refused naming the field."""
        tree = self.tree(command.dictionary)
        before = _named(tree, command.entry, "entry")
        names = [*LANGUAGES, "position", "active"]
        given = {name: value for name in names if (value := getattr(command, name)) is not KEPT}
        if command.parent is not KEPT:
            given["parent"] = _named(tree, command.parent, "parent").code if command.parent else ""
        entry = replace(before, **given)
        if entry != before:
            self._set(command.dictionary, entry, context)

    def delete(self, command: DeleteDictionaryEntry, context: Context) -> None:
        """Take an entry away.  That no record has it is asked before (`services.configuration.uses`).

        Raises Refused INVALID_STATE while others are below it.
        """
        tree = self.tree(command.dictionary)
        entry = _named(tree, command.entry, "entry")
        if below := tree.children(entry.code):
            raise Refused("configuration.entries_below", count=len(below), field="entry", state="IN_USE")
        self.record(
            DictionaryEntryDeleted(
                dictionary=command.dictionary, entry=entry, by=context.user, revision=self.version + 1
            )
        )

    def _set(self, dictionary: str, entry: DictionaryEntry, context: Context) -> None:
        """Let it be so, if the tree then is one in which everything is found.  Raises Refused naming the field."""
        if all(is_blank(getattr(entry, language)) for language in LANGUAGES):
            raise Refused("configuration.no_label", field=LANGUAGES[0])
        tree = Tree({**self.tree(dictionary).entries, entry.code: entry})
        above = tree.above(entry.code)
        if entry in above:
            raise Refused("configuration.below_itself", field="parent")
        deepest = len(above) + _levels(tree, entry)
        if deepest > MOST_LEVELS:
            raise Refused("configuration.most_levels", levels=deepest, most=MOST_LEVELS, field="parent")
        for other in tree.children(entry.parent):
            if other is not entry and (same := labels_of(other) & labels_of(entry)):
                language = next(one for one in LANGUAGES if key(getattr(entry, one)) in same)
                raise Refused(
                    "configuration.label_taken", label=getattr(entry, language), code=other.code, field=language
                )
        self.record(DictionaryEntrySet(dictionary=dictionary, entry=entry, by=context.user, revision=self.version + 1))

    # -- what is remembered

    @applies(DictionaryEntrySet)
    def _entry_set(self, fact: DictionaryEntrySet) -> None:
        self.told = {**self.told, fact.entry.code: fact.entry}

    @applies(DictionaryEntryDeleted)
    def _entry_deleted(self, fact: DictionaryEntryDeleted) -> None:
        self.told = {**self.told, fact.entry.code: None}


def _named(tree: Tree, code: str, field: str) -> DictionaryEntry:
    """The entry that a command names.  Raises Refused NOT_FOUND."""
    if (entry := tree.find(code)) is None:
        raise not_found(ENTRY, field)
    return entry


def _levels(tree: Tree, entry: DictionaryEntry) -> int:
    """How many levels an entry and those below it have."""
    return 1 + max((_levels(tree, child) for child in tree.children(entry.code)), default=0)
