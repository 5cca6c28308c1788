"""Leads that become customers, many at once: the saga of conversion on the whole system (LED-09)."""

import json
import time

from chassis.projections.collections import connect

from .client import at_once, run
from .data import Data
from .http import one_request
from .report import Broken, Figure, Report
from .system import Bench

CONNECTIONS = 32
PATIENCE_SECONDS = 180.0
POLL_SECONDS = 0.02


def measure(report: Report, bench: Bench, data: Data, repetitions: int, leads: int) -> None:
    """Enter `leads` leads and convert them all at once, until each is a customer with a contact in the views."""
    address = bench.api_address
    sales = bench.caller("li", address)
    database = connect(bench.config())
    rates: list[float] = []
    for repetition in range(1, repetitions + 1):
        ids = data.ids(leads)
        bodies = [
            {
                "lead_id": str(id),
                "name": f"李雷 {repetition}.{number}",
                "company": f"山海 {id}",
                "phone": f"138{repetition:02d}{number:06d}",
                "industry": "RETAIL",
            }
            for number, id in enumerate(ids)
        ]
        entered = [sales.request("POST", "/leads", json.dumps(body).encode()) for body in bodies]
        run(address, at_once(map(one_request, entered)), CONNECTIONS)
        asked = [sales.request("POST", f"/leads/{id}/conversion", b"{}") for id in ids]
        begun = time.perf_counter()
        run(address, at_once(map(one_request, asked)), CONNECTIONS)
        wanted = {str(id) for id in ids}
        for view in ("customers", "contacts"):
            deadline = time.monotonic() + PATIENCE_SECONDS
            while database[view].count_documents({"lead_id": {"$in": [*wanted]}}) < leads:
                if time.monotonic() > deadline:
                    raise Broken(f"not all of {leads} leads are in {view} after {PATIENCE_SECONDS:.0f} s")
                time.sleep(POLL_SECONDS)
        rates.append(leads / (time.perf_counter() - begun))
    report.add(Figure("conversions_per_s", rates))
