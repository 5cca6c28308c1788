"""`python -m tests.load.files`: what commands notice of files of 50 MB that come and go beside them (ADR 0043).

Prints the time of commands in ms and the memory of the api process in MB: alone, beside uploads, beside downloads.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from uuid import uuid4

import httpx
import psutil
from component.support import Company, Person, add_customer, await_views, config_of, environment

from deploy.local.system import LocalSystem

SIZE = 50_000_000
SECONDS = 15.0
SENDERS, EVERY = 4, 0.02
"""So many send a command every so many seconds each: 200 a second."""


def send_commands(by: Person, customer: str, stop: threading.Event, taken: list[float]) -> None:
    with httpx.Client(base_url=by.company.http.base_url, timeout=60) as http:
        number = 0
        while not stop.is_set():
            number += 1
            begun = time.perf_counter()
            answer = http.patch(
                f"/customers/{customer}",
                json={"need": f"number {number}"},
                headers={"Authorization": f"Bearer {by.token}"},
            )
            taken.append((time.perf_counter() - begun) * 1_000)
            assert answer.status_code == 200, answer.text
            stop.wait(max(0.0, EVERY - (time.perf_counter() - begun)))


def beside(name: str, by: Person, process: psutil.Process, work: Callable[[], object]) -> None:
    """Repeat some work while others send commands, and tell how they fared."""
    customers = [add_customer(by) for _ in range(SENDERS)]
    stop, taken, done, most = threading.Event(), list[float](), 0, 0
    senders = [threading.Thread(target=send_commands, args=(by, one, stop, taken)) for one in customers]
    for sender in senders:
        sender.start()
    end, begun = time.monotonic() + SECONDS, time.monotonic()
    while time.monotonic() < end:
        work()
        done += 1
        most = max(most, process.memory_info().rss)
    seconds = time.monotonic() - begun
    stop.set()
    for sender in senders:
        sender.join()
    parts = quantiles(taken, n=100)
    print(
        f"{name:>10}: {len(taken)} commands, p50 {parts[49]:.1f} p95 {parts[94]:.1f} p99 {parts[98]:.1f} "
        f"most {max(taken):.0f} ms; memory {most / 1e6:.0f} MB; {done / seconds:.2f} a second",
        flush=True,
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        system = LocalSystem.from_env(environment(Path(folder)))
        try:
            system.up()
            measure(system)
        finally:
            system.down(wipe=True)


def measure(system: LocalSystem) -> None:
    company = Company(config_of(system), system.api.own_address)
    await_views(company)
    li, content = company.li, os.urandom(SIZE)
    process = psutil.Process(system.api.pid)
    signed = {"Authorization": f"Bearer {li.token}"}

    def upload() -> str:
        answer = company.http.post("/files", content=content, headers=signed)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    body = {"subject_kind": "customer", "subject_id": add_customer(li), "file_id": upload(), "name": "big"}
    attachment = li.post("/attachments", body, key=str(uuid4()))["id"]

    def download() -> None:
        answer = company.http.get(f"/attachments/{attachment}/content", headers=signed)
        assert len(answer.content) == SIZE

    beside("alone", li, process, lambda: time.sleep(0.1))
    beside("uploads", li, process, upload)
    beside("downloads", li, process, download)
    beside("alone", li, process, lambda: time.sleep(0.1))
    company.close()


if __name__ == "__main__":
    main()
