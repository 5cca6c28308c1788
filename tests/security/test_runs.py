"""Many records changed at once, and put back together (CUS-10, ACC-23, ADR 0064)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chassis.commands.runs import reverting
from chassis.http.routes import kebab, undo_path
from contracts.declare import REGISTRY
from contracts.records import KINDS, Kind
from security.office import Caller, Office, Told, new_id, quick_hashes

EDIT, TAG = "edit-customer", "tag-customer"
MANY = 30


class Shop:
    """A salesperson with many customers of the same region."""

    def __init__(self, folder: Path) -> None:
        self.office = Office(folder)
        self.seller = self.office.user("SAL")
        self.ids = [self.customer(number) for number in range(MANY)]

    def customer(self, number: int) -> str:
        body = {"name": f"Acme {number}", "mobile": f"139000000{number:02}", "industry": "IT", "region": "East"}
        return str(self.office.call("POST /customers", body, self.seller).done()["id"])

    def bulk(self, *changes: dict[str, Any], form: str = EDIT, by: Caller | None = None, **more: Any) -> Told:
        items = [change if "command" in change else {"command": change} for change in changes]
        return self.office.call(f"POST /bulk/{form}", {**more, "items": items}, by or self.seller)

    def move(self, region: str, *ids: str, **more: Any) -> Told:
        return self.bulk(*({"customer_id": id, "region": region} for id in ids), **more)

    def undo(self, run: str, form: str = EDIT, by: Caller | None = None) -> Told:
        return self.office.call(f"POST /bulk/{form}/{run}/undo", by=by or self.seller)

    def region(self, id: str) -> str:
        """Where a customer is, as its last event tells."""
        facts = [fact for fact in self.office.facts("customers") if str(getattr(fact, "customer_id", "")) == id]
        region: str = [fact for fact in facts if hasattr(fact, "data")][-1].data.region
        return region


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with quick_hashes():
        yield Shop(tmp_path_factory.mktemp("office"))


def statuses(told: Told) -> list[int]:
    return [result["status"] for result in told.done()["results"]]


def test_acc_23_cus_10_a_field_is_changed_in_bulk_and_all_show_it_and_the_run_is_taken_back(shop: Shop) -> None:
    told = shop.move("West", *shop.ids)
    assert statuses(told) == [200] * MANY
    assert {shop.region(id) for id in shop.ids} == {"West"}
    back = shop.undo(told.body["run"]).done()
    assert [(result["id"], result["status"]) for result in back["results"]] == [(id, 200) for id in shop.ids]
    assert {shop.region(id) for id in shop.ids} == {"East"}


def test_cus_10_what_somebody_changed_since_stays_and_is_told_by_its_id(shop: Shop) -> None:
    first, second, third = shop.ids[:3]
    run = shop.move("North", first, second, third).done()["run"]
    shop.office.call(f"PATCH /customers/{second}", {"need": "phones"}, shop.office.admin).done()
    back = shop.undo(run).done()["results"]
    assert [(result["id"], result["status"]) for result in back] == [(first, 200), (second, 409), (third, 200)]
    assert back[1]["body"]["code"] == "VERSION_CONFLICT"
    assert [shop.region(id) for id in (first, second, third)] == ["East", "North", "East"]
    shop.move("East", second).done()


def test_cus_10_what_a_run_did_not_change_is_not_put_back(shop: Shop) -> None:
    """Neither what was so already nor what was refused: an earlier change of it was somebody else's."""
    first, second, third = shop.ids[3:6]
    shop.move("South", second).done()
    told = shop.bulk(
        {"customer_id": first, "region": "South"},
        {"customer_id": second, "region": "South"},
        {"customer_id": third, "name": ""},
    )
    assert statuses(told) == [200, 200, 400]
    assert [result["id"] for result in shop.undo(told.body["run"]).done()["results"]] == [first]
    assert [shop.region(id) for id in (first, second)] == ["East", "South"]
    nothing = shop.move("South", second).done()["run"]
    assert shop.undo(nothing).done()["results"] == []


def test_cus_10_a_run_that_is_sent_again_is_carried_out_once_and_so_is_taking_it_back(shop: Shop) -> None:
    id, run = shop.ids[6], new_id()
    first = shop.move("West", id, run=run).done()
    before = shop.office.state()
    assert shop.move("West", id, run=run.upper()).done() == first
    assert first["run"] == run and shop.office.state() == before
    [other] = shop.move("North", id, run=run).done()["results"]
    assert other["body"]["code"] == "KEY_REUSED"
    back = shop.undo(run).done()
    before = shop.office.state()
    assert shop.undo(run).done() == back and shop.office.state() == before
    assert shop.region(id) == "East"


def test_cus_10_taking_back_is_a_run_and_is_taken_back_too(shop: Shop) -> None:
    id = shop.ids[7]
    run = shop.move("West", id).done()["run"]
    back = shop.undo(run).done()["run"]
    assert statuses(shop.undo(back, form="revert-customer")) == [200]
    assert shop.region(id) == "West"


def test_cus_10_a_record_that_a_run_changed_twice_is_what_it_was_before_it(shop: Shop) -> None:
    first, second = shop.ids[8:10]
    twice = shop.bulk(*({"customer_id": first, "region": region} for region in ("West", "North"))).done()["run"]
    assert [(one["id"], one["status"]) for one in shop.undo(twice).done()["results"]] == [(first, 200)]
    assert shop.region(first) == "East"
    run = new_id()
    stale = {"command": {"customer_id": second}, "if_match": '"99"'}
    items: list[dict[str, Any]] = [{"customer_id": second, "region": "West"}, stale]
    assert statuses(shop.bulk(*items, run=run)) == [200, 409]
    shop.office.call(f"PATCH /customers/{second}", {"need": "phones"}, shop.office.admin).done()
    assert statuses(shop.bulk(items[0], {"customer_id": second, "region": "North"}, run=run)) == [200, 200]
    assert statuses(shop.undo(run)) == [409], "somebody changed it in between"


def test_cus_10_tags_are_put_back_and_an_item_with_a_key_of_its_own_is_no_part_of_a_run(shop: Shop) -> None:
    first, second = shop.ids[10:12]
    items = [{"command": {"customer_id": id, "add": ["vip"]}} for id in (first, second)]
    told = shop.bulk(items[0], {**items[1], "idempotency_key": new_id()}, form=TAG)
    assert statuses(told) == [200, 200]
    assert [one["id"] for one in shop.undo(told.body["run"], form=TAG).done()["results"]] == [first]


def test_cus_10_two_commands_of_one_run_are_taken_back_one_after_the_other(shop: Shop) -> None:
    id, run = shop.ids[15], new_id()
    shop.move("West", id, run=run).done()
    shop.bulk({"customer_id": id, "add": ["vip"]}, form=TAG, run=run).done()
    assert statuses(shop.undo(run, form=TAG)) == [200]
    [result] = shop.undo(run).done()["results"]
    assert result["body"]["code"] == "VERSION_CONFLICT", "its tags were put back since"


def test_cus_10_what_is_put_right_in_a_run_is_taken_back_too(shop: Shop) -> None:
    first, second, third = shop.ids[16:19]
    run = new_id()
    items: list[dict[str, Any]] = [{"command": {"customer_id": id, "region": "West"}} for id in (first, second, third)]
    assert statuses(shop.bulk(items[0], {**items[1], "if_match": '"99"'}, items[2], run=run)) == [200, 409, 200]
    assert statuses(shop.undo(run)) == [200, 200]
    assert statuses(shop.bulk(*items, run=run)) == [200, 200, 200]
    results = {one["id"]: one["status"] for one in shop.undo(run).done()["results"]}
    assert results[second] == 200
    assert {shop.region(id) for id in (first, second, third)} == {"East"}


def test_cus_10_only_who_made_a_run_takes_it_back(shop: Shop) -> None:
    id = shop.ids[12]
    run = shop.move("West", id).done()["run"]
    for told in (
        shop.undo(run, by=shop.office.admin),
        shop.undo(run, form=TAG),
        shop.undo(new_id()),
        shop.undo("nothing"),
        shop.undo("x" * 300),
    ):
        assert (told.code, told.body["field"], told.body["reason"]) == ("NOT_FOUND", "run_id", "requests.no_run")
    assert shop.region(id) == "West"
    for wrong in ("", "nothing", 5, [new_id()]):
        told = shop.move("North", id, run=wrong)
        assert (told.code, told.body["field"]) == ("VALIDATION", "run")


def test_cus_10_who_lost_the_right_meanwhile_puts_nothing_back(shop: Shop) -> None:
    id = shop.ids[13]
    run = shop.move("West", id).done()["run"]
    heir = shop.office.user("SAL")
    shop.office.call(f"PUT /customers/{id}/owner", {"owner_id": heir.user_id}, shop.office.admin).done()
    [result] = shop.undo(run).done()["results"]
    assert (result["id"], result["status"]) == (id, 403)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.code)
def test_cus_10_every_kind_of_record_is_changed_in_bulk_and_put_back(shop: Shop, kind: Kind) -> None:
    office, id = shop.office, shop.office.enter(kind)
    spec = REGISTRY.command_of(kind.edit)
    assert reverting(spec) is REGISTRY.command_of(kind.revert)
    command = {kind.key: id, kind.called: f"changed {new_id()[:8]}"}
    told = office.call(f"POST /bulk/{kebab(spec.name)}", {"items": [{"command": command}]}, office.admin).done()
    assert [result["status"] for result in told["results"]] == [200]
    back = office.call(f"POST {undo_path(spec).format(run_id=told['run'])}", by=office.admin).done()
    assert [(one["id"], one["status"], one["body"]["version"]) for one in back["results"]] == [(id, 200, 3)]


def test_what_is_not_put_back_by_a_command_is_no_run(shop: Shop) -> None:
    for cls in (kind for one in KINDS.values() for kind in (one.create, one.delete, one.restore)):
        assert reverting(REGISTRY.command_of(cls)) is None
    told = shop.bulk({"customer_id": shop.ids[14]}, form="delete-customer").done()
    assert told.keys() == {"results"}
    assert shop.bulk({"customer_id": shop.ids[14]}, form="delete-customer", run=new_id()).code == "VALIDATION"
