"""Everything that people are told of has a text in each language, and every text belongs to something (SET-02)."""

from collections.abc import Sequence
from string import Formatter
from typing import get_args

import pytest

from chassis.metadata.everything import Company, metadata
from chassis.model.wording import Phrase, Wording
from contracts.languages import LANGUAGES, Language
from contracts.permissions import ROLES
from contracts.reasons import reasons
from contracts.texts import Subject, Text, texts

SUBJECTS: tuple[Subject, ...] = get_args(Subject)
EVERY_TEXT = [pytest.param(subject, key, text, id=f"{subject}:{key}") for subject in SUBJECTS for key, text in
              texts(subject).items()]  # fmt: skip
PEOPLE = tuple((code, title) for code, title in ROLES.items() if code != "SYSTEM")


class Noted(Wording):
    """Words that note which texts they are of, and what has none."""

    def __init__(self, language: Language) -> None:
        super().__init__(language)
        self.used: set[tuple[Subject, str]] = set()
        self.missing: set[str] = set()

    def text(self, subject: Subject, keys: Sequence[str]) -> Text | None:
        self.used |= {(subject, key) for key in keys if key in texts(subject)}
        return super().text(subject, keys)

    def without_text(self, subject: Subject, key: str) -> str:
        self.missing.add(f"contracts/texts/{subject}.toml lacks {key!r}")
        return super().without_text(subject, key)


@pytest.fixture(scope="module")
def noted() -> Noted:
    """What is asked for while all of it is told to somebody who sees everything."""
    wording = Noted("en")
    metadata(wording, lambda right: True, Company(PEOPLE))
    return wording


def test_set_02_everything_declared_has_a_text(noted: Noted) -> None:
    assert not noted.missing, "\n".join(sorted(noted.missing))


def test_set_02_every_text_belongs_to_something(noted: Noted) -> None:
    left = [
        f"contracts/texts/{subject}.toml: nothing is called {key!r} any more"
        for subject in SUBJECTS
        for key in texts(subject)
        if subject != "phrases" and (subject, key) not in noted.used
    ]
    assert not left, "\n".join(left)
    assert texts("phrases").keys() == set(get_args(Phrase))


@pytest.mark.parametrize(("subject", "key", "text"), EVERY_TEXT)
def test_set_02_a_text_says_the_same_in_each_language(subject: Subject, key: str, text: Text) -> None:
    """It is there, without blanks around it, and has the same places."""
    said = [getattr(text, language) for language in LANGUAGES]
    assert all(said) and said == [one.strip() for one in said]
    places = [{name for _, name, _, _ in Formatter().parse(one) if name is not None} for one in said]
    assert places[0] == places[1] == places[2]


def test_set_02_chinese_is_simplified_and_japanese_is_japanese() -> None:
    """A column taken for another one would show: these characters are of one of the two alone."""
    japanese, chinese = (
        set("検証価様発録図売読応単変関権処経済転戻込働対覧"),
        set("单订员权图读发编录应经关户买卖变证对"),
    )
    said = {f"{subject}:{key}": text for subject in SUBJECTS for key, text in texts(subject).items()}
    for key, text in {**said, **{reason: one.text for reason, one in reasons().items()}}.items():
        assert not set(text.zh) & (japanese - chinese), key
        assert not set(text.ja) & (chinese - japanese), key
        assert text.en.isascii(), key
