"""By which ways people are told, when, how often it is tried, and what is shown of it (NTF-03, NTF-05)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from chassis.catalogue import Catalogue
from chassis.delivery.courier import AT_ONCE, AWAY_SECONDS, Courier
from chassis.delivery.port import NotSent, Outgoing
from chassis.foundation.config import Config
from chassis.foundation.rate_limits import LocalStorage, MovingLimit, RateLimit
from chassis.model.principal import SYSTEM, Principal
from chassis.store.events import Unreadable
from chassis.testing.people import ADMIN, SALES, WAREHOUSE
from chassis.testing.services import AtOnce, InMemoryService
from chassis.testing.views import documents
from chassis.writer.request import Request
from contracts.access import UserEdited, UserState
from contracts.errors import Refused
from contracts.notices import (
    Announce,
    ChooseNoticeWays,
    DeliveryFailed,
    DeliveryPlanned,
    DeliveryPostponed,
    DeliverySent,
    NoticeGiven,
    OccasionWays,
    QuietHours,
    Receiver,
    SendAgain,
    SetNoticeWays,
    TellPeople,
)
from contracts.occasions import GROUPS, WAYS, Filled, Occasion, Way
from contracts.people import Preferences
from services.notices import outgoing
from services.notices.application import SERVICE
from services.notices.domain.deliveries import PAUSES
from services.notices.domain.ways import SETTINGS, ChosenWays, CompanyWays
from services.notices.waiting import WAITING

MAIL = (OccasionWays(occasion="ANNOUNCEMENT", ways=("MAIL",)),)
DELIVERIES = next(view for view in Catalogue.read().views() if view.name == "deliveries")
TO_WANG = (Receiver(kind="USER", user_id=WAREHOUSE.user_id),)


Ways = Mapping[str, Any]
"""Carriers, by their ways."""


class Carrier:
    """Takes what it is given, or fails as it is told."""

    def __init__(self) -> None:
        self.taken: list[Outgoing] = []
        self.fails: list[Exception] = []

    def send(self, outgoing: Outgoing) -> None:
        self.taken.append(outgoing)
        if self.fails:
            raise self.fails.pop(0)


class Written(AtOnce):
    """A writer that may fail."""

    fails: Exception | None = None

    def submit_all(self, requests: Sequence[Request]) -> None:
        if self.fails:
            raise self.fails
        super().submit_all(requests)


class Post:
    """The service, and who sends what it has to send."""

    def __init__(
        self, *, rate: str = "1000/hour", by: Mapping[str, Any] | None = None, robot: str = "9/second"
    ) -> None:
        self.kit = InMemoryService(SERVICE)
        self.carrier, self.ticks = Carrier(), 0.0
        self.occasion: Occasion = "ANNOUNCEMENT"
        self.writer = at_once = Written(self.kit.writer)
        storage = LocalStorage(clock=lambda: self.ticks)
        self.courier = Courier(
            cast(Any, at_once),
            self.kit.directory.company,
            outgoing.Outgoing(Config(public_address="https://crm.example/"), self.kit.directory),
            {**dict.fromkeys(WAYS, self.carrier), **(by or {})},
            RateLimit("mail", rate, "MAIL_RATE", storage),
            of_ways={"DINGTALK": MovingLimit("dingtalk", robot, "ROBOT_RATE", clock=lambda: self.ticks)},
            clock=lambda: self.kit.now,
            ticks=lambda: self.ticks,
        )
        for one in (ADMIN, SALES, WAREHOUSE):
            self.knows(one, "wang@example.com" if one is WAREHOUSE else "")
        self.kit.new_facts()

    def knows(self, user: Principal, email: str, revision: int = 100, **more: Any) -> None:
        """The service and the directory hear of somebody."""
        state: dict[str, Any] = {"login": user.name, "name": user.name, "status": "ACTIVE", "roles": (*user.roles,)}
        told = UserEdited(user_id=user.user_id, user=UserState(**{**state, **more}, email=email, revision=revision))  # type: ignore[arg-type]
        self.kit.directory.tell([told])
        self.kit.learn(told)

    def by_mail(self) -> None:
        self.by("MAIL")

    def by(self, *ways: Way) -> None:
        self.occasion = "ANNOUNCEMENT" if set(ways).isdisjoint(GROUPS) else "MENTIONED"
        self.kit.do(SetNoticeWays(ways=(OccasionWays(occasion=self.occasion, ways=ways),)))
        self.hear()

    def announce(self, text: str = "at eight", to: Principal = WAREHOUSE) -> None:
        """Tell somebody, of what a robot may say where it was chosen."""
        if self.occasion != "ANNOUNCEMENT":
            self.mention(text, to)
            return
        self.kit.do(Announce(title="Update", text=text, receivers=(Receiver(kind="USER", user_id=to.user_id),)))
        self.hear()

    def mention(self, text: str, to: Principal) -> None:
        receivers = (Receiver(kind="USER", user_id=to.user_id),)
        tell = TellPeople(
            telling_id=uuid4(),
            occasion=self.occasion,
            receivers=receivers,
            happened_at=self.kit.now,
            values=(Filled(name="by", text=text),),
        )
        self.kit.do(tell, by=replace(SYSTEM, organisation=self.kit.directory))
        self.hear()

    def rests(self, begins: str, ends: str) -> None:
        """Wang lives in Berlin, and has quiet hours."""
        self.knows(WAREHOUSE, "wang@example.com", 101, preferences=Preferences(time_zone="Europe/Berlin"))
        quiet = QuietHours(begins=begins, ends=ends)
        self.kit.do(ChooseNoticeWays(user_id=WAREHOUSE.user_id, quiet=quiet), by=WAREHOUSE)  # type: ignore[arg-type]
        self.hear()

    def turn_at(self, moment: str, fold: int = 0) -> list[Any]:
        """What happens when it is that hour where Wang lives."""
        local = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo("Europe/Berlin"), fold=fold)
        self.ticks += max(0.0, (local.astimezone(UTC) - self.kit.now).total_seconds())
        self.kit.now = local.astimezone(UTC)
        return self.turn()

    def hear(self) -> list[Any]:
        """What happened since; the service's replicas hear of it, as they do by way of Kafka."""
        found = self.kit.new_facts()
        fed = {fact for replica in SERVICE.replicas for fact in replica.feeds}
        self.kit.learn(*(fact for fact in found if type(fact) in fed))
        return found

    def turn(self) -> list[Any]:
        self.courier.turn()
        self.kit.check_published()
        return self.hear()

    def rows(self) -> list[dict[str, Any]]:
        return list(documents(DELIVERIES, [f for f in self.kit.facts() if type(f) in DELIVERIES.handlers]).values())


@pytest.fixture
def post() -> Post:
    found = Post()
    found.by_mail()
    found.hear()
    return found


# -- ways


def test_ntf_03_nobody_is_sent_anything_before_a_way_is_set() -> None:
    found = Post()
    found.announce()
    assert found.turn() == []
    assert not found.carrier.taken


def test_ntf_03_what_the_company_has_set_holds_until_somebody_chooses(post: Post) -> None:
    post.announce()
    [sent] = post.turn()
    assert isinstance(sent, DeliverySent)
    [taken] = post.carrier.taken
    notice = next(fact for fact in post.kit.facts() if isinstance(fact, NoticeGiven))
    assert (taken.to, taken.subject) == ("wang@example.com", "Update")
    assert taken.text == f"at eight\n\nhttps://crm.example/notices/{notice.notice_id}\n"
    assert post.turn() == [], "once"
    none = (OccasionWays(occasion="ANNOUNCEMENT", ways=()),)
    post.kit.do(ChooseNoticeWays(user_id=WAREHOUSE.user_id, ways=none), by=WAREHOUSE)  # type: ignore[arg-type]
    post.announce()
    assert post.turn() == []


def test_ntf_03_one_chooses_for_oneself_alone(post: Post) -> None:
    command = ChooseNoticeWays(user_id=WAREHOUSE.user_id, ways=MAIL)  # type: ignore[arg-type]
    post.kit.assert_refused("FORBIDDEN", command, by=ADMIN, field="user_id")


@pytest.mark.parametrize(
    ("begins", "ends", "now", "due"),
    [
        ("22:00", "07:30", "2026-03-02T21:59", "2026-03-02T21:59"),
        ("22:00", "07:30", "2026-03-02T22:00", "2026-03-03T07:30"),
        ("22:00", "07:30", "2026-03-03T07:29", "2026-03-03T07:30"),
        ("22:00", "07:30", "2026-03-03T07:30", "2026-03-03T07:30"),
        ("12:00", "13:00", "2026-03-02T12:15", "2026-03-02T13:00"),
        ("12:00", "13:00", "2026-03-02T13:15", "2026-03-02T13:15"),
        ("12:00", "12:00", "2026-03-02T12:00", "2026-03-02T12:00"),
        ("01:00", "02:30", "2026-03-29T01:30", "2026-03-29T03:30"),  # the clocks go on from 2 to 3 here
    ],
)
def test_ntf_03_in_quiet_hours_it_is_held_back_and_not_lost(
    post: Post, begins: str, ends: str, now: str, due: str
) -> None:
    """By the clock of the person's zone, not the company's."""
    post.rests(begins, ends)
    zone = post.kit.directory.zone_of(WAREHOUSE.user_id)  # type: ignore[arg-type]
    post.kit.now = datetime.fromisoformat(now).replace(tzinfo=zone).astimezone(UTC)
    then = datetime.fromisoformat(due).replace(tzinfo=zone).astimezone(UTC)
    post.kit.do(Announce(title="Update", text="x", receivers=TO_WANG))
    [planned] = [fact for fact in post.hear() if isinstance(fact, DeliveryPlanned)]
    assert planned.due_at == then
    if then > post.kit.now:
        assert post.turn() == []
    post.kit.now = then
    assert len(post.turn()) == 1


def test_ntf_03_in_quiet_hours_no_later_try_is_sent_either(post: Post) -> None:
    """The relay was away when they began, and somebody has it sent again by hand."""
    post.rests("22:00", "07:30")
    post.turn_at("2026-03-02T21:50")
    post.announce()
    post.carrier.fails = [NotSent("CONNECTION"), NotSent("RECIPIENT_550", for_good=True)]
    [postponed] = post.turn_at("2026-03-02T21:59:30")
    assert isinstance(postponed, DeliveryPostponed)
    assert post.turn_at("2026-03-02T22:01") == post.turn_at("2026-03-03T07:29") == []
    assert len(post.carrier.taken) == 1
    [failed] = post.turn_at("2026-03-03T07:40")
    assert isinstance(failed, DeliveryFailed)
    post.turn_at("2026-03-03T23:00")
    post.kit.do(SendAgain(delivery_id=failed.delivery_id))
    post.hear()
    assert post.turn_at("2026-03-03T23:01") == []
    assert [type(fact) for fact in post.turn_at("2026-03-04T07:40")] == [DeliverySent]


def test_ntf_03_quiet_hours_that_were_chosen_after_it_was_planned_hold(post: Post) -> None:
    """And so does that they were taken back: within some minutes."""
    post.turn_at("2026-03-02T21:50")
    post.announce()
    post.rests("21:00", "07:30")
    assert post.turn_at("2026-03-02T21:51") == []
    post.kit.do(ChooseNoticeWays(user_id=WAREHOUSE.user_id), by=WAREHOUSE)  # type: ignore[arg-type]
    post.hear()
    assert [type(fact) for fact in post.turn_at("2026-03-02T22:02")] == [DeliverySent]


def test_ntf_03_an_hour_that_comes_twice_is_quiet_twice(post: Post) -> None:
    """The clocks go back from 3 to 2 here."""
    post.rests("01:00", "02:30")
    post.turn_at("2026-10-25T02:15", fold=1)
    post.announce()
    assert post.turn_at("2026-10-25T02:29", fold=1) == []
    assert [type(fact) for fact in post.turn_at("2026-10-25T02:30", fold=1)] == [DeliverySent]


def test_ntf_03_who_is_sent_nothing_holds_up_nobody(post: Post) -> None:
    """More wait for somebody who sleeps, and for somebody who got much, than are sent at once."""
    post.turn_at("2026-03-02T21:50")
    for _ in range(AT_ONCE + 1):
        post.announce()
    post.knows(SALES, "li@example.com", 101)
    post.announce(to=SALES)
    post.rests("21:00", "07:30")
    [sent] = post.turn_at("2026-03-02T21:51")
    assert isinstance(sent, DeliverySent) and sent.receiver_id == SALES.user_id


# -- tries


def test_what_can_not_be_noted_is_not_sent_again(post: Post) -> None:
    """The disk of the store is full: everything can be read, nothing be written."""
    post.announce()
    post.announce("second")
    post.writer.fails = Refused("system.store_away")
    for _ in range(3):
        assert post.turn() == []
    assert len(post.carrier.taken) == 1
    post.writer.fails = None
    assert [type(fact) for fact in post.turn()] == [DeliverySent, DeliverySent]
    assert len(post.carrier.taken) == 2


def test_what_can_never_be_noted_is_sent_once_and_holds_up_nobody(post: Post) -> None:
    post.announce()
    post.writer.fails = ValueError("damaged")
    post.turn()
    post.writer.fails = None
    post.announce("second")
    assert [type(fact) for fact in post.turn()] == [DeliverySent]
    assert post.turn() == []
    assert [one.text[:6] for one in post.carrier.taken] == ["at eig", "second"]


def test_a_delivery_that_is_damaged_holds_up_nobody(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post.announce()
    damaged = next(fact.delivery_id for fact in post.kit.facts() if isinstance(fact, DeliveryPlanned))
    load = post.kit.store.load

    def torn(cls: Any, id: Any) -> Any:
        if id == damaged:
            raise Unreadable(damaged, 1, ValueError("torn"))
        return load(cls, id)

    monkeypatch.setattr(post.kit.store, "load", torn)
    post.announce("second")
    [sent] = post.turn()
    assert isinstance(sent, DeliverySent) and sent.delivery_id != damaged


def test_what_waits_by_a_clock_that_was_ahead_does_not_wait_for_years(post: Post) -> None:
    now = post.kit.now
    post.kit.now = now + timedelta(days=400)
    post.announce()
    post.carrier.fails = [NotSent("CONNECTION")]
    [postponed] = post.turn()
    assert isinstance(postponed, DeliveryPostponed)
    post.kit.now = now
    post.ticks += AWAY_SECONDS
    assert [type(fact) for fact in post.turn()] == [DeliverySent]


def test_what_has_failed_is_not_looked_at_each_second(post: Post) -> None:
    post.announce()
    post.carrier.fails = [NotSent("RECIPIENT_550", for_good=True)]
    post.turn()
    assert post.kit.store.rows(WAITING.name) == []


def test_ntf_05_it_is_tried_again_with_growing_pauses_the_same_each_time_and_then_has_failed(post: Post) -> None:
    post.announce()
    started = post.kit.now
    post.carrier.fails = [NotSent("CONNECTION") for _ in range(20)]
    for pause in PAUSES:
        [postponed] = post.turn()
        assert isinstance(postponed, DeliveryPostponed)
        assert (postponed.reason, postponed.due_at - post.kit.now) == ("CONNECTION", pause)
        post.ticks += pause.total_seconds()
        post.kit.now = postponed.due_at - timedelta(seconds=1)
        assert post.turn() == []
        post.kit.now = postponed.due_at
    [failed] = post.turn()
    assert isinstance(failed, DeliveryFailed) and failed.attempt == len(PAUSES) + 1
    assert len(set(post.carrier.taken)) == 1
    assert timedelta(hours=20) < post.kit.now - started < timedelta(hours=30)
    post.kit.now += timedelta(days=10)
    assert post.turn() == []
    [row] = post.rows()
    assert (row["status"], row["attempts"], row["reason"], row["receiver"]) == ("FAILED", 8, "CONNECTION", "wang")


def test_ntf_05_what_has_failed_is_sent_again_by_hand(post: Post) -> None:
    post.announce()
    post.carrier.fails = [NotSent("RECIPIENT_550", for_good=True)]
    [failed] = post.turn()
    assert isinstance(failed, DeliveryFailed) and failed.attempt == 1
    post.kit.do(SendAgain(delivery_id=failed.delivery_id))
    post.kit.assert_refused("INVALID_STATE", SendAgain(delivery_id=failed.delivery_id), field="delivery_id")
    post.hear()
    [sent] = post.turn()
    assert isinstance(sent, DeliverySent) and sent.attempt == 2
    post.kit.assert_refused("INVALID_STATE", SendAgain(delivery_id=failed.delivery_id), field="delivery_id")
    assert [row["status"] for row in post.rows()] == ["SENT"]


def test_ntf_05_what_was_noted_while_the_replica_was_behind_is_not_sent_again(post: Post) -> None:
    post.announce()
    post.courier.turn()
    post.courier.turn()
    assert len(post.carrier.taken) == 1


@pytest.mark.parametrize("status", ["DELETED", "NOT_ACTIVATED"])
def test_ntf_03_who_has_left_is_sent_nothing(post: Post, status: str) -> None:
    post.announce()
    post.knows(WAREHOUSE, "wang@example.com", 101, status=status)
    [failed] = post.turn()
    assert isinstance(failed, DeliveryFailed) and failed.reason == "NO_ADDRESS"
    assert not post.carrier.taken


def test_ntf_03_one_receiver_gets_so_much_an_hour_and_the_rest_later() -> None:
    post = Post(rate="2/hour")
    post.by_mail()
    for _ in range(5):
        post.announce()
    assert [len(post.turn()) for _ in range(3)] == [2, 0, 0]
    post.ticks += 3600
    assert len(post.turn()) == 2
    post.ticks += 3600
    assert len(post.turn()) == 1
    assert len(post.carrier.taken) == 5


def test_a_carrier_that_fails_in_itself_is_tried_again_and_tells_nothing(post: Post) -> None:
    post.announce()
    post.carrier.fails = [RuntimeError("wang@example.com")]
    [postponed] = post.turn()
    assert postponed.reason == "INTERNAL"


def test_cpl_01_no_event_of_a_delivery_holds_an_address_or_a_text(post: Post) -> None:
    post.announce("very secret")
    post.turn()
    stored = b"".join(one.data for one in post.kit.store.notifications(0, 1_000) if "announced" not in one.type)
    assert b"wang@example.com" not in stored and b"very secret" not in stored


# -- ways besides mail


def with_phone(**more: Any) -> Post:
    """Wang has a number, and is told by a robot or a text message."""
    found = Post(**more)
    for one in (WAREHOUSE, SALES):
        found.knows(one, "", 101, phone=f"1380000000{len(one.name)}")
    return found


def test_ntf_03_a_text_message_has_so_much_of_the_notice_and_the_way_to_it() -> None:
    post = with_phone()
    post.by("SMS")
    post.announce("字" * 1_000)
    assert [type(fact) for fact in post.turn()] == [DeliverySent]
    [taken] = post.carrier.taken
    text, link = taken.text.rstrip("\n").split("\n\n")
    assert (taken.to, len(text), text[-1]) == ("13800000004", 300, "…") and link.startswith("https://crm.example/")


@pytest.mark.parametrize("way", GROUPS)
def test_sec_18_a_group_reads_of_what_somebody_is_told_and_never_what(way: Way) -> None:
    """Others are in it who may not see what stands in the notice."""
    post = with_phone()
    post.by(way)
    post.announce("very secret")
    post.turn()
    [taken] = post.carrier.taken
    assert taken.subject == "评论中提到我" and taken.text.startswith("https://crm.example/notices/")
    assert "secret" not in str(taken) and "Update" not in str(taken)


def test_ntf_03_who_has_no_number_is_told_by_mail_alone(post: Post) -> None:
    post.by("MAIL", "SMS")
    post.announce()
    assert {type(fact) for fact in post.turn()} == {DeliverySent, DeliveryFailed}
    assert {(row["way"], row["reason"]) for row in post.rows()} == {("MAIL", ""), ("SMS", "NO_ADDRESS")}


def test_ntf_03_a_robot_says_so_much_in_a_minute_and_the_rest_later_and_holds_up_no_other_way() -> None:
    post = with_phone(robot="2/minute")
    post.by("DINGTALK", "SMS")
    for to in (WAREHOUSE, SALES) * 2:
        post.announce(to=to)
    assert [len(post.turn()) for _ in range(2)] == [6, 0]
    post.ticks += 60
    assert len(post.turn()) == 2


class Hangs:
    """A way whose server takes a connection and says nothing."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.tried = 0
        self.passes: Callable[[float], None] = lambda seconds: None

    def send(self, outgoing: Outgoing) -> None:
        self.tried += 1
        self.passes(20.0)
        raise NotSent(self.reason)


@pytest.mark.parametrize("reason", ["TIMEOUT", "CONNECTION"])
def test_ntf_05_a_way_that_hangs_holds_up_no_mail(reason: str) -> None:
    """Of many that wait for it one is tried, and a minute later the next."""
    hangs = Hangs(reason)
    post = with_phone(by={"SMS": hangs})

    def pass_ticks(seconds: float) -> None:
        post.ticks += seconds

    hangs.passes = pass_ticks
    post.by("SMS")
    for _ in range(AT_ONCE + 1):
        post.announce()
    post.kit.pass_time(seconds=1)
    post.by_mail()
    post.knows(SALES, "li@example.com", 102)
    post.announce(to=SALES)
    assert [type(fact) for fact in post.turn()] == [DeliveryPostponed, DeliverySent]
    assert post.turn() == [] and hangs.tried == 1
    post.ticks += AWAY_SECONDS
    assert [type(fact) for fact in post.turn()] == [DeliveryPostponed]


@pytest.mark.parametrize(
    ("written", "told"), [("+86 138-0000-0004", "13800000004"), ("+81 90-1234-5678", "+819012345678")]
)
@pytest.mark.parametrize("way", GROUPS)
def test_ntf_03_a_robot_is_told_the_bare_number_of_whom_it_means(way: Way, written: str, told: str) -> None:
    """However they have written it: the platform compares it as it stands."""
    post = with_phone()
    post.knows(WAREHOUSE, "", 102, phone=written)
    post.by(way)
    post.announce()
    post.turn()
    assert [one.to for one in post.carrier.taken] == [told]


@pytest.mark.parametrize("way", GROUPS)
def test_ntf_03_what_many_are_told_at_once_no_robot_says(way: Way) -> None:
    """2,000 messages into one group would take it 100 minutes, and an approval would wait behind them."""
    post = with_phone()
    ways = (OccasionWays(occasion="MENTIONED", ways=(way,)), OccasionWays(occasion="ANNOUNCEMENT", ways=("MAIL", way)))
    post.kit.assert_refused("VALIDATION", SetNoticeWays(ways=ways), field="ways.1.ways")
    chosen = ChooseNoticeWays(user_id=WAREHOUSE.user_id, ways=ways)  # type: ignore[arg-type]
    post.kit.assert_refused("VALIDATION", chosen, by=WAREHOUSE, field="ways.1.ways")
    post.kit.do(SetNoticeWays(ways=ways[:1]))


def test_ntf_03_a_robot_that_was_chosen_before_for_what_many_are_told_says_nothing() -> None:
    company = CompanyWays(SETTINGS.id, ways={"ANNOUNCEMENT": ("MAIL", "WECOM"), "MENTIONED": ("WECOM",)})
    chosen = ChosenWays(uuid4())
    assert [*chosen.ways_for("ANNOUNCEMENT", company)] == ["MAIL"]
    assert [*chosen.ways_for("MENTIONED", company)] == ["WECOM"]
