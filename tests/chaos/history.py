"""What was asked and what was answered, in the manner of Jepsen: one JSON line each.

An operation is a command with its Idempotency-Key; it may be invoked several times.  `ok`: it was carried out.
`fail`: it was refused, so it has no effect.  `unknown`: no answer, or one that leaves it open; it may have one effect
or none, and never two.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import msgspec
from component.support import Company, Person
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from chassis.commands.idempotency import command_id_of

Kind = Literal["invoke", "ok", "fail", "unknown"]
PATIENCE = 90.0
SURELY_NOT = ("OVERLOADED",)
"""Codes of a 5xx answer that say that nothing was stored."""


@dataclass(frozen=True)
class Entry:
    """One line.  `command_id` is what the events of the operation carry; `seconds` since the history began."""

    seconds: float
    kind: Kind
    op: str
    command_id: str
    status: int = 0
    code: str = ""
    reply: dict[str, Any] | None = None


@dataclass(frozen=True)
class Operation:
    """An operation as its history tells it: all its outcomes, in order."""

    op: str
    command_id: str
    outcomes: tuple[Entry, ...]

    @property
    def acknowledged(self) -> list[Entry]:
        return [entry for entry in self.outcomes if entry.kind == "ok"]

    @property
    def refused(self) -> bool:
        return all(entry.kind == "fail" for entry in self.outcomes)


class History:
    """Collects entries and writes them down as they come."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb")
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self.entries: list[Entry] = []

    def note(self, kind: Kind, op: str, command_id: str, **more: Any) -> Entry:
        with self._lock:
            entry = Entry(round(time.monotonic() - self._started, 4), kind, op, command_id, **more)
            self.entries.append(entry)
            self._file.write(msgspec.json.encode(entry) + b"\n")
            self._file.flush()
        return entry

    def operations(self) -> Iterator[Operation]:
        by_id: dict[str, list[Entry]] = {}
        names: dict[str, str] = {}
        for entry in self.entries:
            names[entry.command_id] = entry.op
            by_id.setdefault(entry.command_id, [])
            if entry.kind != "invoke":
                by_id[entry.command_id].append(entry)
        for id, outcomes in by_id.items():
            yield Operation(names[id], id, tuple(outcomes))

    def count(self, kind: Kind) -> int:
        return sum(1 for entry in self.entries if entry.kind == kind)

    def close(self) -> None:
        self._file.close()


class GivenUp(Exception):
    """An operation was not answered within all patience."""


class Client:
    """Sends commands as a careful client does: each under a key, again until the answer is clear."""

    def __init__(self, company: Company, history: History, run: str) -> None:
        self.company = company
        self.history = history
        self.run = run

    def once(self, person: Person, method: str, path: str, body: Any, key: str, **more: Any) -> Entry:
        """One attempt."""
        key = f"{self.run}-{key}"
        id = command_id_of(person.principal, key)
        op = f"{method} {path}"
        self.history.note("invoke", op, id)
        try:
            answer = person.send(method, path, body, key=key, **more)
        except httpx.TransportError as error:
            return self.history.note("unknown", op, id, code=type(error).__name__)
        return self._outcome(op, id, answer)

    def _outcome(self, op: str, id: str, answer: httpx.Response) -> Entry:
        try:
            reply = answer.json()
        except ValueError:
            reply = {"text": answer.text[:500]}
        code = str(reply.get("code", ""))
        kind: Kind = "unknown"
        if answer.status_code in (200, 201):
            kind = "ok"
        elif answer.status_code < 500 or code in SURELY_NOT:
            kind = "fail"
        return self.history.note(kind, op, id, status=answer.status_code, code=code, reply=reply)

    def sure(
        self,
        person: Person,
        method: str,
        path: str,
        body: Any,
        key: str,
        *,
        again: Callable[[Entry], bool] = lambda entry: entry.kind == "unknown" or entry.code == "OVERLOADED",
        seconds: float = PATIENCE,
    ) -> Entry:
        """Repeat an operation under its key until it is carried out or refused.  Raises GivenUp."""
        waiting = Retrying(stop=stop_after_delay(seconds), wait=wait_fixed(0.05), retry=retry_if_result(again))
        try:
            entry: Entry = waiting(self.once, person, method, path, body, key)
        except RetryError as error:
            raise GivenUp(f"{method} {path}: {error.last_attempt.result()}") from error
        return entry
