"""What a page tells that its reader may do is what the commands do then: every kind of record, caller and command."""

from pathlib import Path
from typing import Any

import pytest
from security.office import Caller, Office, quick_hashes

from chassis.catalogue import Catalogue
from chassis.documents.samples import sample
from chassis.http.actions import actions_on, commands_on
from chassis.model.actions import Action
from chassis.model.record_views import record_view
from chassis.queries.rows import plain
from chassis.testing.views import documents
from contracts.declare import REGISTRY, CommandSpec
from contracts.records import KINDS, Kind

REGISTRY.load()
RECORDS = Catalogue.read().records()
SHARED = ("READ", "EDIT")


def callers_of(office: Office) -> dict[str, Caller]:
    boss = office.user("SUP")
    seller = office.user("SAL", superior_id=boss.user_id)
    others = {name: office.user("SAL") for name in ("stranger", *SHARED)}
    programs = {"program": office.machine(("customers.edit", "ALL"), ("customers.view", "ALL"))}
    return {"owner": seller, "boss": boss, "admin": office.admin, "finance": office.user("FIN"), **others, **programs}


def entered(office: Office, kind: Kind, people: dict[str, Caller]) -> str:
    id = office.enter(kind)
    place = f"{kind.path}/{id}"
    if kind.owned:
        office.call(f"PUT {place}/owner", {"owner_id": people["owner"].user_id}, office.admin).done()
        for access in SHARED:
            share = {"access": access, "until": None}
            office.call(f"PUT {place}/shares/{people[access].user_id}", share, office.admin).done()
    office.tell_all()
    return id


def shown(office: Office, kind: Kind, id: str) -> dict[str, Any]:
    facts = [fact for fact in office.facts(kind.service) if str(getattr(fact, kind.key, "")) == id]
    view = next(view for view in Catalogue.read().views() if view.kind == kind.code)
    row: dict[str, Any] = {"id": id, **plain(documents(view, facts)[id])}
    return row


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.what)
def test_uix_08_what_one_may_do_is_told_as_it_would_be_refused(kind: Kind, tmp_path: Path) -> None:
    with quick_hashes():
        office = Office(tmp_path)
        people = callers_of(office)
        record = RECORDS[kind.code]
        seen = set()
        for name, caller in people.items():
            for spec, status in asked(kind):
                id = entered(office, kind, people)
                action = _action(office, record, shown(office, kind, id), caller, spec.name, status)
                if action is None:
                    assert spec.cls is kind.restore, "what is there can't be restored"
                    continue
                body: dict[str, Any] = {
                    **plain(sample(spec.cls)), "version": 1, "owner_id": people["owner"].user_id, "until": None,
                    "status": status,
                }  # fmt: skip
                path = str(spec.path).format(**{kind.key: id, "with_id": people["stranger"].user_id})
                named = {part for part in (kind.key, "with_id") if f"{{{part}}}" in str(spec.path)}
                fields = spec.cls.__dataclass_fields__  # type: ignore[attr-defined]
                told = office.call(
                    f"{spec.method} {path}",
                    {field: value for field, value in body.items() if field in fields and field not in named},
                    caller,
                )
                about = f"{name} {spec.name} {status}: {action} {told.body}"
                seen.add(action.allowed)
                if action.allowed:
                    assert told.code != "FORBIDDEN" and (told.code, _field(told.body)) != ("NOT_FOUND", kind.key), about
                else:
                    assert (told.code, told.body["reason"]) == (action.code, action.reason), about
                    assert told.body["params"] == action.params, about
        assert seen == {True, False}


def asked(kind: Kind) -> list[tuple[CommandSpec, str | None]]:
    """Every command on such a record, that which sets its status once for each other one."""
    others = kind.statuses.names[1:] if kind.statuses else []
    return [
        (spec, status)
        for spec in commands_on(kind.cls)
        for status in (others if spec.cls is kind.set_status else [None])
    ]


def _action(
    office: Office, record: Any, row: dict[str, Any], caller: Caller, command: str, status: str | None
) -> Action | None:
    principal, company = office.principal_of(caller), office.directory.company
    found = actions_on(record, row, principal, office.api.clock(), company, children={})
    return next((action for action in found if (action.command, action.status) == (command, status)), None)


def _field(body: Any) -> Any:
    return body.get("field") if isinstance(body, dict) else None


def test_every_kind_of_record_has_a_page_that_tells_them() -> None:
    assert RECORDS.keys() == {kind.code for kind in KINDS.values()}
    assert {record_view(kind.cls).kind for kind in KINDS.values()} == RECORDS.keys()
