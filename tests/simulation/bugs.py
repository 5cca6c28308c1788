"""Mistakes as somebody could make them, planted one at a time: the simulation must find each and name what it breaks.

Three were made: the saga's memory, the order page's list, another process's news are what it found in this code.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC
from typing import Any
from unittest import mock
from uuid import UUID

from pymongo import UpdateOne

from chassis.access.company import CompanySettings
from chassis.access.custom_fields import CustomFields
from chassis.access.directory import Directory
from chassis.access.organisation import Chart
from chassis.messaging import consumer, records
from chassis.messaging.consumer import Consumer, Fenced
from chassis.messaging.inbox import Inbox
from chassis.messaging.progress import Progress
from chassis.messaging.records import Incoming
from chassis.messaging.relay import Relay
from chassis.model import service
from chassis.model.changes import EventMetadata
from chassis.model.deciding import Matter
from chassis.model.identity import record_id
from chassis.model.pools import Places
from chassis.model.records import aggregate_of
from chassis.model.schedules import Timetable
from chassis.projections import documents, projector
from chassis.projections.collections import STATES
from chassis.projections.documents import operations
from chassis.run import topics
from chassis.sagas.runner import SagaRunner, _Turn
from chassis.store.event_store import EventStore
from chassis.store.memory import MemoryRecorder
from chassis.store.transaction import Transaction
from chassis.writer import unit_of_work, writer
from chassis.writer.writer import Writer
from contracts.company import CompanyDataSet
from contracts.custom_fields import CustomField
from contracts.inventory import DeductStock, StockDeducted, StockLine
from contracts.records import KINDS
from services.approvals.domain import Case
from services.inventory.domain import Deduction
from services.leads.domain import LeadRecord
from services.notices.domain.notices import Telling
from services.orders import domain as orders

from . import lost_topics

Bug = Callable[[], AbstractContextManager[Any]]


def position_saved_before_the_acknowledgement() -> AbstractContextManager[Any]:
    """The relay does not wait for Kafka before it takes a record for published: it finds that itself, and stands."""
    return mock.patch.multiple(Relay, _wait=lambda *_: None, _note=lambda *_: None)


def no_position_guard() -> AbstractContextManager[Any]:
    """Consumers take whatever lies beyond their offset, repeats included."""

    def accept(progress: Progress, record: Incoming) -> bool:
        if record.offset < progress.offsets.get(record.source, 0):
            return False
        progress.offsets[record.source] = record.offset + 1
        progress.positions[record.source] = max(record.position, progress.positions.get(record.source, 0))
        return record.fact is not None

    return mock.patch.object(Progress, "accept", accept)


def offsets_apart_from_data() -> AbstractContextManager[Any]:
    """The projector writes documents first and then how far it is, each by itself."""

    def commit(database: Any, batch: Sequence[Any]) -> None:
        for projection in batch:
            if projection.changes:
                database[projection.state.collection].bulk_write(operations(projection.changes))
        states = [projector._advance(projection) for projection in batch]
        if database[STATES].bulk_write(states).matched_count != len(batch):
            raise Fenced("another projector")
        for projection in batch:
            projection.state.revision += 1
            projection.state.progress = projection.progress

    return mock.patch.object(projector, "commit", commit)


def results_not_remembered() -> AbstractContextManager[Any]:
    """The writer carries out a repeated command as if it were a new one."""
    update = MemoryRecorder._update_table

    def forgetful(recorder: Any, stored: Any, **more: Any) -> Any:
        more["more"].results.clear()
        return update(recorder, stored, **more)

    return mock.patch.object(MemoryRecorder, "_update_table", forgetful)


def commands_of_the_saga_not_remembered() -> AbstractContextManager[Any]:
    """The inbox does not remember the saga's commands: by itself this is no mistake, the records know their rounds."""
    request = Inbox._request

    def forgetful(inbox: Inbox, record: Incoming, command: Any, command_id: str) -> Any:
        made = request(inbox, record, command, command_id)
        made.remember = False
        return made

    return mock.patch.object(Inbox, "_request", forgetful)


@contextmanager
def deductions_not_remembered() -> Iterator[None]:
    """The inbox does not remember the saga's commands, and the deduction does not remember its rounds."""

    def take(self: Deduction, command: DeductStock, items: Mapping[Any, Any], context: Any) -> None:
        if all((item := items[line.product_id]) and item.on_hand >= line.quantity for line in command.lines):
            _take(self, command, items, context)

    with commands_of_the_saga_not_remembered(), mock.patch.object(Deduction, "take", take):
        yield


def stock_not_checked() -> AbstractContextManager[Any]:
    """Goods are deducted whether they are there or not."""

    def take(self: Deduction, command: DeductStock, items: Mapping[Any, Any], context: Any) -> None:
        if command.round not in self.taken and command.round not in self.returned:
            _take(self, command, items, context)

    return mock.patch.object(Deduction, "take", take)


def _take(self: Deduction, command: DeductStock, items: Mapping[Any, Any], context: Any) -> None:
    wanted: dict[Any, int] = {}
    for line in command.lines:
        wanted[line.product_id] = wanted.get(line.product_id, 0) + line.quantity
    for product, quantity in wanted.items():
        items[product].deduct(quantity, command.order_id, context)
    lines = tuple(StockLine(product_id=product, quantity=quantity) for product, quantity in wanted.items())
    self.record(StockDeducted(order_id=command.order_id, round=command.round, lines=lines))


@contextmanager
def memory_kept_after_a_failure() -> Iterator[None]:
    """A saga's batch fails half-way, and the processes it has moved stay moved in memory, also when it begins anew."""

    @contextmanager
    def careless(runner: SagaRunner) -> Iterator[_Turn]:
        try:
            yield _Turn()
        except Fenced:
            runner._progress = None
            raise

    with mock.patch.multiple(SagaRunner, _all_or_nothing=careless, forget=lambda _: None):
        yield


def lists_in_the_order_of_arrival() -> AbstractContextManager[Any]:
    """Entries of a list stand as they come, and several partitions come in any order."""

    def operations(update: Any, key: Any, last: Any) -> Any:
        made = written(update, key, last)
        for operation in made:
            if isinstance(operation, UpdateOne) and isinstance(operation._doc, dict):
                for push in operation._doc.get("$push", {}).values():
                    del push["$sort"]
        return made

    written = documents._Update.operations
    return mock.patch.object(documents._Update, "operations", operations)


def money_that_is_no_sum() -> AbstractContextManager[Any]:
    """A line's amount forgets its quantity."""
    priced = orders.priced_line

    def wrong(*args: Any) -> Any:
        line = priced(*args)
        return replace(line, amount=line.unit_price)

    return mock.patch.object(orders, "priced_line", wrong)


def entries_apart_from_events() -> AbstractContextManager[Any]:
    """The writer's audit record is stored by itself, before the events it tells of."""
    together = EventStore.commit

    def apart(store: EventStore, transaction: Transaction) -> list[int]:
        together(store, Transaction(audit=transaction.audit))
        transaction.audit = None
        return together(store, transaction)

    return mock.patch.object(EventStore, "commit", apart)


def superiors_frozen() -> AbstractContextManager[Any]:
    """A case goes on waiting for who led the submitter when it was opened."""
    return mock.patch.object(Matter, "leader", lambda matter, _: matter.superior_id)


@contextmanager
def relays_beside_a_topic_made_anew() -> Iterator[None]:
    """A relay goes on while a topic is lost and published again; one is lost in every run."""
    with mock.patch.object(Relay, "_share", lambda _: None), mock.patch.object(lost_topics, "SHARE_OF_RUNS", 1.0):
        yield


@contextmanager
def offsets_put_back_beside_their_consumer() -> Iterator[None]:
    """Nothing keeps a consumer from storing an old offset while a topic's are put back, or tells it of that."""
    with mock.patch.object(topics, "_fence", lambda *_: None), mock.patch.object(lost_topics, "SHARE_OF_RUNS", 1.0):
        yield


def days_in_utc() -> AbstractContextManager[Any]:
    """A day is that of the moment in UTC."""
    return mock.patch.object(CompanySettings, "day_of", lambda _, moment: moment.astimezone(UTC).date())


def day_told_to_nobody() -> AbstractContextManager[Any]:
    """A view works a day out by itself, in UTC, and not from the day that goes along with the event."""
    return mock.patch.object(EventMetadata, "day", property(lambda event: event.at.date()))


def zone_as_at_the_start() -> AbstractContextManager[Any]:
    """A process that runs hears nothing of the zone that was set meanwhile."""
    tell = Directory.tell

    def deaf(directory: Directory, facts: Iterable[Any]) -> None:
        tell(directory, [fact for fact in facts if not isinstance(fact, CompanyDataSet)])

    return mock.patch.object(Directory, "tell", deaf)


def foreign_records_passed_over() -> AbstractContextManager[Any]:
    """What can't be read is skipped, and nobody hears of it."""
    judge = Consumer._judge

    def careless(consumer: Consumer, record: Incoming, progress: Sequence[Progress]) -> Incoming:
        return record if record.poison is not None else judge(consumer, record, progress)

    return mock.patch.object(Consumer, "_judge", careless)


def sources_not_checked() -> AbstractContextManager[Any]:
    """Whoever may write to a topic is taken for the service whose topic it is."""
    return mock.patch.object(records, "check_place", lambda *_: None)


def everything_may_pass() -> AbstractContextManager[Any]:
    """Whatever fails is tried again and again, also what fails each time."""
    return mock.patch.object(consumer, "is_transient", lambda _: True)


def last_partition_wins() -> AbstractContextManager[Any]:
    """A field that events of several partitions set is as the one that came last has it."""

    def set_all(latest: Mapping[str, tuple[int, Any]]) -> dict[str, Any]:
        return {name: {"$literal": documents.stored(value)} for name, (_, value) in latest.items()}

    return mock.patch.object(documents, "_unless_later", set_all)


def news_learned_by_another_process_unheard() -> AbstractContextManager[Any]:
    """Of two processes of a service one does not hear what the other has learned of the company."""
    return mock.patch.object(Writer, "learn_of_others", lambda _: None)


def chains_of_heirs_cut() -> AbstractContextManager[Any]:
    """Who took over is looked up once: when that one leaves too, nobody follows."""

    def next_one(chart: Chart, person: UUID) -> UUID:
        return chart._heir(person) or person

    return mock.patch.object(Chart, "standing_in", next_one)


def heirs_may_not_change() -> AbstractContextManager[Any]:
    """The records of who has left are reached by nobody."""
    return mock.patch.object(Chart, "with_heritage", lambda _, people: set(people))


def answers_of_others_unheard() -> AbstractContextManager[Any]:
    """An approval is given although it was answered before that its order is called off."""
    return mock.patch.object(Case, "_require_waiting", lambda *_: None)


def numbers_from_ids() -> AbstractContextManager[Any]:
    """An order's number is made of the last bytes of its id."""
    create = orders.Order.create

    def numbered(order: orders.Order, command: Any, _: int, *more: Any) -> None:
        create(order, command, int.from_bytes(order.id.bytes[-5:]), *more)

    return mock.patch.object(orders.Order, "create", numbered)


@contextmanager
def names_of_one_kind() -> Iterator[None]:
    """A parameter and the company's data have the same id when they have the same name."""
    with ExitStack() as stack:
        for module in (service, unit_of_work, writer):
            stack.enter_context(mock.patch.object(module, "record_id", lambda _, key: record_id("name", key)))
        yield


@contextmanager
def deletions_forgotten() -> Iterator[None]:
    """A record that was deleted is taken for one that is there, once it is read again."""
    with ExitStack() as stack:
        for kind in KINDS.values():
            appliers = aggregate_of(kind.cls).appliers
            stack.enter_context(mock.patch.dict(appliers, {kind.deleted: lambda record, _: None}))
        yield


def fields_of_any_kind() -> AbstractContextManager[Any]:
    """A record takes values of the fields that the company has added to another kind."""

    def of(fields: CustomFields, _: str) -> Sequence[CustomField]:
        return [one.field for kind in fields._known.values() for one in kind.values()]

    return mock.patch.object(CustomFields, "of", of)


def due_whatever_was_done() -> AbstractContextManager[Any]:
    """What a process has found to be due is run, although another one may have run it meanwhile."""
    return mock.patch.object(Timetable, "is_due", lambda *_: True)


def places_never_given_back() -> AbstractContextManager[Any]:
    """Who gives a record back, or loses it, goes on having a place less."""
    change = Places.change

    def only_more(places: Places, kind: Any, person: UUID, by: int, pool: UUID | None) -> None:
        if by > 0:
            change(places, kind, person, by, pool)

    return mock.patch.object(Places, "change", only_more)


@contextmanager
def tellings_not_remembered() -> Iterator[None]:
    """Neither the inbox nor the telling itself remembers that people were told of an event."""
    with commands_of_the_saga_not_remembered(), mock.patch.object(Telling, "is_due", lambda *_: True):
        yield


def leads_not_locked() -> AbstractContextManager[Any]:
    """A lead that is being converted may be converted again, edited or given away."""
    require_may = LeadRecord.require_may

    def unlocked(lead: LeadRecord, command: type, context: Any) -> None:
        converts, lead.converts = lead.converts, False
        try:
            require_may(lead, command, context)
        finally:
            lead.converts = converts

    return mock.patch.object(LeadRecord, "require_may", unlocked)


# Which invariant each breaks, and a seed from which on some soon finds it.
BUGS: Mapping[Bug, tuple[str, int]] = {
    position_saved_before_the_acknowledgement: ("Stuck", 60),
    no_position_guard: ("I8", 0),
    offsets_apart_from_data: ("I9", 1),
    results_not_remembered: ("I1", 0),
    deductions_not_remembered: ("I6", 0),
    stock_not_checked: ("I3", 1),
    memory_kept_after_a_failure: ("I6", 28),
    lists_in_the_order_of_arrival: ("I8", 1),
    money_that_is_no_sum: ("I5", 0),
    entries_apart_from_events: ("I10", 0),
    relays_beside_a_topic_made_anew: ("I7", 10),
    offsets_put_back_beside_their_consumer: ("Stuck", 3),
    superiors_frozen: ("I11", 1),
    days_in_utc: ("I15", 2),
    day_told_to_nobody: ("I15", 0),
    zone_as_at_the_start: ("I15", 3),
    news_learned_by_another_process_unheard: ("I15", 70),
    foreign_records_passed_over: ("dead letters", 15),
    sources_not_checked: ("dead letters", 6),
    everything_may_pass: ("Stuck", 37),
    last_partition_wins: ("I8", 13),
    chains_of_heirs_cut: ("I11", 1),
    heirs_may_not_change: ("I11", 16),
    answers_of_others_unheard: ("I12", 5),
    numbers_from_ids: ("I14", 1),
    names_of_one_kind: ("I11", 0),
    deletions_forgotten: ("I16", 160),
    fields_of_any_kind: ("I18", 5),
    due_whatever_was_done: ("I20", 0),
    places_never_given_back: ("I22", 0),
    tellings_not_remembered: ("I23", 0),
    leads_not_locked: ("I24", 0),
}
