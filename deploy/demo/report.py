"""What the demo prints at its end: the figures, the life of one order, and where to look next."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from deploy.demo.cdnow import Purchase, Totals, lines_of
from deploy.demo.check import Comparison
from deploy.demo.leads import Worked
from deploy.demo.replay import CURRENCY, THRESHOLD, Run
from deploy.local import LocalSystem

MOST_SHOWN = 5
MOST_MEGABYTES = 200


@dataclass(frozen=True)
class Measured:
    """Seconds from the first command to the last order shipped, and the most memory each process took (MB)."""

    seconds: float
    memory: Mapping[str, tuple[float, float]]  # now, most

    @property
    def too_large(self) -> list[str]:
        """The processes that took more memory than they should."""
        return [name for name, (_, most) in self.memory.items() if most > MOST_MEGABYTES]


def print_leads(console: Console, worked: Worked) -> None:
    """What became of the leads, as people were answered and as the lists say."""
    table = Table(title=f"Leads, worked in {worked.seconds:.1f} s")
    for name in ("", "answered", "in the lists"):
        table.add_column(name, justify="right" if name else "left")
    for name, count in worked.answered.items():
        table.add_row(name, f"{count:,}", f"{worked.listed[name]:,}" if name in worked.listed else "")
    console.print(table)


def print_figures(console: Console, run: Run, file: Totals, views: Totals) -> None:
    table = Table(title=f"Run {run.name}")
    for name in ("", "orders", "CDs", CURRENCY):
        table.add_column(name, justify="right" if name else "left")
    for name, totals in (("file", file), ("MongoDB view orders", views), ("difference", views - file)):
        table.add_row(name, f"{totals.orders:,}", f"{totals.quantity:,}", f"{totals.amount:,}")
    console.print(table)
    exactly = sum(purchase.amount == THRESHOLD for purchase in run.purchases)
    console.print(
        f"{run.approvals:,} orders needed supervisor and finance: {run.approvals - exactly:,} above "
        f"{THRESHOLD} {CURRENCY}, {exactly} of exactly {THRESHOLD}.",
        highlight=False,
        soft_wrap=True,
    )
    if run.settings_now != run.settings_before:
        text = f"The sales process stays as the demo set it: {run.settings_now}.  Before: {run.settings_before}."
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def print_comparisons(console: Console, comparisons: Sequence[Comparison]) -> None:
    table = Table(title="The views compared with the file")
    for name in ("view", "what", "compared", "differences"):
        table.add_column(name, justify="right" if name in ("compared", "differences") else "left")
    for one in comparisons:
        table.add_row(one.view, one.question, f"{one.compared:,}", f"{len(one.differences):,}")
    console.print(table)
    for one in comparisons:
        for difference in one.differences[:MOST_SHOWN]:
            console.print(f"DIFFERENCE in {one.view} ({one.question}): {difference}", markup=False, soft_wrap=True)
        if len(one.differences) > MOST_SHOWN:
            console.print(f"  ... and {len(one.differences) - MOST_SHOWN:,} more in {one.view}", markup=False)


def print_measured(console: Console, run: Run, measured: Measured) -> None:
    pace = len(run.purchases) / measured.seconds
    console.print(
        f"From the first order to the last one shipped {measured.seconds:.1f} s: {pace:.0f} orders a second.",
        highlight=False,
    )
    for name, (now, most) in measured.memory.items():
        console.print(f"Memory of the {name} process: {now:.0f} MB, at most {most:.0f} MB.", highlight=False)
    for name in measured.too_large:
        console.print(f"WARNING: {name} took more than the {MOST_MEGABYTES} MB it should take.", markup=False)


# -- one order ------------------------------------------------------------------------------------------------------


def order_to_show(run: Run) -> Purchase:
    """One that needed approval and has two lines; else the next best."""
    return max(run.purchases, key=lambda p: (run.needs_approval(p), len(lines_of(p.quantity, p.amount)), -p.row))


def print_timeline(console: Console, page: Mapping[str, Any], purchase: Purchase, zone: ZoneInfo) -> None:
    lines = " + ".join(f"{line['quantity']} x {line['unit_price']}" for line in page["lines"])
    console.print(
        f"\nOrder {page['number']}, row {purchase.row} of the file: {page['customer']['name']} bought "
        f"{purchase.quantity} CDs for {purchase.amount} {CURRENCY} on {purchase.day}: {lines} = {page['amount']}",
        highlight=False,
        soft_wrap=True,
    )
    entries = sorted(_entries(page), key=lambda entry: entry[0])
    table = Table(title=f"Its timeline, {entries[0][0].astimezone(zone):%Y-%m-%d}, {zone.key}")
    for name in ("time", "seconds", "part", "what", "who"):
        table.add_column(name, justify="right" if name == "seconds" else "left")
    for at, part, what, who in entries:
        local = at.astimezone(zone)
        after = f"{(at - entries[0][0]).total_seconds():.3f}"
        table.add_row(f"{local:%H:%M:%S}.{local.microsecond // 1000:03}", after, part, what, who)
    console.print(table)


def _entries(page: Mapping[str, Any]) -> Iterator[tuple[datetime, str, str, str]]:
    for item in page["history"] or ():
        yield datetime.fromisoformat(item["at"]), "order", item["status"], item["by"]
    for item in page["approvals"] or ():
        what = (
            f"{item['node']} {item['what']}" if item.get("node") else f"{item['what']} for {', '.join(item['route'])}"
        )
        yield datetime.fromisoformat(item["at"]), "approval", what, item["by"] or "Salestream"
    for item in page["steps"] or ():
        what = f"{item['step']}: {item['status']}"
        yield datetime.fromisoformat(item["at"]), "saga", f"{what} {item['detail']}".strip(), "Salestream"


# -- where to look next ---------------------------------------------------------------------------------------------


def print_next(console: Console, system: LocalSystem, run: Run, order_id: str, database: str) -> None:
    address, here = system.api.own_address, Path.cwd()
    get = 'curl -s -H "Authorization: Bearer $TOKEN"'
    text = f"""
Where to look next
  sign in              TOKEN=$(make -s token USER=mei)
  that order           {get} {address}/orders/{order_id}
  this run's biggest   {get} '{address}/orders?channel={run.name}&sort=-amount&limit=5'
  sales of a month     {get} '{address}/reports/sales-by-day?day_from=1997-01-01&day_to=1997-01-31&sort=day'
  for a spreadsheet    {get} '{address}/orders?channel={run.name}&format=xlsx' -o orders.xlsx
  the read models      {system.stack.mongo.shown_address}, database {database}; its _views names the collections
  the whole API        contracts/openapi.yaml
  the logs             {_short(system.api.log, here)}, {_short(system.worker.log, here)}
  once more            make demo
  stop it              make down"""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _short(path: Path, here: Path) -> str:
    return os.path.relpath(path, here) if path.is_relative_to(here) else str(path)
