"""With whom a record is shared besides whose it is (COL-07)."""

from typing import Literal
from uuid import UUID

from contracts.declare import value
from contracts.types import Day, Text

Access = Literal["READ", "EDIT"]
"""What whoever a record is shared with may do; who may edit it reads it too."""
SHARES = "shares"
"""The field of events and rows that tells with whom a record is shared."""
SHARED_WITH = "shared_with"
"""The field of a row with the ids of those with whom it is shared."""
SHARED_WITH_ME = "shared_with_me"
"""The filter for what others have shared with whoever asks."""
MOST_SHARES = 50


@value
class Share:
    """A user, or a department with all below it, with whom a record is shared: until it is revoked, or a day is over.

    `name` is what they were called when it was shared.
    """

    with_id: UUID
    kind: Literal["USER", "DEPARTMENT"]
    name: Text
    access: Access = "READ"
    until: Day | None = None
