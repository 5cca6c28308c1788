"""Whose a record is, as far as that decides who reaches it: its own owner, or that of the record it belongs to.

A kind says which by `owned` or `reached_through` (ADR 0040, 0054).  What decides here decides for commands, pages and
what is said about a record alike; lists ask the same of MongoDB (`chassis.queries.reader`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Self
from uuid import UUID

import msgspec

from chassis.model.context import AccessScope
from contracts.records import OWNER
from contracts.schemas import decode
from contracts.sharing import SHARES, Access, Share

Reach = Callable[[str], AccessScope]
"""Whose records somebody reaches by a right."""


@dataclass(frozen=True)
class Whose:
    """Those whose a record is (None: nobody), and with whom it is shared.

    `rights` are those to see the records through which it is reached: who sees it sees them, too.
    """

    owners: tuple[UUID | None, ...]
    shares: tuple[Share, ...] = ()
    rights: tuple[str, ...] = ()

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """Whose a record is that a row of a list shows."""
        owner = row.get(OWNER)
        shares = (decode(Share, msgspec.json.encode(share)) for share in row.get(SHARES) or ())
        return cls((owner and UUID(owner),), tuple(shares))

    def through(self, right: str) -> "Whose":
        """Whose that is which is reached through this record; `right` is that to see this one."""
        return replace(self, rights=(*self.rights, right))

    def is_reached(self, by: AccessScope, today: date, access: Access = "READ") -> bool:
        """Whether somebody reaches it: by whose it is, or by with whom that is shared, to read or to edit."""
        return any(by.reaches(owner, self.shares, today, access) for owner in self.owners)

    def is_seen(self, right: str, reach: Reach, today: date) -> bool:
        """Whether who has this reach sees it by a right, and all that it is reached through."""
        return all(self.is_reached(reach(one), today) for one in (right, *self.rights))


OF_NOBODY = Whose((None,))
"""Of a record whose way to an owner is not known: those reach it whose rights reach everybody's."""
