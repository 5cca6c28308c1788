"""What an address names and is not there answers 404, naming the field, with every method (section 2.0).

It does not matter how the address misses: an id of nothing, what is no id at all, a name nobody has given.
"""

import re
from dataclasses import fields

import pytest

from chassis.catalogue import Catalogue
from chassis.documents.samples import sample
from chassis.http.messages import Route
from contracts.declare import REGISTRY, CommandSpec
from contracts.permissions import PASSWORD, PUBLIC, SELF
from security.office import PASSWORD as RIGHT_PASSWORD
from security.office import Office, Told, new_id
from security.test_matrix import records_of

COMMANDS = {f"{spec.method} {spec.path}": spec for spec in REGISTRY.load().commands.values()}
MALFORMED = ("x", "zz zz", "0", "e2627c3c-c0c4-43f7-b780-4c37bd4ffa3", "\u4ef7\u683c", "$where", "x" * 300)
BODY_OF_NOTHING = {"new_password": "Another#2026", "old_password": RIGHT_PASSWORD, "default_password": "Another#2026"}


@pytest.fixture(scope="module")
def there(office: Office) -> dict[str, str]:
    """A record for every field of a path."""
    return records_of(office)


def makes_it(spec: CommandSpec | None, name: str) -> bool:
    """Whether the address ends with what the command puts there: that need not be there before."""
    if spec is None or spec.method != "PUT" or not str(spec.path).endswith("}"):
        return False
    return re.findall(r"{(\w+)}", str(spec.path)) == [name] == [spec.key]


def ask(office: Office, route: Route, there: dict[str, str], name: str, text: str) -> Told:
    names = re.findall(r"{(\w+)}", route.path)
    values = {**{one: there[one] for one in names}, name: text}
    spec = COMMANDS.get(f"{route.method} {route.path}")
    body = {**sample(spec.cls), **BODY_OF_NOTHING} if spec else {}
    known = {field.name for field in fields(spec.cls)} if spec else set()
    body = {field: value for field, value in body.items() if field in known and field not in names}
    return office.serve(route, values, body or None, office.admin)


def expected(route: Route) -> set[int]:
    """Who proves by a secret who they are, or may only name themselves, is not told what there is."""
    more = {PUBLIC: {401}, SELF: {403}, PASSWORD: {403}}.get(route.permission, set())
    return {404} | (more if route.method != "GET" else set())


def places(office: Office) -> list[tuple[Route, str]]:
    return [(route, name) for route in office.routes for name in re.findall(r"{(\w+)}", route.path)]


def test_what_is_not_there_is_not_found_with_every_method(office: Office, there: dict[str, str]) -> None:
    wrong, asked = [], 0
    for route, name in places(office):
        spec = COMMANDS.get(f"{route.method} {route.path}")
        for text in () if makes_it(spec, name) else (new_id(), *MALFORMED):
            before, told = office.state(), ask(office, route, there, name, text)
            asked += 1
            if told.status not in expected(route) or (told.code == "NOT_FOUND" and told.body.get("field") != name):
                wrong.append(f"{route.method} {route.path} of {name} {text[:20]!r}: {told.status} {told.body}"[:300])
            if office.state() != before and told.status == 404:
                wrong.append(f"{route.method} {route.path} of {name} {text[:20]!r} changed something")
    assert asked > 300
    assert not wrong, "\n".join(wrong)


def test_where_some_records_are_always_there_they_are_named(office: Office) -> None:
    """Who asks for a setting by a wrong name learns the right ones."""
    named = 0
    for view in Catalogue.read().views():
        route = next((one for one in office.routes if one.path == f"{view.path}/{{{view.detail}}}"), None)
        if route is None or not view.defaults:
            continue
        told = office.serve(route, {str(view.detail): "nonsense"}, None, office.admin)
        assert (told.status, told.body["field"]) == (404, view.detail)
        assert all(name in told.body["detail"] for name in view.defaults), told.body
        named += 1
    assert named >= 3


def test_SET_05_an_address_below_which_something_is_put_tells_where_that_is_listed(office: Office) -> None:
    """PUT /settings/parameters/{name} is served: so somebody asks for /settings/parameters."""
    reads = [route for route in office.routes if route.method == "GET"]
    asked = []
    for spec in COMMANDS.values():
        above, _, name = str(spec.path).rpartition("/")
        known, _, key = above.rpartition("/")
        if not name.startswith("{") or any(route.path == above for route in reads) or "{" in above:
            continue
        one = next((route for route in reads if re.fullmatch(re.escape(known) + r"/{\w+}", route.path)), None)
        if one is not None:
            told = office.serve(one, {one.path.rpartition("{")[2].rstrip("}"): key}, None, office.admin)
            assert told.status == 404 and re.search(r"GET /\w+ lists", told.body["detail"]), told.body
            asked.append(above)
    assert set(asked) == {"/settings/parameters"}
