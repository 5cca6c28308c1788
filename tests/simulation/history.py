"""What clients asked and what they were told: invoke, then ok, fail or unknown."""

from dataclasses import dataclass, field
from typing import Any, Literal

from chassis.writer.request import Answer
from contracts.errors import Refused

Outcome = Literal["invoked", "ok", "fail", "unknown"]


@dataclass
class Operation:
    """A command somebody wanted done.  `answers`: every answer that came, one for each repetition that got one.

    `is_due`: it is this person's turn, or theirs to change.  `is_late`: it came, with its token, after an answer
    that forbids it.  `is_certain`: nothing goes wrong any more, and nothing forbids it.
    """

    command_id: str
    command: Any
    service: str
    keyed: bool
    outcome: Outcome = "invoked"
    answers: list[Answer] = field(default_factory=list)
    refusal: Refused | None = None
    is_due: bool = False
    is_late: bool = False
    is_certain: bool = False

    def is_in_doubt(self) -> None:
        """It was sent and nobody was told what came of it: what another connection was told says nothing now."""
        if self.outcome == "fail":
            self.outcome, self.refusal = "unknown", None

    def __str__(self) -> str:
        told = f" {self.refusal.code}" if self.refusal else ""
        return f"{type(self.command).__name__} {self.command_id} ({self.outcome}{told})"


@dataclass
class History:
    """All operations of a run, in the order they were invoked."""

    operations: list[Operation] = field(default_factory=list)

    def invoke(self, command: Any, service: str, *, keyed: bool) -> Operation:
        made = Operation(f"command-{len(self.operations) + 1}", command, service, keyed)
        self.operations.append(made)
        return made
