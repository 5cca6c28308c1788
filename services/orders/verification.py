"""What must hold of orders, for `salestream verify`: no two have one number."""

from dataclasses import dataclass
from uuid import UUID

from chassis.model.checks import Rule
from contracts.orders import OrderCreated, is_counted


@dataclass(slots=True)
class Holders:
    """The first order that has a number, and the last other one."""

    first: UUID | None = None
    other: UUID | None = None


def created(holders: Holders, fact: OrderCreated) -> None:
    if holders.first is None:
        holders.first = fact.order_id
    else:
        holders.other = fact.order_id


def shared(holders: Holders) -> str:
    return f"the orders {holders.first} and {holders.other} have this number" if holders.other else ""


NUMBERS = Rule(
    name="order numbers",
    state=Holders,
    key=lambda fact: fact.number if is_counted(fact.number) else None,
    folds={OrderCreated: created},
    never=shared,
)

CHECKS = (NUMBERS,)
