"""Rebuilds that an administrator asks for over HTTP, carried out by a worker, on real Kafka and MongoDB (ADR 0024)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pymongo.database import Database
from security.office import Caller, Office, Told, quick_hashes

from chassis.model.views import View
from chassis.projections import building
from chassis.projections import rebuild as rebuild_module
from chassis.projections.collections import STATES
from chassis.projections.rebuild import Rebuild
from chassis.projections.rebuild_requests import MOST_BROKEN_OFF, REBUILDS, RebuildWorker
from chassis.projections.versions import collections_of
from component.support import until
from component.test_projector import Bench, Documents, all_views, bench, documents
from services.reports.views.products import VIEW as PRODUCTS_VIEW

__all__ = ["bench"]

START = "POST /views/products/rebuilds"


class Killed(BaseException):
    """Ends a worker where it stands, as SIGKILL does: nothing is tidied up."""


class Shop:
    """Views that are built, the edge in front of them, and workers."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = bench
        bench.publish()
        self.database: Database[dict[str, Any]] = bench.database()
        self.expected: Documents = bench.project(self.database)
        self.office = Office(folder, self.database)
        self.stop = threading.Event()

    def worker(
        self, watch: Callable[[Rebuild, tuple[Any, ...]], object] = lambda *_: None, lease_seconds: float = 30
    ) -> RebuildWorker:
        """A worker; `watch` is called at each of its words."""

        def rebuild(*args: Any, watch: Callable[..., None], **more: Any) -> Rebuild:
            def both(*told: Any) -> None:
                watch(*told)
                seen(made, told)

            made = Rebuild(*args, watch=both, **more)
            return made

        seen = watch
        return RebuildWorker(
            self.bench.kafka.config,
            self.database,
            all_views(),
            lease_seconds=lease_seconds,
            tell_every=0,
            rebuild=rebuild,
        )

    def ask(self, by: Caller | None = None, **asked: Any) -> Told:
        return self.office.call(START, asked, by or self.office.admin)

    def shown(self, id: str) -> dict[str, Any]:
        return self.office.call(f"GET /rebuilds/{id}", by=self.office.admin).done()

    @property
    def live(self) -> str:
        state = self.database[STATES].find_one({"_id": "products"})
        assert state is not None
        return str(state["collection"])

    def assert_tidy(self) -> None:
        """No attempt has left anything."""
        assert self.database[STATES].count_documents({}) == len(all_views())
        own = [name for name in self.database.list_collection_names() if name.startswith("products")]
        assert {self.live} <= set(own) <= set(collections_of(PRODUCTS_VIEW, self.live))


@pytest.fixture
def shop(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(building, "BATCH", 20)
    monkeypatch.setattr(rebuild_module, "COMPARED_AT_ONCE", 1)
    with quick_hashes():
        yield Shop(bench, tmp_path)


def test_a_rebuild_is_asked_for_seen_and_ends(shop: Shop) -> None:
    told = shop.ask()
    assert told.status == 202
    assert told.response.headers["Location"] == f"/rebuilds/{told.body['id']}"
    asked = told.body
    assert (asked["status"], asked["view"], asked["by"]) == ("WAITING", "products", "Root")
    assert asked["by_id"] == shop.office.admin.user_id

    second = shop.ask(force=True)
    assert (second.status, second.code, second.body["state"]) == (409, "INVALID_STATE", "WAITING")
    assert asked["id"] in second.body["detail"] and "Root" in second.body["detail"]
    assert shop.office.call("POST /views/orders/rebuilds", {}, shop.office.admin).status == 202, "of another view"

    seen: list[dict[str, Any]] = []
    worker = shop.worker(lambda *_: seen.append(shop.shown(asked["id"])))
    assert worker.step(shop.stop)
    assert {row["status"] for row in seen} == {"RUNNING"}
    assert [row["phase"] for row in seen] == sorted(row["phase"] for row in seen), "building, then comparing"
    assert {row["phase"] for row in seen} == {"BUILDING", "COMPARING"}
    built = [row["done"] for row in seen if row["phase"] == "BUILDING"]
    assert built == sorted(built) and 0 < built[0] < built[-1] == seen[0]["total"]

    ended = shop.shown(asked["id"])
    assert (ended["status"], ended["differences"], ended["reason"]) == ("SWITCHED", 0, "")
    assert ended["events"] > 0 and ended["documents"] == shop.database[shop.live].count_documents({})
    assert asked["asked_at"] <= ended["started_at"] <= ended["ended_at"]
    assert shop.live.startswith("products__")
    assert documents(shop.database) == shop.expected
    shop.assert_tidy()
    assert shop.ask().status == 202, "the next one may begin"
    listed = shop.office.call("GET /rebuilds", by=shop.office.admin).done()["items"]
    assert [row["view"] for row in listed] == ["products", "orders", "products"]


def test_it_refuses_to_switch_on_differences_and_says_which_unless_forced(shop: Shop) -> None:
    one = shop.database["products"].find_one()
    assert one is not None
    shop.database["products"].update_one({"_id": one["_id"]}, {"$set": {"on_hand": -1}})
    spoilt = documents(shop.database)
    refused = shop.ask().body
    assert shop.worker().step(shop.stop)
    ended = shop.shown(refused["id"])
    assert (ended["status"], ended["differences"]) == ("NOT_SWITCHED", 1)
    assert ended["reason"] == "1 documents differ from the live view"
    assert ended["differing"] == [f"{one['_id']}: on_hand is -1, now {one['on_hand']}"]
    assert documents(shop.database) == spoilt
    shop.assert_tidy()

    looked = shop.ask(compare_only=True, force=True).body
    assert shop.worker().step(shop.stop)
    assert shop.shown(looked["id"])["status"] == "NOT_SWITCHED"
    assert documents(shop.database) == spoilt

    forced = shop.ask(force=True).body
    assert shop.worker().step(shop.stop)
    ended = shop.shown(forced["id"])
    assert (ended["status"], ended["force"], ended["differences"]) == ("SWITCHED", True, 1)
    assert ended["reason"] == "forced, although 1 documents differ from the live view"
    assert documents(shop.database) == shop.expected
    shop.assert_tidy()


@pytest.mark.parametrize("phase", ["BUILDING", "COMPARING"])
def test_a_worker_that_is_killed_is_followed_by_the_next(shop: Shop, phase: str) -> None:
    def kill(_: Rebuild, told: tuple[Any, ...]) -> None:
        if told[0] == phase:
            raise Killed

    asked = shop.ask().body
    with pytest.raises(Killed):
        shop.worker(kill, lease_seconds=0.05).step(shop.stop)
    assert shop.shown(asked["id"])["status"] == "RUNNING"
    assert until(lambda: shop.worker().step(shop.stop))
    ended = shop.shown(asked["id"])
    assert (ended["status"], ended["attempts"], ended["differences"]) == ("SWITCHED", 2, 0)
    assert documents(shop.database) == shop.expected
    shop.assert_tidy()


def test_one_that_is_killed_just_after_the_switch_has_switched(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any) -> None:
        raise Killed

    asked = shop.ask().body
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Rebuild, "_drop_all_but", killed)
        shop.worker(lease_seconds=0.05).step(shop.stop)
    assert until(lambda: shop.worker().step(shop.stop))
    assert shop.shown(asked["id"])["status"] == "SWITCHED"
    assert documents(shop.database) == shop.expected
    shop.assert_tidy()


def test_one_that_ends_its_worker_each_time_is_given_up(shop: Shop) -> None:
    def kill(*_: Any) -> None:
        raise Killed

    asked = shop.ask().body
    for _ in range(MOST_BROKEN_OFF):
        worker = shop.worker(kill, lease_seconds=0.01)
        with pytest.raises(Killed):
            until(lambda worker=worker: worker.step(shop.stop))  # type: ignore[misc]
    assert until(lambda: shop.worker().step(shop.stop))
    ended = shop.shown(asked["id"])
    assert ended["status"] == "FAILED" and "Given up" in ended["reason"]
    assert shop.live == "products"
    shop.assert_tidy()


def test_one_that_another_worker_took_over_ends_and_changes_nothing(shop: Shop) -> None:
    calls: list[str] = []

    def take_over(_: Rebuild, told: tuple[Any, ...]) -> None:
        if told[0] == "COMPARING" and not calls:
            calls.append("taken")
            assert until(lambda: shop.worker().step(shop.stop))

    asked = shop.ask().body
    assert shop.worker(take_over, lease_seconds=0.01).step(shop.stop)
    assert calls
    ended = shop.shown(asked["id"])
    assert (ended["status"], ended["attempts"]) == ("SWITCHED", 2)
    assert shop.live.endswith("02")
    assert documents(shop.database) == shop.expected
    shop.assert_tidy()


def test_what_may_pass_is_tried_again_and_what_does_not_has_failed(shop: Shop) -> None:
    def away(_: Rebuild, __: tuple[Any, ...]) -> None:
        raise ConnectionError("Kafka is away")

    def wrong(_: Rebuild, __: tuple[Any, ...]) -> None:
        raise ValueError("no such thing")

    asked = shop.ask().body
    for _ in range(MOST_BROKEN_OFF + 1):
        assert not shop.worker(away).step(shop.stop)
        waiting = shop.shown(asked["id"])
        assert waiting["status"] == "WAITING" and "Kafka is away" in waiting["reason"]
    assert shop.worker(wrong).step(shop.stop)
    ended = shop.shown(asked["id"])
    assert (ended["status"], ended["reason"]) == ("FAILED", "ValueError: no such thing")
    shop.assert_tidy()


def test_a_worker_that_is_stopped_leaves_it_to_the_next_at_once(shop: Shop) -> None:
    asked = shop.ask().body
    assert shop.worker(lambda *_: shop.stop.set()).step(shop.stop)
    assert shop.shown(asked["id"])["status"] == "WAITING"
    shop.assert_tidy()
    assert shop.worker().step(threading.Event())
    assert shop.shown(asked["id"])["status"] == "SWITCHED"


def test_it_is_called_off_before_and_while_it_runs_but_not_afterwards(shop: Shop) -> None:
    waits = shop.ask().body
    cancel = f"POST /rebuilds/{waits['id']}/cancel"
    for _ in range(2):
        off = shop.office.call(cancel, by=shop.office.admin).done()
        assert (off["status"], off["called_off_by"]) == ("CALLED_OFF", "Root")
    assert not shop.worker().step(shop.stop)

    runs = shop.ask().body
    cancel = f"POST /rebuilds/{runs['id']}/cancel"
    assert shop.worker(lambda *_: shop.office.call(cancel, by=shop.office.admin).done()).step(shop.stop)
    assert shop.shown(runs["id"])["status"] == "CALLED_OFF"
    assert shop.live == "products"
    shop.assert_tidy()

    done = shop.ask().body
    assert shop.worker().step(shop.stop)
    late = shop.office.call(f"POST /rebuilds/{done['id']}/cancel", by=shop.office.admin)
    assert (late.status, late.code, late.body["state"]) == (409, "INVALID_STATE", "SWITCHED")


def test_it_is_called_off_once_under_its_key(shop: Shop) -> None:
    office, admin = shop.office, shop.office.admin
    waits = office.call(START, {}, admin, headers={"idempotency-key": "start"}).body
    cancel, key = f"POST /rebuilds/{waits['id']}/cancel", {"idempotency-key": "cancel"}
    first = office.call(cancel, by=admin, headers=key).done()
    assert office.call(cancel, by=admin, headers=key).done() == first
    other = office.call(START, {}, admin).body
    for used in ("start", "cancel"):
        again = office.call(f"POST /rebuilds/{other['id']}/cancel", by=admin, headers={"idempotency-key": used})
        assert again.code == "KEY_REUSED"
    assert office.call(START, {}, admin, headers=key).code == "KEY_REUSED"
    bad = office.call(f"POST /rebuilds/{other['id']}/cancel", by=admin, headers={"idempotency-key": "not a key"})
    assert (bad.code, bad.body["field"]) == ("VALIDATION", "Idempotency-Key")

    def call_off(*_: Any) -> None:
        office.call(f"POST /rebuilds/{other['id']}/cancel", by=admin, headers={"idempotency-key": "too-late"}).done()

    assert shop.worker(call_off).step(shop.stop)
    ended = office.call(f"POST /rebuilds/{other['id']}/cancel", by=admin, headers={"idempotency-key": "too-late"})
    assert ended.done()["status"] == "CALLED_OFF"


def test_who_may_not_and_what_is_not_there_is_refused_and_noted(shop: Shop) -> None:
    seller = shop.office.user("SAL", "WHS", "MGT")
    assert shop.ask(seller).status == 403
    unknown = shop.office.call("POST /views/nobody/rebuilds", {}, shop.office.admin)
    assert (unknown.status, unknown.body["field"]) == (404, "view")
    assert all(view.name in unknown.body["detail"] for view in all_views())
    assert shop.office.call("POST /views/audit/rebuilds", {}, shop.office.admin).status == 404, "no events make it"
    for absurd in ({"force": "yes"}, {"force": 2}, {"switch": True}):
        assert shop.office.call(START, absurd, shop.office.admin).code == "VALIDATION"
    assert shop.office.call(f"GET /rebuilds/{uuid4()}", by=shop.office.admin).code == "NOT_FOUND"
    assert shop.database[REBUILDS].count_documents({}) == 0

    key = {"idempotency-key": "once"}
    first, again = (shop.office.call(START, {}, shop.office.admin, headers=key) for _ in range(2))
    assert first.body == again.body
    assert shop.office.call(START, {"force": True}, shop.office.admin, headers=key).code == "KEY_REUSED"

    shop.office.writers["access"].execute([])
    entries = [entry for record in shop.office.stores["access"].audit_after(0, 1_000) for entry in record.entries()]
    noted = [
        (entry.kind, entry.result, entry.object_kind, entry.object_id, entry.user)
        for entry in entries
        if entry.action == "rebuild_view"
    ]
    assert noted[0] == ("COMMAND", "FORBIDDEN", "view", "products", "User 1001")
    assert noted[1] == ("COMMAND", "NOT_FOUND", "view", "nobody", "Root")
    assert [result for _, result, *_ in noted] == [
        "FORBIDDEN", "NOT_FOUND", "NOT_FOUND", "VALIDATION", "VALIDATION", "VALIDATION", "DONE", "DONE", "KEY_REUSED",
    ]  # fmt: skip


def test_only_one_of_many_who_ask_at_once_is_heard(shop: Shop) -> None:
    answers: list[int] = []
    everybody = [threading.Thread(target=lambda: answers.append(shop.ask().status)) for _ in range(8)]
    for one in everybody:
        one.start()
    for one in everybody:
        one.join(timeout=60)
    assert sorted(answers) == [202, *[409] * 7]


def test_a_worker_looks_only_for_views_of_its_own(shop: Shop) -> None:
    shop.ask()
    others: list[View] = [view for view in all_views() if view is not PRODUCTS_VIEW]
    assert not RebuildWorker(shop.bench.kafka.config, shop.database, others).step(shop.stop)
