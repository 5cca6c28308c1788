"""Settings, and whatever else is set as a whole: read before anybody set it, put back as it is read, and restored."""

import ast
import base64
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import pytest
from component.records import FILLED, Filled, fields_of
from component.support import REPOSITORY_ROOT
from PIL import Image
from security.office import EmptyViews

from chassis.access.directory import Directory
from chassis.access.tokens import TokenVerifier, issue
from chassis.catalogue import Catalogue, known_everywhere
from chassis.documents.query_docs import query_docs, setters
from chassis.foundation.config import Config
from chassis.http.edge import Api
from chassis.http.messages import HttpRequest
from chassis.http.serving import routes_of
from chassis.model.views import COMPANY_CURRENCY, View
from chassis.projections.documents import stored
from chassis.queries.reader import ViewReader
from chassis.queries.rows import plain
from chassis.store.event_store import EventStore
from chassis.store.memory import MemoryRecorder
from chassis.testing.people import ADMIN
from chassis.testing.services import InMemoryService
from chassis.testing.views import documents
from chassis.writer.writer import Writer
from contracts.company import CompanyData, CompanyDataSet, ParameterSet, SetCompanyData, SetLogo, SetParameter
from contracts.declare import KEPT, REGISTRY, CommandSpec
from contracts.errors import Refused
from contracts.parameters import PARAMETERS, limit_of
from contracts.records import KINDS
from contracts.schemas import load
from contracts.settings import DEFAULTS
from contracts.types import Money

SERVICES = {service.name: service for service in Catalogue.read().services()}
VIEWS = Catalogue.read().views()
SETTINGS = next(view for view in VIEWS if view.name == "settings")
PARAMETERS_VIEW = next(view for view in VIEWS if view.name == "parameters")
COMMANDS = {
    str(spec.path).removeprefix("/settings/"): spec
    for spec in REGISTRY.commands.values()
    if spec.method == "PUT" and str(spec.path).startswith("/settings/") and str(spec.path).count("/") == 2
}
NEVER_TAKEN_AWAY = {"full_name"}
"""What has no default to go back to: a company that has a name keeps one."""


def _red() -> str:
    out = io.BytesIO()
    Image.new("RGB", (200, 200), "red").save(out, format="PNG")
    return base64.b64encode(out.getvalue()).decode()


RED_DOT = _red()
CHANGED: dict[str, dict[str, Any]] = {
    "sales-process": {"threshold": "700.00", "currency": "CNY", "route": ["FINANCE"], "shipping": "WAREHOUSE",
                      "rates": [{"currency": "EUR", "rate": "1.10"}]},
    "customers": {"required": ["name"]},
    "access": {"self_registration": False, "first_sign_in_code": True, "challenge": "NEVER",
               "second_factor_roles": ["SAL"]},
    "notices": {"ways": [{"occasion": "STOCK_LOW", "ways": ["MAIL"]}]},
    "devices": {"lock_minutes": 5, "allowed_apps": ["Mail"]},
    "company": {"full_name": "Yun Ke Ltd", "phone": "13800000001", "address": "1 Nanjing Road",
                "email": "li@example.com", "currency": "USD", "language": "en", "time_zone": "Asia/Tokyo"},
}  # fmt: skip


def shown(facts: list[Any], id: str) -> dict[str, Any]:
    """The row of the settings view, as JSON shows it."""
    document = documents(SETTINGS, [fact for fact in facts if type(fact) in SETTINGS.handlers]).get(id)
    document = {"_id": id, **(SETTINGS.defaults[id] if document is None else document), COMPANY_CURRENCY: "CNY"}
    found: dict[str, Any] = {name: plain(stored(SETTINGS.computed[name](document))) for name in ("values", "defaults")}
    return json.loads(json.dumps({**found, "version": document["version"]}))  # type: ignore[no-any-return]


@pytest.fixture
def kit(id: str) -> InMemoryService:
    return InMemoryService(SERVICES[COMMANDS[id].service])


def put(kit: InMemoryService, id: str, values: dict[str, Any]) -> None:
    kit.do(load(COMMANDS[id].cls, values))


def test_every_group_of_settings_has_defaults_and_is_shown() -> None:
    assert set(COMMANDS) == set(DEFAULTS) == set(SETTINGS.defaults) == set(CHANGED)
    for id, spec in COMMANDS.items():
        names = {item.name for item in fields(spec.cls)} - {"settings_id"}
        assert names - {"logo"} == set(DEFAULTS[id]) == set(CHANGED[id]), (
            f"{id}: every field of the command can be read"
        )


@pytest.mark.parametrize("id", COMMANDS)
def test_what_was_never_set_is_shown_with_its_defaults_which_can_be_put(kit: InMemoryService, id: str) -> None:
    row = shown([], id)
    assert row["version"] == 0
    assert row["values"] == row["defaults"]
    put(kit, id, row["values"])
    assert kit.facts() == [], "these were in force already"


@pytest.mark.parametrize("id", COMMANDS)
def test_what_is_shown_can_be_put_back_and_changes_nothing(kit: InMemoryService, id: str) -> None:
    put(kit, id, CHANGED[id])
    row = shown(kit.facts(), id)
    assert row["values"].keys() == CHANGED[id].keys()
    before = kit.facts()
    assert before
    put(kit, id, row["values"])
    assert kit.facts() == before


@pytest.mark.parametrize("id", COMMANDS)
def test_the_defaults_restore_what_was_set(kit: InMemoryService, id: str) -> None:
    put(kit, id, CHANGED[id])
    kept = {name: CHANGED[id][name] for name in NEVER_TAKEN_AWAY & CHANGED[id].keys()}
    put(kit, id, shown(kit.facts(), id)["defaults"] | kept)
    row = shown(kit.facts(), id)
    assert row["values"] == row["defaults"] | kept


@pytest.mark.parametrize("id", COMMANDS)
def test_what_is_left_out_keeps_its_value(kit: InMemoryService, id: str) -> None:
    put(kit, id, CHANGED[id])
    before = kit.facts()
    for name in CHANGED[id]:
        put(kit, id, {given: value for given, value in CHANGED[id].items() if given != name})
    put(kit, id, {})
    assert kit.facts() == before
    given = {item.name: item.default for item in fields(COMMANDS[id].cls)}
    assert {default is KEPT for name, default in given.items() if name != "settings_id"} == {True}


PUTS = {
    spec.name: spec
    for spec in REGISTRY.commands.values()
    if spec.method == "PUT" and str(spec.path).startswith("/settings/")
}
"""Every command that sets something, the logo and the parameters too."""
STATES: dict[str, list[tuple[type, dict[str, Any]]]] = {
    "never set": [],
    "set": [
        *((spec.cls, CHANGED[id]) for id, spec in COMMANDS.items()),
        (SetLogo, {"image": RED_DOT}),
        (SetParameter, {"name": "lists.rows", "value": "7", "reason": "policy"}),
        (SetParameter, {"name": "greeting", "value": "hello", "reason": "for people"}),
    ],
}
IN_YEN = CompanyDataSet(settings_id="company", data=CompanyData(currency="JPY"), revision=9)


def bodies(kit: InMemoryService, spec: CommandSpec) -> Iterator[dict[str, Any]]:
    """What queries show of the records that a command sets, as far as it is not read-only."""
    nowhere: Any = None
    for view in VIEWS:
        if spec not in setters(view):
            continue
        reader = ViewReader(nowhere, view, company=kit.directory.company)
        found = documents(view, [fact for fact in kit.facts() if type(fact) in view.handlers])
        schema = next(doc for doc in query_docs(view) if not doc.is_list).row_schema["properties"]
        of = next(item.default for item in fields(spec.cls) if item.name == spec.key)
        for key in {*found, *view.defaults} & ({of} if isinstance(of, str) else {*found, *view.defaults}):
            document = {"_id": key, **found[key]} if key in found else reader._default(key)
            assert document is not None
            row = json.loads(json.dumps(reader.rows.told([document], ADMIN)[0]))
            if spec.cls is SetLogo:
                yield from [{"image": row["logo"]}] if "logo" in row else []
            elif view is SETTINGS:
                yield row["values"]
                yield row["defaults"] if not document["version"] else row["values"]
            else:
                named = {} if isinstance(of, str) else {spec.key: key}
                yield named | {name: value for name, value in row.items() if not schema[name].get("readOnly")}


@pytest.mark.parametrize("then", ["", "the company's currency changes"])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", PUTS)
def test_whatever_a_query_shows_of_a_setting_is_accepted_back_and_changes_nothing(
    name: str, state: str, then: str
) -> None:
    """The whole body, and each of its fields alone: what is left out is kept."""
    spec = PUTS[name]
    kit = InMemoryService(SERVICES[spec.service])
    for cls, values in STATES[state]:
        if REGISTRY.command_of(cls).service == spec.service:
            kit.do(load(cls, values))
    if then:
        kit.learn(IN_YEN)
    before, sent = kit.facts(), list(bodies(kit, spec))
    assert sent
    for body in sent:
        if spec.cls is SetCompanyData and "logo" not in body:
            assert body.keys() == DEFAULTS["company"].keys(), "the settings view"
        kit.do(load(spec.cls, body))
        key = {spec.key: body[spec.key]} if spec.key in body else {}
        for field, value in body.items():
            if "threshold" not in body or field not in ("threshold", "currency"):  # these say it together
                kit.do(load(spec.cls, key | {field: value}))
    assert kit.facts() == before


def test_a_change_of_a_setting_that_is_no_change_of_its_own_is_refused() -> None:
    kit = InMemoryService(SERVICES["company"])
    for cls, values in STATES["set"]:
        if REGISTRY.command_of(cls).service == "company":
            kit.do(load(cls, values))
    kit.assert_refused("VALIDATION", SetCompanyData(logo="AAAA"), field="logo")
    kit.assert_refused("VALIDATION", SetCompanyData(logo=""), field="logo")
    kit.assert_refused("VALIDATION", SetCompanyData(full_name=" "), field="full_name")
    kit.assert_refused("VALIDATION", SetLogo(image=""), field="image")
    kit.assert_refused("VALIDATION", SetParameter(name="lists.rows", value="8"), field="reason")


def test_SET_04_a_threshold_in_a_former_currency_is_sent_back_as_it_is_and_changed_in_the_new_one() -> None:
    kit = InMemoryService(SERVICES["orders"])
    put(kit, "sales-process", {"threshold": "700.00"})
    kit.learn(IN_YEN)
    put(kit, "sales-process", {"threshold": "700.00", "currency": "CNY"})
    put(kit, "sales-process", {"threshold": "700.00", "currency": "CNY", "shipping": "WAREHOUSE"})
    other: Any = load(COMMANDS["sales-process"].cls, {"threshold": "800.00", "currency": "CNY"})
    kit.assert_refused("VALIDATION", other, field="currency")
    put(kit, "sales-process", {"threshold": "700.00"})
    told = [(fact.threshold, fact.shipping) for fact in kit.facts()]
    yuan, yen = (Money(amount=Decimal(700), currency=one) for one in ("CNY", "JPY"))
    assert told == [(yuan, "AUTOMATIC"), (yuan, "WAREHOUSE"), (yen, "WAREHOUSE")]


SHOWN = {"full_name", "phone", "address", "email"}
"""What is there to be read by people: `GET /company` shows it (SET-01, ORD-12)."""


def attributes_read() -> set[str]:
    """The attributes that services and chassis read, but for the views, which show settings, and for tests."""
    found: set[str] = set()
    for path in [*Path("chassis").rglob("*.py"), *Path("services").rglob("*.py")]:
        if path.name.startswith("test") or path.is_relative_to("services/reports"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and not is_told(node.value):
                found.add(node.attr)
    return found


def is_told(node: ast.expr) -> bool:
    """Whether it is the command or the event by which a setting comes: taking it over is not yet obeying it."""
    by_name = isinstance(node, ast.Name) and node.id in ("command", "fact")
    return by_name or (isinstance(node, ast.Attribute) and node.attr == "data")


@pytest.mark.parametrize("id", DEFAULTS)
def test_no_setting_is_stored_and_read_by_nobody(id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY_ROOT)
    company = next(view for view in VIEWS if view.name == "company")
    assert {item.name for item in fields(company.row)} >= SHOWN
    assert DEFAULTS[id].keys() - SHOWN <= attributes_read()


def test_SET_05_every_parameter_that_is_declared_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY_ROOT)
    read = {
        name
        for path in [*Path("chassis").rglob("*.py"), *Path("services").rglob("*.py")]
        if not path.name.startswith("test")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "parameter"
        for argument in node.args
        for name in names_read(argument)
    }
    assert read == set(PARAMETERS)


def names_read(argument: ast.expr) -> list[str]:
    """The parameters that an argument names: itself, or a limit of each kind of record that has a pool."""
    if isinstance(argument, ast.Call) and isinstance(argument.func, ast.Name) and argument.func.id == "limit_of":
        limit: Any = ast.literal_eval(argument.args[1])
        return [limit_of(kind.path, limit) for kind in KINDS.values() if kind.pool]
    return [str(argument.value)] if isinstance(argument, ast.Constant) else []


@pytest.mark.parametrize("name", PARAMETERS)
def test_SET_05_every_process_obeys_a_parameter_at_once_and_after_a_restart(name: str) -> None:
    known = PARAMETERS[name]
    store = EventStore("orders", MemoryRecorder())
    directory = Directory(known_everywhere())
    writer = Writer(SERVICES["orders"], store, listener=directory)
    assert directory.company.parameter(name) == known.default
    for position, (revision, value) in enumerate([(2, "7"), (1, "9"), (3, "8")], start=1):
        told = ParameterSet(name=name, before="", value=value, reason="policy", revision=revision)
        writer.learn([told], {"position:company.events:0": position})
    again = Directory(known_everywhere())
    again.load(store)
    assert [one.company.parameter(name) for one in (directory, again)] == [8, 8]
    directory.tell([ParameterSet(name=name, before="", value="junk", reason="old", revision=4)])
    assert directory.company.parameter(name) == known.default, "set before it was checked"


@pytest.mark.parametrize("name", PARAMETERS)
def test_SET_05_a_parameter_is_shown_as_it_is_obeyed(name: str) -> None:
    """Never set, set, set back, and set before it was checked; one that nothing obeys is shown as it was set."""
    known, view = PARAMETERS[name], PARAMETERS_VIEW
    assert set(view.defaults) == set(PARAMETERS)

    def value(*values: str, of: str = name) -> tuple[str, str | None]:
        facts = [ParameterSet(name=of, before="", value=value, reason="policy") for value in values]
        document = documents(view, facts).get(of) or {"_id": of, **view.defaults[of]}
        row = {"_id": of, **document}
        return view.computed["value"](row), view.computed["default"](row)

    default = str(known.default)
    assert value() == value("7", "") == value("junk") == (default, default)
    assert value("7") == ("7", default)
    assert value("junk", of="greeting") == ("junk", None)


def test_SET_05_a_page_has_as_many_rows_as_the_company_wants() -> None:
    nowhere: Any = None
    directory = Directory(known_everywhere())
    reader = ViewReader(nowhere, SETTINGS, company=directory.company)
    assert reader.asking.limit(ADMIN, None) == 50
    directory.tell([ParameterSet(name="lists.rows", before="", value="5", reason="policy", revision=1)])
    assert (reader.asking.limit(ADMIN, None), reader.asking.limit(ADMIN, "9")) == (5, 9)


# -- records that are changed ------------------------------------------------------------------------------------------


def rows_of(spec: CommandSpec, made: Filled) -> list[dict[str, Any]]:
    """The rows of the record in the views whose path is the command's, as JSON shows them."""
    found = []
    for view in VIEWS:
        if view.detail and f"{view.path}/{{{view.detail}}}" == spec.path:
            facts = [fact for fact in made.kit.facts() if type(fact) in view.handlers]
            row = documents(view, facts)[str(made.id)]
            found.append({item.name: plain(row.get(item.name)) for item in fields(view.row)})
    return found


@pytest.mark.parametrize("name", FILLED)
def test_what_a_query_shows_of_a_record_can_be_sent_back_and_changes_nothing(name: str) -> None:
    spec, made = REGISTRY.commands[name.partition(".")[0]], FILLED[name]()
    send_back(spec, made)
    for field in fields_of(spec):
        if NoneType in get_args(get_type_hints(spec.cls)[field]) and name != "EditPersonalData":
            with suppress(Refused):  # the customer settings ask for some
                made.kit.do(load(spec.cls, {spec.key: str(made.id), **made.named, field: None}), made.by)
    send_back(spec, made)


def send_back(spec: CommandSpec, made: Filled) -> None:
    """Each field that is shown is sent as it is, and nothing happens."""
    for row in rows_of(spec, made):
        before = made.kit.facts()
        for field in fields_of(spec):
            if field in row:
                value = json.loads(json.dumps(row[field]))
                currency = row.get(f"{field}_currency", row.get("currency"))  # of products one for all of a row
                if field.endswith("_price") or f"{field}_currency" in row:
                    value = value and {"amount": value, "currency": currency}
                made.kit.do(load(spec.cls, {spec.key: str(made.id), field: value}), made.by)
                assert made.kit.facts() == before, f"{field}: {row[field]!r}"


# -- over HTTP ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", [view for view in VIEWS if view.defaults], ids=lambda view: view.name)
def test_a_row_with_defaults_is_answered_before_anything_happened(view: View, tmp_path: Path) -> None:
    config = Config(token_key_dir=str(tmp_path), test_tokens=1)
    database: Any = EmptyViews()
    routes = routes_of(Api(config, {}, VIEWS, database, TokenVerifier(config)))
    route = next(route for route in routes if route.path == f"{view.path}/{{{view.detail}}}")
    headers = {"authorization": f"Bearer {issue(config, ADMIN)}"}
    for id in view.defaults:
        answer = route.serve(HttpRequest(headers, {view.detail: id}, {}, bytes))
        assert (answer.status, answer.headers["ETag"]) == (200, '"0"')
        if view is SETTINGS:
            assert json.loads(answer.body)["values"] == shown([], id)["values"]
    assert route.serve(HttpRequest(headers, {view.detail: "nobody"}, {}, bytes)).status == 404


@pytest.mark.parametrize(
    ("view", "id"), [(view, id) for view in VIEWS for id in view.defaults], ids=lambda one: getattr(one, "name", one)
)
def test_what_was_set_in_part_is_shown_with_its_defaults(view: View, id: str) -> None:
    """A logo is set before anything else of the company: its document is there, and has only that."""
    nowhere: Any = None
    reader = ViewReader(nowhere, view)
    untouched, partly = reader._default(id), {"_id": id, "version": 1}
    assert untouched is not None
    names = sorted(item.name for item in fields(view.row) if item.name in view.defaults[id])
    assert names
    [whole], [rest] = reader.rows.told([untouched], ADMIN), reader.rows.told([partly], ADMIN)
    assert {name: rest[name] for name in names} == {**{name: whole[name] for name in names}, "version": 1}
