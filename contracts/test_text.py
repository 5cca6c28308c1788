"""What counts as the same text: keys for duplicates, filters and search, and the form in which text is stored."""

import re
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import ValidationError

from contracts import types
from contracts.declare import REGISTRY
from contracts.schemas import schema_of
from contracts.text import (
    is_blank,
    is_one_line,
    key,
    keys,
    normal,
    parts,
    phone_key,
    phone_keys,
    squashed,
    squashed_forms,
)
from contracts.types import PHONE, EmailField, NameField, NoteField, PathNameField, PhoneField, SecretField, TextField

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


@pytest.mark.parametrize(
    "text",
    [
        "13900000041",
        "+86 139-0000-0041",
        "+8613900000041",
        "１３９００００００４１",
        "139 0000 0041",
        "0086 139.0000.0041",
        "+86 (0)139 0000 0041",
    ],
)
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
    if cls.shortest or not (cls.many_lines or is_one_line(text)):
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


@pytest.mark.parametrize("field", [PhoneField, EmailField])
@pytest.mark.parametrize("around", ["\n", "\r\n", "\t", " \x0b\x0c ", "\x85", "\u2028", "\u200b\n\u2029"], ids=ascii)
def test_a_line_break_pasted_around_a_phone_or_a_mail_address_goes(field: Any, around: str) -> None:
    plain = "13900000041" if field is PhoneField else "li@example.com"
    for text in (plain + around, around + plain, f"{around} {around}{plain}{around} {around}"):
        assert field().deserialize(text) == plain
    with pytest.raises(ValidationError):
        field().deserialize(f"{plain[:5]}\n{plain[5:]}")


@pytest.mark.parametrize(("text", "found"), [
    ("+81 90-1234-5678", "+819012345678"), ("+81 090-1234-5678", "+819012345678"), ("+44 (0)20 7946", "+44207946"),
    ("+39 06 1234567", "+39061234567"), ("+225 01 02 03 04 05", "+2250102030405"), ("+1 380 000 0001", "+13800000001"),
    ("+819 0 1234567", "+81901234567"),
])  # fmt: skip
def test_the_zero_dialled_within_a_country_does_not_count(text: str, found: str) -> None:
    """But in Italy it belongs to the number, and +819... is Japan, not a country 819."""
    assert phone_key(text) == squashed(text) == found
    assert phone_key(text) == phone_keys(text)[0] and squashed(text) == squashed_forms(text)[0]


PHONES = [
    (spec.cls, name)
    for spec in REGISTRY.load().commands.values()
    for name, field in schema_of(spec.cls).fields.items()
    if isinstance(field, PhoneField)
]
FORMS = ["139 0000 0041", "+81 90-1234-5678", "+81 (0)90-1234-5678", "0081 90 1234 5678", "+81\u200b90\u00a01234 5678"]


@pytest.mark.parametrize(("cls", "name"), PHONES, ids=[f"{cls.__name__}.{name}" for cls, name in PHONES])
@pytest.mark.parametrize("text", FORMS, ids=ascii)
def test_every_phone_number_is_taken_in_every_form_and_stored_in_the_published_one(
    cls: Any, name: str, text: str
) -> None:
    stored = schema_of(cls).fields[name].deserialize(text)
    assert phone_key(stored) == phone_key(text)
    assert schema_of(cls).fields[name].deserialize(stored) == stored


@given(text=st.from_regex(PHONE))
@example(text="+1000  0")
@example(text="+1" + "---0" * 18)
def test_a_phone_number_of_the_published_form_is_taken(text: str) -> None:
    """Blanks that are not stored don't count: a text with too few digits is refused by the published form too."""
    field = PhoneField()
    if re.search(PHONE, text):
        assert field.deserialize(text)
    else:
        with pytest.raises(ValidationError):
            field.deserialize(text)


@given(st.text())
def test_the_first_of_all_keys_is_the_key(text: str) -> None:
    assert keys(text)[0] == key(text) and squashed_forms(text)[0] == squashed(text)
    assert len(keys(text)) <= 2


def test_what_is_not_seen_is_nothing_or_a_blank() -> None:
    assert keys("Desk\u200bLamp") == ["desklamp", "desk lamp"]
    assert keys("Desk Lamp") == ["desk lamp"] and keys("台灯") == ["台灯"]


TURNING = [
    "\u202a",
    "\u202b",
    "\u202c",
    "\u202d",
    "\u202e",
    "\u2066",
    "\u2067",
    "\u2068",
    "\u2069",
    "\u206f",
    "\ufff9",
    "\ufffb",
]


@pytest.mark.parametrize("sign", TURNING, ids=ascii)
def test_uix_13_a_line_is_shown_in_the_order_in_which_it_is_written(sign: str) -> None:
    """What turns it is refused within; around a name it was copied along, from a telephone's contacts say, and goes."""
    for field in (TextField(), NameField(), PathNameField()):
        with pytest.raises(ValidationError):
            field.deserialize(f"gpj.{sign}exe")
        assert field.deserialize(f"{sign}li{sign}") == "li"
    assert NoteField().deserialize(f"a {sign} b") == f"a {sign} b", "a note may quote what it likes"


@pytest.mark.parametrize(
    "text",
    ["\u05d7\u05d1\u05e8\u05ea \u200fSO-1\u200e x", "\u0645\u06cc\u200c\u062e", "\U0001f469\u200d\U0001f4bb"],
    ids=ascii,
)
def test_uix_13_marks_that_scripts_need_stay_within_a_name(text: str) -> None:
    assert NameField().deserialize(text) == text


MIXED = st.text(st.sampled_from("ab1é北京あアｱ한\u0301😀"), max_size=12)


@given(text=MIXED, begin=st.integers(0, 12), length=st.integers(0, 12))
@example(text="张伟abc", begin=1, length=3)
def test_uix_12_what_a_text_holds_has_no_pieces_but_its_own(text: str, begin: int, length: int) -> None:
    assert set(parts(text[begin : begin + length])) <= set(parts(text))


def test_uix_12_two_wide_letters_are_a_piece_and_three_of_others() -> None:
    assert parts("北京abcd") == ["北京", "京ab", "abc", "bcd"]
    assert parts("13900") == ["139", "390", "900"]
    assert parts("ab") == parts("王") == parts("") == [] and parts("aaaa") == ["aaa"]
