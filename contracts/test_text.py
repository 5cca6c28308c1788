"""What counts as the same text: keys for duplicates, filters and search, and the form in which text is stored."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from contracts import types
from contracts.text import is_blank, key, normal, phone_key, squashed
from contracts.types import EmailField, NameField, PhoneField, SecretField, TextField

TEXT_FIELDS = [
    cls for cls in vars(types).values() if isinstance(cls, type) and issubclass(cls, TextField) and not cls.as_typed
]


@pytest.mark.parametrize(
    "text",
    ["Cafe\u0301 X", "Café\u00a0X", "Caf\u200bé X", "ＣＡＦÉ X", " café  x ", "cafe\u0301\u3000x", "Ca\u00adfé X"],
)
def test_texts_that_read_the_same_have_one_key(text: str) -> None:
    assert key(text) == "café x"


@given(st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_the_key_of_plain_text_is_what_it_always_was(text: str) -> None:
    if text.strip() == " ".join(text.split()):
        assert key(text) == text.strip().casefold()


@given(st.text())
def test_keys_and_forms_are_their_own(text: str) -> None:
    assert normal(normal(text)) == normal(text)
    assert key(normal(text)) == key(text)
    for form in ("NFC", "NFD"):
        assert key(unicodedata.normalize(form, text)) == key(text)


@pytest.mark.parametrize("text", ["13900000041", "+86 139-0000-0041", "+8613900000041", "１３９００００００４１"])
def test_a_phone_number_is_one_however_it_is_written(text: str) -> None:
    assert phone_key(text) == squashed(text) == "13900000041"


@pytest.mark.parametrize("text", ["\u200b", "\u2060\ufeff", " \u00a0\u3000", "\u3164", "\u115f", "\u200d", "\ufe0f"])
def test_what_nobody_can_see_is_no_name(text: str) -> None:
    assert is_blank(text)
    with pytest.raises(ValidationError):
        NameField().deserialize(text)


UNSEEN = [
    "\u200e",
    "\u3164",
    "\u2800",
    "\u200d",
    "\ufe0f",
    "\u034f",
    "\u115f",
    " \u200b\u00a0\u200f ",
    "\u3000",
    "\x7f",
]


@pytest.mark.parametrize("cls", TEXT_FIELDS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("text", UNSEEN, ids=ascii)
def test_what_nobody_can_see_is_stored_as_nothing_or_refused(cls: Any, text: str) -> None:
    """So whoever asks later whether there is a text asks rightly."""
    if cls.shortest:
        with pytest.raises(ValidationError):
            cls().deserialize(text)
    else:
        assert cls().deserialize(text) == ""


@pytest.mark.parametrize("cls", TEXT_FIELDS, ids=lambda cls: cls.__name__)
def test_every_text_is_stored_composed_without_odd_blanks(cls: Any) -> None:
    assert cls().deserialize("\u200b Cafe\u0301\u00a0X\u3000") == "Café X"
    assert cls().deserialize("田中\u3000太郎") == "田中\u3000太郎"
    assert cls().deserialize("نمی\u200cخواهم 👩\u200d👧") == "نمی\u200cخواهم 👩\u200d👧"


def test_a_secret_stays_as_typed() -> None:
    assert SecretField().deserialize(" Cafe\u0301\u00a0") == " Cafe\u0301\u00a0"


def test_phones_and_mail_addresses_are_taken_in_full_width() -> None:
    assert PhoneField().deserialize("１３９００００００４１") == "13900000041"
    assert PhoneField().deserialize("＋８１ 90\u20111234") == "+81 90-1234"
    assert EmailField().deserialize("ｌｉ＠example.com ") == "li@example.com"
