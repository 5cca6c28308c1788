"""Contact with customers, and the rules of writing it down (COM-01..08)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.documents.samples import sample
from chassis.model.principal import Principal
from chassis.testing.people import ADMIN, MANAGER, SALES, SUPERVISOR, WAREHOUSE, user
from chassis.testing.services import InMemoryService
from chassis.writer.request import Request
from contracts.collaboration import (
    CommunicationData,
    CommunicationDeleted,
    CommunicationEdited,
    CommunicationLogged,
    DeleteCommunication,
    EditCommunication,
    LogCommunication,
    RecordViewing,
    SubjectRef,
    WriteComment,
)
from contracts.company import ParameterSet
from contracts.configuration import DictionaryEntrySet
from contracts.customers import CUSTOMER, Contact
from contracts.declare import REGISTRY
from contracts.dictionaries import DictionaryEntry
from contracts.errors import Refused
from contracts.leads import Lead, LeadConverted
from contracts.orders import OrderChanged, OrderCreated
from contracts.people import NOBODY, Person
from contracts.permissions import DataScope
from contracts.records import KINDS, Kind, kind_of
from contracts.schemas import load
from contracts.sharing import Share
from contracts.subjects import FollowUpsChanged
from services.collaboration import communications
from services.collaboration.application import SERVICE
from services.collaboration.communications import Timeline, timeline
from services.collaboration.subjects import SUBJECTS

OTHER = user("wu", "SAL", superior=SUPERVISOR)
CONTACT = kind_of(Contact)
ALL_KINDS = [pytest.param(kind, id=kind.what) for kind in KINDS.values()]
HOUR = timedelta(hours=1)


@pytest.fixture
def kit() -> InMemoryService:
    kit = InMemoryService(SERVICE)
    for person in (ADMIN, MANAGER, SALES, SUPERVISOR, WAREHOUSE, OTHER):
        kit.known(person)
    return kit


def person(of: Principal) -> Person:
    return Person(user_id=of.user_id, name=of.name)


def fact(cls: type, **given: Any) -> Any:
    """An event with these values; the others are those of the published sample."""
    return replace(load(cls, sample(cls)), **given)


def enter(kit: InMemoryService, kind: Kind = CUSTOMER, owner: Person | None = None) -> UUID:
    id = uuid4()
    owned = {"owner": owner or person(SALES)} if kind.owned else {}
    kit.learn(fact(kind.created, **{kind.key: id}, **owned))
    return id


def contact_of(kit: InMemoryService, customer: UUID) -> UUID:
    id, made = uuid4(), fact(CONTACT.created)
    kit.learn(replace(made, contact_id=id, data=replace(made.data, customer_id=customer)))
    return id


def contact(id: UUID, kind: str = "customer", **more: Any) -> LogCommunication:
    return LogCommunication(**{"subject_kind": kind, "subject_id": id, "way": "PHONE", "text": "想要报价", **more})


def log(kit: InMemoryService, id: UUID, by: Principal = SALES, kind: str = "customer", **more: Any) -> UUID:
    command = contact(id, kind, communication_id=uuid4(), **more)
    kit.do(command, by)
    return command.communication_id


def do_with(kit: InMemoryService, command: Any, by: Principal, held: Mapping[str, DataScope]) -> None:
    """Have a command done by somebody with these rights.  Raises Refused."""
    scopes = {right: frozenset({scope}) for right, scope in held.items()}
    caller = replace(by, scopes=scopes, organisation=kit.directory)
    right = REGISTRY.command_of(type(command)).permission
    context = caller.context(kit.now, kit.today, right, day_of=kit.directory.company.day_of)
    request = Request(command, context, str(uuid4()))
    kit.writer.execute([request])
    request.future.result(timeout=0)


def set_parameter(kit: InMemoryService, name: str, value: int) -> None:
    kit.directory.tell([fact(ParameterSet, name=f"communications.{name}", value=str(value), revision=1)])


def told(kit: InMemoryService, id: UUID, kind: str = "customer") -> list[tuple[Any, Any]]:
    """What others were told of the contact about a record."""
    facts = kit.stream(timeline(SubjectRef(subject_kind=kind, subject_id=id)).id)
    return [(one.followed_up_on, one.planned_on) for one in facts if isinstance(one, FollowUpsChanged)]


def test_com_01_contact_is_written_down_changed_and_taken_away(kit: InMemoryService) -> None:
    customer, next_day = enter(kit), kit.today + timedelta(days=3)
    id = log(kit, customer, response="感兴趣", next_plan="回电", next_contact_on=next_day)
    about: dict[str, Any] = {"communication_id": id, "subject_kind": "customer", "subject_id": customer}
    data = CommunicationData(
        form="FOLLOW_UP", at=kit.now, way="PHONE", text="想要报价", response="感兴趣", next_plan="回电",
        next_contact_on=next_day,
    )  # fmt: skip
    by = person(SALES)
    assert kit.stream(id) == [
        CommunicationLogged(
            **about, through=(), person_id=customer, data=data, author=by, logged_at=kit.now, by=by
        )
    ]  # fmt: skip
    kit.do(EditCommunication(communication_id=id, response="", way="VISIT"), SALES)
    edited = CommunicationEdited(**about, person_id=customer, data=replace(data, response="", way="VISIT"), by=by)
    assert kit.stream(id)[-1] == edited
    kit.do(EditCommunication(communication_id=id, way="VISIT"), SALES)
    assert kit.stream(id)[-1] == edited, "it reads so already"
    kit.do(DeleteCommunication(communication_id=id), SALES)
    assert kit.stream(id)[-1] == CommunicationDeleted(**about, by=by)
    for command in (EditCommunication(communication_id=id, text="x"), DeleteCommunication(communication_id=id)):
        kit.assert_refused("NOT_FOUND", command, by=SALES, field="communication_id")


VISIT: dict[str, Any] = {"form": "VISIT", "way": "VISIT", "title": "演示", "place": "上海", "text": "看了样机"}
CALL: dict[str, Any] = {"form": "CALL", "way": "PHONE", "phone": "+86 21 5555", "text": "问价格", "response": "太贵"}
MAIL: dict[str, Any] = {
    "form": "MAIL",
    "way": "EMAIL",
    "title": "报价",
    "recipients": "sato@example.jp",
    "text": "附上报价",
}


def test_acc_32_com_02_com_03_com_04_a_visit_a_call_and_a_mail_are_kept_with_what_belongs_to_them(
    kit: InMemoryService,
) -> None:
    customer = enter(kit)
    for given in (VISIT, CALL, MAIL):
        data = kit.stream(log(kit, customer, **given))[0].data
        assert {name: getattr(data, name) for name in given} == {**given, **phone_of(given)}


def as_given(name: str, value: Any) -> dict[str, Any]:
    """A field of a command by its name."""
    return {name: value}


def phone_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The number as commands read it."""
    return {"phone": load(LogCommunication, {**sample(LogCommunication), **given}).phone} if "phone" in given else {}


@pytest.mark.parametrize(
    ("given", "field"),
    [(VISIT, "title"), (VISIT, "place"), (MAIL, "title"), (MAIL, "recipients")],
    ids=lambda one: one if isinstance(one, str) else one["form"],
)
def test_com_02_com_04_what_a_visit_or_a_mail_needs_is_given_and_stays(
    kit: InMemoryService, given: dict[str, Any], field: str
) -> None:
    customer = enter(kit)
    kit.assert_refused("VALIDATION", contact(customer, **{**given, field: " "}), by=SALES, field=field)
    id = log(kit, customer, **given)
    kit.assert_refused(
        "VALIDATION", EditCommunication(communication_id=id, **as_given(field, "")), by=SALES, field=field
    )
    kit.do(EditCommunication(communication_id=id, **as_given(field, "another")), SALES)


def test_com_05_who_may_not_send_messages_writes_of_none(kit: InMemoryService) -> None:
    customer = enter(kit)
    log(kit, customer, form="MESSAGE", way="SMS")
    held: dict[str, DataScope] = {"opportunities": "ALL", "customers.view": "ALL"}
    with pytest.raises(Refused) as refused:
        do_with(kit, contact(customer, form="MESSAGE", way="SMS"), user("mute"), held)
    assert (refused.value.code, refused.value.field) == ("FORBIDDEN", "form")
    do_with(kit, contact(customer), user("mute"), held)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_com_06_contact_may_be_about_every_kind_of_record_by_whom_it_is_seen(kit: InMemoryService, kind: Kind) -> None:
    id = enter(kit, kind, person(ADMIN))
    log(kit, id, ADMIN, kind.code)
    kit.assert_refused("NOT_FOUND", contact(id, kind.code), by=user("stranger", "QCI"), field="subject_id")
    kit.learn(kind.deleted(**{kind.key: id}))
    kit.assert_refused("NOT_FOUND", contact(id, kind.code), field="subject_id")
    kit.learn(kind.restored(**{kind.key: id}))
    log(kit, id, ADMIN, kind.code)
    kit.assert_refused("VALIDATION", contact(id, "comment"), field="subject_kind")


def test_com_08_who_writes_follows_the_owner_of_the_record_its_shares_and_the_right(kit: InMemoryService) -> None:
    customer = enter(kit)
    id = log(kit, customer)
    log(kit, customer, SUPERVISOR)
    kit.assert_refused("NOT_FOUND", contact(customer), by=OTHER, field="subject_id")
    share = Share(with_id=OTHER.user_id, kind="USER", name=OTHER.name)  # type: ignore[arg-type]
    kit.learn(fact(CUSTOMER.shared, customer_id=customer, shares=(share,)))
    log(kit, customer, OTHER)
    held: dict[str, DataScope] = {"customers.view": "ALL", "opportunities": "OWN"}
    kit.learn(fact(CUSTOMER.assigned, customer_id=customer, owner=NOBODY, before=person(SALES)))
    kit.assert_refused("NOT_FOUND", EditCommunication(communication_id=id, text="x"), by=SALES)
    with pytest.raises(Refused) as refused:
        do_with(kit, contact(customer), OTHER, held)
    assert (refused.value.why.reason, refused.value.field) == ("records.out_of_reach", "subject_id")
    kit.learn(fact(CUSTOMER.assigned, customer_id=customer, owner=person(OTHER), before=NOBODY))
    do_with(kit, contact(customer), OTHER, held)


def test_com_06_it_is_written_down_on_its_day_in_the_company_s_zone(kit: InMemoryService) -> None:
    """Now it is nine in the morning in Shanghai, and one at night in London."""
    customer = enter(kit)
    first = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)  # the day begins
    id = log(kit, customer, at=first)
    assert kit.stream(id)[0].data.at == first
    late = contact(customer, at=first - timedelta(seconds=1))
    refused = kit.assert_refused("VALIDATION", late, by=SALES, field="at")
    assert (refused.why.reason, refused.why.params["earliest"]) == ("collaboration.written_too_late", kit.today)
    to_come = contact(customer, at=kit.now + timedelta(minutes=2))
    for by in (SALES, ADMIN):
        refused = kit.assert_refused("VALIDATION", to_come, by=by, field="at")
        assert refused.why.reason == "records.to_come"
    kit.do(late, ADMIN)
    kit.assert_refused("VALIDATION", contact(customer, at=datetime(1899, 12, 31, tzinfo=UTC)), field="at")
    kit.assert_refused("VALIDATION", contact(customer, at=datetime(1, 1, 1, tzinfo=UTC)), by=SALES, field="at")


def test_com_06_as_many_days_later_as_the_company_allows(kit: InMemoryService) -> None:
    customer = enter(kit)
    set_parameter(kit, "late_days", 2)
    begins = datetime(2026, 2, 27, 16, 0, tzinfo=UTC)
    id = log(kit, customer, at=begins)
    kit.assert_refused("VALIDATION", contact(customer, at=begins - HOUR), by=SALES, field="at")
    kit.pass_time(hours=20)  # another day, and within the hours in which it may be changed
    kit.do(EditCommunication(communication_id=id, text="x"), SALES)
    kit.do(EditCommunication(communication_id=id, at=begins + HOUR), SALES)
    moved = EditCommunication(communication_id=id, at=begins - HOUR)
    kit.assert_refused("VALIDATION", moved, by=SALES, field="at")


def test_com_06_its_author_changes_it_for_24_hours_and_administrators_later(kit: InMemoryService) -> None:
    id = log(kit, enter(kit))
    edit, delete = EditCommunication(communication_id=id, text="x"), DeleteCommunication(communication_id=id)
    for command in (edit, delete):
        refused = kit.assert_refused("FORBIDDEN", command, by=SUPERVISOR, field="communication_id")
        assert refused.why.reason == "collaboration.not_your_communication"
    kit.pass_time(hours=23, minutes=59)
    kit.do(edit, SALES)
    kit.pass_time(minutes=1)
    for command in (replace(edit, text="y"), delete):
        refused = kit.assert_refused("INVALID_STATE", command, by=SALES, field="communication_id")
        assert (refused.why.reason, refused.why.params["hours"]) == ("collaboration.communication_closed", 24)
    kit.do(replace(edit, text="y"), ADMIN)
    set_parameter(kit, "edit_hours", 48)
    kit.do(replace(edit, text="z"), SALES)
    kit.do(delete, ADMIN)


def test_com_07_the_way_is_an_entry_of_the_dictionary_that_is_switched_on(kit: InMemoryService) -> None:
    customer = enter(kit)
    kit.assert_refused("VALIDATION", contact(customer, way="PIGEON"), by=SALES, field="way")
    assert kit.stream(log(kit, customer, way="phone"))[0].data.way == "PHONE"
    id = log(kit, customer, way="SMS")
    off = DictionaryEntry(code="SMS", en="SMS", active=False)
    kit.directory.tell([DictionaryEntrySet(dictionary="communication_ways", entry=off, revision=1)])
    kit.assert_refused("INVALID_STATE", contact(customer, way="SMS"), by=SALES, field="way")
    kit.do(EditCommunication(communication_id=id, way="SMS", text="x"), SALES)
    kit.assert_refused("VALIDATION", EditCommunication(communication_id=id, way="PIGEON"), by=SALES, field="way")


def test_com_01_the_next_contact_is_not_over(kit: InMemoryService) -> None:
    customer, yesterday = enter(kit), kit.today - timedelta(days=1)
    kit.assert_refused("VALIDATION", contact(customer, next_contact_on=yesterday), by=SALES, field="next_contact_on")
    far = kit.today + timedelta(days=367)
    kit.assert_refused("VALIDATION", contact(customer, next_contact_on=far), by=SALES, field="next_contact_on")
    id = log(kit, customer, next_contact_on=kit.today)
    kit.pass_time(hours=23)
    kit.do(EditCommunication(communication_id=id, text="x"), SALES)
    over = EditCommunication(communication_id=id, next_contact_on=kit.today - timedelta(days=2))
    kit.assert_refused("VALIDATION", over, by=SALES, field="next_contact_on")


def test_com_01_others_are_told_of_the_last_day_and_the_next_when_they_change(kit: InMemoryService) -> None:
    customer, monday = enter(kit), kit.today
    days = [monday + timedelta(days=n) for n in range(10)]
    first = log(kit, customer, next_contact_on=days[4])
    assert told(kit, customer) == [(monday, days[4])]
    log(kit, customer)
    assert told(kit, customer) == [(monday, days[4])], "nothing of it is another"
    kit.pass_time(days=1)
    log(kit, customer, next_contact_on=days[6])
    assert told(kit, customer)[1:] == [(days[1], days[4])], "a contact between leaves what was planned"
    kit.pass_time(days=3)
    last = log(kit, customer)
    assert told(kit, customer)[2:] == [(days[4], days[6])], "what was planned has taken place"
    kit.do(DeleteCommunication(communication_id=last), SALES)
    assert told(kit, customer)[3:] == [(days[1], days[4])], "and then it has not"
    kit.do(EditCommunication(communication_id=first, next_contact_on=None), ADMIN)
    assert told(kit, customer)[4:] == [(days[1], days[6])]
    kit.do(EditCommunication(communication_id=first, text="x"), ADMIN)
    assert len(told(kit, customer)) == 5


def test_com_01_of_the_only_contact_that_was_taken_away_nothing_is_left(kit: InMemoryService) -> None:
    customer = enter(kit)
    kit.do(DeleteCommunication(communication_id=log(kit, customer, next_contact_on=kit.today)), SALES)
    assert told(kit, customer) == [(kit.today, kit.today), (None, None)]


def test_com_01_contact_about_what_belongs_to_a_customer_is_contact_with_the_customer(kit: InMemoryService) -> None:
    customer = enter(kit)
    contact_person = contact_of(kit, customer)
    id = log(kit, contact_person, kind="contact")
    logged = kit.stream(id)[0]
    assert logged.through == (SubjectRef(subject_kind="customer", subject_id=customer),)
    assert logged.person_id == contact_person
    assert told(kit, contact_person, "contact") == told(kit, customer) == [(kit.today, None)]
    kit.do(DeleteCommunication(communication_id=id), SALES)
    assert told(kit, contact_person, "contact") == told(kit, customer) == [(kit.today, None), (None, None)]


def test_com_01_what_was_said_of_an_order_tells_of_its_customer_and_stays_on_the_order(kit: InMemoryService) -> None:
    order = uuid4()
    created = fact(OrderCreated, order_id=order, owner=person(SALES))
    kit.learn(created)
    logged = kit.stream(log(kit, order, kind="order"))[0]
    assert (logged.person_id, logged.through) == (created.customer.customer_id, ())


def test_com_06_what_a_program_writes_is_of_the_person_who_is_responsible_for_it(kit: InMemoryService) -> None:
    customer = enter(kit)
    program = Principal(uuid4(), "Calls", frozenset(), machine=True, responsible=person(SALES))
    command = contact(customer, communication_id=uuid4())
    do_with(kit, command, program, {"opportunities": "ALL", "customers.view": "ALL"})
    logged = kit.stream(command.communication_id)[0]
    assert (logged.author, logged.by.user_id) == (person(SALES), program.user_id)
    kit.do(EditCommunication(communication_id=command.communication_id, text="x"), SALES)


def test_com_01_a_timeline_is_read_again_from_a_snapshot_and_has_a_bound(
    kit: InMemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(communications, "MOST_CONTACTS", 3)
    customer = enter(kit)
    for _ in range(Timeline.snapshot_every + 5):
        kit.pass_time(minutes=1)
        last = log(kit, customer)
    held = kit.store.load(Timeline, timeline(SubjectRef(subject_kind="customer", subject_id=customer)))
    assert held is not None and len(held.contacts) == 3
    assert (held.contacts[-1].communication_id, held.followed_up_on) == (last, kit.today)


def test_com_01_two_records_of_one_id_have_timelines_of_their_own(kit: InMemoryService) -> None:
    lead, id = kind_of(Lead), enter(kit)
    kit.learn(fact(lead.created, lead_id=id, owner=person(SALES)))
    log(kit, id, kind="lead")
    assert (told(kit, id, "lead"), told(kit, id)) == ([(kit.today, None)], [])


def test_cpl_01_what_was_written_of_contact_stays_sealed_with_the_key_of_whom_it_was_written_about(
    kit: InMemoryService,
) -> None:
    """Also where the order that it is about was given another customer since."""
    order, before, after = uuid4(), uuid4(), uuid4()
    created = fact(OrderCreated, order_id=order, owner=person(SALES))
    kit.learn(replace(created, customer=replace(created.customer, customer_id=before)))
    id = log(kit, order, kind="order")
    changed = fact(OrderChanged, order_id=order)
    kit.learn(replace(changed, customer=replace(changed.customer, customer_id=after)))
    kit.do(EditCommunication(communication_id=id, response="感兴趣"), SALES)
    assert [told.person_id for told in kit.stream(id)] == [before, before]


def converted(kit: InMemoryService, customer_owner: Principal) -> tuple[UUID, UUID]:
    """A lead of SALES that has become a customer of somebody."""
    lead, customer = enter(kit, kind_of(Lead)), enter(kit, owner=person(customer_owner))
    kit.learn(fact(LeadConverted, lead_id=lead, customer_id=customer))
    return lead, customer


@pytest.mark.parametrize("cls", [LogCommunication, WriteComment, RecordViewing], ids=lambda cls: cls.__name__)
def test_led_11_com_01_of_a_converted_lead_nothing_is_written_and_the_customer_is_named(
    kit: InMemoryService, cls: type
) -> None:
    lead, customer = converted(kit, SALES)
    more: dict[str, Any] = {"way": "PHONE"} if cls is LogCommunication else {}
    more |= {} if cls is RecordViewing else {"text": "想要报价"}
    command = cls(subject_kind="lead", subject_id=lead, **more)
    refusal = kit.assert_refused("LEAD_CONVERTED", command, by=SALES, field="subject_id")
    assert (refusal.state, str(customer) in refusal.message) == ("CONVERTED", True)
    kit.do(replace(command, subject_kind="customer", subject_id=customer), SALES)


def test_led_11_com_01_who_may_not_see_the_customer_is_not_told_which_it_is(kit: InMemoryService) -> None:
    lead, customer = converted(kit, OTHER)
    refusal = kit.assert_refused("LEAD_CONVERTED", contact(lead, "lead"), by=SALES, field="subject_id")
    assert refusal.why.reason == "leads.converted" and str(customer) not in refusal.message


def test_led_11_com_06_what_was_written_before_the_conversion_can_still_be_put_right(kit: InMemoryService) -> None:
    lead = enter(kit, kind_of(Lead))
    id = log(kit, lead, kind="lead")
    kit.learn(fact(LeadConverted, lead_id=lead, customer_id=enter(kit)))
    kit.do(EditCommunication(communication_id=id, response="感兴趣"), SALES)
    kit.do(DeleteCommunication(communication_id=id), SALES)


def test_led_11_of_every_kind_whose_records_become_another_it_is_heard_what_they_became() -> None:
    """Else things would be written about what is there no more, and count for nothing."""
    becoming = [kind for kind in KINDS.values() if kind.statuses and kind.statuses.becomes]
    assert becoming == [kind_of(Lead)] and LeadConverted in SUBJECTS.feeds


# -- records that went into others (ADR 0066)


def test_cus_22_nothing_new_is_said_of_a_merged_customer_and_the_survivor_is_named(kit: InMemoryService) -> None:
    first, middle, last = (enter(kit) for _ in range(3))
    written = log(kit, first)
    kit.learn(fact(CUSTOMER.merged, customer_id=first, merged_into=middle))
    kit.learn(fact(CUSTOMER.merged, customer_id=middle, merged_into=last))
    about: dict[str, Any] = {"subject_kind": "customer", "subject_id": first}
    for command in (contact(first), WriteComment(**about, text="x"), RecordViewing(**about)):
        refused = kit.assert_refused("INVALID_STATE", command, by=SALES, field="subject_id")
        assert (refused.why.params["survivor"], refused.state) == (last, "MERGED")
    kit.do(EditCommunication(communication_id=written, text="x"), SALES)
    kit.learn(fact(CUSTOMER.unmerged, customer_id=first, was_in=middle))
    kit.do(contact(first), SALES)


def test_cus_22_where_what_was_heard_of_merging_leads_in_a_circle_the_last_one_counts(kit: InMemoryService) -> None:
    """One went into another one, out of it again, which was set aside, and the other one into it."""
    one, another = enter(kit), enter(kit)
    its = contact_of(kit, one)
    for duplicate, survivor in ((one, another), (another, one)):
        kit.learn(fact(CUSTOMER.merged, customer_id=duplicate, merged_into=survivor))
    refused = kit.assert_refused("INVALID_STATE", contact(one), by=SALES, field="subject_id")
    assert refused.why.params["survivor"] in (one, another)
    id = log(kit, its, SALES, "contact")
    assert [ref.subject_id for ref in kit.stream(id)[0].through] == [one, another]
    kit.assert_refused("NOT_FOUND", contact(its, "contact"), by=OTHER)
    kit.learn(fact(CUSTOMER.unmerged, customer_id=one, was_in=another))
    kit.do(contact(one), SALES)


def test_com_01_cus_22_contact_about_what_belongs_to_a_merged_one_counts_for_the_survivor(kit: InMemoryService) -> None:
    survivor, duplicate = enter(kit), enter(kit, owner=person(OTHER))
    one = contact_of(kit, duplicate)
    kit.assert_refused("NOT_FOUND", contact(one, "contact"), by=SALES)
    kit.learn(fact(CUSTOMER.merged, customer_id=duplicate, merged_into=survivor))
    id = log(kit, one, SALES, "contact")
    assert [ref.subject_id for ref in kit.stream(id)[0].through] == [duplicate, survivor]
    assert told(kit, survivor) == [(kit.today, None)]
    kit.assert_refused("NOT_FOUND", contact(one, "contact"), by=OTHER)
