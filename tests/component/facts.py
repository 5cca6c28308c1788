"""Facts and records made by hand, for tests of consumers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from chassis.messaging.kafka import partition_of
from chassis.messaging.records import Incoming
from chassis.model.principal import Principal
from contracts.declare import REGISTRY
from contracts.inventory import AddProduct, Prices
from contracts.orders import OrderLine, OrderSubmitted, Sale
from contracts.people import Person
from contracts.sales import CustomerSnapshot
from contracts.schemas import encode
from contracts.types import Money

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
TODAY = date(2026, 3, 2)


def yuan(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="CNY")


def product(**more: Any) -> Any:
    """A command for a new product."""
    prices = Prices(purchase=yuan("60.00"), sale=yuan("100.00"))
    return AddProduct(**{"name": f"Phone {uuid4()}", "model": "A1", "brand": "Apple", "prices": prices, **more})


def submitted(
    by: Principal, price: str, *, approval: bool = False, warehouse: bool = False, **more: Any
) -> OrderSubmitted:
    """An order of one line was submitted."""
    id = uuid4()
    line = OrderLine(
        product_id=uuid4(),
        quantity=1,
        unit_price=Decimal(price),
        amount=Decimal(price),
        name="Phone",
        model="A1",
        brand="Apple",
    )
    customer = CustomerSnapshot(customer_id=uuid4(), name="Acme")
    facts: dict[str, Any] = {
        "order_id": id,
        "round": 1,
        "number": "SO-000001",
        "customer": customer,
        "sale": Sale(order_date=TODAY, customer_id=customer.customer_id, lines=(line,), total=yuan(price)),
        "threshold": yuan("5000.00"),
        "route": ("SUPERVISOR", "FINANCE") if approval else (),
        "shipping": "WAREHOUSE" if warehouse else "AUTOMATIC",
        "status": "PENDING_APPROVAL" if approval else "SUBMITTED",
        "submitter": Person(user_id=by.user_id, name=by.name),
        "superior_id": by.superior_id,
    }
    return OrderSubmitted(**{**facts, **more})


def incoming(fact: Any, position: int, *, offset: int | None = None, partitions: int = 1) -> Incoming:
    """A fact as a consumer receives it."""
    spec = REGISTRY.event_of(type(fact))
    key = str(getattr(fact, spec.key))
    return Incoming(
        source=f"{spec.topic}:{partition_of(key, partitions)}",
        topic=spec.topic,
        offset=position - 1 if offset is None else offset,
        key=key,
        type=spec.name,
        id=f"{UUID(int=position)}/{position}",
        position=position,
        at=NOW,
        value=encode(fact),
        headers={"ce_correlationid": "call-1"},
        raw_headers=(),
        fact=fact,
    )
