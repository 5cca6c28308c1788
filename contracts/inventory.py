"""Products and stock (features INV-01..13).  Aggregates: product, stock item, order deduction, name index."""

from typing import Literal
from uuid import UUID

from contracts.declare import command, event, value
from contracts.layouts import part
from contracts.people import SALESTREAM, Person
from contracts.records import data, kind_of, record
from contracts.sales import Shortage
from contracts.types import Money, Movement, Name, Note, Quantity, QuantityChange, Reason, Sum, Tag, Text, Total, Whole

MovementKind = Literal["OPENING", "RECEIPT", "ADJUSTMENT", "ORDER_DEDUCTION", "RETURN", "CLOSING"]


@value
class Prices:
    """Purchase (cost basis), sale and member price (INV-02).  No member price: members pay the sale price."""

    purchase: Money = data(filterable=False, sortable=False)
    sale: Money
    member: Money | None = data(default=None, filterable=False, sortable=False)


@value
class Trait:
    """A product detail such as colour: red (INV-05)."""

    told_apart_by = "name"

    name: Name
    value: Text


@value
class Attributes:
    """What describes a product (INV-01, INV-05).  Name and model together are unique."""

    name: Name = data(filterable=True)
    model: Name = data(filterable=True)
    brand: Name = data(filterable=True)
    category: Text = data(default="", filterable=True)
    description: Note = ""
    specification: Note = ""
    traits: tuple[Trait, ...] = ()
    accessories: tuple[Name, ...] = ()


@value
class OpeningStock:
    """What is on hand of a product when it is entered (INV-03)."""

    opening_stock: Whole = 0


@record(
    "/products",
    view="products.view",
    edit="products.edit",
    name="Product",
    verb="Add",
    entered_with=OpeningStock,
    tells_changes_always=False,
    together=("name", "model"),
    index="product",
)
class ProductData:
    """All that is known of a product (INV-01..08).

    Its prices are in one currency.  Stock is counted apart (`StockMoved`), and is written off when it is deleted.
    """

    attributes: Attributes = part()
    prices: Prices = part("{}_price", given_whole=True)
    alert_quantity: Whole = data(first=0, filterable=False, sortable=False)
    tags: tuple[Text, ...] = data(default=(), given=tuple[Tag, ...], dictionary="product_tags")


PRODUCT = kind_of(ProductData)
AddProduct, EditProduct, DeleteProduct, RestoreProduct = PRODUCT.create, PRODUCT.edit, PRODUCT.delete, PRODUCT.restore
ProductAdded, ProductEdited, ProductDeleted = PRODUCT.created, PRODUCT.edited, PRODUCT.deleted
ProductRestored = PRODUCT.restored


@value
class StockLine:
    """A quantity of one product, or what an order's lines of it add up to."""

    product_id: UUID
    quantity: Total


# -- commands -----------------------------------------------------------------------------------------------------


@command("POST /products/{product_id}/receipts", permission="products.edit", versioned=False)
class ReceiveStock:
    """Book goods that arrived (INV-10)."""

    product_id: UUID
    quantity: Quantity
    reason: Reason


@command("POST /products/{product_id}/adjustments", permission="products.edit", versioned=False)
class AdjustStock:
    """Correct the stock by hand, up or down, with a reason (INV-10)."""

    product_id: UUID
    change: QuantityChange
    reason: Reason


@command(None, permission="system", key="order_id")
class DeductStock:
    """Take an order's goods from stock, all lines or none, once per submission round (INV-11)."""

    order_id: UUID
    round: Quantity
    attempt: Quantity
    lines: tuple[StockLine, ...]


@command(None, permission="system", key="order_id")
class ReturnStock:
    """Give back what the round took; a deduction that comes later takes nothing (INV-13)."""

    order_id: UUID
    round: Quantity


# -- events -------------------------------------------------------------------------------------------------------


@event("salestream.inventory.stock-moved.v1", key="product_id")
class StockMoved:
    """One entry of the stock ledger: `change` led to `balance`."""

    product_id: UUID
    movement: MovementKind
    change: Movement
    balance: Sum
    reason: Note = ""
    order_id: UUID | None = None
    by: Person = SALESTREAM


@event("salestream.inventory.stock-fell-low.v1", key="product_id")
class StockFellLow:
    """Stock fell below the alert quantity: restock (INV-04, NTF-01).  Once per fall."""

    product_id: UUID
    balance: Sum
    alert_quantity: Whole


@event("salestream.inventory.stock-deducted.v1", key="order_id")
class StockDeducted:
    """An order's goods were taken from stock, all of them."""

    order_id: UUID
    round: Quantity
    lines: tuple[StockLine, ...]


@event("salestream.inventory.stock-short.v1", key="order_id")
class StockShort:
    """Stock can't cover an order; nothing was taken."""

    order_id: UUID
    round: Quantity
    attempt: Quantity
    missing: tuple[Shortage, ...]


@event("salestream.inventory.stock-returned.v1", key="order_id")
class StockReturned:
    """What an order's round took is back in stock (`lines` is empty when it had taken nothing)."""

    order_id: UUID
    round: Quantity
    lines: tuple[StockLine, ...]
