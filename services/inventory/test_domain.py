"""The rules of INV-01..13 and of ACC-12..14 and ACC-16, by way of the service's commands."""

from collections import Counter
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.model.unique import IndexClaimed, UniqueIndex
from chassis.store.events import recorded
from chassis.store.transaction import ReplicaRow, Transaction
from chassis.testing.custom_fields import known
from chassis.testing.people import ADMIN, SYSTEM, WAREHOUSE
from chassis.testing.services import InMemoryService
from contracts.custom_fields import CustomField, Label
from contracts.inventory import (
    PRODUCT,
    AddProduct,
    AdjustStock,
    Attributes,
    DeductStock,
    DeleteProduct,
    EditProduct,
    Prices,
    ProductAdded,
    ProductDeleted,
    ProductEdited,
    ProductRestored,
    ReceiveStock,
    RestoreProduct,
    ReturnStock,
    StockDeducted,
    StockFellLow,
    StockLine,
    StockMoved,
    StockReturned,
    StockShort,
    Trait,
)
from contracts.orders import OrderCancelled, OrderChanged, OrderCompleted, OrderCreated, OrderLine, OrderShipped, Sale
from contracts.people import SALESTREAM, Person
from contracts.sales import CustomerSnapshot, Shortage
from contracts.types import MAX_QUANTITY, Money
from services.inventory.application import OPEN_ORDERS, SERVICE
from services.inventory.domain import AlertQuantitySet, Deduction, Product, StockItem, deduction_id, stock_id

NAMES = UUID("6f1f4bdc-0c0a-4a3e-9d0b-3b0f6e5f1c11")
PHONE = uuid5(NAMES, "phone")
CASE = uuid5(NAMES, "case")
UNKNOWN = uuid5(NAMES, "unknown")
ORDER = uuid5(NAMES, "order")
CLERK = Person(user_id=WAREHOUSE.user_id, name=WAREHOUSE.name)


def cny(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="CNY")


PRICES = Prices(purchase=cny("5000.00"), sale=cny("7999.00"), member=cny("7799.00"))
ADD = AddProduct(
    product_id=PHONE,
    name="iPhone 15 Pro",
    model="A2892",
    brand="Apple",
    prices=PRICES,
    category="phones",
    traits=(Trait(name="colour", value="black"),),
    accessories=("charger",),
    opening_stock=10,
    alert_quantity=10,
)
ADD_CASE = AddProduct(
    product_id=CASE,
    name="Case",
    model="C1",
    brand="Apple",
    prices=Prices(purchase=cny("1.00"), sale=cny("2.00")),
    opening_stock=5,
)
ATTRIBUTES = Attributes(
    name="iPhone 15 Pro",
    model="A2892",
    brand="Apple",
    category="phones",
    traits=(Trait(name="colour", value="black"),),
    accessories=("charger",),
)


@pytest.fixture
def kit() -> InMemoryService:
    """The service with a phone (10 on hand, alert 10) and a case (5 on hand, no alert)."""
    kit = InMemoryService(SERVICE)
    kit.do(ADD, by=WAREHOUSE)
    kit.do(ADD_CASE, by=WAREHOUSE)
    kit.new_facts()
    return kit


def stock(kit: InMemoryService, product_id: UUID = PHONE) -> StockItem:
    found = kit.store.load(StockItem, stock_id(product_id))
    assert found is not None
    return found


def lines(**quantities: int) -> tuple[StockLine, ...]:
    ids = {"phone": PHONE, "case": CASE, "unknown": UNKNOWN}
    return tuple(StockLine(product_id=ids[name], quantity=quantity) for name, quantity in quantities.items())


def deduct(order_id: UUID = ORDER, round: int = 1, attempt: int = 1, **quantities: int) -> DeductStock:
    return DeductStock(order_id=order_id, round=round, attempt=attempt, lines=lines(**quantities))


def movement(kind: Any, change: int, balance: int, product_id: UUID = PHONE, **more: Any) -> StockMoved:
    return StockMoved(product_id=product_id, movement=kind, change=change, balance=balance, **more)


# -- catalogue


def test_INV_01_to_06_ACC_12_a_product_is_entered_with_attributes_prices_stock_and_alert() -> None:
    kit = InMemoryService(SERVICE)
    answer = kit.do(ADD, by=WAREHOUSE)
    assert answer.body == {"id": str(PHONE), "version": 1, "name": "iPhone 15 Pro"}
    public = [fact for fact in kit.new_facts() if isinstance(fact, ProductAdded | StockMoved | StockFellLow)]
    assert public == [
        ProductAdded(product_id=PHONE, attributes=ATTRIBUTES, prices=PRICES, alert_quantity=10, by=CLERK),
        movement("OPENING", 10, 10, reason="opening stock", by=CLERK),
    ]


def test_INV_03_the_ledger_starts_also_with_nothing() -> None:
    kit = InMemoryService(SERVICE)
    kit.do(replace(ADD, opening_stock=0, alert_quantity=0))
    assert [(f.movement, f.balance) for f in kit.facts() if isinstance(f, StockMoved)] == [("OPENING", 0)]


def test_INV_01_an_id_is_used_once(kit: InMemoryService) -> None:
    kit.assert_refused("DUPLICATE", replace(ADD, name="other"), field="product_id")


@pytest.mark.parametrize("name,model", [("iPhone 15 Pro", "A2892"), (" iphone 15 PRO ", "a2892")])
def test_INV_01_name_and_model_together_are_unique(kit: InMemoryService, name: str, model: str) -> None:
    kit.assert_refused("DUPLICATE", replace(ADD, product_id=UNKNOWN, name=name, model=model), field="name")
    kit.do(replace(ADD, product_id=UNKNOWN, model="A2893"))


def test_INV_01_an_edit_takes_the_new_name_and_frees_the_old(kit: InMemoryService) -> None:
    kit.assert_refused("DUPLICATE", EditProduct(product_id=CASE, name="iPhone 15 Pro", model="A2892"), field="name")
    kit.do(EditProduct(product_id=PHONE, name="iPhone 16"))
    kit.do(EditProduct(product_id=CASE, name="iPhone 15 Pro", model="A2892"))
    kit.assert_refused("DUPLICATE", EditProduct(product_id=PHONE, name="iPhone 15 Pro"), field="name")


def test_INV_01_a_name_in_other_capitals_stays_the_products_own(kit: InMemoryService) -> None:
    kit.do(EditProduct(product_id=PHONE, name="IPHONE 15 PRO"))
    assert [type(fact) for fact in kit.new_facts()] == [ProductEdited]
    kit.assert_refused("DUPLICATE", replace(ADD, product_id=UNKNOWN), field="name")


def test_INV_02_one_price_changes_and_leaves_the_others_alone(kit: InMemoryService) -> None:
    """The warehouse does not see the purchase price, and need not know it to change another."""
    kit.do(EditProduct(product_id=PHONE, sale_price=cny("7499.00")), by=WAREHOUSE)
    [edited] = kit.new_facts()
    assert edited.prices == Prices(purchase=cny("5000.00"), sale=cny("7499.00"), member=cny("7799.00"))
    kit.do(EditProduct(product_id=PHONE, purchase_price=cny("1.00"), member_price=cny("2.00")))
    [edited] = kit.new_facts()
    assert edited.prices == Prices(purchase=cny("1.00"), sale=cny("7499.00"), member=cny("2.00"))
    dollars = Money(amount=Decimal(1), currency="USD")
    kit.assert_refused(
        "VALIDATION", EditProduct(product_id=PHONE, sale_price=dollars), by=WAREHOUSE, field="sale_price"
    )


def test_INV_10_a_return_beyond_the_limit_can_be_written_off(kit: InMemoryService) -> None:
    """Goods that come back are never refused; what is too many then is corrected downwards in steps of any size."""
    kit.do(deduct(phone=10), by=SYSTEM)
    kit.do(ReceiveStock(product_id=PHONE, quantity=MAX_QUANTITY, reason="r"))
    kit.do(ReturnStock(order_id=ORDER, round=1), by=SYSTEM)
    assert stock(kit).on_hand == MAX_QUANTITY + 10
    kit.assert_refused("VALIDATION", AdjustStock(product_id=PHONE, change=1, reason="r"), field="change")
    kit.assert_refused("VALIDATION", ReceiveStock(product_id=PHONE, quantity=1, reason="r"), field="quantity")
    kit.do(AdjustStock(product_id=PHONE, change=-1, reason="counted"))
    kit.do(AdjustStock(product_id=PHONE, change=-MAX_QUANTITY, reason="counted"))
    assert stock(kit).on_hand == 9


def test_ORD_14_lines_of_one_product_may_add_up_to_more_than_one_line_may_have(kit: InMemoryService) -> None:
    """The shortage tells the sum; it is an event that keeps to its schema (the kit checks)."""
    line = StockLine(product_id=PHONE, quantity=MAX_QUANTITY)
    kit.do(DeductStock(order_id=ORDER, round=1, attempt=1, lines=(line, line)), by=SYSTEM)
    [short] = kit.new_facts()
    assert short.missing[0].wanted == 2 * MAX_QUANTITY


def test_INV_10_a_reason_may_be_as_long_as_the_command_says(kit: InMemoryService) -> None:
    kit.do(AdjustStock(product_id=PHONE, change=1, reason="r" * 4000))
    kit.do(ReceiveStock(product_id=PHONE, quantity=1, reason="r" * 306))
    assert [len(fact.reason) for fact in kit.facts() if isinstance(fact, StockMoved)][-2:] == [4000, 306]


def test_INV_02_prices_share_one_currency(kit: InMemoryService) -> None:
    mixed = replace(PRICES, member=Money(amount=Decimal(1), currency="USD"))
    kit.assert_refused("VALIDATION", replace(ADD, product_id=UNKNOWN, name="x", prices=mixed), field="prices")
    kit.assert_refused("VALIDATION", EditProduct(product_id=PHONE, prices=mixed), field="prices")


def test_INV_07_ACC_13_price_and_data_change(kit: InMemoryService) -> None:
    cheaper = replace(PRICES, sale=cny("7499.00"), member=None)
    given = {"sale_price": cheaper.sale, "member_price": None, "description": "on offer"}
    answer = kit.do(EditProduct(product_id=PHONE, **given), by=WAREHOUSE)
    assert answer.body["version"] == 2
    assert kit.new_facts() == [
        ProductEdited(
            product_id=PHONE,
            attributes=replace(ATTRIBUTES, description="on offer"),
            prices=cheaper,
            alert_quantity=10,
            changed=("description", "sale_price", "member_price"),
            by=CLERK,
        )
    ]


@pytest.mark.parametrize("more", [{}, {"name": "iPhone 15 Pro", "prices": PRICES, "alert_quantity": 10}])
def test_INV_07_an_edit_that_changes_nothing_records_nothing(kit: InMemoryService, more: dict[str, Any]) -> None:
    assert kit.do(EditProduct(product_id=PHONE, **more)).body["version"] == 1
    assert kit.new_facts() == []


def test_2_0_a_stale_edit_is_refused_and_stock_traffic_makes_none_stale(kit: InMemoryService) -> None:
    kit.do(ReceiveStock(product_id=PHONE, quantity=1, reason="delivery"))
    kit.do(EditProduct(product_id=PHONE, brand="Apple Inc."), version=1)
    kit.assert_refused("VERSION_CONFLICT", EditProduct(product_id=PHONE, brand="Apple"), version=1)


def test_2_0_an_idempotency_key_books_once(kit: InMemoryService) -> None:
    command = ReceiveStock(product_id=PHONE, quantity=1, reason="delivery")
    first, second = kit.do(command, key="k1"), kit.do(command, key="k1")
    assert first.body == second.body == {"id": str(PHONE), "version": 1, "on_hand": 11}
    assert len(kit.new_facts()) == 1


def test_INV_08_ACC_14_a_deleted_product_is_gone_and_its_ledger_closed(kit: InMemoryService) -> None:
    answer = kit.do(DeleteProduct(product_id=PHONE), by=WAREHOUSE)
    assert answer.body == {"id": str(PHONE), "version": 2, "name": "iPhone 15 Pro", "deleted": True}
    public = [fact for fact in kit.new_facts() if isinstance(fact, ProductDeleted | StockMoved | StockFellLow)]
    assert public == [
        ProductDeleted(product_id=PHONE, by=CLERK),
        movement("CLOSING", -10, 0, reason="product deleted", by=CLERK),
    ]
    kit.do(replace(ADD, product_id=UNKNOWN))  # the name is free again
    kit.assert_refused("DUPLICATE", replace(ADD, name="y"), field="product_id")


@pytest.mark.parametrize(
    "command",
    [
        EditProduct(product_id=PHONE),
        EditProduct(product_id=PHONE, alert_quantity=3),
        DeleteProduct(product_id=PHONE),
        ReceiveStock(product_id=PHONE, quantity=1, reason="r"),
        AdjustStock(product_id=PHONE, change=1, reason="r"),
    ],
)
def test_INV_08_a_deleted_or_unknown_product_takes_no_command(kit: InMemoryService, command: Any) -> None:
    kit.assert_refused("NOT_FOUND", replace(command, product_id=UNKNOWN), field="product_id")
    kit.do(DeleteProduct(product_id=PHONE))
    kit.assert_refused("NOT_FOUND", command, field="product_id")


# -- INV-08: orders that still need the product


def order_lines(*product_ids: UUID) -> tuple[OrderLine, ...]:
    return tuple(
        OrderLine(
            product_id=id, quantity=1, unit_price=Decimal(1), amount=Decimal(1), name="n", model="m", brand="b"
        )
        for id in product_ids
    )  # fmt: skip


BUYER = CustomerSnapshot(customer_id=UNKNOWN, name="Li")
DAY = date(2026, 3, 2)


def sale(*product_ids: UUID) -> Sale:
    return Sale(order_date=DAY, customer_id=UNKNOWN, lines=order_lines(*product_ids), total=cny("1.00"))


def created(*product_ids: UUID, order_id: UUID = ORDER) -> OrderCreated:
    return OrderCreated(
        order_id=order_id, number="SO-1", customer=BUYER, lines=order_lines(*product_ids), total=cny("1.00"),
        order_date=DAY, owner=SALESTREAM,
    )  # fmt: skip


def changed(*product_ids: UUID) -> OrderChanged:
    return OrderChanged(
        order_id=ORDER, customer=BUYER, lines=order_lines(*product_ids), total=cny("1.00"), order_date=DAY
    )


def shipped(*product_ids: UUID) -> OrderShipped:
    return OrderShipped(order_id=ORDER, round=1, sale=sale(*product_ids))


def cancelled(*product_ids: UUID) -> OrderCancelled:
    return OrderCancelled(order_id=ORDER, round=0, was="DRAFT", reason="r", sale=sale(*product_ids))


@pytest.mark.parametrize(
    "story",
    [
        [created(PHONE)],
        [created(CASE), changed(CASE, PHONE)],
        [created(PHONE), changed(CASE), changed(PHONE)],
        [created(PHONE), created(CASE, order_id=UNKNOWN), changed(PHONE, CASE)],
    ],
)
def test_INV_08_refused_while_an_open_order_contains_it(kit: InMemoryService, story: list[Any]) -> None:
    kit.learn(*story)
    refused = kit.assert_refused("INVALID_STATE", DeleteProduct(product_id=PHONE))
    assert refused.state == "IN_OPEN_ORDER"
    assert "contain this product: SO-1." in refused.message


def test_INV_08_of_many_orders_in_the_way_a_few_are_named_and_the_others_counted(kit: InMemoryService) -> None:
    orders = [UUID(int=number << 4, version=4) for number in range(1, 9)]
    for number, id in enumerate(orders, 1):
        kit.learn(replace(created(PHONE, order_id=id), number=f"SO-{number:06}"))
    kit.learn(replace(shipped(PHONE), order_id=orders[1]))
    refused = kit.assert_refused("INVALID_STATE", DeleteProduct(product_id=PHONE))
    assert "SO-000001, SO-000003, SO-000004, SO-000005, SO-000006 and 2 more." in refused.message


def test_INV_08_an_order_that_a_former_release_heard_of_is_named_by_its_id(kit: InMemoryService) -> None:
    before = b'{"orders":{"%s":["%s"]}}' % (str(ORDER).encode(), str(PHONE).encode())
    row = ReplicaRow(OPEN_ORDERS.name, str(ORDER)[-2:], before)
    kit.store.commit(Transaction(rows=[row]))
    assert str(ORDER) in kit.assert_refused("INVALID_STATE", DeleteProduct(product_id=PHONE)).message


@pytest.mark.parametrize(
    "story",
    [
        [created(CASE)],
        [created(PHONE, CASE), changed(CASE)],
        [created(PHONE), shipped(PHONE)],
        [created(PHONE), cancelled(PHONE)],
        [created(PHONE), shipped(PHONE), OrderCompleted(order_id=ORDER)],
        [created(PHONE), changed(PHONE, CASE), changed(PHONE), cancelled(PHONE)],
    ],
)
def test_INV_08_allowed_when_no_open_order_contains_it(kit: InMemoryService, story: list[Any]) -> None:
    for fact in story:
        kit.learn(fact)
    assert kit.do(DeleteProduct(product_id=PHONE)).body["deleted"] is True


def test_INV_08_an_order_that_shares_a_row_is_not_lost_when_its_neighbour_closes(kit: InMemoryService) -> None:
    neighbour = UUID(str(UNKNOWN)[:-2] + str(ORDER)[-2:])
    kit.learn(created(PHONE, order_id=neighbour), created(PHONE), shipped(PHONE))
    kit.assert_refused("INVALID_STATE", DeleteProduct(product_id=PHONE))


def test_INV_08_closed_orders_leave_no_rows_behind(kit: InMemoryService) -> None:
    kit.learn(created(PHONE))
    kit.learn(shipped(PHONE), OrderCompleted(order_id=ORDER))
    assert kit.store.rows_with_prefix(OPEN_ORDERS.name, "") == []


# -- what a product has as every record of a declared kind: restored, put back, tagged


def test_INV_08_a_restored_product_begins_with_no_stock_and_is_to_be_restocked(kit: InMemoryService) -> None:
    kit.do(DeleteProduct(product_id=PHONE))
    kit.new_facts()
    kit.do(RestoreProduct(product_id=PHONE), by=WAREHOUSE)
    public = [fact for fact in kit.new_facts() if isinstance(fact, ProductRestored | StockMoved | StockFellLow)]
    assert public == [
        ProductRestored(product_id=PHONE, by=CLERK),
        movement("OPENING", 0, 0, reason="product restored", by=CLERK),
        StockFellLow(product_id=PHONE, balance=0, alert_quantity=10),
    ]
    kit.do(ReceiveStock(product_id=PHONE, quantity=10, reason="counted again"))
    kit.do(deduct(phone=4), by=SYSTEM)
    assert (stock(kit).on_hand, stock(kit).closed) == (6, False)
    kit.do(DeleteProduct(product_id=PHONE))
    assert (stock(kit).on_hand, stock(kit).closed) == (0, True)


def test_INV_04_a_product_that_was_low_when_it_was_deleted_is_told_again_when_restored(kit: InMemoryService) -> None:
    kit.do(AdjustStock(product_id=PHONE, change=-1, reason="lost"))
    kit.do(DeleteProduct(product_id=PHONE))
    assert alerts(kit) == [(9, 10)]
    kit.do(RestoreProduct(product_id=PHONE))
    assert alerts(kit) == [(0, 10)]


def test_INV_08_what_is_there_is_not_restored_and_its_stock_stays(kit: InMemoryService) -> None:
    kit.do(RestoreProduct(product_id=PHONE))
    assert kit.new_facts() == [] and stock(kit).on_hand == 10


def test_INV_01_a_product_is_not_restored_while_another_has_its_name_and_model(kit: InMemoryService) -> None:
    kit.do(DeleteProduct(product_id=PHONE))
    kit.do(replace(ADD, product_id=UNKNOWN))
    before = kit.store.last_position()
    refused = kit.assert_refused("DUPLICATE", RestoreProduct(product_id=PHONE), field="name")
    assert "iPhone 15 Pro, A2892" in refused.message and str(UNKNOWN) in refused.message
    assert kit.store.last_position() == before and stock(kit).closed
    kit.do(EditProduct(product_id=UNKNOWN, model="A2893"))
    kit.do(RestoreProduct(product_id=PHONE))


def test_INV_13_goods_that_come_back_after_a_product_was_restored_are_stock(kit: InMemoryService) -> None:
    kit.do(deduct(phone=3), by=SYSTEM)
    kit.do(DeleteProduct(product_id=PHONE))
    kit.do(RestoreProduct(product_id=PHONE))
    kit.do(ReturnStock(order_id=ORDER, round=1), by=SYSTEM)
    assert stock(kit).on_hand == 3


def test_INV_07_a_product_is_put_back_as_it_was_with_its_prices_and_the_stock_follows(kit: InMemoryService) -> None:
    kit.do(EditProduct(product_id=PHONE, brand="Pear", sale_price=cny("1.00"), alert_quantity=50, traits=None))
    kit.new_facts()
    kit.do(PRODUCT.revert(product_id=PHONE, version=1), by=WAREHOUSE)
    edited: Any = next(fact for fact in kit.new_facts() if type(fact) is ProductEdited)
    assert (edited.attributes, edited.prices, edited.alert_quantity) == (ATTRIBUTES, PRICES, 10)
    assert edited.changed == ("brand", "traits", "sale_price", "alert_quantity")
    assert stock(kit).alert_quantity == 10


def test_INV_02_prices_that_are_put_back_one_by_one_stay_in_one_currency(kit: InMemoryService) -> None:
    def dollars(amount: str) -> Money:
        return Money(amount=Decimal(amount), currency="USD")

    kit.do(EditProduct(product_id=PHONE, prices=Prices(purchase=dollars("1"), sale=dollars("2"))))
    revert = PRODUCT.revert(product_id=PHONE, version=1, fields=("sale_price",))
    kit.assert_refused("VALIDATION", revert, field="sale_price")
    kit.do(PRODUCT.revert(product_id=PHONE, version=1, fields=()))
    assert kit.facts()[-1].prices != PRICES, "an empty list of fields is none, not all of them"
    kit.do(PRODUCT.revert(product_id=PHONE, version=1))
    assert kit.facts()[-1].prices == PRICES


def test_INV_07_a_price_beside_all_of_them_is_the_one_that_counts(kit: InMemoryService) -> None:
    kit.do(EditProduct(product_id=PHONE, prices=replace(PRICES, member=None), sale_price=cny("7000.00")))
    assert kit.facts()[-1].prices == Prices(purchase=cny("5000.00"), sale=cny("7000.00"))


def test_CFG_01_INV_01_a_product_has_fields_of_the_company_and_tags(kit: InMemoryService) -> None:
    for row in known(PRODUCT.code, CustomField(key="shelf", type="text", label=Label(zh="货架"))):
        kit.directory.company.custom_fields.take(row)
    kit.do(EditProduct(product_id=PHONE, own='{"shelf":"B-12"}'), by=WAREHOUSE)
    kit.do(PRODUCT.tag(product_id=PHONE, add=("BESTSELLER",)), by=WAREHOUSE)
    [given, tagged] = kit.new_facts()
    assert given.changed == ("own.shelf",) and given.tags == ()
    assert tagged.changed == ("tags",) and tagged.tags == ("BESTSELLER",) and tagged.own == given.own
    assert (tagged.attributes, tagged.prices) == (ATTRIBUTES, PRICES)


# -- stock by hand


def test_INV_10_receipt_and_adjustment_are_ledger_entries_with_a_reason(kit: InMemoryService) -> None:
    assert kit.do(ReceiveStock(product_id=PHONE, quantity=5, reason="delivery"), by=WAREHOUSE).body["on_hand"] == 15
    assert kit.do(AdjustStock(product_id=PHONE, change=-2, reason="broken"), by=WAREHOUSE).body["on_hand"] == 13
    assert kit.new_facts() == [
        movement("RECEIPT", 5, 15, reason="delivery", by=CLERK),
        movement("ADJUSTMENT", -2, 13, reason="broken", by=CLERK),
    ]


def test_INV_12_an_adjustment_can_not_go_below_zero(kit: InMemoryService) -> None:
    kit.assert_refused("INSUFFICIENT_STOCK", AdjustStock(product_id=PHONE, change=-11, reason="lost"), field="change")
    assert kit.do(AdjustStock(product_id=PHONE, change=-10, reason="lost")).body["on_hand"] == 0


def test_INV_10_stock_has_an_upper_bound(kit: InMemoryService) -> None:
    many = MAX_QUANTITY - 9
    kit.assert_refused("VALIDATION", ReceiveStock(product_id=PHONE, quantity=many, reason="r"), field="quantity")
    kit.assert_refused("VALIDATION", AdjustStock(product_id=PHONE, change=many, reason="r"), field="change")
    assert kit.do(ReceiveStock(product_id=PHONE, quantity=many - 1, reason="r")).body["on_hand"] == MAX_QUANTITY


# -- the alert


def alerts(kit: InMemoryService) -> list[tuple[int, int]]:
    return [(f.balance, f.alert_quantity) for f in kit.new_facts() if isinstance(f, StockFellLow)]


def test_INV_04_ACC_16_at_10_no_alert_at_9_one(kit: InMemoryService) -> None:
    kit.do(deduct(phone=1), by=SYSTEM)
    assert kit.new_facts() == [
        movement("ORDER_DEDUCTION", -1, 9, order_id=ORDER),
        StockFellLow(product_id=PHONE, balance=9, alert_quantity=10),
        StockDeducted(order_id=ORDER, round=1, lines=lines(phone=1)),
    ]


def test_INV_04_one_alert_per_fall_armed_again_at_the_figure(kit: InMemoryService) -> None:
    for change in (-1, -1, +1):
        kit.do(AdjustStock(product_id=PHONE, change=change, reason="r"))
    assert alerts(kit) == [(9, 10)]
    kit.do(ReceiveStock(product_id=PHONE, quantity=1, reason="r"))  # 10: armed
    kit.do(AdjustStock(product_id=PHONE, change=-3, reason="r"))
    assert alerts(kit) == [(7, 10)]


def test_INV_04_alert_quantity_0_never_alerts(kit: InMemoryService) -> None:
    kit.do(AdjustStock(product_id=CASE, change=-5, reason="r"))
    assert alerts(kit) == []


def test_INV_04_a_new_figure_alerts_at_once_but_not_twice(kit: InMemoryService) -> None:
    kit.do(EditProduct(product_id=PHONE, alert_quantity=11))
    assert [type(fact) for fact in kit.facts()[-3:]] == [ProductEdited, AlertQuantitySet, StockFellLow]
    assert alerts(kit) == [(10, 11)]
    kit.do(EditProduct(product_id=PHONE, alert_quantity=20))
    assert alerts(kit) == []
    kit.do(EditProduct(product_id=PHONE, alert_quantity=10))  # armed
    kit.do(EditProduct(product_id=PHONE, alert_quantity=12))
    assert alerts(kit) == [(10, 12)]


def test_INV_04_opening_stock_below_the_figure_alerts() -> None:
    kit = InMemoryService(SERVICE)
    kit.do(replace(ADD, opening_stock=9))
    assert alerts(kit) == [(9, 10)]


def test_INV_04_closing_a_ledger_alerts_nobody(kit: InMemoryService) -> None:
    kit.do(DeleteProduct(product_id=PHONE))
    assert alerts(kit) == []


# -- deduction and return


def test_INV_11_all_lines_fall_by_exactly_the_ordered_quantity(kit: InMemoryService) -> None:
    kit.do(deduct(phone=3, case=5), by=SYSTEM)
    assert (stock(kit).on_hand, stock(kit, CASE).on_hand) == (7, 0)


def test_INV_11_two_lines_of_one_product_are_summed(kit: InMemoryService) -> None:
    twice = lines(case=3) + lines(case=3)
    kit.do(DeductStock(order_id=ORDER, round=1, attempt=1, lines=twice), by=SYSTEM)
    missing = (Shortage(product_id=CASE, wanted=6, on_hand=5),)
    assert kit.new_facts() == [StockShort(order_id=ORDER, round=1, attempt=1, missing=missing)]
    kit.do(ReceiveStock(product_id=CASE, quantity=1, reason="r"))
    kit.do(DeductStock(order_id=ORDER, round=1, attempt=2, lines=twice), by=SYSTEM)
    assert kit.new_facts()[1:] == [
        movement("ORDER_DEDUCTION", -6, 0, CASE, order_id=ORDER),
        StockDeducted(order_id=ORDER, round=1, lines=lines(case=6)),
    ]


def test_INV_11_ORD_16_a_repeated_deduction_takes_nothing(kit: InMemoryService) -> None:
    kit.do(deduct(phone=3), by=SYSTEM)
    kit.new_facts()
    for attempt in (1, 2):
        kit.do(deduct(attempt=attempt, phone=3), by=SYSTEM)
    assert kit.new_facts() == []


def test_INV_12_ORD_14_a_short_order_takes_nothing_and_names_every_missing_product(kit: InMemoryService) -> None:
    kit.do(DeleteProduct(product_id=CASE))
    kit.new_facts()
    kit.do(deduct(phone=11, case=1, unknown=2), by=SYSTEM)
    missing = (
        Shortage(product_id=PHONE, wanted=11, on_hand=10),
        Shortage(product_id=CASE, wanted=1, on_hand=0),
        Shortage(product_id=UNKNOWN, wanted=2, on_hand=0),
    )
    assert kit.new_facts() == [StockShort(order_id=ORDER, round=1, attempt=1, missing=missing)]


def test_INV_12_one_short_line_holds_the_whole_order(kit: InMemoryService) -> None:
    kit.do(deduct(phone=1, case=6), by=SYSTEM)
    assert [type(fact) for fact in kit.new_facts()] == [StockShort]
    assert stock(kit).on_hand == 10


def test_ORD_14_only_a_later_attempt_tries_again_after_restocking(kit: InMemoryService) -> None:
    kit.do(deduct(phone=11), by=SYSTEM)
    kit.do(ReceiveStock(product_id=PHONE, quantity=1, reason="restock"))
    kit.new_facts()
    kit.do(deduct(phone=11), by=SYSTEM)
    assert kit.new_facts() == []
    kit.do(deduct(attempt=2, phone=11), by=SYSTEM)
    assert stock(kit).on_hand == 0


def test_INV_13_what_was_taken_comes_back_once(kit: InMemoryService) -> None:
    kit.do(deduct(phone=3, case=2), by=SYSTEM)
    kit.new_facts()
    for _ in range(2):
        kit.do(ReturnStock(order_id=ORDER, round=1), by=SYSTEM)
    facts = kit.new_facts()
    assert Counter(type(fact) for fact in facts) == {StockMoved: 2, StockReturned: 1}
    assert movement("RETURN", 3, 10, order_id=ORDER) in facts
    assert StockReturned(order_id=ORDER, round=1, lines=lines(phone=3, case=2)) in facts
    kit.do(deduct(attempt=2, phone=3, case=2), by=SYSTEM)
    assert kit.new_facts() == []


def test_INV_13_a_return_that_comes_first_stops_the_deduction(kit: InMemoryService) -> None:
    for _ in range(2):
        kit.do(ReturnStock(order_id=ORDER, round=1), by=SYSTEM)
    kit.do(deduct(phone=3), by=SYSTEM)
    assert kit.new_facts() == [StockReturned(order_id=ORDER, round=1, lines=())]
    kit.do(deduct(round=2, phone=3), by=SYSTEM)  # the next submission round stands for itself
    assert stock(kit).on_hand == 7


def test_INV_13_a_short_order_that_is_cancelled_gives_nothing_back(kit: InMemoryService) -> None:
    kit.do(deduct(phone=11), by=SYSTEM)
    kit.do(ReturnStock(order_id=ORDER, round=1), by=SYSTEM)
    assert kit.new_facts()[1:] == [StockReturned(order_id=ORDER, round=1, lines=())]
    assert stock(kit).on_hand == 10


def test_INV_13_INV_08_a_return_to_a_deleted_product_is_booked_and_written_off(kit: InMemoryService) -> None:
    kit.do(deduct(phone=3), by=SYSTEM)
    kit.do(DeleteProduct(product_id=PHONE))
    kit.new_facts()
    kit.do(ReturnStock(order_id=ORDER, round=1), by=SYSTEM)
    booked = [(f.movement, f.change, f.balance) for f in kit.new_facts() if isinstance(f, StockMoved)]
    assert booked == [("RETURN", 3, 3), ("CLOSING", -3, 0)]
    assert sum(f.change for f in kit.facts() if isinstance(f, StockMoved) and f.product_id == PHONE) == 0


def test_INV_13_a_return_is_not_refused_however_full_the_warehouse(kit: InMemoryService) -> None:
    kit.do(deduct(phone=3), by=SYSTEM)
    kit.do(ReceiveStock(product_id=PHONE, quantity=MAX_QUANTITY - 7, reason="r"))
    kit.do(ReturnStock(order_id=ORDER, round=1), by=SYSTEM)
    assert stock(kit).on_hand == MAX_QUANTITY + 3


def test_INV_11_of_200_buyers_of_the_last_unit_one_gets_it() -> None:
    kit = InMemoryService(SERVICE)
    kit.do(replace(ADD, opening_stock=1, alert_quantity=0))
    buyers = [uuid5(NAMES, f"buyer {number}") for number in range(200)]
    requests = [kit.request(deduct(buyer, phone=1), SYSTEM) for buyer in buyers]
    kit.writer.execute(requests)
    assert all(request.future.exception(timeout=0) is None for request in requests)
    counted = Counter(type(fact) for fact in kit.facts())
    assert (counted[StockDeducted], counted[StockShort]) == (1, 199)
    assert stock(kit).on_hand == 0


# -- what is stored


def test_2_0_a_snapshot_tells_the_same_as_the_whole_stream(kit: InMemoryService) -> None:
    for number in range(StockItem.snapshot_every + 20):
        kit.do(AdjustStock(product_id=PHONE, change=1 if number % 2 else -1, reason="count"), by=ADMIN)
    replayed = StockItem(id=stock_id(PHONE))
    for fact in kit.stream(stock_id(PHONE)):
        replayed.apply(fact)
    assert replayed.version > StockItem.snapshot_every
    assert stock(kit) == replayed
    assert len(list(kit.store.facts(stock_id(PHONE), after=StockItem.snapshot_every))) < replayed.version
    assert kit.store._more.snapshot(stock_id(PHONE)) is not None


def test_2_0_what_is_stored_is_what_the_writer_holds(kit: InMemoryService) -> None:
    kit.do(deduct(phone=3), by=SYSTEM)
    kit.do(EditProduct(product_id=PHONE, alert_quantity=3))
    for cls, id in ((Product, PHONE), (StockItem, stock_id(PHONE)), (Deduction, deduction_id(ORDER))):
        assert kit.store.load(cls, id) == kit.writer._cache.get(id)


ORDERS = [uuid5(NAMES, f"order {number}") for number in range(4)]
small = st.integers(1, 8)
steps = st.lists(
    st.one_of(
        st.builds(ReceiveStock, product_id=st.sampled_from([PHONE, CASE]), quantity=small, reason=st.just("r")),
        st.builds(
            AdjustStock,
            product_id=st.sampled_from([PHONE, CASE]),
            change=st.integers(-8, 8).filter(bool),
            reason=st.just("r"),
        ),
        st.builds(
            DeductStock,
            order_id=st.sampled_from(ORDERS),
            round=st.integers(1, 2),
            attempt=st.integers(1, 3),
            lines=st.lists(
                st.builds(StockLine, product_id=st.sampled_from([PHONE, CASE]), quantity=small), min_size=1, max_size=3
            ).map(tuple),
        ),
        st.builds(ReturnStock, order_id=st.sampled_from(ORDERS), round=st.integers(1, 2)),
        st.builds(EditProduct, product_id=st.just(PHONE), alert_quantity=st.integers(0, 12)),
        st.just(DeleteProduct(product_id=CASE)),
        st.just(RestoreProduct(product_id=CASE)),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=60)
@given(steps)
def test_INV_10_INV_12_whatever_happens_the_ledger_adds_up_and_stock_is_never_negative(commands: list[Any]) -> None:
    kit = InMemoryService(SERVICE)
    kit.do(ADD)
    kit.do(ADD_CASE)
    requests = [kit.request(command) for command in commands]
    kit.writer.execute(requests)
    for request in requests:
        error = request.future.exception(timeout=0)
        assert error is None or getattr(error, "code", None) in ("INSUFFICIENT_STOCK", "NOT_FOUND")
    facts = kit.facts()
    for product_id in (PHONE, CASE):
        ledger = [f for f in facts if isinstance(f, StockMoved) and f.product_id == product_id]
        balance = 0
        for entry in ledger:
            balance += entry.change
            assert entry.balance == balance >= 0
        item = stock(kit, product_id)
        assert item.on_hand == balance
        assert item.closed or item.alerted == (item.on_hand < item.alert_quantity)
    taken = Counter((f.order_id, f.round) for f in facts if isinstance(f, StockDeducted))
    returned = Counter((f.order_id, f.round) for f in facts if isinstance(f, StockReturned))
    assert all(count == 1 for count in (taken | returned).values())
    assert not any(f.lines for f in facts if isinstance(f, StockReturned) and (f.order_id, f.round) not in taken)


@pytest.mark.parametrize("form", ["Café\u00a0X", "Cafe\u0301 X", "Caf\u200bé X", "ＣＡＦÉ X", " café  x "])
def test_inv_01_a_name_that_reads_the_same_is_taken(kit: InMemoryService, form: str) -> None:
    kit.do(replace(ADD, product_id=uuid4(), name="Café X"), by=WAREHOUSE)
    kit.assert_refused("DUPLICATE", replace(ADD, product_id=uuid4(), name=form), field="name")


@pytest.mark.parametrize("unseen", ["\u200b", "\u2060", "\ufeff", "\u00ad", "\u200d", "\u3164", "\u180e"])
def test_inv_01_what_is_not_seen_may_stand_for_a_blank(kit: InMemoryService, unseen: str) -> None:
    name = f"Desk{unseen}Lamp"
    kit.do(replace(ADD, product_id=uuid4(), name="Desk Lamp"), by=WAREHOUSE)
    kit.assert_refused("DUPLICATE", replace(ADD, product_id=uuid4(), name=name), field="name")
    other = replace(ADD, product_id=uuid4(), name=name, model=f"B{unseen}1")
    kit.do(other, by=WAREHOUSE)
    for taken in ("Desk Lamp", "desklamp"):
        for model in ("B 1", "b1"):
            again = replace(ADD, product_id=uuid4(), name=taken, model=model)
            kit.assert_refused("DUPLICATE", again, field="name")
    kit.do(replace(ADD, product_id=uuid4(), name="DeskLamp"), by=WAREHOUSE)  # two words and one are two names
    kit.do(EditProduct(product_id=other.product_id, name="Another"), by=WAREHOUSE)
    kit.do(replace(ADD, product_id=uuid4(), name="Desk Lamp", model="B1"), by=WAREHOUSE)


def test_inv_01_indexes_of_a_former_release_are_honoured() -> None:
    """Those of plain text have the id they had; another form's is looked up too."""
    plain = UniqueIndex.of_text("product", " Desk Lamp", "DL-1")
    assert plain.ids == (UniqueIndex.id_of("product", "desk lamp", "dl-1"),)
    found = UniqueIndex.of_text("product", "Café X", "A1")
    assert found.taken == (UniqueIndex.id_of("product", "Cafe\u0301 X", "A1"),) and found.former


@pytest.mark.parametrize("stored", ["Cafe\u0301 X", "Caf\u00e9\u00a0X", "ＣＡＦÉ X", "Caf\u200bé X"])
@pytest.mark.parametrize("new", ["Café X", "Another"])
def test_inv_07_a_former_name_is_free_whatever_form_a_former_release_claimed(stored: str, new: str) -> None:
    """It stored names as they were typed, and claimed them in small letters."""
    kit, id = InMemoryService(SERVICE), uuid4()
    kit.do(replace(ADD, product_id=id, name="Plain"))
    claimed = uuid5(
        NAMESPACE_URL, "\x1f".join(["salestream:index", "product", stored.casefold(), ADD.model.casefold()])
    )
    meta, added = kit.request(ADD).meta(), kit.new_facts()[0]
    attributes = replace(added.attributes, name=stored)
    edited = ProductEdited(product_id=id, attributes=attributes, prices=added.prices, alert_quantity=1)
    claim = recorded(claimed, 1, IndexClaimed(holder=id), meta)
    kit.store.commit(Transaction(events=[claim, recorded(id, 2, edited, meta)]))
    kit.assert_refused("DUPLICATE", replace(ADD, product_id=uuid4(), name=stored), field="name")
    kit.do(EditProduct(product_id=id, name=new), by=WAREHOUSE)
    kit.assert_refused("DUPLICATE", replace(ADD, product_id=uuid4(), name=new), field="name")
    kit.do(EditProduct(product_id=id, name="A third"), by=WAREHOUSE)
    index = kit.store.load(UniqueIndex, claimed)
    assert index is not None and index.holder is None
    kit.do(replace(ADD, product_id=uuid4(), name=stored), by=WAREHOUSE)
