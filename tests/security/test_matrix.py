"""Role x route: who gets in, who is refused, and that a refusal changes nothing (SEC-02, SEC-11, SEC-14, SEC-16).

What is expected comes from the specification's table (`security.spec`) and from `ROUTES`, not from the contracts: a
route that asks for another right than the table says fails here, and so does a route that nobody has put into `ROUTES`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import pytest

from chassis.commands.runs import reverting
from chassis.documents.samples import sample
from chassis.http.routes import kebab, undo_path
from chassis.model.duplicates import path_of, right_of
from chassis.model.merging import preview_path
from chassis.queries.reader import FORMATS
from contracts.declare import REGISTRY
from contracts.notices import notice_id
from contracts.permissions import DATA_SCOPES, RIGHTS, ROLES, DataScope, first_rights, first_scope
from contracts.records import KINDS, Kind, pool_path
from contracts.schedules import SCHEDULES
from contracts.subjects import SUBJECT_ID, SUBJECT_KIND
from security import spec
from security.office import DEFAULT, NOBODY, VIEWS, Caller, Office, Told, new_id, quick_hashes

OPERATORS = "operators"  # no account is asked for: health
ANYBODY = "anybody"  # signing in, registering, recovering a password; a phone with its secret
SIGNED_IN = "signed in"  # also with a default password that must be changed
OWN = "one's own"  # whoever is signed in with a password of their own
COLLEAGUES = "colleagues"  # whoever has a role
STAFF = "staff"  # whoever has a role, and programs: the record says which of them may
SEE_ORDERS = "see orders"
SEE_SETTINGS = "see settings"
HAND_OUT_KEYS = "hand out keys of persons"
SEE_CUSTOMERS = "see customers"
SEE_VIEWERS = "see who viewed records"
SEE_COMMUNICATIONS = "see contact with customers"
SEE_LEADS = "see leads"
CHANGE_LEADS = "add and change leads"
MERGE_CUSTOMERS = "merge customers"
OWN_TASKS = "have tasks"

ROUTES = {
    OPERATORS: "GET /livez; GET /readyz",
    ANYBODY: """
        POST /registrations; POST /password-resets; POST /password-resets/{reset_id}/password; POST /challenges;
        POST /sessions; POST /sessions/{session_id}/proof; POST /sessions/{session_id}/refresh;
        POST /machines/{machine_id}/token; POST /devices/{device_id}/contact; POST /devices/{device_id}/wiped
    """,
    SIGNED_IN: """
        GET /me; GET /metadata; POST /users/{user_id}/password; DELETE /sessions/{session_id}; DELETE /sessions/current
    """,
    OWN: """
        PATCH /users/{user_id}/personal-data; PATCH /users/{user_id}/preferences; POST /users/{user_id}/second-factor;
        POST /users/{user_id}/second-factor/confirmation; POST /users/{user_id}/second-factor/removal;
        POST /devices; POST /devices/{device_id}/activation; GET /devices; GET /devices/{device_id};
        GET /company; GET /company/{settings_id};
        GET /notices; GET /notices/{notice_id}; PUT /notices/{notice_id}/read; POST /notices/{notice_id}/earlier-read;
        PUT /notice-ways/{user_id}; GET /notice-ways/{user_id}
    """,
    COLLEAGUES: """
        GET /colleagues; GET /colleagues/{user_id}; GET /departments; GET /departments/{department_id};
        GET /dictionary-entries; GET /dictionary-entries/{entry_key};
        GET /saved-views; GET /saved-views/{saved_view_id}; POST /saved-views; PATCH /saved-views/{saved_view_id};
        DELETE /saved-views/{saved_view_id}; GET /default-views; POST /default-views;
        GET /comments; GET /comments/{comment_id}; POST /comments; PATCH /comments/{comment_id};
        DELETE /comments/{comment_id};
        GET /attachments; GET /attachments/{attachment_id}; GET /attachments/{attachment_id}/content;
        POST /attachments; DELETE /attachments/{attachment_id}; POST /files;
        POST /viewings; GET /recently-viewed
    """,  # of records that they see
    SEE_VIEWERS: "GET /viewings",
    SEE_COMMUNICATIONS: "GET /communications; GET /communications/{communication_id}",
    "Opportunities, follow-ups": """
        POST /communications; PATCH /communications/{communication_id}; DELETE /communications/{communication_id}
    """,
    STAFF: """
        POST /approvals/{case_id}/approve; POST /approvals/{case_id}/reject; GET /approvals; GET /approvals/{case_id}
    """,
    "Accounts, roles, remote wipe, audit log, backup": """
        GET /roles; POST /users; PATCH /users/{user_id}; POST /users/{user_id}/deletion;
        POST /users/{user_id}/hand-over;
        PUT /roles/{role}/members/{user_id}; DELETE /roles/{role}/members/{user_id}; POST /users/{user_id}/review;
        DELETE /users/{user_id}/sessions; POST /users/{user_id}/default-password; DELETE /users/{user_id}/second-factor;
        PUT /roles/{role}; PUT /roles/{role}/rights/{right}; DELETE /roles/{role}/rights/{right};
        POST /departments; PATCH /departments/{department_id}; PUT /departments/{department_id}/parent;
        POST /machines; POST /machines/{machine_id}/secret; PUT /machines/{machine_id}/responsible;
        DELETE /machines/{machine_id}; GET /machines; GET /machines/{machine_id};
        PUT /devices/{device_id}/wipe-switch; POST /devices/{device_id}/wipe;
        POST /devices/{device_id}/wipe/confirmation;
        GET /users; GET /users/{user_id}; GET /reports/security;
        GET /audit; GET /audit/{entry_id}
    """,
    "System settings, flows, forms, rules, sync": """
        PUT /settings/access; PUT /settings/company; PUT /settings/company/logo; PUT /settings/parameters/{name};
        DELETE /settings/parameters/{name};
        PUT /settings/devices; PUT /settings/customers; PUT /settings/sales-process; PUT /settings/notices;
        GET /parameters; GET /parameters/{name};
        POST /dictionaries/{dictionary}/entries; PUT /dictionaries/{dictionary}/entries/{entry};
        DELETE /dictionaries/{dictionary}/entries/{entry};
        POST /custom-fields/{kind}; PATCH /custom-fields/{kind}/{key}; DELETE /custom-fields/{kind}/{key};
        POST /custom-fields/{kind}/{key}/restore
    """,
    "Platform system": """
        GET /mailbox; GET /metrics; POST /views/{view}/rebuilds; GET /rebuilds; GET /rebuilds/{rebuild_id};
        POST /rebuilds/{rebuild_id}/cancel; GET /schedules; GET /schedules/{schedule}; POST /announcements;
        GET /announcements; GET /announcements/{announcement_id};
        GET /deliveries; GET /deliveries/{delivery_id}; POST /deliveries/{delivery_id}/again
    """,  # metrics: from outside the networks of METRICS_NETWORKS
    SEE_SETTINGS: """
        GET /settings; GET /settings/{settings_id}; GET /custom-fields; GET /custom-fields/{kind};
        GET /push-rule-runs; GET /push-rule-runs/{run_id}
    """,
    HAND_OUT_KEYS: "GET /persons/{person_id}/key",
    "Products: view": "GET /stock-alerts; GET /stock-ledger",
    "Products: add, edit, delete": """
        POST /products/{product_id}/receipts; POST /products/{product_id}/adjustments
    """,
    "Customers: add, edit, delete own": """
        PUT /customers/{customer_id}/membership; POST /customers/{customer_id}/points
    """,
    "Orders: create, change, submit": """
        POST /orders; PATCH /orders/{order_id}; POST /orders/{order_id}/submit; POST /orders/{order_id}/withdraw;
        POST /orders/{order_id}/cancel; POST /orders/{order_id}/retry
    """,
    SEE_ORDERS: "GET /orders; GET /orders/{order_id}; GET /purchases",
    SEE_LEADS: "GET /reports/leads",
    CHANGE_LEADS: "POST /leads/{lead_id}/conversion",
    "Payments": "POST /orders/{order_id}/payments",
    "Stock-out, shipping": """
        POST /shipments/{order_id}/hand-over; POST /shipments/{order_id}/deliver; GET /shipments;
        GET /shipments/{order_id}; PATCH /shipments/{order_id}
    """,
    "Sales reports: view": "GET /reports/sales-by-day; GET /reports/sales-by-product; GET /reports/sales-by-brand",
}
"""Who the specification lets in: a row of its table, or one of the names above -> the routes."""

FUNCTION_OF = {place.strip(): function for function, text in ROUTES.items() for place in text.split(";")}
ROW_OF = {right: function for function, right in spec.RIGHT_OF.items()} | {
    "customers.view": SEE_CUSTOMERS,
    "leads.view": SEE_LEADS,
    "leads.edit": CHANGE_LEADS,
    "customers.merge": MERGE_CUSTOMERS,
    "tasks": OWN_TASKS,
    "settings.view": SEE_SETTINGS,
}
OF_KINDS = {
    place: ROW_OF[right]
    for kind in KINDS.values()
    for place, right in [
        *((f"GET {path}", kind.view) for path in (kind.path, f"{kind.path}/{{{kind.key}}}")),
        *((f"{spec.method} {spec.path}", spec.permission) for spec in map(REGISTRY.command_of, kind.commands)),
        *([(f"GET {pool_path(kind)}", kind.pool.claim)] if kind.pool else []),
    ]
}
"""The routes of records of declared kinds: who may is said where the kind is declared, by a right of the table."""
FUNCTION_OF |= OF_KINDS
OF_SCHEDULES = {
    f"{spec.method} {spec.path}": ROW_OF[spec.permission]
    for one in SCHEDULES.values()
    for spec in map(REGISTRY.command_of, one.commands)
}
"""The routes of schedules: who may is said where each is declared."""
FUNCTION_OF |= OF_SCHEDULES
HISTORIES = {
    f"{row}/history": FUNCTION_OF[row] for view in VIEWS if view.history for row in [f"{view.route}/{{{view.detail}}}"]
}
FUNCTION_OF |= HISTORIES
OVERVIEWS = {f"GET {view.overview}": FUNCTION_OF[f"GET {view.page}"] for view in VIEWS if view.overview}
"""The routes of all that there is about a record: those who see the record; each part by the right to its list."""
FUNCTION_OF |= OVERVIEWS
DUPLICATES = {f"GET {path_of(view)}": ROW_OF[right_of(view)] for view in VIEWS if path_of(view)}
"""The routes of the question whether a record is there already: those who may enter one."""
FUNCTION_OF |= DUPLICATES
MERGING = {
    f"GET {preview_path(view)}": FUNCTION_OF[f"POST {preview_path(view)}"] for view in VIEWS if preview_path(view)
}
"""The routes of the question what would come of it if two were merged: those who may merge them."""
FUNCTION_OF |= MERGING
UNDOS = {
    f"POST {undo_path(spec)}": FUNCTION_OF[f"{spec.method} {spec.path}"]
    for spec in REGISTRY.load().commands.values()
    if spec.is_public and spec.bulk and reverting(spec)
}
"""The routes by which what was changed in bulk is put back: those who may change it."""
FUNCTION_OF |= UNDOS
HOLDERS = {
    SEE_ORDERS: frozenset(spec.READINGS["orders.view"].split()),
    SEE_SETTINGS: frozenset(spec.READINGS["settings.view"].split()),
    HAND_OUT_KEYS: frozenset(spec.READINGS["persons.keys"].split()),
    SEE_CUSTOMERS: spec.SEES_CUSTOMERS,
    SEE_LEADS: frozenset(spec.READINGS["leads.view"].split()),
    CHANGE_LEADS: frozenset(spec.READINGS["leads.edit"].split()),
    MERGE_CUSTOMERS: frozenset(spec.READINGS["customers.merge"].split()),
    OWN_TASKS: frozenset(spec.READINGS["tasks"].split()),
    SEE_COMMUNICATIONS: frozenset(spec.READINGS["communications.view"].split()),
    SEE_VIEWERS: frozenset(spec.READINGS["records.viewers"].split()),
    **{function: spec.holders(function) for function in spec.CELLS},
}
LISTS = {view.path for view in VIEWS if view.is_list}
LIST_QUERIES = ["count=true", *(f"format={format}" for format in FORMATS if format != "json")]
COMMANDS = {f"{command.method} {command.path}": command for command in REGISTRY.load().commands.values()}


# -- the table and the declared rights ----------------------------------------------------------------------------


@pytest.mark.parametrize("function", spec.CELLS)
def test_SEC_16_the_first_rights_are_the_table_cell_by_cell(function: str) -> None:
    right, wrong = spec.RIGHT_OF[function], []
    for role, cell in spec.CELLS[function].items():
        holds = right in first_rights(role)
        if function == spec.BEYOND_OWN:
            holds = holds and first_scope(role, right) != "OWN"
        if holds != (cell in "Yy"):
            wrong.append(f"{role}: the table says {cell!r}, the role {'holds' if holds else 'does not hold'} {right}")
    assert not wrong


def test_SEC_16_no_right_and_no_role_is_outside_the_table() -> None:
    assert [*spec.ROLES, "SYSTEM"] == list(ROLES)
    assert set(spec.RIGHT_OF.values()) | set(spec.READINGS) == set(RIGHTS)
    people = set(spec.ROLES)
    assert {right: RIGHTS[right] & people for right in spec.READINGS} == {
        right: frozenset(roles.split()) for right, roles in spec.READINGS.items()
    }
    assert RIGHTS["customers.view"] == spec.SEES_CUSTOMERS
    assert RIGHTS["system"] == {"SYSTEM"}


def test_SEC_18_how_far_the_first_rights_reach() -> None:
    """Salesperson: own; supervisor: own and subordinates; management and administrator: all."""
    assert DATA_SCOPES == get_args(DataScope) == ("OWN", "SUBORDINATES", "DEPARTMENT", "ALL")
    reach = {role: set(first_rights(role).values()) for role in spec.ROLES}
    assert (reach["SAL"], reach["SUP"], reach["MGT"], reach["ADM"]) == ({"OWN"}, {"SUBORDINATES"}, {"ALL"}, {"ALL"})
    assert first_scope("SEA", "customers.edit") == "OWN", "an operator edits own customers and sees all"


# -- who comes to the door ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Guest:
    """Somebody at the door: what admits them (roles, or rights of a machine), or how they are refused everywhere."""

    caller: Caller
    roles: frozenset[str] = frozenset()
    rights: frozenset[str] = frozenset()
    is_machine: bool = False
    is_limited: bool = False
    is_void: bool = False

    def may_enter(self, function: str) -> bool:
        if function in (OPERATORS, ANYBODY):
            return True
        if self.is_void:
            return False
        if function == SIGNED_IN:
            return not self.is_machine
        if self.is_limited:
            return False
        if function == OWN:
            return not self.is_machine
        if function in (COLLEAGUES, STAFF):
            return bool(self.roles) or (function == STAFF and self.is_machine)
        if self.is_machine:
            return spec.RIGHT_OF.get(function) in self.rights
        return not self.roles.isdisjoint(HOLDERS[function])


@pytest.fixture(scope="module")
def guests(office: Office) -> list[Guest]:
    """One of each role, and all who should be kept out of most."""
    found = [Guest(office.user(role), frozenset({role})) for role in spec.ROLES]
    found.append(Guest(office.user("SAL", "WHS", name="salesperson and warehouse"), frozenset({"SAL", "WHS"})))
    found.append(Guest(office.user(name="no role")))
    limited = office.sign_in(office.issue("ADM"), DEFAULT, name="administrator with a default password")
    found.append(Guest(limited, frozenset({"ADM"}), is_limited=True))
    machine = office.machine(("products.view", "ALL"))
    found.append(Guest(machine, rights=frozenset({"products.view"}), is_machine=True))
    deleted = office.user("ADM", name="deleted administrator")
    office.call(f"POST /users/{deleted.user_id}/deletion", {"successor_id": office.admin.user_id}, office.admin).done()
    ended = office.user("ADM", name="signed-out administrator")
    office.call(f"DELETE /sessions/{ended.session_id}", by=ended).done()
    reset = office.user("ADM", name="administrator whose sign-ins were ended")
    office.call(f"DELETE /users/{reset.user_id}/sessions", by=office.admin).done()
    fired = office.machine(("accounts", "ALL"))
    office.call(f"DELETE /machines/{fired.user_id}", by=office.admin).done()
    found += [Guest(caller, is_void=True) for caller in (NOBODY, deleted, ended, reset, fired)]
    return found


@pytest.fixture(scope="module")
def records(office: Office) -> dict[str, str]:
    return records_of(office)


def records_of(office: Office) -> dict[str, str]:
    """A record for every field of a path, so that a refused command would have had something to change."""
    seller = office.user("SAL")
    mobile = {"name": "Acme", "mobile": "13800000001", "industry": "IT"}
    customer = office.call("POST /customers", mobile, seller).done()["id"]
    prices = {kind: {"amount": "1.00", "currency": "CNY"} for kind in ("purchase", "sale")}
    product = {"name": "Phone", "model": "A1", "brand": "Acme", "prices": prices, "opening_stock": 9}
    product_id = office.call("POST /products", product, office.admin).done()["id"]
    office.tell_all()
    subject = {"subject_kind": "customer", "subject_id": customer}
    waiting, file = (office.call("POST /files", b"a file", office.admin).done()["id"] for _ in range(2))
    order = {"customer_id": customer, "lines": [{"product_id": product_id, "quantity": 1}]}
    phone = {"name": "Phone", "memory_gb": 8, "free_storage_gb": 64}
    department = office.call("POST /departments", {"name": "Sales"}, office.admin).done()["id"]
    return {
        **{kind.key: record_of(office, kind) for kind in KINDS.values()},
        "with_id": department,
        "dictionary": "importance",
        "entry": "HIGH",
        "entry_key": "importance.HIGH",
        **subject,
        "file_id": waiting,
        "list_name": "customers",
        "saved_view_id": office.call("POST /saved-views", {"list_name": "customers", "name": "x"}, office.admin).done()[
            "id"
        ],
        "notice_id": notice_of(office),
        "comment_id": office.call("POST /comments", {**subject, "text": "x"}, office.admin).done()["id"],
        "communication_id": office.call(
            "POST /communications", {**subject, "way": "PHONE", "text": "x"}, office.admin
        ).done()["id"],
        "attachment_id": office.call(
            "POST /attachments", {**subject, "file_id": file, "name": "x"}, office.admin
        ).done()["id"],
        "user_id": seller.user_id,
        "owner_id": seller.user_id,
        "session_id": seller.session_id,
        "customer_id": customer,
        "product_id": product_id,
        "order_id": office.call("POST /orders", order, seller).done()["id"],
        "department_id": department,
        "device_id": office.call("POST /devices", phone, seller).done()["id"],
        "machine_id": office.machine(("products.view", "ALL")).user_id,
        "role": "SAL",
        "right": "payments",
        "settings_id": "sales-process",
        "name": "greeting",
        "kind": "customer",
        "key": field_of(office),
        "schedule": schedule_of(office),
        "entry_id": "orders-1-0",
        "view": "products",
        "rebuild_id": new_id(),
        "person_id": customer,
        "delivery_id": new_id(),
        "announcement_id": new_id(),
        "case_id": new_id(),  # nobody has a case without an order that waits; tests/component/test_scopes.py has
        "reset_id": new_id(),
        "run_id": new_id(),
    }


def notice_of(office: Office) -> str:
    """What the administrator was told: an announcement for everybody."""
    told = {"title": "Update", "text": "at eight", "receivers": [{"kind": "EVERYBODY"}]}
    telling = office.call("POST /announcements", told, office.admin).done()["id"]
    return str(notice_id(UUID(telling), UUID(office.admin.user_id)))


def field_of(office: Office) -> str:
    """The key of a field that was added to customers."""
    field = {"key": "seats", "type": "number", "label": {"zh": "座位"}}
    office.call("POST /custom-fields/customer", field, office.admin).done()
    return "seats"


def schedule_of(office: Office) -> str:
    """The name of a schedule that has run."""
    one = next(iter(SCHEDULES.values()))
    office.call(f"POST /schedules/{one.name}/runs", {}, office.admin).done()
    return one.name


def record_of(office: Office, kind: Kind) -> str:
    """The id of a new record of a kind."""
    return office.enter(kind)


RECORDS = ("session_id", "customer_id", "product_id", "order_id", "department_id", "device_id", "machine_id", "case_id",
           "reset_id", "rebuild_id", "saved_view_id", "notice_id", "delivery_id", "announcement_id",
           "person_id", "with_id", "comment_id", "communication_id", "run_id",
           "attachment_id", *(kind.key for kind in KINDS.values()))  # fmt: skip
NAMED = {"role": "NOBODY", "right": "payments", "settings_id": "sales-process", "name": "greeting",
         "entry_id": "orders-1-0", "view": "nobody", "dictionary": "importance", "entry": "NOTHING",
         "entry_key": "importance.NOTHING", "kind": "customer", "key": "nobody", "schedule": "nobody"}  # fmt: skip


# -- the matrix ---------------------------------------------------------------------------------------------------


def test_no_route_is_untested_and_none_is_tested_that_is_not_there(office: Office) -> None:
    served = {f"{route.method} {route.path}" for route in office.routes if not route.name.startswith("Bulk")}
    assert served == set(FUNCTION_OF)
    bulk = {route.name.removeprefix("Bulk") for route in office.routes if route.name.startswith("Bulk")}
    assert bulk == {spec.name for spec in COMMANDS.values() if spec.is_public and spec.bulk}
    once = sum(text.count(";") + 1 for text in ROUTES.values()) + len(OF_KINDS) + len(OF_SCHEDULES) + len(HISTORIES)
    once += len(OVERVIEWS) + len(DUPLICATES) + len(MERGING) + len(UNDOS)
    assert once == len(FUNCTION_OF), "a place stands in two rows"


@pytest.mark.parametrize("place", FUNCTION_OF)
def test_SEC_16_who_may_and_who_may_not(
    office: Office, guests: list[Guest], records: dict[str, str], place: str
) -> None:
    """Refused at the door, with nothing changed, or let in: single form, bulk form and every export."""
    function, wrong = FUNCTION_OF[place], []
    for guest in sorted(guests, key=lambda guest: guest.may_enter(function)):  # the refused first, on what is there
        for attempt in attempts(office, place):
            may, before = guest.may_enter(function), office.state()
            told = attempt.make(office, guest.caller, records_for(function, guest.caller) if may else records)
            if may and refused_at_the_door(told):
                wrong.append(f"{guest.caller.name} is refused: {attempt.name} {told.body}")
            if not may and not refused_as_it_should(told, guest):
                wrong.append(f"{guest.caller.name} is not refused: {attempt.name} {told.status} {told.body}")
            if not may and guest.roles and function in HOLDERS and not names_the_holders(told, function):
                wrong.append(f"{guest.caller.name} is not told who may: {attempt.name} {told.body}")
            if not may and office.state() != before:
                wrong.append(f"{guest.caller.name} was refused and changed something: {attempt.name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("place", [place for place, spec in COMMANDS.items() if spec.is_public])
def test_every_command_takes_a_key_and_is_carried_out_once_under_it(place: str, tmp_path: Path) -> None:
    """Section 2.0, single form and bulk form.  What carries secrets is looked at closer in test_idempotency.py."""
    with quick_hashes():
        office = Office(tmp_path)
        told_of = records_of(office)
        for attempt in attempts(office, place):
            key = new_id()
            first, before = attempt.make(office, office.admin, told_of, key), office.state()
            again = attempt.make(office, office.admin, told_of, key)
            assert first.code != "INTERNAL", first.body
            assert outcomes(again) == outcomes(first), attempt.name
            assert office.state() == before, f"{attempt.name} stored something again"


@pytest.mark.parametrize("place", [place for place, spec in COMMANDS.items() if spec.is_public and not spec.creates])
def test_a_command_takes_the_version_of_the_record_it_names_or_says_that_it_does_not(
    place: str, tmp_path: Path
) -> None:
    """What changes another record (goods, not the product) tells no ETag: it would be that of the other."""
    command = COMMANDS[place]
    with quick_hashes():
        office = Office(tmp_path)
        path, body = place.format(**(told_of := records_of(office))), sample(command.cls)
        body = {name: value for name, value in body.items() if f"{{{name}}}" not in place}
        named = (SUBJECT_KIND, SUBJECT_ID, "saved_view_id", "list_name")
        body |= {name: told_of[name] for name in named if name in body}
        told = office.call(path, body, office.admin, headers={"if-match": '"1"'})
        takes_none = told.status == 400 and told.body.get("field") == "If-Match"
        assert takes_none == (not command.versioned), told.body
        done = office.call(path, body, office.admin)
        assert ("ETag" in done.response.headers) == (command.versioned and done.status == 200), told_of


def outcomes(told: Told) -> list[tuple[Any, ...]]:
    """Status, error code, id and version of a command, or of each command in bulk."""
    items = told.body.get("results") or [{"status": told.status, "body": told.body}]
    return [(item["status"], *(item["body"].get(name) for name in ("code", "id", "version"))) for item in items]


def refused_at_the_door(told: Told) -> bool:
    """Whether the token or a missing right stood in the way, not a rule of the record or a wrong secret."""
    if told.code == "UNAUTHENTICATED":
        return bool(told.body.get("field") == "Authorization")
    return told.code == "FORBIDDEN" and told.body.get("field") is None


def refused_as_it_should(told: Told, guest: Guest) -> bool:
    if guest.is_void:
        return told.status == 401 and refused_at_the_door(told)
    state = "DEFAULT_PASSWORD" if guest.is_limited else told.body and told.body.get("state")
    return told.status == 403 and refused_at_the_door(told) and told.body["state"] == state


def names_the_holders(told: Told, function: str) -> bool:
    """Whether a refusal names the right and every role that holds it; who has them it does not tell."""
    if told.body["state"] == "DEFAULT_PASSWORD":
        return True
    right, holders = told.body["state"], HOLDERS[function]
    _, _, named = told.body["detail"].partition("held by: ")
    titles = [title for title in named.rstrip(".").split(", ") if title]
    return f"the right {right};" in told.body["detail"] and titles == [
        title for role, title in ROLES.items() if role in holders
    ]


@dataclass(frozen=True)
class Attempt:
    """One way to use a route."""

    name: str
    place: str
    is_bulk: bool = False
    query: str = ""

    def make(self, office: Office, caller: Caller, records: dict[str, str], key: str = "") -> Told:
        """Send a request that would be carried out on these records if the caller might, under a key."""
        path = self.place.format(**records)
        command = COMMANDS.get(self.place)
        if command is None:
            name, _, value = self.query.partition("=")
            of_no_record = None if path.startswith("GET ") else {"if-match": '"0"'}  # so that nobody's session ends
            return office.call(path, by=caller, query={name: [value]} if name else None, headers=of_no_record)
        body = sample(command.cls)
        fields = {name for name in records if f"{{{name}}}" in self.place}
        if command.creates:
            del body[command.key]
        key = key or new_id()
        if not self.is_bulk:
            body = {name: value for name, value in body.items() if name not in fields}
            return office.call(path, body, caller, headers={"idempotency-key": key})
        item = {"command": {**body, **{name: records[name] for name in fields}}, "idempotency_key": key}
        return office.call(f"POST /bulk/{kebab(command.name)}", {"items": [item]}, caller)


def attempts(office: Office, place: str) -> list[Attempt]:
    """The single form, the bulk form, and for lists the total and every export."""
    found = [Attempt(place, place)]
    command = COMMANDS.get(place)
    if command is not None and command.bulk:
        found.append(Attempt(f"bulk {place}", place, is_bulk=True))
    if place.removeprefix("GET ") in LISTS:
        found += [Attempt(f"{place}?{query}", place, query=query) for query in LIST_QUERIES]
    return found


def records_for(function: str, caller: Caller) -> dict[str, str]:
    """One's own account, or records that do not exist: those of the others stay as they are."""
    user_id = caller.user_id if function in (OWN, SIGNED_IN) else new_id()
    return {**dict.fromkeys(RECORDS, new_id()), **NAMED, "user_id": user_id}


def test_SEC_16_who_lacks_a_right_is_told_the_roles_that_hold_it_now(tmp_path: Path) -> None:
    with quick_hashes():
        office = Office(tmp_path)
        seller = office.user("SAL")
        office.call("PUT /roles/NIGHT", {"title": "夜勤"}, office.admin).done()
        office.call("PUT /roles/NIGHT/rights/campaigns", {"scope": "ALL"}, office.admin).done()
        office.call("DELETE /roles/MKT/rights/campaigns", by=office.admin).done()
        detail = office.call("GET /surveys", by=seller).body["detail"]
    assert detail == (
        "Your roles do not hold the right campaigns; held by: sales supervisor / manager, administrator, 夜勤."
    )
