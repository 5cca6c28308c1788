"""Conditions on the fields of a list, joined by and/or (`?where=`, UIX-13), read into a condition for MongoDB.

    {"and": [{"field": "amount", "is": "at_least", "value": "1000"},
             {"or": [{"field": "note", "is": "contains", "value": "京"}, {"field": "note", "is": "is_empty"}]}]}

Which fields there are and what may be asked of them follows from the types of the view's rows.  What a caller may not
see is not there.  Every limit is checked before anything is asked: the work grows with the length of the text alone.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from unicodedata import normalize

from bson import Regex

from chassis.model import row_fields
from chassis.model.dictionaries import AS_PREPARED, Dictionaries
from chassis.model.row_fields import EQUAL_TO, FOUND_BY, FieldType, asked_in_parts, key_place
from chassis.model.views import Exact, View
from chassis.queries import filters, folding
from chassis.queries.filters import MOST_VALUES, ClosedSets
from contracts.errors import Refused
from contracts.lists import WHERE
from contracts.reasons import Why
from contracts.schemas import told_name
from contracts.text import has_controls, squashed_forms, ways_written
from contracts.types import PLAIN_DAY

LONGEST = 4_000
LONGEST_VALUE = 200
LONGEST_PART = 100
"""Looked for within another text: what that costs grows with the one times the other."""
MOST_CONDITIONS = 30
DEEPEST = 5
EQUALITY = ("equal", "not_equal", "one_of")
ORDER = ("less", "at_most", "greater", "at_least")
PARTS = ("contains", "begins_with")
EMPTINESS = ("is_empty", "is_not_empty")
OPERATORS = (*EQUALITY, *ORDER, *PARTS, *EMPTINESS)
JOINED = {"and": "$and", "or": "$or"}
_COMPARED = {"less": "$lt", "at_most": "$lte", "greater": "$gt", "at_least": "$gte"}
_BEFORE_END = {"less": ("$lt", 0), "at_most": ("$lt", 1), "greater": ("$gte", 1), "at_least": ("$gte", 0)}
"""How a whole day bounds moments: by its begin (0) or its end (1)."""
SHAPE = Why("conditions.shape", deepest=DEEPEST, most=MOST_CONDITIONS)
Document = dict[str, Any]


def operators_of(kind: FieldType) -> Sequence[str]:
    """What may be asked of a field: of a list whether some item is so.  Nothing of what has parts."""
    one = kind.single
    if one.kind in ("object", "list"):
        return ()
    ordered = one.kind in ("whole", "amount", "moment", "day") and one is kind
    return (*EQUALITY, *(ORDER if ordered else ()), *(PARTS if _is_text(one) else ()), *EMPTINESS)


def _is_text(one: FieldType) -> bool:
    return one.keyed is not None


def fields_asked(view: View) -> dict[str, FieldType]:
    """The fields of a view that may be asked about: all but what is worked out when read, or has parts."""
    return {name: kind for name, kind in view.types.items() if name not in view.computed and operators_of(kind)}


class Conditions:
    """What may be asked of a view by somebody who sees the fields that `sees` tells."""

    def __init__(
        self,
        view: View,
        sees: Callable[[str], bool],
        zone: tzinfo = UTC,
        known: ClosedSets | None = None,
        dictionaries: Dictionaries = AS_PREPARED,
        *,
        in_parts: bool = True,
    ) -> None:
        """`in_parts`: what is asked of has the pieces of its texts (`Filters`)."""
        self._in_parts = view.in_parts if in_parts else ()
        self._view, self._zone, self._known, self._dictionaries = view, zone, known or {}, dictionaries
        self._seen = {name: kind for name, kind in view.types.items() if sees(name)}
        self._asked = {name: kind for name, kind in fields_asked(view).items() if name in self._seen}
        self._kept = {place for _, place, _ in view.keys}
        self._rules: dict[str, Exact] = {}
        self.about: set[str] = set()
        """The fields of which what was read asks."""
        for name, rule in view.filters.items():
            if isinstance(rule, Exact):
                self._rules.setdefault(rule.field or name, rule)

    def read(self, text: str) -> Document:
        """The condition that a text writes.  Raises Refused VALIDATION that names the field at fault."""
        if len(text) > LONGEST:
            raise _refused("conditions.long", most=LONGEST)
        if has_controls(text):
            raise _refused("conditions.controls")
        try:
            found = json.loads(text, object_pairs_hook=_single, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError) as error:
            raise _refused("conditions.json", shape=SHAPE) from error
        return self._tree(found, [MOST_CONDITIONS, MOST_VALUES], DEEPEST)

    def _tree(self, node: Any, left: list[int], levels: int) -> Document:
        """`left`: so many conditions, and values, there may still be; `levels`: so deep they may be nested."""
        if not isinstance(node, dict):
            raise _refused("conditions.wrong_shape", shape=SHAPE)
        [joint, *more] = [*node, ""]
        if joint not in JOINED:
            return self._condition(node, left)
        if more != [""] or not isinstance(node[joint], list) or not node[joint]:
            raise _refused("conditions.joint", joint=joint, shape=SHAPE)
        if levels == 0:
            raise _refused("conditions.deepest", most=DEEPEST)
        return {JOINED[joint]: [self._tree(inner, left, levels - 1) for inner in node[joint]]}

    def _condition(self, node: Mapping[str, Any], left: list[int]) -> Document:
        unknown = next((key for key in node if key not in ("field", "is", "value")), None)
        if unknown is not None:
            raise _refused("conditions.unknown_key", name=_told(unknown), shape=SHAPE)
        left[0] -= 1
        if left[0] < 0:
            raise _refused("conditions.most_conditions", most=MOST_CONDITIONS)
        name = node.get("field")
        if not isinstance(name, str):
            raise _refused("conditions.no_field", names=list(self._asked))
        kind = self._kind(name)
        self.about.add(name)
        allowed, operator = operators_of(kind), str(node.get("is"))
        if operator not in allowed:
            raise _refused("conditions.operator", name, names=allowed)
        if operator in EMPTINESS:
            if "value" in node:
                raise _refused("conditions.no_value", name, operator=operator)
            empty: Document = {self._field(name): {"$in": [*filters.EMPTY]}}
            return empty if operator == "is_empty" else {"$nor": [empty]}
        texts = _texts(name, operator, node.get("value"), left)
        if operator in ORDER:
            return {self._field(name): self._bound(name, kind, operator, texts[0])}
        if operator in PARTS:
            return self._part(name, kind, operator, texts[0])
        found = self._equal(name, kind, texts)
        return {"$nor": [found]} if operator == "not_equal" else found

    def _kind(self, name: str) -> FieldType:
        """The kind of a field that may be asked about."""
        if name in self._asked:
            return self._asked[name]
        known = list(self._asked)
        if name not in self._seen:
            raise _refused("conditions.not_of_list", name=_told(name), names=known)
        is_computed = name in self._view.computed
        raise _refused("conditions.worked_out" if is_computed else "conditions.has_parts", name, names=known)

    @staticmethod
    def _field(name: str) -> str:
        return "_id" if name == "id" else name

    # -- what is compared

    def _bound(self, name: str, kind: FieldType, operator: str, text: str) -> Document:
        if kind.kind == "moment" and (day := self._day(name, text)):
            how, end = _BEFORE_END[operator]
            return {how: day[end]}
        return {_COMPARED[operator]: self._value(name, kind, (), text)}

    def _day(self, name: str, text: str) -> tuple[datetime, datetime] | None:
        """Begin and end of a day in the company's zone; None for what is not written as a day."""
        if not PLAIN_DAY.fullmatch(day := normalize("NFKC", text).strip()):
            return None
        try:
            return filters.bounds_of_day(day, self._zone)
        except ValueError as error:
            raise _refused("lists.form", name, form=filters.HOW["moment"]) from error

    def _value(self, name: str, kind: FieldType, choices: Sequence[str], text: str) -> Any:
        return filters.one_of(f"{WHERE}.{name}", kind, choices, text, self._zone)

    def _equal(self, name: str, kind: FieldType, texts: Sequence[str]) -> Document:
        """That a field, or an item of it, is one of these; a moment on one of these days."""
        one, rule = kind.single, self._rules.get(name, Exact())
        if one.kind == "moment":
            return {"$or": [{self._field(name): self._moment(name, one, text)} for text in texts]}
        choices = filters.choices_of(one, rule, self._known)
        if rule.form:
            values = [filters.in_form(f"{WHERE}.{name}", rule.form, text) for text in texts]
        elif choices or not _is_text(one):
            values = [self._value(name, one, choices, text) for text in texts]
        else:
            for text in texts:
                _require_some(name, folding.squashed(text) if one.kind == "code" else folding.folded(text))
            values = filters.branches(one, texts, self._dictionaries)
        place = key_place(EQUAL_TO, name)
        if one.equal and place in self._kept:
            return {place: {"$in": [key for value in values for key in one.equal(value)]}}
        if not _is_text(one) or choices or rule.form:
            return {self._field(name): {"$in": values}}
        if one.kind == "code":
            return self._squashed(name, values, r"\A", r"\z")
        patterns = [pattern for value in values for pattern in folding.equal_patterns(value)]
        return {self._field(name): {"$in": [Regex(pattern) for pattern in patterns]}}

    def _moment(self, name: str, kind: FieldType, text: str) -> Document:
        if day := self._day(name, text):
            return {"$gte": day[0], "$lt": day[1]}
        return {"$eq": self._value(name, kind, (), text)}

    def _part(self, name: str, kind: FieldType, operator: str, text: str) -> Document:
        if len(text) > LONGEST_PART:
            raise _refused("conditions.long_part", name, operator=operator, most=LONGEST_PART)
        _require_some(name, folding.squashed(text))
        return self._squashed(name, [text], "" if operator == "contains" else r"\A", "")

    def _squashed(self, name: str, texts: Sequence[str], begin: str, end: str) -> Document:
        """That a field holds one of these, blanks and dashes aside: by its stored keys where it has some."""
        place = key_place(FOUND_BY, name)
        forms = [form for text in texts for form in squashed_forms(text) if form]
        if place in self._kept:
            return self._by_pieces(name, forms, {form: Regex(f"{begin}{folding.escaped(form)}{end}") for form in forms})
        if self._seen[name].single.kind == "code":
            forms += [form for text in texts for form in ways_written(text, is_begin=not end)]
        wanted = dict.fromkeys(map(folding.squashed, (*texts, *forms)))
        return {self._field(name): {"$in": [Regex(folding.squashed_pattern(one, begin, end)) for one in wanted if one]}}

    def _by_pieces(self, name: str, forms: Sequence[str], patterns: Mapping[str, Regex[str]]) -> Document:
        """That the keys of a field have one of these forms: found by their pieces, where all of them have some."""
        place, pieces = key_place(FOUND_BY, name), {form: asked_in_parts(form) for form in forms}
        if name not in self._in_parts or not all(pieces.values()):
            return {place: {"$in": [*patterns.values()]}}
        parts = key_place(row_fields.PARTS, name)
        return {"$or": [{parts: {"$all": pieces[form]}, place: patterns[form]} for form in patterns]}


def _texts(name: str, operator: str, value: Any, left: list[int]) -> list[str]:
    """The values of a condition as they are written."""
    values = value if operator == "one_of" else [value]
    if not isinstance(values, list) or not values:
        raise _refused("conditions.one_of", name)
    left[1] -= len(values)
    if left[1] < 0:
        raise _refused("conditions.most_values", name, most=MOST_VALUES)
    texts = [str(one).lower() if isinstance(one, bool) else one for one in values]
    if not all(isinstance(text, str) for text in texts):
        raise _refused("conditions.value", name)
    if any(len(text) > LONGEST_VALUE or has_controls(text) for text in texts):
        raise _refused("conditions.long_value", name, most=LONGEST_VALUE)
    return texts


def _told(name: str) -> str:
    """A name that somebody made up, as a message can hold it."""
    return "what has control characters" if has_controls(name) else told_name(name[:100])


def _require_some(name: str, key: str) -> None:
    if not key:
        raise _refused("conditions.nothing_to_find", name)


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of which no key stands twice: two readers might take different ones."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _refused("conditions.twice", shape=SHAPE)
    return found


def _refused(reason: str, about: str = "", **params: Any) -> Refused:
    return Refused(reason, field=f"{WHERE}.{about}" if about else WHERE, **params)
