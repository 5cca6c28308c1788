"""How many rows of a list have each value of a field, and what their numbers come to (`?group=status&sum=amount`).

Without a field all rows are one group.  Those are counted that the list has, with its filters and conditions, within
the caller's scope, as of the moment of the page.  Amounts are summed for each currency by itself.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from chassis.model.views import View
from contracts.errors import Refused
from contracts.lists import GROUP, SUM
from contracts.reasons import Why
from contracts.schemas import told_name
from contracts.text import has_controls

MOST_GROUPS = 200
MOST_SUMS = 10
CURRENCY = "currency"
Document = dict[str, Any]


def groups_of(view: View) -> list[str]:
    """The fields by which rows may be grouped: those of few values that are the same as they are stored."""
    kinds = view.types.items()
    return [name for name, kind in kinds if kind.kind in ("choice", "flag", "id", "code") and _is_kept(view, name)]


def sums_of(view: View) -> list[str]:
    """The fields that may be summed.  A version is no amount of anything."""
    kinds = view.types.items()
    found = [name for name, kind in kinds if kind.kind in ("amount", "whole") and _is_kept(view, name)]
    return [name for name in found if name != "version"]


def _is_kept(view: View, name: str) -> bool:
    return name != "id" and name not in view.computed


@dataclass(frozen=True)
class Grouping:
    """Rows by the values of a field; `sums` are added up, those that are `amounts` by the currency of the row."""

    field: str | None
    sums: Sequence[str]
    amounts: frozenset[str]
    by_currency: bool

    @classmethod
    def asked(
        cls, view: View, sees: Callable[[str], bool], field: str | None, sums: Sequence[str]
    ) -> "Grouping | None":
        """What somebody asks for who sees the fields that `sees` tells.  Raises Refused VALIDATION."""
        if field is None and not sums:
            return None
        if field is not None:
            _require_one_of(GROUP, field, [name for name in groups_of(view) if sees(name)])
        if len(sums) > MOST_SUMS:
            raise Refused("lists.most_sums", most=MOST_SUMS, field=SUM)
        for name in sums:
            _require_one_of(SUM, name, [name for name in sums_of(view) if sees(name)])
        amounts = frozenset(name for name in sums if view.types[name].kind == "amount")
        return cls(field, list(dict.fromkeys(sums)), amounts, bool(amounts) and CURRENCY in view.types)

    def stages(self) -> list[Document]:
        """The stages behind those that select the rows.  One group more than may be is enough to know."""
        currency = {"$ifNull": [f"${CURRENCY}", ""]} if self.by_currency else ""
        value = {"$ifNull": [f"${self.field}", None]} if self.field else None
        added = {f"sum{at}": {"$sum": self._number(name)} for at, name in enumerate(self.sums)}
        parts = {"currency": "$_id.currency", **{name: f"${name}" for name in added}}
        return [
            {
                "$group": {
                    "_id": {"value": value, "currency": currency},
                    "count": {"$sum": 1},
                    **added,
                }
            },
            {"$group": {"_id": "$_id.value", "count": {"$sum": "$count"}, "parts": {"$push": parts}}},
            {"$limit": MOST_GROUPS + 1},
        ]

    def _number(self, name: str) -> Any:
        return {"$toDecimal": {"$ifNull": [f"${name}", 0]}} if name in self.amounts else f"${name}"

    def told(self, found: Iterable[Document]) -> list[Document]:
        """The groups as they are answered, the largest first.  Raises Refused TOO_LARGE for more than may be."""
        groups = [
            {"value": one["_id"], "count": one["count"], **({"sums": self._sums(one["parts"])} if self.sums else {})}
            for one in found
        ]
        if len(groups) > MOST_GROUPS:
            raise Refused("lists.most_groups", name=self.field, most=MOST_GROUPS, field=GROUP)
        return sorted(groups, key=lambda group: (-group["count"], str(group["value"])))

    def _sums(self, parts: Sequence[Document]) -> Document:
        found: Document = {}
        for at, name in enumerate(self.sums):
            values = {part["currency"]: part[f"sum{at}"] for part in parts}
            if name not in self.amounts:
                found[name] = sum(values.values())
            elif self.by_currency:
                found[name] = {currency: str(value) for currency, value in sorted(values.items())}
            else:
                found[name] = str(values[""])
        return found


def _require_one_of(parameter: str, name: str, known: Sequence[str]) -> None:
    """Raises Refused VALIDATION that tells the fields there are; what somebody may not see is none."""
    if name not in known:
        told = Why("lists.what_has_controls") if has_controls(name) else told_name(name[:100])
        if not known:
            raise Refused("lists.no_grouping", name=told, field=parameter)
        raise Refused("lists.grouping", name=told, names=known, field=parameter)
