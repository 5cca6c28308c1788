"""Every text that people read, in Chinese, Japanese and English beside each other: a file a subject, a line a text.

    status = { zh = "状态", ja = "ステータス", en = "Status" }

A text may have places, such as {kind}, that are filled in when it is said.  Which texts there must be follows from what
is declared (`chassis.model.wording`); `tests/contract/test_texts.py` says which file lacks which.
What refusals say stands in `refusals/` (`contracts.reasons`).
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from contracts.declare import ContractError, value
from contracts.languages import LANGUAGES, Language

Subject = Literal[
    "actions", "choices", "errors", "events", "fields", "helps", "kinds", "lists", "menu", "notices", "operators",
    "parameters", "phrases", "rights", "roles", "steps",
]  # fmt: skip
"""The files, by their names."""


@value
class Text:
    """What one thing is called, or what is to be said, in each language."""

    zh: str
    ja: str
    en: str

    def said(self, language: Language, **values: str) -> str:
        """The text in a language, with its places filled in.  Raises KeyError for a place without a value."""
        return self.in_language(language).format_map(values)

    def in_language(self, language: Language) -> str:
        """The text in a language, its places as they stand."""
        found: str = getattr(self, language)
        return found


@cache
def texts(subject: Subject) -> Mapping[str, Text]:
    """The texts of a subject by their keys.  Raises ContractError for one that is not in these three languages."""
    lines = tomllib.loads((Path(__file__).parent / f"{subject}.toml").read_text(encoding="utf-8"))
    for key, said in lines.items():
        if not isinstance(said, dict) or said.keys() != set(LANGUAGES):
            raise ContractError(f"contracts/texts/{subject}.toml: {key!r} must have {', '.join(LANGUAGES)}")
    return {key: Text(**said) for key, said in lines.items()}
