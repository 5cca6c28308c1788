"""What a client is told of lists and pages: derived from views, for whom sees some of their fields."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, get_args, get_type_hints

from chassis.metadata.shapes import Choice, Column, FormType, ListFilter, ViewMetadata
from chassis.model.custom_columns import extended
from chassis.model.custom_rights import seen
from chassis.model.duplicates import alike_by, path_of, right_of
from chassis.model.row_fields import FieldType
from chassis.model.views import Exact, Filter, Incomplete, OfCaller, Range, Shared, View, Words, parameter_names
from chassis.model.wording import Wording
from chassis.queries.conditions import fields_asked, operators_of
from chassis.queries.filters import ClosedSets, choices_of
from chassis.queries.grouping import groups_of, sums_of
from contracts.custom_fields import OWN, CustomField
from contracts.declare import REGISTRY
from contracts.lists import VIEWED
from contracts.permissions import FIELD_RIGHTS
from contracts.records import KINDS
from contracts.types import CurrencyField, RoleField

_SEVERAL: Mapping[str, Literal["all_of", "none_of"]] = {"all": "all_of", "none": "none_of"}
_FILTERS: Mapping[type[Filter], Literal["equal", "between", "words"]] = {
    OfCaller: "equal",
    Range: "between",
    Words: "words",
    Shared: "equal",
    Incomplete: "equal",
}
_SWITCHES = (Shared, Incomplete)
_BOUNDS: Mapping[type, FormType] = {date: "day", datetime: "moment", Decimal: "amount", int: "whole"}


class ViewTold:
    """What somebody is told of a view who holds the rights that `may` tells.

    `own` are the fields that the company has added to such records.
    `sets` are the closed sets that no view can name; `said` is what a value of one is called (of a set, value).
    """

    def __init__(
        self,
        view: View,
        wording: Wording,
        may: Callable[[str], bool],
        sets: ClosedSets,
        said: Callable[[str, str], str],
        *,
        own: Sequence[CustomField] = (),
    ) -> None:
        own = seen(own, may)
        self._own = {one.path: one for one in own}
        view = extended(view, own)
        self._view, self._wording, self._sets, self._said = view, wording, sets, said
        self._owners = (view.name, view.what)
        self._may = may
        self._seen = {name: kind for name, kind in view.types.items() if self._sees(name)}

    def told(self) -> ViewMetadata:
        view = self._view
        page = f"{view.path}/{{{view.detail}}}" if view.detail else view.path
        return ViewMetadata(
            name=view.name,
            label=self._wording.list(view.name),
            record=self._wording.kind(view.what),
            right=view.permission,
            list_path=view.path if view.is_list else None,
            page_path=page if view.detail or not view.is_list else None,
            columns=self._columns(),
            filters=self._filters() if view.is_list else [],
            sorts=[name for name in view.sortable if name in self._seen or name == VIEWED] if view.is_list else [],
            default_sort=view.order if view.is_list and view.order.removeprefix("-") in self._seen else "",
            aside=view.aside,
            history_path=f"{page}/history" if view.history else None,
            overview_path=view.overview or None,
            duplicates_path=path_of(view) if self._may_enter() else None,
            alike_in=[list(one.fields) for one in alike_by(view)] if self._may_enter() else [],
            events=self._events(),
        )

    def _may_enter(self) -> bool:
        """Whether one may enter such a record, and may ask whether it is there already."""
        return bool(path_of(self._view)) and self._may(right_of(self._view))

    def _events(self) -> list[Choice]:
        """The events that the history of a row tells of."""
        specs = sorted((REGISTRY.event_of(fact) for fact in self._view.history), key=lambda spec: spec.name)
        return [Choice(spec.name, self._wording.event(spec.cls.__name__)) for spec in specs]

    def _sees(self, field: str) -> bool:
        right = self._view.hidden.get(field.partition(".")[0]) or FIELD_RIGHTS.get(field.removeprefix(f"{OWN}."))
        return right is None or self._may(right)

    def _has_unseen_parts(self, field: str) -> bool:
        """Whether it holds things of any kind, some of them unseen: such a field is not searched."""
        return field in self._view.holds_anything and not all(map(self._may, FIELD_RIGHTS.values()))

    def _columns(self) -> list[Column]:
        view = self._view
        hints = get_type_hints(view.row)
        asked = fields_asked(view) if view.is_list else {}
        sorts = {*view.sortable} if view.is_list else set()
        groups, sums = (set(groups_of(view)), set(sums_of(view))) if view.is_list else (set(), set())
        return [
            Column(
                name=name,
                label=self._label(name),
                type=form_type(kind),
                of=form_type(kind.of) if kind.of else None,
                nullable=name in self._own or type(None) in get_args(hints[name]),
                choices=self._choices(name, kind.single.choices or view.named.get(name, ())),
                sortable=name in sorts,
                groupable=name in groups,
                summable=name in sums,
                operators=[*operators_of(kind)] if name in asked else [],
                right=self._own[name].view_right if name in self._own else view.hidden.get(name, ""),
                personal=name.partition(".")[0] in view.personal,
                dictionary=view.picked.get(name, ""),
                named_in=next((kind.path for kind in KINDS.values() if kind.code == view.parents.get(name)), ""),
                retired=name in self._own and self._own[name].retired,
            )
            for name, kind in self._seen.items()
        ]

    def _label(self, name: str) -> str:
        """What a field is called: one that the company has added by what the company calls it."""
        own = self._own.get(name)
        return self._wording.named(own.label) if own else self._wording.field(self._owners, name)

    def _filters(self) -> list[ListFilter]:
        return [found for name, rule in self._view.filters.items() if (found := self._filter(name, rule))]

    def _filter(self, name: str, rule: Filter) -> ListFilter | None:
        """A filter as somebody has it; None for one of fields that they don't see."""
        fields = rule.fields if isinstance(rule, Words) else [rule.field or name]
        seen = [field for field in fields if self._sees(field) and not self._has_unseen_parts(field)]
        if not seen:
            return None
        return ListFilter(
            name=name,
            label=self._wording.field(self._owners, name)
            if isinstance(rule, _SWITCHES)
            else ", ".join(dict.fromkeys(self._wording.field(self._owners, field.partition(".")[0]) for field in seen)),
            kind=_SEVERAL.get(rule.match, "equal") if isinstance(rule, Exact) else _FILTERS[type(rule)],
            parameters=parameter_names({name: rule}),
            fields=seen,
            type=self._type(seen[0], rule),
            choices=self._taken(seen[0], rule) if isinstance(rule, Exact) else None,
        )

    def _type(self, field: str, rule: Filter) -> FormType:
        if isinstance(rule, _SWITCHES):
            return "flag"
        if isinstance(rule, Words):
            return "text"
        return _BOUNDS[rule.kind] if isinstance(rule, Range) else form_type(self._view.types[field].single)

    def _taken(self, field: str, rule: Exact) -> list[Choice] | None:
        """The values that a filter takes, where they are a closed set."""
        kind = self._view.types[field].single
        values = choices_of(kind, rule, self._sets)
        known = "" if rule.among or kind.choices else rule.known or kind.known
        if known:
            return [Choice(value, self._said(known, value)) for value in values]
        return self._choices(field, values)

    def _choices(self, field: str, values: Sequence[str]) -> list[Choice] | None:
        if own := self._own.get(field):
            return own_choices(own, self._wording)
        return [Choice(value, self._wording.choice(self._owners, field, value)) for value in values] or None


def own_choices(field: CustomField, wording: Wording) -> list[Choice] | None:
    """The choices of a field that the company has added; those that were taken away are read, and not given."""
    return [Choice(one.key, wording.named(one.label), one.retired) for one in field.choices] or None


def form_type(kind: FieldType) -> FormType:
    """A field's kind as clients know it: a code that has a form of its own by that."""
    if isinstance(kind.guard, CurrencyField):
        return "currency"
    return "role" if isinstance(kind.guard, RoleField) else kind.kind
