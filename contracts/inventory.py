"""Products and stock (features INV-01..13).  Aggregates: product, stock item, order deduction, name index."""

from dataclasses import field
from typing import Literal
from uuid import UUID

from contracts.declare import KEPT, command, event, value
from contracts.ids import new_id
from contracts.people import SALESTREAM, Person
from contracts.sales import Shortage
from contracts.types import Money, Movement, Name, Note, Quantity, Reason, StockChange, Sum, Text, Total, Whole

MovementKind = Literal["OPENING", "RECEIPT", "ADJUSTMENT", "ORDER_DEDUCTION", "RETURN", "CLOSING"]


@value
class Prices:
    """Purchase (cost basis), sale and member price (INV-02).  No member price: members pay the sale price."""

    purchase: Money
    sale: Money
    member: Money | None = None


@value
class Trait:
    """A product detail such as colour: red (INV-05)."""

    told_apart_by = "name"

    name: Name
    value: Text


@value
class Attributes:
    """What describes a product (INV-01, INV-05).  Name and model together are unique."""

    name: Name
    model: Name
    brand: Name
    category: Text = ""
    description: Note = ""
    specification: Note = ""
    traits: tuple[Trait, ...] = ()
    accessories: tuple[Name, ...] = ()


@value
class StockLine:
    """A quantity of one product, or what an order's lines of it add up to."""

    product_id: UUID
    quantity: Total


# -- commands -----------------------------------------------------------------------------------------------------


@command("POST /products", permission="products.edit", key="product_id", creates=True)
class AddProduct:
    """Enter a product with its prices, opening stock and alert quantity (INV-01..06)."""

    name: Name
    model: Name
    brand: Name
    prices: Prices
    product_id: UUID = field(default_factory=new_id)
    category: Text = ""
    description: Note = ""
    specification: Note = ""
    traits: tuple[Trait, ...] = ()
    accessories: tuple[Name, ...] = ()
    opening_stock: Whole = 0
    alert_quantity: Whole = 0


@command("PATCH /products/{product_id}", permission="products.edit")
class EditProduct:
    """Change a product; a field left out keeps its value (INV-07).

    `sale_price` and its like change one price and leave alone the others, also those one may not see (INV-02).
    """

    product_id: UUID
    name: Name = KEPT
    model: Name = KEPT
    brand: Name = KEPT
    prices: Prices = KEPT
    purchase_price: Money = KEPT
    sale_price: Money = KEPT
    member_price: Money | None = KEPT
    category: Text | None = KEPT
    description: Note | None = KEPT
    specification: Note | None = KEPT
    traits: tuple[Trait, ...] | None = KEPT
    accessories: tuple[Name, ...] | None = KEPT
    alert_quantity: Whole = KEPT


@command("DELETE /products/{product_id}", permission="products.edit")
class DeleteProduct:
    """Take a product out of the catalogue (INV-08)."""

    product_id: UUID


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
    change: StockChange
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


@event("salestream.inventory.product-added.v1", key="product_id")
class ProductAdded:
    """A product entered the catalogue."""

    product_id: UUID
    attributes: Attributes
    prices: Prices
    alert_quantity: Whole
    by: Person = SALESTREAM


@event("salestream.inventory.product-edited.v1", key="product_id")
class ProductEdited:
    """A product's attributes, prices or alert quantity changed; all values as they are now."""

    product_id: UUID
    attributes: Attributes
    prices: Prices
    alert_quantity: Whole
    by: Person = SALESTREAM


@event("salestream.inventory.product-deleted.v1", key="product_id")
class ProductDeleted:
    """A product left the catalogue."""

    product_id: UUID
    by: Person = SALESTREAM


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
