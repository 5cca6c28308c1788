"""Records of which every optional value is given, one for each change (PATCH) that there is."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import msgspec

from chassis.catalogue import Catalogue
from chassis.documents.samples import sample
from chassis.model.identity import Named
from chassis.testing.custom_fields import FIELDS as CUSTOM_FIELDS
from chassis.testing.custom_fields import VALUES, known
from chassis.testing.people import ADMIN, SALES, SYSTEM, WAREHOUSE
from chassis.testing.records import enter_in, new_record, people_in
from chassis.testing.services import InMemoryService
from contracts.access import AddDepartment, DepartmentAdded, IssueUser, SetPreferences
from contracts.collaboration import LogCommunication, WriteComment
from contracts.configuration import AddCustomField, ChoiceGiven, SaveView
from contracts.custom_fields import Help, Label
from contracts.customers import CUSTOMER, CreateCustomer, CustomerCreated
from contracts.declare import CommandSpec
from contracts.inventory import AddProduct, Prices, ProductAdded, Trait
from contracts.notices import EditNoticeTemplate, EditPushRule, NoticeTemplate, PushRule
from contracts.orders import CreateOrder, LineRequest
from contracts.people import Person
from contracts.records import KINDS, Kind, kind_of
from contracts.saved_views import ListParameter
from contracts.schemas import load
from contracts.shipping import DispatchShipment
from contracts.types import Money
from services.access.test_access import NEW, Office

SERVICES = {service.name: service for service in Catalogue.read().services()}
ONE, TWO = (Money(amount=Decimal(amount), currency="CNY") for amount in (1, 2))
PRICES = Prices(purchase=ONE, sale=TWO, member=ONE)


def fields_of(spec: CommandSpec) -> list[str]:
    """What a change can name: neither its path nor a secret that allows it."""
    in_path = re.findall(r"{(\w+)}", str(spec.path))
    return [item.name for item in fields(spec.cls) if item.name not in in_path and item.repr]


@dataclass
class Filled:
    """A service with a record of which every optional value is given.

    `named` is what names it in a command, where that is not its id.
    """

    kit: InMemoryService
    id: UUID
    by: Any = ADMIN
    named: Mapping[str, str] = field(default_factory=dict)


def customer() -> Filled:
    kit, id = InMemoryService(SERVICES["customers"]), uuid4()
    names = ("industry", "company", "contact_person", "address", "region", "importance", "customer_type", "need")
    texts: dict[str, Any] = {name: "something" for name in (*names, "category", "source")}
    own = own_values(kit, CUSTOMER)
    kit.do(CreateCustomer(customer_id=id, name="Li", mobile="13800000001", tags=("big",), own=own, **texts), SALES)
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


def shipment() -> Filled:
    """One that has left, with a carrier."""
    kit, id = InMemoryService(SERVICES["shipping"]), uuid4()
    kit.do(load(DispatchShipment, {**sample(DispatchShipment), "order_id": str(id)}), SYSTEM)
    return Filled(kit, id, WAREHOUSE)


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


def with_preferences() -> Filled:
    made = oneself()
    made.kit.do(SetPreferences(user_id=made.id, language="en", time_zone="Asia/Tokyo", rows_per_page=30), made.by)
    return made


def department() -> Filled:
    kit, id = InMemoryService(SERVICES["access"]), uuid4()
    kit.do(AddDepartment(department_id=id, name="Sales"))
    return Filled(kit, id)


def custom_formula() -> Filled:
    kit = InMemoryService(SERVICES["configuration"])
    kit.do(AddCustomField(kind="customer", key="two", type="formula", label=Label(zh="两"), formula="1 + 1"))
    return of_custom_field(kit, "two")


def of_custom_field(kit: InMemoryService, key: str) -> Filled:
    return Filled(kit, Named("kind", "customer").id, named={"kind": "customer", "key": key})


def of_kind(kind: Kind) -> Filled:
    kit, id = InMemoryService(SERVICES[kind.service]), uuid4()
    own_values(kit, kind)
    body = {**new_record(kind, enter_in(kit), belongs=True), kind.key: str(id), "own": VALUES}
    kit.do(load(kind.create, body | {name: [str(kit.known(ADMIN).user_id)] for name in people_in(kind)}))
    return Filled(kit, id)


def notice_template() -> Filled:
    """One for push rules about a kind."""
    made = of_kind(kind_of(NoticeTemplate))
    made.kit.do(load(EditNoticeTemplate, {"notice_template_id": str(made.id), "record_kind": "lead"}))
    return made


def push_rule() -> Filled:
    """One that names everybody whom a rule may name."""
    made, department = of_kind(kind_of(PushRule)), uuid4()
    own_values(made.kit, CUSTOMER)
    made.kit.directory.tell([DepartmentAdded(department_id=department, name="Sales", parent_id=None)])
    condition = '{"field": "company", "is": "is_not_empty"}'
    people = {"to_users": [str(SALES.user_id)], "to_departments": [str(department)], "to_field": "guide"}
    made.kit.do(load(EditPushRule, {"push_rule_id": str(made.id), **people, "condition": condition}))
    return made


def own_values(kit: InMemoryService, kind: Kind) -> str:
    """Values of the fields that the company has added to a kind, as a command holds them."""
    kit.known(SALES)
    for row in known(kind.code, *CUSTOM_FIELDS):
        kit.directory.company.custom_fields.take(row)
    return msgspec.json.encode(VALUES).decode()


def custom_field() -> Filled:
    kit, label = InMemoryService(SERVICES["configuration"]), Label(zh="等级")
    choices = (ChoiceGiven(key="a", label=label),)
    more: dict[str, Any] = {"default": ("a",), "required": True, "position": 3, "help": Help(zh="如何")}
    kit.do(AddCustomField(kind="customer", key="grade", type="choice", label=label, choices=choices, **more))
    return of_custom_field(kit, "grade")


def custom_field_with_rights() -> Filled:
    kit = InMemoryService(SERVICES["configuration"])
    rights: dict[str, Any] = {"view_right": "payments", "edit_right": "settings"}
    kit.do(AddCustomField(kind="customer", key="note", type="text", label=Label(zh="说明"), **rights))
    return of_custom_field(kit, "note")


def custom_field_that_is_unique() -> Filled:
    kit = InMemoryService(SERVICES["configuration"])
    kit.do(AddCustomField(kind="customer", key="note", type="text", label=Label(zh="说明"), unique=True))
    return of_custom_field(kit, "note")


def comment() -> Filled:
    kit, id, record = InMemoryService(SERVICES["collaboration"]), uuid4(), uuid4()
    kind = next(iter(KINDS.values()))
    owner = {"owner": Person(user_id=SALES.user_id, name=SALES.name)} if kind.owned else {}
    kit.learn(replace(load(kind.created, sample(kind.created)), **{kind.key: record}, **owner))
    for by in (ADMIN, SALES):
        kit.known(by)
    about: dict[str, Any] = {"subject_kind": kind.code, "subject_id": record, "mentions": (ADMIN.user_id,)}
    kit.do(WriteComment(comment_id=id, text="something", **about), ADMIN)
    return Filled(kit, id)


def communication() -> Filled:
    kit, id, record = InMemoryService(SERVICES["collaboration"]), uuid4(), uuid4()
    kit.learn(replace(load(CustomerCreated, sample(CustomerCreated)), customer_id=record))
    told: dict[str, Any] = {name: f"some {name}" for name in ("title", "place", "recipients", "response", "next_plan")}
    about: dict[str, Any] = {"subject_kind": "customer", "subject_id": record, "way": "PHONE", "phone": "13800138000"}
    day = kit.today + timedelta(days=1)
    kit.do(LogCommunication(communication_id=id, text="something", next_contact_on=day, **about, **told), ADMIN)
    return Filled(kit, id)


def saved_view() -> Filled:
    kit, id = InMemoryService(SERVICES["configuration"]), uuid4()
    query = (ListParameter(name="sort", values=("name",)),)
    shown: dict[str, Any] = {"columns": ("name",), "audience": "ROLES", "roles": ("SAL",), "position": 3}
    kit.do(SaveView(saved_view_id=id, list_name="customers", name="View", parameters=query, **shown))
    return Filled(kit, id)


FILLED: dict[str, Callable[[], Filled]] = {
    "ChangeOrder": order,
    "ChangeTracking": shipment,
    "EditComment": comment,
    "EditCommunication": communication,
    "EditUser": user,
    "EditPersonalData": oneself,
    "SetPreferences": with_preferences,
    "RenameDepartment": department,
    "ChangeCustomField": custom_field,
    "ChangeSavedView": saved_view,
    "ChangeCustomField.formula": custom_formula,
    "ChangeCustomField.view_right": custom_field_with_rights,
    "ChangeCustomField.edit_right": custom_field_with_rights,
    "ChangeCustomField.unique": custom_field_that_is_unique,
    **{kind.edit.__name__: partial(of_kind, kind) for kind in KINDS.values()},
    "EditNoticeTemplate": notice_template,
    "EditPushRule": push_rule,
}
