"""People are told by the running system: in their list and by mail (NTF-01, NTF-03, NTF-06, NTF-07, ORD-14)."""

from __future__ import annotations

from uuid import uuid4

from component.mail import Relay
from component.support import Company, eventually
from component.webhooks import Receiver

from services.access.demo_users import user_id


def test_ord_14_owner_and_warehouse_are_told_of_an_order_on_hold(company: Company) -> None:
    """ACC-16 too: the stock that is short is low as well."""
    li, wang, admin = company.li, company.wang, company.admin
    prices = {kind: {"amount": "1.00", "currency": "CNY"} for kind in ("purchase", "sale")}
    product = {"name": f"Kettle {uuid4()}", "model": "K", "brand": "Pan", "prices": prices, "opening_stock": 10}
    bought = wang.post("/products", {**product, "alert_quantity": 10})["id"]
    wang.post(f"/products/{bought}/adjustments", {"change": -9, "reason": "broken"})
    buyer = {"name": "Acme", "mobile": f"139{uuid4().int % 10**8:08d}", "industry": "IT"}
    customer = li.post("/customers", buyer)["id"]
    lines = [{"product_id": bought, "quantity": 2}]
    order = li.post("/orders", {"customer_id": customer, "lines": lines})["id"]
    li.post(f"/orders/{order}/submit", {})

    def told() -> None:
        for person in (li, wang):
            found = [(row["occasion"], row["link"], row["read"]) for row in person.items(f"/notices?record_id={order}")]
            assert found == [("ORDER_ON_HOLD", f"/orders/{order}", False)]
        low = [(row["occasion"], row["link"]) for row in wang.items(f"/notices?record_id={bought}")]
        assert low == [("STOCK_LOW", f"/products/{bought}")]
        assert not li.items(f"/notices?record_id={bought}")

    eventually(told)
    [notice] = li.items(f"/notices?record_id={order}")
    assert wang.send("PUT", f"/notices/{notice['id']}/read", {}).status_code == 404
    assert admin.send("GET", f"/notices/{notice['id']}").status_code == 404, "not even an administrator reads it"
    li.do("PUT", f"/notices/{notice['id']}/read", {})

    def read() -> None:
        assert li.get(f"/notices/{notice['id']}")["read"] is True
        assert li.items(f"/notices?record_id={order}&read=false") == []

    eventually(read)


def test_ntf_03_an_announcement_goes_by_mail_to_who_has_an_address(company: Company, relay: tuple[Relay, int]) -> None:
    admin, text = company.admin, f"at eight {uuid4()}"
    admin.do("PUT", "/settings/notices", {"ways": [{"occasion": "ANNOUNCEMENT", "ways": ["MAIL"]}]})
    user = {"login": f"u{uuid4()}"[:30], "name": "Zhou", "default_password": "Welcome#2026", "roles": ["SEA"]}
    address = f"{uuid4()}@example.com"
    reached = admin.post("/users", {**user, "email": address})["id"]
    people = [{"kind": "USER", "user_id": id} for id in (reached, str(user_id("tanaka")))]
    announced = admin.post("/announcements", {"title": "更新", "text": text, "receivers": people})["id"]

    def sent() -> None:
        rows = {row["receiver_id"]: row for row in admin.items("/deliveries?occasion=ANNOUNCEMENT")}
        assert rows.keys() >= {reached, str(user_id("tanaka"))}
        assert (rows[reached]["status"], rows[reached]["attempts"]) == ("SENT", 1)
        assert (rows[str(user_id("tanaka"))]["status"], rows[str(user_id("tanaka"))]["reason"]) == (
            "FAILED",
            "NO_ADDRESS",
        )
        assert admin.get(f"/announcements/{announced}")["count"] == 2

    eventually(sent)
    [envelope] = [one for one in relay[0].envelopes if one.rcpt_tos == [address]]
    assert envelope.mail_from == "crm@example.com"
    [notice] = [row for row in company.tanaka.items("/notices") if row["text"] == text]
    assert notice["title"] == "更新"
    admin.do("PUT", "/settings/notices", {"ways": []})


def test_ntf_03_a_robot_says_in_the_group_that_there_is_something_for_somebody(
    company: Company, robot: tuple[Receiver, int]
) -> None:
    admin, title = company.admin, f"at nine {uuid4()}"
    user = {"login": f"u{uuid4()}"[:30], "name": "Zhou", "default_password": "Welcome#2026", "roles": ["SAL"]}
    number = f"139{uuid4().int % 10**8:08d}"
    id = admin.post("/users", {**user, "phone": number})["id"]
    admin.do("PUT", "/settings/notices", {"ways": [{"occasion": "TASK_GIVEN", "ways": ["DINGTALK"]}]})
    admin.post("/tasks", {"title": title, "owner_id": id})

    def sent() -> None:
        rows = admin.items(f"/deliveries?receiver_id={id}")
        found = [(row["way"], row["status"], row["attempts"], row["reason"]) for row in rows]
        assert found == [("DINGTALK", "SENT", 1, "")]

    eventually(sent)
    [taken] = [one for one in robot[0].taken if number in one.said["at"]["atMobiles"]]
    assert title not in taken.body.decode() and "任务" in taken.said["text"]["content"]
    admin.do("PUT", "/settings/notices", {"ways": []})
