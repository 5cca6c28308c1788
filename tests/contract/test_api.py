"""The edge without a web framework: authentication, rights, validation, idempotency, versions, bulk (section 2.0)."""

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from security.office import EmptyViews
from structlog.testing import capture_logs
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import Map

from chassis.access.directory import Directory
from chassis.access.tokens import ALGORITHM, TokenVerifier, issue, key_id, key_pair
from chassis.catalogue import Catalogue, known_everywhere
from chassis.foundation.compression import unpacked
from chassis.foundation.config import Config, ConfigError
from chassis.http.edge import Api
from chassis.http.messages import HttpRequest, HttpResponse, Route
from chassis.http.nameko import RouteEntrypoint
from chassis.http.problems import is_utf8, unknown_route
from chassis.http.serving import routes_of
from chassis.messaging.consistency import HEADER, Token
from chassis.model.principal import Principal
from chassis.store.events import Unreadable
from chassis.testing.people import ADMIN, SALES, WAREHOUSE
from chassis.testing.services import InMemoryService
from contracts.declare import REGISTRY
from contracts.errors import Refused
from services.gateway.pages import page_routes
from services.inventory.application import SERVICE

PRODUCT: dict[str, Any] = {
    "name": "iPhone 15 Pro",
    "model": "A2892",
    "brand": "Apple",
    "prices": {
        "purchase": {"amount": "4000", "currency": "CNY"},
        "sale": {"amount": "5001.00", "currency": "CNY"},
    },
    "opening_stock": 5,
}


class Edge:
    """The inventory service behind an Api, called as HTTP would."""

    def __init__(self, config: Config) -> None:
        self.kit = InMemoryService(SERVICE)
        self.kit.writer.start()
        self.config = config
        api = Api(config, {"inventory": self.kit.writer}, [], None, TokenVerifier(config))
        self.routes = {(route.method, route.path): route for route in routes_of(api)}

    def call(
        self, route: str, body: Any = None, by: Principal | str | None = WAREHOUSE, **headers: str
    ) -> tuple[HttpResponse, Any]:
        """Call "<METHOD> <path>" and decode the answer; path values stand in the path."""
        method, _, path = route.partition(" ")
        found, values = self._match(method, path)
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"accept-language": "en", **{name.replace("_", "-").lower(): value for name, value in headers.items()}}
        if isinstance(by, Principal):
            sent["authorization"] = f"Bearer {issue(self.config, by)}"
        elif by is not None:
            sent["authorization"] = by
        response = found.serve(HttpRequest(sent, values, {}, lambda: raw))
        return response, json.loads(response.body)

    def _match(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        for (its_method, pattern), route in self.routes.items():
            parts, given = pattern.split("/"), path.split("/")
            if its_method == method and len(parts) == len(given):
                pairs = list(zip(parts, given, strict=True))
                if all(p.startswith("{") or p == g for p, g in pairs):
                    return route, {p.strip("{}"): g for p, g in pairs if p.startswith("{")}
        raise AssertionError(f"no route {method} {path}")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return replace(Config(), token_key_dir=str(tmp_path / "keys"), test_tokens=1)


@pytest.fixture
def edge(config: Config) -> Iterator[Edge]:
    made = Edge(config)
    yield made
    made.kit.writer.stop()


def test_a_command_answers_id_version_etag_location_and_token(edge: Edge) -> None:
    response, body = edge.call("POST /products", PRODUCT)
    assert response.status == 201
    assert response.headers["ETag"] == '"1"'
    assert response.headers["Location"] == f"/products/{body['id']}"
    token = Token.parse(response.headers[HEADER])
    assert token is not None
    assert max(token.positions.values()) <= edge.kit.store.last_position()
    assert {source.partition(":")[0] for source in token.positions} == {"inventory.events"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"name": 5}, "name"),
        ({"name": "  "}, "name"),
        ({"opening_stock": -1}, "opening_stock"),
        ({"opening_stock": 1.5}, "opening_stock"),
        ({"opening_stock": 10**30}, "opening_stock"),
        ({"prices": {"purchase": {"amount": "NaN", "currency": "CNY"}}}, "prices.purchase.amount"),
        ({"product_id": "nonsense"}, "product_id"),
        ({"product_id": "00000000-0000-5000-8000-000000000000"}, "product_id"),
    ],
)
def test_bad_input_names_the_field_and_changes_nothing(edge: Edge, change: dict[str, Any], field: str) -> None:
    response, body = edge.call("POST /products", {**PRODUCT, **change})
    assert (response.status, body["code"]) == (400, "VALIDATION")
    assert field == body["field"] or field in {error["field"] for error in body["errors"]}
    assert response.content_type == "application/problem+json"
    assert edge.kit.facts() == []


@pytest.mark.parametrize("raw", [b"{", b"[]", b'"x"', b'{"a": NaN}', b"\xff\xfe", b"[" * 20_000, b'{"a": 1} {"b": 2}'])
def test_what_is_not_a_json_object_is_refused(edge: Edge, raw: bytes) -> None:
    response, body = edge.call("POST /products", raw)
    assert (response.status, body["code"]) == (400, "VALIDATION")


def test_another_content_type_is_refused(edge: Edge) -> None:
    response, body = edge.call("POST /products", b"a=1", content_type="application/x-www-form-urlencoded")
    assert (response.status, body["code"]) == (415, "FILE_TYPE")


def forged(config: Config, how: str) -> str:
    """A header value that must not let anybody in."""
    claims = {
        "iss": config.token_issuer,
        "aud": config.token_audience,
        "sub": str(WAREHOUSE.user_id),
        "roles": ["ADM"],
        "iat": int(time.time()),
        "exp": int(time.time()) + 900,
    }
    private, public = (path.read_bytes() for path in key_pair(Path(config.token_key_dir)))
    head = {"kid": key_id(public)}
    match how:
        case "unsigned":
            return "Bearer " + jwt.encode(claims, "", algorithm="none", headers=head)
        case "another key":
            return "Bearer " + jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm=ALGORITHM, headers=head)
        case "public key as secret":
            loaded = serialization.load_pem_public_key(public).public_bytes(
                serialization.Encoding.Raw, serialization.PublicFormat.Raw
            )
            return "Bearer " + jwt.encode(claims, loaded, algorithm="HS256", headers=head)
        case "expired":
            claims |= {"iat": 1, "exp": 2}
        case "another audience":
            claims["aud"] = "elsewhere"
        case "another issuer":
            claims["iss"] = "elsewhere"
        case "system":
            claims["roles"] = ["SYSTEM"]
        case "no subject":
            del claims["sub"]
        case "roles a text":
            claims["roles"] = "ADM"
        case "no key named":
            head = {}
        case "unknown key named":
            head = {"kid": "../token"}
        case "a sign-in nobody made":
            claims |= {"sid": str(uuid4()), "epoch": 0, "sub": str(uuid4())}
    return "Bearer " + jwt.encode(claims, private, algorithm=ALGORITHM, headers=head)


@pytest.mark.parametrize(
    "how",
    [
        "unsigned", "another key", "public key as secret", "expired", "another audience", "another issuer", "system",
        "no subject", "roles a text", "no key named", "unknown key named", "a sign-in nobody made",
    ],
)  # fmt: skip
def test_forged_and_foreign_tokens_are_refused(edge: Edge, how: str) -> None:
    response, body = edge.call("POST /products", PRODUCT, forged(edge.config, how))
    assert (response.status, body["code"], body["field"]) == (401, "UNAUTHENTICATED", "Authorization")
    assert edge.kit.facts() == []


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer a.b.c", "Bearer 你好"])
def test_missing_and_malformed_tokens_are_refused(edge: Edge, header: str | None) -> None:
    response, body = edge.call("POST /products", PRODUCT, header)
    assert (response.status, body["code"]) == (401, "UNAUTHENTICATED")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_remembered_token_still_expires(config: Config) -> None:
    verifier = TokenVerifier(config)
    header = f"Bearer {issue(config, WAREHOUSE, seconds=-4)}"
    assert verifier.verify(header) == WAREHOUSE, "within the leeway"
    verifier._remembered[header.partition(" ")[2]] = (0.0, float("inf"), WAREHOUSE)
    assert verifier.verify(header) == WAREHOUSE, "checked again, still within"
    with pytest.raises(Refused, match="expired"):
        verifier.verify(f"Bearer {issue(config, WAREHOUSE, seconds=-60)}")


def test_a_token_of_the_key_before_is_good_as_long_as_that_public_key_lies_there(config: Config) -> None:
    private, public = key_pair(Path(config.token_key_dir))
    before = f"Bearer {issue(config, WAREHOUSE)}"
    public.rename(public.with_name("old.pub"))
    private.unlink()
    after = f"Bearer {issue(config, WAREHOUSE)}"
    verifier = TokenVerifier(config)
    assert verifier.verify(before) == verifier.verify(after) == WAREHOUSE
    public.with_name("old.pub").unlink()
    verifier = TokenVerifier(config)
    assert verifier.verify(after) == WAREHOUSE
    with pytest.raises(Refused, match="not valid"):
        verifier.verify(before)


def test_a_test_token_is_taken_where_tests_run_only(config: Config) -> None:
    verifier = TokenVerifier(replace(config, test_tokens=0))
    with pytest.raises(Refused, match="names no sign-in"):
        verifier.verify(f"Bearer {issue(config, ADMIN)}")


def test_a_role_that_does_not_exist_gets_no_token(config: Config) -> None:
    with pytest.raises(ConfigError, match="unknown roles KING"):
        issue(config, replace(ADMIN, roles=frozenset({"KING"})))


def test_acc_41_a_right_the_role_lacks_is_forbidden(edge: Edge) -> None:
    response, body = edge.call("POST /products", PRODUCT, SALES)
    assert (response.status, body["code"], body["state"]) == (403, "FORBIDDEN", "products.edit")
    assert edge.kit.facts() == []


def test_a_repeat_with_the_same_key_answers_the_same_and_emits_nothing(edge: Edge) -> None:
    first, body = edge.call("POST /products", PRODUCT, Idempotency_Key="order-form-1")
    facts = edge.kit.facts()
    again, same = edge.call("POST /products", PRODUCT, Idempotency_Key="order-form-1")
    assert (again.status, same) == (first.status, body)
    assert again.headers[HEADER] == first.headers[HEADER]
    assert edge.kit.facts() == facts


def test_the_same_key_with_another_body_is_a_duplicate(edge: Edge) -> None:
    edge.call("POST /products", PRODUCT, Idempotency_Key="k")
    facts = edge.kit.facts()
    response, body = edge.call("POST /products", {**PRODUCT, "model": "A1"}, Idempotency_Key="k")
    assert (response.status, body["code"], body["field"]) == (409, "KEY_REUSED", "Idempotency-Key")
    assert edge.kit.facts() == facts


def test_two_users_may_use_the_same_key(edge: Edge) -> None:
    edge.call("POST /products", PRODUCT, Idempotency_Key="k")
    response, _ = edge.call("POST /products", {**PRODUCT, "model": "A1"}, ADMIN, Idempotency_Key="k")
    assert response.status == 201


def test_a_key_must_be_printable(edge: Edge) -> None:
    response, body = edge.call("POST /products", PRODUCT, Idempotency_Key="two words")
    assert (response.status, body["field"]) == (400, "Idempotency-Key")


def test_a_stale_version_is_a_conflict(edge: Edge) -> None:
    _, product = edge.call("POST /products", PRODUCT)
    route = f"PATCH /products/{product['id']}"
    assert edge.call(route, {"brand": "Pear"}, If_Match='"1"')[0].headers["ETag"] == '"2"'
    response, body = edge.call(route, {"brand": "Plum"}, If_Match='"1"')
    assert (response.status, body["code"], body["state"]) == (409, "VERSION_CONFLICT", "2")
    assert edge.call(route, {"brand": "Plum"}, If_Match="1")[1]["field"] == "If-Match"


def test_a_field_of_the_path_may_not_stand_in_the_body(edge: Edge) -> None:
    id = uuid4()
    response, body = edge.call(f"PATCH /products/{id}", {"product_id": str(id)})
    assert (response.status, body["field"]) == (400, "product_id")


def test_unknown_ids_are_not_found(edge: Edge) -> None:
    response, body = edge.call(f"PATCH /products/{uuid4()}", {"brand": "Pear"})
    assert (response.status, body["code"], body["field"]) == (404, "NOT_FOUND", "product_id")
    response, body = edge.call("PATCH /products/nonsense", {"brand": "Pear"})
    assert (response.status, body["code"], body["field"]) == (404, "NOT_FOUND", "product_id")


def test_bulk_answers_each_item(edge: Edge) -> None:
    items = [
        {"command": PRODUCT, "idempotency_key": "a"},
        {"command": PRODUCT, "idempotency_key": "b"},
        {"command": {**PRODUCT, "model": "A2", "opening_stock": -1}},
        {"command": {**PRODUCT, "model": "A3"}},
        {"wrong": 1},
        {"command": PRODUCT, "colour": "red"},
        {"command": PRODUCT, "idempotency_key": 5},
        "nonsense",
    ]
    response, body = edge.call("POST /bulk/add-product", {"items": items})
    assert response.status == 200
    assert [result["status"] for result in body["results"]] == [201, 409, 400, 201, 400, 400, 400, 400]
    assert body["results"][1]["body"]["code"] == "DUPLICATE"
    assert response.headers[HEADER]


@pytest.mark.parametrize("name", ["", " ", "surprise"])
@pytest.mark.parametrize("at", ["body", "item"])
def test_bulk_names_a_field_that_it_does_not_know(edge: Edge, at: str, name: str) -> None:
    item: dict[str, Any] = {"command": {}, **({name: 1} if at == "item" else {})}
    _, body = edge.call("POST /bulk/add-product", {"items": [item], **({name: 1} if at == "body" else {})})
    problem = body if at == "body" else body["results"][0]["body"]
    assert problem["field"] == (name if name.strip() else f'"{name}"') and "Unknown field" in problem["detail"]
    for known in ["items"] if at == "body" else ["command", "idempotency_key", "if_match"]:
        assert known in problem["detail"]


@pytest.mark.parametrize("name", ["idempotency_key", "if_match"])
@pytest.mark.parametrize("value", [5, True, [], {}])
def test_bulk_names_the_key_or_the_version_that_is_no_text(edge: Edge, name: str, value: Any) -> None:
    _, body = edge.call("POST /bulk/add-product", {"items": [{"command": PRODUCT, name: value}]})
    problem = body["results"][0]["body"]
    assert (problem["status"], problem["field"]) == (400, name) and name in problem["detail"]


@pytest.mark.parametrize("items", [None, [], {}, [{}] * 501])
def test_bulk_takes_1_to_500_items(edge: Edge, items: Any) -> None:
    response, body = edge.call("POST /bulk/add-product", {"items": items})
    assert (response.status, body["field"]) == (400, "items")


def test_a_stopping_service_refuses_before_anything_is_stored(edge: Edge) -> None:
    edge.kit.writer.stop()
    response, body = edge.call("POST /products", PRODUCT)
    assert (response.status, body["code"]) == (503, "UNAVAILABLE")
    assert response.headers["Retry-After"] == "1"


def flipped(state: bytes) -> bytes:
    """With another bit in the head, which then tells of petabytes."""
    return state[:5] + bytes([state[5] ^ 0x40]) + state[6:]


DAMAGES: list[tuple[str, Callable[[bytes], Any]]] = [
    ("cut", lambda state: state[:20]),
    ("flipped", flipped),
    ("longer", lambda state: state + b"x"),
    ("nothing", lambda _: b""),
    ("null", lambda _: None),
    ("a number", lambda _: 5),
    ("a text", lambda state: state.decode(errors="replace")),
    ("other JSON", lambda _: "{}"),
    ("data of another kind", lambda _: b'{"data":{"quantity":"many"},"meta":{}}'),
    ("octets that are no UTF-8", lambda state: unpacked(state).replace(b"Broken", b"Br\xffken")),
]


@pytest.mark.parametrize("damage", [pytest.param(damage, id=name) for name, damage in DAMAGES])
def test_a_record_whose_history_is_damaged_is_refused_and_all_others_work(
    edge: Edge, damage: Callable[[bytes], Any]
) -> None:
    """Rows changed by hand (I10): the refusal names the record, the log tells operators, the api starts."""
    broken, whole = (
        str(edge.call("POST /products", PRODUCT | {"name": name})[1]["id"]) for name in ("Broken", "Whole")
    )
    stored = edge.kit.store.recorder._stored_events  # type: ignore[attr-defined]
    for number, event in enumerate(stored):
        if broken.encode() in unpacked(event.state):
            stored[number] = replace(event, state=damage(event.state))
    edge.kit.writer._cache.clear()
    before = edge.kit.store.last_position()
    adjusted = {"change": 1, "reason": "counted"}
    with capture_logs() as logs:
        refused, body = edge.call(f"POST /products/{broken}/adjustments", adjusted)
    assert (refused.status, body["code"], body["state"]) == (409, "INVALID_STATE", "DAMAGED")
    assert "can't be read" in logs[0]["error"] and logs[0]["error"].split()[3] in body["detail"]
    assert edge.kit.store.last_position() == before
    assert edge.call(f"POST /products/{whole}/adjustments", adjusted)[0].status == 200

    with capture_logs() as logs:
        Directory(known_everywhere()).catch_up(edge.kit.store)
    assert {entry["event"] for entry in logs} == {"stored event unreadable"}
    with pytest.raises(Unreadable):
        edge.kit.store.notifications(0, 10)


def test_a_failing_handler_is_an_internal_error_that_tells_nothing(edge: Edge, monkeypatch: Any) -> None:
    def fail(command: Any, work: Any) -> Any:
        raise RuntimeError("secret detail")

    commands = {cls: fail for cls in SERVICE.commands}
    monkeypatch.setattr(edge.kit.writer, "service", replace(SERVICE, commands=commands))
    response, body = edge.call("POST /products", PRODUCT, X_Correlation_ID="abc-1")
    assert (response.status, body["code"], body["correlation_id"]) == (500, "INTERNAL", "abc-1")
    assert b"secret" not in response.body


def test_the_correlation_and_trace_travel_into_the_event(edge: Edge) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    edge.call("POST /products", PRODUCT, X_Correlation_ID="abc-1", traceparent=trace)
    meta = edge.kit.store.notifications(0, 1)[0].meta
    assert (meta.correlation_id, meta.traceparent) == ("abc-1", trace)
    assert (meta.user_id, meta.user) == (str(WAREHOUSE.user_id), "wang")


@pytest.mark.parametrize("text", ["x", "orders.events:3", "orders.events:3=-1", "a=1", "orders.events:3=1;", "=" * 50])
def test_a_token_that_was_not_ours_is_refused(edge: Edge, text: str) -> None:
    response, body = edge.call("POST /products", PRODUCT, Salestream_Consistency=text)
    assert (response.status, body["field"]) == (400, HEADER)


def test_tokens_merge_to_the_newer_of_both() -> None:
    one, other = Token.parse("a.events:0=5,b.events:1=2"), Token.parse("a.events:0=3,c.events:0=9")
    assert one is not None
    assert str(one.with_also(other)) == "a.events:0=5,b.events:1=2,c.events:0=9"
    assert one.reached_by({"a.events:0": 5, "b.events:1": 2}.__getitem__)
    assert not one.reached_by({"a.events:0": 5, "b.events:1": 1}.__getitem__)


def test_inv_12_the_last_unit_is_sold_once(edge: Edge) -> None:
    """200 callers at once take the one unit there is: one wins, the others are told why."""
    _, product = edge.call("POST /products", {**PRODUCT, "opening_stock": 1})
    take = {"change": -1, "reason": "sold over the counter"}
    route = f"POST /products/{product['id']}/adjustments"
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: edge.call(route, take), range(200)))
    assert sorted(response.status for response, _ in answers) == [200] + [409] * 199
    assert {body["code"] for response, body in answers if response.status == 409} == {"INSUFFICIENT_STOCK"}


def test_settings_of_the_wrong_kind_are_named() -> None:
    with pytest.raises(ConfigError, match="MAX_QUEUE='many' must be a whole number"):
        Config.from_env({"MAX_QUEUE": "many"})
    with pytest.raises(ConfigError, match="EVENT_STORE='files' must be one of"):
        Config.from_env({"EVENT_STORE": "files"})
    with pytest.raises(ConfigError, match="TIME_ZONE='Mars' is not a known"):
        Config.from_env({"TIME_ZONE": "Mars"})


def test_days_are_counted_in_the_companys_zone(edge: Edge) -> None:
    edge.kit.now = edge.kit.now.replace(hour=20)
    assert edge.kit.today == (edge.kit.now + timedelta(hours=8)).date()


def test_livez_readyz_and_metrics_answer(edge: Edge) -> None:
    assert edge.call("GET /livez", by=None)[1] == {"status": "ok"}
    assert edge.call("GET /readyz", by=None)[1]["status"] == "ready"
    route, _ = edge._match("GET", "/metrics")
    assert b"salestream_commands_total" in route.serve(HttpRequest({}, {}, {}, lambda: b"", "127.0.0.1")).body


def test_a_made_id_follows_from_the_key(edge: Edge) -> None:
    _, one = edge.call("POST /products", PRODUCT, Idempotency_Key="k")
    assert UUID(one["id"]).version == 4


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"name":"a","name":"b"}', "name"),
        (b'{"name" : "a" , "name"\n:"b"}', "name"),
        (b'{"name":"a","n\\u0061me":"b"}', "name"),
        (b'{"note":"a\\":b","name":"a","name":"b"}', "name"),
        (b'{"note":"at 12:30","prices":{"sale":1,"purchase":2,"sale":3}}', "sale"),
        (b'{"lines":[{"a":1},{"b":{"c":1,"c":1}}]}', "c"),
    ],
)
def test_a_key_that_stands_twice_is_named(edge: Edge, body: bytes, field: str) -> None:
    response, problem = edge.call("POST /products", body)
    assert (response.status, problem["code"], problem["field"]) == (400, "VALIDATION", field)


@pytest.mark.parametrize(
    "name", ['a":b', 'said " :', "at 12:30:00", "a\\", '{"name":"x","name":"y"}', "::::", "\u00fc\t:"], ids=repr
)
def test_a_text_that_looks_like_keys_is_a_text(edge: Edge, name: str) -> None:
    assert edge.call("POST /products", {**PRODUCT, "description": name})[0].status == 201


def test_a_bulk_gives_others_their_turn_after_each_item(config: Config) -> None:
    kit = InMemoryService(SERVICE)
    kit.writer.start()
    turns: list[float] = []
    api = Api(config, {"inventory": kit.writer}, [], None, TokenVerifier(config), sleep=turns.append)
    route = next(route for route in routes_of(api) if route.name == "BulkAddProduct")
    body = json.dumps({"items": [{"command": {"lines": [0] * 50}}] * 500}).encode()
    headers = {"authorization": f"Bearer {issue(config, WAREHOUSE)}"}
    response = route.serve(HttpRequest(headers, {}, {}, lambda: body))
    kit.writer.stop()
    assert {result["status"] for result in json.loads(response.body)["results"]} == {400}
    assert len(turns) >= 500
    assert len(response.body) < 700_000


def test_a_method_that_an_address_does_not_take_is_refused_with_those_it_takes() -> None:
    routes = [Route(method, "/orders/{order_id}", "one", lambda _: HttpResponse(200)) for method in ("PATCH", "GET")]
    request = HttpRequest({}, {}, {}, bytes, method="DELETE", target="/orders/7?x=1")
    answer = unknown_route(routes).serve(request)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, PATCH")


@pytest.mark.parametrize("part", ["a%2Fb", "%2F", "..%2f..", "%2f%2f"])
def test_no_address_is_refused_for_a_method_that_it_is_said_to_take(config: Config, part: str) -> None:
    """A slash within a name parts the address, however it is written: over every route with a name in its path."""
    routes = routes_of(Api(config, {}, Catalogue.read().views("projector"), None, TokenVerifier(config)))
    public = [spec for spec in REGISTRY.commands.values() if spec.is_public]
    routes += [Route(str(spec.method), str(spec.path), spec.name, lambda _: HttpResponse(200)) for spec in public]
    unknown, asked = unknown_route(routes), 0
    for route in routes:
        if "{" in route.path:
            asked += 1
            target = re.sub(r"{\w+}", part, route.path)
            answer = unknown.serve(HttpRequest({}, {}, {}, bytes, method=route.method, target=target))
            assert answer.status == 404 or route.method not in answer.headers["Allow"].split(", "), target
    assert asked > 40


def test_every_route_is_told_of_with_just_the_methods_that_it_is_served_with(config: Config) -> None:
    """HEAD goes where GET does; the pages of the gateway are routes too."""
    views: Any = EmptyViews()
    routes = routes_of(Api(config, {}, Catalogue.read().views("projector"), views, TokenVerifier(config)))
    public = [spec for spec in REGISTRY.commands.values() if spec.is_public]
    routes += [Route(str(spec.method), str(spec.path), spec.name, lambda _: HttpResponse(200)) for spec in public]
    routes += page_routes()
    rules = [RouteEntrypoint(route).get_url_rule() for route in routes]
    for rule, route in zip(rules, routes, strict=True):
        rule.endpoint = route.method
    served, unknown, heads = Map(rules).bind("localhost"), unknown_route(routes), 0
    for path in {re.sub(r"{\w+}", "x", route.path) for route in routes}:
        taken = set()
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
            with suppress(MethodNotAllowed):
                found, _ = served.match(path, method)
                assert found == method or (method, found) == ("HEAD", "GET")
                taken.add(method)
        told = unknown.serve(HttpRequest({}, {}, {}, bytes, method="TRACE", target=path)).headers["Allow"]
        assert set(told.split(", ")) == taken, path
        heads += "HEAD" in taken
    assert heads > 25


@pytest.mark.parametrize("place", ["/products/{}", "/settings/parameters/{}", "/products?q={}", "/products?{}=1"])
@pytest.mark.parametrize("octets", ["%ff", "%C3", "%ED%A0%80", "a%F0%9F%98"])
def test_an_address_that_is_no_text_is_refused(place: str, octets: str) -> None:
    """Its octets would all be read as the same character, and two names as one."""
    target = place.format(octets)
    assert not is_utf8(target)
    answer = unknown_route([]).serve(HttpRequest({}, {}, {}, bytes, method="GET", target=target))
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "VALIDATION")


@pytest.mark.parametrize("target", ["/products", "/products?q=%E7%94%B0", "/a%2Fb?q=50%25", "/%"])
def test_an_address_in_utf_8_is_text(target: str) -> None:
    assert is_utf8(target)
