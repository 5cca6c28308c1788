"""Saved views of lists, and the order of what one has looked at, on the running system (UIX-10, UIX-11, UIX-13)."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from uuid import uuid4

from component.support import Company, Person, add_customer, eventually, unique


def save(by: Person, **more: Any) -> str:
    return str(by.post("/saved-views", {"list_name": "customers", "name": "View", **more})["id"])


def asked(**parameters: str) -> list[dict[str, Any]]:
    return [{"name": name, "values": [value]} for name, value in parameters.items()]


def test_uix_13_a_saved_view_is_the_query_that_was_saved(company: Company) -> None:
    li, mark = company.li, unique("京")
    ids = [add_customer(li, name=f"{mark} {number}") for number in (2, 1, 3)]
    where = json.dumps({"field": "name", "is": "contains", "value": mark})
    columns = ["name", "created_at", "mobile"]
    view = save(li, name="我的客户", parameters=asked(where=where, sort="name", limit="2"), columns=columns)

    page = li.get("/customers", view=view)
    assert [row["id"] for row in page["items"]] == [ids[1], ids[0]]
    assert page["view"] == {"id": view, "name": "我的客户", "columns": columns, "misfits": []}
    after = li.get("/customers", view=view, cursor=page["next"])
    assert [row["id"] for row in after["items"]] == [ids[2]]
    turned = li.get("/customers", view=view, sort="-name", limit="200")
    assert [row["id"] for row in turned["items"]] == [ids[2], ids[0], ids[1]]
    file = li.send("GET", "/customers", params={"view": view, "format": "csv", "heads": "names"})
    head, *lines = csv.reader(io.StringIO(file.content.decode("utf-8-sig")))
    assert head == columns and [line[0] for line in lines] == [f"{mark} {number}" for number in (1, 2, 3)]

    li.assert_refused("VALIDATION", "GET", "/products", params={"view": view})
    for other in (company.sato, company.admin):
        other.assert_refused("VALIDATION", "GET", "/customers", params={"view": view})
    for wrong in (str(uuid4()), "nonsense", ""):
        li.assert_refused("VALIDATION", "GET", "/customers", params={"view": wrong})


def test_uix_13_a_list_opens_with_the_view_that_one_has_chosen_and_forgets_one_that_is_gone(company: Company) -> None:
    li, sato = company.li, company.sato
    everybody = save(sato, name="Team", parameters=asked(sort="-name"), audience="ROLES", roles=["SAL"])
    assert "view" not in li.get("/customers", view="default")
    li.post("/default-views", {"list_name": "customers", "saved_view_id": everybody})
    assert li.get("/customers", view="default")["view"]["id"] == everybody
    assert "view" not in sato.get("/customers", view="default"), "what one opens with is one's own choice"
    assert [row["saved_view_id"] for row in li.items("/default-views")] == [everybody]
    assert everybody in {row["id"] for row in li.items("/saved-views", list_name="customers")}
    sato.do("PATCH", f"/saved-views/{everybody}", {"audience": "ME"})
    assert "view" not in li.get("/customers", view="default")
    assert everybody not in {row["id"] for row in li.items("/saved-views")}
    sato.do("DELETE", f"/saved-views/{everybody}")
    assert everybody not in {row["id"] for row in sato.items("/saved-views")}


def test_uix_13_what_a_list_does_not_take_any_more_is_left_out_and_told(company: Company) -> None:
    """A field that was retired is still there; a right that was never held hides a column from others."""
    admin, li = company.admin, company.li
    view = save(
        admin,
        list_name="products",
        parameters=asked(sort="-purchase_price", limit="3"),
        columns=["name", "purchase_price"],
        audience="EVERYBODY",
    )
    assert admin.get("/products", view=view)["view"]["misfits"] == []
    told = li.get("/products", view=view)["view"]
    assert told["columns"] == ["name"]
    assert [(one["parameter"], one["reason"]) for one in told["misfits"]] == [
        ("sort", "lists.sort"), ("columns", "views.no_such_column"),
    ]  # fmt: skip
    assert all(one["detail"] for one in told["misfits"])
    li.assert_refused("VALIDATION", "GET", "/products", params={"view": view, "format": "csv", "sort": "name"})
    admin.do("DELETE", f"/saved-views/{view}")


def test_uix_10_lists_sort_by_what_one_has_looked_at_last(company: Company) -> None:
    li, mark = company.li, unique("seen")
    first, second, third = (add_customer(li, name=f"{mark} {number}") for number in range(3))
    for id in (second, first):
        li.do("POST", "/viewings", {"subject_kind": "customer", "subject_id": id})

    def listed(sort: str) -> list[str]:
        return [row["id"] for row in li.items("/customers", q=mark, sort=sort)]

    eventually(lambda: _same(listed("-viewed_at"), [first, second, third]))
    assert listed("viewed_at") == [second, first, third]


def _same(found: Any, wanted: Any) -> None:
    assert found == wanted
