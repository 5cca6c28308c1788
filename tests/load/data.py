"""What the benchmark writes: a customer, products, and orders of one line, the same for the same seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from random import Random
from uuid import UUID

from chassis.messaging.replicas import SHAPES, shape_of
from chassis.model.principal import SYSTEM, Principal
from chassis.store.event_store import EventStore
from chassis.store.transaction import ReplicaRow, Transaction
from chassis.writer.request import Request
from contracts.inventory import AddProduct, DeductStock, Prices, StockLine
from contracts.orders import CreateOrder, LineRequest
from contracts.schemas import encode
from contracts.types import Money
from services.access.demo_users import demo_user
from services.orders.application import CUSTOMERS, PRODUCTS
from services.orders.application import SERVICE as ORDERS
from services.orders.domain import Customer, Product

PRODUCT_COUNT = 64
OPENING_STOCK = 1_000_000
BEGIN_MS = 1_772_323_200_000  # 2026-03-01
IDS_A_MS = 10


def yuan(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="CNY")


PRICES = Prices(purchase=yuan("12.00"), sale=yuan("19.90"))


@dataclass
class Data:
    """Ids and commands from one source of randomness."""

    random: Random
    customer: UUID
    products: Sequence[UUID]
    made: Iterator[int] = field(default_factory=count)

    @classmethod
    def of(cls, seed: int) -> "Data":
        random = Random(seed)
        return cls(random, _uuid(random), [_uuid(random) for _ in range(PRODUCT_COUNT)])

    def id(self) -> UUID:
        """A time-ordered id, as `contracts.ids.new_id` makes them: some in each millisecond."""
        return _uuid(self.random, next(self.made) // IDS_A_MS)

    def ids(self, count: int) -> list[UUID]:
        return [self.id() for _ in range(count)]

    # -- commands

    def create_orders(self, count: int, *, random_ids: bool = False) -> list[Request]:
        """Requests that write one new order each, as a sales person; with `random_ids` those of a client of its own."""
        ids = (UUID(int=self.random.getrandbits(128), version=4) if random_ids else self.id() for _ in range(count))
        return [self.request(self._create_order(id, number), demo_user_li()) for number, id in enumerate(ids)]

    def _create_order(self, order_id: UUID, number: int) -> CreateOrder:
        line = LineRequest(product_id=self.products[number % PRODUCT_COUNT], quantity=1)
        return CreateOrder(customer_id=self.customer, lines=(line,), order_id=order_id)

    def add_products(self) -> list[Request]:
        return [
            self.request(
                AddProduct(
                    name=f"Phone {number}",
                    model="A2892",
                    brand="Apple",
                    prices=PRICES,
                    product_id=id,
                    opening_stock=OPENING_STOCK,
                ),
                demo_user("wang"),
            )
            for number, id in enumerate(self.products)
        ]

    def deductions(self, products: Sequence[UUID]) -> list[Request]:
        """Requests that take one piece of each of these products, in this order, as the saga does."""
        return [
            self.request(
                DeductStock(order_id=self.id(), round=1, attempt=1, lines=(StockLine(product_id=product, quantity=1),)),
                SYSTEM,
                remember=True,
            )
            for product in products
        ]

    def request(self, command: object, by: Principal, *, remember: bool = False) -> Request:
        now = datetime.now(UTC)
        return Request(command, by.context(now, now.date()), str(self.id()), remember=remember)

    # -- what orders know of others, without Kafka

    def teach_orders(self, store: EventStore) -> None:
        """Tell an orders store of the customer and the products, as one whose replicas were filled."""
        li = demo_user_li().user_id
        customer = Customer(name="田中商事", phone="13800138000", address="上海市浦东新区", owner_id=li)
        rows = [ReplicaRow(CUSTOMERS.name, str(self.customer), encode(customer, self.customer))]
        for number, id in enumerate(self.products):
            product = Product(name=f"Phone {number}", model="A2892", brand="Apple", prices=PRICES)
            rows.append(ReplicaRow(PRODUCTS.name, str(id), encode(product)))
        rows += [ReplicaRow(SHAPES, replica.name, shape_of(replica).encode()) for replica in ORDERS.replicas]
        store.commit(Transaction(rows=rows))


_li: list[Principal] = []


def demo_user_li() -> Principal:
    """The sales person who writes all orders."""
    if not _li:
        _li.append(demo_user("li"))
    return _li[0]


def _uuid(random: Random, at_ms: int = 0) -> UUID:
    time, version, variant = (BEGIN_MS + at_ms) << 80, 7 << 76, 2 << 62
    return UUID(int=time | version | random.getrandbits(12) << 64 | variant | random.getrandbits(62))
