"""Fields that a company adds to a kind of record (CFG-01, CFG-02): what one is, and how its values are written down.

A record has all of them in one text, `own`, of which `read` makes the values by key and `written` the text.  It tells
the type of each value, so whoever reads an event needs no definition; and where a record tells of a person that one
text is sealed as every other (`contracts.personal`).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any, Literal, NamedTuple, Self

import msgspec
from marshmallow import ValidationError, fields, validate

from contracts.declare import KEPT, value
from contracts.languages import LANGUAGES, Language
from contracts.reasons import Why
from contracts.text import plain_form
from contracts.types import LONGEST_DECIMAL, DayField, DecimalField, Flag, Note, NoteField, Text, TextField, Whole

CustomType = Literal["text", "number", "day", "choice", "choices", "person", "file", "formula"]
"""A text, a number, a day, one or several of some choices, a user, a file on the record, or what is worked out."""

OWN = "own"
"""The field of a record, its commands and its rows in which the values of these fields are."""
MOST_FIELDS = 100
"""So many fields a kind of record has at most, with those that are retired."""
MOST_CHOICES = 200
"""So many choices a field has at most, with those that were taken away."""
LONGEST_OWN = 10_000
"""So many characters the values of one record have at most, as they are written down."""
LONGEST_KEY = 40
KEY = rf"^[a-z][a-z0-9_]{{0,{LONGEST_KEY - 1}}}\Z"


class CustomKeyField(fields.String):
    """The key of a field that a company adds, or of a choice, for ever: small letters, digits and underscores."""

    once = True

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("validate", validate.Regexp(KEY, error=Why("fields.key", most=LONGEST_KEY)))
        super().__init__(**kwargs)


class LabelField(TextField):
    """What something is called: up to 60 characters, so that all labels of a kind's fields fit into one row."""

    longest = 60


class CustomTextField(NoteField):
    """A value of a field of texts: up to 1,000 characters, in as many lines as people like."""

    longest = 1000


class CustomNumberField(DecimalField):
    """A value of a field of numbers, above or below 0, with eight decimals at most; in digits of any width."""

    lowest = -DecimalField.highest
    digits = 8
    shown = 0

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        return super()._deserialize(_in_plain_form(value), attr, data, **kwargs)


class CustomDayField(DayField):
    """A value of a field of days, in digits of any width."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> date:
        return super()._deserialize(_in_plain_form(value), attr, data, **kwargs)


def _in_plain_form(value: Any) -> Any:
    """What is written with a Chinese or Japanese keyboard: ２０２６－０３－０１ for 2026-03-01."""
    return plain_form(value) if isinstance(value, str) else value


class OwnField(TextField):
    """The values of a record's own fields as they are written down (`written`)."""

    longest = LONGEST_OWN
    many_lines = True
    as_typed = True


class GivenOwnField(fields.String):
    """What a command gives for own fields: an object of values by key, null where one is taken away.

    Whoever sends a command writes an object; the command itself holds it as JSON (`given`).
    """

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, Mapping):
            raise ValidationError(Why("forms.object"))
        if len(value) > MOST_FIELDS:
            raise ValidationError(Why("forms.most_entries", most=MOST_FIELDS))
        if wrong := [str(key) for key, one in value.items() if not _is_plain(one)]:
            raise ValidationError({key[:LONGEST_KEY]: [Why("fields.plain_values")] for key in wrong})
        try:
            plain = {key: _written_out(one) for key, one in value.items()}
            text = msgspec.json.encode(plain, order="sorted").decode()
        except (UnicodeEncodeError, ValueError) as error:
            raise ValidationError(Why("forms.utf8")) from error
        if len(text) > LONGEST_OWN:
            raise ValidationError(Why("fields.too_much", most=LONGEST_OWN))
        return text


def _is_plain(given: Any) -> bool:
    """Whether a value may be one: a text, a number, a flag, null, or a list of texts."""
    if isinstance(given, list | tuple):
        return len(given) <= MOST_CHOICES and all(isinstance(one, str) for one in given)
    if isinstance(given, Decimal):
        return given.is_finite()
    if isinstance(given, float):
        return isfinite(given)
    return given is None or isinstance(given, str | int)


def _written_out(given: Any) -> Any:
    """A JSON number such as 1.5e2 as the same one without an exponent, unless that is beyond all that may be given."""
    is_short = isinstance(given, Decimal) and abs(given.adjusted()) <= LONGEST_DECIMAL
    return f"{given:f}" if is_short else given


CustomKey = Annotated[str, CustomKeyField]
Own = Annotated[str, OwnField]
GivenOwn = Annotated[str, GivenOwnField]
LabelText = Annotated[str, LabelField]


@value
class Label:
    """What a company calls something, in each language in which it does."""

    zh: LabelText = ""
    ja: LabelText = ""
    en: LabelText = ""

    def said(self, language: Language, company: Language = LANGUAGES[0]) -> str:
        """In a language; where it has none there in that of the company, or any that there is."""
        told = [str(getattr(self, one)) for one in (language, company, *LANGUAGES)]
        return next((text for text in told if text), "")

    def changed(self, given: "LabelChange") -> Self:
        """With what a change gives: a language that is left out keeps what it says, an empty text takes it away."""
        found = {one: getattr(given, one) for one in LANGUAGES}
        return replace(self, **{one: text for one, text in found.items() if text is not KEPT})


@value
class Help(Label):
    """What to know before one fills in a field, in each language in which the company says it."""

    zh: Text = ""
    ja: Text = ""
    en: Text = ""


@value
class LabelChange:
    """What something is to be called; a language left out keeps what it says, an empty text takes it away."""

    zh: LabelText = KEPT
    ja: LabelText = KEPT
    en: LabelText = KEPT


@value
class HelpChange(LabelChange):
    """The same of what to know before one fills in a field."""

    zh: Text = KEPT
    ja: Text = KEPT
    en: Text = KEPT


@value
class CustomChoice:
    """A value of a field of choices.  One that was taken away is `retired`: records keep it, nobody is given it."""

    told_apart_by = "key"

    key: CustomKey
    label: Label
    retired: Flag = False


@value
class CustomField:
    """A field that a company has added to a kind of record.

    `default` is what a new record has where nothing is given: one entry, or several choices.  `choices` are those of a
    field of choices, `formula` is what is worked out (`contracts.formulas`).  Fields stand in the order of `position`,
    and of their keys where that is equal.  A `retired` one is not given any more, and shown where it was.
    `view_right` is the right that one needs to see it, `edit_right` the one to give it besides; "" for none.
    Of a `unique` one no two records that are there have the same value.  `unique_since` is the revision of the kind's
    fields with which it became so; 0 for one that was so from its beginning.
    """

    key: CustomKey
    type: CustomType
    label: Label
    help: Help = Help()
    required: Flag = False
    default: tuple[Note, ...] = ()
    choices: tuple[CustomChoice, ...] = ()
    formula: Note = ""
    position: Whole = 0
    retired: Flag = False
    view_right: Text = ""
    edit_right: Text = ""
    unique: Flag = False
    unique_since: Whole = 0

    @property
    def path(self) -> str:
        """What it is called in queries and refusals."""
        return f"{OWN}.{self.key}"

    @property
    def is_given(self) -> bool:
        """Whether commands give it a value."""
        return not self.retired and self.type != "formula"

    @property
    def is_worked_out(self) -> bool:
        """Whether it is worked out of others now."""
        return not self.retired and self.type == "formula"

    @property
    def is_unique(self) -> bool:
        """Whether no two records may have the same value now; a retired one is in nobody's way."""
        return self.unique and not self.retired

    @property
    def rights(self) -> tuple[str, ...]:
        """What one must hold to give it: nobody gives what they don't see."""
        return tuple(right for right in (self.view_right, self.edit_right) if right)

    @property
    def choice_keys(self) -> list[str]:
        """The choices there are."""
        return [one.key for one in self.choices if not one.retired]


class Held(NamedTuple):
    """A value and the type of its field: a number is the text that writes it, choices are their keys."""

    type: str
    value: str | tuple[str, ...]


def given(text: str) -> dict[str, Any]:
    """What a command gives for own fields, by key."""
    found: dict[str, Any] = msgspec.json.decode(text) if text else {}
    return found


def read(text: str) -> dict[str, Held]:
    """The values of a record's own fields by key; none of an empty text."""
    if not text:
        return {}
    by_type: dict[str, dict[str, Any]] = msgspec.json.decode(text)
    return {
        key: Held(type, tuple(one) if isinstance(one, list) else one)
        for type, values in by_type.items()
        for key, one in values.items()
    }


def written(values: Mapping[str, Held]) -> str:
    """Values by key as a record holds them: JSON, in which they stand by type and key; "" for none."""
    by_type: dict[str, dict[str, Any]] = {}
    for key, one in values.items():
        by_type.setdefault(one.type, {})[key] = one.value
    return msgspec.json.encode(by_type, order="sorted").decode() if by_type else ""
