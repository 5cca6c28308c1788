"""Saved views: a list as somebody wants to see it, under a name (UIX-10, UIX-11, UIX-13).

A view holds what a query of the list holds, its parameters, and which columns are shown.  So whatever lists can be
asked can be saved, and `?view=` of a list is the query that was saved.
"""

from typing import Annotated, Literal

from contracts.declare import value
from contracts.lists import GROUP, SORT, SUM, WHERE, WORDS
from contracts.types import Name, NameField, RoleCode, Text, TextField, Whole

Audience = Literal["ME", "ROLES", "EVERYBODY"]
"""Who sees a view: its owner alone, whoever has one of some roles, or everybody."""
SHARE = "lists.share"
"""The right to let others see a view."""
LIMIT, COUNT = "limit", "count"
SAVED = frozenset({WHERE, WORDS, SORT, GROUP, SUM, LIMIT, COUNT})
"""What of a query can be saved besides filters: not which page, which moment, or which form."""
MOST_PARAMETERS, MOST_VALUES, MOST_COLUMNS = 50, 100, 200
SAVED_VIEWS, DEFAULT_VIEWS = "saved_views", "default_views"
"""The lists of what was saved, and of what people have chosen for each list."""
MINE = "default"
"""In place of a view's id: the one that the caller has chosen for the list."""


class ColumnField(NameField):
    """The name of a column, which is shown once."""

    once = True


class ParameterValueField(TextField):
    """A value of a parameter: at most as long as conditions are (`where`)."""

    longest = 4_000


ColumnName = Annotated[str, ColumnField]
ParameterValue = Annotated[str, ParameterValueField]


@value
class ListParameter:
    """A parameter of a list and its values, as a query has them."""

    told_apart_by = "name"

    name: Name
    values: tuple[ParameterValue, ...]


@value
class ListView:
    """How a list is shown: its name in GET /metadata, what it is asked, and its columns in their order (none: all)."""

    list_name: Text
    name: Text
    parameters: tuple[ListParameter, ...] = ()
    columns: tuple[Text, ...] = ()
    audience: Audience = "ME"
    roles: tuple[RoleCode, ...] = ()
    position: Whole = 0
