"""The inventory service: its commands, one line each, and what it knows of orders."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from chassis.model.service import Replica, Service, Work
from contracts.inventory import PRODUCT, AdjustStock, DeductStock, ReceiveStock, ReturnStock
from contracts.orders import OrderCancelled, OrderChanged, OrderCompleted, OrderCreated, OrderShipped
from services.inventory.domain import Deduction, Product, StockItem, deduction_id, stock_id

BUCKETS = tuple(f"{number:02x}" for number in range(256))


@dataclass
class OpenOrders:
    """The orders of one bucket that are not yet shipped, completed or cancelled, and the products in each.

    `numbers` are what people call them; not there of those that a former release has put here.
    """

    orders: dict[UUID, frozenset[UUID]] = field(default_factory=dict)
    numbers: dict[UUID, str] = field(default_factory=dict)


def _bucket(fact: OrderCreated | OrderChanged | OrderShipped | OrderCompleted | OrderCancelled) -> str:
    return str(fact.order_id)[-2:]


def _is_open(held: OpenOrders | None, fact: OrderCreated | OrderChanged) -> OpenOrders:
    held = held or OpenOrders()
    number = {fact.order_id: fact.number} if isinstance(fact, OrderCreated) else {}
    products = frozenset(line.product_id for line in fact.lines)
    return OpenOrders({**held.orders, fact.order_id: products}, {**held.numbers, **number})


def _is_closed(held: OpenOrders | None, fact: OrderShipped | OrderCompleted | OrderCancelled) -> OpenOrders | None:
    held = held or OpenOrders()
    orders = {id: products for id, products in held.orders.items() if id != fact.order_id}
    numbers = {id: number for id, number in held.numbers.items() if id != fact.order_id}
    return OpenOrders(orders, numbers) if orders else None


# A changed order may drop a product, and its event doesn't say which: a row per product could not be taken back.  So
# rows stand by order, gathered in 256 buckets that the rare DeleteProduct reads one after another.
OPEN_ORDERS = Replica(
    "open_orders",
    OpenOrders,
    feeds={
        OrderCreated: _is_open,
        OrderChanged: _is_open,
        OrderShipped: _is_closed,
        OrderCompleted: _is_closed,
        OrderCancelled: _is_closed,
    },
    key=_bucket,
)


def _open_orders_with(product_id: UUID, work: Work) -> list[str]:
    """What people call the open orders that contain a product: their numbers, else their ids."""
    rows = (work.lookup(OPEN_ORDERS, bucket) for bucket in BUCKETS)
    return sorted(
        row.numbers.get(id, str(id)) for row in rows if row for id, held in row.orders.items() if product_id in held
    )


def _product(product_id: UUID, work: Work) -> Product:
    return work.get(Product, product_id, what="product", field="product_id")


def _stock(product_id: UUID, work: Work) -> StockItem:
    return work.get(StockItem, stock_id(product_id), what="product", field="product_id")


# -- what happens to the stock of a product that is entered, changed, taken away or brought back


def open_stock(product: Product, command: Any, work: Work) -> None:
    stock = work.new(StockItem, stock_id(product.id), what="product", field="product_id")
    stock.open(product, command.opening_stock, work.context)


def follow_alert_quantity(product: Product, _: Any, work: Work) -> None:
    if any("alert_quantity" in fact.changed for fact in product.pending):
        _stock(product.id, work).set_alert_quantity(product.data.alert_quantity)


def close_stock(product: Product, _: Any, work: Work) -> None:
    product.require_unordered(_open_orders_with(product.id, work))
    _stock(product.id, work).close(work.context)


def reopen_stock(product: Product, _: Any, work: Work) -> None:
    _stock(product.id, work).reopen(work.context)


# -- commands


def receive_stock(command: ReceiveStock, work: Work) -> StockItem:
    _product(command.product_id, work)  # whose version is answered: queries show that one
    stock = _stock(command.product_id, work)
    stock.receive(command, work.context)
    return stock


def adjust_stock(command: AdjustStock, work: Work) -> StockItem:
    _product(command.product_id, work)
    stock = _stock(command.product_id, work)
    stock.adjust(command, work.context)
    return stock


def deduct_stock(command: DeductStock, work: Work) -> Deduction:
    items = {line.product_id: work.find(StockItem, stock_id(line.product_id)) for line in command.lines}
    deduction = work.find_or_new(Deduction, deduction_id(command.order_id))
    deduction.take(command, items, work.context)
    return deduction


def return_stock(command: ReturnStock, work: Work) -> Deduction:
    deduction = work.find_or_new(Deduction, deduction_id(command.order_id))
    items = {line.product_id: _stock(line.product_id, work) for line in deduction.to_return(command.round)}
    deduction.give_back(command, items, work.context)
    return deduction


SERVICE = Service(
    "inventory",
    records=[Product],
    besides={
        PRODUCT.create: open_stock,
        PRODUCT.edit: follow_alert_quantity,
        PRODUCT.revert: follow_alert_quantity,
        PRODUCT.delete: close_stock,
        PRODUCT.restore: reopen_stock,
    },
    commands={
        ReceiveStock: receive_stock,
        AdjustStock: adjust_stock,
        DeductStock: deduct_stock,
        ReturnStock: return_stock,
    },
    replicas=[OPEN_ORDERS],
)
