"""An id names one record of a service, of whatever kind: who creates another under it is told so at once."""

from collections.abc import Callable
from functools import partial
from typing import cast
from uuid import UUID

import pytest

from chassis.foundation import metrics
from chassis.store.memory import MemoryRecorder
from chassis.testing.records import new_record
from chassis.writer.request import made_id
from contracts.declare import REGISTRY
from contracts.ids import RANDOM_UUIDS
from contracts.records import KINDS, Kind
from security.office import Office, new_id
from security.test_idempotency import ASKED, Asked

PRICES = {kind: {"amount": "1.00", "currency": "CNY"} for kind in ("purchase", "sale")}
CREATING = {spec.name: spec for spec in REGISTRY.load().commands.values() if spec.creates}


def department(office: Office) -> Asked:
    return Asked("POST /departments", {"name": new_id()}, office.admin, {})


def customer(office: Office) -> Asked:
    body = {"name": "Acme", "mobile": f"139{int(new_id()[:6], 16):08d}", "industry": "IT"}
    return Asked("POST /customers", body, office.admin, {})


def product(office: Office) -> Asked:
    body = {"name": new_id(), "model": "A1", "brand": "Acme", "prices": PRICES, "opening_stock": 1}
    return Asked("POST /products", body, office.admin, {})


def order(office: Office) -> Asked:
    bought, buyer = (office.call(asked.request, asked.body, asked.by).done()["id"]
                     for asked in (product(office), customer(office)))  # fmt: skip
    office.tell_all()
    body = {"customer_id": buyer, "lines": [{"product_id": bought, "quantity": 1}]}
    return Asked("POST /orders", body, office.admin, {})


def of_kind(kind: Kind, office: Office) -> Asked:
    return Asked(f"POST {kind.path}", new_record(kind, office.enter), office.admin, {})


def on_a_customer(office: Office) -> dict[str, str]:
    asked = customer(office)
    id = office.call(asked.request, asked.body, asked.by).done()["id"]
    office.tell_all()
    return {"subject_kind": "customer", "subject_id": id}


def saved_view(office: Office) -> Asked:
    return Asked("POST /saved-views", {"list_name": "customers", "name": "x"}, office.admin, {})


def comment(office: Office) -> Asked:
    return Asked("POST /comments", {**on_a_customer(office), "text": "x"}, office.admin, {})


def communication(office: Office) -> Asked:
    body = {**on_a_customer(office), "way": "PHONE", "text": "x"}
    return Asked("POST /communications", body, office.admin, {})


def attachment(office: Office) -> Asked:
    file = office.call("POST /files", b"a file", office.admin).done()["id"]
    return Asked("POST /attachments", {**on_a_customer(office), "file_id": file, "name": "x"}, office.admin, {})


def announcement(office: Office) -> Asked:
    body = {"title": "Update", "text": "x", "receivers": [{"kind": "EVERYBODY"}]}
    return Asked("POST /announcements", body, office.admin, {})


ASKS: dict[str, Callable[[Office], Asked]] = {
    **{name: ask for name, ask in ASKED.items() if name in CREATING},
    "AddDepartment": department,
    "CreateOrder": order,
    "WriteComment": comment,
    "LogCommunication": communication,
    "SaveView": saved_view,
    "AttachFile": attachment,
    "Announce": announcement,
    **{kind.create.__name__: partial(of_kind, kind) for kind in KINDS.values()},
}


def conflicts() -> float:
    return sum(sample.value for metric in metrics.CONFLICTS.collect() for sample in metric.samples)


def ids_by_kind(office: Office, service: str) -> dict[type, UUID]:
    """The id of one stored record of each kind whose ids callers choose, by the fact that its stream begins with."""
    found: dict[type, UUID] = {}
    recorder = cast(MemoryRecorder, office.stores[service].recorder)
    for event in recorder.select_notifications(1, 1_000_000):
        id = event.originator_id
        if isinstance(id, UUID) and id.version in RANDOM_UUIDS and event.originator_version == 1:
            found.setdefault(type(next(iter(office.stores[service].facts(id)))), id)
    return found


def test_every_creating_command_is_asked_here() -> None:
    assert set(ASKS) == set(CREATING)


@pytest.mark.parametrize("name", CREATING)
def test_an_id_that_names_any_record_of_the_service_is_refused_at_once(office: Office, name: str) -> None:
    spec = CREATING[name]
    for other in (one for one in CREATING.values() if one.service == spec.service):  # a record of each kind
        asked = ASKS[other.name](office)
        office.call(asked.request, asked.body, asked.by).done()
    taken = ids_by_kind(office, spec.service)
    assert len(taken) >= {"access": 5}.get(spec.service, 1), taken
    for kind, id in taken.items():
        for cold in (False, True):
            if cold:
                office.writers[spec.service]._cache.clear()
            asked, before, tried = ASKS[name](office), office.state(), conflicts()
            told = office.call(asked.request, {**asked.body, spec.key: str(id)}, asked.by)
            assert (told.code, told.body.get("field")) == ("DUPLICATE", spec.key), (kind, told.body)
            assert office.state() == before and conflicts() == tried, "nothing was tried in vain"
    asked = ASKS[name](office)
    office.call(asked.request, {**asked.body, spec.key: new_id()}, asked.by).done()


def test_one_key_at_two_services_or_for_two_kinds_names_two_records(office: Office) -> None:
    """Each of its services takes it for a command of its own, so each has to make an id of its own."""
    key, made = {"idempotency-key": new_id()}, dict[str, str]()
    for service in sorted({spec.service for spec in CREATING.values()}):
        spec = next(one for one in CREATING.values() if one.service == service)
        asked = ASKS[spec.name](office)._replace(by=office.admin)
        made[spec.name] = office.call(asked.request, asked.body, asked.by, headers=key).done()["id"]
        again = office.call(asked.request, asked.body, asked.by, headers=key).done()
        assert again["id"] == made[spec.name]
    assert len(set(made.values())) == len(made) > 3, made
    command_id = new_id()
    assert len({made_id(spec, command_id) for spec in CREATING.values()}) == len(CREATING)
    assert {made_id(spec, command_id).version for spec in CREATING.values()} <= set(RANDOM_UUIDS)
