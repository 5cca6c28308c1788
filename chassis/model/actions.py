"""What a caller may do with what a row shows, and the reason why not, as the command would be refused."""

from typing import Any

import msgspec

from contracts.errors import Refused


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the caller may give a command of the record now; `code`, `reason` and `params` say why not.

    What a command says may still be refused, and so may what has changed since.  `status`: of a command that takes the
    record to another status, the one that it is about; there is one such action for each.
    """

    command: str
    allowed: bool
    status: str | None = None
    code: str | None = None
    reason: str | None = None
    params: dict[str, Any] = {}

    @classmethod
    def of(cls, command: str, why: Refused | None, status: str | None = None) -> "Action":
        """What is told of a command that would be refused so, or that would not be."""
        if why is None:
            return cls(command=command, allowed=True, status=status)
        told: dict[str, Any] = why.why.told()
        return cls(command=command, allowed=False, status=status, code=why.code, **told)

    def told(self) -> dict[str, Any]:
        """As a row holds it."""
        return msgspec.structs.asdict(self)
