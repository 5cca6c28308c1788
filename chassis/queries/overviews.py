"""What there is about a record: the lists whose rows name it, told together on one page (CUS-07, ADR 0062)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from chassis.model.views import Exact, View
from contracts.subjects import RECORD_IDS, SUBJECT_ID, SUBJECT_KIND

ROWS = 10
"""So many rows of each list, and entries of the history, such a page has; it tells where all of them are."""


@dataclass(frozen=True)
class Part:
    """A list with rows that name a record, by the filter `field`; of `kind`, where it is about records of any kind.

    `name` is what the page calls it: the name of the list, with the field behind where that names such a record by
    several.
    """

    name: str
    view: View
    field: str
    kind: str = ""

    def asked(self, id: str) -> Mapping[str, str]:
        """The filters by which the list has the rows that name a record."""
        return {**({SUBJECT_KIND: self.kind} if self.kind else {}), self.field: id}

    def path(self, id: str) -> str:
        """Where all of them are found."""
        return f"{self.view.path}?{urlencode(self.asked(id))}"


def parts_of(view: View, views: Iterable[View]) -> Sequence[Part]:
    """The lists whose rows name the records of a view; none for what is no record of a kind."""
    if not view.overview:
        return ()
    found: dict[str, Part] = {}
    for other in views:
        for part in _parts_in(view, other):
            found.setdefault(part.name, part)
    return [*found.values()]


def _parts_in(view: View, other: View) -> Iterator[Part]:
    """The ways in which the rows of a list name the records of a view.

    Not one's own list of what one has looked at, and no report, whose rows are sums.
    """
    if not other.is_list or other.sums or (other.scope and other.scope.only_own):
        return
    exact = {name: rule for name, rule in other.filters.items() if isinstance(rule, Exact)}
    if timeline := next((name for name, rule in exact.items() if rule.field == RECORD_IDS), None):
        yield Part(other.name, other, timeline)
        return
    if other.of_subject:
        yield Part(other.name, other, SUBJECT_ID, view.kind)
        return
    fields = fields_naming(view, other)
    for number, field in enumerate(fields):
        yield Part(f"{other.name}_{field}" if number else other.name, other, field)


def fields_naming(view: View, other: View) -> Sequence[str]:
    """The filters by which a list is asked for the rows that name a record of a view."""
    if other.of_subject:
        exact = ((name, rule) for name, rule in other.filters.items() if isinstance(rule, Exact))
        return [name for name, rule in exact if (rule.field or name) in (SUBJECT_ID, RECORD_IDS)]
    return [name for name, rule in other.filters.items() if _names(view, other, name, rule)]


def _names(view: View, other: View, name: str, rule: object) -> bool:
    """Whether a filter of a list asks for the rows that name a record of a view: by a field which says that it does, or
    which is called as that record's id is."""
    if not isinstance(rule, Exact) or rule.match != "any" or rule.field not in (None, name):
        return False
    return other.parents.get(name) == view.kind or (name == view.detail and other.types[name].kind == "id")
