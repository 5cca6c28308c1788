"""The field types contracts are made of.  Each is a Python type and the marshmallow field that guards it.

Every text has a length, every number a bound: NaN, 1e309 and ten-megabyte names stop here (design, section 3).
"""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from marshmallow import ValidationError, fields, validate

from contracts.currencies import DECIMALS, MOST_DECIMALS, fitted
from contracts.declare import value
from contracts.ids import parse_id
from contracts.reasons import Why
from contracts.text import (
    BETWEEN_DIGITS,
    DASHES,
    EDGES,
    bare,
    has_controls,
    has_no_order,
    in_any_width,
    in_wide_digits,
    is_blank,
    is_one_line,
    normal,
    phone_form,
    plain_form,
)

MAX_AMOUNT = Decimal("1000000000000")
MAX_QUANTITY = 1_000_000_000
MAX_SUM = 10**15
"""Beyond what quantities add up to: a million of the largest."""
MAX_LINES = 500
FIRST_CURRENCY = "CNY"
"""The company's currency as long as none was set (SET-04)."""

PLAIN_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
LONGEST_DECIMAL = 42
"""Characters, sign and point among them."""
PLAIN_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class TextField(fields.String):
    """A line of text, 0 to `longest` characters, in the form of `contracts.text.normal`.

    `many_lines` says that there may be several, with tabs; other control characters are refused in each.  A line break
    around it, as from a cell of a table or the end of a file, goes as blanks do.  One line is shown in the order in
    which it is written (`contracts.text.NO_ORDER`).
    """

    longest = 200
    shortest = 0
    as_typed = False
    many_lines = False
    empty_is_none = True
    """Whether an empty text says that there is none, as queries show it, where there may be none."""
    once = False
    """Whether it stands in a list once, however it is written."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("validate", validate.Length(min=self.shortest, max=self.longest))
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not self.many_lines and not is_one_line(text := bare(text)):
            raise ValidationError(Why("forms.one_line"))
        if not self.many_lines and has_no_order(text):
            raise ValidationError(Why("forms.no_order"))
        if has_controls(text):
            raise ValidationError(Why("forms.controls"))
        if not self.as_typed:
            text = normal(text)
        if self.shortest and is_blank(text):
            raise ValidationError(Why("forms.blank"))
        return text


class NameField(TextField):
    """A short text that must say something: 1 to 200 characters, not blank."""

    shortest = 1


class TagField(NameField):
    """A name in a list of such: what is in it already is not put in again."""

    once = True


class PathNameField(NameField):
    """A name that stands in the path of its record: without slashes, and neither `.` nor `..`.

    Servers on the way take an escaped slash for a slash, and clients take two dots for the folder above.
    """

    barred = "/\\"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if set(text) & set(self.barred) or text in (".", ".."):
            raise ValidationError(Why("forms.path_name"))
        return text


class NoteField(TextField):
    """What people write to each other: at most 4,000 characters, in as many lines as they like."""

    longest = 4000
    many_lines = True


class ReasonField(NoteField):
    """A note that must say something."""

    shortest = 1


class IdField(fields.UUID):
    """The id of a record (UUID), in any letter case, with or without dashes and braces."""

    def _validated(self, value: Any) -> UUID:
        if not isinstance(value, str):
            raise self.make_error("invalid_uuid")
        try:
            return parse_id(value)
        except ValueError as error:
            raise self.make_error("invalid_uuid") from error


class UserField(IdField):
    """The id of a user in a list of such: who is in it already is not put in again."""

    once = True


class CurrencyField(fields.String):
    """The ISO 4217 code of a currency: three capital letters."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("validate", validate.Regexp(r"^[A-Z]{3}\Z", error=Why("forms.currency")))
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        code = super()._deserialize(value, attr, data, **kwargs)
        if re.fullmatch("[A-Z]{3}", code) and code not in DECIMALS:
            raise ValidationError(Why("forms.no_currency", currency=code))
        return code


PHONE = r"^(1[0-9]{10}|\+[1-9]([ -]{0,3}[0-9]){6,18})\Z"
"""A phone number as it is stored."""
_MORE_DIGITS = f"[{BETWEEN_DIGITS}]*[{in_any_width('0-9')}]"
_DASH = rf"\-\uff0d{DASHES}"
_COUNTRY = f"(?:[+\uff0b]|[0\uff10][{BETWEEN_DIGITS}]*[0\uff10])[{BETWEEN_DIGITS}]*[{in_any_width('1-9')}]"


class PhoneField(fields.String):
    """11 digits starting with 1, or the international form +<country> <number> (CUS-02).

    Blanks and dashes are as one likes, and so only digits are counted: 7 to 19 of an international number.  It is
    stored as `contracts.text.phone_form` makes it.  `taken` is what is taken, and published.
    """

    empty_is_none = True
    taken = (
        f"^[{EDGES}{BETWEEN_DIGITS}]*(?:[1\uff11](?:{_MORE_DIGITS}){{10}}|{_COUNTRY}(?:{_MORE_DIGITS}){{6,18}})"
        f"[{EDGES}{BETWEEN_DIGITS}]*$"
    )

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("validate", validate.Regexp(PHONE))
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not re.fullmatch(self.taken, text):
            raise ValidationError(Why("forms.phone"))
        return phone_form(text)


class EmailField(fields.String):
    """An e-mail address: something, @, a domain with a dot; at most 254 characters (SET-01).

    It is stored as `contracts.text.plain_form` makes it.  `taken` is what is taken, and published.
    """

    empty_is_none = True
    longest = 254
    taken = (
        f"^[{EDGES}]*[{in_any_width('A-Za-z0-9._%+')}{_DASH}]{{1,64}}[@\uff20]"
        f"(?:[{in_any_width('A-Za-z0-9')}{_DASH}]{{1,63}}[.\uff0e])+[{in_any_width('A-Za-z')}]{{2,24}}[{EDGES}]*$"
    )

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("validate", validate.Length(max=self.longest))
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if len(text) > self.longest:
            raise ValidationError(Why("forms.most_characters", most=self.longest))
        if not re.fullmatch(self.taken, text):
            raise ValidationError(Why("forms.email"))
        return plain_form(text)


class MailField(TextField):
    """An e-mail address as events tell it, or nothing."""

    longest = 254


class BirthdayField(fields.String):
    """A birthday, YYYY-MM-DD or MM-DD where the year is not known, in digits of any width (CUS-18).

    It is kept as text: what tells of a person is sealed (`contracts.personal`), and a sealed day is none.
    """

    _ever = "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    _ever = f"(?:{_ever}|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    _leap = "(?:(?:19|20)(?:0[48]|[2468][048]|[13579][26])|2000)"
    taken = f"^[{EDGES}]*{in_wide_digits(f'(?:(?:(?:19|20)[0-9]{{2}}-)?{_ever}|(?:{_leap}-)?02-29)')}[{EDGES}]*$"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not re.fullmatch(self.taken, text):
            raise ValidationError(Why("forms.birthday"))
        return plain_form(text)


class SecretField(TextField):
    """A password, code or token: 1 to 500 characters, as typed, told to nobody again."""

    as_typed = True
    many_lines = True  # whoever has chosen a password with a tab goes on signing in
    shortest = 1
    longest = 500


class ClockField(fields.String):
    """A time of day, HH:MM, from 00:00 to 23:59."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("validate", validate.Regexp(r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z", error=Why("forms.clock")))
        super().__init__(**kwargs)


class RoleField(fields.String):
    """The code of a role: 2 to 20 capital letters, digits and underscores."""

    once = True

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault(
            "validate",
            validate.Regexp(r"^[A-Z][A-Z0-9_]{1,19}\Z", error=Why("forms.role_code")),
        )
        super().__init__(**kwargs)


class DecimalField(fields.Decimal):
    """A bounded decimal number, given as a string such as "12.50" or a JSON number.

    It is never rounded: more decimals than it has are refused.  In a string digits, sign and point may be of any width,
    as Chinese and Japanese keyboards type them, with blanks around.
    """

    lowest = Decimal(0)
    highest = MAX_AMOUNT  # a power of ten
    digits = 2
    shown: int | None = None  # decimals it is filled up to, when it has fewer; None: to all of them

    @classmethod
    def taken(cls) -> str:
        """The pattern of the texts that are taken: zeros in front and at the end don't count."""
        zeros = len(f"{cls.highest:f}") - 1
        not_zero = "(?=.*[1-9])" if cls.lowest else ""
        number = rf"[0-9]{{1,{zeros}}}(?:\.[0-9]{{1,{cls.digits}}}0*)?"
        highest = rf"10{{{zeros}}}(?:\.0+)?"
        nothing = "" if cls.lowest else r"|-0+(?:\.0+)?"
        written = in_wide_digits(f"{not_zero}(?:[+]?0*(?:{number}|{highest}){nothing})")
        return f"^[{EDGES}]*{written}[{EDGES}]*$"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(as_string=True, allow_nan=False, **kwargs)

    def _validated(self, value: Any) -> Decimal:
        if isinstance(value, str):
            is_short, value = len(value) <= LONGEST_DECIMAL, plain_form(value)
            if not (is_short and PLAIN_DECIMAL.fullmatch(value)):
                raise self.make_error("invalid")
        number = super()._validated(value)
        if not self.lowest <= number <= self.highest:  # before quantize, which can't take a number of 30 digits
            raise ValidationError(Why("forms.between", least=self.lowest, most=self.highest))
        exact = number.quantize(Decimal(1).scaleb(-self.digits))
        if number != exact:
            raise ValidationError(Why("forms.most_decimals", most=self.digits))
        for digits in range(self.digits if self.shown is None else self.shown, self.digits):
            shorter = exact.quantize(Decimal(1).scaleb(-digits))
            if shorter == exact:
                exact = shorter
                break
        return exact.copy_abs() if exact.is_zero() else exact  # -0 is 0


class AmountField(DecimalField):
    """An amount of money: 0 to 10^12, with as many decimals as its currency has, which `Money` or the domain checks."""

    digits = MOST_DECIMALS
    shown = 2


class RateField(DecimalField):
    """An exchange rate: above 0, eight decimals."""

    lowest = Decimal("0.00000001")
    highest = Decimal(1_000_000)
    digits = 8


class WholeField(fields.Integer):
    """A whole number in bounds; 1.5, "3" and true are refused.  3.0 is 3."""

    lowest = 0
    highest = MAX_QUANTITY

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("validate", validate.Range(min=self.lowest, max=self.highest))
        super().__init__(strict=True, **kwargs)

    def _validated(self, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # 3.0 is a whole number, as JSON has it
        if not isinstance(value, int):
            raise self.make_error("invalid")
        return super()._validated(value)


class SumField(WholeField):
    """A sum of quantities, such as a stock balance: whole, 0 to 10^15.

    What is added up may be as large as MAX_QUANTITY each, so a sum that can't be refused, as goods that come back, goes
    beyond that.
    """

    highest = MAX_SUM


class QuantityField(WholeField):
    """A quantity: a whole number above 0 (ORD-01)."""

    lowest = 1


class IntegerField(WholeField):
    """A whole number in bounds, above or below 0: what a bare `int` of a contract means."""

    lowest = -MAX_QUANTITY


class TotalField(QuantityField):
    """A sum of quantities that is of something: 1 to 10^15."""

    highest = MAX_SUM


class MovementField(IntegerField):
    """A change of a stock balance, up or down, by whatever orders add up to."""

    lowest = -MAX_SUM
    highest = MAX_SUM


class ChangeField(IntegerField):
    """A change of a quantity, up or down, never 0."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        number = super()._deserialize(value, attr, data, **kwargs)
        if number == 0:
            raise ValidationError(Why("forms.zero"))
        return number


class FlagField(fields.Boolean):
    """true or false; no other spelling."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class MomentField(fields.AwareDateTime):
    """A moment in RFC 3339 with its zone."""


class DayField(fields.Date):
    """A calendar day, YYYY-MM-DD, from 1900 on."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> date:
        try:
            if not isinstance(value, str) or not PLAIN_DAY.fullmatch(value):
                raise ValueError("no plain day")
            day = date.fromisoformat(value)
        except ValueError as error:
            raise self.make_error("invalid") from error
        if day.year < 1900:
            raise ValidationError(Why("forms.too_early"))
        return day


User = Annotated[UUID, UserField]
Text = Annotated[str, TextField]
Name = Annotated[str, NameField]
Tag = Annotated[str, TagField]
PathName = Annotated[str, PathNameField]
Note = Annotated[str, NoteField]
Reason = Annotated[str, ReasonField]
Phone = Annotated[str, PhoneField]
Email = Annotated[str, EmailField]
Birthday = Annotated[str, BirthdayField]
Mail = Annotated[str, MailField]
Secret = Annotated[str, SecretField]
Clock = Annotated[str, ClockField]
RoleCode = Annotated[str, RoleField]
Currency = Annotated[str, CurrencyField]
Amount = Annotated[Decimal, AmountField]
Rate = Annotated[Decimal, RateField]
Whole = Annotated[int, WholeField]
Sum = Annotated[int, SumField]
Total = Annotated[int, TotalField]
Movement = Annotated[int, MovementField]
Quantity = Annotated[int, QuantityField]
QuantityChange = Annotated[int, ChangeField]
Flag = Annotated[bool, FlagField]
Moment = Annotated[datetime, MomentField]
Day = Annotated[date, DayField]


@value
class Money:
    """An amount in a currency; adding two currencies is an error, never a guess.

    It has exactly the decimals of its currency: 5 yuan are 5.00, 5 yen are 5.  More are refused where it is entered.
    """

    amount: Amount
    currency: Currency

    def __post_init__(self) -> None:
        if (exact := fitted(self.amount, self.currency)) is not None:
            object.__setattr__(self, "amount", exact)

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(amount=self.amount + other.amount, currency=self.currency)

    def times(self, quantity: int) -> "Money":
        return Money(amount=self.amount * quantity, currency=self.currency)
