"""A repeat is told from another command by what was sent, not by what has been made of it (section 2.0).

So it stays a repeat when the company's currency changes, when a release adds a field or a rule, and when the client
writes the same JSON another way.  Every command that callers can give, in its single and its bulk form.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from chassis.commands import loading, pipeline
from chassis.documents.samples import sample
from chassis.http.routes import kebab
from chassis.store.memory import MemoryRecorder
from chassis.testing.records import picked
from chassis.writer.request import Request
from contracts.declare import REGISTRY, CommandSpec
from contracts.errors import Refused
from contracts.records import KINDS
from contracts.schemas import encode
from security.office import CATALOGUE, Office, Told, new_id, quick_hashes
from security.test_matrix import records_of

WITH_MIDDLEWARE = {cls for service in CATALOGUE.services() for cls in service.middleware}
COMMANDS = [
    spec for spec in REGISTRY.load().commands.values() if spec.is_public and spec.cls not in WITH_MIDDLEWARE
]  # those with secrets: test_idempotency.py


@dataclass
class Kept:
    """A command that was sent, under its key, and what came of it."""

    spec: CommandSpec
    is_bulk: bool
    body: dict[str, Any]
    named: dict[str, str]
    key: str
    first: Told | None = None

    def send(self, office: Office, *, turned: bool = False, more: Mapping[str, Any] | None = None) -> Told:
        """Send it, also with its members `turned` round and the path's ids in capitals, or with `more` in it."""
        named = {
            name: value.upper() if turned and name.endswith("_id") else value for name, value in self.named.items()
        }
        body = {**self.body, **(more or {})}
        headers = {"idempotency-key": self.key}
        request = f"{self.spec.method} {str(self.spec.path).format(**named)}"
        if self.is_bulk:
            body = {"items": [{"command": {**body, **named}, "idempotency_key": self.key}]}
            request, headers = f"POST /bulk/{kebab(self.spec.name)}", {}
        raw = json.dumps(reverse(body), indent=3) if turned else json.dumps(body)
        told = office.call(request, raw.encode(), office.admin, headers=headers)
        if self.is_bulk and told.status == 200:
            result = told.body["results"][0]
            return Told(result["status"], result["body"], told.response)
        return told


def reverse(value: Any) -> Any:
    """The same JSON with the members of every object in another order."""
    if isinstance(value, dict):
        return {name: reverse(inner) for name, inner in reversed(value.items())}
    return [reverse(inner) for inner in value] if isinstance(value, list) else value


def on_records(value: Any, records: dict[str, str]) -> Any:
    """A sample on records that there are, its amounts without a currency: they are in the company's."""
    if isinstance(value, dict):
        if value.keys() == {"amount", "currency"}:
            return {"amount": "12.50"}
        named = {name: records[name] for name in value if name.endswith("_id") and name in records}
        return {name: on_records(inner, records) for name, inner in value.items()} | named
    return [on_records(inner, records) for inner in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Office, list[Kept]]]:
    """Everything that could be done with these records, in both forms."""
    with quick_hashes():
        office = Office(tmp_path_factory.mktemp("repeats"))
        kept, records = [], records_of(office)
        for is_bulk in (False, True):
            for spec in sorted(COMMANDS, key=lambda spec: spec.method == "DELETE"):
                if is_bulk and not spec.bulk:
                    continue
                in_path = {item.name for item in fields(spec.cls) if f"{{{item.name}}}" in str(spec.path)}
                named = {name: records[name] for name in in_path}
                picks = next((picked(kind) for kind in KINDS.values() if spec.cls in (kind.create, kind.edit)), {})
                body = on_records(sample(spec.cls), records) | picks
                body = {name: value for name, value in body.items() if name not in {*in_path, "settings_id", "pool_id"}}
                if spec.creates:
                    del body[spec.key]
                one = Kept(spec, is_bulk, body, named, new_id())
                one.first = one.send(office)
                if one.first.status in (200, 201):
                    kept.append(one)
        yield office, kept


Done = tuple[Office, list[Kept]]


def assert_repeats(done: Done, **how: Any) -> None:
    office, kept = done
    before = office.state()
    for one in kept:
        again = one.send(office, **how)
        assert one.first is not None
        assert (again.status, again.body) == (one.first.status, one.first.body), (one.spec.name, one.is_bulk)
    assert office.state() == before


def test_most_commands_are_asked_here(done: Done) -> None:
    _, kept = done
    single, bulk = ({one.spec.name for one in kept if one.is_bulk == form} for form in (False, True))
    assert single >= {"AddProduct", "CreateCustomer", "CreateOrder", "ChangeOrder", "SetParameter"}
    assert len(bulk) >= 10, bulk
    assert len({one.spec.name for one in kept}) > len(COMMANDS) / 2


def test_written_another_way(done: Done) -> None:
    assert_repeats(done)
    assert_repeats(done, turned=True)


def test_the_company_takes_another_currency_in_which_such_an_amount_is_none(done: Done) -> None:
    """12.50 is no amount of yen, so the repeat could not even be read again."""
    office, _ = done
    for currency in ("JPY", "USD", "CNY"):
        body = {"full_name": "Acme", "currency": currency}
        office.call("PUT /settings/company", body, office.admin).done()
        assert_repeats(done)


def test_a_release_fills_in_another_field(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Request, "encoded", property(lambda self: encode(self.command) + b'"new": null'))
    assert_repeats(done)


def test_a_release_refuses_what_was_right(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    def stricter(*_: Any, **__: Any) -> Any:
        raise Refused("lists.long_or_controls", field="name")

    monkeypatch.setattr(pipeline, "load_command", stricter)
    assert_repeats(done)


def test_another_body_under_the_key_is_refused(done: Done) -> None:
    office, kept = done
    before, told = office.state(), set()
    for one in kept:
        for name, value in one.body.items():
            if isinstance(value, str) and value.startswith("some "):
                other = one.send(office, more={name: f"{value}, or another"})
                told.add(other.code)
                assert other.code in ("KEY_REUSED", "VALIDATION"), (one.spec.name, other.body)
    assert office.state() == before and "KEY_REUSED" in told


def test_an_answer_that_is_damaged_is_told_as_that_and_nothing_is_done_again(done: Done) -> None:
    office, kept = done
    key = new_id()
    machine = {"name": f"ERP {key}", "grants": []}  # with a secret: another way than all others

    def add_machine() -> Told:
        return office.call("POST /machines", machine, office.admin, headers={"idempotency-key": key})

    add_machine().done()
    recorders = [cast(MemoryRecorder, store.recorder) for store in office.stores.values()]
    whole, before = [dict(recorder.results) for recorder in recorders], office.state()
    for recorder in recorders:
        recorder.results |= {id: replace(one, reply=one.reply[:-5]) for id, one in recorder.results.items()}
    try:
        told = [(one.spec.name, one.send(office)) for one in kept] + [("machine", add_machine())]
    finally:
        for recorder, results in zip(recorders, whole, strict=True):
            recorder.results |= results
    found = {name: (one.status, one.code, one.body.get("state")) for name, one in told}
    assert found == dict.fromkeys(found, (409, "INVALID_STATE", "DAMAGED"))
    assert office.state() == before


def test_what_the_release_before_remembered_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It kept the mark of the command as it was carried out."""
    with quick_hashes():
        office = Office(tmp_path)
        body, key = {"name": "Sales"}, {"idempotency-key": new_id()}
        with monkeypatch.context() as before:
            before.setattr(Request, "fingerprint", Request._whole_print)
            first = office.call("POST /departments", body, office.admin, headers=key).done()
        assert office.call("POST /departments", body, office.admin, headers=key).done() == first
        assert office.call("POST /departments", {"name": "Other"}, office.admin, headers=key).code == "KEY_REUSED"


def test_a_repeat_of_what_was_created_under_an_id_of_the_key_alone_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids that former releases made of a key did not tell services and kinds apart."""
    with quick_hashes():
        office = Office(tmp_path)
        body, key = {"name": "Sales"}, {"idempotency-key": new_id()}
        with monkeypatch.context() as before:
            before.setattr(Request, "fingerprint", Request._whole_print)
            before.setattr(loading, "made_id", lambda _, command_id: UUID(bytes=UUID(command_id).bytes, version=4))
            first = office.call("POST /departments", body, office.admin, headers=key).done()
        assert office.call("POST /departments", body, office.admin, headers=key).done() == first
        assert office.call("POST /departments", {"name": "Other"}, office.admin, headers=key).code == "KEY_REUSED"
        named = {**body, "department_id": new_id()}
        assert office.call("POST /departments", named, office.admin, headers=key).code == "KEY_REUSED"
