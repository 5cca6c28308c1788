"""The query parameters by which a list is filtered: each value is checked, and becomes a condition for MongoDB."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple
from unicodedata import normalize

from bson import Decimal128
from marshmallow import ValidationError

from chassis.foundation import addresses
from chassis.model.deciding import NOBODY, Caller
from chassis.model.dictionaries import AS_PREPARED, Dictionaries
from chassis.model.row_fields import FOUND_BY, PARTS, FieldType, asked_in_parts, key_place
from chassis.model.views import (
    Exact,
    Filter,
    Incomplete,
    OfCaller,
    Range,
    Shared,
    View,
    Words,
    parameter_names,
    unusual,
)
from chassis.queries import folding
from contracts.errors import Refused
from contracts.ids import canonical, id_in
from contracts.reasons import Why
from contracts.schemas import why_of
from contracts.sharing import SHARED_WITH, SHARES
from contracts.text import has_controls, key, normal, squashed, squashed_forms
from contracts.types import PLAIN_DAY

Document = dict[str, Any]
FLAG = FieldType("flag")
EMPTY: Sequence[Any] = (None, "", [])
"""What a field holds that nobody has filled."""
ClosedSets = Mapping[str, Callable[[], Sequence[str]]]
"""What is known when a request is answered, by its name: the roles there are, for example."""


class Place(NamedTuple):
    """A field of a document, the pattern by which a word is found there, and the field with its pieces, if any."""

    field: str
    pattern: Callable[[str], str]
    parts: str = ""

    def has(self, word: str, options: Mapping[str, str]) -> Document:
        """That a word is found there; by its pieces the index knows where to look."""
        pieces = asked_in_parts(word) if self.parts else []
        held = {self.field: {"$regex": self.pattern(word), **options}}
        return {self.parts: {"$all": pieces}, **held} if pieces else held


LONGEST = 500
MOST_WORDS = 20
MOST_VALUES = 100
WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
AMOUNT = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,8})?")
MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
HOW: Mapping[str, Why] = {
    "moment": Why("lists.form_moment"),
    "day": Why("lists.form_day"),
    "amount": Why("lists.form_amount"),
    "whole": Why("lists.form_whole"),
    "flag": Why("lists.form_flag"),
    "id": Why("lists.form_id"),
    "address": Why("lists.form_address"),
}


class Filters:
    """The filters of a view, for somebody who sees the fields that `sees` tells: no others can be asked about.
    Words are looked for in those that `searches` tells.

    `zone` is the company's: days begin and end in it, and moments that tell no offset are in it.  A value that is none
    of a closed set is refused with those there are: `known` tells the sets that are not declared.  Who asks for an
    entry of one of the `dictionaries` asks for all that is below it.  `shared` is the condition for what others have
    shared with them, `in_force` that for a share that has not ended.  `texts` names, of a field whose keys are those of
    texts some of which they may not see, the texts that they may.  `wanted` are the fields that must be filled.
    `in_parts`: what is asked of has the pieces of its texts; the versions of rows have none.
    """

    def __init__(
        self,
        view: View,
        sees: Callable[[str], bool],
        zone: tzinfo = UTC,
        known: ClosedSets | None = None,
        *,
        searches: Callable[[str], bool] | None = None,
        caller: Caller = NOBODY,
        dictionaries: Dictionaries = AS_PREPARED,
        shared: Document | None = None,
        texts: Mapping[str, Sequence[str]] | None = None,
        in_force: Document | None = None,
        wanted: Sequence[str] = (),
        in_parts: bool = True,
    ) -> None:
        self._in_parts = view.in_parts if in_parts else ()
        self._texts = texts or {}
        self._caller = caller
        self._wanted = [field for field in wanted if sees(field)]
        self._shared, self._in_force = shared or {}, in_force or {}
        self._dictionaries = dictionaries
        self._searches = searches or sees
        self._known = known or {}
        self._view = view
        self._sees = sees
        self._zone = zone
        self._offered = {name: rule for name, rule in view.filters.items() if self._is_offered(name, rule)}

    def _is_offered(self, name: str, rule: Filter) -> bool:
        return any(map(self._searches, rule.fields)) if isinstance(rule, Words) else self._sees(rule.field or name)

    @property
    def names(self) -> list[str]:
        """The parameters there are."""
        return parameter_names(self._offered)

    def condition(self, name: str, values: Sequence[str]) -> tuple[Document, frozenset[str]] | None:
        """What a parameter asks for and of which fields; None for a parameter that is no filter.

        Raises Refused VALIDATION that names the parameter and what may stand there.
        """
        for base, rule in self._offered.items():
            if isinstance(rule, Range):
                if name in (f"{base}_from", f"{base}_to"):
                    _check(name, values)
                    value = single(name, values)
                    field = rule.field or base
                    return {field: self._bound(name, rule.kind, value)}, frozenset({field})
            elif name == base:
                _check(name, values)
                return self._meant(name, rule, values)
        return None

    def _meant(
        self, name: str, rule: Exact | Words | OfCaller | Shared | Incomplete, values: Sequence[str]
    ) -> tuple[Document, frozenset[str]]:
        match rule:
            case Shared():
                return self._switched(name, self._shared, values), frozenset({SHARES, SHARED_WITH})
            case Incomplete():
                return self._switched(name, self._lacking(), values), frozenset(self._wanted)
            case Words():
                return self._words(rule, values), frozenset(rule.fields)
            case OfCaller():
                return self._switched(name, dict(rule.condition(self._caller)), values), frozenset({name})
        field = rule.field or name
        if rule.match == "all":
            return {"$and": [self._exact(name, field, rule, [value]) for value in values]}, frozenset({field})
        found = self._exact(name, field, rule, values)
        return {"$nor": [found]} if rule.match == "none" else found, frozenset({field})

    def is_of_caller(self, name: str) -> bool:
        """Whether what a parameter asks for is worked out of who asks, or of what the company has set."""
        return isinstance(self._offered.get(name), OfCaller | Incomplete)

    def _bound(self, name: str, kind: type, text: str) -> Document:
        """What "from" or "to" a value means; a day is the whole of it, where moments are asked for too."""
        is_from = name.endswith("_from")
        if kind is datetime and PLAIN_DAY.fullmatch(day := normalize("NFKC", text).strip()):
            try:
                begin, end = bounds_of_day(day, self._zone)
            except ValueError as error:
                raise _malformed(name, kind) from error
            return {"$gte": begin} if is_from else {"$lt": end}
        return {"$gte" if is_from else "$lte": parsed(name, kind, text, self._zone)}

    def require_some_between(self, given: Mapping[str, Sequence[str]]) -> None:
        """Raises Refused VALIDATION, naming the parameter, where the end of a range is before its begin."""
        for base, rule in self._offered.items():
            begin, end = f"{base}_from", f"{base}_to"
            if not (isinstance(rule, Range) and begin in given and end in given):
                continue
            [lowest] = self._bound(begin, rule.kind, single(begin, given[begin])).values()
            [(how, highest)] = self._bound(end, rule.kind, single(end, given[end])).items()
            lowest, highest = comparable(lowest), comparable(highest)
            if lowest > highest or (how == "$lt" and lowest == highest):
                raise Refused("lists.between", end=end, field=begin)

    def _exact(self, name: str, field: str, rule: Exact, values: Sequence[str]) -> Document:
        kind = self._view.types[field].single
        place, choices = self._view.place_of(field), choices_of(kind, rule, self._known)
        if not choices:  # an empty text may be one of them: whoever has no second proof, say
            require_value(name, values)
        if rule.form:
            found: list[Any] = [in_form(name, rule.form, value) for value in values]
        elif kind.keyed is None or choices:
            found = [one_of(name, kind, choices, value, self._zone) for value in values]
        elif place == field:
            found = [text for value in values for text in _as_stored(value)]
        else:
            for value in values:
                _require_some(name, value, kind.keyed(value)[0])
            found = branches(kind, values, self._dictionaries)
        more: Document = {}
        if field == SHARED_WITH:
            more = {SHARES: {"$elemMatch": {"with_id": {"$in": found}, **self._in_force}}}
        if place != field and kind.equal:
            found = [key for value in found for key in kind.equal(value)]
        asked: Document = {place: {"$in": found}, **more}
        if rule.usual is None or rule.usual in found:
            return asked
        return {"$and": [asked, unusual(place, rule.usual)]}  # else MongoDB does not see that the index has them all

    def _switched(self, name: str, condition: Document, values: Sequence[str]) -> Document:
        """The rows for which a condition holds, or all others, as somebody asks for."""
        require_value(name, values)
        asked = one_of(name, FLAG, (), single(name, values), self._zone)
        return condition if asked else {"$nor": [condition]}

    def _lacking(self) -> Document:
        """That one of the fields is empty that must be filled."""
        empty = [{field: {"$in": [*EMPTY]}} for field in self._wanted]
        return {"$or": empty} if empty else {"_id": {"$in": []}}

    def _words(self, rule: Words, values: Sequence[str]) -> Document:
        require_value("q", values)
        for value in values:
            _require_some("q", value, normal(value) if self._view.collected else squashed(value))
        text = " ".join(values)
        fields = [field for field in rule.fields if self._searches(field)]
        places = [Place(field, re.escape) for field in fields]
        if self._view.collected:
            return _all_of([normalize("NFKC", word) for word in normal(text).split()], places, case="i")
        words = [word for word in map(squashed, key(text).split()) if word]
        places = [place for field in fields for place in self._places(field)]
        wholes = [[whole] for whole in squashed_forms(text) if whole]
        if len(words) > 1:
            wholes.append(words)
        conditions = [_all_of(found, places) for found in wholes]
        return conditions[0] if len(conditions) == 1 else {"$or": conditions} if conditions else {}

    def _places(self, field: str) -> list[Place]:
        """Where words are looked for in a field: among its keys, or in those of its texts that the caller may see."""
        if field not in self._texts:
            parts = key_place(PARTS, field) if field in self._in_parts else ""
            return [Place(key_place(FOUND_BY, field), re.escape, parts)]
        return [Place(text, partial(folding.squashed_pattern, begin="", end="")) for text in self._texts[field]]


def branches(kind: FieldType, values: Sequence[str], dictionaries: Dictionaries) -> list[str]:
    """The values that are asked for: where they are entries of a dictionary, with all that is below them."""
    if not kind.dictionary:
        return list(values)
    tree = dictionaries.of(kind.dictionary)
    return list(dict.fromkeys(text for value in values for text in tree.texts_of(value)))


def choices_of(kind: FieldType, rule: Exact, sets: ClosedSets) -> Sequence[str]:
    """The closed set that a value is one of; nothing where there is none."""
    known = sets.get(rule.known or kind.known)
    return rule.among or kind.choices or (known() if known else ())


def _all_of(words: Sequence[str], places: Sequence[Place], case: str = "") -> Document:
    """Every word occurs in one of these places; where there is none, in nothing."""
    if len(words) > MOST_WORDS:
        raise Refused("lists.most_words", most=MOST_WORDS, field="q")
    options = {"$options": case} if case else {}
    found = [{"$or": [place.has(word, options) for place in places]} for word in words]
    return {"_id": {"$in": []}} if not places else {"$and": found} if found else {}


def _require_some(name: str, value: str, key: str) -> None:
    """Raises Refused VALIDATION for a text of which nothing is left to compare: it would be taken for none at all."""
    if not key:
        raise Refused("lists.nothing_to_find", field=name)


def require_value(name: str, values: Sequence[str]) -> None:
    """Raises Refused VALIDATION for a parameter without a value: is nothing meant, or everything?"""
    if not all(map(normal, values)):
        raise Refused("lists.empty", field=name)


def single(name: str, values: Sequence[str]) -> str:
    """The value of a parameter that has one.  Raises Refused VALIDATION for several: which is meant?"""
    if len(values) > 1:
        raise Refused("lists.once", field=name)
    return values[0]


def _check(name: str, values: Sequence[str]) -> None:
    if len(values) > MOST_VALUES:
        raise Refused("lists.most_values", most=MOST_VALUES, field=name)
    if any(has_controls(value) or len(value) > LONGEST for value in values):
        raise Refused("lists.long_or_controls", field=name)


def _as_stored(value: str) -> set[str]:
    """How a text that has no key may be stored: as typed, or if it is an id as those are."""
    text = normal(value)
    return {text, canonical(text)}


def one_of(name: str, kind: FieldType, choices: Sequence[str], value: str, zone: tzinfo) -> Any:
    """A value as it is stored.  Raises Refused VALIDATION that says which there are."""
    text = normalize("NFKC", value).strip()
    if choices:
        found = next((choice for choice in choices if choice.casefold() == text.casefold()), None)
        if found is None:
            raise Refused("lists.one_of", choices=choices, field=name)
        return found
    if kind.guard is not None:
        try:
            return kind.guard.deserialize(text.upper())
        except ValidationError as error:
            raise Refused("forms.invalid", errors=[why_of(error.messages[0])], field=name) from error
    if kind.kind == "id":
        return in_form(name, "id", text)
    if kind.kind == "flag":
        if text.casefold() not in ("true", "false"):
            raise Refused("lists.form", form=HOW["flag"], field=name)
        return text.casefold() == "true"
    kinds: Mapping[str, type] = {"whole": int, "amount": Decimal, "moment": datetime, "day": date}
    return parsed(name, kinds[kind.kind], text, zone)


FORMS: Mapping[str, Callable[[str], str | None]] = {"id": id_in, "address": addresses.canonical}
"""What reads a text of a form; None for what is none."""


def in_form(name: str, form: str, value: str) -> str:
    """A text that has a form, as it is stored.  Raises Refused VALIDATION for what is none."""
    found = FORMS[form](normalize("NFKC", value).strip())
    if found is None:
        raise Refused("lists.form", form=HOW[form], field=name)
    return found


def comparable(value: Any) -> Any:
    """A bound as Python compares it."""
    return value.to_decimal() if isinstance(value, Decimal128) else value


def parsed(name: str, kind: type, value: str, zone: tzinfo) -> Any:
    """A number, day or moment as MongoDB keeps it; a moment without an offset is in `zone`.

    Raises Refused VALIDATION.
    """
    text = normalize("NFKC", value).strip()
    try:
        if kind is datetime:
            if not MOMENT.fullmatch(text.upper()):
                raise ValueError("no plain moment")
            moment = datetime.fromisoformat(text.upper())
            return _in_utc(moment if moment.tzinfo else moment.replace(tzinfo=zone))
        if kind is date:
            if not PLAIN_DAY.fullmatch(text):
                raise ValueError("no plain day")
            return date.fromisoformat(text).isoformat()
        if kind is Decimal:
            if not AMOUNT.fullmatch(text):
                raise ValueError("no plain number")
            return Decimal128(Decimal(text))
        if not WHOLE.fullmatch(text):
            raise ValueError("no whole number")
        return int(text)
    except ValueError as error:
        raise _malformed(name, kind) from error


def bounds_of_day(text: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """Begin and end of a day in a zone.  Raises ValueError for what is no day of the calendar.

    Days such as 9999-12-31 stand for "for ever": they end where the calendar does.
    """
    begin = datetime.fromisoformat(text)
    is_last = begin.date() == date.max
    end = datetime.max if is_last else begin + timedelta(days=1)
    return _in_utc(begin.replace(tzinfo=zone)), _in_utc(end.replace(tzinfo=zone))


def _in_utc(moment: datetime) -> datetime:
    """A moment in UTC; the first or last of the calendar for one that lies beyond it there."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return (datetime.min if moment.year == 1 else datetime.max).replace(tzinfo=UTC)


def _malformed(name: str, kind: type) -> Refused:
    word = {datetime: "moment", date: "day", Decimal: "amount", int: "whole"}[kind]
    return Refused("lists.form", form=HOW[word], field=name)
