"""The people of the order journey: they sell, approve, pack, pay, call off, restock and change the rules, at random.

They leave, are moved to another superior, and are replaced.  They see what views show them, so they are often too late;
they repeat a command with the same Idempotency-Key when no
answer comes; and now and then they do the same thing twice at the same time.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from operator import attrgetter
from random import Random
from typing import Any
from uuid import UUID

import msgspec
from eventsourcing.persistence import OperationalError, PersistenceError

from chassis.access.directory import Directory
from chassis.catalogue import known_everywhere
from chassis.documents.samples import sample
from chassis.messaging.consistency import Token
from chassis.model.principal import SYSTEM, Principal
from chassis.projections.collections import STATES
from chassis.testing.records import people_in, picked
from chassis.writer.request import Answer, Request
from contracts.access import UserDeleted, UserEdited, UserState
from contracts.approvals import (
    NODES_OF_ORDERS,
    Approve,
    CallOffApproval,
    Reject,
    RequestApproval,
    Subject,
    case_id_for,
    case_id_of,
)
from contracts.collaboration import DeleteComment, EditComment, RecordViewing, WriteComment
from contracts.company import SetCompanyData, SetParameter
from contracts.configuration import (
    AddCustomField,
    AddDictionaryEntry,
    ChangeCustomField,
    DeleteDictionaryEntry,
    EditDictionaryEntry,
    RestoreCustomField,
    RetireCustomField,
)
from contracts.custom_fields import OWN, CustomType, Label, LabelChange
from contracts.customers import CUSTOMER, CreateCustomer, EditCustomer, SetMembership
from contracts.declare import KEPT, REGISTRY
from contracts.dictionaries import PREPARED
from contracts.errors import Refused
from contracts.inventory import (
    AddProduct,
    AdjustStock,
    DeleteProduct,
    EditProduct,
    Prices,
    ReceiveStock,
    RestoreProduct,
)
from contracts.leads import ConvertLead, Lead
from contracts.orders import (
    CancelOrder,
    ChangeOrder,
    CreateOrder,
    ExchangeRate,
    LineRequest,
    RecordPayment,
    RetryOrder,
    SetSalesProcess,
    SubmitOrder,
    WithdrawOrder,
)
from contracts.people import Person
from contracts.pools import MEMBERS, POOL_ID
from contracts.records import KINDS, OWNER, TAGS, Kind, kind_of
from contracts.schedules import SCHEDULES
from contracts.schemas import load
from contracts.shipping import Deliver, HandOver
from contracts.statuses import REASON, STATUS
from contracts.types import Money, Name, Note, Text
from services.approvals.domain import Case
from services.orders.domain import Order
from services.shipping.domain import Shipment

from .calendar import ZONES
from .cluster import CONFIG, Cluster
from .history import History, Operation

UNCERTAIN = frozenset({"UNAVAILABLE", "OVERLOADED"})
TEXTS = (Name, Text, Note)
TRIES = 12
# Draws do not depend on the order in which modules came to be loaded.
RECORDS = sorted(KINDS.values(), key=attrgetter("code"))
SCHEDULED = sorted(SCHEDULES.values(), key=attrgetter("name"))
FORBIDDEN_BY_OTHERS = frozenset({Approve, Reject, CancelOrder, WithdrawOrder, HandOver})
"""What another service's answer can forbid: about half of these come with a consistency token."""


def person(random: Random, name: str, *roles: str, superior: Principal | None = None) -> Principal:
    return Principal(new_id(random), name, frozenset(roles), superior.user_id if superior else None)


def new_id(random: Random) -> UUID:
    return UUID(int=random.getrandbits(128), version=4)


class People:
    """Everybody, and what they have heard of: the ids of products, customers and orders."""

    def __init__(self, cluster: Cluster, history: History) -> None:
        self.cluster = cluster
        self.scheduler = cluster.scheduler
        self.random = cluster.scheduler.random
        self.history = history
        self.busy = 0
        self.impatience = self.random.choice((0.1, 0.1, 0.6))  # how often a command is sent twice at once
        self.haste = self.random.choice((1.0, 1.0, 0.02))  # in some runs all come at once
        self.products: list[UUID] = []
        self.customers: list[UUID] = []
        self.orders: list[UUID] = []
        self.admins = [person(self.random, name, "ADM", "SUP", "FIN") for name in ("admin", "deputy", "auditor")]
        self.bosses = [person(self.random, name, "SUP", "MGT") for name in ("sato", "ito", "mori")]
        self.finance = person(self.random, "chen", "FIN")
        self.keeper = person(self.random, "wang", "WHS")
        self.sellers = [person(self.random, name, "SAL", superior=self.bosses[0]) for name in ("li", "zhao")]
        self.directory = Directory(known_everywhere())
        cluster.clerks.append(self.admins[0])
        staff = [*self.admins, *self.bosses, self.finance, self.keeper, *self.sellers]
        self.known = {by.user_id: by for by in staff if by.user_id}
        for by in staff:
            self.directory.introduce(by)
        self.above = {by.user_id: self.bosses[0].user_id for by in self.sellers}  # who leads whom
        self.successors: dict[UUID | None, UUID | None] = {}  # who has left, and who took over
        self.errands: list[UUID] = []  # cases of what is no order
        self.called_off: set[UUID] = set()  # cases whose order's cancel or withdrawal was answered
        self.taken_up: set[UUID] = set()  # orders of sellers that an admin submitted
        self.seen = Token({})
        self.settings_tried = False
        self.records: list[tuple[Kind, UUID]] = []
        self.comments: list[UUID] = []
        self._news = 1

    # -- one command

    def do(
        self,
        command: Any,
        by: Principal,
        *,
        version: int | None = None,
        keyed: bool | None = None,
        is_due: bool = False,
        is_certain: bool = False,
        told: bool = False,
    ) -> Answer | None:
        """Have a command carried out; None when it was refused or nobody knows.

        For who has left the heir does it.  `told`: the newest token goes along with it for certain.
        """
        by = by if by is SYSTEM else self.known[self.in_place_of(by.user_id)]
        service = REGISTRY.command_of(type(command)).service
        keyed = self.random.random() < 0.8 if keyed is None else keyed
        operation = self.history.invoke(command, service, keyed=keyed)
        operation.is_due, operation.is_certain = is_due, is_certain
        told = told or (type(command) in FORBIDDEN_BY_OTHERS and self.random.random() < 0.5)
        token = self.seen if told else None
        operation.is_late = token is not None and getattr(command, "case_id", None) in self.called_off
        self.scheduler.note(f"invoke {operation}")
        if keyed and self.random.random() < self.impatience:  # an impatient client: the same command on two connections
            self._in_background("twin", lambda: self._insist(operation, by, version, token))
        self._insist(operation, by, version, token)
        self._remember(command, operation)
        return operation.answers[0] if operation.answers else None

    def _remember(self, command: Any, operation: Operation) -> None:
        """Keep what was answered: the next one sends it along, and may be too late because of it."""
        if not operation.answers:
            return
        answer = operation.answers[0]
        self.seen = Token.of(answer, CONFIG.topic_partitions).with_also(self.seen)
        if isinstance(command, CancelOrder | WithdrawOrder) and answer.last:
            case = case_id_of(command.order_id, self._round_of(answer))
            self.called_off.add(case)
            late: Any = self.random.choice((Approve(case_id=case), Reject(case_id=case, reason="too dear")))
            self._in_background("late approver", lambda: self._do_late(late, self.random.choice(self.admins)))

    def _round_of(self, answer: Answer) -> int:
        """The round of an order's event that was answered; read again while its store is away."""
        at = answer.last[-1]
        while True:
            try:
                round: int = list(self.cluster.store("orders").facts(at.aggregate_id))[at.version - 1].round
            except OperationalError:
                self.scheduler.wait(0.1)
            else:
                return round

    def _do_late(self, command: Any, by: Principal) -> None:
        self.do(command, by, told=True)

    def _insist(self, operation: Operation, by: Principal, version: int | None, token: Token | None) -> None:
        for _ in range(TRIES if operation.keyed else 1):
            if self._attempt(operation, by, version, token):
                break
            self.scheduler.wait(self.random.random() * 3)
        if operation.outcome == "invoked":
            operation.outcome = "unknown"
        self.scheduler.note(f"{operation}")

    def _attempt(self, operation: Operation, by: Principal, version: int | None, token: Token | None) -> bool:
        """Send it once; whether that was the last time: there is a clear answer, or its sender has left meanwhile."""
        writers = [w for w in self.cluster.writers[operation.service].values() if w.process.alive]
        if not writers:
            return False
        writer = self.random.choice(writers)
        if token is not None:
            wanted, store = token.about(writer.service.replica_topics()), writer.store
            reached = self.scheduler.wait(
                1.0, lambda: wanted.reached_by(lambda source: store.position(f"position:{source}") or 0)
            )
            if not (reached and writer.process.alive):
                return False
        if by.user_id in self.successors:
            return True
        now, permission = writer.process.now(), REGISTRY.command_of(type(operation.command)).permission
        request = Request(
            command=operation.command,
            context=self.directory.admit(by).context(
                now,
                writer.company.day_of(now),
                permission,
                custom_fields=writer.company.custom_fields.of,
            ),
            command_id=operation.command_id,
            remember=operation.keyed,
            expected_version=version,
        )
        try:
            answer = writer.submit(request).result(timeout=0)
        except (TimeoutError, PersistenceError):  # the latter is answered as an internal error, which says nothing
            operation.is_in_doubt()
            return False
        except Refused as refusal:
            if refusal.code in UNCERTAIN:
                return False
            if self._gets_lost():
                return False
            if operation.outcome in ("invoked", "unknown"):
                operation.outcome, operation.refusal = "fail", refusal
            return True
        if self._gets_lost():
            operation.is_in_doubt()
            return False
        operation.answers.append(answer)
        operation.outcome, operation.refusal = "ok", None
        return True

    def _gets_lost(self) -> bool:
        lost = self.scheduler.chance(self.scheduler.faults.lost_answer)
        if lost:
            self.scheduler.note("the answer is lost")
        return lost

    def _pause(self, seconds: float) -> None:
        self.scheduler.wait(self.random.random() * seconds * self.haste)

    def _in_background(self, name: str, body: Callable[[], None]) -> None:
        def live() -> None:
            try:
                body()
            finally:
                self.busy -= 1

        self.busy += 1
        self.scheduler.actor(name, live)

    # -- what they see

    def sees(self, view: str, **wanted: Any) -> list[dict[str, Any]]:
        """The rows of a view as it is now."""
        state = self.cluster.database.documents(STATES).get(view)
        return list(self.cluster.database[state["collection"]].find(wanted)) if state else []

    # -- the working day

    def open_for_business(self) -> None:
        """Found the company: settings, products with little stock, customers."""
        admin = self.admins[0]
        for number in range(self.random.randint(1, 3)):
            product = new_id(self.random)
            purchase, sale = Decimal(self.random.randint(1, 500)), Decimal(self.random.randint(1, 3000))
            self.do(
                AddProduct(
                    product_id=product, name=f"product {number}", model="m", brand=self.random.choice(("a", "b")),
                    prices=Prices(purchase=cny(purchase), sale=cny(sale), member=cny(sale / 2)),
                    opening_stock=self.random.choice((0, 1, 3, 10)), alert_quantity=self.random.choice((0, 2, 5)),
                ),
                admin,
                keyed=True,
            )  # fmt: skip
            self.products.append(product)
        for number, seller in enumerate(self.sellers):  # each has one, and sells to nobody else's
            customer = new_id(self.random)
            data = CreateCustomer(
                customer_id=customer, name=f"customer {number}", mobile=f"1380000000{number}", industry="retail"
            )
            self.do(data, seller, keyed=True)
            self.customers.append(customer)
        self.set_process()

    def work(self) -> None:
        """Everybody works for a while, each at their own pace."""
        self._in_background("admin", lambda: self._day(6, [self.set_process, self.edit_product, self.edit_customer]))
        for seller in self.sellers:
            orders = self.random.randint(2, 4)
            self._in_background(seller.name, lambda seller=seller, orders=orders: self._sell(seller, orders))  # type: ignore[misc]
        approvers = [*self.bosses, self.finance, self.admins[1]]
        for approver in approvers:
            self._in_background(
                f"approver {approver.name}",
                lambda by=approver: self._day(8, [lambda: self.decide(by)]),  # type: ignore[misc]
            )
        self._in_background("keeper", lambda: self._day(12, [self.hand_over, self.deliver, self.hand_over, self.stock]))
        self._in_background("personnel", lambda: self._day(3, [self.leave, self.move]))
        self._in_background("cashier", lambda: self._day(6, [self.take_money]))
        for _ in range(self.random.choice((0, 0, 3))):
            self._in_background("stranger", self._strange)
        clerk = [self.enter_record, self.change_record, self.change_record, self.talk, self.talk]
        self._in_background("clerk", lambda: self._day(8, clerk))
        self._in_background("errands", lambda: self._day(3, [self.ask, self.ask, self.call_off]))
        self._in_background(
            "director", lambda: self._day(2, [self.move_company, self.set_parameter, self.edit_dictionary])
        )
        self._in_background("operator", lambda: self._day(3, [self.run_by_hand, self.switch_schedule]))
        self._in_background("converter", lambda: self._day(3, [self.convert_lead]))
        self._in_background("configurer", lambda: self._day(4, [self.set_field]))

    def _day(self, times: int, tasks: Sequence[Callable[[], None]]) -> None:
        for _ in range(self.random.randint(1, times)):
            self._pause(4)
            self.random.choice(tasks)()

    # -- selling

    def _sell(self, seller: Principal, orders: int) -> None:
        mine: list[UUID] = []
        for _ in range(orders):
            self._pause(2)
            if order := self._write(seller):
                mine.append(order)
                self.do(SubmitOrder(order_id=order), seller)
        for _ in range(self.random.randint(0, 3 * len(mine))):
            self._pause(5)
            self._follow_up(self.random.choice(mine), seller)

    def _write(self, seller: Principal) -> UUID | None:
        for _ in range(3):  # orders may not have heard of a new product or customer yet
            order = self._order_id()
            command = CreateOrder(
                order_id=order,
                customer_id=self.customers[self.sellers.index(seller)],
                lines=self._lines(),
                currency=self.random.choice((None, None, None, "USD")),
                order_date=self.random.choice((None, None, None, self.scheduler.start.date() - timedelta(days=3))),
            )
            if self.do(command, seller):
                self.orders.append(order)
                return order
            self._pause(4)
        return None

    def _order_id(self) -> UUID:
        """Clients choose ids, and some of them so that they end alike."""
        made = new_id(self.random)
        if self.orders and self.random.random() < 0.2:
            return UUID(bytes=made.bytes[:8] + self.orders[-1].bytes[8:])
        return made

    def _lines(self) -> tuple[LineRequest, ...]:
        return tuple(
            LineRequest(
                product_id=self.random.choice(self.products),
                quantity=self.random.randint(1, 3),
                unit_price=self.random.choice((None, Decimal("9.99"), Decimal(self.random.randint(1, 9000)))),
            )
            for _ in range(self.random.randint(1, 3))
        )

    def _follow_up(self, order: UUID, seller: Principal) -> None:
        shown = next(iter(self.sees("order_pages", _id=str(order))), {})
        version = self.random.choice((None, None, shown.get("version"), 1))
        status = shown.get("status")
        command: Any
        if status == "ON_HOLD":
            command = self.random.choice((RetryOrder(order_id=order), CancelOrder(order_id=order, reason="too long")))
        elif status in ("REJECTED", "DRAFT"):
            lines = self.random.choice((KEPT, self._lines()))
            self.do(ChangeOrder(order_id=order, lines=lines, note="again"), seller, version=version, is_due=True)
            command = SubmitOrder(order_id=order)
        else:
            command = self.random.choice(
                (
                    WithdrawOrder(order_id=order),
                    CancelOrder(order_id=order, reason="no more"),
                    SubmitOrder(order_id=order),
                )
            )
        by = self.random.choice((seller, seller, self.admins[0]))
        if by is not seller and isinstance(command, SubmitOrder):
            self.taken_up.add(order)  # from now on an admin, who submitted it, withdraws it, and not the seller
        is_due = by is seller and not (isinstance(command, WithdrawOrder) and order in self.taken_up)
        self.do(command, by, version=version, is_due=is_due)

    def _strange(self) -> None:
        self._pause(30)
        self.cluster.stranger.write()

    # -- who leaves, and who is moved

    def in_place_of(self, person: UUID | None) -> UUID:
        while person in self.successors:
            person = self.successors[person]
        assert person is not None
        return person

    def _still_here(self, people: Sequence[Principal]) -> list[Principal]:
        return [by for by in people if by.user_id not in self.successors]

    def leave(self) -> None:
        """A boss leaves, or a seller; a colleague takes over."""
        team = self._still_here(self.random.choice((self.bosses, self.bosses, self.sellers)))
        if len(team) < 2:
            return
        gone, heir = self.random.sample(team, 2)
        self._succeed(gone, heir)

    def _succeed(self, gone: Principal, heir: Principal) -> None:
        self.successors[gone.user_id] = heir.user_id
        self.scheduler.note(f"{gone.name} leaves, {heir.name} takes over")
        self._tell(UserDeleted, gone, status="DELETED", successor_id=heir.user_id)

    def move(self) -> None:
        seller = self.random.choice(self._still_here(self.sellers))
        boss = self.random.choice(self._still_here(self.bosses))
        self.above[seller.user_id] = boss.user_id
        self.scheduler.note(f"{seller.name} is moved to {boss.name}")
        self._tell(UserEdited, seller, status="ACTIVE")

    def _tell(self, kind: Any, about: Principal, **changes: Any) -> None:
        """News of the access service."""
        assert about.user_id is not None
        superior = self.above.get(about.user_id)
        self.known[about.user_id] = replace(about, superior_id=superior)
        told: dict[str, Any] = {
            "login": about.name,
            "name": about.name,
            "roles": tuple(sorted(about.roles)),
            "superior_id": superior,
        }
        self._news += 1
        self.directory.tell([kind(user_id=about.user_id, user=UserState(**told, **changes, revision=self._news))])

    # -- approvals of something else than orders

    def ask(self) -> None:
        """Somebody asks for approval of an errand, which no service knows."""
        errand, by = new_id(self.random), self.random.choice(self._still_here(self.sellers) or self.admins)
        about = self.known[self.in_place_of(by.user_id)]
        command = RequestApproval(
            case_id=case_id_for("errand", errand, 1),
            subject=Subject(kind="errand", id=errand, title="去苏州"),
            nodes=tuple(self.random.sample([*NODES_OF_ORDERS.values()], self.random.randint(1, 2))),
            submitter=Person(user_id=about.user_id, name=about.name),
            superior_id=self.above.get(about.user_id),
        )
        self.errands.append(command.case_id)
        self.do(command, SYSTEM)

    def call_off(self) -> None:
        """An errand is called off, perhaps before anybody has asked, or after all is decided."""
        case = self.random.choice([*self.errands, case_id_for("errand", new_id(self.random), 1)])
        undecided = self.random.random() < 0.5
        self.do(CallOffApproval(case_id=case, reason="WITHDRAWN", undecided=undecided), SYSTEM)

    # -- the others

    def decide(self, by: Principal) -> None:
        if open_cases := self.sees("approval_inbox", status="OPEN"):
            case = self.random.choice(open_cases)
            id, node = UUID(case["_id"]), self.random.choice((None, case["due"]))
            no = self.random.random() < 0.2
            self.do(Reject(case_id=id, reason="too dear", node=node) if no else Approve(case_id=id, node=node), by)

    def hand_over(self) -> None:
        if prepared := self.sees("shipments", status="PREPARED"):
            self.do(HandOver(order_id=UUID(self.random.choice(prepared)["_id"]), carrier="SF"), self.keeper)

    def deliver(self) -> None:
        if dispatched := self.sees("shipments", status="DISPATCHED"):
            self.do(Deliver(order_id=UUID(self.random.choice(dispatched)["_id"])), self.keeper)

    def stock(self) -> None:
        product = self.random.choice(self.products)
        change = self.random.choice((-5, -1, 1, 2))
        receipt = ReceiveStock(product_id=product, quantity=self.random.randint(1, 5), reason="truck")
        adjustment = AdjustStock(product_id=product, change=change, reason="counted")
        self.do(self.random.choice((receipt, adjustment)), self.keeper)

    def take_money(self) -> None:
        if self.orders:
            order = self.random.choice(self.orders)
            shown = next(iter(self.sees("orders", _id=str(order))), {})
            total = shown["amount"].to_decimal() if shown else Decimal("10.00")
            amount = self.random.choice((total, max(total / 2, Decimal("0.01")).quantize(Decimal("0.01"))))
            self.do(RecordPayment(order_id=order, amount=amount), self.finance)

    def set_process(self) -> None:
        self.do(
            SetSalesProcess(
                threshold=Decimal(self.random.choice((0, 500, 5000, 100_000))),
                route=self.random.choice((("SUPERVISOR",), ("SUPERVISOR", "FINANCE"), ("FINANCE",), ())),
                shipping=self.random.choice(("AUTOMATIC", "WAREHOUSE")),
                rates=self.random.choice(((), (ExchangeRate(currency="USD", rate=Decimal("7.1")),))),
            ),
            self.admins[0],
        )

    def move_company(self) -> None:
        """The company moves into another zone."""
        zone = self.random.choice(ZONES).key
        self.do(SetCompanyData(full_name="Salestream Ltd.", time_zone=zone), self.admins[0])

    def run_by_hand(self) -> None:
        self.do(self.random.choice(SCHEDULED).run(), self.admins[0])

    def switch_schedule(self) -> None:
        """Off, and mostly on again."""
        schedule = self.random.choice(SCHEDULED)
        switch: Any = schedule.switch
        self.do(switch(active=False), self.admins[0])
        self._pause(4)
        self.do(switch(active=self.random.random() < 0.8), self.admins[0])

    def set_parameter(self, *, is_certain: bool = False) -> None:
        """A parameter may be called as the company's data are."""
        value = self.random.choice(("1", "2"))
        command = SetParameter(name="company", value=value, reason="why not")
        self.do(command, self.admins[0], keyed=is_certain or None, is_certain=is_certain)

    def edit_product(self) -> None:
        product = self.random.choice(self.products)
        edit = EditProduct(
            product_id=product,
            category=self.random.choice(("x", "y")),
            model=self.random.choice(("old", "new")),
            alert_quantity=3,
        )
        delete, restore = DeleteProduct(product_id=product), RestoreProduct(product_id=product)
        self.do(self.random.choice((edit, edit, delete, restore)), self.admins[0])

    def edit_customer(self) -> None:
        customer = self.random.choice(self.customers)
        member = SetMembership(customer_id=customer, member=self.random.random() < 0.5)
        mobile = EditCustomer(customer_id=customer, mobile=self.random.choice(("13800000000", "13800000009")))
        self.do(self.random.choice((member, mobile)), self.admins[0])

    def enter_record(self) -> None:
        """A record of some kind; what is unique is often taken."""
        kind = self.random.choice(RECORDS)
        body = {**sample(kind.create), kind.key: str(new_id(self.random))}
        body.pop(OWNER, None)
        if kind.pools:
            pool = self.random.choice([None, *self._of_kind(kind.pools.what)[-3:]])
            body[POOL_ID] = pool and str(pool)
        texts = [name for name, field in kind.fields.items() if field.rules.unique and field.one in TEXTS]
        texts += kind.together
        body |= people_in(kind)
        body |= {MEMBERS: [str(by.user_id) for by in self.sellers]} if MEMBERS in kind.fields else {}
        body |= {name: id and str(id) for name, id in self._parents(kind).items()}
        body[OWN] = self._own()
        body |= {name: code for name, code in picked(kind).items() if not kind.fields[name].rules.free}
        body |= {name: f"{name} {self.random.randint(1, 3)}" for name in texts}
        command: Any = load(kind.create, body)
        self.records.append((kind, UUID(body[kind.key])))
        self.do(command, self.admins[0])

    def change_record(self) -> None:
        if not self.records:
            return
        kind, id = self.random.choice(self.records)
        text = next((name for name, field in kind.fields.items() if field.one in TEXTS), kind.called)
        change = {text: f"said {self.random.randint(1, 9)}"}
        acts: list[tuple[type, dict[str, Any]]] = [(kind.edit, change), (kind.delete, {}), (kind.restore, {})]
        if own := self._own():
            acts.append((kind.edit, {OWN: msgspec.json.encode(own).decode()}))
        if kind.owned:
            owners = [None, *(by.user_id for by in self.sellers)]
            acts += [(kind.assign, {OWNER: self.random.choice(owners)})] * 2
            with_id = self.random.choice(self.sellers).user_id
            access = self.random.choice(("READ", "EDIT"))
            acts += [(kind.share, {"with_id": with_id, "access": access}), (kind.unshare, {"with_id": with_id})]
        if kind.pool:
            acts += [(kind.give_back, {REASON: "why not"}), (kind.claim, {})] * 2
        if kind.merge:
            others = [*self._of_kind(kind.what)[-4:], *self.customers[:1]]
            merge = (kind.merge, {"duplicate_id": self.random.choice(others), "take": (kind.called,)})
            acts += [merge, (kind.unmerge, {})] * 2
        if kind.pools:
            pools = [None, *self._of_kind(kind.pools.what)[-3:]]
            acts += [(kind.move, {POOL_ID: self.random.choice(pools)})] * 2
            acts.append((kind.give_back, {REASON: "why not", POOL_ID: self.random.choice(pools)}))
        if kind.tag:
            tags = self.random.sample([*PREPARED[kind.fields[TAGS].rules.dictionary], "new"], 2)
            acts.append((kind.tag, {"add": (tags[0],), "remove": (tags[1],)}))
        if kind.statuses:
            status = self.random.choice([*kind.statuses.names])
            acts += [(kind.set_status, {STATUS: status, REASON: self.random.choice(("", "why not"))})] * 2
            acts += [(kind.edit, {name: None}) for step in kind.statuses.steps for name in step.needs][:1]
        if parents := self._parents(kind):
            acts += [(kind.edit, parents)] * 2
        command, more = self.random.choice(acts)
        is_claim = kind.pool is not None and command is kind.claim
        by = self.random.choice(self._still_here(self.sellers) or self.admins) if is_claim else self.admins[0]
        self.do(command(**{kind.key: id}, **more), by)

    def convert_lead(self) -> None:
        """A lead is entered and converted, perhaps again before that is done; another customer has its number often."""
        lead, by = new_id(self.random), self.admins[0]
        self.do(kind_of(Lead).create(lead_id=lead, name=f"lead {self.random.randint(1, 9)}"), by)
        for _ in range(self.random.randint(1, 3)):
            mobile = f"1390000000{self.random.randint(0, 9)}"
            self.do(ConvertLead(lead_id=lead, mobile=mobile, industry="retail"), by)
            self._pause(4)

    def _parents(self, kind: Kind) -> dict[str, UUID | None]:
        """Records to which one of this kind is to belong: deleted ones perhaps, and some below itself."""
        known = {name: self._of_kind(field.rules.record)[-3:] for name, field in kind.parents.items()}
        may_be = {name: ids if kind.fields[name].required else [None, *ids] for name, ids in known.items()}
        return {name: self.random.choice(ids) for name, ids in may_be.items() if ids}

    def _of_kind(self, what: str) -> list[UUID]:
        """The records of a kind that people have entered."""
        first = self.customers if what == CUSTOMER.what else []
        return [*first, *(id for kind, id in self.records if kind.what == what)]

    def _own(self) -> dict[str, Any]:
        """Values of fields that the company may have added, and that the service may have heard of."""
        values = {"seats": self.random.randint(1, 9), "note": f"said {self.random.randint(1, 9)}"}
        return {key: value for key, value in values.items() if self.random.random() < 0.3}

    def set_field(self) -> None:
        """Add a field to a kind of record, rename it, retire it or bring it back."""
        kind = self.random.choice(RECORDS)
        fields: tuple[tuple[str, CustomType], ...] = (("seats", "number"), ("note", "text"))
        key, type = self.random.choice(fields)
        named: dict[str, Any] = {"kind": kind.code, "key": key}
        added = AddCustomField(**named, type=type, label=Label(zh=key), default=self.random.choice(((), ("3",))))
        renamed = ChangeCustomField(**named, label=LabelChange(ja=f"{key} {self.random.randint(1, 9)}"))
        acts = (added, added, added, renamed, RetireCustomField(**named), RestoreCustomField(**named))
        self.do(self.random.choice(acts), self.admins[0])

    def edit_dictionary(self) -> None:
        """An entry that records have may be on its way to be deleted, or switched off."""
        name = self.random.choice(("customer_tags", "industries"))
        entry: dict[str, Any] = {"dictionary": name, "entry": self.random.choice([*PREPARED[name], "new"])}
        commands = (
            AddDictionaryEntry(**entry, en="New"),
            EditDictionaryEntry(**entry, active=self.random.random() < 0.5),
            DeleteDictionaryEntry(**entry),
        )
        self.do(self.random.choice(commands), self.admins[0])

    def talk(self) -> None:
        """Somebody looks at a record, says something about it, or takes that back; often before its service has heard
        of the record."""
        subjects = [*((kind.what, id) for kind, id in self.records), *(("order", id) for id in self.orders)]
        if not subjects:
            return
        by = self.admins[0]
        kind, id = self.random.choice(subjects)
        about: dict[str, Any] = {"subject_kind": kind, "subject_id": id}
        said = f"said {self.random.randint(1, 9)}"
        mentions = tuple(one.user_id for one in self.bosses[:1] if one.user_id and self.random.random() < 0.3)
        comment = WriteComment(comment_id=new_id(self.random), text=said, mentions=mentions, **about)
        acts: list[Any] = [RecordViewing(**about), comment, comment]
        if self.comments:
            known = self.random.choice(self.comments)
            acts += [EditComment(comment_id=known, text=said), DeleteComment(comment_id=known)]
        act = self.random.choice(acts)
        if act is comment:
            self.comments.append(comment.comment_id)
        self.do(act, by, told=self.random.random() < 0.8)

    # -- the end of the day: what waits for people is settled, by the truth and not by views

    def settle(self) -> bool:
        """Do everything that waits for a person; whether there was anything.  Settings are set once more."""
        if first := not self.settings_tried:
            self.settings_tried = True
            known = next(iter(self.cluster.writers["company"].values())).company.known
            command = SetCompanyData(full_name="Salestream Ltd.", time_zone=known.time_zone)
            self.do(command, self.admins[0], keyed=True, is_certain=True)
            self.set_parameter(is_certain=True)
        found = [*self._open_shipments(), *self._held_orders()]
        for command in found:
            self.do(command, self.random.choice(self.admins), keyed=True)
        cases = self._open_cases()
        if first:
            self._leave_in_turn(cases)
        for case in cases:
            leader = self.leader_of(case)
            due = leader is not None and case.due == NODES_OF_ORDERS["SUPERVISOR"]
            by = leader if leader and due else self.random.choice((self.finance, *self.admins))
            if self.do(Approve(case_id=case.id), by, keyed=True, is_due=due) is None and due:
                self.do(Approve(case_id=case.id), self.random.choice(self.admins), keyed=True)  # I11 tells of it
        return bool(found or cases or first)

    def _leave_in_turn(self, cases: Sequence[Case]) -> None:
        """Who should decide leaves, and so does who took over."""
        due = [case for case in cases if case.due == NODES_OF_ORDERS["SUPERVISOR"]]
        for _ in range(2):
            gone = self.leader_of(due[0]) if due else None
            heirs = [boss for boss in self._still_here(self.bosses) if gone and boss.user_id != gone.user_id]
            if gone and heirs:
                self._succeed(gone, self.random.choice(heirs))

    def leader_of(self, case: Case) -> Principal | None:
        """Whose turn it is: who is above the submitter now, or above who took over, each with those who took over."""
        above = self.above.get(self.in_place_of(case.submitter.user_id))
        return None if above is None else self.known[self.in_place_of(above)]

    def _open_cases(self) -> list[Case]:
        cases = [id for id, first in streams(self.cluster, "approvals").items() if ".case-opened." in first]
        held = [self.cluster.store("approvals").load(Case, id) for id in cases]
        return [case for case in held if case and case.status == "OPEN"]

    def _open_shipments(self) -> list[Any]:
        found: list[Any] = []
        for id in streams(self.cluster, "shipping"):
            shipment = self.cluster.store("shipping").load(Shipment, id)
            if shipment and shipment.status == "PREPARED":
                found.append(HandOver(order_id=id))
            elif shipment and shipment.status == "DISPATCHED":
                found.append(Deliver(order_id=id))
        return found

    def _held_orders(self) -> list[Any]:
        """A held order is tried again when there is enough by now; else it stays on hold, which is an end."""
        return []


def streams(cluster: Cluster, service: str) -> dict[UUID, str]:
    """The streams of a service with the type of their first event."""
    found: dict[UUID, str] = {}
    for event in cluster.store(service).notifications(0, 1_000_000):
        found.setdefault(event.aggregate_id, event.type)
    return found


def order_of(cluster: Cluster, id: UUID) -> Order | None:
    return cluster.store("orders").load(Order, id)


def cny(amount: Decimal) -> Money:
    return Money(amount=amount.quantize(Decimal("0.01")), currency="CNY")
