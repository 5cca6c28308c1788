"""What must be true after a run; if it is not, the run has no figures."""

from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from uuid import UUID

from tqdm import tqdm

from chassis.foundation.config import Config
from chassis.projections.collections import connect
from chassis.store.opening import open_store
from chassis.verify.run import Verification
from services.inventory.domain import StockItem, stock_id

from .data import OPENING_STOCK, PRODUCT_COUNT, Data
from .report import Broken


def check(config: Config, data: Data, drafts: Sequence[UUID], submitted: Sequence[UUID]) -> dict[str, int]:
    """Check a system at rest; returns how much was compared.  Raises Broken."""
    findings = Verification(config, (), wait=60.0, bars=lambda *_: nullcontext(tqdm(disable=True))).run()
    if findings.exit_code or findings.attention:
        raise Broken(findings.text())
    _as_much_is_left_as_was_not_sold(config, data, drafts, submitted)
    _all_are_shipped(config, submitted)
    return {
        "checked_events": findings.counts["events read"],
        "checked_documents": findings.counts["documents compared"],
        "checked_orders": len(submitted),
        "repeated_records": findings.counts["of them repeats or foreign"],
    }


def _as_much_is_left_as_was_not_sold(
    config: Config, data: Data, drafts: Sequence[UUID], submitted: Sequence[UUID]
) -> None:
    gone = set(submitted)
    sold = Counter(number % PRODUCT_COUNT for number, order in enumerate(drafts) if order in gone)
    store = open_store("inventory", config)
    for number, product in enumerate(data.products):
        item = store.load(StockItem, stock_id(product))
        wanted = OPENING_STOCK - sold[number]
        if item is None or item.on_hand != wanted:
            raise Broken(f"product {number}: {wanted} should be on hand, the store says {item and item.on_hand}")
    store.close()


def _all_are_shipped(config: Config, submitted: Sequence[UUID]) -> None:
    database = connect(config)
    for view, status in (("orders", "SHIPPED"), ("order_pages", "SHIPPED"), ("shipments", "DISPATCHED")):
        found = {str(row["_id"]) for row in database[view].find({"status": status}, {"_id": 1})}
        if found != set(map(str, submitted)):
            raise Broken(f"{view}: {len(found)} are {status}, {len(submitted)} should be")
