"""Who did something, as events tell it."""

from uuid import UUID

from contracts.declare import value
from contracts.types import Text


@value
class Person:
    """A user as known at the time: id and name.  The id is None for what Salestream did by itself."""

    user_id: UUID | None = None
    name: Text = "Salestream"


SALESTREAM = Person()
NOBODY = Person(name="")
"""The owner of a record that belongs to nobody (CUS-12)."""
