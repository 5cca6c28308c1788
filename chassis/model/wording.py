"""What things are called in one language: the text of each name (`contracts.texts`), or what follows from others."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Literal

from contracts.custom_fields import Label
from contracts.errors import STATUS
from contracts.languages import LANGUAGES, Language
from contracts.reasons import COMMA
from contracts.records import KINDS
from contracts.schedules import SCHEDULES
from contracts.texts import Subject, Text, texts

SheetPhrase = Literal[
    "sheet_about", "sheet_list", "sheet_as_of", "sheet_column", "sheet_rows", "sheet_zone", "sheet_replaced",
    "sheet_cut", "sheet_mark",
]  # fmt: skip
"""What is said in files."""
Phrase = Literal[
    "create", "edit", "delete", "restore", "revert", "assign", "share", "unshare", "tag", "set_status",
    "claim", "give_back", "assign_in_turn", "move", "merge", "unmerge",
    "created", "edited", "deleted", "restored", "assigned", "shared", "status_set", "moved", "merged", "unmerged",
    "joined", "currency_of",
    "switch", "planned", "ran", "failed", "switched",
    SheetPhrase,
]  # fmt: skip
"""What is said of any kind of record, field, schedule or file (`contracts/texts/phrases.toml`)."""
OF_KINDS: tuple[Phrase, ...] = (
    "create", "edit", "delete", "restore", "revert", "assign", "share", "unshare", "tag", "set_status",
    "claim", "give_back", "assign_in_turn", "move", "merge", "unmerge",
    "created", "edited", "deleted", "restored", "assigned", "shared", "status_set", "moved", "merged", "unmerged",
    "joined",
)  # fmt: skip
"""The commands and events of a kind of record, by their names in `Kind`."""
OF_SCHEDULES: tuple[Phrase, ...] = ("switch", "planned", "ran", "failed", "switched")
"""A schedule's commands and events, by their names in `Schedule`; it is called as the command that it runs."""
_CURRENCY = "_currency"


class Wording:
    """The words of a language.

    Something new that has no text yet, while it is developed, is called by the words of its name; a test refuses it.
    """

    def __init__(self, language: Language, company: Language = LANGUAGES[0]) -> None:
        """`company`: the language in which is said what people have named, and not in this one."""
        self.language, self._company = language, company

    def named(self, label: Label) -> str:
        """What the company calls something."""
        return label.said(self.language, self._company)

    def text(self, subject: Subject, keys: Sequence[str]) -> Text | None:
        """The text of the first of these keys that has one."""
        found = texts(subject)
        return next((found[key] for key in keys if key in found), None)

    def without_text(self, subject: Subject, key: str) -> str:
        """What something is called that has no text."""
        return words_of(key.rpartition(".")[2])

    def of(self, subject: Subject, key: str) -> str:
        """The text of a key."""
        found = self.text(subject, [key])
        return found.said(self.language) if found else self.without_text(subject, key)

    def as_it_stands(self, subject: Subject, key: str) -> str:
        """The text of a key, its places not filled in."""
        found = self.text(subject, [key])
        return found.in_language(self.language) if found else self.without_text(subject, key)

    def field(self, owners: Sequence[str], name: str) -> str:
        """What a field is called in one of these kinds, lists, commands or parts, or everywhere."""
        if found := self.text("fields", [*(f"{owner}.{name}" for owner in owners), name]):
            return found.said(self.language)
        if name.endswith(_CURRENCY):
            return self._phrase("currency_of", field=self.field(owners, name.removesuffix(_CURRENCY)))
        return self._of_id(name) or self.without_text("fields", name)

    def _of_id(self, name: str) -> str:
        """What a field with the id of a record is called: as the kind; "" for any other field."""
        what = name.removesuffix("_id").replace("_", " ")
        found = self.text("kinds", [what]) if name.endswith("_id") else None
        return _begun(found.said(self.language)) if found else ""

    def help(self, owners: Sequence[str], name: str) -> str:
        """What to know before one fills in a field; "" where there is nothing to say."""
        found = self.text("helps", [*(f"{owner}.{name}" for owner in owners), name])
        return found.said(self.language) if found else ""

    def choice(self, owners: Sequence[str], field: str, value: str) -> str:
        """What a value of a field is called: codes of refusals, kinds and names of fields as they are elsewhere."""
        keys = [*(f"{owner}.{field}.{value}" for owner in owners), f"{field}.{value}", value]
        if found := self.text("choices", keys):
            return found.said(self.language)
        if value in STATUS:
            return self.of("errors", value)
        if (field == "kind" or field.endswith("_kind")) and self.text("kinds", [value]):
            return self.kind(value)
        if found := self.text("fields", [*(f"{owner}.{value}" for owner in owners), value]):
            return found.said(self.language)
        return self._of_id(value) or self.without_text("choices", f"{field}.{value}")

    def kind(self, what: str) -> str:
        """What one record of a kind is called."""
        return _begun(self.of("kinds", what))

    def list(self, view: str) -> str:
        return self.of("lists", view)

    def command(self, name: str) -> str:
        """What a command is called; those of kinds of records and schedules by the name of that."""
        return self._of_kind(name) or self._of_schedule(name) or self.of("actions", name)

    def event(self, name: str) -> str:
        """What happened where there is an event of this name."""
        return self._of_kind(name) or self._of_schedule(name) or self.of("events", name)

    def sheet(self, what: SheetPhrase, **values: str) -> str:
        """What a file says of itself, such as of when it is."""
        return texts("phrases")[what].said(self.language, **values)

    def joined(self, values: Iterable[object]) -> str:
        """Several values as one text."""
        return COMMA[self.language].join(map(str, values))

    def _of_kind(self, name: str) -> str:
        """What a command or event of a kind of record is called; "" for any other one."""
        for kind in KINDS.values():
            for phrase in OF_KINDS:
                if getattr(getattr(kind, phrase), "__name__", "") == name:
                    return self._phrase(phrase, kind=self.of("kinds", kind.what))
        return ""

    def _of_schedule(self, name: str) -> str:
        """What a command or event of a schedule is called; "" for any other one."""
        for one in SCHEDULES.values():
            for phrase in OF_SCHEDULES:
                if getattr(one, phrase).__name__ == name:
                    return self._phrase(phrase, schedule=self.of("actions", one.run.__name__))
        return ""

    def _phrase(self, name: Phrase, **values: str) -> str:
        return _begun(texts("phrases")[name].said(self.language, **values))


@cache
def words_of(name: str) -> str:
    """A name of code as words: of a command, a view, or a kind of record."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ").lower().strip()
    return _begun(words)


def _begun(words: str) -> str:
    """Words as they begin a line."""
    return words[:1].upper() + words[1:]
