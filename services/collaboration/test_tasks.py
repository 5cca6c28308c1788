"""Tasks, about whatever record, and their reminders (TSK-01, NTF-04); moments of records' own (ADR 0068)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY

from chassis.documents.samples import sample
from chassis.model.principal import Principal
from chassis.persons.keys import KeyRing
from chassis.persons.stores import MemoryKeys
from chassis.schedules import keeper
from chassis.testing.keys import holding
from chassis.testing.people import ADMIN, MANAGER, SALES, SUPERVISOR, WAREHOUSE, user
from chassis.testing.services import InMemoryService
from contracts.access import UserDeleted, UserState
from contracts.collaboration import (
    TASK,
    RemindOfTask,
    SubjectRef,
    TaskAboutRecord,
    TaskReminded,
    TaskReminderPlanned,
)
from contracts.customers import CUSTOMER, Contact
from contracts.orders import OrderCreated
from contracts.people import NOBODY, Person
from contracts.records import KINDS, Kind, kind_of
from contracts.schemas import load
from services.collaboration.application import SERVICE
from services.collaboration.tasks import TaskReminder

OTHER = user("wu", "SAL", superior=SUPERVISOR)
CONTACT = kind_of(Contact)
HOUR = timedelta(hours=1)
DUE = datetime(2026, 3, 2, 6, tzinfo=UTC)
"""Five hours after the tests begin."""
ALL_KINDS = [pytest.param(kind, id=kind.what) for kind in KINDS.values()]


class Office:
    """The service; it hears at once of what it tells itself."""

    def __init__(self) -> None:
        self.kit = InMemoryService(SERVICE)
        for person in (ADMIN, MANAGER, SALES, SUPERVISOR, WAREHOUSE, OTHER):
            self.kit.known(person)
        self.kit.keep_schedules()

    def do(self, command: Any, by: Principal = SALES) -> None:
        self.kit.do(command, by)
        self.hears()

    def hears(self) -> None:
        self.kit.learn(*[fact for fact in self.kit.new_facts() if type(fact).__module__.startswith("contracts.")])

    def task(self, by: Principal = SALES, **more: Any) -> UUID:
        id = uuid4()
        self.do(TASK.create(task_id=id, **{"title": "寄样品", "due_at": DUE, "remind_minutes": 60, **more}), by)
        return id

    def at(self, moment: datetime) -> None:
        """It is that moment, and what is due is done."""
        self.kit.now = moment
        self.keep()

    def keep(self) -> float:
        pause = self.kit.keep_schedules()
        self.hears()
        return pause

    def reminded(self) -> list[tuple[UUID, datetime]]:
        return [(fact.task_id, fact.at) for fact in self.kit.facts() if isinstance(fact, TaskReminded)]

    def set_status(self, id: UUID, status: str, by: Principal = SALES, reason: str = "") -> None:
        self.do(TASK.set_status(task_id=id, status=status, reason=reason), by)


@pytest.fixture
def office() -> Office:
    return Office()


def person(of: Principal) -> Person:
    return Person(user_id=of.user_id, name=of.name)


def fact(cls: type, **given: Any) -> Any:
    return replace(load(cls, sample(cls)), **given)


def enter(office: Office, kind: Kind = CUSTOMER, owner: Person | None = None) -> UUID:
    id = uuid4()
    owned = {"owner": owner or person(SALES)} if kind.owned else {}
    office.kit.learn(fact(kind.created, **{kind.key: id}, **owned))
    return id


# -- what a task is


def test_tsk_01_a_task_is_entered_worked_on_and_done_with_its_result(office: Office) -> None:
    id = office.task()
    [created, *_] = office.kit.stream(id)
    assert (created.owner, created.status, created.data.priority) == (person(SALES), "OPEN", "NORMAL")
    office.set_status(id, "IN_WORK")
    done = TASK.set_status(task_id=id, status="DONE")
    refused = office.kit.assert_refused("VALIDATION", done, by=SALES, field="reason")
    assert refused.why.reason == "records.step_wants_reason"
    office.set_status(id, "DONE", reason="样品已寄出")
    assert office.kit.stream(id)[-1].reason == "样品已寄出"
    office.kit.assert_refused("INVALID_STATE", TASK.set_status(task_id=id, status="CANCELLED", reason="x"), by=SALES)
    office.set_status(id, "OPEN")


def test_tsk_01_a_task_is_given_to_whom_ones_right_reaches_and_handed_over(office: Office) -> None:
    id = office.task(SUPERVISOR, owner_id=SALES.user_id)
    assert office.kit.stream(id)[0].owner == person(SALES)
    office.do(TASK.assign(task_id=id, owner_id=OTHER.user_id), SUPERVISOR)
    office.kit.assert_refused("FORBIDDEN", TASK.edit(task_id=id, title="x"), by=SALES)
    stranger = TASK.create(task_id=uuid4(), title="x", owner_id=MANAGER.user_id)
    office.kit.assert_refused("FORBIDDEN", stranger, by=SALES, field="owner_id")


@pytest.mark.parametrize("of", [WAREHOUSE, user("fei", "FIN"), user("chen", "CMD"), user("qi", "QCI")])
def test_tsk_01_who_sees_all_of_other_things_has_own_tasks_alone(office: Office, of: Principal) -> None:
    office.kit.known(of)
    theirs, mine = office.task(SALES), office.task(of)
    office.kit.assert_refused("FORBIDDEN", TASK.edit(task_id=theirs, title="x"), by=of)
    office.do(TASK.edit(task_id=mine, title="y"), of)


# -- what it is about


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_tsk_01_a_task_is_about_any_record_that_one_sees(office: Office, kind: Kind) -> None:
    about = enter(office, kind, person(ADMIN))
    id = office.task(ADMIN, subject_kind=kind.code, subject_id=about)
    told = office.kit.stream(id)[1]
    assert (type(told), told.subject_kind, told.subject_id) == (TaskAboutRecord, kind.code, about)
    stranger = user("stranger", "QCI")
    unseen = TASK.create(task_id=uuid4(), title="x", subject_kind=kind.code, subject_id=about)
    office.kit.assert_refused("NOT_FOUND", unseen, by=stranger, field="subject_id")
    office.kit.learn(kind.deleted(**{kind.key: about}))
    gone = replace(unseen, task_id=uuid4())
    office.kit.assert_refused("NOT_FOUND", gone, by=ADMIN, field="subject_id")


def test_tsk_01_a_task_about_a_contact_is_one_about_its_customer_and_one_about_an_order_is_its_own(
    office: Office,
) -> None:
    customer, contact, order = enter(office), uuid4(), uuid4()
    made = fact(CONTACT.created)
    office.kit.learn(replace(made, contact_id=contact, data=replace(made.data, customer_id=customer)))
    office.kit.learn(fact(OrderCreated, order_id=order, owner=person(SALES)))
    told = office.kit.stream(office.task(subject_kind="contact", subject_id=contact))[1]
    assert told.through == (SubjectRef(subject_kind="customer", subject_id=customer),)
    assert office.kit.stream(office.task(subject_kind="order", subject_id=order))[1].through == ()


@pytest.mark.parametrize(
    ("about", "field"),
    [
        ({"subject_kind": "customer"}, "subject_id"),
        ({"subject_id": uuid4()}, "subject_kind"),
        ({"subject_kind": "pigeon", "subject_id": uuid4()}, "subject_kind"),
    ],
)
def test_tsk_01_what_a_task_is_about_is_named_whole(office: Office, about: dict[str, Any], field: str) -> None:
    office.kit.assert_refused("VALIDATION", TASK.create(task_id=uuid4(), title="x", **about), by=SALES, field=field)


# -- reminders


def test_ntf_04_whose_task_it_is_is_reminded_once_when_it_is_time(office: Office) -> None:
    id = office.task(due_at=DUE + timedelta(seconds=30))
    office.at(DUE - HOUR)
    assert office.reminded() == []
    assert office.keep() == 30.0, "it waits for the very moment"
    office.at(DUE - HOUR + timedelta(seconds=30))
    told = [fact for fact in office.kit.facts() if isinstance(fact, TaskReminded)]
    assert [(one.owner, one.title, one.due_at) for one in told] == [
        (person(SALES), "寄样品", DUE + timedelta(seconds=30))
    ]
    for _ in range(3):
        office.at(office.kit.now + HOUR)
    assert office.reminded() == [(id, DUE - HOUR + timedelta(seconds=30))]


def test_ntf_04_a_reminder_moves_with_what_is_due(office: Office) -> None:
    id = office.task()
    office.do(TASK.edit(task_id=id, due_at=DUE + 2 * HOUR))
    office.at(DUE)
    assert office.reminded() == []
    office.at(DUE + HOUR)
    assert office.reminded() == [(id, DUE + HOUR)]
    office.do(TASK.edit(task_id=id, remind_minutes=30))
    office.at(DUE + 2 * HOUR)
    assert office.reminded() == [(id, DUE + HOUR), (id, DUE + 1.5 * HOUR)]


@pytest.mark.parametrize("ends", ["DONE", "CANCELLED", "deleted", "no reminder", "no due"])
def test_ntf_04_of_what_is_not_to_be_done_any_more_nobody_is_reminded(office: Office, ends: str) -> None:
    id = office.task()
    commands: dict[str, Any] = {
        "deleted": TASK.delete(task_id=id),
        "no reminder": TASK.edit(task_id=id, remind_minutes=None),
        "no due": TASK.edit(task_id=id, due_at=None),
    }
    office.do(commands.get(ends, TASK.set_status(task_id=id, status=ends, reason="x")))
    office.at(DUE)
    assert office.reminded() == [] and office.kit.store.rows("waiting-tasks") == []


def test_ntf_04_what_is_to_be_done_again_is_reminded_of_but_not_twice_for_one_moment(office: Office) -> None:
    id = office.task()
    office.set_status(id, "DONE", reason="x")
    office.set_status(id, "OPEN")
    office.at(DUE - HOUR)
    assert office.reminded() == [(id, DUE - HOUR)]
    office.set_status(id, "DONE", reason="x")
    office.set_status(id, "OPEN")
    office.do(TASK.edit(task_id=id, due_at=DUE + HOUR))
    office.do(TASK.edit(task_id=id, due_at=DUE))
    office.at(DUE + 3 * HOUR)
    assert office.reminded() == [(id, DUE - HOUR)]


def test_ntf_04_of_what_was_due_before_it_was_entered_nobody_is_reminded(office: Office) -> None:
    """It is overdue, which its list shows; one whose reminder alone would have been before is reminded of at once."""
    office.task(due_at=office.kit.now - HOUR)
    office.keep()
    assert office.reminded() == []
    soon = office.task(due_at=office.kit.now + HOUR / 2)
    office.keep()
    assert [id for id, _ in office.reminded()] == [soon]


@pytest.mark.parametrize("jump", [timedelta(days=1, hours=12), timedelta(days=400)])
def test_ntf_04_a_clock_that_jumps_over_midnight_and_back_reminds_of_nothing_twice(
    office: Office, jump: timedelta
) -> None:
    id = office.task()
    begun = office.kit.now
    office.at(begun + jump)
    assert office.reminded() == [(id, DUE - HOUR)]
    office.at(begun)
    office.at(DUE - HOUR)
    office.at(begun + jump)
    assert office.reminded() == [(id, DUE - HOUR)]


def test_ntf_04_who_was_away_for_days_is_reminded_of_what_is_still_to_be_done(office: Office) -> None:
    late, done = office.task(), office.task()
    office.set_status(done, "DONE", reason="x")
    office.at(DUE + timedelta(days=3))
    assert [id for id, _ in office.reminded()] == [late]


def test_ntf_04_who_has_it_then_is_reminded_and_those_who_have_a_part_in_it(office: Office) -> None:
    id = office.task(SUPERVISOR, owner_id=SALES.user_id)
    office.do(TASK.assign(task_id=id, owner_id=OTHER.user_id), SUPERVISOR)
    office.do(TASK.share(task_id=id, with_id=MANAGER.user_id, access="EDIT"), SUPERVISOR)
    office.do(TASK.share(task_id=id, with_id=WAREHOUSE.user_id), SUPERVISOR)
    office.do(TASK.share(task_id=id, with_id=ADMIN.user_id, access="EDIT", until=office.kit.today), SUPERVISOR)
    office.at(DUE - HOUR + timedelta(days=1))
    [told] = [fact for fact in office.kit.facts() if isinstance(fact, TaskReminded)]
    assert (told.owner, told.others) == (person(OTHER), (MANAGER.user_id,))


def test_ntf_04_who_took_over_from_a_part_in_it_sees_no_such_task_and_is_not_reminded(office: Office) -> None:
    """What was shared with who has left is not their successor's (COL-07)."""
    id = office.task()
    office.do(TASK.share(task_id=id, with_id=WAREHOUSE.user_id, access="EDIT"))
    state = UserState(login="w", name="wang", status="DELETED", revision=9, successor_id=OTHER.user_id)
    assert WAREHOUSE.user_id
    office.kit.directory.tell([UserDeleted(user_id=WAREHOUSE.user_id, user=state)])
    office.at(DUE - HOUR)
    [told] = [fact for fact in office.kit.facts() if isinstance(fact, TaskReminded)]
    assert (told.owner, told.others) == (person(SALES), ())


def test_ntf_04_a_task_of_nobody_reminds_nobody_and_waits_no_longer(office: Office) -> None:
    id = office.task(ADMIN, owner_id=None)
    office.at(DUE - HOUR)
    [told] = [fact for fact in office.kit.facts() if isinstance(fact, TaskReminded)]
    assert (told.task_id, told.owner, told.others) == (id, NOBODY, ())


def test_ntf_04_a_task_as_somebody_has_read_it_is_not_made_old_by_its_reminder(office: Office) -> None:
    id = office.task()
    office.at(DUE - HOUR)
    assert office.reminded() != []
    office.kit.do(TASK.edit(task_id=id, title="y"), SALES, version=1)


def test_cpl_01_of_a_task_whose_key_is_gone_nobody_is_reminded(office: Office) -> None:
    """What tells of it is sealed with its own key; nothing is tried for ever."""
    kept = MemoryKeys()
    ring = KeyRing(lambda: kept)
    with holding(ring):
        id = office.task()
        assert b"\xe6\xa0\xb7\xe5\x93\x81" not in b"".join(n.data for n in office.kit.store.notifications(0, 100))
        ring.destroy(id)
        office.at(DUE - HOUR)
        assert office.reminded() == [] and office.kit.store.rows("waiting-tasks") == []


# -- moments of records' own (ADR 0068)


def failing(*ids: UUID) -> Any:
    """Whoever is to be reminded of these is not."""
    remind = TaskReminder.remind

    def fail(self: TaskReminder, command: RemindOfTask, *args: Any, **more: Any) -> None:
        if command.task_id in ids:
            raise ValueError("Li Lei, 13800138000")
        remind(self, command, *args, **more)

    return mock.patch.object(TaskReminder, "remind", fail)


def moments(outcome: str) -> float:
    return REGISTRY.get_sample_value("salestream_moments_total", {"rows": "waiting-tasks", "outcome": outcome}) or 0.0


def failing_now() -> float | None:
    return REGISTRY.get_sample_value("salestream_moments_failing", {"rows": "waiting-tasks"})


def test_ntf_04_what_is_due_is_done_though_others_fail(office: Office) -> None:
    """However many, and as soon as it is due; those are tried again after pauses that grow, and shown."""
    failed, before = [office.task() for _ in range(3)], moments("failed")
    office.kit.now = DUE - HOUR
    with failing(*failed), mock.patch.object(keeper, "STEPS", 2):
        for _ in range(2):
            assert office.keep() == 1.0, "there may be more"
        assert office.keep() == 60.0 and failing_now() == 3
        second = office.task(due_at=office.kit.now + HOUR + timedelta(seconds=5))
        office.at(office.kit.now + timedelta(seconds=5))
        assert [id for id, _ in office.reminded()] == [second]
        tries = [moments("failed") - before]
        for pause in (55, 120, 240):
            office.at(office.kit.now + timedelta(seconds=pause))
            office.keep()
            office.at(office.kit.now + timedelta(seconds=1))
            tries.append(moments("failed") - before)
    assert tries == [3, 6, 9, 12]
    office.at(office.kit.now + HOUR)
    office.keep()
    assert {id for id, _ in office.reminded()} == {second, *failed}
    office.keep()
    assert failing_now() == 0


def test_ntf_04_a_row_that_can_not_be_read_stops_no_other(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    damaged, whole, before = office.task(), office.task(), moments("unreadable")
    rows: Any = office.kit.store.recorder
    rows.rows["waiting-tasks", str(damaged)] = b"{"
    office.at(DUE - HOUR)
    assert [id for id, _ in office.reminded()] == [whole]
    office.keep()
    assert (moments("unreadable") - before, failing_now()) == (1, 1), "it is told now and then, not with each look"
    office.at(DUE)
    assert moments("unreadable") - before == 2


def test_ntf_04_what_was_done_and_not_heard_of_holds_up_nothing(office: Office) -> None:
    """The service may be behind with its own events."""
    with mock.patch.object(keeper, "STEPS", 1):
        ids = [office.task() for _ in range(3)]
        office.kit.now = DUE
        for _ in range(3):
            office.kit.keep_schedules()
    assert {id for id, _ in office.reminded()} == {*ids}


def test_ntf_04_a_moment_that_was_moved_is_a_new_one(office: Office) -> None:
    """Though the one before it has failed, and is not tried for a while."""
    id = office.task()
    with failing(id):
        office.at(DUE - HOUR)
    office.do(TASK.edit(task_id=id, due_at=DUE + timedelta(seconds=5)))
    office.at(DUE - HOUR + timedelta(seconds=5))
    assert [one for one, _ in office.reminded()] == [id]


def test_a_store_that_is_away_is_waited_for(office: Office) -> None:
    id = office.task()
    office.kit.now = DUE
    with mock.patch.object(type(office.kit.store.recorder), "insert_events", side_effect=OSError("the store is away")):
        assert office.kit.keep_schedules() == 1.0
    office.keep()
    assert [one for one, _ in office.reminded()] == [id]


def test_what_was_not_heard_of_yet_is_done_once(office: Office) -> None:
    """Until the service hears that it has reminded, it finds the task as one that waits."""
    id = office.task()
    office.kit.now = DUE
    for _ in range(3):
        office.kit.keep_schedules()
    assert [one for one, _ in office.reminded()] == [id]
    planned = [fact for fact in office.kit.facts() if isinstance(fact, TaskReminderPlanned)]
    assert [fact.at for fact in planned] == [DUE - HOUR]
