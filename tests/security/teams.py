"""Somebody whose rights reach so far, and owners of records: the caller, one led, one beside, a stranger."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from types import MappingProxyType
from typing import Any, Literal, get_args
from uuid import UUID

from chassis.testing.records import new_record
from contracts.approvals import OpenCase, case_id_of
from contracts.declare import REGISTRY
from contracts.people import Person
from contracts.permissions import DataScope
from contracts.records import KINDS, Kind
from contracts.sales import ApprovalNode
from contracts.types import Money
from security.office import Caller, Office, new_id

Relation = Literal["own", "led", "beside", "stranger"]
RELATIONS: tuple[Relation, ...] = get_args(Relation)

REACHED: dict[DataScope, tuple[Relation, ...]] = {
    "OWN": ("own",),
    "SUBORDINATES": ("own", "led"),
    "DEPARTMENT": ("own", "beside"),
    "ALL": RELATIONS,
}
"""Whose records a right with this scope reaches (SEC-18)."""

OF_ORDERS = ("orders.view", "orders.edit", "orders.approve", "payments", "reports.sales", "subordinates")


def scoped_rights() -> set[str]:
    """The rights of orders, and those of every kind of record that belongs to people, by itself or through another."""
    owned = [kind for kind in KINDS.values() if kind.owned or kind.reached_through]
    commands = [command for kind in owned for command in (kind.edit, kind.merge) if command]
    return {*OF_ORDERS, *(kind.view for kind in owned), *(REGISTRY.command_of(one).permission for one in commands)}


_mobiles = count(13900000000)


@dataclass(frozen=True)
class Team:
    """The caller, whose rights all have this scope, and the owners of records by how they stand to the caller."""

    office: Office
    scope: DataScope
    caller: Caller
    owners: dict[Relation, Caller]
    product_id: str

    @classmethod
    def gather(cls, office: Office, scope: DataScope, product_id: str) -> "Team":
        """Make the people and the role; nobody of another team stands in any relation to them."""
        role = f"REACHES_{scope}"
        office.call(f"PUT /roles/{role}", {"title": f"Reaches {scope}"}, office.admin).done()
        for right in sorted(scoped_rights()):
            office.call(f"PUT /roles/{role}/rights/{right}", {"scope": scope}, office.admin).done()
        here, there = (
            office.call("POST /departments", {"name": f"{name}, {scope}"}, office.admin).done()["id"]
            for name in ("here", "there")
        )
        caller = office.user(role, name=scope, department_id=here)
        owners: dict[Relation, Caller] = {
            "own": caller,
            "led": office.user("SUP", name="led", superior_id=caller.user_id, department_id=there),
            "beside": office.user("SUP", name="beside", department_id=here),
            "stranger": office.user("SUP", name="stranger", department_id=there),
        }
        return cls(office, scope, caller, owners, product_id)

    def reaches(self, relation: Relation) -> bool:
        return relation in REACHED[self.scope]

    def cells(self) -> Iterator[tuple[Relation, Caller, bool]]:
        """(relation, owner, whether the caller's rights reach the owner's records)."""
        return ((relation, owner, self.reaches(relation)) for relation, owner in self.owners.items())

    # -- records

    def customer(self, owner: Caller) -> str:
        body = {"name": f"Acme of {owner.name}", "mobile": str(next(_mobiles)), "industry": "IT"}
        id = str(self.office.call("POST /customers", body, owner).done()["id"])
        self.office.tell_all()
        return id

    def record(self, kind: Kind, owner: Caller, there: Mapping[str, str] = MappingProxyType({})) -> str:
        """A record of a kind that belongs to this person; what it must belong to is entered, unless it is `there`."""
        body = new_record(kind, lambda parent: there.get(parent.code) or self.record(parent, owner, there))
        return str(self.office.call(f"POST {kind.path}", body, owner).done()["id"])

    def order(self, owner: Caller, *, submitted: bool = False, customer: str = "") -> str:
        body = {
            "customer_id": customer or self.customer(owner),
            "lines": [{"product_id": self.product_id, "quantity": 1}],
            "note": f"Order of {owner.name}",
        }
        id = str(self.office.call("POST /orders", body, owner).done()["id"])
        if submitted:
            self.office.call(f"POST /orders/{id}/submit", {}, owner).done()
        return id

    def case(
        self, superior: Caller, submitter: Caller | None = None, route: tuple[ApprovalNode, ...] = ("SUPERVISOR",)
    ) -> str:
        """An approval case that waits for this superior."""
        seller = submitter or self.office.user("SAL", name="seller", superior_id=superior.user_id)
        order_id = UUID(new_id())
        case_id = case_id_of(order_id, 1)
        opening = OpenCase(
            case_id=case_id,
            order_id=order_id,
            round=1,
            number="SO-000001",
            customer_name=f"Acme of {superior.name}",
            total=Money(amount=Decimal("6000.00"), currency="CNY"),
            route=route,
            submitter=Person(user_id=UUID(seller.user_id), name="seller"),
            superior_id=UUID(superior.user_id),
        )
        self.office.system(opening)
        return str(case_id)


def add_product(office: Office) -> str:
    prices = {kind: {"amount": "100.00", "currency": "CNY"} for kind in ("purchase", "sale")}
    body: dict[str, Any] = {"name": new_id(), "model": "A1", "brand": "Acme", "prices": prices, "opening_stock": 10_000}
    id = str(office.call("POST /products", body, office.admin).done()["id"])
    office.tell_all()
    return id
