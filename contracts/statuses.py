"""Statuses of a kind of record: which there are, and by which steps a record goes from one to another.

    CAMPAIGN_STATUSES = Statuses(
        "PLANNED",
        Step("RUNNING", after=("PLANNED",), needs=("starts_on",)),
        Step("CANCELLED", after=("PLANNED", "RUNNING"), reason=True),
    )

    @record("/campaigns", view="campaigns", edit="campaigns", statuses=CAMPAIGN_STATUSES)
    class Campaign: ...

A record begins with the first one.  Where the kind has a pool (`contracts.pools`), `pooled` names the status that
stands in its place while a record belongs to nobody: both follow from whose it is, and no step leads from one to the
other.  Where a record may become something else, `becomes` names its status from then on: its service says when.
From the declaration come the command SetCampaignStatus (PUT <row>/status, and its
bulk form), the event CampaignStatusSet, the columns `status`, `status_since` and `status_reason` of its list, and on
its page what each step would be refused for now (ADR 0047).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from contracts.declare import ContractError
from contracts.permissions import RIGHTS

STATUS, STATUS_REASON, STATUS_SINCE = "status", "status_reason", "status_since"
"""The fields of a row with its status, why it has it ("" where nobody said), and since when."""
REASON = "reason"
"""The field of the command that says why."""

_CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


@dataclass(frozen=True)
class Step:
    """A step to the status `to` from each of those in `after`.

    `right`: who makes it needs this right besides that to edit the record, and it must reach the record too.
    `needs` are the fields of the record that must be filled before.  `reason`: whoever makes it must say why.
    """

    to: str
    after: tuple[str, ...]
    right: str = ""
    needs: tuple[str, ...] = ()
    reason: bool = False


@dataclass(frozen=True)
class Statuses:
    """The statuses of a kind of record: the `first`, and the steps by which the others are reached.

    `pooled`: in place of the first while the record belongs to nobody; "" where nothing follows from whose it is.
    `becomes`: of a record that has become something else, to which and from which no step leads; "" where none does.
    """

    first: str
    steps: tuple[Step, ...]
    pooled: str
    becomes: str

    def __init__(self, first: str, *steps: Step, pooled: str = "", becomes: str = "") -> None:
        """Raises ContractError where a status can't be reached, or a step is declared twice or leads nowhere."""
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "pooled", pooled)
        object.__setattr__(self, "becomes", becomes)
        names, pairs = self.names, [(before, step.to) for step in steps for before in step.after]
        reached = {first}
        while further := {to for before, to in pairs if before in reached} - reached:
            reached |= further
        if wrong := [name for name in names if not _CODE.fullmatch(name)]:
            raise ContractError(f"{wrong[0]!r}: a status has a name such as IN_PROGRESS")
        if unknown := {before for before, _ in pairs} - set(names):
            raise ContractError(f"no step leads to the status {', '.join(sorted(unknown))}")
        if wrong := [to for number, (before, to) in enumerate(pairs) if before == to or (before, to) in pairs[:number]]:
            raise ContractError(f"the status {wrong[0]} is reached from one status by two steps, or from itself")
        if pooled and any(pooled in (step.to, *step.after) for step in steps):
            raise ContractError(f"no step leads to {pooled}, nor on from it: it follows from whose the record is")
        if becomes and (becomes == pooled or any(becomes in (step.to, *step.after) for step in steps)):
            raise ContractError(f"no step leads to {becomes}, nor on from it: the record is something else then")
        if wrong := [step.to for step in steps if not step.after]:
            raise ContractError(f"the step to {wrong[0]} comes after no status")
        if wrong := [name for name in names if name not in reached and name not in (pooled, becomes)]:
            raise ContractError(f"no way leads from {first} to the status {', '.join(wrong)}")
        if wrong := [step.right for step in steps if step.right and step.right not in RIGHTS]:
            raise ContractError(f"there is no right {wrong[0]}")

    @property
    def names(self) -> Sequence[str]:
        """All statuses, in the order in which they are declared."""
        pooled, becomes = ([one] if one else [] for one in (self.pooled, self.becomes))
        return list(dict.fromkeys([self.first, *pooled, *(step.to for step in self.steps), *becomes]))

    @property
    def type(self) -> Any:
        """The type of a field that holds one."""
        return Literal[tuple(self.names)]

    def begins(self, *, owned: bool) -> str:
        """The status of a record that begins, or changes hands: by whether it belongs to somebody."""
        return self.first if owned or not self.pooled else self.pooled

    def after_giving(self, status: str, *, owned: bool) -> str:
        """The status of a record that had one when it changed hands: others than the first stay."""
        return self.begins(owned=owned) if status in (self.first, self.pooled) else status

    def step(self, before: str, to: str) -> Step | None:
        """The step from one status to another; None where there is none."""
        return next((step for step in self.steps if step.to == to and before in step.after), None)

    def after(self, status: str) -> Sequence[str]:
        """The statuses to which a step leads from this one."""
        return [step.to for step in self.steps if status in step.after]

    def needed_in(self, status: str) -> frozenset[str]:
        """The fields that are filled in every record with this status: those that each way to it asks for."""
        ways = [frozenset(step.needs) for step in self.steps if step.to == status]
        return frozenset.intersection(*ways) if ways and status != self.first else frozenset()
