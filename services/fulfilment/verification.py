"""What must hold between services once an order's saga is done, for `salestream verify` (INV-11, INV-13, ORD-15)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from chassis.model.checks import Rule
from contracts.inventory import StockDeducted, StockReturned
from contracts.orders import OrderCancelled, OrderRejected, OrderShipped, OrderSubmitted, OrderWithdrawn


class _Line(Protocol):
    @property
    def product_id(self) -> UUID: ...

    @property
    def quantity(self) -> int: ...


@dataclass(slots=True)
class Round:
    """One submission of an order: how often its goods were taken and given back, and how it ended."""

    ordered: tuple[tuple[UUID, int], ...] | None = None
    taken: tuple[tuple[UUID, int], ...] | None = None
    deductions: int = 0
    returns: int = 0
    gave_back: int = 0
    shipped: int = 0
    called_off: bool = False


def _goods(lines: Iterable[_Line]) -> tuple[tuple[UUID, int], ...]:
    total: Counter[UUID] = Counter()
    for line in lines:
        total[line.product_id] += line.quantity
    return tuple(sorted(total.items()))


def submitted(round: Round, fact: OrderSubmitted) -> None:
    round.ordered = _goods(fact.sale.lines)


def deducted(round: Round, fact: StockDeducted) -> None:
    round.deductions += 1
    round.taken = _goods(fact.lines)


def returned(round: Round, fact: StockReturned) -> None:
    round.returns += 1
    round.gave_back += 1 if fact.lines else 0


def shipped(round: Round, fact: OrderShipped) -> None:
    round.shipped += 1


def called_off(round: Round, fact: Any) -> None:
    round.called_off = True


def impossible(round: Round) -> str:
    if max(round.deductions, round.returns, round.shipped) > 1:
        return f"deducted {round.deductions}, returned {round.returns}, shipped {round.shipped} times"
    if round.ordered and round.taken and round.ordered != round.taken:
        return "other goods were taken from stock than were ordered"
    return ""


def unsettled(round: Round) -> str:
    """Deductions minus returns are 1 for a round that was shipped, 0 for one that was called off."""
    out = round.deductions - round.gave_back
    if round.shipped and out != 1:
        return f"shipped, but deductions minus returns are {out}"
    if round.called_off and not round.shipped and out != 0:
        return f"called off, but deductions minus returns are {out}"
    return ""


GOODS = Rule(
    name="deductions = shipments",
    state=Round,
    key=lambda fact: (fact.order_id, fact.round) if fact.round else None,
    folds={
        OrderSubmitted: submitted,
        StockDeducted: deducted,
        StockReturned: returned,
        OrderShipped: shipped,
        OrderCancelled: called_off,
        OrderWithdrawn: called_off,
        OrderRejected: called_off,
    },
    never=impossible,
    at_rest=unsettled,
)

CHECKS = (GOODS,)
