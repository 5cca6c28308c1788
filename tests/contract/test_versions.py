"""The version that a command answers is the one that a query of that record shows and that If-Match takes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from security.office import DEFAULT, Office, new_id, quick_hashes
from security.test_matrix import records_of

from chassis.catalogue import Catalogue
from chassis.documents.samples import sample
from chassis.http.audit_history import aggregates
from chassis.model.changes import EventMetadata, Remove
from chassis.model.views import View
from chassis.projections.documents import changed
from chassis.testing.records import picked
from contracts.declare import REGISTRY, CommandSpec
from contracts.records import KINDS, TAGS
from contracts.schemas import decode, load

CATALOGUE = Catalogue.read()
SERVICES = CATALOGUE.services()
VIEWS = [view for view in CATALOGUE.views() if "version" in view.types]
COMMANDS = [spec for spec in REGISTRY.load().commands.values() if spec.is_public]


INFO = EventMetadata("x/7", "", datetime(2026, 3, 2, 1, 0, tzinfo=UTC), "tests.events:0", 1, "")


def tell_version(view: View) -> set[type]:
    """The events whose version a view shows, and those after which there is no row to show one."""
    found = set()
    for fact in view.handlers:
        changes = list(view.handlers[fact](load(fact, sample(fact)), INFO))
        if any(isinstance(change, Remove) or "version" in getattr(change, "fields", {}) for change in changes):
            found.add(fact)
    return found


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_shows_the_version_of_every_published_event_of_its_record(view: View) -> None:
    """Of one that it does not read it would show an older version, and a change by that would be refused."""
    shown = tell_version(view)
    records = [kind for kind in aggregates() if shown & set(kind.appliers)]
    assert records
    published = {fact for kind in records for fact in kind.appliers if REGISTRY.is_public_event(fact)}
    assert published == shown, f"{view.name} does not show {[fact.__name__ for fact in published - shown]}"


def shown_by(spec: CommandSpec) -> Iterator[View]:
    """The views that show the record which a command names."""
    for view in VIEWS:
        at = f"{view.path}/{{{view.detail}}}" if view.detail else view.path
        if str(spec.path).startswith(at) or (spec.creates and at == f"{spec.path}/{{{spec.key}}}"):
            yield view


SHOWN = [(spec, view) for spec in COMMANDS for view in shown_by(spec)]


FITTING: dict[str, Any] = {
    "mentions": [],
    "way": "PHONE",
    "next_contact_on": None,
    "default_password": DEFAULT,
    "free_storage_gb": 64,
    "parent_id": None,
    "superior_id": None,
    "version": 1,
    "until": None,
    "list_name": "customers",
    "parameters": [],
    "columns": [],
    "members": [],
    "administrators": [],
    "pool_id": None,
    "roles": [],
    "add": [],
    "remove": [],
}
NOT_AT_FIRST = {
    "EditPersonalData", "SetPreferences", "ChangePassword",
    "EnrolSecondFactor", "ConfirmSecondFactor", "RemoveSecondFactor",
    "ActivateDevice", "ContactFromDevice", "AcknowledgeWipe", "AskWipe", "ConfirmWipe", "Approve", "Reject",
    "WithdrawOrder", "RetryOrder", "RecordPayment", "HandOver", "Deliver", "ChangeTracking",
    "GetMachineToken", "AddCustomField", "ChangeCustomField", "Announce", "ChooseNoticeWays", "SendAgain",
    *(kind.unshare.__name__ for kind in KINDS.values() if kind.unshare),
    *(kind.assign_in_turn.__name__ for kind in KINDS.values() if kind.pool),
    *(cls.__name__ for kind in KINDS.values() if kind.merge for cls in (kind.merge, kind.unmerge)),
    "ClaimCustomer", "ConvertLead", "BookPoints",
}  # fmt: skip
"""What takes more than the records there are: those who own them, a member, a case, a shipment, a field of its type.
The services' own tests hold all commands to it, by `InMemoryService.check_version`."""


def test_there_are_such_commands() -> None:
    assert {"product_id", "user_id", "device_id", "order_id", "customer_id"} <= {spec.key for spec, _ in SHOWN}
    assert {"ReceiveStock", "IssueUser"} <= {spec.name for spec, _ in SHOWN}


@pytest.mark.parametrize(("spec", "view"), SHOWN, ids=lambda one: one.name)
def test_the_version_that_is_answered_is_shown_and_taken(spec: CommandSpec, view: View, tmp_path: Path) -> None:
    with quick_hashes():
        office = Office(tmp_path)
        there = records_of(office)
        path, body = str(spec.path).format(**there), sample(spec.cls)
        of_kind = next((kind for kind in KINDS.values() if spec.cls in (kind.create, kind.edit)), None)
        picks = dict.fromkeys(of_kind.parents, None) | picked(of_kind) if of_kind else {}
        tagged = next((kind for kind in KINDS.values() if spec.cls is kind.tag), None)
        picks |= {"add": picked(tagged)[TAGS], "remove": []} if tagged else {}
        body |= {name: value for name, value in {**picks, **there, **FITTING}.items() if name in body}
        body = {name: value for name, value in body.items() if f"{{{name}}}" not in str(spec.path)}
        body |= dict.fromkeys({"successor_id", "responsible_id"} & body.keys(), office.admin.user_id)
        if "grants" in body:
            body["grants"][0]["right"] = there["right"]
        if "lines" in body:
            body["lines"][0]["product_id"] = there["product_id"]
        if spec.creates:
            body[spec.key] = new_id()
        told = office.call(f"{spec.method} {path}", body, office.admin)
        assert (told.status not in (200, 201)) == (spec.name in NOT_AT_FIRST), told.body
        if spec.name in NOT_AT_FIRST:
            return
        assert not office.writers[spec.service].service.untold & told.body.keys()
        shown = {key: row for key, row in rows(office, view).items() if row.get("version")}
        if spec.method == "DELETE" and told.body["id"] not in shown:
            return  # there is no row that could show one
        assert told.body["version"] == shown[told.body["id"]]["version"]
        if spec.versioned:
            assert told.response.headers["ETag"] == f'"{told.body["version"]}"'
            again = {name: value for name, value in body.items() if name != spec.key}
            match = {"if-match": f'"{told.body["version"]}"'}
            if not spec.creates:
                repeated = office.call(f"{spec.method} {path}", again, office.admin, headers=match)
                assert repeated.code != "VERSION_CONFLICT"


def rows(office: Office, view: View) -> dict[str, dict[str, Any]]:
    """The view of all that is stored, at the versions it is stored with."""
    found: dict[str, dict[str, Any]] = {}
    handlers = {REGISTRY.event_of(fact).name: (fact, handler) for fact, handler in view.handlers.items()}
    for name, store in office.stores.items():
        for event in store.notifications(0, 1_000):
            if event.type not in handlers:
                continue
            fact, handler = handlers[event.type]
            id = f"{event.aggregate_id}/{event.version}"
            info = EventMetadata(id, event.type, event.meta.at, f"{name}.events:0", event.position, "")
            for change in handler(decode(fact, event.data), info):
                key = str(change.key)
                document = changed(found.pop(key, None), change, info)
                if document is not None:
                    found[key] = document
    return found
