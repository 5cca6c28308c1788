"""The OWASP API Security Top 10 of 2023, item by item, where no other test already shows it (see README.md)."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import pytest
import yaml

from chassis.documents import repository
from chassis.documents.samples import sample
from chassis.foundation.config import Config
from chassis.http.commands import MAX_BULK
from chassis.http.routes import kebab
from chassis.messaging.records import read_record
from contracts.declare import REGISTRY, CommandSpec
from contracts.lists import MOST_ROWS
from contracts.orders import OrderCancelled
from security.office import DEFAULT, PASSWORD, Office, new_id
from security.teams import Team, add_product

COMMANDS = [spec for spec in REGISTRY.load().commands.values() if spec.is_public]


NAMED = {"role": "NOBODY", "right": "payments", "dictionary": "importance", "entry": "HIGH", "key": "seats"}
"""What stands in paths and is no id."""
EXTRAS = {"owner_id", "version", "status", "roles", "by", "epoch", "paid", "on_hand", "__class__"}


def of(spec: CommandSpec) -> str:
    return spec.name


class TestAPI1BrokenObjectLevelAuthorization:
    """The scopes have tests of their own (test_scopes.py); here what ids alone open."""

    @pytest.mark.parametrize("spec", [spec for spec in COMMANDS if "_id}" in str(spec.path)], ids=of)
    def test_an_id_that_names_nothing_changes_nothing(self, office: Office, spec: CommandSpec) -> None:
        """Also for an administrator."""
        assert spec.path is not None
        named = {name: new_id() for name in re.findall(r"{(\w+_id)}", spec.path)} | {"role": "SAL"}
        body = {name: value for name, value in sample(spec.cls).items() if f"{{{name}}}" not in spec.path}
        before = office.state()
        told = office.call(f"{spec.method} {spec.path.format(**named)}", body, office.admin)
        assert 400 <= told.status < 500, told.body
        assert office.state() == before

    def test_an_id_of_another_kind_of_record_names_nothing(self, office: Office) -> None:
        department = office.call("POST /departments", {"name": "Sales"}, office.admin).done()["id"]
        for request in (f"DELETE /users/{department}/sessions", f"POST /users/{department}/review"):
            assert office.call(request, {}, office.admin).code == "NOT_FOUND"


class TestAPI2BrokenAuthentication:
    """test_tokens.py, test_sign_in.py."""

    def test_every_route_asks_who_calls_unless_it_is_listed(self, office: Office) -> None:
        """What is open to anybody, by name; a new one must be put here on purpose."""
        anybody = {spec.name for spec in COMMANDS if spec.permission == "public"}
        assert anybody == {
            "RegisterUser", "RequestPasswordReset", "ResetPassword", "DrawChallenge", "SignIn", "ProveIdentity",
            "RefreshSession", "GetMachineToken", "ContactFromDevice", "AcknowledgeWipe",
        }  # fmt: skip
        assert not [spec.name for spec in COMMANDS if spec.permission == "public" and spec.bulk]


class TestAPI3BrokenObjectPropertyLevelAuthorization:
    """Hidden fields: tests/component/test_scopes.py."""

    @pytest.mark.parametrize("spec", COMMANDS, ids=of)
    def test_no_command_takes_a_field_it_does_not_declare(self, office: Office, spec: CommandSpec) -> None:
        """Mass assignment: whatever a record holds besides, a caller can't set it (single and bulk form)."""
        assert spec.path is not None
        named = {name: new_id() for name in re.findall(r"{(\w+)}", spec.path)} | NAMED
        declared = {item.name for item in fields(spec.cls)}
        body = {name: value for name, value in sample(spec.cls).items() if f"{{{name}}}" not in spec.path}
        path = f"{spec.method} {spec.path.format(**named)}"
        before = office.state()
        for extra in sorted(EXTRAS - declared):
            told = office.call(path, {**body, extra: "ADM"}, office.admin)
            assert (told.status, told.code) == (400, "VALIDATION"), told.body
            assert extra == told.body.get("field") or extra in {e["field"] for e in told.body.get("errors", ())}
            if spec.bulk:
                items = [{"command": {**sample(spec.cls), extra: "ADM"}}]
                told = office.call(f"POST /bulk/{kebab(spec.name)}", {"items": items}, office.admin)
                assert told.done()["results"][0]["status"] == 400
        assert office.state() == before

    def test_who_registers_gives_themselves_no_role(self, office: Office) -> None:
        body = {"name": "Li", "company": "Acme", "password": PASSWORD, "email": f"{new_id()[:8]}@example.com"}
        for extra in ("roles", "superior_id", "department_id", "login"):
            assert office.call("POST /registrations", {**body, extra: ["ADM"]}).body["field"] == extra
        assert office.call("POST /registrations", body).done()["roles"] == []


class TestAPI4UnrestrictedResourceConsumption:
    """Bodies, heads, rates and slow senders: the tests of the gateway.  Load: `make bench`."""

    def test_lists_pages_and_bulks_are_bounded(self, office: Office) -> None:
        for limit in ("0", "-1", str(MOST_ROWS + 1), "1e9", "99999999999"):
            told = office.call("GET /orders", by=office.admin, query={"limit": [limit]})
            assert (told.code, told.body["field"]) == ("VALIDATION", "limit")
        tried: list[list[Any]] = [[], [{"command": {}}] * (MAX_BULK + 1)]
        for items in tried:
            assert office.call("POST /bulk/add-product", {"items": items}, office.admin).body["field"] == "items"

    def test_a_code_is_sent_five_times_an_hour(self, office: Office) -> None:
        """Else anybody could have somebody's mailbox filled."""
        login = office.issue("SAL", email=f"{new_id()[:8]}@example.com")
        before = len(office.mailbox.messages())
        for _ in range(8):
            office.call("POST /password-resets", {"name": login}).done()
        assert len(office.mailbox.messages()) - before == 5


class TestAPI5BrokenFunctionLevelAuthorization:
    """test_matrix.py: every route, bulk form and export, for every role."""

    def test_a_method_nobody_declared_is_no_way_in(self, office: Office) -> None:
        """No route serves more methods than it was declared with; HEAD, PUT or PATCH open nothing by accident."""
        for route in office.routes:
            assert route.method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        places = [(route.method, route.path) for route in office.routes]
        assert len(places) == len(set(places))

    def test_nobody_gives_themselves_rights(self, office: Office) -> None:
        """Only `accounts` reaches roles and grants, whatever else one holds."""
        for role in ("MGT", "FIN", "SUP", "HQ"):
            caller = office.user(role)
            for request, body in (
                (f"PUT /roles/ADM/members/{caller.user_id}", {}),
                (f"PUT /roles/{role}/rights/accounts", {"scope": "ALL"}),
                ("POST /machines", {"name": "x", "grants": [{"right": "accounts", "scope": "ALL"}]}),
                ("POST /users", {"login": new_id(), "name": "x", "default_password": DEFAULT, "roles": ["ADM"]}),
            ):
                assert office.call(request, body, caller).status == 403, (role, request)

    def test_salestreams_own_commands_have_no_route(self, office: Office) -> None:
        internal = {spec.name for spec in REGISTRY.commands.values() if spec.permission == "system"}
        assert internal and not internal & {route.name.removeprefix("Bulk") for route in office.routes}


class TestAPI6UnrestrictedAccessToSensitiveBusinessFlows:
    """Buying the last unit: test_api.py `inv_12`; rates: the tests of the gateway."""

    def test_APR_12_nobody_approves_what_they_submitted_nor_two_nodes(self, office: Office) -> None:
        boss = office.user("SUP", "FIN")
        team = Team(office, "OWN", boss, {"own": boss}, "")
        own = team.case(boss, submitter=boss)
        other = team.case(boss, route=("SUPERVISOR", "FINANCE"))
        office.call(f"POST /approvals/{other}/approve", {}, boss).done()
        for case in (own, other):
            before = office.state()
            for decision, body in (("approve", {}), ("reject", {"reason": "x"})):
                assert office.call(f"POST /approvals/{case}/{decision}", body, boss).code == "FORBIDDEN"
            assert office.state() == before

    def test_a_payment_never_exceeds_what_is_open(self, office: Office) -> None:
        seller = office.user("SAL")
        team = Team(office, "OWN", seller, {"own": seller}, add_product(office))
        order = team.order(seller, submitted=True)
        for amount in ("100.01", "-1", "0"):
            told = office.call(f"POST /orders/{order}/payments", {"amount": amount}, office.admin)
            assert (told.code, told.body["field"]) == ("VALIDATION", "amount")


class TestAPI7ServerSideRequestForgery:
    """Nothing is fetched for a caller yet: no webhook, no import by address.  Who adds one meets these tests."""

    ADDRESS = re.compile(r"(^|_)(ur[il]s?|links?|hrefs?|webhooks?|callbacks?|endpoints?|hosts?|addresses_of)(_|$)")

    def parts(self, cls: type) -> Iterator[tuple[str, type]]:
        for name, hint in get_type_hints(cls).items():
            yield name, hint
            for part in (hint, *get_args(hint)):
                if isinstance(part, type) and is_dataclass(part):
                    yield from self.parts(part)

    @pytest.mark.parametrize("spec", COMMANDS, ids=of)
    def test_no_command_takes_an_address_to_fetch(self, spec: CommandSpec) -> None:
        assert not [name for name, _ in self.parts(spec.cls) if self.ADDRESS.search(name)]
        assert not self.ADDRESS.search(kebab(spec.name).replace("-", "_"))

    def test_no_field_of_the_api_is_of_the_kind_address(self) -> None:
        """What a filter is compared with is nothing to go to; what a body says might be."""
        _, _, bodies = (repository() / "contracts" / "openapi.yaml").read_text().partition("\ncomponents:\n")
        assert bodies and not re.findall(r"format: (uri|url|iri|hostname|ipv4|ipv6)", bodies)


class TestAPI8SecurityMisconfiguration:
    """Headers, CORS, TLS and cookies: the tests of the gateway."""

    def test_what_fails_inside_tells_nothing_of_it(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(*_: Any, **__: Any) -> None:
            raise RuntimeError("secret detail")

        monkeypatch.setattr(office.directory, "roles", fails)
        told = office.call("GET /roles", by=office.admin)
        assert (told.status, told.code) == (500, "INTERNAL")
        assert "secret detail" not in str(told.body) and "Traceback" not in str(told.body)

    def test_the_defaults_are_the_safe_ones(self, office: Office) -> None:
        assert Config().test_tokens == 0
        assert office.call("POST /sessions", {"name": "admin", "password": "admin"}).status == 401

    def test_a_default_password_opens_nothing_but_its_change(self, office: Office) -> None:
        limited = office.sign_in(office.issue("ADM"), DEFAULT)
        assert office.call("GET /users", by=limited).body["state"] == "DEFAULT_PASSWORD"


class TestAPI9ImproperInventoryManagement:
    """Old versions and /metrics: the tests of the gateway."""

    def test_the_published_operations_are_the_routes(self, office: Office) -> None:
        paths = yaml.safe_load((repository() / "contracts" / "openapi.yaml").read_text())["paths"]
        published = {(method.upper(), path) for path, operations in paths.items() for method in operations}
        for operators in ("/livez", "/readyz", "/metrics"):  # for those who run it: README.md
            published.add(("GET", operators))
        assert published == {(route.method, route.path) for route in office.routes}


class TestAPI10UnsafeConsumptionOfAPIs:
    """What comes from elsewhere comes over Kafka today: it is checked, and set aside when it is wrong."""

    @pytest.mark.parametrize(
        "value",
        [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"order_id": 1}', b"[" * 50_000, b'{"order_id": {"$gt": ""}}'],
    )
    def test_a_record_that_breaks_its_contract_is_set_aside(self, value: bytes) -> None:
        kind = "salestream.orders.order-cancelled.v1"
        headers = [("ce_type", kind.encode()), ("ce_position", b"1"), ("ce_time", b"2026-03-02T01:00:00+00:00")]
        record = SimpleNamespace(topic="orders.events", partition=0, offset=0, key=b"k", value=value, headers=headers)
        found = read_record(record, {kind: OrderCancelled})
        assert found.poison and found.fact is None

    @pytest.mark.parametrize("headers", [None, [], [("ce_type", b"x")], [("ce_type", b"\xff")]])
    def test_a_record_that_does_not_say_what_it_is_is_set_aside(self, headers: Any) -> None:
        record = SimpleNamespace(topic="orders.events", partition=0, offset=0, key=None, value=b"{}", headers=headers)
        assert read_record(record, {}).poison


def test_every_item_has_a_class() -> None:
    names = [name for name in globals() if name.startswith("TestAPI")]
    assert [int(re.findall(r"\d+", name)[0]) for name in names] == list(range(1, 11))
