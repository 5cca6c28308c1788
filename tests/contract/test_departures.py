"""Somebody leaves, is moved, or loses a role while things wait for them (SEC-14, APR-12, ORD-08).

The access, approvals and orders services run in memory with one directory.  What people may do is tried by doing it,
and compared with what the lists would show them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from security.office import quick_hashes

from chassis.model.deciding import Caller
from chassis.model.principal import SYSTEM, Principal
from chassis.model.views import CALLER, View
from chassis.queries.reader import ViewReader
from chassis.testing.services import InMemoryService
from chassis.testing.views import documents, matches
from chassis.writer.caches import AggregateCache, RowCache
from chassis.writer.unit_of_work import Batch, UnitOfWork
from contracts.access import AddMachine, AddRoleMember, DeleteUser, EditUser, Grant, IssueUser, RemoveRoleMember
from contracts.approvals import Approve, OpenCase, RequestApproval, Subject, case_id_for, case_id_of
from contracts.customers import CreateCustomer
from contracts.deciders import Decider, Node
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.inventory import AddProduct, Prices
from contracts.orders import CancelOrder, CreateOrder, LineRequest, SubmitOrder, WithdrawOrder
from contracts.sales import ApprovalNode
from contracts.types import Money
from services.access.application import SERVICE as ACCESS
from services.access.domain.users import User
from services.approvals.application import SERVICE as APPROVALS
from services.customers.application import SERVICE as CUSTOMERS
from services.inventory.application import SERVICE as INVENTORY
from services.orders.application import SERVICE as ORDERS
from services.reports.views import approvals as approval_views
from services.reports.views import orders as order_views

DEAR = Money(amount=Decimal("6000.00"), currency="CNY")


@dataclass
class Firm:
    """People, what they have submitted, and what they are asked to do."""

    people: list[UUID] = field(default_factory=list)
    programs: set[UUID] = field(default_factory=set)
    cases: dict[UUID, UUID] = field(default_factory=dict)  # an order -> its case

    def __post_init__(self) -> None:
        self.access = InMemoryService(ACCESS)
        self.services = {
            service.name: InMemoryService(service) for service in (CUSTOMERS, INVENTORY, ORDERS, APPROVALS)
        }
        for kit in self.services.values():
            kit.directory = self.access.directory
        self.admin = self.person("ADM")

    def person(self, *roles: str, under: UUID | None = None) -> UUID:
        id = uuid4()
        name = f"person {len(self.people)}"
        command = IssueUser(
            user_id=id, login=str(id), name=name, default_password="Welcome#2026", roles=roles, superior_id=under
        )
        self.access.do(command, SYSTEM)
        self.people.append(id)
        return id

    def program(self, responsible: UUID, *rights: str) -> UUID:
        """A program's account, with rights on everybody's records."""
        id = uuid4()
        grants = tuple(Grant(right=right, scope="ALL") for right in rights)
        self.access.do(AddMachine(machine_id=id, name=f"ERP {id}", grants=grants, responsible_id=responsible), SYSTEM)
        self.programs.add(id)
        return id

    def signed_in(self, caller: UUID) -> Principal:
        if caller in self.programs:
            return Principal(caller, "", frozenset(), machine=True, epoch=1)
        return Principal(caller, "", frozenset(), session_id=uuid4())

    def known(self, person: UUID) -> Principal | None:
        """The caller with the rights of this moment; None for who can't sign in."""
        try:
            return self.access.directory.admit(self.signed_in(person))
        except Refused:
            return None

    def staff(self) -> list[UUID]:
        return [person for person in self.people if self.known(person)]

    def do(self, service: str, command: Any, by: UUID) -> Any:
        return self.services[service].do(command, self.signed_in(by)).body

    def order(self, by: UUID, route: tuple[ApprovalNode, ...] = ("SUPERVISOR",)) -> UUID:
        """Somebody submits an order that waits for the supervisor."""
        if "customers" not in self.__dict__.setdefault("_stocked", set()):
            self._stocked.add("customers")  # type: ignore[attr-defined]
            self.product = uuid4()
            prices = Prices(purchase=DEAR, sale=DEAR)
            added = AddProduct(product_id=self.product, name="Lamp", model="L", brand="B", prices=prices)
            self.do("inventory", added, self.admin)
            self.services["orders"].learn(*self.services["inventory"].facts()[:1])
        customer, order = uuid4(), uuid4()
        mobile = f"139{len(self.cases):08}"
        self.do("customers", CreateCustomer(customer_id=customer, name="C", mobile=mobile, industry="IT"), by)
        self.services["orders"].learn(*[f for f in self.services["customers"].facts() if hasattr(f, "owner")][-1:])
        lines = (LineRequest(product_id=self.product, quantity=1),)
        self.do("orders", CreateOrder(order_id=order, customer_id=customer, lines=lines), by)
        self.do("orders", SubmitOrder(order_id=order), by)
        submitted = self.services["orders"].facts()[-1]
        self.cases[order] = case_id_of(order, 1)
        opening = OpenCase(
            case_id=self.cases[order],
            order_id=order,
            round=1,
            number="SO-1",
            customer_name="C",
            total=DEAR,
            route=route,
            submitter=submitted.submitter,
            superior_id=submitted.superior_id,
        )
        self.services["approvals"].do(opening, SYSTEM)
        return order

    def errand(self, by: UUID, *nodes: Node) -> UUID:
        """Somebody asks for approval of what is no order; the id of the errand."""
        errand, submitter = uuid4(), self.access.directory.person(by)
        assert submitter is not None
        self.cases[errand] = case_id_for("errand", errand, 1)
        request = RequestApproval(
            case_id=self.cases[errand],
            subject=Subject(kind="errand", id=errand, title="errand"),
            nodes=nodes,
            submitter=submitter,
        )
        self.services["approvals"].do(request, SYSTEM)
        return errand

    def is_vacant(self, errand: UUID) -> bool:
        """Whether the row says that nobody is there for the due node."""
        row = {**self.case_row(errand), CALLER: Caller.of(self.known(self.admin) or SYSTEM)}
        return all(told["vacant"] for told in approval_views.due_for(row))

    # -- what people see and may do

    def sees(self, person: UUID, view: View, document: dict[str, Any]) -> bool:
        """Whether the list of a view would show somebody this document."""
        principal = self.known(person)
        if principal is None or not principal.may(view.permission):
            return False
        condition = ViewReader(None, view).asking.scope(principal)  # type: ignore[arg-type]
        return matches({**document, **view.keys_of(document)}, condition)

    def is_due_for(self, person: UUID, row: dict[str, Any]) -> bool:
        """Whether the inbox counts a case as one that waits for somebody, and says so of it (APR-07)."""
        principal = self.known(person)
        if principal is None:
            return False
        caller = Caller.of(principal)
        said = approval_views.due_for_me({**row, CALLER: caller})
        assert matches(row, approval_views.to_decide(caller)) == said, "its list and its row say the same"
        return said

    def refusal(self, service: str, command: Any, by: UUID) -> str:
        """The code with which somebody would be refused; "" when they are not.  Nothing changes."""
        kit = self.services[service]
        principal = self.known(by)
        if principal is None:
            return "UNAUTHENTICATED"
        try:
            principal.require(REGISTRY.command_of(type(command)).permission)
            try_out(kit, command, self.signed_in(by))
        except Refused as refusal:
            return refusal.code
        return ""

    def deciders(self, order: UUID) -> set[UUID]:
        """Who may decide the order's case now; asserts that all of them see it."""
        command, row = Approve(case_id=self.cases[order]), self.case_row(order)
        found = {person for person in self.people if not self.refusal("approvals", command, person)}
        for person in found:
            assert self.sees(person, approval_views.VIEW, row), "may decide what it can't see"
        assert found == {person for person in self.people if self.is_due_for(person, row)}, "waits for who may decide"
        return found

    def withdrawers(self, order: UUID) -> set[UUID]:
        found = {p for p in self.people if not self.refusal("orders", WithdrawOrder(order_id=order), p)}
        for person in found:
            assert self.sees(person, order_views.VIEW, self.order_row(order)), "may withdraw what it can't see"
        return found

    def case_row(self, order: UUID) -> dict[str, Any]:
        case = str(self.cases[order])
        facts = [fact for fact in self.services["approvals"].facts() if str(fact.case_id) == case]
        return documents(approval_views.VIEW, facts)[case]

    def order_row(self, order: UUID) -> dict[str, Any]:
        stream = self.services["orders"].stream(order)
        return {"owner_id": str(stream[0].owner.user_id), "submitter_id": str(stream[1].submitter.user_id)}

    def chief(self, people: Iterable[UUID]) -> set[UUID]:
        """Without those who may do everything."""
        return {person for person in people if "ADM" not in (known.roles if (known := self.known(person)) else ())}


def try_out(kit: InMemoryService, command: Any, by: Principal) -> None:
    """Decide a command as the writer would, on copies that nobody keeps.  Raises Refused."""
    batch = Batch(kit.store, AggregateCache(), RowCache(kit.store), {})
    service = kit.writer.service
    service.commands[type(command)](command, UnitOfWork(batch, kit.request(command, by), service.parents))


@pytest.fixture
def firm() -> Iterator[Firm]:
    with quick_hashes():
        yield Firm()


def leave(firm: Firm, person: UUID, heir: UUID) -> None:
    firm.access.do(DeleteUser(user_id=person, successor_id=heir), SYSTEM)


# -- one change at a time


def test_who_took_over_decides_what_waits_and_what_comes_along_chains(firm: Firm) -> None:
    boss = firm.person("SUP")
    seller = firm.person("SAL", under=boss)
    waiting = firm.order(seller)
    assert firm.chief(firm.deciders(waiting)) == {boss}
    second, third = firm.person("SUP"), firm.person("SUP")
    for gone, heir in ((boss, second), (second, third)):
        leave(firm, gone, heir)
        assert firm.chief(firm.deciders(waiting)) == {heir}
        later = firm.order(seller)
        assert firm.chief(firm.deciders(later)) == {heir}
        assert firm.services["orders"].stream(later)[-1].superior_id == heir, "nothing new goes to who has left"
    firm.do("approvals", Approve(case_id=firm.cases[waiting]), third)


def test_an_order_follows_its_seller_to_another_superior(firm: Firm) -> None:
    boss, other = firm.person("SUP"), firm.person("SUP")
    seller = firm.person("SAL", under=boss)
    waiting = firm.order(seller)
    firm.access.do(EditUser(user_id=seller, superior_id=other), SYSTEM)
    assert firm.chief(firm.deciders(waiting)) == {other}


def test_who_lost_the_role_is_replaced_by_the_next_above_and_decides_again_when_it_is_back(firm: Firm) -> None:
    top = firm.person("SUP")
    boss = firm.person("SUP", under=top)
    waiting = firm.order(firm.person("SAL", under=boss))
    firm.access.do(RemoveRoleMember(role="SUP", user_id=boss), SYSTEM)
    assert firm.chief(firm.deciders(waiting)) == {top}
    firm.access.do(AddRoleMember(role="SUP", user_id=boss), SYSTEM)
    assert firm.chief(firm.deciders(waiting)) == {boss}


def test_one_of_the_team_who_takes_over_the_boss_does_not_decide_on_own_orders(firm: Firm) -> None:
    top = firm.person("SUP")
    boss = firm.person("SUP", under=top)
    seller = firm.person("SAL", "SUP", under=boss)
    colleague = firm.person("SAL", under=boss)
    own, others = firm.order(seller), firm.order(colleague)
    leave(firm, boss, seller)
    assert firm.chief(firm.deciders(own)) == {top}
    assert firm.chief(firm.deciders(others)) == {seller}


def test_without_anybody_above_only_who_leads_everybody_decides(firm: Firm) -> None:
    boss = firm.person("SUP")
    waiting = firm.order(firm.person("SAL", under=boss))
    firm.access.do(RemoveRoleMember(role="SUP", user_id=boss), SYSTEM)
    assert firm.deciders(waiting) == {firm.admin}


def test_who_took_over_a_seller_withdraws_and_the_new_superior_decides(firm: Firm) -> None:
    boss, other = firm.person("SUP"), firm.person("SUP")
    seller, heir = firm.person("SAL", under=boss), firm.person("SAL", under=other)
    waiting = firm.order(seller)
    assert firm.withdrawers(waiting) == {seller}
    leave(firm, seller, heir)
    assert firm.withdrawers(waiting) == {heir}
    assert firm.chief(firm.deciders(waiting)) == {other}
    firm.do("orders", WithdrawOrder(order_id=waiting), heir)


def test_apr_02_of_a_node_that_needs_all_each_is_replaced_by_who_took_over(firm: Firm) -> None:
    seller, ann, ben, heir = (firm.person(role) for role in ("SAL", "MKT", "MKT", "MKT"))
    both = Node(key="both", deciders=tuple(Decider(kind="USER", user_id=one) for one in (ann, ben)), all_of=True)
    errand = firm.errand(seller, both)
    assert firm.chief(firm.deciders(errand)) == {ann, ben}
    firm.do("approvals", Approve(case_id=firm.cases[errand]), ann)
    assert firm.chief(firm.deciders(errand)) == {ben}
    leave(firm, ben, heir)
    assert firm.chief(firm.deciders(errand)) == {heir} and not firm.is_vacant(errand)
    leave(firm, heir, ann)
    assert firm.deciders(errand) == {firm.admin}, "who has agreed already is no second one"
    assert firm.is_vacant(errand)
    told = firm.do("approvals", Approve(case_id=firm.cases[errand]), firm.admin)
    assert told["status"] == "APPROVED"


def test_nobody_decides_on_an_order_they_took_over(firm: Firm) -> None:
    boss = firm.person("SUP")
    seller = firm.person("SAL", under=boss)
    waiting = firm.order(seller)
    leave(firm, seller, boss)
    assert firm.deciders(waiting) == {firm.admin}
    assert firm.withdrawers(waiting) == {boss}


APPROVES = ("orders.approve", "subordinates", "payments", "orders.view")
SELLS = ("orders.edit", "orders.view", "customers.edit", "customers.view", "products.view")


def test_a_program_is_no_second_pair_of_eyes_of_who_answers_for_it(firm: Firm) -> None:
    """APR-12: not for the order that person submitted, nor beside what that person decided, nor after they left."""
    boss, other = firm.person("SUP", "FIN"), firm.person("SUP", "FIN")
    seller = firm.person("SAL", under=boss)
    waiting, own = firm.order(seller), firm.program(seller, *APPROVES)
    assert firm.refusal("approvals", Approve(case_id=firm.cases[waiting]), own) == "FORBIDDEN"
    assert not firm.refusal("approvals", Approve(case_id=firm.cases[waiting]), firm.program(other, *APPROVES))
    leave(firm, seller, other)
    assert firm.refusal("approvals", Approve(case_id=firm.cases[waiting]), own) == "FORBIDDEN"

    both = firm.order(firm.person("SAL", under=boss), route=("SUPERVISOR", "FINANCE"))
    firm.do("approvals", Approve(case_id=firm.cases[both]), boss)
    assert firm.refusal("approvals", Approve(case_id=firm.cases[both]), firm.program(boss, *APPROVES)) == "FORBIDDEN"
    assert not firm.refusal("approvals", Approve(case_id=firm.cases[both]), other)


def test_a_program_withdraws_what_it_submitted_and_so_does_who_answers_for_it(firm: Firm) -> None:
    boss = firm.person("SUP")
    seller = firm.person("SAL", under=boss)
    firm.order(seller)
    waiting = firm.order(program := firm.program(seller, *SELLS))
    for caller in (program, seller):
        assert not firm.refusal("orders", WithdrawOrder(order_id=waiting), caller)
    assert firm.refusal("orders", WithdrawOrder(order_id=waiting), firm.program(boss, *SELLS)) == "FORBIDDEN"


def test_a_seller_without_the_role_is_replaced_by_the_superior(firm: Firm) -> None:
    boss = firm.person("SUP")
    seller = firm.person("SAL", under=boss)
    waiting = firm.order(seller)
    firm.access.do(RemoveRoleMember(role="SAL", user_id=seller), SYSTEM)
    assert firm.withdrawers(waiting) == {boss}


def test_who_submitted_for_somebody_still_sees_the_order_after_that_one_was_moved(firm: Firm) -> None:
    boss, other = firm.person("SUP"), firm.person("SUP")
    seller = firm.person("SAL", under=boss)
    waiting = firm.order(seller)
    firm.do("orders", WithdrawOrder(order_id=waiting), seller)
    firm.do("orders", SubmitOrder(order_id=waiting), boss)
    firm.access.do(EditUser(user_id=seller, superior_id=other), SYSTEM)
    row = {"owner_id": str(seller), "submitter_id": str(boss)}
    assert firm.sees(boss, order_views.VIEW, row)
    assert not firm.refusal("orders", WithdrawOrder(order_id=waiting), boss)


def test_a_team_belongs_to_who_took_over_its_boss(firm: Firm) -> None:
    boss, heir = firm.person("SUP"), firm.person("SUP")
    waiting = firm.order(firm.person("SAL", under=boss))
    assert firm.refusal("orders", CancelOrder(order_id=waiting, reason="x"), heir) == "FORBIDDEN"
    leave(firm, boss, heir)
    assert not firm.refusal("orders", CancelOrder(order_id=waiting, reason="x"), heir)
    assert firm.sees(heir, order_views.VIEW, firm.order_row(waiting))


def test_nobody_who_has_left_is_made_superior_successor_or_responsible(firm: Firm) -> None:
    gone, heir, seller = firm.person("SUP"), firm.person("SUP"), firm.person("SAL")
    leave(firm, gone, heir)
    firm.access.assert_refused("INVALID_STATE", EditUser(user_id=seller, superior_id=gone), SYSTEM, field="superior_id")
    command = DeleteUser(user_id=seller, successor_id=gone)
    firm.access.assert_refused("INVALID_STATE", command, SYSTEM, field="successor_id")
    issue = IssueUser(login="n", name="n", superior_id=gone)
    firm.access.assert_refused("INVALID_STATE", issue, SYSTEM, field="superior_id")
    machine = AddMachine(name="ERP", grants=(), responsible_id=gone)
    firm.access.assert_refused("INVALID_STATE", machine, SYSTEM, field="responsible_id")


# -- any changes in any order


@pytest.mark.parametrize("seed", range(25))
def test_whatever_happens_to_people_each_thing_that_waits_is_done_by_exactly_one_other(firm: Firm, seed: int) -> None:
    random = Random(seed)
    for _ in range(3):
        firm.person("SUP", under=random.choice([None, *firm.people[1:]]))
    for _ in range(5):
        firm.person("SAL", *random.sample(["SUP"], random.randint(0, 1)), under=random.choice(firm.people[1:]))
    for _ in range(12):
        shake(firm, random)
        sellers = [p for p in firm.staff() if p != firm.admin and (k := firm.known(p)) and k.may("orders.edit")]
        if sellers and random.random() < 0.5:
            firm.order(random.choice(sellers))
        for order in firm.cases:
            deciding, withdrawing = firm.deciders(order), firm.withdrawers(order)
            assert firm.admin in deciding
            assert len(firm.chief(deciding)) <= 1, "one in particular, besides those who may do everything"
            assert len(withdrawing) == 1
            owner = firm.access.directory.standing_in(UUID(firm.case_row(order)["submitter_id"]))
            assert owner not in deciding, "nobody decides on an order they submitted or took over"
            assert withdrawing == {owner} or not can_edit(firm, owner), "only the owner, while the owner can"
            if above_somebody(firm, order):
                assert len(firm.chief(deciding)) == 1, "there is somebody above who may"


@pytest.mark.parametrize("seed", range(15))
def test_sec_14_whatever_happens_to_people_a_node_of_any_kind_waits_for_who_may_decide_it(
    firm: Firm, seed: int
) -> None:
    """APR-04: the list, the row and the command say the same; where nobody is there, that is told (ADR 0044)."""
    random = Random(f"nodes {seed}")
    for _ in range(4):
        firm.person("SUP", under=random.choice([None, *firm.people[1:]]))
    for _ in range(4):
        firm.person("SAL", *random.sample(["SUP"], random.randint(0, 1)), under=random.choice(firm.people[1:]))
    for _ in range(8):
        shake(firm, random)
        by, named = random.choice(firm.staff()), random.choice(firm.people)
        kinds = (
            Decider(kind="SUPERIOR"),
            Decider(kind="SUPERIOR", user_id=named),
            Decider(kind="USER", user_id=named),
            Decider(kind="ROLE", role=random.choice(["SUP", "SAL", "QCI"])),
            Decider(kind="RIGHT", right=random.choice(["subordinates", "customers.edit"])),
        )
        deciders = tuple(random.sample(kinds, random.randint(1, 2)))
        firm.errand(by, Node(key="one", deciders=deciders))
        for errand in firm.cases:
            deciding, row = firm.deciders(errand), firm.case_row(errand)
            submitter = UUID(row["submitter_id"])
            heir = firm.access.directory.standing_in(submitter)
            assert not deciding & {submitter, heir}, "nobody decides what they asked for or took over"
            assert firm.admin in deciding or firm.admin == heir
            if firm.is_vacant(errand):
                assert not firm.chief(deciding), "it says that nobody is there, and somebody is"
            elif not any(mark.startswith("RIGHT") for mark in row["due_deciders"]):
                assert deciding - {firm.admin} or heir == firm.admin or is_administrators(firm, row)


def is_administrators(firm: Firm, row: dict[str, Any]) -> bool:
    """Whether it is the administrator whom the due node means."""
    told = approval_views.due_for({**row, CALLER: Caller.of(firm.known(firm.admin) or SYSTEM)})
    return any(one["user_id"] == firm.admin for one in told)


def can_edit(firm: Firm, person: UUID) -> bool:
    known = firm.known(person)
    return known is not None and known.may("orders.edit")


def shake(firm: Firm, random: Random) -> None:
    """One change of the kind that leaves things waiting; one that the service refuses is no change."""
    person, other = random.sample([p for p in firm.staff() if p != firm.admin], 2)
    change: Any = random.choice(
        [
            EditUser(user_id=person, superior_id=other),
            DeleteUser(user_id=person, successor_id=other),
            RemoveRoleMember(role="SUP", user_id=person),
            AddRoleMember(role="SUP", user_id=person),
            RemoveRoleMember(role="SAL", user_id=person),
            AddRoleMember(role="SAL", user_id=person),
        ]
    )
    if isinstance(change, DeleteUser) and len(firm.staff()) < 5:
        return
    try:
        firm.access.do(change, SYSTEM)
    except Refused as refusal:
        assert refusal.field in ("superior_id", "successor_id")


def above_somebody(firm: Firm, order: UUID) -> bool:
    """Whether somebody above the one in charge of an order may decide, told by walking up the accounts as stored.

    Who took over a place higher up than their own stands there.  Circles of replacements tell nothing.
    """
    stored = {person: firm.access.store.load(User, person) for person in firm.people}

    def in_place_of(person: UUID) -> UUID:
        while (state := stored[person].state).successor_id:  # type: ignore[union-attr]
            person = state.successor_id
        return person

    def up(place: UUID) -> Iterator[UUID]:
        seen: set[UUID] = set()
        while (above := stored[place].state.superior_id) and above not in seen:  # type: ignore[union-attr]
            seen.add(above)
            yield (place := above)

    def superior_of(person: UUID) -> UUID | None:
        places = [person, *(place for place in firm.people if place != person and in_place_of(place) == person)]
        for place in places:
            above = next(up(place), None)
            if above and not {above, *up(above)} & set(places):
                return in_place_of(above)
        return None

    owner = person = in_place_of(UUID(firm.case_row(order)["submitter_id"]))
    chain: list[UUID] = []
    while (above := superior_of(person)) and above not in (owner, *chain):
        chain.append(person := above)
    if above:
        return False
    able = [known for one in chain if one != firm.admin and (known := firm.known(one))]
    return any(known.may("orders.approve") and known.may("subordinates") for known in able)


def test_who_takes_over_the_place_above_leads_who_led_them_and_is_led_from_there(firm: Firm) -> None:
    top = firm.person("SUP")
    gone = firm.person("SUP", under=top)
    between = firm.person("SUP", "SAL", under=gone)
    heir = firm.person("SUP", "SAL", under=between)
    leave(firm, gone, heir)
    assert firm.chief(firm.deciders(firm.order(heir))) == {top}
    assert firm.chief(firm.deciders(firm.order(between))) == {heir}
    with suppress(Refused):  # it may be refused; done or not, nobody is led by those they lead
        firm.access.do(EditUser(user_id=heir, superior_id=between), SYSTEM)
    assert firm.chief(firm.deciders(firm.order(heir))) == {top}


def test_two_who_took_over_from_each_others_superiors_are_no_circle(firm: Firm) -> None:
    first_boss, second_boss = firm.person("SUP"), firm.person("SUP")
    first = firm.person("SUP", "SAL", under=first_boss)
    second = firm.person("SUP", "SAL", under=second_boss)
    leave(firm, first_boss, second)
    leave(firm, second_boss, first)
    deciding = [firm.chief(firm.deciders(firm.order(person))) for person in (first, second)]
    assert sorted(map(len, deciding)) == [0, 1], "one of them leads the other"
