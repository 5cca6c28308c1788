"""Dictionaries: the lists and trees of values that fields are picked from, and what is in them at first (CFG-08).

A flat list is a tree of one level.  A field of a kind of record names its dictionary (`contracts.records.data`); what a
company makes of it is told by the events of the configuration service.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from marshmallow import fields, validate

from contracts.declare import ContractError, value
from contracts.languages import LANGUAGES, Language
from contracts.reasons import Why
from contracts.types import Flag, Name, Text, TextField, Whole


class EntryCodeField(fields.String):
    """The code of an entry: a letter, then letters, digits, dashes and underscores, at most 40.

    It never changes: records hold it.  Letter case tells no two apart.
    """

    empty_is_none = True

    def __init__(self, **kwargs: Any) -> None:
        form = validate.Regexp(r"^[A-Za-z][A-Za-z0-9_-]{0,39}\Z", error=Why("forms.entry_code"))
        super().__init__(**{"validate": form, **kwargs})


class EntryLabelField(TextField):
    """What an entry is called in one language: up to 100 characters, or nothing."""

    longest = 100


EntryCode = Annotated[str, EntryCodeField]
EntryLabel = Annotated[str, EntryLabelField]

DictionaryName = Literal[
    "industries", "importance", "customer_tags", "regions", "customer_types", "customer_categories", "customer_sources",
    "campaign_types", "product_tags", "contact_groups", "communication_ways",
]  # fmt: skip

MOST_ENTRIES = 1_000
MOST_LEVELS = 5


@value
class DictionaryEntry:
    """An entry of a dictionary: its code, what it is called, the entry it is below ("" for none), its place in order.

    One that is not `active` can be picked no more; records that have it keep it.
    """

    code: Name
    zh: EntryLabel = ""
    ja: EntryLabel = ""
    en: EntryLabel = ""
    parent: Text = ""
    position: Whole = 0
    active: Flag = True

    def label(self, language: Language) -> str:
        """What it is called in a language, else in the first in which it has a name."""
        found: list[str] = [getattr(self, one) for one in (language, *LANGUAGES)]
        return next(filter(None, found), self.code)


APART = 10
"""The positions of two prepared entries beside each other differ by this: there is room for others between them."""


def _prepared() -> Mapping[str, Mapping[str, DictionaryEntry]]:
    lines = tomllib.loads((Path(__file__).parent / "dictionaries.toml").read_text(encoding="utf-8"))
    if tuple(lines) != get_args(DictionaryName):
        raise ContractError(f"contracts/dictionaries.toml must have {', '.join(get_args(DictionaryName))}")
    return {
        name: {
            code: DictionaryEntry(code=code, position=number * APART, **told)
            for number, (code, told) in enumerate(entries.items(), 1)
        }
        for name, entries in lines.items()
    }


PREPARED = _prepared()
"""Every dictionary there is, with the entries it has before anybody changes it, by code."""
