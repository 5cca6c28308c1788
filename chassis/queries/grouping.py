"""How many rows of a list have each value of a field, and what their numbers come to (`?group=status&sum=amount`).

Without a field all rows are one group.  Those are counted that the list has, with its filters and conditions, within
the caller's scope, as of the moment of the page.  Amounts are summed for each currency by itself: that of
the row, or their own where a row has several amounts (`View.currencies_of`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import Decimal128

from chassis.model.views import View
from chassis.queries import amounts
from contracts.custom_fields import OWN
from contracts.errors import Refused
from contracts.lists import GROUP, SUM
from contracts.reasons import Why
from contracts.schemas import told_name
from contracts.text import has_controls

MOST_GROUPS = 200
MOST_SUMS = 10
Document = dict[str, Any]
Label = Callable[[str], tuple[str, str]]
"""Of a value that was picked from a dictionary, the code of the entry and what it is called."""


def groups_of(view: View) -> list[str]:
    """The fields by which rows may be grouped: those of few values that are the same as they are stored."""
    found = [name for name, kind in view.types.items() if kind.kind in ("choice", "flag", "id", "code")]
    return [name for name in dict.fromkeys((*found, *view.picked)) if _is_kept(view, name)]


def sums_of(view: View) -> list[str]:
    """The fields that may be summed.  A version is no amount of anything."""
    kinds = view.types.items()
    found = [name for name, kind in kinds if kind.kind in ("amount", "whole") and _is_kept(view, name)]
    return [name for name in found if name != "version"]


def _is_kept(view: View, name: str) -> bool:
    return name != "id" and name not in view.computed


@dataclass(frozen=True)
class Grouping:
    """Rows by the values of a field; `sums` are added up, those that are `amounts` by their currencies.

    `currencies` are, of each amount that has some, the columns of which the first that is filled tells its currency.
    """

    field: str | None
    sums: Sequence[str]
    amounts: frozenset[str]
    currencies: Mapping[str, tuple[str, ...]]
    is_list: bool = False
    label: Label | None = None

    @classmethod
    def asked(
        cls,
        view: View,
        sees: Callable[[str], bool],
        field: str | None,
        sums: Sequence[str],
        label: Label | None = None,
    ) -> "Grouping | None":
        """What somebody asks for who sees the fields that `sees` tells.  Raises Refused VALIDATION.

        `label` tells of a value of a dictionary which entry it is and what that is called.
        """
        if field is None and not sums:
            return None
        if field is not None:
            _require_one_of(GROUP, field, [name for name in groups_of(view) if sees(name)])
        if len(sums) > MOST_SUMS:
            raise Refused("lists.most_sums", most=MOST_SUMS, field=SUM)
        for name in sums:
            _require_one_of(SUM, name, [name for name in sums_of(view) if sees(name)])
        amounts = frozenset(name for name in sums if view.types[name].kind == "amount")
        is_list = field is not None and view.types[field].kind == "list"
        currencies = {name: columns for name in sums if name in amounts and (columns := view.currencies_of(name))}
        return cls(field, list(dict.fromkeys(sums)), amounts, currencies, is_list, label)

    def stages(self) -> list[Document]:
        """The stages behind those that select the rows.  One group more than may be is enough to know."""
        columns = [[f"${column}" for column in one] for one in self._told_by]
        currencies = {f"currency{at}": {"$ifNull": [*one, ""]} for at, one in enumerate(columns)}
        value = {"$ifNull": [f"${self.field}", None]} if self.field else None
        added = {f"sum{at}": {"$sum": self._number(name)} for at, name in enumerate(self.sums)}
        parts = {**{name: f"$_id.{name}" for name in currencies}, **{name: f"${name}" for name in added}}
        each = [{"$unwind": {"path": f"${self.field}", "preserveNullAndEmptyArrays": True}}] if self.is_list else []
        return [
            *each,
            {
                "$group": {
                    "_id": {"value": value, **currencies},
                    "count": {"$sum": 1},
                    **added,
                }
            },
            {"$group": {"_id": "$_id.value", "count": {"$sum": "$count"}, "parts": {"$push": parts}}},
            {"$limit": MOST_GROUPS + 1},
        ]

    @property
    def _told_by(self) -> Sequence[tuple[str, ...]]:
        """What tells currencies, once where it tells those of several amounts."""
        return [*dict.fromkeys(self.currencies.values())]

    def _number(self, name: str) -> Any:
        return {"$toDecimal": {"$ifNull": [f"${name}", 0]}} if name in self.amounts else f"${name}"

    def told(self, found: Iterable[Document]) -> list[Document]:
        """The groups as they are answered, the largest first.  Raises Refused TOO_LARGE for more than may be."""
        groups = [
            {
                **self._value(one["_id"]),
                "count": one["count"],
                **({"sums": self._sums(one["parts"])} if self.sums else {}),
            }
            for one in (_together(found, self.label) if self.label else found)
        ]
        if len(groups) > MOST_GROUPS:
            raise Refused("lists.most_groups", name=self.field, most=MOST_GROUPS, field=GROUP)
        return sorted(groups, key=lambda group: (-group["count"], str(group["value"])))

    def _value(self, value: Any) -> Document:
        return {"value": value, **({"label": self.label(value or "")[1]} if self.label else {})}

    def _sums(self, parts: Sequence[Document]) -> Document:
        found: Document = {}
        for at, name in enumerate(self.sums):
            told_by = self.currencies.get(name)
            place = f"currency{self._told_by.index(told_by)}" if told_by else ""
            values: Document = {}
            for part in parts:
                currency = part[place] if place else ""
                values[currency] = _plus(values.get(currency), part[f"sum{at}"])
            if name not in self.amounts:
                found[name] = sum(values.values())
            elif place:
                found[name] = {
                    currency: _amount(name, value)
                    for currency, value in sorted(values.items())
                    if currency or value.to_decimal()  # what has no amount has no currency
                }
            else:
                found[name] = _amount(name, values[""])
        return found


def _together(found: Iterable[Document], label: Label) -> Iterable[Document]:
    """The groups of an entry as one: that of its code, and those of texts that were typed before there was one."""
    by_entry: dict[str, Document] = {}
    for one in found:
        code = label(one["_id"] or "")[0]
        known = by_entry.setdefault(code, {"_id": code or None, "count": 0, "parts": []})
        known["count"] += one["count"]
        known["parts"] += one["parts"]
    return by_entry.values()


def _amount(name: str, value: Decimal128) -> str:
    """A sum as it is answered.  Numbers of fields that the company has added have as many decimals as they need."""
    return amounts.told(amounts.tidied(value) if name.startswith(f"{OWN}.") else value)


def _plus(first: Any, second: Any) -> Any:
    if first is None:
        return second
    if isinstance(second, Decimal128):
        return Decimal128(first.to_decimal() + second.to_decimal())
    return first + second


def _require_one_of(parameter: str, name: str, known: Sequence[str]) -> None:
    """Raises Refused VALIDATION that tells the fields there are; what somebody may not see is none."""
    if name not in known:
        told = Why("lists.what_has_controls") if has_controls(name) else told_name(name[:100])
        if not known:
            raise Refused("lists.no_grouping", name=told, field=parameter)
        raise Refused("lists.grouping", name=told, names=known, field=parameter)
