"""What holds for every route: ids in any spelling are the same, and nothing absurd is an error of ours."""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
from werkzeug.routing import Map, Rule
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from chassis import documents
from chassis.access.tokens import TokenVerifier, issue
from chassis.catalogue import Catalogue
from chassis.documents import sample
from chassis.documents.json_schema import parts_of
from chassis.foundation.config import Config
from chassis.http import person_keys
from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse, Route
from chassis.http.nameko import werkzeug_path
from chassis.http.serving import routes_of
from chassis.messaging.consistency import HEADER
from chassis.projections.rebuild_requests import RebuildRequests
from chassis.queries.freshness import Freshness
from chassis.queries.reader import Page, ViewReader
from chassis.testing.people import ADMIN, SALES
from chassis.testing.services import InMemoryService
from contracts.company import CompanyData, CompanyDataSet, SetParameter
from contracts.declare import KEPT, REGISTRY, CommandSpec
from contracts.errors import Refused
from contracts.ids import canonical, parse_id
from contracts.inventory import Prices, ProductAdded
from contracts.permissions import PUBLIC
from contracts.schemas import can_be, load
from contracts.types import Money
from services.access.messages import Mailbox, Message
from services.inventory.domain import Product

CATALOGUE = Catalogue.read()
COMMANDS = [spec for spec in REGISTRY.commands.values() if spec.is_public]
ID = UUID("e2627c3c-c0c4-43f7-b780-4c37bd4ffa3d")
SPELLINGS = (str(ID).upper(), f"{{{ID}}}", f"{{{str(ID).upper()}}}", ID.urn, ID.hex, ID.hex.upper(), f" {ID} ")


@pytest.mark.parametrize("text", SPELLINGS)
def test_an_id_is_the_same_however_it_is_written(text: str) -> None:
    assert parse_id(text) == ID
    assert canonical(text) == str(ID)


@pytest.mark.parametrize("text", ["", "SO-UITB-TXUT", f"{ID}0", f"{{{ID}", f"{ID}}}", "e2627c3c_c0c4_43f7", "ｅ" * 32])
def test_what_is_no_id_is_left_as_it_is(text: str) -> None:
    with pytest.raises(ValueError):
        parse_id(text)
    assert canonical(text) == text


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the single values are in a body."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        yield path
        return
    for name, part in inner:
        yield from leaves(part, (*path, name))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The value with another one at the end of the path."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(value[path[0]], path[1:], new)
    return copy


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


def is_id(value: Any) -> bool:
    return isinstance(value, str) and canonical(value) == value and len(value) == 36


@pytest.mark.parametrize("spec", COMMANDS, ids=lambda spec: spec.name)
def test_every_id_of_every_command_may_be_written_in_any_way(spec: CommandSpec) -> None:
    good = sample(spec.cls)
    for path in leaves(good):
        if is_id(at(good, path)):
            wanted: Any = load(spec.cls, put(good, path, str(ID)))
            for text in SPELLINGS:
                assert load(spec.cls, put(good, path, text)) == wanted, f"{path}: {text}"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    home: dict[str, Any] = {name: str(tmp_path / name) for name in ("token_key_dir", "mailbox_dir", "data_dir")}
    return replace(Config(), **home, test_tokens=1)


class Everything:
    """All services and views behind an Api, asked by the administrator."""

    def __init__(self, config: Config) -> None:
        self.kits = {service.name: InMemoryService(service, config=config) for service in CATALOGUE.services()}
        for kit in self.kits.values():
            kit.writer.start()
        writers = {name: kit.writer for name, kit in self.kits.items()}
        nowhere: Any = object()
        self.api = Api(config, writers, CATALOGUE.views(), nowhere, TokenVerifier(config))
        self.routes = routes_of(self.api)
        self.bearer = f"Bearer {issue(config, ADMIN)}"

    def ask(
        self,
        route: Route,
        path: Mapping[str, str],
        body: bytes = b"",
        headers: Mapping[str, str] = {},
    ) -> HttpResponse:
        sent = {"authorization": self.bearer, "accept-language": "en", **headers}
        return route.serve(HttpRequest(sent, path, {}, lambda: body, "203.0.113.7", route.method))

    def stop(self) -> None:
        for kit in self.kits.values():
            kit.writer.stop()


@pytest.fixture
def everything(config: Config) -> Iterator[Everything]:
    made = Everything(config)
    yield made
    made.stop()


def test_every_query_of_one_row_takes_an_id_in_any_spelling(
    everything: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def one(_reader: ViewReader, _principal: Any, key: str, *_: Any) -> tuple[dict[str, Any], Freshness]:
        asked.append(key)
        of_record = {"id": str(ID), "deleted": False, "owner_id": None, "owner_name": "", "shares": [], "status": ""}
        of_record |= {
            "attached_by_id": None,
            "attached_by": "",
            "author_id": None,
            "author": "",
            "active": True,
            "logged_at": "2026-03-02T01:00:00Z",
        }
        of_record |= {
            "amount": "0",
            "paid": "0",
            "currency": "CNY",
            "owner": {"user_id": None, "name": ""},
            "submitter_id": None,
        }
        of_record |= {"wipe_on": False, "list_name": "", "name": "", "audience": "ME", "roles": []}
        of_record |= {"code": "", "zh": "", "ja": "", "en": "", "parent": "", "position": 0}
        return {"service": "", "changes": [], **of_record}, Freshness(None, {})

    def rebuild(_requests: RebuildRequests, key: str) -> dict[str, Any]:
        asked.append(key)
        return {"_id": key}

    monkeypatch.setattr(ViewReader, "one", one)
    monkeypatch.setattr(ViewReader, "history", one)
    monkeypatch.setattr(ViewReader, "first_page", lambda *_: Page([], None, Freshness(None, {}), 0))
    monkeypatch.setattr(ViewReader, "count_with", lambda *_: 0)
    monkeypatch.setattr(ViewReader, "whose", lambda *_: None)

    def key(id: str) -> bytes:
        asked.append(id)
        return b"key"

    monkeypatch.setattr(RebuildRequests, "one", rebuild)
    monkeypatch.setattr(person_keys, "_found", key)
    named = {f"{view.path}/{{{view.detail}}}" for view in CATALOGUE.views() if view.types["id"].kind != "id"}
    routes = [route for route in everything.routes if route.method == "GET" and "{" in route.path]
    of_services = {own.path for _, own in CATALOGUE.routes()}  # of what they keep themselves, and of no view
    of_two = {route.path for route in routes if route.path.endswith("/merge")}  # of another record as well
    routes = [route for route in routes if route.path not in named | of_services | of_two]
    for route in routes:
        for text in SPELLINGS:
            [name] = re.findall(r"{(\w+)}", route.path)
            assert everything.ask(route, {name: text}).status == 200, route.path
    assert set(asked) == {str(ID)}
    twice = [route for route in routes if route.name.endswith("_overview")]  # the record, and its history
    assert len(asked) == (len(routes) + len(twice)) * len(SPELLINGS)


ABSURD = (
    "1e7000", "-1e7000", "1e-7000", "1e99999999999999999999", "1180591620717411303424", "-1180591620717411303424",
    "0.0000000000000000000000000001", '"1e7000"', '"NaN"', '"0001-01-01T00:00:00+14:00"',
    '"9999-12-31T23:59:59-14:00"', '"0001-01-01"', '"9999-12-31"', '"1900-01-01"', '"\\u0000"', '"\\ud800"',
    '"a\\udc00"', '"\\uffff"', '"\\u202e"', '""', "null", "true", "[]", "{}", '"' + "9" * 5_000 + '"',
)  # fmt: skip
HERE = "\x01here\x01"


@pytest.mark.parametrize("spec", COMMANDS, ids=lambda spec: spec.name)
def test_no_absurd_value_in_any_field_of_a_command_is_an_error_of_ours(
    everything: Everything, spec: CommandSpec
) -> None:
    good = sample(spec.cls)
    in_path = re.findall(r"{(\w+)}", str(spec.path))
    route = next(route for route in everything.routes if route.name == spec.name)
    path = {name: str(good[name]) for name in in_path}
    body = {name: value for name, value in good.items() if name not in in_path}
    for place in leaves(body):
        frame = json.dumps(put(body, place, HERE))
        for value in ABSURD:
            answer = everything.ask(route, path, frame.replace(json.dumps(HERE), value).encode())
            assert answer.status < 500, f"{place} {value[:40]}: {answer.body!r}"


IN_PATH = ("\x00", "\ud800", "é" * 300, "9" * 5_000, "..", "%00", "{}", "'", "$where", "０" * 32, " ")


def test_no_absurd_value_in_a_path_is_an_error_of_ours(everything: Everything) -> None:
    for spec in COMMANDS:
        route = next(route for route in everything.routes if route.name == spec.name)
        body = sample(spec.cls)
        names = re.findall(r"{(\w+)}", route.path)
        content = json.dumps({name: value for name, value in body.items() if name not in names}).encode()
        for name in names:
            for text in IN_PATH:
                answer = everything.ask(route, {**{other: str(body[other]) for other in names}, name: text}, content)
                assert answer.status < 500, f"{route.path} {text[:20]!r}: {answer.body!r}"


IN_HEADERS = {
    "if-match": ('"99999999999999999999"', '"999999999999999999"', '"-1"', '"1e7000"', "\x00", "é", '"３"', '"0"'),
    "idempotency-key": ("\x00", "é", " ", "", "k" * 5_000),
    "x-correlation-id": ("\x00", "é", "c" * 5_000),
    "traceparent": ("\x00", "00-" + "g" * 32, "t" * 5_000),
    HEADER.lower(): ("orders.events:0=" + "9" * 18, "orders.events:9999=1", "\x00", "é", "=" * 5_000),
    "content-type": ("\x00", "é", "application/json; charset=utf-16", "x" * 5_000),
}


@pytest.mark.parametrize("name", IN_HEADERS)
def test_no_absurd_header_is_an_error_of_ours(everything: Everything, name: str) -> None:
    for spec in COMMANDS:
        route = next(route for route in everything.routes if route.name == spec.name)
        body = sample(spec.cls)
        in_path = re.findall(r"{(\w+)}", route.path)
        content = json.dumps({key: value for key, value in body.items() if key not in in_path}).encode()
        for text in IN_HEADERS[name]:
            answer = everything.ask(route, {key: str(body[key]) for key in in_path}, content, {name: text})
            assert answer.status < 500, f"{route.path} {text[:20]!r}: {answer.body!r}"


def test_the_administrator_reads_the_mailbox_and_each_look_is_noted(everything: Everything, config: Config) -> None:
    mailbox = Mailbox(Path(config.mailbox_dir))
    for to in ("li@example.com", "13800000001"):
        mailbox.send(Message("MAIL", to, f"Hello {to}"))
    route = next(route for route in everything.routes if route.path == "/mailbox")
    asked = HttpRequest({"authorization": everything.bearer}, {}, {"to": ["13800000001"]}, bytes)
    answer = json.loads(route.serve(asked).body)
    assert answer == {"items": [{"how": "MAIL", "to": "13800000001", "text": "Hello 13800000001"}]}
    by_li = {"authorization": f"Bearer {issue(config, SALES)}"}
    assert route.serve(HttpRequest(by_li, {}, {}, bytes)).status == 403
    assert len(json.loads(everything.ask(route, {}).body)["items"]) == 2
    kit = everything.kits["access"]
    kit.writer.stop()
    kit.writer.execute([])
    entries = [entry for record in kit.store.audit_after(0, 100) for entry in record.entries()]
    noted = [(entry.action, entry.result, entry.user) for entry in entries]
    assert noted == [("mailbox", "DONE", "admin"), ("mailbox", "FORBIDDEN", "li"), ("mailbox", "DONE", "admin")]


def test_SET_04_a_price_without_a_currency_is_in_the_companys_and_the_event_names_it(everything: Everything) -> None:
    company = next(route for route in everything.routes if route.name == "SetCompanyData")
    everything.ask(company, {}, b'{"full_name": "Acme", "currency": "USD"}')
    told = CompanyDataSet(settings_id="company", data=CompanyData(full_name="Acme", currency="USD"), revision=1)
    everything.api.directory.tell([told])
    prices = {"purchase": {"amount": "6"}, "sale": {"amount": "9.50"}}
    product = {"name": "Lamp", "model": "L1", "brand": "Lumen", "prices": prices}
    single = next(route for route in everything.routes if route.name == "AddProduct")
    assert everything.ask(single, {}, json.dumps(product).encode()).status == 201
    bulk = next(route for route in everything.routes if route.name == "BulkAddProduct")
    body = json.dumps({"items": [{"command": {**product, "model": "L2"}}]}).encode()
    assert json.loads(everything.ask(bulk, {}, body).body)["results"][0]["status"] == 201
    added: list[Any] = [fact for fact in everything.kits["inventory"].facts() if type(fact) is ProductAdded]
    wanted = Prices(
        purchase=Money(amount=Decimal("6.00"), currency="USD"), sale=Money(amount=Decimal("9.50"), currency="USD")
    )
    assert [fact.prices for fact in added] == [wanted, wanted]
    yen = {**product, "model": "L3", "prices": {**prices, "sale": {"amount": "9.505"}}}
    assert everything.ask(single, {}, json.dumps(yen).encode()).status == 400


def has_money(cls: Any) -> bool:
    return Money in list(parts_of(cls))


def test_SET_04_every_change_of_a_record_with_money_tells_the_currency_it_is_in() -> None:
    """It may be another than the company has now."""
    told = {command for service in CATALOGUE.services() for command in service.currency_of}
    assert told == {spec.cls for spec in COMMANDS if has_money(spec.cls) and not spec.creates}


@pytest.mark.parametrize("bulk", [False, True], ids=["single", "bulk"])
def test_SET_04_a_price_of_a_product_stays_in_the_products_currency(everything: Everything, bulk: bool) -> None:
    prices = {kind: {"amount": "6.50", "currency": "CNY"} for kind in ("purchase", "sale")}
    product = {"name": "Lamp", "model": "L1", "brand": "Lumen", "prices": prices}
    add = next(route for route in everything.routes if route.name == "AddProduct")
    id = json.loads(everything.ask(add, {}, json.dumps(product).encode()).body)["id"]
    everything.api.directory.tell(
        [CompanyDataSet(settings_id="company", data=CompanyData(full_name="Acme", currency="JPY"), revision=1)]
    )

    def change(body: dict[str, Any]) -> tuple[int, Any]:
        route = next(one for one in everything.routes if one.name == ("BulkEditProduct" if bulk else "EditProduct"))
        path = {} if bulk else {"product_id": id}
        item = {"command": {**body, "product_id": id}}
        answer = everything.ask(route, path, json.dumps({"items": [item]} if bulk else body).encode())
        told = json.loads(answer.body)
        if bulk:
            [told] = told["results"]
            return told["status"], told["body"]
        return answer.status, told

    assert change({"sale_price": {"amount": "9.75"}})[0] == 200
    assert change({"member_price": {"amount": "9.10", "currency": "CNY"}})[0] == 200
    status, refused = change({"purchase_price": {"amount": "7", "currency": "JPY"}})
    assert (status, refused["field"]) == (400, "purchase_price") and "JPY, CNY" in refused["detail"]
    assert change({"prices": {"purchase": {"amount": "6.10"}, "sale": {"amount": "9.55"}}})[0] == 200
    found = everything.kits["inventory"].store.load(Product, UUID(id))
    assert found is not None
    held = [getattr(found.data, f"{name}_price") for name in ("purchase", "sale", "member")]
    assert held == [*(Money(amount=Decimal(one), currency="CNY") for one in ("6.10", "9.55")), None]


@pytest.mark.parametrize("spec", [spec for spec in COMMANDS if spec.creates and spec.permission != PUBLIC])
def test_whatever_is_made_can_be_listed_and_read(everything: Everything, spec: CommandSpec) -> None:
    served = {route.path for route in everything.routes if route.method == "GET"}
    assert {spec.path, f"{spec.path}/{{{spec.key}}}"} <= served


NAMES = (
    "a/b", "/", "a\\b", ".", "..", "...", " . ", "a.b", "a b", "a%2Fb", "%2e%2e", "a?b=c", "a#b", "a;b=c", "a&b", "a+b",
    "a\tb", "a\nb", "a\r\nb", "\u00fcber", "u\u0308ber", "\u200b..", "\uff0f", "\u4ef7\u683c", "~", "{name}",
    "@:$,!*'()", "<x>", '"', "\ud800", "E2627C3C-C0C4-43F7-B780-4C37BD4FFA3D", "e2627c3cc0c443f7b7804c37bd4ffa3d",
    "\U0001f600",
)  # fmt: skip
IN_PATHS = [(spec, name) for spec in COMMANDS for name in re.findall(r"{(\w+)}", str(spec.path))]


def arrives_as(path: str) -> str:
    """What a server routes by when a client asks for an address of this path."""
    sent = httpx.URL("http://localhost").join(path)
    return Request(EnvironBuilder(path=sent.raw_path.decode()).get_environ()).path


@pytest.mark.parametrize(("spec", "field"), IN_PATHS, ids=lambda one: getattr(one, "name", one))
def test_whatever_may_stand_in_a_path_arrives_by_it(spec: CommandSpec, field: str) -> None:
    """A name that a bulk form takes, and no path can carry, could never be read or changed again."""
    rule = Rule(werkzeug_path(str(spec.path)), endpoint=spec.name, methods=[str(spec.method)])
    served, good, taken = Map([rule]).bind("localhost"), sample(spec.cls), 0
    for name in (good[field], *NAMES):
        if spec.method == "DELETE" and not can_be(SetParameter, "name", name):
            continue  # what may not be set any more can be taken away in bulk
        try:
            command: Any = load(spec.cls, {**good, field: name})
        except Refused as refused:
            assert refused.field == field
            continue
        taken += 1
        path = str(spec.path).format(**{**good, field: quote(str(getattr(command, field)), safe="")})
        values = served.match(arrives_as(path), spec.method)[1]
        arrived: Any = load(spec.cls, {**good, **values})
        assert getattr(arrived, field) == getattr(command, field), name
    assert taken


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_is_asked_for_by_its_very_name(
    everything: Everything, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    asked: list[str] = []

    def one(_reader: ViewReader, _principal: Any, key: str, *_: Any) -> tuple[dict[str, Any], Freshness]:
        asked.append(key)
        return {}, Freshness(None, {})

    monkeypatch.setattr(ViewReader, "one", one)
    monkeypatch.setattr(ViewReader, "history", one)
    monkeypatch.setattr(ViewReader, "count_with", lambda *_: 0)
    monkeypatch.setattr(ViewReader, "whose", lambda *_: None)
    put, get = (next(route for route in everything.routes if route.name == one) for one in (
        "SetParameter", "parameters_one",
    ))  # fmt: skip
    answer = everything.ask(put, {"name": name}, b'{"value": "1", "reason": "a test"}')
    if answer.status == 200:
        everything.ask(get, {"name": name})
        assert asked == [json.loads(answer.body)["id"]]
    else:
        assert json.loads(answer.body)["field"] == "name"


BLANK = (b"", b" ", b"\r\n")


@pytest.mark.parametrize("spec", COMMANDS, ids=lambda spec: spec.name)
def test_an_empty_body_is_told_what_belongs_there_and_is_nothing_where_nothing_does(
    everything: Everything, spec: CommandSpec
) -> None:
    good, document = sample(spec.cls), documents.openapi(REGISTRY, [])
    route = next(route for route in everything.routes if route.name == spec.name)
    path = {name: str(good[name]) for name in re.findall(r"{(\w+)}", route.path)}
    published = document["paths"][route.path][route.method.lower()].get("requestBody", {"required": False})
    answers = [json.loads(everything.ask(route, path, body).body) for body in BLANK]
    refusals = [answer for answer in answers if answer.get("field") == "body"]
    if published["required"]:
        assert len(refusals) == len(BLANK)
        body = published["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        fields = document["components"]["schemas"][body]
        for name in fields.get("required") or {f.name for f in dataclasses.fields(spec.cls) if f.default is KEPT}:
            assert name in refusals[0]["detail"]
    else:
        assert not refusals
        assert not needed(spec)


def needed(spec: CommandSpec) -> bool:
    """Whether a command without what a body says would be nothing: a field must be given, or all say what changes."""
    own = {f.name: f for f in dataclasses.fields(spec.cls) if f"{{{f.name}}}" not in str(spec.path)}
    required = [f for f in own.values() if f.default is f.default_factory is dataclasses.MISSING]
    return bool(required) or (spec.method != "DELETE" and any(f.default is KEPT for f in own.values()))


def test_an_empty_body_of_many_commands_is_told_what_belongs_there(everything: Everything) -> None:
    for route in everything.routes:
        if route.path.startswith("/bulk/") and "{" not in route.path:  # what takes a run back says nothing
            for body in BLANK:
                answer = json.loads(everything.ask(route, {}, body).body)
                assert answer["field"] == "body" and "items" in answer["detail"], route.path
