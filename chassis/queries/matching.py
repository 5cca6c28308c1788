"""Whether a document meets a condition, without MongoDB: where what was just heard is held against one (NTF-02).

Only what `chassis.queries.conditions` writes about fields all of whose texts have keys (`view_with_keys`): patterns
over texts without keys are in the language of MongoDB alone.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import lru_cache
from operator import ge, gt, le, lt
from typing import Any

from bson import Decimal128, Regex

from chassis.model.views import Exact, View, Words

_ORDERS = {"$lt": lt, "$lte": le, "$gt": gt, "$gte": ge}


def view_with_keys(view: View, names: Collection[str]) -> View:
    """The view with a key for every text among some of its fields."""
    texts = [name for name in names if view.types[name].keyed]
    return replace(view, filters={**{name: Exact() for name in texts}, "q": Words(*texts, indexed=False)})


def meets(document: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    """Whether MongoDB would find a document by a condition."""
    return all(_holds(document, name, asked) for name, asked in condition.items())


def _holds(document: Mapping[str, Any], name: str, asked: Any) -> bool:
    if name in ("$and", "$or", "$nor"):
        parts = [meets(document, part) for part in asked]
        return {"$and": all(parts), "$or": any(parts), "$nor": not any(parts)}[name]
    value = _plain(document.get(name))
    found = [value, *map(_plain, value)] if isinstance(value, list) else [value]
    return all(_compares(how, wanted, found) for how, wanted in asked.items())


def _compares(how: str, wanted: Any, found: Collection[Any]) -> bool:
    """Whether one of the values that were found is as it is asked for; of a list also the list itself."""
    if how == "$in":
        return any(_is(one, found) for one in wanted)
    if how == "$eq":
        return _is(wanted, found)
    bound = _plain(wanted)
    return any(isinstance(one, type(bound)) and _ORDERS[how](one, bound) for one in found)


def _is(wanted: Any, found: Collection[Any]) -> bool:
    if isinstance(wanted, Regex):
        return any(isinstance(one, str) and _pattern(wanted.pattern).search(one) for one in found)
    return _plain(wanted) in found


@lru_cache(1_000)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _plain(value: Any) -> Any:
    """A value as it is compared: amounts as numbers."""
    return value.to_decimal() if isinstance(value, Decimal128) else value
