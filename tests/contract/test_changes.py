"""Changes (PATCH): left out, null and empty are three things, for each field of each command (ADR 0020).

Looked at are the record, the event with its published schema, and every view that shows the field.
"""

import json
import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import NoneType
from typing import Any, get_args, get_type_hints
from uuid import UUID, uuid4

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from chassis.catalogue import Catalogue
from chassis.domain import Aggregate
from chassis.testing import ADMIN, SALES, WAREHOUSE, InMemoryService, documents
from chassis.views import stored
from contracts.access import AddDepartment, IssueUser
from contracts.customers import CreateCustomer, CustomerCreated
from contracts.declare import KEPT, REGISTRY, CommandSpec
from contracts.errors import Refused
from contracts.inventory import AddProduct, Prices, ProductAdded, Trait
from contracts.orders import CreateOrder, LineRequest
from contracts.schemas import decode, encode, load
from contracts.types import Money
from services.access.test_access import NEW, Office

REPOSITORY = Path(__file__).parents[2]
SERVICES = {service.name: service for service in Catalogue.read().services()}
CHANGES = [spec for spec in REGISTRY.commands.values() if spec.method == "PATCH"]
PRICES = Prices(purchase=Money(amount=Decimal(1), currency="CNY"), sale=Money(amount=Decimal(2), currency="CNY"))


def fields_of(spec: CommandSpec) -> list[str]:
    """What a change can name: neither its path nor a secret that allows it."""
    in_path = re.findall(r"{(\w+)}", str(spec.path))
    return [item.name for item in fields(spec.cls) if item.name not in in_path and item.repr]


CASES = [(spec, name) for spec in CHANGES for name in fields_of(spec)]


@dataclass
class Filled:
    """A service with a record of which every optional value is given."""

    kit: InMemoryService
    id: UUID
    by: Any = ADMIN


def customer() -> Filled:
    kit, id = InMemoryService(SERVICES["customers"]), uuid4()
    names = ("industry", "company", "contact_person", "address", "region", "importance", "customer_type", "need")
    texts: dict[str, Any] = {name: "something" for name in (*names, "category", "source")}
    kit.do(CreateCustomer(customer_id=id, name="Li", mobile="13800000001", tags=("big",), **texts), SALES)
    return Filled(kit, id, SALES)


def product() -> Filled:
    kit, id = InMemoryService(SERVICES["inventory"]), uuid4()
    trait = Trait(name="colour", value="red")
    texts: dict[str, Any] = dict.fromkeys(("name", "model", "brand", "category", "description", "specification"), "x")
    more: dict[str, Any] = {"prices": PRICES, "alert_quantity": 3, "traits": (trait,), "accessories": ("cable",)}
    kit.do(AddProduct(product_id=id, **texts, **more), WAREHOUSE)
    return Filled(kit, id, WAREHOUSE)


def order() -> Filled:
    kit, id = InMemoryService(SERVICES["orders"]), uuid4()
    shop, goods = customer(), product()
    kit.learn(*(fact for fact in shop.kit.facts() if isinstance(fact, CustomerCreated)))
    kit.learn(*(fact for fact in goods.kit.facts() if isinstance(fact, ProductAdded)))
    line = LineRequest(product_id=goods.id, quantity=1)
    kit.do(CreateOrder(order_id=id, customer_id=shop.id, lines=(line,), channel="shop", note="soon"), SALES)
    return Filled(kit, id, SALES)


def user() -> Filled:
    kit, boss, department, id = InMemoryService(SERVICES["access"]), uuid4(), uuid4(), uuid4()
    kit.do(AddDepartment(department_id=department, name="Sales"))
    kit.do(IssueUser(user_id=boss, login="boss", name="Boss"))
    contact: dict[str, Any] = {"email": "li@example.com", "phone": "13800000001"}
    kit.do(IssueUser(user_id=id, login="li", name="Li", superior_id=boss, department_id=department, **contact))
    return Filled(kit, id)


def oneself() -> Filled:
    with TemporaryDirectory() as folder:
        office = Office(Path(folder))
        id, login = office.user("SAL", email="li@example.com", phone="13800000001")
        return Filled(office.kit, id, office.principal(office.sign_in(login, NEW)))


def department() -> Filled:
    kit, id = InMemoryService(SERVICES["access"]), uuid4()
    kit.do(AddDepartment(department_id=id, name="Sales"))
    return Filled(kit, id)


FILLED: dict[str, Callable[[], Filled]] = {
    "EditCustomer": customer,
    "EditProduct": product,
    "ChangeOrder": order,
    "EditUser": user,
    "EditPersonalData": oneself,
    "RenameDepartment": department,
}


def test_the_fields_of_every_change_are_kept_when_left_out() -> None:
    assert {spec.name for spec in CHANGES} == set(FILLED), "a new change needs a record to be tried on"
    for spec, name in CASES:
        default = spec.cls.__dataclass_fields__[name].default  # type: ignore[attr-defined]
        assert default is KEPT or default is MISSING, f"{spec.name}.{name} has the default {default!r}, not KEPT"


def hint_of(spec: CommandSpec, name: str) -> Any:
    return get_type_hints(spec.cls)[name]


def empty_of(spec: CommandSpec, name: str) -> Any:
    """What an empty value of the field is in JSON."""
    hint = hint_of(spec, name)
    kinds = [kind for kind in get_args(hint) if kind is not NoneType] if NoneType in get_args(hint) else [hint]
    return [] if getattr(kinds[0], "__origin__", None) is tuple else {} if is_dataclass(kinds[0]) else ""


def value_in(part: Any, name: str) -> Any:
    """The value of a field in a record or event, wherever in it; ... when there is none."""
    if not is_dataclass(part) or isinstance(part, type):
        return ...
    if name in {item.name for item in fields(part)}:
        return getattr(part, name)
    found = (value_in(getattr(part, item.name), name) for item in fields(part))
    return next((value for value in found if value is not ...), ...)


def record_of(made: Filled) -> Aggregate:
    """The record, made anew of its events."""
    facts = made.kit.stream(made.id)
    kinds = [kind for kind in kinds_of(Aggregate) if all(type(fact) in kind.appliers for fact in facts)]
    record = kinds[0](made.id)
    for fact in facts:
        record.apply(fact)
    return record


def kinds_of(base: type[Aggregate]) -> list[type[Aggregate]]:
    return [kind for sub in base.__subclasses__() for kind in (sub, *kinds_of(sub))]


@cache
def schema_of_event(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((REPOSITORY / "contracts" / "schemas" / f"{name}.json").read_text()))


def do(made: Filled, spec: CommandSpec, body: dict[str, Any]) -> None:
    made.kit.do(load(spec.cls, {spec.key: str(made.id), **body}), made.by)


def is_optional(spec: CommandSpec, name: str) -> bool:
    return NoneType in get_args(hint_of(spec, name))


@pytest.mark.parametrize(("spec", "name"), CASES, ids=lambda case: getattr(case, "name", case))
@pytest.mark.parametrize("given", ["left out", "null", "empty"])
def test_left_out_null_and_empty_are_three_things(spec: CommandSpec, name: str, given: str) -> None:
    made = FILLED[spec.name]()
    before = record_of(made)
    old = value_in(before, name)
    assert old is ... or old, "the record has nothing to take away"
    made.kit.new_facts()
    body = {"left out": {}, "null": {name: None}, "empty": {name: empty_of(spec, name)}}[given]
    if spec.name == "EditPersonalData" and body:
        body["password"] = NEW
    refusal = None
    try:
        do(made, spec, body)
    except Refused as refused:
        refusal = refused
    facts = made.kit.new_facts()
    if given == "left out":
        assert not facts and (refusal is None or name in refusal.fields), "what is left out keeps its value"
        return
    if refusal is not None:
        assert not facts and record_of(made) == before
        assert refusal.code == "VALIDATION"
        assert name in {refusal.field, *refusal.fields} or str(refusal.field).startswith(f"{name}."), refusal.message
        assert given == "empty" or not is_optional(spec, name) or "must be filled" in str(refusal.fields)
        return
    assert given == "empty" or is_optional(spec, name)
    nothing: tuple[Any, ...] = ("", None, (), [])
    assert value_in(record_of(made), name) in nothing
    [fact] = [fact for fact in facts if REGISTRY.is_public_event(type(fact)) and value_in(fact, name) is not ...]
    assert value_in(fact, name) in nothing
    event = REGISTRY.event_of(type(fact))
    schema_of_event(event.name).validate(json.loads(encode(fact)))
    assert decode(type(fact), encode(fact)) == fact
    for view in Catalogue.read().views():
        row = {item.name for item in fields(view.row)}
        if type(fact) in view.handlers and name in row:
            public = [known for known in made.kit.facts() if type(known) in view.handlers]
            shown = documents(view, public)[str(stored(made.id))].get(name)
            assert shown in nothing, f"{view.name}.{name} shows {shown!r}"
