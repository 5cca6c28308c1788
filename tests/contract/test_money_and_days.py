"""Every amount, currency and day that any command takes, against values that can't be meant (ORD-02, ORD-10, FUL-07).

The fields are found in the declarations.  Amounts and days whose limits depend on a record need a scene below; a new
one without a scene fails here.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from uuid import UUID, uuid4

import pytest
from marshmallow import ValidationError

from chassis.catalogue import Catalogue
from chassis.documents import sample
from chassis.model.principal import Principal
from chassis.testing.people import ADMIN, FINANCE, SALES, SYSTEM, WAREHOUSE
from chassis.testing.records import enter_in, new_record
from chassis.testing.services import InMemoryService
from contracts.collaboration import EditCommunication, LogCommunication
from contracts.company import CompanyData, CompanyDataSet, ParameterSet
from contracts.currencies import DECIMALS
from contracts.customers import CustomerCreated, CustomerData
from contracts.declare import KEPT, REGISTRY, CommandSpec
from contracts.errors import Refused
from contracts.inventory import Attributes, Prices, ProductAdded
from contracts.messages import explain
from contracts.orders import (
    ChangeOrder,
    CreateOrder,
    ExchangeRate,
    LineRequest,
    RecordPayment,
    SetSalesProcess,
    SubmitOrder,
)
from contracts.people import Person
from contracts.records import KINDS, Kind
from contracts.schedules import SCHEDULES
from contracts.schemas import load
from contracts.shipping import Deliver, DispatchShipment
from contracts.types import AmountField, CurrencyField, DayField, MomentField, Money, RateField
from services.collaboration import application as collaboration
from services.orders import application as orders
from services.shipping import application as shipping

REGISTRY.load()
COMMANDS = [spec for _, spec in sorted(REGISTRY.commands.items())]

Path = tuple[str | int, ...]


def _hints(cls: type) -> Mapping[str, Any]:
    return get_type_hints(cls, include_extras=True)


def places(hint: Any, wanted: Callable[[Any], bool], path: Path = ()) -> Iterator[Path]:
    """Where in a contract there is what `wanted` tells, lists at their first item.  Money counts as a whole."""
    if wanted(hint):
        yield path
    elif get_origin(hint) is Annotated or hint is Money:
        return
    elif isinstance(hint, type) and is_dataclass(hint):
        types = _hints(hint)
        for item in fields(hint):
            yield from places(types[item.name], wanted, (*path, item.name))
    else:
        deeper: Path = (0,) if get_origin(hint) is tuple else ()
        for argument in get_args(hint):
            yield from places(argument, wanted, (*path, *deeper))


def guarded_by(*kinds: type) -> Callable[[Any], bool]:
    return lambda hint: get_origin(hint) is Annotated and hint.__metadata__[0] in kinds


def every(wanted: Callable[[Any], bool]) -> list[Any]:
    return [
        pytest.param(spec, path, id=f"{spec.name}-{'.'.join(map(str, path))}")
        for spec in COMMANDS
        for path in dict.fromkeys(places(spec.cls, wanted))
    ]


def with_value(spec: CommandSpec, path: Path, value: Any) -> dict[str, Any]:
    """A valid command, but for `value` at `path`."""
    whole: Any = deepcopy(sample(spec.cls))
    inner = whole
    for step in path[:-1]:
        if isinstance(step, int) and not inner:
            pytest.fail(f"the sample of {spec.name} has no item at {path}")
        inner = inner[step]
    inner[path[-1]] = value
    return dict(whole)


DECIMALS_GIVEN = [
    pytest.param(spec, (*path, "amount") if hint is Money else path, id=f"{spec.name}-{'.'.join(map(str, path))}")
    for spec in COMMANDS
    for hint, wanted in ((Money, lambda hint: hint is Money), (None, guarded_by(AmountField, RateField)))
    for path in dict.fromkeys(places(spec.cls, wanted))
]


@pytest.mark.parametrize(("spec", "path"), DECIMALS_GIVEN)
@pytest.mark.parametrize("written", ["７", " ＋７．００ ", "\u30000７．0"])
def test_ord_10_a_number_is_taken_in_digits_of_any_width(spec: CommandSpec, path: Path, written: str) -> None:
    """As Chinese and Japanese keyboards type it, in whatever field of whatever command."""
    assert load(spec.cls, with_value(spec, path, written)) == load(spec.cls, with_value(spec, path, "7"))
    for wrong in ("７．", "七", "７,０００", "１ ２"):
        with pytest.raises(Refused):
            load(spec.cls, with_value(spec, path, wrong))


@pytest.mark.parametrize(("spec", "path"), every(lambda hint: hint is Money))
def test_money_that_names_no_currency_is_in_the_companys(spec: CommandSpec, path: Path) -> None:
    """SET-04, over every amount of money that any command takes; what is stored names it always."""

    def at(value: Any) -> Any:
        for name in path:
            value = value[name] if isinstance(name, int) else getattr(value, name)
        return value

    unnamed = with_value(spec, path, {"amount": "7"})
    for currency in ("JPY", "EUR"):
        assert at(load(spec.cls, unnamed, currency=currency)) == Money(amount=Decimal(7), currency=currency)
    named = with_value(spec, path, {"amount": "7.00", "currency": "USD"})
    assert at(load(spec.cls, named, currency="JPY")) == Money(amount=Decimal(7), currency="USD")
    for wrong in ({"amount": "7", "currency": None}, {"amount": "7", "currency": ""}, {"amount": "7.50"}):
        with pytest.raises(Refused):
            load(spec.cls, with_value(spec, path, wrong), currency="JPY")
    with pytest.raises(Refused) as refused:
        load(spec.cls, unnamed)
    assert str(refused.value.field).endswith("currency"), "without a company's, it must be named"


def assert_refused_at(spec: CommandSpec, path: Path, value: Any) -> None:
    with pytest.raises(Refused) as refused:
        load(spec.cls, with_value(spec, path, value))
    assert refused.value.code == "VALIDATION"
    assert str(refused.value.field).startswith(".".join(map(str, path))), refused.value.field


# -- what the contract alone refuses


@pytest.mark.parametrize(("spec", "path"), every(lambda hint: hint is Money))
def test_an_amount_fits_its_currency(spec: CommandSpec, path: Path) -> None:
    hostile = [("99.50", "JPY"), ("1.001", "CNY"), ("1.2345", "KWD"), ("1.23456", "CLF"), ("1", "ZZZ"), ("1", "XXX")]
    hostile += [("1", "XAU"), ("1", "cny"), ("1", "RMB "), ("NaN", "CNY"), ("-1", "CNY"), ("1e309", "CNY"), ("", "CNY")]
    hostile += [("1000000000000.01", "CNY"), ("0.1e1", "CNY"), ("七", "CNY")]
    for amount, currency in hostile:
        assert_refused_at(spec, path, {"amount": amount, "currency": currency})
    assert_refused_at(spec, path, {"amount": "1"})
    for amount, currency in [
        ("99", "JPY"),
        ("99.00", "JPY"),
        ("1.234", "KWD"),
        ("1.2", "CNY"),
        ("0", "USD"),
        ("１", "CNY"),
    ]:
        load(spec.cls, with_value(spec, path, {"amount": amount, "currency": currency}))


@pytest.mark.parametrize(("spec", "path"), every(guarded_by(CurrencyField)))
def test_a_currency_is_one_of_iso_4217(spec: CommandSpec, path: Path) -> None:
    for code in ("ZZZ", "XXX", "XTS", "XAU", "cny", "CN", "CNYY", "CNY\n", " CNY", "￥", 156, " "):
        assert_refused_at(spec, path, code)
    for code in ("CNY", "JPY", "KWD"):
        load(spec.cls, with_value(spec, path, code))


@pytest.mark.parametrize(("spec", "path"), every(guarded_by(DayField, MomentField)))
def test_a_day_is_a_day_of_the_calendar(spec: CommandSpec, path: Path) -> None:
    for day in ("0001-01-01", "1899-12-31", "2026-02-29", "2026-2-1", "10000-01-01", "20260302", 20260302, " ", "now"):
        assert_refused_at(spec, path, day)


def test_who_gives_no_day_is_told_how_one_is_written() -> None:
    explain(asked := DayField(), "day")
    for day in ("31.01.2026", "2026-02-30", "2026-01-31T00:00:00Z", 20260131, ""):
        with pytest.raises(ValidationError, match="such as 2026-01-31"):
            asked.deserialize(day)


def test_money_fills_up_the_decimals_of_its_currency_and_rounds_nothing() -> None:
    for code, decimals in DECIMALS.items():
        assert -Money(amount=Decimal(5), currency=code).amount.as_tuple().exponent == decimals  # type: ignore[operator]
    assert Money(amount=Decimal("99.50"), currency="JPY").amount == Decimal("99.50"), "an older event stays readable"
    assert Money(amount=Decimal(1), currency="ZZZ").amount == 1


# -- what depends on the record: a scene tells one that the field belongs to

ORDER, PRODUCT, CUSTOMER = UUID(int=1), UUID(int=2), UUID(int=3)
TODAY = date(2026, 3, 2)
NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
BY = Person(user_id=SALES.user_id, name=SALES.name)
Scene = Callable[[Any], tuple[InMemoryService, Any, Principal]]
"""For a value: a service in which the record stands as it should, the command with that value, and who sends it."""


def yen_order() -> InMemoryService:
    kit = InMemoryService(orders.SERVICE)
    kit.now = NOW
    price = Money(amount=Decimal(100), currency="JPY")
    about = Attributes(name="p", model="p", brand="p")
    kit.learn(
        CustomerCreated(customer_id=CUSTOMER, data=CustomerData(name="Acme"), owner=BY),
        ProductAdded(product_id=PRODUCT, attributes=about, prices=Prices(purchase=price, sale=price), alert_quantity=0),
    )
    lines = (LineRequest(product_id=PRODUCT, quantity=1),)
    kit.do(CreateOrder(order_id=ORDER, customer_id=CUSTOMER, lines=lines), SALES)
    return kit


def submitted() -> InMemoryService:
    kit = yen_order()
    kit.do(SetSalesProcess(rates=(ExchangeRate(currency="JPY", rate=Decimal("0.05")),)))
    kit.do(SubmitOrder(order_id=ORDER), SALES)
    return kit


def yen_company() -> InMemoryService:
    kit = yen_order()
    data = CompanyData(full_name="Acme", currency="JPY")
    kit.learn(CompanyDataSet(settings_id="company", data=data, revision=1))
    return kit


def dispatched() -> InMemoryService:
    kit = InMemoryService(shipping.SERVICE)
    kit.now = NOW
    kit.do(load(DispatchShipment, {**sample(DispatchShipment), "order_id": str(ORDER)}), SYSTEM)
    return kit


def with_customer() -> InMemoryService:
    kit = InMemoryService(collaboration.SERVICE)
    kit.now = NOW
    kit.learn(CustomerCreated(customer_id=CUSTOMER, data=CustomerData(name="Acme"), owner=BY))
    return kit


def contacted() -> InMemoryService:
    """Its author may change it for long."""
    kit = with_customer()
    long = ParameterSet(name="communications.edit_hours", before="", value="1000", reason="policy", revision=1)
    kit.directory.tell([long])
    kit.do(contact(communication_id=ORDER), SALES)
    return kit


def contact(**more: Any) -> LogCommunication:
    return LogCommunication(subject_kind="customer", subject_id=CUSTOMER, way="PHONE", text="x", **more)


def moment(day: Any) -> Any:
    """The first of a day, or what is left out."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) if type(day) is date else day


def lines(price: Decimal) -> tuple[LineRequest, ...]:
    return (LineRequest(product_id=PRODUCT, quantity=1, unit_price=price),)


AMOUNTS: Mapping[tuple[type, Path], Scene] = {
    (CreateOrder, ("lines", 0, "unit_price")): lambda price: (
        yen_order(),
        CreateOrder(customer_id=CUSTOMER, lines=lines(price)),
        SALES,
    ),
    (ChangeOrder, ("lines", 0, "unit_price")): lambda price: (
        yen_order(),
        ChangeOrder(order_id=ORDER, lines=lines(price), currency="JPY"),
        SALES,
    ),
    (RecordPayment, ("amount",)): lambda amount: (
        submitted(),
        RecordPayment(order_id=ORDER, amount=amount),
        FINANCE,
    ),
    (SetSalesProcess, ("threshold",)): lambda amount: (yen_company(), SetSalesProcess(threshold=amount), ADMIN),
}
DAYS: Mapping[tuple[type, Path], tuple[Scene, date]] = {
    (CreateOrder, ("order_date",)): (
        lambda day: (yen_order(), CreateOrder(customer_id=CUSTOMER, lines=lines(Decimal(1)), order_date=day), SALES),
        date(1976, 2, 28),
    ),
    (ChangeOrder, ("order_date",)): (
        lambda day: (yen_order(), ChangeOrder(order_id=ORDER, order_date=day), SALES),
        date(1976, 2, 28),
    ),
    (RecordPayment, ("paid_on",)): (
        lambda day: (submitted(), RecordPayment(order_id=ORDER, amount=Decimal(1), paid_on=day), FINANCE),
        date(2026, 3, 1),
    ),
    (Deliver, ("delivered_on",)): (
        lambda day: (dispatched(), Deliver(order_id=ORDER, delivered_on=day), WAREHOUSE),
        date(2026, 3, 1),
    ),
    (LogCommunication, ("at",)): (
        lambda day: (with_customer(), contact(at=moment(day)), SALES),
        date(2026, 3, 1),
    ),
    (EditCommunication, ("at",)): (
        lambda day: (contacted(), EditCommunication(communication_id=ORDER, at=moment(day)), SALES),
        date(2026, 3, 1),
    ),
    (LogCommunication, ("next_contact_on",)): (
        lambda day: (with_customer(), contact(next_contact_on=day), SALES),
        date(2026, 3, 1),
    ),
    (EditCommunication, ("next_contact_on",)): (
        lambda day: (contacted(), EditCommunication(communication_id=ORDER, next_contact_on=day), SALES),
        date(2026, 3, 1),
    ),
}
"""The scene of a day, and the last day before the thing could have happened."""


def found(wanted: Callable[[Any], bool]) -> set[tuple[type, Path]]:
    """Where public commands take such a value; those of the saga repeat what an event has told.

    The fields of a kind of record are told as they are: any day is right, and a kind's own rules have their own tests.
    So has the day until which a record is shared, which is none of something that has happened (test_sharing.py).
    A schedule may be run by hand for any day that has passed (services/approvals/test_reminders.py).
    """
    of_kinds = {cls for kind in KINDS.values() for cls in (kind.create, kind.edit, kind.share)}
    asked = [spec.cls for spec in COMMANDS if spec.is_public and spec.cls not in {*of_kinds, *SCHEDULES}]
    return {(cls, path) for cls in asked for path in places(cls, wanted)}


def test_every_amount_without_a_currency_beside_it_has_a_scene() -> None:
    assert found(guarded_by(AmountField)) == set(AMOUNTS)


def test_every_day_has_a_scene() -> None:
    assert found(guarded_by(DayField, MomentField)) == set(DAYS)


def each(scenes: Mapping[Any, Any]) -> list[Any]:
    """The scenes, each called by its place."""
    return [
        pytest.param(place, scene, id=f"{place[0].__name__} {'.'.join(map(str, place[1]))}")
        for place, scene in scenes.items()
    ]


@pytest.mark.parametrize(("place", "scene"), each(AMOUNTS))
def test_an_amount_of_the_record_fits_the_record_s_currency(place: tuple[type, Path], scene: Scene) -> None:
    for amount in (Decimal("99.50"), Decimal("0.01"), Decimal("1.0001")):
        kit, command, by = scene(amount)
        kit.assert_refused("VALIDATION", command, by, field=".".join(map(str, place[1])))
    kit, command, by = scene(Decimal("99.00"))
    kit.do(command, by)


@pytest.mark.parametrize(("place", "scene"), each(DAYS))
def test_a_day_lies_where_the_thing_can_have_happened(place: tuple[type, Path], scene: tuple[Scene, date]) -> None:
    make, day_before = scene
    for day in (day_before, date(1900, 1, 1), date(1970, 1, 1), date(2028, 1, 1), date(2126, 3, 2), date.max):
        kit, command, by = make(day)
        kit.assert_refused("VALIDATION", command, by, field=str(place[1][0]))
    for good in (TODAY, left_out(place)):
        kit, command, by = make(good)
        kit.do(command, by)


OF_THE_PAST = [
    pytest.param(kind, name, id=f"{kind.what}.{name}")
    for kind in KINDS.values()
    for name, field in kind.fields.items()
    if field.rules.past
]


@pytest.mark.parametrize(("kind", "name"), OF_THE_PAST)
def test_a_record_tells_of_what_has_happened_no_day_to_come(kind: Kind, name: str) -> None:
    """MKT-05, over every field of a kind of record that is declared so."""
    is_moment = kind.fields[name].checked_by is MomentField
    now, near, far = (
        (NOW.isoformat(), (NOW + timedelta(minutes=2)).isoformat(), "9999-12-31T00:00:00Z")
        if is_moment
        else (TODAY.isoformat(), (TODAY + timedelta(days=1)).isoformat(), "9999-12-31")
    )
    kit = InMemoryService(next(one for one in Catalogue.read().services() if one.name == kind.service))
    kit.now = NOW
    id = str(uuid4())
    create = {key: value for key, value in new_record(kind, enter_in(kit)).items() if key != name} | {kind.key: id}
    edit = {kind.key: id, **{key: value for key, value in create.items() if key in kind.fields}}
    for day in (near, far):
        kit.assert_refused("VALIDATION", load(kind.create, {**create, name: day}), field=name)
    kit.do(load(kind.create, {**create, name: now}))
    for day in (near, far):
        kit.assert_refused("VALIDATION", load(kind.edit, {**edit, name: day}), field=name)
    kit.now -= timedelta(days=2)  # today is an earlier day: what stands there is in nobody's way
    other = next(key for key in edit if key not in (name, kind.key) and isinstance(edit[key], str))
    for command, more in ((kind.edit, {other: edit[other]}), (kind.delete, {}), (kind.restore, {})):
        kit.do(load(command, {kind.key: create[kind.key], **more}))


def test_some_record_tells_of_what_has_happened() -> None:
    assert OF_THE_PAST


def left_out(place: tuple[type, Path]) -> Any:
    return next(item.default for item in fields(place[0]) if item.name == place[1][0])


@pytest.mark.parametrize(("place", "scene"), each(DAYS))
@pytest.mark.parametrize("hours", [-48, -24, 0, 24])
def test_the_day_taken_for_one_left_out_could_have_been_given(
    place: tuple[type, Path], scene: tuple[Scene, date], hours: int
) -> None:
    """Also when the company's zone, or the clock, has set today back since the thing happened that it belongs to."""
    make, name = scene[0], str(place[1][0])
    kit, command, by = make(left_out(place))
    kit.now += timedelta(hours=hours)
    kit.new_facts()
    kit.do(command, by)
    taken = [getattr(fact, name) for fact in kit.new_facts() if hasattr(fact, name)]
    for day in taken:
        kit, command, by = make(day)
        kit.now += timedelta(hours=hours)
        kit.do(command, by)
    assert taken or left_out(place) is KEPT
