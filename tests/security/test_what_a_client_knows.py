"""`GET /metadata`, `GET /me` and signing out without an id, as somebody at the edge sees them
(UIX-01, SET-02..04, SEC-11, SEC-17)."""

import gzip
from typing import Any

import msgspec
import pytest

from chassis.access.tokens import issue
from chassis.http.messages import HttpRequest, HttpResponse
from chassis.metadata.shapes import Metadata
from chassis.model.principal import Principal
from contracts.access import SIGN_OUT_HERE
from security.office import DEFAULT, VIEWS, Caller, Office, Told, new_id
from services.access.routes import Me

METADATA = "GET /metadata"


def asked(office: Office, by: Caller, language: str = "", **headers: str) -> HttpResponse:
    """The answer as it is: one of 304 has no body."""
    route = next(route for route in office.routes if route.name == "metadata")
    query = {"language": [language]} if language else {}
    given = {"accept-language": "", **{name.replace("_", "-"): value for name, value in headers.items()}}
    sent = {"authorization": str(by.authorization), **given}
    return route.serve(HttpRequest(sent, {}, query, lambda: b""))


def metadata_of(office: Office, by: Caller, language: str = "", **headers: str) -> Metadata:
    answer = asked(office, by, language, **headers)
    assert answer.status == 200, answer.body
    return msgspec.json.decode(answer.body, type=Metadata)


def names(found: list[Any]) -> set[str]:
    return {one.name for one in found}


def test_set_02_it_is_told_in_the_language_asked_for_that_of_the_request_or_the_company_s(office: Office) -> None:
    def label(*arguments: str, **headers: str) -> str:
        found = metadata_of(office, office.admin, *arguments, **headers)
        return f"{found.language} {next(one.label for one in found.views if one.name == 'orders')}"

    assert label() == "zh 订单"
    assert label(accept_language="fr, ja-JP;q=0.8, en;q=0.5") == "ja 受注"
    assert label("en", accept_language="ja") == "en Orders"
    assert label("EN ") == "en Orders"


@pytest.mark.parametrize("language", ["fr", "zh-CN", "'; drop", "\ud800", "x" * 5000])
def test_set_02_another_language_is_refused_by_name(office: Office, language: str) -> None:
    told: Told = office.call(METADATA, by=office.admin, query={"language": [language]})
    assert (told.status, told.code, told.body["field"]) == (400, "VALIDATION", "language")
    assert "zh, ja, en" in told.body["detail"]
    assert office.call(METADATA, by=office.admin, query={"language": ["ja", "en"]}).code == "VALIDATION"


def test_who_knows_it_already_gets_no_body(office: Office) -> None:
    first = asked(office, office.admin, "ja")
    etag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "private, no-cache"
    for known in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
        again = asked(office, office.admin, "ja", if_none_match=known)
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
    for unknown in ('"other"', "nonsense", ""):
        assert asked(office, office.admin, "ja", if_none_match=unknown).status == 200
    assert asked(office, office.admin, "en", if_none_match=etag).status == 200


@pytest.mark.parametrize("view", [view.path for view in VIEWS if view.is_list])
def test_who_knows_a_list_already_gets_no_body(office: Office, view: str) -> None:
    first = office.call(f"GET {view}", by=office.admin)
    assert first.status == 200 and first.response.headers["ETag"].startswith('W/"')
    again = office.call(f"GET {view}", by=office.admin, headers={"if-none-match": first.response.headers["ETag"]})
    assert (again.status, again.response.headers["ETag"]) == (304, first.response.headers["ETag"])
    other = office.call(f"GET {view}", by=office.admin, headers={"if-none-match": 'W/"other"'})
    assert other.status == 200


def test_it_is_compressed_for_who_takes_that(office: Office) -> None:
    plain = asked(office, office.admin, "ja")
    for accepted in ("gzip", "br, gzip;q=0.5", "*"):
        packed = asked(office, office.admin, "ja", accept_encoding=accepted)
        assert packed.headers["Content-Encoding"] == "gzip" and len(packed.body) < len(plain.body) / 8
        assert gzip.decompress(packed.body) == plain.body
        assert packed.headers["ETag"] == plain.headers["ETag"]
        assert "Accept-Encoding" in packed.headers["Vary"]
    for refused in ("identity", "gzip;q=0", "br", ""):
        assert "Content-Encoding" not in asked(office, office.admin, "ja", accept_encoding=refused).headers


def test_sec_17_two_people_get_what_concerns_them(office: Office) -> None:
    seller, keeper = metadata_of(office, office.user("SAL"), "en"), metadata_of(office, office.user("WHS"), "en")
    assert "CreateOrder" in names(seller.commands) - names(keeper.commands)
    assert "AddProduct" in names(keeper.commands) - names(seller.commands)
    assert "customers" in names(seller.views) - names(keeper.views)
    assert not {"audit", "users"} & (names(seller.views) | names(keeper.views))
    assert "SignOut" in names(seller.commands)
    columns = {name for found in (seller, keeper) for view in found.views for name in names(view.columns)}
    assert "purchase_price" not in columns and "sale_price" in columns
    manager = metadata_of(office, office.user("MGT"), "en")
    assert "purchase_price" in {name for view in manager.views for name in names(view.columns)}


def test_sec_19_what_is_given_and_taken_shows_at_once_and_has_another_etag(office: Office) -> None:
    clerk = office.user("DLR")
    before = asked(office, clerk, "en")
    office.call(f"PUT /roles/WHS/members/{clerk.user_id}", {}, office.admin).done()
    after = asked(office, clerk, "en", if_none_match=before.headers["ETag"])
    assert after.status == 200 and after.headers["ETag"] != before.headers["ETag"]
    assert "AddProduct" in names(msgspec.json.decode(after.body, type=Metadata).commands)
    office.call(f"DELETE /roles/WHS/members/{clerk.user_id}", by=office.admin).done()
    assert asked(office, clerk, "en").headers["ETag"] == before.headers["ETag"]


def test_sec_15_the_name_that_an_administrator_gives_a_role_is_told(office: Office) -> None:
    office.call("PUT /roles/NIGHT", {"title": "夜班<b>"}, office.admin).done()
    found = metadata_of(office, office.admin, "en")
    assert [role.label for role in found.roles if role.name == "NIGHT"] == ["夜班<b>"]
    users = next(view for view in found.views if view.name == "users")
    roles = next(rule for rule in users.filters if rule.name == "roles")
    assert ("NIGHT", "夜班<b>") in [(choice.value, choice.label) for choice in roles.choices or ()]


def test_sec_02_with_a_default_password_one_is_told_how_to_change_it(office: Office) -> None:
    limited = office.sign_in(office.issue("ADM"), DEFAULT)
    found = metadata_of(office, limited, "en")
    assert "ChangePassword" in names(found.commands) and "IssueUser" not in names(found.commands)
    assert not found.views and not found.menu


def test_set_02_me_tells_language_zone_currency_department_and_session(office: Office) -> None:
    department = office.call("POST /departments", {"name": f"Sales {new_id()}"}, office.admin).done()["id"]
    seller = office.user("SAL", department_id=department)
    told = office.call("GET /me", by=seller, headers={"accept-language": "ja"}).done()
    assert {name: told[name] for name in ("language", "time_zone", "currency", "department_id", "session_id")} == {
        "language": "ja",
        "time_zone": office.directory.company.zone.key,
        "currency": "CNY",
        "department_id": department,
        "session_id": seller.session_id,
    }
    assert office.call("GET /me", by=office.admin).done()["department_id"] is None
    assert msgspec.convert(told, Me).menu[0].system == "business"
    assert told.keys() == set(Me.__struct_fields__)


def preferred(office: Office, by: Caller, **preferences: Any) -> Told:
    return office.call(f"PATCH /users/{by.user_id}/preferences", preferences, by)


def test_acc_77_set_02_a_language_that_somebody_has_set_applies_to_all_they_are_told(office: Office) -> None:
    seller = office.user("SAL")

    def told(**headers: str) -> tuple[str, str, str]:
        given = {"accept-language": "", **{name.replace("_", "-"): value for name, value in headers.items()}}
        me = office.call("GET /me", by=seller, headers=given).done()
        refused = office.call("POST /products", {}, seller, headers=given)
        return me["language"], metadata_of(office, seller, **headers).language, refused.body["detail"]

    assert told()[:2] == ("zh", "zh") and told()[2] == told(accept_language="zh")[2] != told(accept_language="en")[2]
    preferred(office, seller, language="ja").done()
    assert told()[:2] == told(accept_language="en")[:2] == ("ja", "ja")
    assert told() == told(accept_language="en") and not told()[2].isascii()
    assert metadata_of(office, seller, "en").language == "en", "whoever asks for one gets it"
    assert metadata_of(office, office.admin).language == "zh", "it is theirs alone"
    preferred(office, seller, language=None).done()
    assert told(accept_language="en")[:2] == ("en", "en")


def test_acc_67_acc_77_what_is_left_out_stays_and_null_is_the_companys(office: Office) -> None:
    seller = office.user("SAL")

    def mine() -> dict[str, Any]:
        found: dict[str, Any] = office.call("GET /me", by=seller).done()["preferences"]
        return found

    assert mine() == {"language": None, "time_zone": None, "rows_per_page": None}
    preferred(office, seller, language="en", time_zone="Asia/Tokyo", rows_per_page=30).done()
    before = office.state()
    preferred(office, seller, rows_per_page=30).done()
    assert office.state() == before, "what is so already is no event"
    preferred(office, seller, time_zone=None).done()
    assert mine() == {"language": "en", "time_zone": None, "rows_per_page": 30}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rows_per_page", 0), ("rows_per_page", 201), ("rows_per_page", "20"), ("rows_per_page", 1.5),
        ("rows_per_page", True), ("language", "fr"), ("time_zone", "Mars/Base"), ("time_zone", "localtime"),
        ("time_zone", "../../etc/passwd"), ("columns", ["name"]),
    ],
)  # fmt: skip
def test_uix_11_set_03_what_nobody_can_prefer_is_refused_by_name(office: Office, field: str, value: Any) -> None:
    seller = office.user("SAL")
    before = office.state()
    told = preferred(office, seller, **{field: value})
    assert (told.status, told.code) == (400, "VALIDATION") and field in str(told.body)
    assert office.state() == before


def test_sec_12_nobody_sets_how_others_work(office: Office) -> None:
    seller, other = office.user("SAL"), office.user("SAL")
    told = office.call(f"PATCH /users/{other.user_id}/preferences", {"language": "en"}, seller)
    assert told.code == "FORBIDDEN"


def test_cus_02_a_salesperson_s_form_tells_what_the_administrator_wants_filled(office: Office) -> None:
    """Who may not read the settings knows it before the form is refused."""
    seller = office.user("SAL")

    def form(command: str) -> dict[str, tuple[bool, bool]]:
        fields = next(one.fields for one in metadata_of(office, seller).commands if one.name == command)
        return {field.name: (field.required, field.nullable) for field in fields}

    def wants(*required: str) -> None:
        office.call("PUT /settings/customers", {"required": required}, office.admin).done()

    optional, wanted = (False, True), (True, False)
    assert [form("CreateCustomer")[name] for name in ("name", "industry", "address")] == [wanted, wanted, optional]
    assert form("EditCustomer")["industry"] == (False, False), "it may be left out, and not be taken away"
    etag = asked(office, seller).headers["ETag"]
    wants("address")
    assert asked(office, seller, if_none_match=etag).status == 200
    assert [form("CreateCustomer")[name] for name in ("industry", "address")] == [optional, wanted]
    told = office.call("POST /customers", {"name": "Acme"}, seller)
    assert (told.code, told.body["field"]) == ("VALIDATION", "address")
    wants()
    assert form("CreateCustomer")["address"] == optional
    office.call("POST /customers", {}, seller).done()


def test_sec_11_one_signs_out_without_knowing_the_session(office: Office) -> None:
    office_hours = office.user("SAL")
    told = office.call("DELETE /sessions/current", by=office_hours).done()
    assert told["id"] == office_hours.session_id
    for request in ("GET /me", "DELETE /sessions/current"):
        assert office.call(request, by=office_hours).status == 401


def test_sec_11_only_one_s_own_session_ends(office: Office) -> None:
    login = office.issue("SAL")
    office._accept(office.sign_in(login, DEFAULT))
    here, there = (office.sign_in(login, "YunKeSale@2024") for _ in range(2))
    office.call("DELETE /sessions/current", by=here).done()
    office.call("GET /me", by=there).done()
    assert office.call("GET /me", by=here).status == 401
    assert SIGN_OUT_HERE in {route.name for route in office.routes}


def test_sec_11_a_token_without_a_session_ends_none(tmp_path: Any) -> None:
    office = Office(tmp_path, test_tokens=True)
    person = Principal(office.principal_of(office.admin).user_id, "Root", frozenset({"ADM"}))
    before = office.state()
    told = office.call("DELETE /sessions/current", by=Caller("test", f"Bearer {issue(office.config, person)}"))
    assert (told.status, told.body["field"]) == (404, "session_id")
    assert office.state() == before
