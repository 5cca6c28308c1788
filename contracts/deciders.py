"""Who decides something: words that approvals use, and whoever asks for one (feature APR-04)."""

from typing import Literal
from uuid import UUID

from contracts.declare import value
from contracts.types import Flag, Text

DeciderKind = Literal["SUPERIOR", "ROLE", "RIGHT", "USER"]
CaseRight = Literal["orders.approve", "contracts.approve"]
"""The rights that deciding a case may need, whatever its nodes say besides (SEC-16)."""


@value
class Decider:
    """One answer to who decides (APR-04).  Who that is now is asked when it is decided, and never kept (ADR 0023).

    SUPERIOR: the next one above who leads people, above the submitter, or above `user_id` where that is given.
    ROLE: whoever has the `role`.  RIGHT: whoever holds the `right`, as far as it reaches the submitter.
    USER: `user_id`, or who does now what waits for that person.
    """

    kind: DeciderKind
    role: Text = ""
    right: Text = ""
    user_id: UUID | None = None

    @property
    def is_complete(self) -> bool:
        """Whether it names what its kind needs, and nothing else."""
        named = (bool(self.role), bool(self.right), self.user_id is not None)
        if self.kind == "SUPERIOR":
            return named[:2] == (False, False)
        return named == tuple(self.kind == kind for kind in ("ROLE", "RIGHT", "USER"))

    @property
    def mark(self) -> str:
        """It as one text, by which rows are found that it decides."""
        named = self.role if self.kind == "ROLE" else self.right if self.kind == "RIGHT" else self.user_id or ""
        return f"{self.kind}:{named}"

    @classmethod
    def marked(cls, mark: str) -> "Decider":
        """The decider with this mark."""
        kind, _, named = mark.partition(":")
        if kind == "ROLE":
            return cls(kind="ROLE", role=named)
        if kind == "RIGHT":
            return cls(kind="RIGHT", right=named)
        return cls(kind="USER" if kind == "USER" else "SUPERIOR", user_id=UUID(named) if named else None)


@value
class Node:
    """One decision of a case: what it is called and who makes it, any of several or `all_of` them (APR-02, APR-04).

    An empty `title`: it is called as the texts call its key.
    """

    told_apart_by = "key"

    key: Text
    deciders: tuple[Decider, ...]
    title: Text = ""
    all_of: Flag = False

    @property
    def called(self) -> str:
        return self.title or self.key
