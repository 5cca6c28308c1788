"""Customers on the running system: all about one, many at once, deletion, categories, members (CUS-04..22)."""

from __future__ import annotations

from uuid import uuid4

from component.support import (
    Company,
    add_customer,
    add_order,
    add_product,
    await_status,
    eventually,
    order_page,
    unique,
    yuan,
)


def test_cus_07_all_about_a_customer_in_one_request(company: Company) -> None:
    li = company.li
    customer = add_customer(li, company="Acme Ltd")
    contact = li.post("/contacts", {"customer_id": customer, "name": "Han Mei"})["id"]
    order = add_order(li, customer, (add_product(company.wang), 1, None))
    told = li.get(f"/customers/{customer}/overview")
    assert told["record"]["company"] == "Acme Ltd" and told["record"]["actions"]
    parts = told["parts"]
    assert [row["id"] for row in parts["contacts"]["items"]] == [contact]
    assert [row["id"] for row in parts["orders"]["items"]] == [order]
    assert li.get(parts["orders"]["path"].partition("?")[0], customer_id=customer)["items"] == parts["orders"]["items"]
    assert [entry["by"]["name"] for entry in told["history"]["items"]] == ["li"]
    company.tanaka.assert_refused("NOT_FOUND", "GET", f"/customers/{customer}/overview")


def test_cus_22_whether_a_customer_is_there_is_asked_before_and_told_when_it_is_entered(company: Company) -> None:
    li, tanaka = company.li, company.tanaka
    firm = unique("Acme")
    customer = add_customer(li, company=firm, contact_person="Han Mei")
    asked = {"company": f" {firm.upper()}", "contact_person": "han mei"}

    [alike] = li.get("/duplicates/customers", **asked)["alike"]
    assert (alike["fields"], alike["refused"], alike["unseen"]) == (["company", "contact_person"], True, False)
    assert [row["id"] for row in alike["items"]] == [customer]
    assert li.get("/duplicates/customers", **asked, **{"except": customer})["alike"] == []
    [alike] = tanaka.get("/duplicates/customers", **asked)["alike"]
    assert (alike["items"], alike["unseen"]) == ([], True), "there is one: not which"

    body = {"name": "Other", "mobile": f"139{uuid4().int % 10**8:08d}", "industry": "IT", **asked}
    problem = li.assert_refused("DUPLICATE", "POST", "/customers", body)
    assert (problem["field"], problem["params"]["holder"]) == ("company", customer)
    problem = tanaka.assert_refused("DUPLICATE", "POST", "/customers", body)
    assert problem["reason"] == "records.taken_unseen" and customer not in str(problem)


def test_acc_23_cus_10_a_field_is_changed_in_bulk_all_show_it_and_it_is_taken_back(company: Company) -> None:
    li, region = company.li, unique("Region")
    customers = [add_customer(li, region="East") for _ in range(20)]
    items = [{"command": {"customer_id": id, "region": region}} for id in customers]
    told = li.post("/bulk/edit-customer", {"items": items})
    assert [result["status"] for result in told["results"]] == [200] * len(customers)
    assert {row["id"] for row in li.items("/customers", region=region)} == set(customers)

    company.admin.do("PATCH", f"/customers/{customers[0]}", {"need": "phones"})
    back = li.post(f"/bulk/edit-customer/{told['run']}/undo")["results"]
    assert [(one["id"], one["status"]) for one in back] == [
        (id, 409 if id == customers[0] else 200) for id in customers
    ]
    assert [row["id"] for row in li.items("/customers", region=region)] == customers[:1]


def test_cus_22_two_that_are_the_same_are_merged_and_taken_apart_again(company: Company) -> None:
    li, admin = company.li, company.admin
    firm, number = unique("Acme"), f"139{uuid4().int % 10**8:08d}"
    first = add_customer(li, company=firm, contact_person="Han Mei", need="phones")
    second = add_customer(li, company=f"{firm} Ltd", contact_person="Han Mei", mobile=number, need="tablets")
    contact = li.post("/contacts", {"customer_id": second, "name": "Han Mei"})["id"]
    order = add_order(li, second, (add_product(company.wang), 1, None))
    about = {"subject_kind": "customer", "subject_id": second}
    said = li.post("/communications", {**about, "way": "PHONE", "text": "Same people."})["id"]

    place = f"/customers/{first}/merge"
    told = admin.get(place, duplicate_id=second, take="need")
    fields = {one["field"]: one for one in told["fields"]}
    assert (fields["need"]["result"], fields["company"]["result"]) == ("tablets", firm)
    assert [told["parts"][name]["together"] for name in ("contacts", "orders", "communications")] == [1, 1, 1]
    li.assert_refused("FORBIDDEN", "POST", place, {"duplicate_id": second})
    admin.post(place, {"duplicate_id": second, "take": ["need"]})

    parts = li.get(f"/customers/{first}/overview")["parts"]
    for name, id in (("contacts", contact), ("orders", order), ("communications", said)):
        assert [row["id"] for row in parts[name]["items"]] == [id]
    assert [row["id"] for row in li.items("/orders", customer_id=first)] == [order]
    assert li.get(f"/customers/{first}")["need"] == "tablets"
    problem = li.assert_refused("INVALID_STATE", "GET", f"/customers/{second}")
    assert problem["params"]["survivor"] == first
    lines = [{"product_id": add_product(company.wang), "quantity": 1}]
    for path, body in (
        ("/contacts", {"customer_id": second, "name": "Wu"}),
        ("/orders", {"customer_id": second, "lines": lines}),
        ("/communications", {**about, "way": "PHONE", "text": "x"}),
    ):
        problem = li.assert_refused("INVALID_STATE", "POST", path, body)
        assert (problem["state"], problem["params"]["survivor"]) == ("MERGED", first), path
    body = {"name": "Other", "mobile": number, "industry": "IT"}
    assert li.assert_refused("DUPLICATE", "POST", "/customers", body)["params"]["holder"] == first

    later = li.post("/contacts", {"customer_id": first, "name": "Wu"})["id"]
    admin.post(f"/customers/{second}/unmerge")
    assert [row["id"] for row in li.items("/contacts", customer_id=first)] == [later]
    assert [row["id"] for row in li.items("/contacts", customer_id=second)] == [contact]
    assert li.get(f"/customers/{first}")["need"] == "phones"
    assert li.get(f"/customers/{second}")["mobile"] == number


def test_acc_20_cus_04_a_customer_is_deleted_once_its_orders_are_closed_which_keep_their_copy(company: Company) -> None:
    li, product = company.li, add_product(company.wang)
    customer = add_customer(li, address="1 Old Street")
    bought, draft = (add_order(li, customer, (product, 1, None)) for _ in range(2))
    li.post(f"/orders/{bought}/submit")
    await_status(li, bought, "SHIPPED")
    eventually(lambda: company.wang.post(f"/shipments/{bought}/deliver", {}))
    numbers = sorted(order_page(li, id)["number"] for id in (bought, draft))
    told = li.assert_refused("INVALID_STATE", "DELETE", f"/customers/{customer}")
    assert (told["state"], told["field"], told["params"]["orders"]) == ("HAS_OPEN_ORDERS", "customer_id", numbers)

    company.chen.post(f"/orders/{bought}/payments", {"amount": "100.00"})
    await_status(li, bought, "COMPLETED")
    told = li.assert_refused("INVALID_STATE", "DELETE", f"/customers/{customer}")
    assert told["params"]["orders"] == [order_page(li, draft)["number"]]
    li.post(f"/orders/{draft}/cancel", {"reason": "no more"})
    li.do("DELETE", f"/customers/{customer}")
    assert customer not in {row["id"] for row in li.items("/customers", deleted="false")}
    assert order_page(li, bought)["customer"]["address"] == "1 Old Street"


def test_cus_09_customers_are_put_in_categories_that_are_set_up_moved_and_listed(company: Company) -> None:
    li, admin, place = company.li, company.admin, "/dictionaries/customer_categories/entries"
    key, branch, new = (f"C{uuid4().hex[:8]}" for _ in range(3))
    for code, more in ((key, {}), (branch, {"parent": key}), (new, {})):
        admin.post(place, {"entry": code, "en": f"Category {code}", **more})
    customers = [add_customer(li, category=code) for code in (key, branch, branch)]

    def of(category: str) -> set[str]:
        return {row["id"] for row in li.items("/customers", category=category)}

    assert (of(key), of(branch), of(new)) == (set(customers), set(customers[1:]), set())
    admin.do("PUT", f"{place}/{branch}", {"en": f"Branch {branch}"})
    row = li.get(f"/customers/{customers[1]}")
    assert (row["category"], row["labels"]["category"]) == (branch, f"Branch {branch}")
    refused = admin.assert_refused("INVALID_STATE", "DELETE", f"{place}/{branch}")
    assert (refused["reason"], refused["params"]["count"]) == ("configuration.entry_in_use", 2)

    li.do("PATCH", f"/customers/{customers[0]}", {"category": new})
    items = [{"command": {"customer_id": id, "category": new}} for id in customers[1:]]
    assert [one["status"] for one in li.post("/bulk/edit-customer", {"items": items})["results"]] == [200, 200]
    assert (of(key), of(branch), of(new)) == (set(), set(), set(customers))
    assert [(one["value"], one["count"]) for one in li.get("/customers", category=new, group="category")["groups"]] == [
        (new, 3)
    ]
    admin.do("DELETE", f"{place}/{branch}")
    [known] = (one for one in li.get("/metadata")["dictionaries"] if one["name"] == "customer_categories")
    assert {key, new} == {key, branch, new} & {entry["code"] for entry in known["entries"]}


def test_cus_19_a_contact_is_in_several_groups_that_the_company_sets_up(company: Company) -> None:
    li, admin, place = company.li, company.admin, "/dictionaries/contact_groups/entries"
    vip, press = (f"G{uuid4().hex[:8]}" for _ in range(2))
    for code in (vip, press):
        admin.post(place, {"entry": code, "en": f"Group {code}"})
    customer = add_customer(li)
    both, one, none = (
        li.post("/contacts", {"customer_id": customer, "name": "Han Mei", "tags": tags})["id"]
        for tags in ([vip, press], [vip], [])
    )

    def found(**asked: str) -> set[str]:
        return {row["id"] for row in li.items("/contacts", customer_id=customer, **asked)}

    assert (found(tags=vip), found(tags=press), found(tags_none=vip)) == ({both, one}, {both}, {none})
    assert admin.assert_refused("INVALID_STATE", "DELETE", f"{place}/{press}")["params"]["count"] == 1
    li.post(f"/contacts/{both}/tags", {"remove": [press]})
    items = [{"command": {"contact_id": id, "add": [vip]}} for id in (both, one, none)]
    assert {told["status"] for told in li.post("/bulk/tag-contact", {"items": items})["results"]} == {200}
    assert found(tags=vip) == {both, one, none}
    admin.do("DELETE", f"{place}/{press}")


def test_cus_21_members_pay_the_member_price_and_have_a_level_and_points(company: Company) -> None:
    li, customer = company.li, add_customer(company.li)
    prices = {"purchase": yuan("60.00"), "sale": yuan("100.00"), "member": yuan("90.00")}
    product, level = add_product(company.wang, prices=prices), unique("Gold")
    place = f"/customers/{customer}"
    book = {"change": 50, "reason": "birthday"}
    assert li.assert_refused("INVALID_STATE", "POST", f"{place}/points", book)["state"] == "NO_MEMBER"
    told = {one["command"]: one for one in li.get(place)["actions"]}
    assert told["BookPoints"]["reason"] == "customers.no_member" and told["SetMembership"]["allowed"]

    li.do("PUT", f"{place}/membership", {"member": True, "level": level, "points": 10})
    assert order_page(li, add_order(li, customer, (product, 1, None)))["amount"] == "90.00"
    items = [{"command": {"customer_id": customer, **book, "change": change}} for change in (50, 40, -90)]
    assert {one["status"] for one in li.post("/bulk/book-points", {"items": items})["results"]} == {200}
    assert li.assert_refused("VALIDATION", "POST", f"{place}/points", {**book, "change": -11})["field"] == "change"
    li.do("PUT", f"{place}/membership", {"member": True})
    for asked in ({"points_from": "10", "points_to": "10"}, {"member": "true"}):
        [row] = li.items("/customers", member_level=level, **asked)
        assert (row["id"], row["points"], row["points_reason"]) == (customer, 10, "birthday")
    assert not li.items("/customers", member_level=level, member="false")
    [taken, *_] = li.get(f"{place}/history")["items"]
    changes = {one["field"]: (one["before"], one["after"]) for one in taken["changes"]}
    assert changes["points"] == (100, 10)
