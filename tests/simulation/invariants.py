"""What must be true of a system at rest, whatever has happened to it.  Each check names the event that breaks it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from chassis.audit.chain import check_chain, records_of
from chassis.catalogue import projector_group
from chassis.messaging.kafka import dead_letter_topic
from chassis.messaging.provenance import LETTER, OFFSET, PARTITION, TOPIC
from chassis.messaging.records import Incoming, read_record
from chassis.model.children import Children, ChildrenCounted, children_id
from chassis.model.custom_values import OwnValues
from chassis.model.place_counts import counts_places
from chassis.model.record_views import pool_view, record_view
from chassis.model.records import Record, aggregate_of, is_filled
from chassis.model.saga import Process
from chassis.model.schedule_runs import runs_once
from chassis.model.views import View
from chassis.projections.collections import STATES
from chassis.projections.documents import stored
from chassis.projections.state import ViewState
from chassis.testing.conformity import violations
from contracts.approvals import CaseReminded
from contracts.collaboration import CommentDeleted, CommentWritten
from contracts.configuration import CUSTOM_FIELD_EVENTS
from contracts.custom_fields import OWN, read
from contracts.customers import ContactCameFromLead
from contracts.declare import REGISTRY
from contracts.inventory import StockDeducted, StockMoved, StockReturned, StockShort
from contracts.merging import MERGED_IDS, MERGED_INTO, MOST_MERGED
from contracts.notices import NoticeGiven, PushRuleFollowed
from contracts.orders import (
    OrderCancelled,
    OrderChanged,
    OrderCreated,
    OrderRejected,
    OrderShipped,
    OrderSubmitted,
    OrderWithdrawn,
    PaymentRecorded,
)
from contracts.pools import POOL_ID
from contracts.records import KINDS, OWNER, TAGS, Kind
from contracts.schedules import schedules_of
from contracts.sharing import SHARED_WITH
from contracts.shipping import ShipmentDelivered, ShipmentDispatched, ShipmentHandedOver
from contracts.statuses import STATUS
from contracts.subjects import SUBJECT_KIND
from services.approvals.domain import Case
from services.conversion.verification import CUSTOMERS as CONVERSIONS
from services.inventory.domain import StockItem, stock_id
from services.notices.domain.notices import PeopleTold
from services.orders.domain import Order
from services.shipping.domain import Shipment

from .cluster import SAGA_TOPICS, SAGAS, SERVICES, VIEWS, Cluster
from .evidence import (
    TOPICS,
    Evidence,
    Fact,
    applied,
    decoded_rows,
    doubled,
    rebuilt,
    replica_rows,
    said,
    view_records,
    without_repeats,
)
from .history import History, Operation

GROUP = projector_group()

GROUPS: Mapping[str, Sequence[str]] = {
    **{name: service.consumed_topics() for name, service in SERVICES.items()},
    **{saga.group: SAGA_TOPICS[saga.name] for _, saga in SAGAS},
    GROUP: TOPICS,
}
"""Who consumes what."""


class Broken(AssertionError):
    """An invariant does not hold."""


def require(holds: bool, invariant: str, why: object) -> None:
    if not holds:
        raise Broken(f"{invariant}: {why}")


# -- what clients were told


def i1_done_exactly_once(evidence: Evidence) -> None:
    """I1: what was answered ok is there, once; what got no answer is there at most once."""
    for operation in evidence.history.operations:
        facts = evidence.by_command.get((operation.service, operation.command_id), ())
        _nothing_twice(operation, facts)
        for answer in operation.answers:
            first = operation.answers[0]
            require(answer.body == first.body, "I1", f"{operation} was answered {first.body}, then {answer.body}")
            newest = {fact.stream: fact.version for fact in facts if fact.key}
            told = {at.aggregate_id: at.version for at in answer.last}
            require(newest == told, "I1", f"{operation} was told {told}, the store has {list(map(str, facts))}")


def _nothing_twice(operation: Operation, facts: Iterable[Fact]) -> None:
    kinds = Counter((fact.stream, fact.type, getattr(fact.fact, "movement", "")) for fact in facts)
    twice = [(stream, kind) for (stream, kind, _), number in kinds.items() if number > 1]
    require(not twice, "I1", f"{operation} was done twice: {twice}")


def i2_refused_left_nothing(evidence: Evidence) -> None:
    """I2: a refused command has no event."""
    for operation in evidence.history.operations:
        if operation.outcome == "fail":
            facts = evidence.by_command.get((operation.service, operation.command_id), ())
            require(not facts, "I2", f"{operation} was refused, but left {list(map(str, facts))}")


# -- stock and money


def i3_never_oversold(evidence: Evidence) -> None:
    """I3: at no version of any stock is there less than nothing, and each balance follows from the one before."""
    balances: dict[UUID, int] = {}
    for fact in evidence.of("inventory", StockMoved):
        moved = fact.fact
        before = balances.get(moved.product_id, 0)
        require(moved.balance >= 0, "I3", f"{fact}: the balance is {moved.balance}")
        require(moved.balance == before + moved.change, "I3", f"{fact}: {before} {moved.change:+} is {moved.balance}")
        balances[moved.product_id] = moved.balance


def i4_stock_agrees(evidence: Evidence) -> None:
    """I4: movements, the aggregate, the product list and the ledger tell the same stock."""
    sums: Counter[UUID] = Counter()
    for fact in evidence.of("inventory", StockMoved):
        sums[fact.fact.product_id] += fact.fact.change
    ledger: Counter[str] = Counter()
    for row in evidence.rows("stock_ledger").values():
        ledger[row["product_id"]] += row["change"]
    for product, on_hand in sums.items():
        item = evidence.cluster.store("inventory").load(StockItem, stock_id(product))
        shown = evidence.rows("products").get(str(product), {}).get("on_hand")
        told = {"aggregate": item and item.on_hand, "products": shown, "ledger": ledger[str(product)]}
        require(set(told.values()) == {on_hand}, "I4", f"product {product}: movements give {on_hand}, {told}")


def i5_totals_are_sums(evidence: Evidence) -> None:
    """I5: an order's total is the sum of its lines, its payments never exceed it, reports count what was sold."""
    totals: dict[UUID, Decimal] = {}
    paid: dict[UUID, Decimal] = defaultdict(Decimal)
    for fact in evidence.of("orders", OrderCreated, OrderChanged, OrderSubmitted, OrderShipped, PaymentRecorded):
        if isinstance(fact.fact, PaymentRecorded):
            paid[fact.fact.order_id] += fact.fact.amount.amount
            require(fact.fact.paid.amount == paid[fact.fact.order_id], "I5", f"{fact}: paid {fact.fact.paid}")
            require(paid[fact.fact.order_id] <= totals[fact.fact.order_id], "I5", f"{fact}: more than the total")
            continue
        sale = getattr(fact.fact, "sale", fact.fact)
        for line in sale.lines:
            require(line.amount == line.unit_price * line.quantity, "I5", f"{fact}: line {line}")
        total = sum((line.amount for line in sale.lines), Decimal(0))
        require(sale.total.amount == total, "I5", f"{fact}: total {sale.total.amount}, lines {total}")
        totals[fact.fact.order_id] = total
    for order, total in totals.items():
        for view in ("orders", "order_pages"):
            row = evidence.rows(view).get(str(order), {})
            shown = _amount(row, "amount"), _amount(row, "paid")
            require(shown == (total, paid[order]), "I5", f"order {order}: {total}, paid {paid[order]}; {view}: {shown}")
    _reports_count_what_was_sold(evidence)


def _amount(row: Mapping[str, Any], name: str) -> Decimal:
    """An amount of a row; 0 when it has none."""
    return row[name].to_decimal() if name in row else Decimal(0)


def _reports_count_what_was_sold(evidence: Evidence) -> None:
    booked, sold = Decimal(0), Decimal(0)
    for fact in evidence.of("orders", OrderSubmitted, OrderWithdrawn, OrderRejected, OrderCancelled, OrderShipped):
        amount = fact.fact.sale.total.amount
        match fact.fact:
            case OrderSubmitted():
                booked += amount
            case OrderShipped():
                sold += amount
            case OrderCancelled(was="DRAFT" | "REJECTED") | OrderCancelled(round=0):
                pass
            case _:
                booked -= amount
    for view in ("sales_by_day", "sales_by_product", "sales_by_brand"):
        rows = evidence.rows(view).values()
        whole = [row for row in rows if "day" not in row]
        for what, wanted in (("booked_amount", booked), ("sold_amount", sold)):
            for name in (what, f"dated_{what}"):
                for some in ([row for row in rows if "day" in row], *([whole] if whole else [])):
                    shown = sum((_amount(row, name) for row in some), Decimal(0))
                    require(shown == wanted, "I5", f"{view}: {name} {shown}, the orders give {wanted}")


# -- orders


def i6_every_order_ended(evidence: Evidence) -> None:
    """I6: each order has ended, or waits on hold for a reason; what it took from stock is out if it shipped, else not.

    The saga has ended too, and asks nobody for attention.
    """
    taken: dict[UUID, Counter[UUID]] = defaultdict(Counter)
    short: dict[tuple[UUID, int, int], Fact] = {}
    net: Counter[UUID] = Counter()
    for fact in evidence.of("inventory", StockDeducted, StockReturned, StockShort):
        if isinstance(fact.fact, StockShort):
            short[fact.fact.order_id, fact.fact.round, fact.fact.attempt] = fact
            continue
        sign = 1 if isinstance(fact.fact, StockDeducted) else -1
        if fact.fact.lines:
            net[fact.fact.order_id] += sign
        for line in fact.fact.lines:
            taken[fact.fact.order_id][line.product_id] += sign * line.quantity
    for created in evidence.of("orders", OrderCreated):
        order = evidence.cluster.store("orders").load(Order, created.stream)
        assert order is not None
        _has_ended(evidence, order, created)
        shipped = order.status in ("SHIPPED", "COMPLETED")
        require(
            net[order.id] == int(shipped), "I6", f"{created} is {order.status}, deductions - returns {net[order.id]}"
        )
        wanted: Counter[UUID] = Counter()
        for line in order.lines if shipped else ():
            wanted[line.product_id] += line.quantity
        require(+taken[order.id] == wanted, "I6", f"{created} is {order.status}, took {taken[order.id]} not {wanted}")
        if order.status == "ON_HOLD":
            require((order.id, order.round, order.attempt) in short, "I6", f"{created} is on hold for no reason")


def _has_ended(evidence: Evidence, order: Order, created: Fact) -> None:
    require(
        order.status in ("DRAFT", "SHIPPED", "COMPLETED", "CANCELLED", "REJECTED", "ON_HOLD"),
        "I6",
        f"{created} is still {order.status}",
    )
    process = evidence.cluster.store("fulfilment").load(Process, order.id)
    if process is None:
        require(order.round == 0, "I6", f"{created} was submitted, and no saga has begun")
        return
    require(order.round == process.round, "I6", f"{created}: round {order.round}, saga's {process.round}")
    require("NEEDS_ATTENTION" not in process.statuses.values(), "I6", f"{created}: {process.statuses}")
    waits = order.status == "ON_HOLD"
    require((process.step != "") == waits, "I6", f"{created} is {order.status}, its saga is at {process.step!r}")
    shipment = evidence.cluster.store("shipping").load(Shipment, order.id)
    delivered = shipment is not None and shipment.status == "DELIVERED"
    shipped = order.status in ("SHIPPED", "COMPLETED")
    require(delivered == shipped == order.delivered, "I6", f"{created} is {order.status}, shipment {shipment}")
    for view in ("orders", "order_pages"):
        shown = evidence.rows(view).get(str(order.id), {}).get("status")
        require(shown == order.status, "I6", f"{created} is {order.status}, {view} shows {shown}")


# -- the way of events


def i7_kafka_holds_the_stores(evidence: Evidence) -> None:
    """I7: versions have no gap; on Kafka is what the stores hold, per key in their order once repeats are left out."""
    for service, facts in evidence.facts.items():
        for stream, own in evidence.streams(service).items():
            versions = [fact.version for fact in own]
            require(versions == list(range(1, len(own) + 1)), "I7", f"{service} stream {stream} has {versions}")
        stored: dict[str, list[str]] = defaultdict(list)
        for fact in facts:
            if fact.key:
                stored[fact.key].append(fact.id)
        published: dict[str, list[str]] = defaultdict(list)
        for records in evidence.cluster.bus.topic(f"{service}.events").values():
            for record in without_repeats([read_record(record, {}) for record in records]):
                published[record.key].append(record.id)
        for key in {**stored, **published}:
            require(
                stored.get(key) == published.get(key),
                "I7",
                f"{service} key {key}: stored {stored.get(key)}, on Kafka {published.get(key)}",
            )


def i8_rebuild_gives_the_same(evidence: Evidence) -> None:
    """I8: views and replicas made anew from event one are equal, also when every partition repeats itself."""
    random = Random(evidence.count)
    sources = view_records(evidence.cluster)
    repeating = {source: doubled(records, random) for source, records in sources.items()}
    for how, records in (("from event one", sources), ("from event one with repeats", repeating)):
        again = rebuilt(records, VIEWS, random)
        for view in VIEWS:
            _same(view, said(evidence.cluster, view), again[view.name], "I8", f"made anew {how}")
    for name, service in SERVICES.items():
        anew = replica_rows(evidence.cluster, service, random)
        rows = decoded_rows(service, evidence.cluster.disks[name])
        for place in {**rows, **anew}:
            one, other = rows.get(place), anew.get(place)
            require(one == other, "I8", f"{name} knows {place} as {one}, made anew it is {other}")


def i9_progress_tells_the_truth(cluster: Cluster, view: View, sources: Mapping[str, Sequence[Incoming]]) -> None:
    """I9: a view holds exactly what its progress says it has applied."""
    document = cluster.database.documents(STATES).get(view.name)
    if document is None:
        return
    state = ViewState.of(view, document)
    again = rebuilt(applied(state.progress, sources), [view], Random(0))
    _same(view, said(cluster, view), again[view.name], "I9", f"at {state.progress.offsets}")


def i9_all_progress_tells_the_truth(evidence: Evidence) -> None:
    """I9, for every view."""
    sources = view_records(evidence.cluster)
    for view in VIEWS:
        i9_progress_tells_the_truth(evidence.cluster, view, sources)


def i10_the_audit_log_tells_of_everything(evidence: Evidence) -> None:
    """I10: every service's chain is whole, and each of its events is told of by exactly one entry."""
    for name in SERVICES:
        store = evidence.cluster.store(name)
        require(not (broken := check_chain(store).broken), "I10", broken)
        told: Counter[tuple[UUID, int]] = Counter()
        for record in records_of(store):
            for entry in record.entries():
                for change in entry.changes:
                    told.update(
                        (change.aggregate_id, version) for version in range(change.before + 1, change.after + 1)
                    )
        stored = Counter((fact.stream, fact.version) for fact in evidence.facts[name])
        require(
            told == stored, "I10", f"{name}: entries tell of {told - stored} too much, of {stored - told} too little"
        )


def i11_everything_that_waits_has_somebody(evidence: Evidence) -> None:
    """I11: whoever is in the place of who has left, or was moved, decides what waits and changes what was theirs.

    At rest, settings can be set, whatever was set before.
    """
    for operation in evidence.history.operations:
        done = operation.outcome == "ok" or not operation.is_certain
        require(done, "I11", f"{operation}: {operation.refusal}, though everything was at rest")
        refusal = operation.refusal if operation.is_due and operation.outcome == "fail" else None
        require(refusal is None or refusal.code != "FORBIDDEN", "I11", f"{operation}: {refusal}, though it was due")


def i12_what_was_answered_decides(evidence: Evidence) -> None:
    """I12: a command that comes with the token of an answer that forbids it is not carried out."""
    for operation in evidence.history.operations:
        require(
            not (operation.is_late and operation.outcome == "ok"), "I12", f"{operation} after its order was called off"
        )


def i13_events_keep_to_their_schemas(evidence: Evidence) -> None:
    """I13: what was stored is what integrators were told to expect."""
    for name in SERVICES:
        found = violations(evidence.cluster.store(name).notifications(0, 1_000_000))
        require(not found, "I13", f"{name}: {found[:3]}")


def i14_every_order_has_its_own_number(evidence: Evidence) -> None:
    """I14: no two orders have one number."""
    holders: dict[str, UUID] = {}
    for fact in evidence.of("orders", OrderCreated):
        first = holders.setdefault(fact.fact.number, fact.fact.order_id)
        require(first == fact.fact.order_id, "I14", f"{fact} has the number of the order {first}")


def i15_days_are_the_companys(evidence: Evidence) -> None:
    """I15: each event is of the company's day, and so are the days it tells, unless somebody typed them.

    Reports count what was booked on the day of submission, also when it is taken back, and what was sold on the day of
    shipping; beside that both on the order's own date.
    """
    for name in SERVICES:
        for fact in evidence.facts[name]:
            days = evidence.days_of(fact)
            require(fact.meta.day in days, "I15", f"{fact} of {fact.meta.at} is of {fact.meta.day}, not of {days}")
    _days_told(evidence)
    _reports_count_on_the_right_days(evidence)


def _days_told(evidence: Evidence) -> None:
    _days_of_orders(evidence)
    _days_of_shipments(evidence)


def _days_of_orders(evidence: Evidence) -> None:
    typed = {operation.command_id: operation.command for operation in evidence.history.operations}
    dated: dict[UUID, date] = {}
    submitted: dict[UUID, date] = {}
    for fact in evidence.of("orders", OrderCreated, OrderChanged, OrderSubmitted, PaymentRecorded):
        given, today = fact.fact, fact.meta.day or date.min
        match given:
            case OrderCreated():
                dated[given.order_id] = told = given.order_date
                wanted = typed[fact.meta.command_id].order_date or today
            case PaymentRecorded():
                earliest = min(
                    dated[given.order_id], submitted[given.order_id]
                )  # the zone may have been set back since
                told, wanted = given.paid_on, typed[fact.meta.command_id].paid_on or max(today, earliest)
            case OrderChanged():
                dated[given.order_id] = given.order_date
                continue
            case OrderSubmitted():
                submitted[given.order_id] = today
                continue
        require(told == wanted, "I15", f"{fact} of {fact.meta.at}: {told}, not {wanted}")


def _days_of_shipments(evidence: Evidence) -> None:
    handed_over: dict[tuple[UUID, int], date | None] = {}
    left: dict[UUID, date | None] = {}
    for fact in evidence.of("shipping", ShipmentHandedOver, ShipmentDispatched, ShipmentDelivered):
        match fact.fact:
            case ShipmentHandedOver() as given:
                handed_over[given.order_id, given.round] = wanted = fact.meta.day
                told = given.handed_over_on
            case ShipmentDispatched() as given:
                wanted = left[given.order_id] = handed_over.get((given.order_id, given.round), fact.meta.day)
                told = given.left_on
            case ShipmentDelivered() as given:
                wanted = max(fact.meta.day or date.min, left[given.order_id] or date.min)
                told = given.delivered_on
        require(told == wanted, "I15", f"{fact} of {fact.meta.at}: {told}, not {wanted}")


def _reports_count_on_the_right_days(evidence: Evidence) -> None:
    wanted: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    submitted: dict[UUID, str] = {}
    dated: dict[UUID, str] = {}
    called_off = (OrderWithdrawn, OrderRejected, OrderCancelled)
    for fact in evidence.of("orders", OrderCreated, OrderChanged, OrderSubmitted, *called_off, OrderShipped):
        order = fact.fact.order_id
        match fact.fact:
            case OrderCreated() | OrderChanged():
                dated[order] = str(fact.fact.order_date)
                continue
            case OrderCancelled(was="DRAFT" | "REJECTED") | OrderCancelled(round=0):
                continue
            case OrderSubmitted():
                submitted[order] = str(fact.meta.day)
        sold = isinstance(fact.fact, OrderShipped)
        what = "sold_amount" if sold else "booked_amount"
        amount = fact.fact.sale.total.amount * (1 if isinstance(fact.fact, OrderSubmitted | OrderShipped) else -1)
        wanted[what, str(fact.meta.day) if sold else submitted[order]] += amount
        wanted[f"dated_{what}", dated[order]] += amount
    for view in ("sales_by_day", "sales_by_product", "sales_by_brand"):
        shown: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for row in evidence.rows(view).values():
            for name in {name for name, _ in wanted} if "day" in row else ():
                shown[name, row["day"]] += _amount(row, name)
        wrong = {place: (shown[place], wanted[place]) for place in {**wanted, **shown} if shown[place] != wanted[place]}
        require(not wrong, "I15", f"{view}: (shown, by the orders) {wrong}")


def _same(view: View, live: Mapping[Any, Any], again: Mapping[Any, Any], invariant: str, how: str) -> None:
    for id in {**live, **again}:
        one, other = live.get(id), again.get(id)
        if one != other:
            names = sorted(n for n in {**(one or {}), **(other or {})} if (one or {}).get(n) != (other or {}).get(n))
            shown = [(n, (one or {}).get(n), (other or {}).get(n)) for n in names]
            raise Broken(f"{invariant}: {view.name} {id} differs when {how}: (field, live, anew) {shown}")


def only_what_strangers_wrote_is_set_aside(evidence: Evidence) -> None:
    """Each group has set aside what strangers wrote onto its topics, and nothing else."""
    strange = evidence.cluster.stranger.sent
    for group, topics in GROUPS.items():
        own = dead_letter_topic(group)
        told = set()
        for letter in evidence.cluster.bus.topic(own)[0]:
            if (own, 0, letter.offset) not in strange:
                about = {name: (value or b"").decode() for name, value in letter.headers if name.startswith(LETTER)}
                told.add((about[TOPIC], int(about[PARTITION]), int(about[OFFSET])))
        wanted = {place for place in strange if place[0] in (*topics, own)}
        wrong = {place: strange.get(place, "ours") for place in told ^ wanted}
        require(not wrong, "dead letters", f"{group}: {wrong}")


def nothing_failed_inside(evidence: Evidence) -> None:
    """No command failed for a reason that is none of the caller's."""
    require(not evidence.cluster.internal_errors, "internal error", evidence.cluster.internal_errors)


def i16_records_are_shown_as_they_are(evidence: Evidence) -> None:
    """I16: of every kind of record the list shows what its events make of it, and what is unique is one record's; what
    went into another one leads to one that did not, and counts for that."""
    aggregates = {one.kind.cls: one for service in SERVICES.values() for one in map(aggregate_of, service.records)}
    for kind in KINDS.values():
        shown, records = evidence.rows(record_view(kind.cls).name), dict[UUID, Record]()
        for id, facts in evidence.streams(kind.service).items():
            if not isinstance(facts[0].fact, kind.created):
                continue
            record, told = aggregates[kind.cls](id), [fact.fact for fact in facts]
            for fact in told:
                record.apply(fact)
            row = shown.get(str(id)) or {}
            shares = [[str(share.with_id) for share in record.shares]] if kind.owned else []
            wanted: tuple[Any, ...] = (record.version, record.deleted, *record.owners, *shares)
            whose = [row.get(OWNER), row.get(SHARED_WITH)] if kind.owned else []
            seen = row.get("version"), row.get("deleted"), *whose
            if kind.tag:
                wanted, seen = (*wanted, [*record.data.tags]), (*seen, row.get(TAGS))
            if kind.statuses:
                wanted, seen = (*wanted, record.status), (*seen, row.get(STATUS))
                for before, to in ((one.before, one.status) for one in told if type(one) is kind.status_set):
                    is_step = kind.statuses.step(before, to) is not None or to == kind.statuses.becomes
                    require(is_step, "I16", f"{kind.what} {id} went from {before} to {to}")
                lacks = [n for n in kind.statuses.needed_in(record.status) if not is_filled(getattr(record.data, n))]
                require(not lacks, "I16", f"{kind.what} {id} is {record.status} and lacks {lacks}")
            if kind.merge:
                wanted = (*wanted, record.merged_into, [*map(str, record.joins)])
                seen = (*seen, row.get(MERGED_INTO), row.get(MERGED_IDS))
            require(_texts(seen) == _texts(wanted), "I16", f"{kind.what} {id} {record} is shown as {seen}")
            records[id] = record
        _require_unique(kind, records)


def _require_unique(kind: Kind, records: Mapping[UUID, Record]) -> None:
    """What went into another one has no value by itself: it may be that one's, and is free when that was deleted."""
    holders = dict[UUID, UUID]()
    for id, record in records.items():
        last, steps = record, 0
        while last.merged_into is not None:
            above, steps = records[last.merged_into], steps + 1
            require(last.id in above.joins and steps < MOST_MERGED, "I16", f"{kind.what} {id} went nowhere, or around")
            last = above
        for value in record.unique_values.values() if last is record else ():
            for taken in value.taken:
                first = holders.setdefault(taken, id)
                require(first == id, "I16", f"{kind.what} {id} has what the record {first} has")


def i21_what_belongs_to_a_record_is_counted_and_never_left_alone(evidence: Evidence) -> None:
    """I21: a record belongs to one that is there, none is above itself, and each knows how many belong to it."""
    aggregates = {one.kind.cls: one for service in SERVICES.values() for one in map(aggregate_of, service.records)}
    for service in {kind.service for kind in KINDS.values() if kind.parents or kind.pools}:
        records, counted, told = dict[UUID, Record](), dict[tuple[UUID, str], int](), dict[UUID, Children]()
        for id, facts in evidence.streams(service).items():
            first = type(facts[0].fact)
            kind = next((kind for kind in KINDS.values() if kind.created is first), None)
            found: Any = aggregates[kind.cls](id) if kind else Children(id) if first is ChildrenCounted else None
            for fact in facts if found else ():
                found.apply(fact.fact)
            if isinstance(found, Record):
                records[id] = found
            elif found:
                told[id] = found
        for id, record in records.items():
            for name, parent in record.parents.items():
                if record.kind.parents[name].rules.outlives or parent not in records:
                    continue
                counted[parent, record.kind.what] = counted.get((parent, record.kind.what), 0) + 1
                require(not records[parent].deleted, "I21", f"{record.kind.what} {id} belongs to {parent}: deleted")
                above: UUID | None = parent
                while above is not None and record.kind.parents[name].rules.record == record.kind.what:
                    require(above != id, "I21", f"{record.kind.what} {id} is above itself")
                    above = getattr(records[above].data, name)
            if pool := record.held_by_pool:
                counted[pool, record.kind.what] = counted.get((pool, record.kind.what), 0) + 1
                require(not records[pool].deleted, "I21", f"{record.kind.what} {id} is in the pool {pool}: deleted")
        for parent in records:
            kept = told[children_id(parent)].counts if children_id(parent) in told else {}
            wanted = {what: number for (of, what), number in counted.items() if of == parent}
            require({what: n for what, n in kept.items() if n} == wanted, "I21", f"{parent} has {kept}, not {wanted}")


def i22_no_place_in_a_limit_is_lost(evidence: Evidence) -> None:
    """I22: a record of a kind with a pool has an owner or waits in one, and everybody's count is of what they have."""
    for kind in (kind for kind in KINDS.values() if kind.pool):
        rule, listed = counts_places(kind), evidence.rows(pool_view(kind.cls).name)
        state = rule.state()
        for fact in evidence.of(kind.service, *rule.folds):
            if rule.key(fact.fact) is not None:
                rule.folds[type(fact.fact)](state, fact.fact)
        require(not rule.at_rest(state), "I22", f"{kind.what}: {rule.at_rest(state)}")
        for id, record in state.records.items():
            row = listed.get(str(id)) or {}
            waits = row.get(OWNER, id) is None and not row.get("deleted")
            is_nobodys = record.owner.user_id is None
            is_there = not record.deleted and record.merged_into is None
            require(waits == (is_nobodys and is_there), "I22", f"{kind.what} {id} {record}: {row}")
            require(row.get(POOL_ID) == (record.pool_id and str(record.pool_id)), "I22", f"{kind.what} {id}: {row}")
            if statuses := kind.statuses:
                require((record.status == statuses.pooled) == is_nobodys, "I22", f"{kind.what} {id} {record}")


def i17_cases_are_shown_as_they_are(evidence: Evidence) -> None:
    """I17: the inbox shows of each case what it holds, and each case is told in one form to its end (ADR 0044)."""
    shown = evidence.rows("approval_inbox")
    cases = {id: facts for id, facts in evidence.streams("approvals").items() if type(facts[0].fact) in Case.appliers}
    for id, facts in cases.items():
        case = Case(id)
        for fact in facts:
            case.apply(fact.fact)
        forms = {type(fact.fact).__name__.endswith("V2") for fact in facts if REGISTRY.is_public_event(type(fact.fact))}
        require(forms <= {not case.told_as_order}, "I17", f"the case {id} is told in two forms")
        if case.nodes:
            row = shown.get(str(id)) or {}
            wanted = case.status, case.reply()["due"], case.kind, case.subject_id
            seen = tuple(row.get(name) for name in ("status", "due", "kind", "subject_id"))
            require(_texts(seen) == _texts(wanted), "I17", f"the case {id} {wanted} is shown as {seen}")


def i18_own_values_are_of_fields_that_were_added(evidence: Evidence) -> None:
    """I18: a record has values of fields that the company has added to its kind alone, and its list shows them."""
    told_of = evidence.of("configuration", *CUSTOM_FIELD_EVENTS)
    added = {(fact.fact.kind, fact.fact.field.key): fact.fact.field for fact in told_of}
    for kind in KINDS.values():
        shown = evidence.rows(record_view(kind.cls).name)
        for fact in evidence.of(kind.service, kind.created, kind.edited):
            for key, held in read(kind.layout.read(fact.fact).own).items():
                field = added.get((kind.code, key))
                is_such = field is not None and field.type == held.type
                require(is_such, "I18", f"{fact} has {held} for {key}, of which the company knows {field}")
        for id, facts in evidence.streams(kind.service).items():
            told = [kind.layout.read(one.fact).own for one in facts if type(one.fact) in (kind.created, kind.edited)]
            if told:
                seen = (shown.get(str(id)) or {}).get(OWN)
                require(seen == stored(OwnValues(told[-1])), "I18", f"{kind.what} {id} is shown with {seen}")


def i19_what_is_said_is_about_a_record_and_shown_as_it_reads(evidence: Evidence) -> None:
    """I19: each comment and view is about a record that there is; comments are shown as they read, or not once gone."""
    services = {kind.code: kind.service for kind in KINDS.values()} | {"order": "orders"}
    shown = evidence.rows("comments")
    for id, facts in evidence.streams("collaboration").items():
        told = [fact.fact for fact in facts]
        for fact in told:
            if about := getattr(fact, SUBJECT_KIND, None):  # tasks and schedules of the service say it once, or not
                there = evidence.streams(services[about])
                require(fact.subject_id in there, "I19", f"{fact} is about no record")
        if isinstance(told[0], CommentWritten):
            is_gone = isinstance(told[-1], CommentDeleted)
            row = shown.get(str(id))
            require((row is None) is is_gone, "I19", f"comment {id} {told} is shown as {row}")
            require(row is None or row["text"] == told[-1].text, "I19", f"comment {id} {told} is shown as {row}")


def _texts(values: Iterable[Any]) -> list[str]:
    return [str(value) for value in values]


def i20_each_day_of_a_schedule_is_done_once(evidence: Evidence) -> None:
    """I20: what was planned ran once for its day, and what it does was done once for that day."""
    for service, rule in ((name, runs_once(name)) for name in SERVICES if schedules_of(name)):
        states = {one.name: rule.state() for one in schedules_of(service).values()}
        for fact in evidence.of(service, *rule.folds):
            state = states[fact.fact.schedule]
            rule.folds[type(fact.fact)](state, fact.fact)
            require(not rule.never(state), "I20", f"{fact}: {rule.never(state)}")
    reminded: set[tuple[UUID, date]] = set()
    for fact in evidence.of("approvals", CaseReminded):
        about = fact.fact.case_id, fact.fact.day
        require(about not in reminded, "I20", f"{fact}: for that day they were reminded before")
        reminded.add(about)


def i23_an_event_is_told_once(evidence: Evidence) -> None:
    """I23: of an event people are told once by each rule, and each of them has one notice of it at most."""
    told: set[tuple[str, UUID | None]] = set()
    for fact in evidence.of("notices", PeopleTold, PushRuleFollowed, NoticeGiven):
        about = fact.meta.command_id, getattr(fact.fact, "receiver_id", None)  # named by event and rule
        require(about not in told, "I23", f"{fact}: they were told before")
        told.add(about)


def i24_a_converted_lead_is_one_customer(evidence: Evidence) -> None:
    """I24: each lead that was converted is one customer with its contact, and no other lead is any (LED-09)."""
    states: dict[Any, Any] = defaultdict(CONVERSIONS.state)
    for service in ("leads", "customers"):
        for fact in evidence.of(service, *CONVERSIONS.folds):
            CONVERSIONS.folds[type(fact.fact)](states[CONVERSIONS.key(fact.fact)], fact.fact)
    for lead, state in states.items():
        wrong = CONVERSIONS.never(state) or CONVERSIONS.at_rest(state)
        require(not wrong, "I24", f"lead {lead}: {wrong}")
        made = sum(1 for fact in evidence.of("customers", ContactCameFromLead) if fact.fact.lead_id == lead)
        require(made == len(state.customers), "I24", f"lead {lead} has {made} contacts")


CHECKS: Sequence[Callable[[Evidence], None]] = (
    nothing_failed_inside,
    only_what_strangers_wrote_is_set_aside,
    i1_done_exactly_once,
    i2_refused_left_nothing,
    i3_never_oversold,
    i4_stock_agrees,
    i5_totals_are_sums,
    i6_every_order_ended,
    i7_kafka_holds_the_stores,
    i8_rebuild_gives_the_same,
    i9_all_progress_tells_the_truth,
    i10_the_audit_log_tells_of_everything,
    i11_everything_that_waits_has_somebody,
    i12_what_was_answered_decides,
    i13_events_keep_to_their_schemas,
    i14_every_order_has_its_own_number,
    i15_days_are_the_companys,
    i16_records_are_shown_as_they_are,
    i17_cases_are_shown_as_they_are,
    i18_own_values_are_of_fields_that_were_added,
    i19_what_is_said_is_about_a_record_and_shown_as_it_reads,
    i20_each_day_of_a_schedule_is_done_once,
    i21_what_belongs_to_a_record_is_counted_and_never_left_alone,
    i22_no_place_in_a_limit_is_lost,
    i23_an_event_is_told_once,
    i24_a_converted_lead_is_one_customer,
)


def check_all(cluster: Cluster, history: History) -> Evidence:
    """Check a cluster at rest, all invariants.  Raises Broken with the first thing that is wrong with each."""
    evidence = Evidence(cluster, history)
    broken: list[str] = []
    for check in CHECKS:
        try:
            check(evidence)
        except Broken as found:
            broken.append(str(found))
    if broken:
        raise Broken("\n".join(broken))
    return evidence
