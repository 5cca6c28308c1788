"""The company's zone is obeyed by every service and every view; what is dated already stays as it was (SET-03)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from eventsourcing.persistence import OperationalError

from chassis.access.company import CompanySettings
from chassis.access.directory import Directory
from chassis.catalogue import Catalogue, known_everywhere
from chassis.documents import sample
from chassis.messaging.inbox import Inbox
from chassis.messaging.records import event_headers
from chassis.model.changes import EventMetadata
from chassis.model.service import Service, Work
from chassis.model.views import View
from chassis.store.event_store import EventStore
from chassis.store.events import Metadata
from chassis.store.memory import MemoryRecorder
from chassis.store.transaction import Transaction
from chassis.testing.services import InMemoryService
from chassis.writer.writer import Writer
from contracts.company import CompanyData, CompanyDataSet, ParameterSet, SetCompanyData, SetParameter
from contracts.declare import REGISTRY
from contracts.schemas import decode, load
from services.company.application import SERVICE as COMPANY_SERVICE
from services.company.domain import Parameter
from services.company.known import COMPANY, SET_PARAMETERS, company_told

SERVICES = [pytest.param(service, id=service.name) for service in Catalogue.read().services()]
VIEWS = [pytest.param(view, id=view.name) for view in Catalogue.read().views("projector")]
EVENING = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)


def company_set(zone: str, *, revision: int = 1, currency: str = "CNY") -> CompanyDataSet:
    data = CompanyData(full_name="Acme", time_zone=zone, currency=currency)
    return CompanyDataSet(settings_id="company", data=data, revision=revision)


# -- every process knows it


@pytest.mark.parametrize("service", SERVICES)
def test_SET_03_every_service_hears_of_the_zone_and_keeps_it(service: Service) -> None:
    """By way of its replicas, and again after a restart from its store."""
    store = EventStore(service.name, MemoryRecorder())
    directory = Directory(known_everywhere(), company=CompanySettings(ZoneInfo("Asia/Shanghai")))
    Writer(service, store, listener=directory).learn([company_set("America/New_York")], {"position:t:0": 1})
    again = Directory(known_everywhere(), company=CompanySettings(ZoneInfo("Asia/Shanghai")))
    again.load(store)
    for known in (directory, again):
        assert known.company.zone.key == "America/New_York"
        assert known.company.day_of(EVENING) == date(2026, 3, 1)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("by", ["another process", "this one, whose commit got no answer"])
def test_SET_03_what_was_learned_and_not_told_is_known_when_the_inbox_goes_on(
    service: Service, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was fenced, or failed, opens anew and goes on behind what is stored already: it never meets those records."""
    store = EventStore(service.name, MemoryRecorder())
    directory = Directory(known_everywhere(), company=CompanySettings(ZoneInfo("Asia/Shanghai")))
    writer = Writer(service, store, listener=directory)
    inbox = Inbox(writer, directory.company)
    inbox.offsets([])
    learned = [company_set("America/New_York")], {"position:t:0": 1}
    if by == "another process":
        Writer(service, store, listener=Directory(known_everywhere())).learn(*learned)
    else:
        commit = store.commit

        def lossy(transaction: Transaction) -> list[int]:
            commit(transaction)
            raise OperationalError("the connection was lost")

        with monkeypatch.context() as patched, pytest.raises(OperationalError):
            patched.setattr(store, "commit", lossy)
            writer.learn(*learned)
    assert directory.company.zone.key == "Asia/Shanghai"
    inbox.forget()
    inbox.offsets([])
    assert directory.company.zone.key == "America/New_York"


def test_who_learns_after_another_process_forgets_the_rows_that_one_has_changed() -> None:
    seen: list[str] = []

    def look(command: SetParameter, work: Work) -> Parameter:
        row = work.lookup(COMPANY, "company")
        seen.append(row.time_zone if row else "")
        return work.find_or_new(Parameter, uuid4())

    commands = {**COMPANY_SERVICE.commands, SetParameter: look}
    service = replace(COMPANY_SERVICE, commands=commands, replicas=[COMPANY, SET_PARAMETERS])
    store = EventStore("company", MemoryRecorder())
    one, other = Writer(service, store), Writer(service, store)
    one.learn([company_set("Asia/Tokyo")], {})
    kit = InMemoryService(service)
    command = SetParameter(name="x", value="1", reason="because")
    other.execute([kit.request(command)])
    one.learn([company_set("Europe/Berlin", revision=2)], {})
    other.learn([ParameterSet(name="x", before="", value="1", reason="because")], {})
    other.execute([kit.request(command)])
    assert seen == ["Asia/Tokyo", "Europe/Berlin"]


def test_who_sets_the_zone_obeys_it_at_once_and_tells_each_event_its_day() -> None:
    kit = InMemoryService(COMPANY_SERVICE)
    kit.now = EVENING
    assert kit.today == date(2026, 3, 2)
    kit.do(SetCompanyData(full_name="Acme", time_zone="America/New_York", currency="USD"))
    kit.do(SetParameter(name="x", value="1", reason="because"))
    days = [event.meta.day for event in kit.store.notifications(0, 10)]
    assert days == [date(2026, 3, 2), date(2026, 3, 1)], "a change of the zone leaves alone what is dated already"
    assert kit.request(SetParameter(name="x", value="2", reason="because")).context.currency == "USD"


def test_news_may_come_late_or_twice() -> None:
    newer, older = company_set("Europe/Berlin", revision=7), company_set("Asia/Tokyo", revision=3)
    directory = Directory(known_everywhere(), company=CompanySettings(ZoneInfo("Asia/Shanghai")))
    settings = directory.company
    for fact in (older, newer, older, newer, older):
        directory.tell([fact])
    assert settings.zone.key == "Europe/Berlin"
    row = company_told(company_told(None, newer), older)
    assert row.time_zone == "Europe/Berlin"
    settings.take(company_told(None, older))
    assert settings.zone.key == "Europe/Berlin"


def test_events_of_before_revisions_come_in_order() -> None:
    directory = Directory(known_everywhere(), company=CompanySettings(ZoneInfo("Asia/Shanghai")))
    for zone in ("Asia/Tokyo", "Europe/Berlin"):
        directory.tell([company_set(zone, revision=0)])
    assert directory.company.zone.key == "Europe/Berlin"
    assert decode(COMPANY.row, b'{"time_zone":"Asia/Tokyo","currency":"CNY","language":"zh"}').revision == 0


@pytest.mark.parametrize(
    ("zone", "moment", "day"),
    [
        ("Asia/Shanghai", "2026-03-01T15:59:59Z", "2026-03-01"),
        ("Asia/Shanghai", "2026-03-01T16:00:00Z", "2026-03-02"),
        ("Europe/Berlin", "2026-03-28T23:30:00Z", "2026-03-29"),  # the hour that never comes, at 02:00
        ("Europe/Berlin", "2026-03-29T22:00:00Z", "2026-03-30"),
        ("Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25"),  # the hour that comes twice
        ("Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25"),
        ("America/Sao_Paulo", "2018-11-04T02:59:59Z", "2018-11-03"),  # a day without midnight
        ("America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-04"),
        ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29"),  # 30 December never came
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31"),
        ("Pacific/Kiritimati", "2026-03-01T10:00:00Z", "2026-03-02"),
        ("Etc/GMT+12", "2026-03-01T11:59:59Z", "2026-02-28"),
    ],
)
def test_the_day_of_a_moment(zone: str, moment: str, day: str) -> None:
    assert CompanySettings(ZoneInfo(zone)).day_of(datetime.fromisoformat(moment)).isoformat() == day


# -- every view


def _days(value: Any) -> Iterator[date]:
    """Every day, not moment, that stands anywhere in a change of a view."""
    if isinstance(value, date) and not isinstance(value, datetime):
        yield value
    elif is_dataclass(value):
        for item in fields(value):
            yield from _days(getattr(value, item.name))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _days(inner)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for inner in value:
            yield from _days(inner)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_takes_days_from_the_event_and_never_from_its_moment(view: View) -> None:
    for cls, handler in view.handlers.items():
        fact: Any = load(cls, sample(cls))

        def days(at: datetime, day: str, fact: Any = fact, handler: Any = handler) -> list[date]:
            info = EventMetadata(f"{fact}/1", "type", at, "orders.events:0", 1, "", day)
            return sorted(_days(list(handler(fact, info))))

        before, after = EVENING, EVENING + timedelta(hours=1)
        assert days(before, "2026-03-02") == days(after, "2026-03-02"), f"{cls.__name__}: cut at midnight UTC"


def test_an_event_that_tells_no_day_has_that_of_the_first_zone() -> None:
    assert EventMetadata("a/1", "type", EVENING, "orders.events:0", 1, "").day == date(2026, 3, 2)
    assert EventMetadata("a/1", "type", EVENING, "orders.events:0", 1, "", "2026-03-01").day == date(2026, 3, 1)


def test_the_day_goes_to_kafka_with_the_event() -> None:
    kit = InMemoryService(COMPANY_SERVICE)
    kit.now = EVENING
    kit.do(SetCompanyData(full_name="Acme"))
    [event] = kit.store.notifications(0, 1)
    headers = dict(event_headers(REGISTRY.events[event.type], event, "company"))
    assert headers["ce_day"] == b"2026-03-02"
    assert Metadata(at=EVENING, command_id="c", correlation_id="c").day is None, "an event stored before has none"
