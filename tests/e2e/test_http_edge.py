"""The api process itself under bad input: every refusal is a problem that names the fault, and nothing is stored."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import json
import select
import socket
import unicodedata
import uuid
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import openpyxl
import pytest
from component.support import (
    COMMANDED,
    PROBLEM,
    Company,
    Person,
    add_customer,
    add_order,
    add_product,
    await_status,
    eventually,
    order_page,
    problem_of,
    stores,
    unique,
    yuan,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chassis.access.tokens import issue, key_id
from chassis.catalogue import Catalogue
from chassis.documents.query_docs import query_docs, setters
from chassis.messaging.consistency import HEADER
from chassis.model.principal import Principal
from contracts.parameters import PARAMETERS
from contracts.settings import DEFAULTS

PRICES = {"purchase": yuan("1.00"), "sale": yuan("2.00")}
NOBODYS = "0b3f2c6e-6d0e-4c0e-9b43-4d1f0a8c7e11"  # the id of nothing there is
PRODUCT = {"name": "Phone", "model": "A1", "brand": "Acme", "prices": PRICES}


def positions(company: Company) -> dict[str, int]:
    """How many events each service has stored."""
    with stores(company.config, COMMANDED) as opened:
        return {name: store.last_position() for name, store in opened.items()}


@contextmanager
def nothing_stored(company: Company) -> Iterator[None]:
    """Inside the block no service stores an event, apart from telling people of what was done before."""
    before = positions(company)
    yield
    assert {**positions(company), "notices": 0} == {**before, "notices": 0}


def product(**changes: Any) -> dict[str, Any]:
    """A product's JSON with some fields changed; `...` leaves one out."""
    return {name: value for name, value in {**PRODUCT, "name": unique("Phone"), **changes}.items() if value is not ...}


def priced(amount: Any, currency: Any = "CNY") -> dict[str, Any]:
    return {"purchase": yuan("1.00"), "sale": {"amount": amount, "currency": currency}}


# -- values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (product(name=...), "name"),
        (product(name=""), "name"),
        (product(name=" "), "name"),
        (product(name=None), "name"),
        (product(name=7), "name"),
        (product(name=["Phone"]), "name"),
        (product(name="x" * 201), "name"),
        (product(name="a\u0000b"), "name"),
        (product(colour="red"), "colour"),
        (product(opening_stock=-1), "opening_stock"),
        (product(opening_stock=10**10), "opening_stock"),
        (product(opening_stock=10**40), "opening_stock"),
        (product(opening_stock=1.5), "opening_stock"),
        (product(opening_stock="3"), "opening_stock"),
        (product(opening_stock=True), "opening_stock"),
        (product(prices="cheap"), "prices"),
        (product(prices={"purchase": yuan("1.00")}), "prices.sale"),
        (product(prices=priced("-0.01")), "prices.sale.amount"),
        (product(prices=priced("1.005")), "prices.sale.amount"),
        (product(prices=priced("NaN")), "prices.sale.amount"),
        (product(prices=priced("Infinity")), "prices.sale.amount"),
        (product(prices=priced("1e3")), "prices.sale.amount"),
        (product(prices=priced("１２個")), "prices.sale.amount"),
        (product(prices=priced("1" * 30)), "prices.sale.amount"),
        (product(prices=priced(True)), "prices.sale.amount"),
        (product(prices=priced("1.00", "yuan")), "prices.sale.currency"),
        (product(prices=priced("1.00", "CNY\n")), "prices.sale.currency"),
        (product(accessories=["x"] * 501), "accessories"),
        (product(accessories=["cable", ""]), "accessories.1"),
        (product(traits=[{"name": "colour", "worth": 1}]), "traits.0.value"),
        (product(product_id="not-a-uuid"), "product_id"),
        (product(product_id=str(uuid.uuid1())), "product_id"),
        (product(product_id="00000000-0000-0000-0000-000000000000"), "product_id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_value_is_named(company: Company, body: dict[str, Any], field: str) -> None:
    with nothing_stored(company):
        problem = company.wang.assert_refused("VALIDATION", "POST", "/products", body)
    named = {problem["field"], *(error["field"] for error in problem.get("errors", ()))}
    assert field in named, problem


RAW = {
    "half a character": b'{"name": "\\ud800"}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"opening_stock": Infinity}',
    "cut off": b'{"name": "Phone"',
    "two objects": b"{}{}",
    "single quotes": b"{'name': 'Phone'}",
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "a list": b"[]",
    "a text": b'"Phone"',
    "null": b"null",
    "deep lists": b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "deep and never closed": b"[" * 900_000,
    "blanks": b"   ",
    "zero bytes": b"\x00" * 100,
}


@pytest.mark.parametrize("content", RAW.values(), ids=RAW.keys())
def test_a_body_that_is_no_json_object_is_refused(company: Company, content: bytes) -> None:
    with nothing_stored(company):
        assert company.wang.assert_refused("VALIDATION", "POST", "/products", content=content)["field"] in (
            "body",
            "name",
        )


@pytest.mark.parametrize("number", ["1e309", "-1e309", "1e-400", "9" * 400, "1E+999999999", "0.1e1000000"])
def test_a_number_beyond_all_bounds_is_named(company: Company, number: str) -> None:
    price = f'{{"amount": {number}, "currency": "CNY"}}'
    prices = f'{{"purchase": {price}, "sale": {price}}}'
    body = f'{{"name": "n", "model": "m", "brand": "b", "prices": {prices}, "opening_stock": {number}}}'
    with nothing_stored(company):
        problem = company.wang.assert_refused("VALIDATION", "POST", "/products", content=body.encode())
    named = {error["field"] for error in problem.get("errors", ())}
    assert not named or "opening_stock" in named, problem


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ({"quantity": 0}, "lines.0.quantity"),
        ({"quantity": -3}, "lines.0.quantity"),
        ({"quantity": 10**12}, "lines.0.quantity"),
        ({"quantity": 1.5}, "lines.0.quantity"),
        ({"unit_price": "-1"}, "lines.0.unit_price"),
        ({"unit_price": "0.001"}, "lines.0.unit_price"),
        ({"product_id": "x"}, "lines.0.product_id"),
        ({"discount": 1}, "lines.0.discount"),
    ],
)
def test_a_wrong_order_line_is_named(company: Company, line: dict[str, Any], field: str) -> None:
    lines = [{"product_id": add_product(company.wang), "quantity": 1, **line}]
    body = {"customer_id": add_customer(company.li), "lines": lines}
    with nothing_stored(company):
        assert company.li.assert_refused("VALIDATION", "POST", "/orders", body)["field"] == field


def test_an_order_without_lines_or_for_nobody_is_refused(company: Company) -> None:
    customer = add_customer(company.li)
    nothing: list[dict[str, Any]] = []
    unknown = [{"product_id": str(uuid.uuid4()), "quantity": 1}]
    with nothing_stored(company):
        body = {"customer_id": customer, "lines": nothing}
        assert company.li.assert_refused("VALIDATION", "POST", "/orders", body)["field"] == "lines"
        body = {"customer_id": customer, "lines": unknown}
        assert company.li.assert_refused("NOT_FOUND", "POST", "/orders", body)["field"] == "lines.0.product_id"
        body = {"customer_id": str(uuid.uuid4()), "lines": unknown}
        assert company.li.assert_refused("NOT_FOUND", "POST", "/orders", body)["field"] == "customer_id"


# -- bodies, types, addresses ---------------------------------------------------------------------------------------


def chunks(total: int) -> Iterator[bytes]:
    yield b'{"name": "'
    for _ in range(total // 100_000):
        yield b"x" * 100_000
    yield b'"}'


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
def test_ten_megabytes_are_refused_and_the_server_lives_on(company: Company, chunked: bool) -> None:
    with nothing_stored(company):
        content = chunks(10_000_000) if chunked else b"".join(chunks(10_000_000))
        try:
            answer = company.wang.send("POST", "/products", content=content)
        except httpx.TransportError:  # it hangs up on a sender who does not listen; fine, but only then
            assert company.wang.send("GET", "/products").status_code == 200
        else:
            assert problem_of(answer, "TOO_LARGE")["status"] == 413
    assert company.wang.send("GET", "/livez").status_code == 200


def test_a_chunked_body_counts_like_any_other(company: Company) -> None:
    id = add_product(company.wang)
    pieces = iter([b'{"bra', b'nd": ', b'"In pieces"}'])
    answer = company.wang.send("PATCH", f"/products/{id}", content=pieces)
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    company.remember(answer.headers[HEADER])
    assert company.wang.get(f"/products/{id}")["brand"] == "In pieces"


def test_a_body_shorter_than_it_says_stores_nothing(company: Company) -> None:
    host, _, port = company.config.http_address.rpartition(":")
    head = (
        f"POST /products HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {company.wang.token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    )
    with nothing_stored(company), socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head.encode() + b'{"name": "Phone"}')
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
    assert answer == b"" or b" 400 " in answer.splitlines()[0]


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", "application/jsonx"])
def test_another_content_type_is_refused(company: Company, kind: str) -> None:
    with nothing_stored(company):
        problem = company.wang.assert_refused(
            "FILE_TYPE", "POST", "/products", content=b"{}", headers={"Content-Type": kind}
        )
    assert (problem["status"], problem["field"]) == (415, "Content-Type")


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", "/products/{}", {"brand": "Other"}, "product_id"),
        ("DELETE", "/products/{}", None, "product_id"),
        ("POST", "/products/{}/receipts", {"quantity": 1, "reason": "x"}, "product_id"),
        ("POST", "/products/{}/adjustments", {"change": 1, "reason": "x"}, "product_id"),
        ("PATCH", "/customers/{}", {"name": "x"}, "customer_id"),
        ("PUT", "/customers/{}/membership", {"member": True}, "customer_id"),
        ("POST", "/customers/{}/points", {"change": 1, "reason": "x"}, "customer_id"),
        ("PATCH", "/orders/{}", {"note": "x"}, "order_id"),
        ("POST", "/orders/{}/submit", None, "order_id"),
        ("POST", "/orders/{}/withdraw", None, "order_id"),
        ("POST", "/orders/{}/cancel", {"reason": "x"}, "order_id"),
        ("POST", "/orders/{}/retry", None, "order_id"),
        ("POST", "/orders/{}/payments", {"amount": "1.00"}, "order_id"),
        ("POST", "/approvals/{}/approve", None, "case_id"),
        ("POST", "/approvals/{}/reject", {"reason": "x"}, "case_id"),
        ("POST", "/shipments/{}/hand-over", {}, "order_id"),
        ("POST", "/shipments/{}/deliver", {}, "order_id"),
        ("GET", "/products/{}", None, "product_id"),
        ("GET", "/customers/{}", None, "customer_id"),
        ("GET", "/orders/{}", None, "order_id"),
        ("GET", "/approvals/{}", None, "case_id"),
        ("GET", "/shipments/{}", None, "order_id"),
    ],
)
def test_an_unknown_or_malformed_id_is_named(company: Company, method: str, path: str, body: Any, field: str) -> None:
    with nothing_stored(company):
        unknown = company.admin.assert_refused("NOT_FOUND", method, path.format(uuid.uuid4()), body)
        assert unknown["field"] == field
        for id in ("12", "x" * 300, "%00", "..%5c", "苹果", str(uuid.uuid4()) + "0"):
            assert company.admin.assert_refused("NOT_FOUND", method, path.format(id), body)["field"] == field


def test_an_id_of_another_kind_of_record_is_not_found(company: Company) -> None:
    customer = add_customer(company.li)
    with nothing_stored(company):
        company.admin.assert_refused("NOT_FOUND", "PATCH", f"/products/{customer}", {"brand": "x"})
        company.admin.assert_refused("NOT_FOUND", "POST", f"/orders/{customer}/submit")


def test_a_field_of_the_path_may_not_stand_in_the_body(company: Company) -> None:
    id, other = add_product(company.wang), str(uuid.uuid4())
    with nothing_stored(company):
        problem = company.wang.assert_refused("VALIDATION", "PATCH", f"/products/{id}", {"product_id": other})
    assert problem["field"] == "product_id"


@pytest.mark.parametrize("path", ["/", "/nothing", "/products/1/2/3/4", "/commands", "/bulk/approve-order", "/%2e%2e/"])
def test_an_unknown_address_is_404(company: Company, path: str) -> None:
    assert company.admin.assert_refused("NOT_FOUND", "GET", path)["status"] == 404
    assert company.admin.assert_refused("NOT_FOUND", "POST", path, {})["status"] == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/products"),
        ("PUT", "/products"),
        ("GET", "/orders/x/submit"),
        ("POST", "/settings/sales-process"),
        ("POST", "/reports/sales-by-day"),
        ("TRACE", "/products"),
    ],
)
def test_a_wrong_method_is_405(company: Company, method: str, path: str) -> None:
    with nothing_stored(company):
        assert company.admin.assert_refused("METHOD_NOT_ALLOWED", method, path)["status"] == 405


# -- who --------------------------------------------------------------------------------------------------------------


def forged(company: Company, key: Any, algorithm: str | None, **changes: Any) -> str:
    """A token like those of the system, but for some claims, signed with a key of one's own."""
    now = datetime.now(UTC)
    claims = {
        "iss": company.config.token_issuer,
        "aud": company.config.token_audience,
        "sub": str(company.admin.principal.user_id),
        "name": "admin",
        "roles": ["ADM"],
        "iat": now,
        "exp": now + timedelta(hours=1),
    }
    kid = key_id((Path(company.config.token_key_dir) / "token.pub").read_bytes())
    return jwt.encode({**claims, **changes}, key, algorithm=algorithm, headers={"kid": kid})


def bad_tokens(company: Company) -> dict[str, str | None]:
    head, body, signature = company.admin.token.split(".")
    public = (Path(company.config.token_key_dir) / "token.pub").read_bytes()
    confused_head = json.dumps({"alg": "HS256", "kid": key_id(public), "typ": "JWT"}).encode()
    hmac_head = urlsafe_b64encode(confused_head).decode().rstrip("=")
    signed = f"{hmac_head}.{body}"
    confused = urlsafe_b64encode(hmac.new(public, signed.encode(), hashlib.sha256).digest()).decode().rstrip("=")
    return {
        "none at all": None,
        "empty": "",
        "no scheme": company.admin.token,
        "Basic": f"Basic {company.admin.token}",
        "garbage": "Bearer garbage",
        "three dots": "Bearer ...",
        "expired": f"Bearer {issue(company.config, company.admin.principal, seconds=-3600)}",
        "foreign": f"Bearer {forged(company, Ed25519PrivateKey.generate(), 'EdDSA')}",
        "unsigned": f"Bearer {forged(company, None, 'none')}",
        "signed with the public key": f"Bearer {signed}.{confused}",
        "signature cut": f"Bearer {head}.{body}.",
        "signature of another": f"Bearer {head}.{body}.{company.li.token.split('.')[2]}",
        "body of another": f"Bearer {head}.{company.li.token.split('.')[1]}.{signature}",
    }


BAD_TOKENS = (
    "none at all", "empty", "no scheme", "Basic", "garbage", "three dots", "expired", "foreign", "unsigned",
    "signed with the public key", "signature cut", "signature of another", "body of another",
)  # fmt: skip


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_bad_token_is_refused(company: Company, name: str) -> None:
    header = bad_tokens(company)[name]
    sent = {} if header is None else {"Authorization": header}
    with nothing_stored(company):
        for method, path in (("GET", "/products"), ("POST", "/products"), ("POST", "/bulk/add-product")):
            answer = company.http.request(method, path, headers=sent, json=product() if method == "POST" else None)
            assert problem_of(answer, "UNAUTHENTICATED")["field"] == "Authorization"
            assert answer.headers["www-authenticate"] == "Bearer"


def test_no_token_may_claim_to_be_salestream_itself(company: Company) -> None:
    itself = company.person(Principal(uuid.uuid4(), "Salestream", frozenset({"SYSTEM"})))
    itself.assert_refused("UNAUTHENTICATED", "POST", "/products", product())


@pytest.mark.parametrize(
    ("name", "method", "path", "right"),
    [
        ("li", "POST", "/products", "products.edit"),
        ("chen", "POST", "/products", "products.edit"),
        ("wang", "POST", "/orders", "orders.edit"),
        ("wang", "POST", "/customers", "customers.edit"),
        ("li", "POST", f"/orders/{NOBODYS}/payments", "payments"),
        ("li", "POST", f"/shipments/{NOBODYS}/hand-over", "shipping"),
        ("mei", "PUT", "/settings/sales-process", "settings"),
        ("li", "GET", "/reports/sales-by-day", "reports.sales"),
        ("wang", "GET", "/customers", "customers.view"),
        ("li", "POST", "/bulk/add-product", "products.edit"),
    ],
)
def test_a_right_one_does_not_hold_is_named(company: Company, name: str, method: str, path: str, right: str) -> None:
    with nothing_stored(company):
        problem = getattr(company, name).assert_refused("FORBIDDEN", method, path, None if method == "GET" else {})
    assert problem["state"] == right


def test_what_a_query_shows_of_a_setting_is_taken_back_and_changes_nothing(company: Company) -> None:
    admin, sent = company.admin, 0
    for view in Catalogue.read().views():
        one = query_docs(view)[-1]
        for spec in setters(view):
            if spec.method != "PUT" or spec.name == "SetLogo":
                continue
            of = next(item.default for item in fields(spec.cls) if item.name == spec.key)
            for id in [of] if isinstance(of, str) else view.defaults:
                row = admin.get(f"{view.path}/{id}")
                shown = row.keys() & one.row_schema["properties"].keys()
                assert {told["command"]: told["allowed"] for told in row["actions"]}[spec.name], f"{view.path}/{id}"
                body = {name: row[name] for name in shown if not one.row_schema["properties"][name].get("readOnly")}
                with nothing_stored(company):
                    admin.do("PUT", str(spec.path).format(name=id), row["values"] if view.name == "settings" else body)
                sent += 1
    assert sent >= len(DEFAULTS) + len(PARAMETERS)


def test_salespeople_see_their_own_orders_only(company: Company) -> None:
    id = add_product(company.wang, "10.00", 100)
    own = add_order(company.li, add_customer(company.li), (id, 1, None))
    others = add_order(company.tanaka, add_customer(company.tanaka), (id, 1, None))

    assert order_page(company.li, own)["id"] == own
    company.li.assert_refused("NOT_FOUND", "GET", f"/orders/{others}")
    listed = {row["id"] for row in company.li.items("/orders", limit=200)}
    assert own in listed and others not in listed
    owner = str(company.tanaka.principal.user_id)
    assert company.li.items("/orders", owner_id=owner) == []
    sheet = company.li.send("GET", "/orders", params={"format": "csv"})
    assert own in sheet.text and others not in sheet.text
    assert company.li.get("/orders", owner_id=owner, count="true")["total"] == 0
    for above in (company.sato, company.admin):
        assert {own, others} <= {row["id"] for row in above.items("/orders", limit=200)}
    stranger = company.person(Principal(uuid.uuid4(), "other", frozenset({"SUP"})))
    assert stranger.items("/orders") == []
    with nothing_stored(company):
        company.li.assert_refused("FORBIDDEN", "POST", f"/orders/{others}/submit")


def test_the_purchase_price_is_hidden_from_sales(company: Company) -> None:
    id = add_product(company.wang)
    for name, sees in (("li", False), ("sato", False), ("wang", False), ("chen", True), ("mei", True), ("admin", True)):
        person: Person = getattr(company, name)
        row = person.get(f"/products/{id}")
        assert ("purchase_price" in row) is sees, name
        assert ("purchase_price" in person.items("/products", limit=1)[0]) is sees
        header = person.send("GET", "/products", params={"format": "csv", "heads": "names"}).text.splitlines()[0]
        assert ("purchase_price" in header) is sees
    assert company.li.assert_refused("VALIDATION", "GET", "/products", params={"sort": "purchase_price"})


# -- once, and in the right version -----------------------------------------------------------------------------------


def test_a_stale_version_is_refused_and_names_the_newer(company: Company) -> None:
    id = add_product(company.wang)
    company.wang.do("PATCH", f"/products/{id}", {"brand": "Second"}, match='"1"')
    with nothing_stored(company):
        stale = company.wang.assert_refused(
            "VERSION_CONFLICT", "PATCH", f"/products/{id}", {"brand": "Third"}, match='"1"'
        )
        assert (stale["status"], stale["field"], stale["state"]) == (409, "If-Match", "2")
        for match in ("1", '"x"', '"1", "2"', '"-1"', '"' + "9" * 30 + '"'):
            wrong = company.wang.assert_refused(
                "VALIDATION", "PATCH", f"/products/{id}", {"brand": "Third"}, match=match
            )
            assert wrong["field"] == "If-Match"
    etag = company.wang.send("GET", f"/products/{id}").headers["etag"]
    assert etag == '"2"'
    assert company.wang.do("PATCH", f"/products/{id}", {"brand": "Third"}, match=etag)["version"] == 3


def test_a_repeat_with_its_key_gets_the_same_answer_and_stores_nothing(company: Company) -> None:
    body, key = product(opening_stock=5), uuid.uuid4().hex
    first = company.wang.send("POST", "/products", body, key=key)
    assert first.status_code == 201
    with nothing_stored(company):
        again = company.wang.send("POST", "/products", body, key=key)
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers[HEADER].split(",") and again.headers["etag"] == first.headers["etag"]
        other = company.wang.assert_refused("KEY_REUSED", "POST", "/products", {**body, "opening_stock": 6}, key=key)
        assert (other["status"], other["field"]) == (409, "Idempotency-Key")
        id = first.json()["id"]
        wrong = company.wang.assert_refused(
            "KEY_REUSED", "POST", f"/products/{id}/receipts", {"quantity": 1, "reason": "x"}, key=key
        )
        assert wrong["field"] == "Idempotency-Key"


def test_the_same_key_of_another_user_is_another_key(company: Company) -> None:
    key = uuid.uuid4().hex
    ids = {person.post("/products", product(), key=key)["id"] for person in (company.wang, company.admin)}
    assert len(ids) == 2


@pytest.mark.parametrize("key", ["", "a b", "x" * 201, "ключ"])
def test_a_key_that_is_none_is_refused(company: Company, key: str) -> None:
    with nothing_stored(company):
        answer = company.http.post(
            "/products",
            json=product(),
            headers=[
                (b"Authorization", f"Bearer {company.wang.token}".encode()),
                (b"Idempotency-Key", key.encode()),
            ],
        )
        assert problem_of(answer, "VALIDATION")["field"] == "Idempotency-Key"


def test_a_refused_command_may_be_repeated_under_its_key(company: Company) -> None:
    id, key = add_product(company.wang, stock=0), uuid.uuid4().hex
    take = {"change": -1, "reason": "sold"}
    with nothing_stored(company):
        company.wang.assert_refused("INSUFFICIENT_STOCK", "POST", f"/products/{id}/adjustments", take, key=key)
    company.wang.post(f"/products/{id}/receipts", {"quantity": 1, "reason": "restocked"})
    assert company.wang.post(f"/products/{id}/adjustments", take, key=key)["on_hand"] == 0


def test_a_bulk_with_mixed_items_answers_each_by_itself(company: Company) -> None:
    taken, key = product(), uuid.uuid4().hex
    items: list[Any] = [
        {"command": product()},
        {"command": product(opening_stock=-1)},
        {"command": taken},
        {"command": taken},
        {"command": product(), "idempotency_key": key},
        {"command": product(), "idempotency_key": key},
        {"command": product(), "if_match": "x"},
        {"command": product(), "why": 1},
        "no object",
        {"command": product()},
    ]
    before = positions(company)["inventory"]
    answer = company.wang.send("POST", "/bulk/add-product", {"items": items})
    assert answer.status_code == 200
    company.wang.company.remember(answer.headers[HEADER])
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [201, 400, 201, 409, 201, 409, 400, 400, 400, 201]
    named = [result["body"].get("field") for result in results if result["status"] >= 400]
    assert named == ["opening_stock", "name", "Idempotency-Key", "If-Match", "why", "items"]
    kept = [result["body"]["id"] for result in results if result["status"] == 201]
    per_product = positions(company)["inventory"] - before
    assert per_product % len(kept) == 0  # each of the four left the same events, the refused ones none
    for id in kept:
        assert company.wang.get(f"/products/{id}")["id"] == id

    with nothing_stored(company):
        wrong: list[dict[str, Any]] = [{}, {"items": []}, {"items": {}}, {"items": [{"command": product()}] * 501}]
        for body in wrong:
            assert company.wang.assert_refused("VALIDATION", "POST", "/bulk/add-product", body)["field"] == "items"


# -- queries ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        "garbage", "orders.events:0", "orders.events:0=x", "orders.events:0=-1", "orders.commands:0=1", ",", "=",
        "orders.events:0=1;inventory.events:0=1", "../orders.events:0=1", ",".join(["orders.events:0=1"] * 200),
        "orders.events:0=" + "9" * 30, "orders.events:0=99999999999", "orders.events:9999=1", "nobodys.events:0=1",
    ],
)  # fmt: skip
def test_a_consistency_token_that_was_not_ours_is_refused(company: Company, token: str) -> None:
    with nothing_stored(company):
        for method, path in (("GET", "/products"), ("GET", f"/products/{uuid.uuid4()}"), ("POST", "/products")):
            body = product() if method == "POST" else None
            problem = company.wang.assert_refused("VALIDATION", method, path, body, headers={HEADER: token})
            assert problem["field"] == HEADER


def waits_for_ever(company: Company, service: str, topic: str) -> str:
    """A token like a real one: a position there is, in partitions where nothing follows it."""
    end = positions(company)[service]
    return ",".join(f"{topic}:{partition}={end}" for partition in range(company.config.topic_partitions))


def test_whoever_waits_leaves_room_for_everybody_else(company: Company) -> None:
    """1,100 requests of one person wait for what does not come; health and others are answered meanwhile."""
    add_product(company.wang)
    token = waits_for_ever(company, "inventory", "inventory.events")
    host, _, port = company.http.base_url.netloc.decode().partition(":")
    head = f"GET /products HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {company.li.token}\r\n{HEADER}: {token}\r\n\r\n"
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_connection((host, int(port)), timeout=30)) for _ in range(1_100)]
        for connection in sockets:
            connection.sendall(head.encode())
        for path in ("/livez", "/readyz", "/metrics"):
            assert company.http.get(path).status_code == 200
        assert company.mei.send("GET", "/products", headers={HEADER: ""}).status_code == 200
        answered = select.poll()
        for connection in sockets:
            answered.register(connection, select.POLLIN)
        waiting = len(sockets) - len(answered.poll(0))
        assert waiting, "all had been answered before: the others had nothing to wait behind"
        statuses = Counter(connection.recv(12)[-3:] for connection in sockets)
    assert statuses.keys() <= {b"429", b"503", b"200"}
    assert statuses[b"429"] >= 900


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("/products", {"colour": "red"}, "colour"),
        ("/products", {"$where": "1"}, "$where"),
        ("/products", {"limit": "0"}, "limit"),
        ("/products", {"limit": "201"}, "limit"),
        ("/products", {"limit": "many"}, "limit"),
        ("/products", {"limit": "-1"}, "limit"),
        ("/products", {"sort": "colour"}, "sort"),
        ("/products", {"sort": "_id.x"}, "sort"),
        ("/products", {"cursor": "x"}, "cursor"),
        ("/products", {"cursor": "bnVsbA"}, "cursor"),
        ("/products", {"cursor": urlsafe_b64encode(b'["j",{"$gt":""},"x"]').decode()}, "cursor"),
        ("/products", {"format": "pdf"}, "format"),
        ("/products", {"on_hand_from": "few"}, "on_hand_from"),
        ("/products", {"on_hand_to": "1" * 30}, "on_hand_to"),
        ("/products", {"sale_price_from": "NaN"}, "sale_price_from"),
        ("/products", {"sale_price_to": "1e400"}, "sale_price_to"),
        ("/products", {"q": "x" * 501}, "q"),
        ("/products", {"brand": "a\x00b"}, "brand"),
        ("/orders", {"order_date_from": "2026-02-30"}, "order_date_from"),
        ("/orders", {"order_date_from": "yesterday"}, "order_date_from"),
        ("/orders", {"amount_to": "--1"}, "amount_to"),
        (f"/orders/{NOBODYS}", {"limit": "1"}, "limit"),
        ("/orders", {"where": "amount > 1"}, "where"),
        ("/orders", {"where": '{"field": "amount", "is": "contains", "value": "1"}'}, "where.amount"),
        ("/orders", {"where": '{"field": "\\ud800", "is": "equal", "value": "1"}'}, "where"),
        ("/orders", {"group": "customer_name"}, "group"),
        ("/orders", {"group": "status", "sum": "status"}, "sum"),
    ],
)
def test_a_wrong_parameter_is_named(company: Company, path: str, params: dict[str, str], field: str) -> None:
    assert company.admin.assert_refused("VALIDATION", "GET", path, params=params)["field"] == field


def test_uix_13_conditions_groups_and_pages_reach_the_list_as_they_were_sent(company: Company) -> None:
    brand = unique("京 & 50% + ")
    made = [add_product(company.wang, brand=brand, stock=7) for _ in range(3)]
    is_brand = {"field": "brand", "is": "equal", "value": brand}
    where = json.dumps({"and": [is_brand, {"field": "id", "is": "one_of", "value": made}]}, ensure_ascii=False)
    first = company.wang.get("/products", where=where, limit="2", sum="on_hand", count="true")
    assert first["groups"] == [{"value": None, "count": first["total"], "sums": {"on_hand": 21}}]
    last = company.wang.get("/products", where=where, limit="2", cursor=first["next"])
    assert {row["id"] for row in (*first["items"], *last["items"])} == set(made)
    again = company.wang.get("/products", where=where, limit="2", cursor=last["previous"])
    assert (again["items"], again["previous"], last["last"]) == (first["items"], None, None)


def test_words_of_a_search_are_no_pattern(company: Company) -> None:
    add_product(company.wang)
    for text in (".*", "(a+)+$", "[", "\\", "{$ne:1}", "(?s)."):
        assert company.li.items("/products", q=text) == [], text


def test_pages_have_no_gaps_and_no_doubles(company: Company) -> None:
    brand = unique("Paged")
    stocks = [number % 4 for number in range(23)]  # many equal values: the order within them must be firm too
    items = [{"command": product(brand=brand, opening_stock=stock)} for stock in stocks]
    answer = company.wang.send("POST", "/bulk/add-product", {"items": items})
    company.remember(answer.headers[HEADER])
    made = {result["body"]["id"] for result in answer.json()["results"]}
    assert len(made) == 23

    for sort in ("on_hand", "-on_hand", "name", "-sale_price"):
        for limit in (1, 4, 23, 200):
            rows = company.li.items("/products", brand=brand, sort=sort, limit=limit)
            ids = [row["id"] for row in rows]
            assert len(ids) == 23 and set(ids) == made, (sort, limit)
            values = [row[sort.lstrip("-")] for row in rows]
            assert values == sorted(values, reverse=sort.startswith("-"))
    assert company.li.get("/products", brand=brand, limit=5, count="true")["total"] == 23
    some = company.li.items("/products", brand=brand, on_hand_from=1, on_hand_to=2)
    assert sorted(row["on_hand"] for row in some) == sorted(stock for stock in stocks if 1 <= stock <= 2)


DANGEROUS = ('=HYPERLINK("http://x")', "+1+1", "-1+1", "@SUM(A1)", "=cmd|' /C calc'!A0")


def test_exports_open_and_no_cell_is_a_formula(company: Company) -> None:
    brand = unique("导出")
    for text in DANGEROUS:
        made = product(name=f"{text} {uuid.uuid4().hex}", brand=brand, model='型号,"A"', specification="一\n二")
        company.wang.post("/products", made)

    answer = company.li.send("GET", "/products", params={"brand": brand, "format": "csv", "heads": "names"})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert len(rows) == len(DANGEROUS)
    assert {row["model"] for row in rows} == {'型号,"A"'} and {row["specification"] for row in rows} == {"一\n二"}
    assert {row["brand"] for row in rows} == {brand}
    assert all(row["name"][1:].startswith(DANGEROUS) and row["name"][0] == "'" for row in rows)

    answer = company.li.send("GET", "/products", params={"brand": brand, "format": "xlsx", "heads": "names"})
    sheet = openpyxl.load_workbook(io.BytesIO(answer.content)).active
    assert sheet is not None
    header, *body = list(sheet.iter_rows())
    names = [cell.value for cell in header]
    assert "purchase_price" not in names
    assert len(body) == len(DANGEROUS)
    for row in body:
        assert all(cell.data_type != "f" for cell in row)
        values = dict(zip(names, (cell.value for cell in row), strict=True))
        assert values["brand"] == brand and values["model"] == '型号,"A"'
        assert values["specification"] == "一\n二"
        assert str(values["name"]).startswith(DANGEROUS)


@pytest.mark.parametrize(
    "name",
    [
        "苹果手机 十五",
        "アイフォン「15」ﾌﾟﾛ",
        "𠮷野家 👩‍👩‍👧",
        "Ünï\u0301 – “x” / \\ % & ?",
        "مُؤَسَّسَة النور (2026) Acme",  # from right to left, with marks, and from left to right again
        "חברת אור \u200fSO-1\u200e",
        "\u0ba8\u0bbf \u0e19\u0e49\u0e33 a\u0323\u0307",  # combining marks in several orders
        "zero\u200bwidth\u200dand\u2060joiners",
    ],
)
def test_text_of_any_script_comes_back_as_it_went(company: Company, name: str) -> None:
    tag = uuid.uuid4().hex[:8]
    name = f"{name} {tag}"
    id = company.wang.post("/products", product(name=name, brand=name, description=name))["id"]
    row = company.li.get(f"/products/{id}")
    typed, name = name, unicodedata.normalize("NFC", name)
    assert (row["name"], row["brand"], row["description"]) == (name, name, name)
    assert [found["id"] for found in company.li.items("/products", q=typed)] == [id]
    assert [found["id"] for found in company.li.items("/products", name=name)] == [id]
    assert [found["id"] for found in company.li.items("/products", q=name)] == [id]
    customer = add_customer(company.li, company=name, address="東京都千代田区丸の内1丁目")
    order = add_order(company.li, customer, (str(id), 1, None), note=name)
    page = order_page(company.li, order)
    assert (page["lines"][0]["name"], page["note"]) == (name, name)
    assert page["customer"]["address"] == "東京都千代田区丸の内1丁目"


def test_the_correlation_id_of_a_request_comes_back_with_its_problem(company: Company) -> None:
    sent = {"X-Correlation-ID": "call-4711"}
    problem = company.wang.assert_refused("VALIDATION", "POST", "/products", {}, headers=sent)
    assert problem["correlation_id"] == "call-4711"
    injected = company.wang.assert_refused(
        "VALIDATION", "POST", "/products", {}, headers={"X-Correlation-ID": "x{y}<z>"}
    )
    assert "correlation_id" not in injected


def test_a_submitted_order_is_answered_while_it_moves_on(company: Company) -> None:
    id = add_product(company.wang, "10.00", 5)
    order = add_order(company.li, add_customer(company.li), (id, 1, None))
    company.li.post(f"/orders/{order}/submit")
    await_status(company.li, order, "SHIPPED")

    def settled() -> None:
        assert order_page(company.li, order)["waiting_for"] == "delivery"

    eventually(settled)  # so that no later test sees this order's events
    with nothing_stored(company):
        for act, body in (("submit", None), ("cancel", {"reason": "x"}), ("withdraw", None), ("retry", None)):
            problem = company.li.assert_refused("INVALID_STATE", "POST", f"/orders/{order}/{act}", body)
            assert problem["state"] == "SHIPPED"


def test_health_and_metrics_need_no_token(company: Company) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        answer = company.http.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] != PROBLEM
