"""Who did something, as events tell it, and how people work with Salestream."""

from typing import Annotated
from uuid import UUID

from contracts.declare import value
from contracts.languages import Language
from contracts.lists import MOST_ROWS
from contracts.types import Text, WholeField


@value
class Person:
    """A user as known at the time: id and name.  The id is None for what Salestream did by itself."""

    user_id: UUID | None = None
    name: Text = "Salestream"


SALESTREAM = Person()
NOBODY = Person(name="")
"""The owner of a record that belongs to nobody (CUS-12)."""


class PageRowsField(WholeField):
    """Rows of a page."""

    lowest = 1
    highest = MOST_ROWS


PageRows = Annotated[int, PageRowsField]


@value
class Preferences:
    """How somebody works with Salestream; None is what the company has set for everybody (UIX-11, SET-02, SET-03)."""

    language: Language | None = None
    time_zone: Text | None = None
    rows_per_page: PageRows | None = None
