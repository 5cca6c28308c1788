"""What must be true after a run; if it is not, the run has no figures."""

from collections import Counter
from collections.abc import Iterator, Sequence
from uuid import UUID

from chassis.catalogue import Catalogue
from chassis.config import Config
from chassis.kafka import PartitionReader, dead_letter_topic
from chassis.projector import connect
from chassis.store import open_store
from services.inventory.domain import StockItem, stock_id

from .data import OPENING_STOCK, PRODUCT_COUNT, Data
from .report import Broken

PAGE = 5_000


def check(config: Config, data: Data, drafts: Sequence[UUID], submitted: Sequence[UUID]) -> dict[str, int]:
    """Check a system at rest; returns how much was compared.  Raises Broken."""
    events, repeats = _kafka_holds_the_stores(config)
    _nothing_was_set_aside(config)
    _stock_is_right(config, data, drafts, submitted)
    _all_are_shipped(config, submitted)
    return {"checked_events": events, "checked_orders": len(submitted), "repeated_records": repeats}


def _kafka_holds_the_stores(config: Config) -> tuple[int, int]:
    events = repeats = 0
    for service in Catalogue.read().with_role("relay"):
        stored = set(_stored_ids(config, service))
        published = Counter(_published_ids(config, f"{service}.events"))
        if stored != set(published):
            raise Broken(
                f"{service}: {len(stored - set(published))} events of the store are not on Kafka, "
                f"{len(set(published) - stored)} events on Kafka are not in the store"
            )
        events += len(stored)
        repeats += published.total() - len(published)
    return events, repeats


def _stored_ids(config: Config, service: str) -> Iterator[str]:
    store = open_store(service, config)
    after = 0
    while page := store.notifications(after, PAGE):
        after = page[-1].position
        yield from (f"{event.aggregate_id}/{event.version}" for event in page if event.key)
    store.close()


def _published_ids(config: Config, topic: str) -> Iterator[str]:
    reader = PartitionReader(config, "bench-check", [topic], {})
    try:
        reader.seek({})
        ends = {source: end for source, end in reader.end_offsets().items() if end}
        seen: dict[str, int] = {}
        while any(seen.get(source, 0) < end for source, end in ends.items()):
            for record in reader.poll(500):
                seen[record.source] = record.offset + 1
                yield record.id
    finally:
        reader.close()


def _nothing_was_set_aside(config: Config) -> None:
    for group in Catalogue.read().groups():
        reader = PartitionReader(config, "bench-check", [dead_letter_topic(group)], {})
        found = sum(reader.end_offsets().values())
        reader.close()
        if found:
            raise Broken(f"{group}: {found} records were set aside")


def _stock_is_right(config: Config, data: Data, drafts: Sequence[UUID], submitted: Sequence[UUID]) -> None:
    gone = set(submitted)
    sold = Counter(number % PRODUCT_COUNT for number, order in enumerate(drafts) if order in gone)
    store = open_store("inventory", config)
    shown = {str(row["_id"]): row.get("on_hand") for row in connect(config)["products"].find()}
    for number, product in enumerate(data.products):
        item = store.load(StockItem, stock_id(product))
        wanted = OPENING_STOCK - sold[number]
        if item is None or item.on_hand != wanted or shown.get(str(product)) != wanted:
            raise Broken(
                f"product {number}: {wanted} should be on hand, the store says {item and item.on_hand}, "
                f"the view {shown.get(str(product))}"
            )
    store.close()


def _all_are_shipped(config: Config, submitted: Sequence[UUID]) -> None:
    database = connect(config)
    for view, status in (("orders", "SHIPPED"), ("order_pages", "SHIPPED"), ("shipments", "DISPATCHED")):
        found = {str(row["_id"]) for row in database[view].find({"status": status}, {"_id": 1})}
        if found != set(map(str, submitted)):
            raise Broken(f"{view}: {len(found)} are {status}, {len(submitted)} should be")
