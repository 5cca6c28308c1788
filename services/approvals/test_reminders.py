"""Every morning those are reminded for whom approvals wait (NTF-04); how schedules run (ADR 0051)."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest

from chassis.model.schedules import timetable_id, timetable_of
from chassis.model.service import Service
from chassis.testing.services import InMemoryService
from contracts.approvals import CallOffApproval, CaseOpenedV2, CaseReminded, RemindDeciders, RequestApproval, Subject
from contracts.deciders import Decider, Node
from contracts.errors import Refused
from contracts.people import Person
from contracts.schedules import SCHEDULES
from services.approvals import application
from services.approvals.application import SERVICE
from services.approvals.domain import Reminder

DECLARED = SCHEDULES[RemindDeciders]
by_hand: Any = RemindDeciders
NODES = (Node(key="FIRST", title="first", deciders=(Decider(kind="RIGHT", right="orders.approve"),)),)
EIGHT = datetime(2026, 3, 3, tzinfo=UTC)
"""08:00 in Shanghai."""


@pytest.fixture
def kit() -> InMemoryService:
    """It is 2026-03-02, 09:00 in Shanghai, and the next morning is planned."""
    made = InMemoryService(SERVICE)
    made.keep_schedules()
    made.new_facts()
    return made


def opened(kit: InMemoryService) -> UUID:
    """A case that waits, of which the service has heard on its own topic."""
    case, subject = uuid4(), Subject(kind="quotation", id=uuid4(), title="Q-1", round=1)
    submitter = Person(user_id=uuid4(), name="li")
    kit.do(RequestApproval(case_id=case, subject=subject, nodes=NODES, submitter=submitter))
    kit.learn(CaseOpenedV2(case_id=case, subject=subject, nodes=NODES, submitter=submitter))
    return case


def runs(kit: InMemoryService) -> list[Any]:
    return [fact for fact in kit.facts() if isinstance(fact, DECLARED.ran)]


def reminded(kit: InMemoryService) -> list[tuple[UUID, date]]:
    return [(fact.case_id, fact.day) for fact in kit.facts() if isinstance(fact, CaseReminded)]


def test_ntf_04_the_next_morning_is_planned_and_waited_for() -> None:
    kit = InMemoryService(SERVICE)
    assert kit.keep_schedules() == 60.0, "it looks once a minute what others did"
    assert kit.new_facts() == [
        DECLARED.planned(schedule="remind-deciders", day=date(2026, 3, 3), due=EIGHT, zone="Asia/Shanghai", skipped=0)
    ]
    kit.now = EIGHT - timedelta(seconds=2.5)
    assert kit.keep_schedules() == 2.5
    assert kit.new_facts() == []


def test_ntf_04_who_decides_is_reminded_once_for_each_day(kit: InMemoryService) -> None:
    case, ended = opened(kit), opened(kit)
    kit.do(CallOffApproval(case_id=ended, reason="CANCELLED"))
    kit.now = EIGHT
    kit.keep_schedules()
    kit.keep_schedules()
    assert reminded(kit) == [(case, date(2026, 3, 3))]
    ran = DECLARED.ran(schedule="remind-deciders", day=date(2026, 3, 3), due=EIGHT, done=1, goes_on=False)
    assert runs(kit) == [ran]
    kit.now += timedelta(days=1)
    kit.keep_schedules()
    assert reminded(kit)[1:] == [(case, date(2026, 3, 4))]


def test_ntf_04_a_dry_run_names_the_case_of_which_it_would_remind(kit: InMemoryService) -> None:
    """And not what was remembered beside it, of which nobody knows."""
    case = opened(kit)
    told = kit.do(by_hand(dry=True)).body
    assert [one["id"] for one in told["would"]] == [str(case)] and reminded(kit) == []


def test_apr_12_a_reminder_tells_what_deciding_needs(kit: InMemoryService) -> None:
    """Who lacks it does not decide, and is not the one to remind."""
    case, subject = uuid4(), Subject(kind="contract", id=uuid4(), title="C-1", round=1)
    submitter = Person(user_id=uuid4(), name="li")
    asked = RequestApproval(case_id=case, subject=subject, nodes=NODES, submitter=submitter, right="contracts.approve")
    kit.do(asked)
    kit.learn(*[fact for fact in kit.facts() if isinstance(fact, CaseOpenedV2)])
    kit.now = EIGHT
    kit.keep_schedules()
    [told] = [fact for fact in kit.facts() if isinstance(fact, CaseReminded)]
    assert told.right == "contracts.approve"


def test_ntf_04_who_was_not_up_for_days_reminds_once(kit: InMemoryService) -> None:
    case = opened(kit)
    kit.now = EIGHT + timedelta(days=3, hours=5)
    kit.keep_schedules()
    assert reminded(kit) == [(case, date(2026, 3, 6))]
    assert [(run.day, run.due) for run in runs(kit)] == [(date(2026, 3, 6), EIGHT + timedelta(days=3))]


def test_ntf_04_many_are_reminded_of_in_parts(kit: InMemoryService) -> None:
    cases = {opened(kit) for _ in range(5)}
    kit.now = EIGHT
    with mock.patch.object(application, "REMINDED_AT_ONCE", 2):
        kit.keep_schedules()
    assert {case for case, _ in reminded(kit)} == cases and len(reminded(kit)) == 5
    assert [(run.done, run.goes_on) for run in runs(kit)] == [(2, True), (4, True), (5, False)]


def test_ntf_04_two_processes_do_it_once(kit: InMemoryService) -> None:
    """The other one has found that it is due, and is slower."""
    case = opened(kit)
    other = InMemoryService(SERVICE)
    other.store = other.writer.store = kit.store
    other.now = kit.now = EIGHT
    other.learn(*[fact for fact in kit.facts() if isinstance(fact, CaseOpenedV2)])
    send = other._keeper._send

    def late(run: Any, prepared: Any, now: datetime) -> Any:
        kit.keep_schedules()
        return send(run, prepared, now)

    with mock.patch.object(other._keeper, "_send", late):
        other.keep_schedules()
    assert reminded(kit) == [(case, date(2026, 3, 3))] and len(runs(kit)) == 1


def test_ntf_04_what_fails_is_tried_again_with_growing_pauses_and_told(kit: InMemoryService) -> None:
    case, told = opened(kit), []
    kit.now = EIGHT
    with mock.patch.object(Reminder, "remind", side_effect=ValueError("Li Lei, 13800138000")):
        for _ in range(3):
            pause = kit.keep_schedules()
            told.append(pause)
            assert kit.keep_schedules() == pause
            kit.now += timedelta(seconds=pause)
    assert told == [5.0, 15.0, 45.0]
    failed = [fact for fact in kit.facts() if isinstance(fact, DECLARED.failed)]
    assert [(fact.attempt, fact.reason) for fact in failed] == [(1, "ValueError"), (2, "ValueError"), (3, "ValueError")]
    assert reminded(kit) == [] and runs(kit) == []
    kit.keep_schedules()
    assert reminded(kit) == [(case, date(2026, 3, 3))] and len(runs(kit)) == 1


def test_ntf_04_a_refusal_is_told_by_its_reason(kit: InMemoryService) -> None:
    opened(kit)
    kit.now = EIGHT
    with mock.patch.object(Reminder, "remind", side_effect=Refused("company.say_why", field="x")):
        kit.keep_schedules()
    assert kit.facts()[-1].reason == "company.say_why"


def test_ntf_04_a_store_that_is_away_is_waited_for(kit: InMemoryService) -> None:
    """That passes by itself: nobody is told that the run failed."""
    opened(kit)
    kit.now = EIGHT
    with mock.patch.object(type(kit.store.recorder), "insert_events", side_effect=OSError("the store is away")):
        assert kit.keep_schedules() == 1.0
    kit.keep_schedules()
    assert len(runs(kit)) == 1 and not [fact for fact in kit.facts() if isinstance(fact, DECLARED.failed)]


def test_ntf_04_it_is_run_by_hand_and_what_is_planned_stays(kit: InMemoryService) -> None:
    case = opened(kit)
    answer = kit.do(by_hand(day=date(2026, 3, 1)))
    assert answer.body == {"id": "remind-deciders", "version": 2, "active": True, "done": 1, "goes_on": False}
    assert reminded(kit) == [(case, date(2026, 3, 1))]
    assert [(run.day, run.due, run.by.name) for run in runs(kit)] == [(date(2026, 3, 1), None, "admin")]
    assert kit.do(by_hand()).body["done"] == 1
    assert reminded(kit)[1:] == [(case, date(2026, 3, 2))]
    kit.now = EIGHT
    kit.keep_schedules()
    assert reminded(kit)[2:] == [(case, date(2026, 3, 3))]


def test_ntf_04_it_is_not_run_for_a_day_to_come(kit: InMemoryService) -> None:
    kit.assert_refused("VALIDATION", by_hand(day=date(2026, 3, 3)), field="day")


def test_ntf_04_nothing_is_done_while_it_is_off(kit: InMemoryService) -> None:
    case, switch = opened(kit), DECLARED.switch
    kit.do(switch(active=False))
    kit.now = EIGHT + timedelta(hours=1)
    assert kit.keep_schedules() == 60.0 and reminded(kit) == []
    kit.do(switch(active=True))
    kit.keep_schedules()
    assert reminded(kit) == [], "this morning is over"
    kit.now += timedelta(days=1)
    kit.keep_schedules()
    assert reminded(kit) == [(case, date(2026, 3, 4))]


def test_ntf_04_what_is_planned_and_done_is_read_from_a_snapshot_too(kit: InMemoryService) -> None:
    for _ in range(60):
        kit.pass_time(days=1)
        kit.keep_schedules()
    assert len(runs(kit)) == 60
    timetable = timetable_of(RemindDeciders)
    assert kit.store.snapshots_after(None, 10)[0].version == timetable.snapshot_every
    held = kit.store.load(timetable, timetable_id(DECLARED))
    assert held and (held.version, held.done, held.day) == (121, date(2026, 5, 1), date(2026, 5, 2))


def test_a_service_says_what_its_schedules_do() -> None:
    with pytest.raises(Exception, match="its schedules are not those that its contracts declare: RemindDeciders"):
        Service("approvals", commands=SERVICE.commands)


def test_a_switch_rings_for_the_keeper(kit: InMemoryService) -> None:
    bell = kit._keeper._bell
    bell.clear()
    kit.do(DECLARED.switch(active=False))
    assert bell.wait(0)
