"""The audit log without servers: what is written down, how it is linked, and what shows when it is tampered with."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from chassis.access.tokens import TokenVerifier, issue
from chassis.audit.chain import Record, check_chain, entry_id, link
from chassis.audit.entries import WITHHELD, Entry, fields_of, left_out
from chassis.catalogue import Catalogue
from chassis.documents.samples import sample
from chassis.foundation.compression import unpacked
from chassis.foundation.config import Config, ConfigError
from chassis.http.audit_history import aggregates
from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse
from chassis.http.serving import routes_of
from chassis.model.aggregates import Aggregate
from chassis.model.principal import Principal
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.store.memory import MemoryRecorder
from chassis.testing.people import ADMIN, SALES, WAREHOUSE
from chassis.testing.services import InMemoryService
from chassis.verify.heads import read_heads, sign_heads
from chassis.writer.writer import MAX_NOTES
from contracts.access import IssueUser, SignIn
from contracts.customers import CreateCustomer, EditCustomer
from contracts.declare import REGISTRY
from contracts.errors import Refused
from contracts.inventory import AddProduct, AdjustStock, Prices
from contracts.leads import ReopenLead
from contracts.personal import SEALED, plan_of, use
from contracts.schemas import encode, load, plain
from contracts.types import Money
from services.access.application import SERVICE as ACCESS
from services.customers.application import SERVICE as CUSTOMERS
from services.inventory.application import SERVICE

PASSWORD = "Welcome#2026"
PRICES = Prices(purchase=Money(amount=Decimal(60), currency="CNY"), sale=Money(amount=Decimal(100), currency="CNY"))
PHONE = AddProduct(product_id=uuid4(), name="iPhone", model="A1", brand="Apple", prices=PRICES, opening_stock=5)

REGISTRY.load()
PERSONAL_COMMANDS = [spec.cls for spec in REGISTRY.commands.values() if plan_of(spec.cls)]


def entries(kit: InMemoryService) -> list[Entry]:
    return [entry for record in kit.store.audit_after(0, 10_000) for entry in record.entries()]


@pytest.fixture
def kit() -> InMemoryService:
    made = InMemoryService(SERVICE)
    made.do(PHONE, by=WAREHOUSE)
    return made


# -- what is written down ----------------------------------------------------------------------------------------------


def test_SEC_21_a_command_is_written_down_with_who_what_and_what_changed(kit: InMemoryService) -> None:
    [entry] = entries(kit)
    assert (entry.kind, entry.action, entry.result) == ("COMMAND", "AddProduct", "DONE")
    assert (entry.user_id, entry.user) == (str(WAREHOUSE.user_id), WAREHOUSE.name)
    assert (entry.object_kind, entry.object_id) == ("product", str(PHONE.product_id))
    assert b'"model":"A1"' in bytes(entry.fields)
    changed = {change.aggregate_id: (change.before, change.after) for change in entry.changes}
    assert changed[PHONE.product_id][0] == 0 and changed[PHONE.product_id][1] >= 1


def test_SEC_21_a_refused_command_is_written_down_with_code_and_field(kit: InMemoryService) -> None:
    kit.assert_refused("DUPLICATE", replace(PHONE, product_id=uuid4()), by=WAREHOUSE, field="name")
    entry = entries(kit)[-1]
    assert (entry.result, entry.field, entry.changes) == ("DUPLICATE", "name", ())
    assert entry.detail


@pytest.mark.parametrize("cls", PERSONAL_COMMANDS, ids=lambda cls: cls.__name__)
def test_CPL_01_of_a_refused_command_nothing_is_kept_of_a_person_and_no_key_is_made(cls: Any) -> None:
    """The record that it names may never come to be: erasing the person would not reach what was sealed for that id."""
    command = load(cls, sample(cls))
    sealed = dict(leaves(msgspec.json.decode(encode(command))))
    ring = KeyRing(MemoryKeys)
    use(ring)
    kept = dict(leaves(msgspec.json.decode(fields_of(command, plain(command), refused=True))))
    personal = {place for place, value in sealed.items() if str(value).startswith(SEALED)}
    assert personal
    assert kept == {
        place: WITHHELD if place in personal else value
        for place, value in sealed.items()
        if place[0] not in left_out(cls)
    }
    assert not ring.store.any() and not ring._fresh


def leaves(told: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The values in JSON, at any depth, each with where it stands."""
    if not isinstance(told, dict | list):
        yield place, told
        return
    for name, inner in told.items() if isinstance(told, dict) else enumerate(told):
        yield from leaves(inner, (*place, name))


def test_CPL_01_who_is_refused_as_a_customer_leaves_no_key(kit: InMemoryService) -> None:
    ring = KeyRing(MemoryKeys)
    use(ring)
    office = InMemoryService(CUSTOMERS)
    hana = CreateCustomer(name="佐藤花子", mobile="13912345999")  # an industry is asked for too
    office.assert_refused("VALIDATION", hana, by=SALES, field="industry")
    office.assert_refused(
        "NOT_FOUND", EditCustomer(customer_id=uuid4(), name="佐藤花子"), by=SALES, field="customer_id"
    )
    assert [entry.result for entry in entries(office)] == ["VALIDATION", "NOT_FOUND"]
    assert all("***" in bytes(entry.fields).decode() for entry in entries(office))
    assert not ring.store.any() and not ring._fresh


def test_SEC_21_a_repeat_is_marked_as_one(kit: InMemoryService) -> None:
    command = AdjustStock(product_id=PHONE.product_id, change=-1, reason="sold")
    for _ in range(2):
        kit.do(command, by=WAREHOUSE, key="k1")
        kit.pass_time(seconds=1)
    first, second = entries(kit)[-2:]
    assert (first.result, second.result) == ("DONE", "REPEATED")
    assert first.command_id == second.command_id and second.changes == ()


def test_a_command_that_breaks_is_written_down_too(kit: InMemoryService) -> None:
    def broken(command: Any, work: Any) -> Any:
        raise RuntimeError("planted")

    kit.writer.service = replace(SERVICE, commands={**SERVICE.commands, AdjustStock: broken})
    with pytest.raises(RuntimeError):
        kit.do(AdjustStock(product_id=PHONE.product_id, change=-1, reason="sold"), by=WAREHOUSE)
    assert (entries(kit)[-1].action, entries(kit)[-1].result) == ("AdjustStock", "INTERNAL")


def test_SEC_21_sign_ins_are_written_down_as_what_they_are_and_hold_no_secret(tmp_path: Path) -> None:
    config = replace(Config(), token_key_dir=str(tmp_path / "keys"), mailbox_dir=str(tmp_path / "mail"))
    kit = InMemoryService(ACCESS, config=config)
    kit.do(IssueUser(login="1001", name="Li", default_password=PASSWORD, roles=("SAL",)), by=ADMIN)
    user = entries(kit)[-1]
    with pytest.raises(Refused):
        kit.do(SignIn(name="1001", password="Wrong#2026"), by=Principal(None, "Nobody", frozenset()))
    with pytest.raises(Refused):
        kit.do(SignIn(name="nobody-has-this", password="Wrong#2026"), by=Principal(None, "Nobody", frozenset()))
    failed = [entry for entry in entries(kit) if entry.action == "SignIn"]
    assert [entry.result for entry in failed] == ["UNAUTHENTICATED"] * len(failed) and failed
    stored = b"".join(unpacked(record.body) for record in kit.store.audit_after(0, 1_000))
    assert user.result == "DONE"
    assert b"SignIn" in stored, "so much is legible"
    for secret in (b"Wrong#2026", PASSWORD.encode(), b"$argon2"):
        assert secret not in stored


SUSPICIOUS = re.compile(r"password|secret|hash|(?<!re)marks?$|sealed|refresh_token|^code$|_code$|^token$")


def test_every_field_that_may_be_secret_is_declared_so() -> None:
    """What is declared `Secret` in a contract, or `secret` in an aggregate, is in no entry and no history."""
    REGISTRY.load()
    harmless = {"first_sign_in_code"}
    of_refusals: dict[type, set[str]] = {ReopenLead: {"code"}}
    for spec in REGISTRY.commands.values():
        known = harmless | of_refusals.get(spec.cls, set())
        names = {item.name for item in fields(spec.cls) if SUSPICIOUS.search(item.name)} - known
        assert names <= left_out(spec.cls), f"{spec.name}: {names - left_out(spec.cls)}"
    Catalogue.read().services()
    kinds = [cls for cls in aggregates(Aggregate) if cls.__module__.startswith("services.")]
    assert len(kinds) > 10
    for cls in kinds:
        names = {item.name for item in fields(cls) if SUSPICIOUS.search(item.name)} - harmless
        assert names <= cls.secret, f"{cls.__name__}: {names - cls.secret}"


# -- notes of the edge -------------------------------------------------------------------------------------------------


class Edge:
    """The inventory service behind an Api."""

    def __init__(self, folder: Path) -> None:
        self.config = replace(Config(), token_key_dir=str(folder / "keys"), test_tokens=1)
        self.kit = InMemoryService(SERVICE)
        api = Api(self.config, {"inventory": self.kit.writer}, [], None, TokenVerifier(self.config))
        self.routes = {(route.method, route.path): route for route in routes_of(api)}

    def call(self, method: str, path: str, body: bytes = b"{}", by: Principal | None = SALES) -> HttpResponse:
        headers = {"authorization": f"Bearer {issue(self.config, by)}"} if by else {}
        request = HttpRequest(headers, {}, {}, lambda: body, "203.0.113.7")
        return self.routes[method, path].serve(request)

    def noted(self) -> list[Entry]:
        self.kit.writer.execute([])
        return entries(self.kit)


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path)


def test_SEC_21_a_forbidden_command_is_written_down_with_the_address(edge: Edge) -> None:
    assert edge.call("POST", "/products").status == 403
    [entry] = edge.noted()
    assert (entry.action, entry.result, entry.field) == ("AddProduct", "FORBIDDEN", "products.edit")
    assert (entry.user, entry.address) == (SALES.name, "203.0.113.7")


def test_SEC_21_an_invalid_command_is_written_down_without_what_it_sent(edge: Edge) -> None:
    edge.kit.directory.introduce(WAREHOUSE)
    assert edge.call("POST", "/products", b'{"nmae": "iPhone"}', WAREHOUSE).status == 400
    [entry] = edge.noted()
    assert (entry.result, bytes(entry.fields)) == ("VALIDATION", b"{}")


def test_somebody_without_a_token_fills_no_log(edge: Edge) -> None:
    assert edge.call("POST", "/products", by=None).status == 401
    assert edge.noted() == []


def note(number: int) -> Entry:
    return Entry(datetime(2026, 3, 2, tzinfo=UTC) + timedelta(seconds=number), "READ", "customers", "DONE")


def test_a_flood_of_notes_is_bounded_counted_and_takes_few_commits(kit: InMemoryService) -> None:
    from chassis.foundation import metrics

    dropped = metrics.of(metrics.AUDIT_DROPPED, "inventory")
    before: float = dropped._value.get()
    for number in range(MAX_NOTES + 7):
        kit.writer.note(note(number))
    assert dropped._value.get() - before == 7
    records = kit.store.last_audit()
    kit.writer.start()
    kit.writer.stop()
    assert len(entries(kit)) == 1 + MAX_NOTES
    assert kit.store.last_audit() - records <= MAX_NOTES / 500 + 1


def test_a_note_alone_is_written_down_after_a_moment(kit: InMemoryService) -> None:
    there = threading.Event()
    committed = kit.store.commit

    def tell(transaction: Any) -> list[int]:
        positions = committed(transaction)
        there.set()
        return positions

    kit.store.commit = tell  # type: ignore[method-assign]
    kit.writer.start()
    kit.writer.note(note(1))
    assert there.wait(30)
    kit.writer.stop()
    assert entries(kit)[-1].kind == "READ"


def test_notes_outlive_a_commit_that_fails(kit: InMemoryService) -> None:
    from eventsourcing.persistence import OperationalError

    committed = kit.store.commit

    def away(transaction: Any) -> list[int]:
        raise OperationalError("no connection")

    kit.store.commit = away  # type: ignore[method-assign]
    kit.writer.note(note(1))
    kit.writer.execute([])
    assert len(entries(kit)) == 1
    kit.store.commit = committed  # type: ignore[method-assign]
    kit.writer.execute([])
    assert [entry.kind for entry in entries(kit)] == ["COMMAND", "READ"]


# -- tampering ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def long(kit: InMemoryService) -> InMemoryService:
    for number in range(9):
        kit.do(AdjustStock(product_id=PHONE.product_id, change=1, reason=str(number)), by=WAREHOUSE)
    return kit


def records(kit: InMemoryService) -> list[Record]:
    recorder = kit.store.recorder
    assert isinstance(recorder, MemoryRecorder)
    return recorder.audit


def test_an_untouched_chain_is_whole(long: InMemoryService) -> None:
    chain = check_chain(long.store)
    assert (chain.broken, chain.number, chain.entries) == ("", 10, 10)


def edit(found: list[Record]) -> None:
    found[4] = replace(found[4], body=unpacked(found[4].body).replace(b'"wang"', b'"chen"'))


def edit_with_its_digest(found: list[Record]) -> None:
    from hashlib import sha256

    body = unpacked(found[4].body).replace(b'"wang"', b'"chen"')
    found[4] = replace(found[4], body=body, digest=sha256(body).digest())


def remove(found: list[Record]) -> None:
    del found[4]


def remove_and_renumber(found: list[Record]) -> None:
    del found[4]
    found[4:] = [replace(record, number=record.number - 1) for record in found[4:]]


def swap(found: list[Record]) -> None:
    found[4], found[5] = replace(found[5], number=5), replace(found[4], number=6)


def put_in(found: list[Record]) -> None:
    found[4:] = [replace(found[0], number=5), *(replace(record, number=record.number + 1) for record in found[4:])]


def written(name: str, value: Any) -> Callable[[list[Record]], None]:
    """Somebody writes something else into a column."""

    def write(found: list[Record]) -> None:
        found[4] = replace(found[4], **{name: value})

    return write


COLUMNS = [
    pytest.param(written(name, value), id=f"{name} {value!r}")
    for name in ("digest", "hash", "body")
    for value in (None, 5, 1.5, "", "[]", b"", b"\x01")
]


@pytest.mark.parametrize("tamper", [edit, edit_with_its_digest, remove, remove_and_renumber, swap, put_in, *COLUMNS])
def test_SEC_21_whatever_is_tampered_with_the_first_broken_entry_is_named(
    long: InMemoryService, tamper: Callable[[list[Record]], None]
) -> None:
    tamper(records(long))
    chain = check_chain(long.store)
    assert not chain.is_whole
    assert chain.broken.startswith(f"{entry_id('inventory', 5, 0)}: ")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return replace(Config(), token_key_dir=str(tmp_path / "keys"))


def signed_head(config: Config, kit: InMemoryService) -> dict[int, bytes]:
    line = sign_heads(config, {"inventory": check_chain(kit.store)}, datetime.now(UTC))
    return read_heads(config, f"{line}\n")["inventory"]


def test_SEC_21_an_end_that_was_cut_off_shows_against_a_signed_head(long: InMemoryService, config: Config) -> None:
    head = signed_head(config, long)
    assert check_chain(long.store, head).is_whole
    del records(long)[7:]
    assert check_chain(long.store).is_whole, "a chain alone does not show it"
    assert "record 10" in check_chain(long.store, head).broken


def test_SEC_21_a_chain_that_was_computed_anew_shows_against_a_signed_head(
    long: InMemoryService, config: Config
) -> None:
    head = signed_head(config, long)
    found = records(long)
    edit_with_its_digest(found)
    before = found[3].hash
    for at in range(4, len(found)):
        before = link(before, found[at].number, found[at].digest)
        found[at] = replace(found[at], hash=before)
    assert check_chain(long.store).is_whole, "every hash was mended"
    assert check_chain(long.store, head).broken.startswith(entry_id("inventory", 10, 0))


def test_a_head_that_nobody_signed_is_refused(long: InMemoryService, config: Config, tmp_path: Path) -> None:
    other = replace(config, token_key_dir=str(tmp_path / "other"))
    line = sign_heads(other, {"inventory": check_chain(long.store)}, datetime.now(UTC))
    with pytest.raises(ConfigError):
        read_heads(config, line)
    token = issue(config, ADMIN)
    with pytest.raises(ConfigError):
        read_heads(config, token)
    with pytest.raises(Refused):
        TokenVerifier(replace(config, test_tokens=1)).verify(f"Bearer {line}")


def test_ids_of_entries_tell_service_record_and_place(long: InMemoryService) -> None:
    assert entry_id("inventory", 3, 0) == "inventory-3-0"
    assert [UUID(entry.object_id) for entry in entries(long)] == [PHONE.product_id] * 10
