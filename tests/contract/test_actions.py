"""What a page tells that its reader may do is what the commands do then: every page, state, caller and command."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from security.office import Caller, Office, quick_hashes

from chassis.catalogue import Catalogue
from chassis.documents.samples import sample
from chassis.http.actions import actions_on
from chassis.model.actions import Action, Page, is_offered
from chassis.model.records import Record
from chassis.model.views import View
from chassis.model.whose import Whose
from chassis.projections.documents import stored
from chassis.queries.rows import plain
from chassis.testing.records import new_record
from chassis.testing.views import documents
from contracts.declare import REGISTRY, CommandSpec
from contracts.dictionaries import PREPARED
from contracts.inventory import PRODUCT
from contracts.notices import DeliveryPlanned, NoteAttempt
from contracts.orders import ApproveOrder, CompleteDelivery, HoldOrder, RejectOrder, ShipOrder
from contracts.people import Person
from contracts.permissions import OPEN
from contracts.records import KINDS, Kind
from contracts.sales import CustomerSnapshot, Shortage
from contracts.schedules import SCHEDULES
from contracts.settings import DEFAULTS
from contracts.shipping import CancelShipment, DispatchShipment, PackingLine, PrepareShipment

REGISTRY.load()
PAGES = Catalogue.read().pages()
BY_PATH = PAGES.by_path
VIEWS = {view.page: view for view in Catalogue.read().views() if view.page}
SHARED = ("READ", "EDIT")
People = Mapping[str, Caller]
Scene = Callable[[Office, People], str]
"""Makes a record that is in some state, and returns its id."""


def callers_of(office: Office) -> dict[str, Caller]:
    boss = office.user("SUP")
    seller = office.user("SAL", superior_id=boss.user_id)
    others = {name: office.user("SUP") for name in ("stranger", *SHARED)}
    programs = {"program": office.machine(("customers.edit", "ALL"), ("customers.view", "ALL"))}
    return {"owner": seller, "boss": boss, "admin": office.admin, "finance": office.user("FIN"), **others, **programs}


# -- a record of each kind, in each state


def entered(office: Office, people: People, kind: Kind) -> str:
    id = office.enter(kind)
    place = f"{[*kind.way][-1].path}/{owner_of(office, kind, id)}"
    if [*kind.way][-1].owned:
        office.call(f"PUT {place}/owner", {"owner_id": people["owner"].user_id}, office.admin).done()
        for access in SHARED:
            share = {"access": access, "until": None}
            office.call(f"PUT {place}/shares/{people[access].user_id}", share, office.admin).done()
    return id


def owner_of(office: Office, kind: Kind, id: str) -> str:
    """The id of the record whose owner says who reaches one: itself, or what it is reached through."""
    for one in [*kind.way][:-1]:
        [made] = [fact for fact in office.facts(one.service) if str(getattr(fact, one.key, "")) == id][:1]
        id = str(getattr(made.data, one.reached_through))
    return id


def whose(office: Office, page: Page, id: str) -> Whose | None:
    """Whose the record on a page is, where another one says so."""
    if not issubclass(page.aggregate, Record) or not page.aggregate.kind.reached_through:
        return None
    *below, root = page.aggregate.kind.way
    row = row_of(office, VIEWS[f"{root.path}/{{{root.key}}}"], owner_of(office, below[0], id))
    return replace(Whose.of_row(row), rights=(root.view, *(kind.view for kind in below[1:])))


def deleted(office: Office, people: People, kind: Kind) -> str:
    id = entered(office, people, kind)
    office.call(f"DELETE {kind.path}/{id}", None, office.admin).done()
    return id


def customer_and_product(office: Office) -> tuple[str, str]:
    customer = next(kind for kind in KINDS.values() if kind.what == "customer")
    customer_id = office.enter(customer)
    product = {**new_record(PRODUCT, office.enter), PRODUCT.key: customer_id}
    return customer_id, office.call("POST /products", product, office.admin).done()["id"]


def draft(office: Office, people: People, price: str = "10.00") -> str:
    """An order of the owner, for a customer that the owner sees."""
    customer, product = customer_and_product(office)
    office.call(f"PUT /customers/{customer}/owner", {"owner_id": people["owner"].user_id}, office.admin).done()
    office.tell_all()
    lines = [{"product_id": product, "quantity": 1, "unit_price": price}]
    order = {"customer_id": customer, "lines": lines}
    id: str = office.call("POST /orders", order, people["owner"]).done()["id"]
    return id


def submitted(office: Office, people: People, price: str = "10.00") -> str:
    id = draft(office, people, price)
    office.call(f"POST /orders/{id}/submit", None, people["owner"]).done()
    return id


pending = partial(submitted, price="6000.00")
ANN = Person(user_id=UUID(int=1 << 76 | 1 << 63), name="Ann")
LONG_AGO = date(2026, 1, 5)


def withdrawn(office: Office, people: People) -> str:
    id = pending(office, people)
    office.call(f"POST /orders/{id}/withdraw", None, people["owner"]).done()
    return id


def approved(office: Office, people: People) -> str:
    id = pending(office, people)
    office.system(ApproveOrder(order_id=UUID(id), round=1, approved_by=ANN))
    return id


def rejected(office: Office, people: People) -> str:
    id = pending(office, people)
    office.system(RejectOrder(order_id=UUID(id), round=1, reason="too dear", rejected_by=ANN))
    return id


def held(office: Office, people: People) -> str:
    id = submitted(office, people)
    missing = (Shortage(product_id=UUID(id), wanted=2, on_hand=1),)
    office.system(HoldOrder(order_id=UUID(id), round=1, attempt=1, missing=missing))
    return id


def cancelled(office: Office, people: People) -> str:
    id = submitted(office, people)
    office.call(f"POST /orders/{id}/cancel", {"reason": "called off"}, people["owner"]).done()
    return id


def shipped(office: Office, people: People) -> str:
    id = submitted(office, people)
    office.system(ShipOrder(order_id=UUID(id), round=1))
    return id


def paid(office: Office, people: People) -> str:
    id = shipped(office, people)
    office.call(f"POST /orders/{id}/payments", {"amount": "10.00"}, office.admin).done()
    return id


def completed(office: Office, people: People) -> str:
    id = paid(office, people)
    office.system(CompleteDelivery(order_id=UUID(id), delivered_on=LONG_AGO))
    return id


ABOUT: dict[str, Any] = {
    "number": "SO-000001",
    "customer": CustomerSnapshot(customer_id=UUID(int=0), name="Li"),
    "lines": (PackingLine(product_id=UUID(int=0), quantity=1, name="Pump", model="P1"),),
}


def prepared(office: Office, people: People) -> str:
    id = submitted(office, people)
    office.system(PrepareShipment(order_id=UUID(id), round=1, **ABOUT))
    office.tell_all()
    return id


def handed_over(office: Office, people: People) -> str:
    id = prepared(office, people)
    office.call(f"POST /shipments/{id}/hand-over", {}, office.admin).done()
    return id


def called_off(office: Office, people: People) -> str:
    id = prepared(office, people)
    office.call(f"POST /orders/{id}/cancel", {"reason": "called off"}, people["owner"]).done()
    office.system(CancelShipment(order_id=UUID(id), round=1))
    office.tell_all()
    return id


def dispatched(office: Office, people: People) -> str:
    id = handed_over(office, people)
    office.system(DispatchShipment(order_id=UUID(id), round=1, **ABOUT))
    return id


def delivered(office: Office, people: People) -> str:
    id = dispatched(office, people)
    office.call(f"POST /shipments/{id}/deliver", {}, office.admin).done()
    return id


def commented(office: Office, people: People) -> str:
    subject = draft(office, people)
    office.tell_all()
    comment = {"subject_kind": "order", "subject_id": subject, "text": "It is urgent."}
    id: str = office.call("POST /comments", comment, people["owner"]).done()["id"]
    return id


def communicated(office: Office, people: People) -> str:
    subject = draft(office, people)
    office.tell_all()
    contact = {"subject_kind": "order", "subject_id": subject, "way": "PHONE", "text": "It is urgent."}
    id: str = office.call("POST /communications", contact, people["owner"]).done()["id"]
    return id


def communicated_long_ago(office: Office, people: People) -> str:
    """For longer than its author may change it."""
    office.call(
        "PUT /settings/parameters/communications.edit_hours", {"value": "0", "reason": "x"}, office.admin
    ).done()
    return communicated(office, people)


def attached(office: Office, people: People) -> str:
    subject = draft(office, people)
    office.tell_all()
    file = office.call("POST /files", b"%PDF-1.7", people["owner"]).done()["id"]
    on = {"file_id": file, "subject_kind": "order", "subject_id": subject, "name": "offer.pdf"}
    id: str = office.call("POST /attachments", on, people["owner"]).done()["id"]
    return id


def working(office: Office, _: People) -> str:
    return str(office.user("SAL").user_id)


def gone(office: Office, people: People) -> str:
    id = working(office, people)
    office.call(f"POST /users/{id}/deletion", {"successor_id": office.admin.user_id}, office.admin).done()
    return id


def connected(office: Office, _: People) -> str:
    return str(office.machine(("orders.view", "ALL")).user_id)


def disconnected(office: Office, people: People) -> str:
    id = connected(office, people)
    office.call(f"DELETE /machines/{id}", None, office.admin).done()
    return id


def department(office: Office, _: People) -> str:
    id: str = office.call("POST /departments", {"name": f"Sales {uuid4()}"}, office.admin).done()["id"]
    return id


PHONE = {"name": "Phone", "memory_gb": 8, "free_storage_gb": 64}


def enrolled(office: Office, people: People) -> str:
    id: str = office.call("POST /devices", PHONE, people["owner"]).done()["id"]
    return id


def asked_to_wipe(office: Office, people: People) -> str:
    """The first confirmation is no public fact, and so no page tells it: here it was given wherever it may be."""
    id = enrolled(office, people)
    office.call(f"PUT /devices/{id}/wipe-switch", {"on": True}, office.admin).done()
    office.call(f"POST /devices/{id}/wipe", None, office.admin).done()
    return id


def about_to_be_wiped(office: Office, people: People) -> str:
    id = asked_to_wipe(office, people)
    office.call(f"POST /devices/{id}/wipe/confirmation", {"name": PHONE["name"]}, office.admin).done()
    return id


def parameter(office: Office, _: People) -> str:
    office.call("PUT /settings/parameters/greeting", {"value": str(uuid4()), "reason": "new"}, office.admin).done()
    return "greeting"


def prepared_entry(_: Office, __: People) -> str:
    return f"importance.{next(iter(PREPARED['importance']))}"


def entry(office: Office, _: People) -> str:
    code = f"E{uuid4().int % 10**9}"
    office.call("POST /dictionaries/importance/entries", {"entry": code, "en": code}, office.admin).done()
    return f"importance.{code}"


def deleted_entry(office: Office, people: People) -> str:
    id = entry(office, people)
    office.call(f"DELETE /dictionaries/importance/entries/{id.partition('.')[2]}", None, office.admin).done()
    return id


def own_field(office: Office, _: People) -> str:
    """The fields of a kind of record; the first time that is asked for one is added."""
    field = {"key": "seats", "type": "number", "label": {"zh": "座位"}}
    assert office.call("POST /custom-fields/customer", field, office.admin).code in ("", "DUPLICATE")
    return "customer"


def saved_view(office: Office, people: People) -> str:
    id: str = office.call("POST /saved-views", {"list_name": "customers", "name": "mine"}, people["owner"]).done()["id"]
    return id


def view_for_everybody(office: Office, people: People) -> str:
    view = {"list_name": "customers", "name": "ours", "audience": "EVERYBODY"}
    id: str = office.call("POST /saved-views", view, people["boss"]).done()["id"]
    return id


def on_its_way(office: Office, people: People) -> str:
    by_mail = {"ways": [{"occasion": "ANNOUNCEMENT", "ways": ["MAIL"]}]}
    office.call("PUT /settings/notices", by_mail, office.admin).done()
    to = [{"kind": "USER", "user_id": people["owner"].user_id}]
    office.call("POST /announcements", {"title": "Update", "text": "at eight", "receivers": to}, office.admin).done()
    *_, planned = [fact for fact in office.facts("notices") if isinstance(fact, DeliveryPlanned)]
    return str(planned.delivery_id)


def not_delivered(office: Office, people: People) -> str:
    id = on_its_way(office, people)
    office.system(NoteAttempt(delivery_id=UUID(id), attempt=1, reason="RECIPIENT_550", for_good=True))
    return id


def called(office: Office, _: People, name: str) -> str:
    """A record that is there from the beginning, under its name."""
    return name


SCENES: dict[str, list[Scene]] = {
    **{f"{kind.path}/{{{kind.key}}}": [partial(entered, kind=kind), partial(deleted, kind=kind)]
       for kind in KINDS.values()},
    "/orders/{order_id}": [
        draft, submitted, pending, withdrawn, approved, rejected, held, cancelled, shipped, paid, completed,
    ],
    "/shipments/{order_id}": [prepared, handed_over, called_off, dispatched, delivered],
    "/comments/{comment_id}": [commented],
    "/attachments/{attachment_id}": [attached],
    "/communications/{communication_id}": [communicated, communicated_long_ago],
    "/users/{user_id}": [working, gone],
    "/machines/{machine_id}": [connected, disconnected],
    "/departments/{department_id}": [department],
    "/devices/{device_id}": [enrolled, asked_to_wipe, about_to_be_wiped],
    "/company/{settings_id}": [partial(called, name="company")],
    **{f"/settings/{name}": [partial(called, name=name)] for name in DEFAULTS},
    "/parameters/{name}": [parameter],
    "/dictionary-entries/{entry_key}": [prepared_entry, entry, deleted_entry],
    "/custom-fields/{kind}": [own_field],
    "/saved-views/{saved_view_id}": [saved_view, view_for_everybody],
    "/deliveries/{delivery_id}": [on_its_way, not_delivered],
    **{f"/schedules/{one.name}": [partial(called, name=one.name)] for one in SCHEDULES.values()},
}  # fmt: skip
"""Each page, with a record in every state that its rules tell apart."""


TOLD_ELSEWHERE = {
    "/approvals/{case_id}": "its row tells them, as the list of what waits for somebody does",
    "/colleagues/{user_id}": "how to reach somebody: the page of the user tells what may be done with the account",
}
"""The pages of records that commands change, and that tell nothing of these beside their row; and why."""


def test_every_page_that_tells_what_may_be_done_is_tried_here() -> None:
    assert set(SCENES) == set(BY_PATH)
    assert all(page.commands and view_of(path) for path, page in BY_PATH.items())


def test_uix_08_every_page_of_a_record_tells_what_may_be_done_with_it_or_it_is_said_why_not() -> None:
    silent = {path: view for path, view in VIEWS.items() if not PAGES.tell(path)}
    assert {path for path, view in silent.items() if changing(view)} == set(TOLD_ELSEWHERE)
    assert "actions" in VIEWS["/approvals/{case_id}"].types and PAGES.tell("/users/{user_id}")


def changing(view: View) -> list[CommandSpec]:
    """The commands about the records of which a view tells: those of the same service and key as its events."""
    told = {(event.service, event.key) for event in map(REGISTRY.event_of, view.handlers)}
    return [spec for spec in REGISTRY.commands.values() if is_offered(spec) and (spec.service, spec.key) in told]


def view_of(path: str) -> View:
    """The view of a page, or of that of a record with a name."""
    above = path.rpartition("/")[0]
    return VIEWS.get(path) or next(view for page, view in VIEWS.items() if page.rpartition("/")[0] == above)


# -- what is told, and what happens then


def row_of(office: Office, view: View, id: str) -> dict[str, Any]:
    """The row of a record as its page has it, made of all that happened."""
    facts = [fact for service in office.stores for fact in office.facts(service)]
    found = documents(view, [fact for fact in facts if type(fact) in view.handlers])
    row = plain(found.get(id) or stored(view.defaults.get(id, {})))
    return {**dict.fromkeys(view.types), **row, "id": id}


def given(spec: CommandSpec, office: Office, people: People, id: str) -> tuple[dict[str, str], dict[str, Any]]:
    """What stands in the path of a command, and in its body: what any record takes."""
    known = {
        "version": 1, "owner_id": people["owner"].user_id, "until": None, "with_id": people["stranger"].user_id,
        "successor_id": office.admin.user_id, "responsible_id": office.admin.user_id, "superior_id": None,
        "department_id": None, "role": "SAL", "default_password": "Welcome#2026",
        "key": "seats", "audience": "ME", "roles": [], "parameters": [], "columns": [],
        "mentions": [], "amount": "1.00", "paid_on": None, "delivered_on": None,
        "way": "PHONE", "next_contact_on": None, "pool_id": None, "members": [], "administrators": [],
    }  # fmt: skip
    fields = spec.cls.__dataclass_fields__  # type: ignore[attr-defined]
    filled = {name: value for name, value in known.items() if name in fields}
    body = {**plain(sample(spec.cls)), **filled, **names_of(spec, id)}
    in_path = {name: str(body.pop(name)) for name in list(body) if f"{{{name}}}" in str(spec.path)}
    if spec.key not in str(spec.path):
        body.pop(spec.key, None)  # of a record with a name the path tells it
    return in_path, body


def names_of(spec: CommandSpec, id: str) -> dict[str, str]:
    """What names a record in a command: its key, and of an entry of a dictionary the code besides."""
    if spec.key != "dictionary":
        return {spec.key: id}
    dictionary, _, code = id.partition(".")
    return {"dictionary": dictionary, "entry": f"{code}2" if spec.name.startswith("Add") else code}


@pytest.mark.parametrize("path", BY_PATH)
def test_uix_08_what_one_may_do_is_told_as_it_would_be_refused(path: str, tmp_path: Path) -> None:
    page, view, seen = BY_PATH[path], view_of(path), set[bool]()
    with quick_hashes():
        office = Office(tmp_path)
        people = callers_of(office)
        for scene in SCENES[path]:
            for spec, status in asked(page):
                id = ""
                for name, caller in people.items():
                    id = id or scene(office, people)
                    office.tell_all()
                    row = row_of(office, view, id)
                    principal, company = office.principal_of(caller), office.directory.company
                    reached = whose(office, page, id)
                    told = actions_on(page, row, principal, office.api.clock(), company, children={}, whose=reached)
                    action = next((one for one in told if (one.command, one.status) == (spec.name, status)), None)
                    if action is None:
                        is_of_no_use = spec.name.startswith(("Restore", "Unmerge")) or (
                            spec.key == "dictionary" and row["deleted"]
                        )
                        assert is_of_no_use, "what is there can't be restored, what is gone not changed"
                        break
                    seen.add(action.allowed)
                    answer = send(office, spec, people, id, caller, **({"status": status} if status else {}))
                    about = f"{scene} {name} {spec.name} {status}: {action} {answer.body}"
                    if action.allowed:
                        assert answer.code not in ("FORBIDDEN", "INVALID_STATE"), about
                        assert (answer.code, answer.body.get("field")) != ("NOT_FOUND", spec.key), about
                        id = ""
                    elif (answer.code, answer.body.get("field")) != ("NOT_FOUND", spec.key):
                        # whoever is told that there is none does not see the page either
                        assert (answer.code, answer.body["reason"]) == (action.code, action.reason), about
                        assert status is None or answer.body["params"] == action.params, about
    assert seen == {True, False}


def asked(page: Page) -> list[tuple[CommandSpec, str | None]]:
    """Every command on such a record, that which sets its status once for each other one than the first."""
    kind = page.aggregate.kind if issubclass(page.aggregate, Record) else None
    others = kind.statuses.names[1:] if kind and kind.statuses else []
    return [
        (spec, status)
        for spec in page.commands
        for status in (others if kind and spec.cls is kind.set_status else [None])
    ]


def send(office: Office, spec: CommandSpec, people: People, id: str, caller: Caller, **more: Any) -> Any:
    in_path, body = given(spec, office, people, id)
    if spec.name.startswith("Unshare"):  # who has it shared with themselves ends that, all others what they name
        in_path["with_id"] = caller.user_id if caller in (people["READ"], people["EDIT"]) else people["READ"].user_id
    path = str(spec.path).format(**in_path)
    return office.call(f"{spec.method} {path}", {**body, **more} or None, caller)


@pytest.mark.parametrize("path", [path for path, page in BY_PATH.items() if page.aggregate.seen_by])
def test_sec_16_who_may_not_see_a_record_changes_nothing_of_it(path: str, tmp_path: Path) -> None:
    page = BY_PATH[path]
    right = page.aggregate.seen_by
    with quick_hashes():
        office = Office(tmp_path)
        people = callers_of(office)
        id = SCENES[path][0](office, people)
        office.tell_all()
        for spec in page.commands:
            if spec.permission in (right, *OPEN):
                continue
            blind = office.machine((spec.permission, "ALL"))
            row, company = row_of(office, view_of(path), id), office.directory.company
            reached = whose(office, page, id)
            principal, now = office.principal_of(blind), office.api.clock()
            told = actions_on(page, row, principal, now, company, children={}, whose=reached)
            answer = send(office, spec, people, id, blind)
            lacks = answer.body["params"].get("right")
            assert (answer.code, lacks) == ("FORBIDDEN", right), f"{spec.name} {answer.body}"
            assert {one.params.get("right") for one in told if one.command == spec.name} <= {right}, spec.name


def test_ful_03_an_action_that_is_refused_says_the_way_out(tmp_path: Path) -> None:
    """As the command does: code, reason and parameters."""
    with quick_hashes():
        office = Office(tmp_path)
        people = callers_of(office)
        id = pending(office, people)
        view = VIEWS["/orders/{order_id}"]
        principal, company = office.principal_of(people["owner"]), office.directory.company
        page = BY_PATH["/orders/{order_id}"]
        told = {one.command: one for one in actions_on(page, row_of(office, view, id), principal,
                                                       office.api.clock(), company, children={})}  # fmt: skip
        assert {name for name, one in told.items() if one.allowed} == {"WithdrawOrder", "CancelOrder"}
        assert told["ChangeOrder"] == Action(
            command="ChangeOrder",
            allowed=False,
            code="INVALID_STATE",
            reason="orders.status_with_way_out",
            params=told["ChangeOrder"].params,
        )
        assert told["RecordPayment"].code == "FORBIDDEN"
